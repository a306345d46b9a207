/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/client_i.h"

#include <stdio.h>
#include <stdlib.h>

/* What a client gets, and whether it should have. */

static void on_ack(struct sim *s, struct client *c, const struct wire_packet *k)
{
    uint32_t i = 0;
    for (; i < c->open_n && c->open[i].id != k->id; i++)
        ;
    if (i == c->open_n) {
        sim_fail(s, "%s got an acknowledgement for an id that is not open (%u)", c->id, k->id);
        return;
    }
    struct open_publish *o = &c->open[i];
    struct message *m = &s->messages[o->message];
    bool refused = k->code >= 0x80;
    if (m->breaches != world_breaches(s->world)) /* who could not be reached was not waited for */
        memset(m->wanted, 0, sizeof m->wanted);
    if (k->type == PUBREC && !refused) {
        m->acked = true;
        s->acked += !o->released;
        o->released = true;
        wire_ack(&c->pipe->up, PUBREL, o->id);
        return;
    }
    if (k->type == PUBACK && !refused) {
        m->acked = true;
        s->acked++;
    }
    world_trace(s->world, "%s type %u for %u code=0x%02x", c->id, k->type, o->message, k->code);
    memmove(o, o + 1, sizeof *o * (--c->open_n - i));
}

static void on_suback(struct sim *s, struct client *c, const struct wire_packet *k)
{
    for (unsigned f = 0; f < FILTERS; f++) {
        struct sub *sub = &c->subs[f];
        if (sub->request != k->id)
            continue;
        sub->request = 0;
        world_trace(s->world, "%s %s %s code=0x%02x", c->id, k->type == SUBACK ? "SUBACK" : "UNSUBACK",
                    sim_filters[f], k->code);
        if (k->code >= 0x80)
            return; /* open: it will ask again */
        sub->state = k->type == SUBACK ? SUB_ACTIVE : SUB_NONE;
        c->must_be_present |= k->type == SUBACK && c->persistent;
        sub->stays = true;
        sub->breaches = world_is_whole(s->world) ? world_breaches(s->world) : UINT64_MAX;
        if (k->type == SUBACK)
            c->present_breaches = sub->breaches;
        if (k->type == UNSUBACK)
            sub->ended_at = ++s->event;
        return;
    }
}

/* Where a client went on at another node meanwhile, both its sessions are merged, with the subscriptions of
 * both: also with one that it has ended in one of them. */
static bool is_asked_for(const struct sim *s, const struct client *c, const struct message *m)
{
    bool may_merge = world_breaches(s->world) > 0 && !s->sticky;
    for (unsigned f = 0; f < FILTERS; f++) {
        const struct sub *sub = &c->subs[f];
        bool was_asked = sub->ever && (may_merge || m->sent_at < sub->ended_at);
        if (sim_matches[f][m->topic] && (sub->state != SUB_NONE || was_asked))
            return true;
    }
    return false;
}

static void on_message(struct sim *s, struct client *c, const struct wire_packet *k)
{
    unsigned me = client_index(s, c), number = (unsigned)strtoul(k->payload, NULL, 10);
    if (k->qos == 2) {
        wire_ack(&c->pipe->up, PUBREC, k->id);
        if (c->rx2[k->id])
            return; /* the same message again */
        c->rx2[k->id] = true;
    } else if (k->qos == 1) {
        wire_ack(&c->pipe->up, PUBACK, k->id);
    }
    if (number == 0 || number >= s->messages_n ||
        strcmp(sim_topics[s->messages[number].topic], k->topic) != 0) {
        sim_fail(s, "%s got a message that nobody published (%u)", c->id, number);
        return;
    }
    struct message *m = &s->messages[number];
    world_trace(s->world, "%s got %u qos=%u dup=%d id=%u", c->id, number, k->qos, k->dup, k->id);
    s->delivered++;
    if (!is_asked_for(s, c, m))
        sim_fail(s, "%s got message %u without a subscription", c->id, number);
    /* A clean session gets a QoS 2 message before the store has it; when the store refuses, it comes again.
     */
    if (k->qos == 2 && m->got_qos2[me] && (c->persistent || !s->faulty) && !sim_may_part(s) &&
        (s->sticky || !world_breaches(s->world)))
        sim_fail(s, "%s got message %u twice with QoS 2", c->id, number);
    uint32_t *last = &c->last[m->publisher][m->topic][m->qos][k->qos];
    if (!m->got[me] && number < *last && !m->resent && !s->faulty && !world_breaches(s->world))
        sim_fail(s, "%s got message %u out of order", c->id, number);
    *last = number > *last ? number : *last;
    m->got_qos2[me] |= k->qos == 2;
    m->got[me]++;
}

void client_read(struct sim *s, struct client *c)
{
    struct wire_packet k;
    while (c->pipe && wire_take(&c->pipe->down, c->version, &k)) {
        if (k.type == CONNACK)
            client_on_connack(s, c, &k);
        else if (k.type == PUBLISH)
            on_message(s, c, &k);
        else if (k.type == PUBREL) {
            c->rx2[k.id] = false;
            wire_ack(&c->pipe->up, PUBCOMP, k.id);
        } else if (k.type == SUBACK || k.type == UNSUBACK)
            on_suback(s, c, &k);
        else if (k.type == PUBACK || k.type == PUBREC || k.type == PUBCOMP)
            on_ack(s, c, &k);
    }
    if (c->pipe && c->pipe->broker_ended) {
        world_trace(s->world, "%s finds its connection ended", c->id);
        pipe_free(c->pipe);
        c->pipe = NULL;
        client_gone(s, c);
    }
}
