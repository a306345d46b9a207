/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/handoff.h"

#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { KEY_N = 8, ASIDE_KEY_N = 16 };

static struct bytes number_key(uint8_t buf[KEY_N], uint64_t number)
{
    be64_put(buf, number);
    return bytes_of(buf, KEY_N);
}

static void handoffs_add(struct handoffs *h, const struct handoff *item)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->v = mem_realloc(h->v, sizeof *h->v * h->cap);
    }
    h->v[h->n++] = *item;
}

void handoffs_fini(struct handoffs *h)
{
    for (uint32_t i = 0; i < h->n; i++)
        msg_unref(h->v[i].msg);
    free(h->v);
    *h = (struct handoffs){0};
}

/* Room for the record of one; its number is taken. */
static uint8_t *record_begin(struct shard *sh, struct handoff *h, uint32_t size)
{
    uint8_t key[KEY_N];
    h->number = __atomic_fetch_add(&sh->node->handoff_next, 1, __ATOMIC_RELAXED);
    uint8_t *at = store_batch_reserve(&sh->persist.ops, STORE_HANDOFF, number_key(key, h->number), 4 + size);
    return be32_put(at, h->to);
}

void handoff_give(struct shard *sh, struct publication *p, uint64_t shards, uint64_t peers)
{
    struct msg *m = publication_msg(sh, p);
    if (!m)
        return;
    for (; shards; shards &= shards - 1) {
        struct handoff h = {.msg = msg_ref(m), .to = (uint32_t)__builtin_ctzll(shards)};
        msg_record_put(be64_put(record_begin(sh, &h, (uint32_t)(8 + msg_record_size(m))), m->uid), m);
        handoffs_add(&sh->handoffs, &h);
        p->receivers++;
    }
    for (; peers; peers &= peers - 1) {
        struct handoff h = {.msg = msg_ref(m), .to = HANDOFF_TO_PEER};
        h.peer = sh->node->peers.ids[__builtin_ctzll(peers)];
        peer_handoff_put(record_begin(sh, &h, peer_handoff_size(m)), &h.peer, m->uid, m);
        handoffs_add(&sh->handoffs, &h);
        p->receivers++;
    }
    persist_hurry(sh);
}

static struct bytes aside_key(uint8_t buf[ASIDE_KEY_N], uint64_t number, const struct session *s)
{
    be64_put(be64_put(buf, number), s->number);
    return bytes_of(buf, ASIDE_KEY_N);
}

uint64_t handoff_aside(struct shard *sh, const struct session *s, const struct msg *m)
{
    uint64_t number = sh->handoff_taking;
    uint32_t n = (uint32_t)(4 + 8 + msg_record_size(m));
    uint8_t key[ASIDE_KEY_N];
    struct bytes k = aside_key(key, number, s);
    if (!number)
        return 0;
    uint8_t *value = store_batch_reserve(&sh->persist.ops, STORE_HANDOFF, k, n);
    msg_record_put(be64_put(be32_put(value, HANDOFF_TO_SESSION), m->uid), m);
    store_batch_put(&sh->persist.keep, STORE_HANDOFF, k, bytes_of(value, n));
    return number;
}

void handoff_aside_done(struct shard *sh, const struct session *s, uint64_t number)
{
    uint8_t key[ASIDE_KEY_N];
    store_batch_del(&sh->persist.ops, STORE_HANDOFF, aside_key(key, number, s));
    store_batch_del(&sh->persist.keep, STORE_HANDOFF, aside_key(key, number, s));
}

void handoffs_seal(struct shard *sh)
{
    CHECK(sh->handoffs_sealed.n == 0);
    struct handoffs t = sh->handoffs_sealed;
    sh->handoffs_sealed = sh->handoffs;
    sh->handoffs = t;
    peer_handoffs_seal(sh);
}

void handoffs_on_stored(struct shard *sh, bool stored)
{
    struct handoffs *h = &sh->handoffs_sealed;
    for (uint32_t i = 0; i < h->n; i++) {
        struct mail m = {.kind = MAIL_HANDOFF, .msg = h->v[i].msg, .u.code = h->v[i].number};
        if (stored && h->v[i].to == HANDOFF_TO_PEER)
            peer_handoff_start(sh, &h->v[i].peer, h->v[i].number, m.msg->uid, m.msg);
        else if (stored)
            mail_push(sh, h->v[i].to, &m);
        else
            msg_unref(m.msg);
    }
    h->n = 0;
    peer_handoffs_on_stored(sh, stored);
}

void handoff_forget(struct shard *sh, uint64_t number)
{
    uint8_t key[KEY_N];
    store_batch_del(&sh->persist.ops, STORE_HANDOFF, number_key(key, number));
    store_batch_del(&sh->persist.keep, STORE_HANDOFF, number_key(key, number));
}

