/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/retained_sync.h"

#include "node/mesh/retained_sync_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Peers, digests and the order of work; lists and records are in retained_exchange.c. */

void retained_sync_conf_default(struct retained_sync_conf *c)
{
    *c = (struct retained_sync_conf){.period_ms = 600000, .step_items = 2000, .page_bytes = 64 << 10};
}

enum err retained_sync_new(struct retained_sync **out, const struct retained_sync_conf *conf)
{
    struct retained_sync *rs = mem_zalloc(sizeof *rs);
    rs->conf = *conf;
    enum err e = store_reader_new(&rs->reader, conf->store);
    if (e != OK) {
        free(rs);
        return e;
    }
    *out = rs;
    return OK;
}

void retained_sync_free(struct retained_sync *rs)
{
    if (!rs)
        return;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        retained_sync_on_gone(rs, i);
    store_reader_free(rs->reader);
    free(rs->items);
    rpc_buf_fini(&rs->scratch);
    free(rs);
}

/* ---- peers ---------------------------------------------------------------------------------------- */

void retained_sync_on_gone(struct retained_sync *rs, uint32_t peer)
{
    struct sync_peer *p = rs->peers[peer];
    rs->peers[peer] = NULL;
    if (!p)
        return;
    exchange_drop(p);
    free(p);
}

static void unsettle(struct retained_sync *rs, struct sync_peer *p)
{
    rs->conf.mark(rs->conf.ctx, p->number);
    p->is_settled = false;
}

void retained_sync_on_reset(struct retained_sync *rs, uint32_t peer, enum retained_sync_role role)
{
    CHECK(peer < PEERS_MAX);
    retained_sync_on_gone(rs, peer);
    struct sync_peer *p = rs->peers[peer] = mem_zalloc(sizeof *p);
    p->number = peer;
    unsettle(rs, p);
    p->pages_end = &p->pages;
    p->leads = p->wants_round = role == RETAINED_SYNC_LEADS;
    p->pushes = p->is_pushing = role == RETAINED_SYNC_PUSHES;
}

void retained_sync_again(struct retained_sync *rs, uint32_t peer)
{
    struct sync_peer *p = rs->peers[peer];
    if (!p)
        return;
    unsettle(rs, p);
    if (p->pushes) {
        p->is_pushing = true;
        p->push.n = 0;
    } else {
        p->wants_round = true;
    }
}

static void rounds_start(struct retained_sync *rs)
{
    if (rs->now_ms < rs->round_ms)
        return;
    for (uint32_t i = 0; i < PEERS_MAX && rs->round_ms; i++) {
        if (rs->peers[i] && rs->peers[i]->leads)
            retained_sync_again(rs, i);
    }
    rs->round_ms = rs->now_ms + rs->conf.period_ms;
}

bool retained_sync_is_idle(const struct retained_sync *rs)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (rs->peers[i] && (rs->peers[i]->has_repaired || !peer_is_idle(rs->peers[i])))
            return false;
    }
    return true;
}

uint32_t retained_sync_differed(const struct retained_sync *rs, uint32_t peer)
{
    return rs->peers[peer] ? rs->peers[peer]->differed : 0;
}

/* ---- frames --------------------------------------------------------------------------------------- */

static bool on_items(struct retained_sync *rs, uint32_t peer, struct bytes body, struct rpc_arena *arena)
{
    struct rpc_retained r;
    if (!rpc_retained_read(&r, body, arena))
        return false;
    for (uint32_t i = 0; i < r.n; i++) {
        if (!retained_is_sound(r.items[i].key, r.items[i].stamp, r.items[i].record))
            return false;
        rs->conf.apply(rs->conf.ctx, peer, &r.items[i]);
    }
    if (rs->peers[peer])
        rs->peers[peer]->has_repaired |= r.is_repair;
    return true;
}

static bool on_digests(struct retained_sync *rs, struct sync_peer *p, struct bytes body,
                       struct rpc_arena *arena)
{
    struct rpc_retained_digests d;
    if (!rpc_retained_digests_read(&d, body, arena))
        return false;
    if (d.is_reply) {
        p->in_round = false;
        return true;
    }
    if (d.n != RETAINED_BUCKETS)
        return false;
    memcpy(p->theirs, d.digests, sizeof p->theirs);
    p->has_theirs = true;
    p->in_scan = false;
    unsettle(rs, p); /* what the peer has told before is in its digests */
    return true;
}

bool retained_sync_on_frame(struct retained_sync *rs, uint32_t peer, unsigned op, struct bytes body,
                            struct rpc_arena *arena)
{
    struct sync_peer *p = rs->peers[peer];
    struct rpc_retained list;
    struct rpc_retained_want want;
    if (op == RPC_RETAINED)
        return on_items(rs, peer, body, arena);
    if (!p || p->pushes)
        return !p; /* too early or too late is no fault */
    switch (op) {
    case RPC_RETAINED_DIGESTS:
        return on_digests(rs, p, body, arena);
    case RPC_RETAINED_BUCKET:
        return rpc_retained_bucket_read(&list, body, arena) && exchange_on_list(rs, p, &list);
    case RPC_RETAINED_WANT:
        return rpc_retained_want_read(&want, body, arena) && exchange_on_want(rs, p, &want);
    default:
        return false;
    }
}

/* ---- stamps --------------------------------------------------------------------------------------- */

void place_set(struct place *at, struct bytes key)
{
    at->n = key.n;
    bytes_put(at->key, key);
}

