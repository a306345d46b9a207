/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/shard.h"

#include "node/core/conn_i.h"
#include "node/core/deliver.h"
#include "node/core/enhanced.h"
#include "node/core/pace.h"
#include "node/core/parked.h"
#include "node/core/retained.h"
#include "node/core/rewrite.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { STALL_MS = 1000, SWEEP_EVERY_MS = 1000 };

struct shard *shard_new(struct node *node, uint32_t number)
{
    struct shard *sh = mem_zalloc(sizeof *sh);
    sh->node = node;
    sh->settings = node->conf.settings;
    sh->number = number;
    sh->settings = node->conf.settings;
    sh->random = hash_u64(number + 1, node->conf.seed) | 1;
    sh->session_next = 1;
    sh->wall_ms = node->conf.boot_wall_ms;
    wheel_init(&sh->wheel, 0);
    wheel_init(&sh->session_wheel, 0);
    outpool_init(&sh->outpool);
    list_init(&sh->dirty);
    list_init(&sh->replays);
    list_init(&sh->conns);
    list_init(&sh->congested);
    list_init(&sh->paced);
    claims_init(&sh->claims);
    vets_init(&sh->vets);
    gate_init(&sh->gate, node->conf.acl, node->conf.acl_slots, node->conf.asks);
    peer_handoffs_init(&sh->peer_handoffs);
    parcels_init(&sh->parcels);
    ptrtab_init(&sh->sessions, offsetof(struct session, hash), NULL);
    subs_init(&sh->subs, node->routes, number);
    persist_init(&sh->persist);
    delayed_init(&sh->delayed);
    bans_init(&sh->bans, node->conf.seed);
    topic_metrics_init(&sh->topic_metrics);
    topic_metrics_load(sh, sh->settings->topic_metrics);
    sh->rewrite = rewrite_new(sh->settings->rewrite_rules);
    return sh;
}

void shard_sample(struct shard *sh, uint64_t now_us)
{
    sh->sample_us = now_us;
}

uint64_t shard_acked_from(struct shard *sh)
{
    uint64_t us = sh->acked_from_us;
    sh->acked_from_us = 0;
    return us;
}

static void sessions_free(struct shard *sh)
{
    uint32_t at = 0;
    struct session *s;
    while ((s = ptrtab_next(&sh->sessions, &at)))
        session_free(s);
    ptrtab_fini(&sh->sessions);
}

void shard_free(struct shard *sh)
{
    if (!sh)
        return;
    CHECK(sh->conns_n == 0);
    sessions_free(sh);
    subs_fini(&sh->subs);
    persist_fini(&sh->persist);
    handoffs_fini(&sh->handoffs);
    handoffs_fini(&sh->handoffs_sealed);
    store_reader_free(sh->reader);
    outpool_fini(&sh->outpool);
    for (unsigned i = 0; i < FORMS; i++)
        free(sh->encoder.buf[i]);
    forward_fini(sh);
    claims_fini(&sh->claims);
    vets_fini(&sh->vets);
    gate_fini(&sh->gate);
    peer_handoffs_fini(&sh->peer_handoffs);
    parcels_fini(&sh->parcels);
    bans_fini(&sh->bans);
    flapping_fini(&sh->flapping);
    exclusives_fini(&sh->exclusives);
    rewrite_free(sh->rewrite);
    free(sh->mounted);
    free(sh->mounted_props.p);
    free(sh->seen_props.p);
    topic_metrics_fini(&sh->topic_metrics);
    slow_subs_fini(&sh->slow_subs);
    journal_fini(&sh->journal);
    delayed_fini(&sh->delayed);
    for (unsigned i = 0; i <= NODE_SHARDS_MAX; i++)
        if (sh->outbox[i])
            mailbag_free(sh->outbox[i]);
    free(sh->collected);
    free(sh->collected_ids);
    free(sh);
}

