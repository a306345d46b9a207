/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/client.h"

#include "proto/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECT = 1,
    CONNACK,
    PUBLISH,
    PUBACK,
    PUBREC,
    PUBREL,
    PUBCOMP,
    SUBSCRIBE,
    SUBACK,
    UNSUBSCRIBE,
    UNSUBACK
};
enum { MESSAGES_MAX = 20000, DRAIN_STEPS = 20000 };

static const char *const topics[TOPICS] = {"a", "a/b", "a/b/c", "$x/b"};
static const char *const filters[FILTERS] = {"a", "a/b", "a/+", "a/#", "+/b", "$x/#"};
/* Which topics a filter matches, written down by hand. */
static const bool matches[FILTERS][TOPICS] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 1, 0, 0},
                                              {1, 1, 1, 0}, {0, 1, 0, 0}, {0, 0, 0, 1}};

/* A message and what became of it. Sequence numbers of events order everything that clients saw. */
struct message {
    uint8_t publisher, topic, qos;
    bool acked;
    bool resent; /* by its publisher: it may come after younger ones, and more than once with QoS 1 */
    uint64_t sent_at;
    bool wanted[CLIENTS]; /* promised to this client once it is acked */
    bool got_qos2[CLIENTS];
    uint16_t got[CLIENTS]; /* deliveries within the client's present session */
};

/* A subscription as the client knows it. */
struct sub {
    enum { SUB_NONE, SUB_ASKED, SUB_ACTIVE, SUB_ENDING } state;
    uint8_t qos;
    uint16_t request;
    bool ever;         /* within this session */
    uint64_t ended_at; /* its UNSUBACK came */
};

struct open_publish {
    uint16_t id; /* 0: free */
    uint32_t message;
    bool released;
};

struct client {
    char id[8];
    int version;
    bool returns;    /* asks for its session when it comes again */
    bool persistent; /* its session outlives the present connection */
    bool online, must_be_present;
    struct pipe_end *pipe;
    struct sub subs[FILTERS];
    struct open_publish open[OPEN_MAX];
    uint32_t open_n;
    uint16_t next_id;
    bool rx2[65536];
    uint32_t last[CLIENTS][TOPICS][3][3]; /* newest message of a publisher, topic, QoS, delivered QoS */
};

struct sim {
    struct world *world;
    struct client clients[CLIENTS];
    struct message *messages;
    uint32_t messages_n;
    uint64_t event;
    uint64_t acked, delivered;
    bool draining;
    bool faulty; /* commits fail: what is refused and sent again comes late */
    char verdict[200];
};

__attribute__((format(printf, 2, 3))) static void fail(struct sim *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!s->verdict[0])
        vsnprintf(s->verdict, sizeof s->verdict, fmt, ap);
    va_end(ap);
}

struct sim *sim_new(uint64_t seed, uint32_t shards)
{
    struct sim *s = mem_zalloc(sizeof *s);
    s->world = world_new(seed, shards);
    s->messages = mem_zalloc(sizeof *s->messages * MESSAGES_MAX);
    s->messages_n = 1;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &s->clients[i];
        snprintf(c->id, sizeof c->id, "c%u", i);
        c->version = world_chance(s->world, 50) ? 5 : 4;
        c->returns = i < 3 || world_chance(s->world, 50);
        c->next_id = (uint16_t)(1 + world_random(s->world, 65535));
    }
    return s;
}

void sim_free(struct sim *s)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (s->clients[i].pipe)
            pipe_free(s->clients[i].pipe);
    }
    world_free(s->world);
    free(s->messages);
    free(s);
}

struct world *sim_world(struct sim *s)
{
    return s->world;
}
uint64_t sim_acked(const struct sim *s)
{
    return s->acked;
}
uint64_t sim_delivered(const struct sim *s)
{
    return s->delivered;
}
const char *sim_verdict(const struct sim *s)
{
    return s->verdict[0] ? s->verdict : NULL;
}

static unsigned index_of(const struct sim *s, const struct client *c)
{
    return (unsigned)(c - s->clients);
}

static uint16_t id_take(struct client *c)
{
    c->next_id = (uint16_t)(c->next_id % 65535 + 1);
    return c->next_id;
}

/* ---- the session as the client sees it ------------------------------------------------------------ */

/* The broker has nothing of it any more: what was promised to it is not owed. */
static void session_reset(struct sim *s, struct client *c)
{
    unsigned me = index_of(s, c);
    memset(c->subs, 0, sizeof c->subs);
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
    unsigned me = index_of(s, c);
    c->must_be_present = false;
    for (unsigned f = 0; f < FILTERS; f++) {
        if (c->subs[f].state != SUB_NONE)
            c->subs[f].state = SUB_ENDING;
    }
    for (uint32_t i = 1; i < s->messages_n; i++)
        s->messages[i].wanted[me] = false;
}

static void publishes_forget(struct client *c)
{
    memset(c->open, 0, sizeof c->open);
    c->open_n = 0;
}

