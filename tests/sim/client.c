/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/client_i.h"

#include "proto/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *const sim_topics[TOPICS] = {"a", "a/b", "a/b/c", "$x/b"};
const char *const sim_filters[FILTERS] = {"a", "a/b", "a/+", "a/#", "+/b", "$x/#"};
const bool sim_matches[FILTERS][TOPICS] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 1, 0, 0},
                                           {1, 1, 1, 0}, {0, 1, 0, 0}, {0, 0, 0, 1}};

__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!s->verdict[0])
        vsnprintf(s->verdict, sizeof s->verdict, fmt, ap);
    va_end(ap);
}
struct sim *sim_new(uint64_t seed, uint32_t nodes, uint32_t shards)
{
    struct sim *s = mem_zalloc(sizeof *s);
    s->world = world_new(seed, nodes, shards);
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

unsigned client_index(const struct sim *s, const struct client *c)
{
    return (unsigned)(c - s->clients);
}

uint16_t client_id_take(struct client *c)
{
    c->next_id = (uint16_t)(c->next_id % 65535 + 1);
    return c->next_id;
}

bool sim_may_part(const struct sim *s)
{
    return s->faulty && world_nodes(s->world) > 1;
}

void sim_faults(struct sim *s, unsigned commit_percent)
{
    s->faulty = commit_percent > 0;
    world_faults(s->world, commit_percent);
}

/* A retained message of a topic that nobody subscribes to, or its end: the nodes shall agree on them. */
static void retained_change(struct sim *s)
{
    struct client *c = &s->clients[world_random(s->world, CLIENTS)];
    char topic[16], payload[24] = "";
    if (!c->online || s->draining)
        return;
    snprintf(topic, sizeof topic, "r/%u/x", (unsigned)world_random(s->world, 20));
    if (world_chance(s->world, 70))
        snprintf(payload, sizeof payload, "%llu", (unsigned long long)++s->event);
    world_trace(s->world, "%s retains %s \"%s\"", c->id, topic, payload);
    wire_publish(&c->pipe->up, c->version, topic, payload, 0, true, false, 0);
}

void sim_step(struct sim *s)
{
    if (world_nodes(s->world) > 1 && world_chance(s->world, 20))
        retained_change(s);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (world_chance(s->world, 80))
            client_read(s, c);
        client_act(s, c);
    }
    world_step(s->world);
}

void sim_sticky(struct sim *s)
{
    s->sticky = true;
}

void sim_read_all(struct sim *s)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        client_read(s, &s->clients[i]);
}

void sim_crash(struct sim *s, uint32_t node, uint32_t shards)
{
    sim_read_all(s); /* what the broker had sent counts as read */
    world_crash(s->world, node, shards);
    sim_read_all(s);
}

/* The nodes find each other before the first client comes: what is promised while they have not is another
 * matter. */
void sim_gather(struct sim *s)
{
    for (unsigned i = 0; i < DRAIN_STEPS && !world_is_whole(s->world); i++)
        world_step(s->world);
    if (!world_is_whole(s->world))
        sim_fail(s, "the nodes do not find each other");
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
    sim_trouble_end(s);
    for (unsigned i = 0; i < DRAIN_STEPS && quiet < 50 && !s->verdict[0]; i++) {
        sim_step(s);
        quiet = is_settled(s) ? quiet + 1 : 0;
    }
    if (quiet < 50) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            const struct client *c = &s->clients[i];
            printf("  %s: online=%d open=%u up=%zu held=%zu\n", c->id, c->online, c->open_n,
                   c->pipe ? c->pipe->up.n : 0, c->pipe ? c->pipe->held.n : 0);
        }
        world_explain(s->world);
        sim_fail(s, "it never comes to rest");
    }
    const char *differs = s->verdict[0] ? NULL : world_disagreement(s->world);
    if (differs)
        sim_fail(s, "%s", differs);
    for (unsigned i = 0; i < CLIENTS && !s->verdict[0]; i++) {
        unsigned holders = 0;
        for (uint32_t n = 0; n < world_nodes(s->world); n++)
            holders += world_has_session(s->world, n, s->clients[i].id);
        if (holders > 1)
            sim_fail(s, "%u nodes have a session of %s", holders, s->clients[i].id);
    }
    for (uint32_t n = 1; n < s->messages_n; n++) {
        const struct message *m = &s->messages[n];
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (m->acked && m->wanted[i] && !m->got[i] && !m->strays[i])
                sim_fail(s, "%s never got message %u, which was acknowledged", s->clients[i].id, n);
        }
    }
}
