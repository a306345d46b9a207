/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/client_i.h"

#include <stdio.h>
#include <stdlib.h>

/* The session as the client sees it. */

static void publishes_forget(struct client *c)
{
    memset(c->open, 0, sizeof c->open);
    c->open_n = 0;
}

/* The broker has nothing of it any more: what was promised to it is not owed. */
static void session_reset(struct sim *s, struct client *c)
{
    unsigned me = client_index(s, c);
    bool may_merge = world_breaches(s->world) > 0 || sim_may_part(s);
    for (unsigned f = 0; f < FILTERS; f++) {
        /* What it had may be found on a node that was away, and be merged with what it has then. */
        bool ever = may_merge && (c->subs[f].ever || c->subs[f].state != SUB_NONE);
        c->subs[f] = (struct sub){.ever = ever, .ended_at = ever ? UINT64_MAX : 0};
    }
    memset(c->rx2, 0, sizeof c->rx2);
    memset(c->last, 0, sizeof c->last);
    c->must_be_present = false;
    for (uint32_t i = 1; i < s->messages_n; i++) {
        s->messages[i].wanted[me] = false;
        s->messages[i].got[me] = 0;
        s->messages[i].got_qos2[me] = false;
    }
}

/* Clean Start was asked for: nothing is owed to the session any more, but it may still be there until a
 * CONNACK says it is not. */
static void session_waive(struct sim *s, struct client *c)
{
    unsigned me = client_index(s, c);
    c->must_be_present = false;
    for (unsigned f = 0; f < FILTERS; f++) {
        if (c->subs[f].state != SUB_NONE)
            c->subs[f].state = SUB_ENDING;
    }
    for (uint32_t i = 1; i < s->messages_n; i++) {
        s->messages[i].wanted[me] = false;
        s->messages[i].got_qos2[me] = false;
    }
    publishes_forget(c); /* its own half is discarded as well */
    memset(c->rx2, 0, sizeof c->rx2);
}

void client_publish_send(struct sim *s, struct client *c, struct open_publish *o, bool dup)
{
    struct message *m = &s->messages[o->message];
    char payload[16];
    snprintf(payload, sizeof payload, "%u", o->message);
    wire_publish(&c->pipe->up, c->version, sim_topics[m->topic], payload, m->qos, false, dup, o->id);
}

/* Unacknowledged PUBLISH and PUBREL go out again, in order [MQTT-4.4.0-1]. */
static void resend(struct sim *s, struct client *c)
{
    for (uint32_t i = 0; i < c->open_n; i++) {
        struct open_publish *o = &c->open[i];
        if (o->released)
            wire_ack(&c->pipe->up, PUBREL, o->id);
        else
            client_publish_send(s, c, o, true);
        s->messages[o->message].resent = true;
    }
}

void client_on_connack(struct sim *s, struct client *c, const struct wire_packet *k)
{
    world_trace(s->world, "%s CONNACK code=%u present=%d", c->id, k->code, k->session_present);
    if (k->code)
        return;
    c->online = true;
    bool is_kept = c->present_breaches == world_breaches(s->world) && world_is_whole(s->world);
    if (c->must_be_present && !k->session_present && is_kept && !sim_may_part(s))
        sim_fail(s, "session of %s is lost after its SUBACK", c->id);
    if (!k->session_present) {
        session_reset(s, c);
        publishes_forget(c);
        return;
    }
    /* Requests that were open are open again: their answers will not come. */
    for (unsigned f = 0; f < FILTERS; f++)
        c->subs[f].request = 0;
    resend(s, c);
}

struct move {
    struct sim *sim;
    unsigned client;
};

static void stray_note(void *ctx, struct bytes payload)
{
    struct move *move = ctx;
    uint32_t number = 0;
    for (uint32_t i = 0; i < payload.n; i++)
        number = number * 10 + payload.p[i] - '0';
    if (number < move->sim->messages_n)
        move->sim->messages[number].strays[move->client] = true;
}

/* Its session will follow it. A QoS 2 message that its publisher's node has still to bring to where the
 * session is now, and cannot, comes too late for it: nothing sends it on from there (docs/CLUSTER.md). Where
 * nothing is in the way, the move waits for it. */
static void client_move(struct sim *s, struct client *c, uint32_t node)
{
    struct move move = {s, client_index(s, c)};
    for (unsigned f = 0; f < FILTERS; f++)
        c->subs[f].stays &= node == c->node;
    if (node != c->node && !world_is_whole(s->world))
        world_handoffs(s->world, stray_note, &move);
    c->node = node;
}

void client_connect(struct sim *s, struct client *c, bool clean)
{
    /* Clean Session of 3.1.1 is for both ends of the session. */
    c->persistent = c->returns && !(clean && c->version == 4);
    struct wire_connect k = {
        .version = c->version, .clean = clean, .id = c->id, .expiry_s = c->persistent ? 1000000 : 0};
    if (c->pipe)
        pipe_free(c->pipe);
    uint32_t node = (uint32_t)world_random(s->world, world_nodes(s->world));
    if (s->sticky)
        node = client_index(s, c) % world_nodes(s->world);
    if (!world_is_up(s->world, node)) {
        c->pipe = NULL;
        return;
    }
    client_move(s, c, node);
    c->pipe = pipe_new(s->world, node, c->id);
    c->online = false;
    if (clean)
        session_waive(s, c);
    world_trace(s->world, "%s CONNECT v%d clean=%d persistent=%d node=%u", c->id, c->version, clean,
                c->persistent, node);
    wire_connect(&c->pipe->up, &k);
}

void client_gone(struct sim *s, struct client *c)
{
    bool was_online = c->online;
    c->online = false;
    if (!c->persistent && was_online) {
        session_reset(s, c);
        publishes_forget(c);
    }
}