/* From the record at which the reader stands. */
static bool stamps_from(struct retained_sync *rs, enum err e, struct bytes prefix, const struct place *behind,
                        struct retained_meta *m, struct bytes *key, struct bytes value)
{
    for (; e == OK || e == ERR_CORRUPT; e = store_next(rs->reader, key, &value)) {
        if (!bytes_starts(*key, prefix))
            return false;
        if (key->n <= 2 || key->n > RETAINED_META_KEY_MAX ||
            (behind && bytes_cmp(*key, bytes_of(behind->key, behind->n)) <= 0))
            continue;
        if (e != OK || !retained_meta_read(m, *key, value))
            *m = (struct retained_meta){.key = bytes_of(key->p + 2, key->n - 2)};
        return true;
    }
    return false;
}

bool stamps_seek(struct retained_sync *rs, const struct place *at, struct bytes prefix,
                 struct retained_meta *m, struct bytes *key)
{
    struct bytes from = at->n ? bytes_of(at->key, at->n) : prefix, value;
    enum err e = store_seek(rs->reader, STORE_RETAINED_META, from, key, &value);
    return stamps_from(rs, e, prefix, at->n ? at : NULL, m, key, value);
}

bool stamps_next(struct retained_sync *rs, struct bytes prefix, struct retained_meta *m, struct bytes *key)
{
    struct bytes value;
    enum err e = store_next(rs->reader, key, &value);
    return stamps_from(rs, e, prefix, NULL, m, key, value);
}

/* ---- the scan ------------------------------------------------------------------------------------- */

static bool wants_scan(const struct sync_peer *p)
{
    return p && p->is_settled && (p->wants_round || p->has_theirs);
}

static void scan_start(struct retained_sync *rs)
{
    bool is_wanted = false;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (!wants_scan(rs->peers[i]))
            continue;
        rs->peers[i]->in_scan = true;
        is_wanted = true;
    }
    if (!is_wanted)
        return;
    rs->is_scanning = true;
    rs->scan.n = 0;
    memset(rs->sums, 0, sizeof rs->sums);
}

static void compare(struct retained_sync *rs, struct sync_peer *p)
{
    uint32_t differed = 0;
    memset(p->differ, 0, sizeof p->differ);
    for (uint32_t b = 0; b < RETAINED_BUCKETS; b++) {
        if (rs->sums[b] == p->theirs[b])
            continue;
        p->differ[b / 64] |= 1ull << b % 64;
        differed++;
    }
    p->has_theirs = false;
    exchange_begin(p, differed);
}

static void digests_send(struct retained_sync *rs, struct sync_peer *p)
{
    struct rpc_retained_digests d = {rs->sums, RETAINED_BUCKETS, false};
    p->wants_round = false;
    p->in_round = true;
    rpc_buf_reset(&rs->scratch);
    rpc_retained_digests_put(&rs->scratch, &d);
    rs->conf.send(rs->conf.ctx, p->number, RPC_RETAINED_DIGESTS, rpc_buf_bytes(&rs->scratch));
}

static void scan_end(struct retained_sync *rs)
{
    rs->is_scanning = false;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct sync_peer *p = rs->peers[i];
        if (!p || !p->in_scan)
            continue;
        p->in_scan = false;
        if (p->has_theirs)
            compare(rs, p);
        if (p->wants_round)
            digests_send(rs, p);
    }
}

static void scan_step(struct retained_sync *rs)
{
    const struct bytes all = bytes_of(NULL, 0);
    struct retained_meta m;
    struct bytes key;
    if (!rs->is_scanning)
        scan_start(rs);
    if (!rs->is_scanning)
        return;
    bool has = stamps_seek(rs, &rs->scan, all, &m, &key);
    for (; has; has = stamps_next(rs, all, &m, &key)) {
        if (stamp_counts(rs, &m))
            rs->sums[m.bucket] += retained_digest(m.key, m.stamp, m.node);
        if (!sync_spend(rs, 0)) {
            place_set(&rs->scan, key);
            return;
        }
    }
    scan_end(rs);
}

/* ---- a step --------------------------------------------------------------------------------------- */

static void settle(struct retained_sync *rs)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct sync_peer *p = rs->peers[i];
        if (p && !p->is_settled)
            p->is_settled = rs->conf.is_settled(rs->conf.ctx, i);
    }
}

/* What one peer has repaired, when all of it is here, the others may lack too: they did not hear of it when
 * its node died while it was telling. */
static void repairs_pass_on(struct retained_sync *rs)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct sync_peer *p = rs->peers[i];
        if (!p || !p->has_repaired || !peer_is_idle(p))
            continue;
        p->has_repaired = false;
        for (uint32_t k = 0; k < PEERS_MAX; k++) {
            if (k != i && rs->peers[k] && !rs->peers[k]->pushes)
                retained_sync_again(rs, k);
        }
    }
}

bool retained_sync_step(struct retained_sync *rs, uint64_t mono_ms, uint64_t wall_ms)
{
    rs->now_ms = mono_ms;
    rs->wall_ms = wall_ms;
    rs->left = rs->conf.step_items;
    rounds_start(rs);
    repairs_pass_on(rs);
    settle(rs); /* before the snapshot is taken */
    if (retained_sync_is_idle(rs) || store_read_begin(rs->reader) != OK)
        return false;
    scan_step(rs);
    for (uint32_t i = 0; i < PEERS_MAX && rs->left; i++) {
        struct sync_peer *p = rs->peers[(rs->first + i) % PEERS_MAX];
        if (p && !peer_is_idle(p))
            exchange_step(rs, p);
        if (!rs->left)
            rs->first = (rs->first + i) % PEERS_MAX + 1;
    }
    store_read_end(rs->reader);
    return !retained_sync_is_idle(rs);
}
