/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/handoff_peer.h"

#include "node/core/shard_i.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"
#include "proto/rpc/messages.h"

#include <stdlib.h>

/* The uids of QoS 2 messages that came from other nodes, as long as they may come again. */

struct seen {
    uint64_t uid;
    uint32_t hash;
    uint32_t shard;  /* that wrote the record */
    uint32_t shards; /* there were then */
    bool is_loaded;  /* from the store, so nobody holds it aside any more */
    uint32_t without_n;
    uint8_t without[]; /* client ids, each behind its be16 length */
};

enum { KEY_N = 16 };

void seen_init(struct ptrtab *t)
{
    ptrtab_init(t, offsetof(struct seen, hash), free);
}

void seen_fini(struct ptrtab *t)
{
    uint32_t at = 0;
    struct seen *s;
    while ((s = ptrtab_next(t, &at)))
        free(s);
    ptrtab_fini(t);
}

static uint32_t uid_hash(uint64_t uid)
{
    return (uint32_t)hash_u64(uid, 3);
}

/* The next record of the uid; *at begins as 0. */
static struct seen *seen_next(const struct shard *sh, uint64_t uid, uint32_t *at)
{
    struct ptrslots *slots = ptrtab_slots(&sh->peer_handoffs.seen);
    struct seen *s;
    while ((s = ptrslots_probe(slots, uid_hash(uid), at))) {
        if (s->uid == uid)
            return s;
    }
    return NULL;
}

enum seen_by seen_by(const struct shard *sh, uint64_t uid)
{
    enum seen_by by = SEEN_BY_NONE;
    uint32_t at = 0;
    for (const struct seen *s; (s = seen_next(sh, uid, &at)); by = SEEN_BY_SOME) {
        if (s->shards != sh->node->conf.shards)
            continue;
        if (!s->without_n)
            return SEEN_BY_ALL;
        if (!s->is_loaded)
            return SEEN_HELD;
    }
    return by;
}

/* Where the id stands in s->without; NULL: it has the message. */
static uint8_t *without_find(struct seen *s, struct bytes client_id)
{
    struct cursor c = cursor_of(bytes_of(s->without, s->without_n));
    struct bytes id;
    while (cursor_lenbytes(&c, &id)) {
        if (bytes_eq(id, client_id))
            return s->without + (id.p - 2 - s->without);
    }
    return NULL;
}

bool seen_by_session(const struct shard *sh, uint64_t uid, struct bytes client_id)
{
    uint32_t at = 0;
    for (struct seen *s; (s = seen_next(sh, uid, &at));) {
        if (node_home_among(sh->node, client_id, s->shards) == s->shard && !without_find(s, client_id))
            return true;
    }
    return false;
}

static struct bytes seen_key(uint8_t buf[KEY_N], uint64_t uid, uint32_t shard, uint32_t shards)
{
    be32_put(be32_put(be64_put(buf, uid), shard), shards);
    return bytes_of(buf, KEY_N);
}

void seen_without(struct rpc_buf *without, struct bytes client_id)
{
    uint32_t n = without->n + 2 + client_id.n;
    if (n > without->cap) {
        without->cap = n * 2;
        without->b = mem_realloc(without->b, without->cap);
    }
    bytes_put(be16_put(without->b + without->n, (uint16_t)client_id.n), client_id);
    without->n = n;
}

static struct seen *remember(struct shard *sh, uint64_t uid, uint32_t shard, uint32_t shards,
                             struct bytes without)
{
    struct seen *s = mem_alloc(sizeof *s + without.n);
    *s = (struct seen){
        .uid = uid, .hash = uid_hash(uid), .shard = shard, .shards = shards, .without_n = without.n};
    bytes_put(s->without, without);
    ptrtab_add(&sh->peer_handoffs.seen, s);
    return s;
}

static void seen_store(struct shard *sh, const struct seen *s)
{
    uint8_t key[KEY_N];
    struct bytes k = seen_key(key, s->uid, s->shard, s->shards), v = bytes_of(s->without, s->without_n);
    store_batch_put(&sh->persist.ops, STORE_SEEN, k, v);
    store_batch_put(&sh->persist.keep, STORE_SEEN, k, v);
}

/* This shard's own record of the uid. */
static struct seen *seen_own(const struct shard *sh, uint64_t uid)
{
    uint32_t at = 0;
    struct seen *s;
    do
        s = seen_next(sh, uid, &at);
    while (s && (s->shard != sh->number || s->shards != sh->node->conf.shards));
    return s;
}

void seen_add(struct shard *sh, uint64_t uid, enum seen_how how, struct bytes without)
{
    struct seen *s = seen_own(sh, uid);
    if (s) {
        ptrtab_del(&sh->peer_handoffs.seen, s);
        free(s);
    }
    s = remember(sh, uid, sh->number, sh->node->conf.shards, without);
    if (how == SEEN_STORED)
        seen_store(sh, s);
}

void seen_got(struct shard *sh, uint64_t uid, struct bytes client_id)
{
    struct seen *s = uid ? seen_own(sh, uid) : NULL;
    uint8_t *at = s ? without_find(s, client_id) : NULL;
    if (!at)
        return;
    uint32_t n = 2 + client_id.n;
    s->without_n -= n;
    memmove(at, at + n, (size_t)(s->without + s->without_n - at));
    seen_store(sh, s);
}

/* Every shard is asked, since it may have been another one before the node last started. */
void seen_settle(struct shard *sh, void *arg)
{
    struct seen_list *l = arg;
    uint8_t key[KEY_N];
    for (uint32_t i = 0; i < l->n; i++) {
        struct seen *s;
        for (uint32_t at = 0; (s = seen_next(sh, l->uids[i], &at)); at = 0) {
            struct bytes k = seen_key(key, s->uid, s->shard, s->shards);
            ptrtab_del(&sh->peer_handoffs.seen, s);
            store_batch_del(&sh->persist.ops, STORE_SEEN, k);
            store_batch_del(&sh->persist.keep, STORE_SEEN, k);
            free(s);
        }
    }
    free(l);
}

/* With as many shards as then, it is the same one's. With another number its sessions may be anywhere now,
 * and every shard has to know. */
static void seen_take(struct node *n, struct bytes key, struct bytes without)
{
    uint64_t uid = be64_get(key.p);
    uint32_t shard = be32_get(key.p + 8), shards = be32_get(key.p + 12), now = n->conf.shards;
    for (uint32_t i = 0; i < now; i++) {
        if (shards != now || i == shard)
            remember(n->shards[i], uid, shard, shards, without)->is_loaded = true;
    }
}

enum err seen_load(struct node *n)
{
    static const uint8_t first = 0;
    struct store_reader *r;
    struct bytes key, value;
    enum err e = store_reader_new(&r, n->conf.store);
    if (e != OK)
        return e;
    e = store_read_begin(r);
    if (e == OK) {
        enum err s = store_seek(r, STORE_SEEN, bytes_of(&first, 1), &key, &value);
        for (; s == OK || s == ERR_CORRUPT; s = store_next(r, &key, &value)) {
            if (key.n == KEY_N && be32_get(key.p + 12))
                seen_take(n, key, s == OK ? value : bytes_of(NULL, 0));
        }
        store_read_end(r);
    }
    store_reader_free(r);
    return e;
}
