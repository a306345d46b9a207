/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/actor.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONNACK = 2, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK = 9 };
enum { VERSION = 5, WAIT_MS = 20000 };

/* ---- the stage ------------------------------------------------------------------------------------ */

struct stage *stage_new(uint64_t seed, uint32_t nodes)
{
    struct stage *s = mem_zalloc(sizeof *s);
    s->world = world_new(seed, nodes, 1 + (uint32_t)(seed % 3));
    stage_whole(s);
    return s;
}

void stage_free(struct stage *s)
{
    for (uint32_t i = 0; i < s->actors_n; i++) {
        actor_drop(s->actors[i]);
        free(s->actors[i]);
    }
    world_free(s->world);
    free(s);
}

void stage_fail(struct stage *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!s->verdict[0])
        vsnprintf(s->verdict, sizeof s->verdict, fmt, ap);
    va_end(ap);
}

void stage_run(struct stage *s, uint64_t ms)
{
    for (uint64_t end = world_now_ms(s->world) + ms; world_now_ms(s->world) < end;)
        stage_turn(s);
}

bool stage_until(struct stage *s, bool (*is)(void *arg), void *arg, uint64_t ms, const char *what)
{
    uint64_t end = world_now_ms(s->world) + ms;
    while (!is(arg)) {
        if (s->verdict[0])
            return false;
        if (world_now_ms(s->world) >= end) {
            stage_fail(s, "not within %llu ms: %s", (unsigned long long)ms, what);
            return false;
        }
        stage_turn(s);
    }
    return true;
}

static bool is_whole(void *world)
{
    return world_is_whole(world);
}

void stage_whole(struct stage *s)
{
    stage_until(s, is_whole, s->world, 60000, "all nodes are linked");
}

/* ---- what comes ----------------------------------------------------------------------------------- */

static void on_publish(struct actor *a, const struct wire_packet *k)
{
    if (k->qos == 1)
        wire_ack(&a->pipe->up, PUBACK, k->id);
    if (k->qos == 2) {
        wire_ack(&a->pipe->up, PUBREC, k->id);
        if (a->rx2[k->id])
            return;
        a->rx2[k->id] = true;
    }
    snprintf(a->last_topic, sizeof a->last_topic, "%s", k->topic);
    snprintf(a->last_payload, sizeof a->last_payload, "%s", k->payload);
    CHECK(a->got_n < GOT_MAX);
    a->got[a->got_n++] = (uint32_t)strtoul(k->payload, NULL, 10);
}

static void on_answer(struct actor *a, const struct wire_packet *k)
{
    bool is_first = k->type == PUBREC && k->code < 0x80;
    if (is_first)
        wire_ack(&a->pipe->up, PUBREL, k->id);
    if (k->type == PUBCOMP)
        return;
    a->acked_n += k->code < 0x80;
    a->refused_n += k->code >= 0x80;
    if (k->code < 0x80)
        a->acked[a->number_of[k->id]] = true;
}

static void on_packet(struct actor *a, const struct wire_packet *k)
{
    switch (k->type) {
    case CONNACK:
        a->is_online = k->code == 0;
        a->session_present = k->session_present;
        if (!k->session_present)
            memset(a->rx2, 0, sizeof a->rx2);
        break;
    case PUBLISH:
        on_publish(a, k);
        break;
    case PUBREL:
        a->rx2[k->id] = false;
        wire_ack(&a->pipe->up, PUBCOMP, k->id);
        break;
    case SUBACK:
        a->suback_n += k->code < 0x80;
        break;
    case PUBACK:
    case PUBREC:
    case PUBCOMP:
        on_answer(a, k);
        break;
    default:
        break;
    }
}

static void actor_read(struct actor *a)
{
    struct wire_packet k;
    while (a->pipe && wire_take(&a->pipe->down, VERSION, &k))
        on_packet(a, &k);
    if (a->pipe && a->pipe->broker_ended) {
        pipe_free(a->pipe);
        a->pipe = NULL;
        a->is_online = false;
    }
}

void stage_turn(struct stage *s)
{
    world_step(s->world);
    for (uint32_t i = 0; i < s->actors_n; i++)
        actor_read(s->actors[i]);
}

/* ---- what it does --------------------------------------------------------------------------------- */

struct actor *actor_new(struct stage *s, const char *id)
{
    CHECK(s->actors_n < ACTORS_MAX);
    struct actor *a = s->actors[s->actors_n++] = mem_zalloc(sizeof *a);
    a->stage = s;
    snprintf(a->id, sizeof a->id, "%s", id);
    return a;
}

void actor_connect_begin(struct actor *a, uint32_t node, bool clean)
{
    struct wire_connect k = {.version = VERSION, .clean = clean, .id = a->id, .expiry_s = 1000000};
    actor_drop(a);
    a->node = node;
    a->pipe = pipe_new(a->stage->world, node, a->id);
    wire_connect(&a->pipe->up, &k);
}

static bool is_online(void *actor)
{
    return ((struct actor *)actor)->is_online;
}

void actor_connect(struct actor *a, uint32_t node, bool clean)
{
    actor_connect_begin(a, node, clean);
    stage_until(a->stage, is_online, a, WAIT_MS, "CONNACK");
}

void actor_drop(struct actor *a)
{
    a->is_online = false;
    if (!a->pipe)
        return;
    pipe_drop(a->pipe);
    pipe_free(a->pipe);
    a->pipe = NULL;
}

static bool has_suback(void *actor)
{
    return ((struct actor *)actor)->suback_n > 0;
}

void actor_subscribe(struct actor *a, const char *filter, unsigned qos)
{
    if (!a->pipe)
        return;
    a->suback_n = 0;
    wire_subscribe(&a->pipe->up, VERSION, ++a->next_id, filter, qos);
    stage_until(a->stage, has_suback, a, WAIT_MS, "SUBACK");
}

void actor_publish(struct actor *a, const char *topic, uint32_t number, unsigned qos)
{
    char payload[16];
    if (!a->pipe)
        return;
    snprintf(payload, sizeof payload, "%u", number);
    a->next_id = (uint16_t)(a->next_id % 65000 + 1);
    a->number_of[a->next_id] = number;
    wire_publish(&a->pipe->up, VERSION, topic, payload, qos, false, false, qos ? a->next_id : 0);
}

void actor_retain(struct actor *a, const char *topic, const char *payload)
{
    if (a->pipe)
        wire_publish(&a->pipe->up, VERSION, topic, payload, 0, true, false, 0);
}

struct wanted {
    const struct actor *actor;
    uint32_t n;
};

static bool has_all(void *arg)
{
    const struct wanted *w = arg;
    return w->actor->got_n >= w->n;
}

void actor_expect_all(struct actor *a, uint32_t n, uint64_t ms)
{
    struct wanted w = {a, n};
    stage_until(a->stage, has_all, &w, ms, "all messages");
    for (uint32_t i = 0; i < a->got_n; i++) {
        if (a->got[i] != i) {
            stage_fail(a->stage, "%s got message %u as number %u of %u", a->id, a->got[i], i, a->got_n);
            return;
        }
    }
}