static void publish_send(struct sim *s, struct client *c, struct open_publish *o, bool dup)
{
    struct message *m = &s->messages[o->message];
    char payload[16];
    snprintf(payload, sizeof payload, "%u", o->message);
    wire_publish(&c->pipe->up, c->version, topics[m->topic], payload, m->qos, false, dup, o->id);
}

/* Unacknowledged PUBLISH and PUBREL go out again, in order [MQTT-4.4.0-1]. */
static void resend(struct sim *s, struct client *c)
{
    for (uint32_t i = 0; i < c->open_n; i++) {
        struct open_publish *o = &c->open[i];
        if (o->released)
            wire_ack(&c->pipe->up, PUBREL, o->id);
        else
            publish_send(s, c, o, true);
        s->messages[o->message].resent = true;
    }
}

static void on_connack(struct sim *s, struct client *c, const struct wire_packet *k)
{
    world_trace(s->world, "%s CONNACK code=%u present=%d", c->id, k->code, k->session_present);
    if (k->code)
        return;
    c->online = true;
    if (c->must_be_present && !k->session_present)
        fail(s, "session of %s is lost after its SUBACK", c->id);
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

static void client_connect(struct sim *s, struct client *c, bool clean)
{
    /* Clean Session of 3.1.1 is for both ends of the session. */
    c->persistent = c->returns && !(clean && c->version == 4);
    struct wire_connect k = {
        .version = c->version, .clean = clean, .id = c->id, .expiry_s = c->persistent ? 1000000 : 0};
    if (c->pipe)
        pipe_free(c->pipe);
    c->pipe = pipe_new(s->world, c->id);
    c->online = false;
    if (clean)
        session_waive(s, c);
    world_trace(s->world, "%s CONNECT v%d clean=%d persistent=%d", c->id, c->version, clean, c->persistent);
    wire_connect(&c->pipe->up, &k);
}

static void client_gone(struct sim *s, struct client *c)
{
    bool was_online = c->online;
    c->online = false;
    if (!c->persistent && was_online) {
        session_reset(s, c);
        publishes_forget(c);
    }
}

/* ---- what it does --------------------------------------------------------------------------------- */

static void do_publish(struct sim *s, struct client *c)
{
    unsigned me = index_of(s, c);
    if (s->messages_n == MESSAGES_MAX || c->open_n == OPEN_MAX || s->draining)
        return;
    struct message *m = &s->messages[s->messages_n];
    *m = (struct message){.publisher = (uint8_t)me,
                          .topic = (uint8_t)world_random(s->world, TOPICS),
                          .qos = (uint8_t)world_random(s->world, 3),
                          .sent_at = ++s->event};
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *r = &s->clients[i];
        for (unsigned f = 0; f < FILTERS; f++)
            m->wanted[i] |= r->persistent && m->qos && matches[f][m->topic] &&
                            r->subs[f].state == SUB_ACTIVE && r->subs[f].qos;
    }
    struct open_publish o = {.message = s->messages_n++};
    world_trace(s->world, "%s PUBLISH %u %s qos=%u", c->id, o.message, topics[m->topic], m->qos);
    if (m->qos) {
        o.id = id_take(c);
        c->open[c->open_n++] = o;
    }
    publish_send(s, c, &o, false);
}

static void do_subscribe(struct sim *s, struct client *c)
{
    unsigned f = (unsigned)world_random(s->world, FILTERS);
    struct sub *sub = &c->subs[f];
    if (sub->request || s->draining)
        return;
    sub->request = id_take(c);
    if (sub->state == SUB_ACTIVE && world_chance(s->world, 30)) {
        sub->state = SUB_ENDING;
        /* From here on it is open whether a message still comes. */
        for (uint32_t i = 1; i < s->messages_n; i++)
            s->messages[i].wanted[index_of(s, c)] &= !matches[f][s->messages[i].topic];
        wire_unsubscribe(&c->pipe->up, c->version, sub->request, filters[f]);
    } else if (sub->state == SUB_NONE || sub->state == SUB_ASKED) {
        sub->state = SUB_ASKED;
        sub->qos = (uint8_t)world_random(s->world, 3);
        sub->ever = true;
        wire_subscribe(&c->pipe->up, c->version, sub->request, filters[f], sub->qos);
    } else if (sub->state == SUB_ENDING) {
        wire_unsubscribe(&c->pipe->up, c->version, sub->request, filters[f]);
    } else {
        sub->request = 0;
    }
    if (sub->request)
        world_trace(s->world, "%s %s %s qos=%u", c->id,
                    sub->state == SUB_ENDING ? "UNSUBSCRIBE" : "SUBSCRIBE", filters[f], sub->qos);
}

/* ---- what it gets --------------------------------------------------------------------------------- */