void handoff_take(struct shard *sh, struct publication *p, uint64_t number)
{
    enum topic_verdict verdict;
    p->hold = p->handoff = 1;
    sh->handoff_taking = number;
    const struct match *match = subs_match(&sh->subs, p->m.topic, &verdict);
    if (match)
        deliver_local(sh, p, match);
    sh->handoff_taking = 0;
    handoff_forget(sh, number);
    persist_hurry(sh);
}

/* ---- at start ------------------------------------------------------------------------------------- */

static bool is_subscribed(const struct session *s, struct bytes topic, unsigned *qos)
{
    bool found = false;
    for (uint32_t i = 0; i < s->subs_n; i++) {
        const struct subscription *sub = s->subs[i];
        if (route_is_shared(sub->route) || !topic_match(route_filter(sub->route), topic))
            continue;
        *qos = !found || sub->qos > *qos ? sub->qos : *qos;
        found = true;
    }
    return found;
}

/* To the sessions that lived on shard `to` when it was written, or to the one that held it aside. */
static void handoff_replay(struct node *n, uint32_t to, uint64_t session, struct msg *m)
{
    for (uint32_t i = 0; i < n->conf.shards; i++) {
        struct shard *sh = n->shards[i];
        uint32_t at = 0;
        struct session *s;
        while ((s = ptrtab_next(&sh->sessions, &at))) {
            unsigned qos = 0;
            bool is_for =
                to == HANDOFF_TO_SESSION ? s->number == session : node_home_before(n, session_id(s)) == to;
            if (!is_for || !is_subscribed(s, msg_topic(m), &qos))
                continue;
            struct publication p = {.m = msg_view(m, sh->wall_ms),
                                    .msg = msg_ref(m),
                                    .origin = m->origin,
                                    .uid = m->uid,
                                    .hold = 1,
                                    .handoff = 1};
            deliver_to(sh, &p, s, qos);
            publication_fini(sh, &p);
        }
    }
}

/* One record; false: it is damaged. */
static bool replay_one(struct node *n, struct bytes key, struct bytes value)
{
    struct cursor c = cursor_of(value);
    uint32_t to;
    uint64_t uid;
    if (key.n < KEY_N || !cursor_u32(&c, &to) ||
        key.n != (to == HANDOFF_TO_SESSION ? (uint32_t)ASIDE_KEY_N : (uint32_t)KEY_N))
        return false;
    uint64_t number = be64_get(key.p);
    if (to == HANDOFF_TO_PEER)
        return peer_handoff_load(n->shards[number % n->conf.shards], number, &c);
    struct msg *m = cursor_u64(&c, &uid) ? msg_record_take(&c) : NULL;
    if (!m)
        return false;
    m->uid = uid;
    handoff_replay(n, to, to == HANDOFF_TO_SESSION ? be64_get(key.p + KEY_N) : 0, m);
    store_batch_del(&n->shards[0]->persist.ops, STORE_HANDOFF, key);
    store_batch_del(&n->shards[0]->persist.keep, STORE_HANDOFF, key);
    msg_unref(m);
    return true;
}

static uint64_t replay_all(struct node *n, struct store_reader *r)
{
    static const uint8_t first = 0;
    struct bytes key, value;
    uint64_t count = 0;
    enum err e = store_seek(r, STORE_HANDOFF, bytes_of(&first, 1), &key, &value);
    for (; e == OK || e == ERR_CORRUPT; e = store_next(r, &key, &value), count++) {
        uint64_t number = key.n >= KEY_N ? be64_get(key.p) : 0;
        n->handoff_next = number >= n->handoff_next ? number + 1 : n->handoff_next;
        if (e != OK || !replay_one(n, key, value))
            LOG(n->conf.log, LOG_ERROR, "store damaged handoff skipped number=%llu",
                (unsigned long long)number);
    }
    return count;
}

/* All shards' changes in one transaction. */
static enum err commit_all(struct node *n)
{
    struct store_batch batches[NODE_SHARDS_MAX];
    const struct store_batch *sealed[NODE_SHARDS_MAX];
    bool is_sealed[NODE_SHARDS_MAX];
    unsigned count = 0;
    for (uint32_t i = 0; i < n->conf.shards; i++) {
        store_batch_init(&batches[i]);
        is_sealed[i] = shard_seal(n->shards[i], &batches[i]);
        if (is_sealed[i])
            sealed[count++] = &batches[i];
    }
    enum err e = count ? store_commit(n->conf.store, sealed, count) : OK;
    for (uint32_t i = 0; i < n->conf.shards; i++) {
        if (is_sealed[i])
            shard_on_stored(n->shards[i], e);
        store_batch_fini(&batches[i]);
    }
    return e;
}

enum err handoff_load(struct node *n)
{
    struct store_reader *r;
    n->handoff_next = 1;
    enum err e = store_reader_new(&r, n->conf.store);
    if (e != OK)
        return e;
    e = store_read_begin(r);
    if (e == OK) {
        uint64_t count = replay_all(n, r);
        store_read_end(r);
        if (count)
            e = commit_all(n);
    }
    store_reader_free(r);
    if (e == OK)
        e = seen_load(n);
    return e == OK ? parcels_load(n) : e;
}