uint32_t shard_number(const struct shard *sh)
{
    return sh->number;
}
struct node *shard_node(const struct shard *sh)
{
    return sh->node;
}
struct outpool *shard_outpool(struct shard *sh)
{
    return &sh->outpool;
}
uint32_t shard_conns(const struct shard *sh)
{
    return sh->conns_n;
}

void shard_set_time(struct shard *sh, uint64_t mono_ms, uint64_t wall_ms)
{
    sh->now_ms = mono_ms;
    sh->wall_ms = wall_ms;
}

/* ---- time ----------------------------------------------------------------------------------------- */

static void conn_on_timer(struct conn *c)
{
    struct shard *sh = c->shard;
    if (c->state == CONN_NEW && c->parked) {
        sh->connecting = parked_client(c->parked);
        connect_refuse(c, RC_SERVER_BUSY, "The answer to this CONNECT takes too long");
        return;
    }
    if (c->state == CONN_NEW) {
        conn_close(c, RC_UNSPECIFIED_ERROR, NULL, CONN_END_NO_CONNECT);
        return;
    }
    if (c->until_ms && sh->wall_ms >= c->until_ms) {
        conn_close(c, RC_MAXIMUM_CONNECT_TIME, "What it was let in with has expired", CONN_END_EXPIRED);
        return;
    }
    if (unlikely(!enhanced_on_timer(c)))
        return;
    if (!c->keep_alive_ms) {
        conn_timer_set(c, 0);
        return;
    }
    uint64_t deadline = c->rx_ms + c->keep_alive_ms;
    if (gate_ask_waits(c) && c->shard->now_ms >= deadline)
        deadline = sh->now_ms + c->keep_alive_ms;
    if (c->pace && c->pace->until_ms) /* nobody listens to it */
        deadline = c->pace->until_ms + c->keep_alive_ms;
    if (deadline < sh->patience_ms) /* the silence may be our own */
        deadline = sh->patience_ms;
    if (sh->now_ms >= deadline) /* [MQTT-3.1.2-22] */
        conn_close(c, RC_KEEP_ALIVE_TIMEOUT, "No packet within the Keep Alive", CONN_END_KEEP_ALIVE);
    else
        conn_timer_set(c, deadline);
}

void shard_tick(struct shard *sh)
{
    struct wheel_timer *t;
    if (sh->now_ms > sh->tick_ms + STALL_MS) /* what came meanwhile has to be read first */
        sh->patience_ms = sh->now_ms + STALL_MS;
    sh->tick_ms = sh->now_ms;
    peer_handoffs_tick(sh);
    parcels_tick(sh);
    pace_tick(sh);
    flapping_tick(sh);
    bans_tick(sh);
    delayed_tick(sh);
    exclusive_tick(sh);
    slow_subs_tick(sh);
    while ((t = wheel_pop(&sh->wheel, sh->now_ms)))
        conn_on_timer(container_of(t, struct conn, timer));
    while ((t = wheel_pop(&sh->session_wheel, sh->now_ms)))
        session_on_timer(container_of(t, struct session, timer));
    if (sh->number == 0 && sh->now_ms >= sh->sweep_ms) {
        sh->sweep_ms = sh->now_ms + SWEEP_EVERY_MS;
        retained_sweep(sh);
    }
}

/* ---- what the I/O layer has to look at ------------------------------------------------------------ */

struct conn *shard_dirty_take(struct shard *sh)
{
    struct list *l = list_pop(&sh->dirty);
    return l ? container_of(l, struct conn, dirty_link) : NULL;
}

void shard_dirty_add(struct shard *sh, struct conn *c)
{
    (void)sh;
    conn_mark_dirty(c);
}

void shard_shutdown(struct shard *sh)
{
    list_each_safe(l, &sh->conns) conn_close(container_of(l, struct conn, all_link), RC_SERVER_SHUTTING_DOWN,
                                             "The server shuts down", CONN_END_SHUTDOWN);
}