static void on_ack(struct sim *s, struct client *c, const struct wire_packet *k)
{
    uint32_t i = 0;
    for (; i < c->open_n && c->open[i].id != k->id; i++)
        ;
    if (i == c->open_n) {
        fail(s, "%s got an acknowledgement for an id that is not open (%u)", c->id, k->id);
        return;
    }
    struct open_publish *o = &c->open[i];
    struct message *m = &s->messages[o->message];
    bool refused = k->code >= 0x80;
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
                    filters[f], k->code);
        if (k->code >= 0x80)
            return; /* open: it will ask again */
        sub->state = k->type == SUBACK ? SUB_ACTIVE : SUB_NONE;
        c->must_be_present |= k->type == SUBACK && c->persistent;
        if (k->type == UNSUBACK)
            sub->ended_at = ++s->event;
        return;
    }
}

static bool is_asked_for(const struct client *c, const struct message *m)
{
    for (unsigned f = 0; f < FILTERS; f++) {
        const struct sub *sub = &c->subs[f];
        if (matches[f][m->topic] && (sub->state != SUB_NONE || (sub->ever && m->sent_at < sub->ended_at)))
            return true;
    }
    return false;
}

static void on_message(struct sim *s, struct client *c, const struct wire_packet *k)
{
    unsigned me = index_of(s, c), number = (unsigned)strtoul(k->payload, NULL, 10);
    if (k->qos == 2) {
        wire_ack(&c->pipe->up, PUBREC, k->id);
        if (c->rx2[k->id])
            return; /* the same message again */
        c->rx2[k->id] = true;
    } else if (k->qos == 1) {
        wire_ack(&c->pipe->up, PUBACK, k->id);
    }
    if (number == 0 || number >= s->messages_n || strcmp(topics[s->messages[number].topic], k->topic) != 0) {
        fail(s, "%s got a message that nobody published (%u)", c->id, number);
        return;
    }
    struct message *m = &s->messages[number];
    world_trace(s->world, "%s got %u qos=%u dup=%d id=%u", c->id, number, k->qos, k->dup, k->id);
    s->delivered++;
    if (!is_asked_for(c, m))
        fail(s, "%s got message %u without a subscription", c->id, number);
    /* A clean session gets a QoS 2 message before the store has it; when the store refuses, it comes again.
     */
    if (k->qos == 2 && m->got_qos2[me] && (c->persistent || !s->faulty))
        fail(s, "%s got message %u twice with QoS 2", c->id, number);
    uint32_t *last = &c->last[m->publisher][m->topic][m->qos][k->qos];
    if (!m->got[me] && number < *last && !m->resent && !s->faulty)
        fail(s, "%s got message %u out of order", c->id, number);
    *last = number > *last ? number : *last;
    m->got_qos2[me] |= k->qos == 2;
    m->got[me]++;
}

static void client_read(struct sim *s, struct client *c)
{
    struct wire_packet k;
    while (c->pipe && wire_take(&c->pipe->down, c->version, &k)) {
        if (k.type == CONNACK)
            on_connack(s, c, &k);
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

static void client_act(struct sim *s, struct client *c)
{
    if (!c->pipe) {
        if (world_chance(s->world, s->draining ? 100 : 10))
            client_connect(s, c, !c->returns || (!s->draining && world_chance(s->world, 3)));
        return;
    }
    if (!c->online)
        return;
    if (world_chance(s->world, 30))
        do_publish(s, c);
    if (world_chance(s->world, 5))
        do_subscribe(s, c);
    if (!s->draining && world_chance(s->world, 1)) {
        world_trace(s->world, "%s leaves", c->id);
        if (world_chance(s->world, 50))
            wire_disconnect(&c->pipe->up);
        pipe_drop(c->pipe);
        world_step(s->world);
        pipe_free(c->pipe);
        c->pipe = NULL;
        client_gone(s, c);
    }
}

void sim_faults(struct sim *s, unsigned commit_percent)
{
    s->faulty = commit_percent > 0;
    world_faults(s->world, commit_percent);
}

void sim_step(struct sim *s)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (world_chance(s->world, 80))
            client_read(s, c);
        client_act(s, c);
    }
    world_step(s->world);
}

void sim_crash(struct sim *s, uint32_t shards)
{
    /* What the broker had sent counts as read. */
    for (unsigned i = 0; i < CLIENTS; i++)
        client_read(s, &s->clients[i]);
    world_crash(s->world, shards);
    for (unsigned i = 0; i < CLIENTS; i++)
        client_read(s, &s->clients[i]);
}

static bool is_settled(const struct sim *s)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *c = &s->clients[i];
        if (!c->online || c->open_n || c->pipe->up.n || c->pipe->held.n)
            return false;
    }
    return !world_is_busy(s->world);
}

void sim_drain(struct sim *s)
{
    unsigned quiet = 0;
    s->draining = true;
    world_faults(s->world, 0);
    for (unsigned i = 0; i < DRAIN_STEPS && quiet < 50 && !s->verdict[0]; i++) {
        sim_step(s);
        quiet = is_settled(s) ? quiet + 1 : 0;
    }
    if (quiet < 50)
        fail(s, "it never comes to rest");
    for (uint32_t n = 1; n < s->messages_n; n++) {
        const struct message *m = &s->messages[n];
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (m->acked && m->wanted[i] && !m->got[i])
                fail(s, "%s never got message %u, which was acknowledged", s->clients[i].id, n);
        }
    }
}
