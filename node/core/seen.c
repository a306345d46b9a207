/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/handoff_peer.h"

#include "node/core/shard_i.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* The uids of QoS 2 messages that came from other nodes, as long as they may come again. */

struct seen {
    uint64_t uid;
    uint32_t hash;
    uint32_t shard; /* that wrote the record */
};

enum { KEY_N = 12 };

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

static struct seen *seen_find(const struct shard *sh, uint64_t uid)
{
    struct ptrslots *slots = ptrtab_slots(&sh->peer_handoffs.seen);
    uint32_t at = 0, h = uid_hash(uid);
    struct seen *s;
    while ((s = ptrslots_probe(slots, h, &at))) {
        if (s->uid == uid)
            return s;
    }
    return NULL;
}

bool seen_has(const struct shard *sh, uint64_t uid)
{
    return seen_find(sh, uid) != NULL;
}

static struct bytes seen_key(uint8_t buf[KEY_N], uint64_t uid, uint32_t shard)
{
    be32_put(be64_put(buf, uid), shard);
    return bytes_of(buf, KEY_N);
}

static void remember(struct shard *sh, uint64_t uid, uint32_t shard)
{
    struct seen *s = mem_alloc(sizeof *s);
    *s = (struct seen){.uid = uid, .hash = uid_hash(uid), .shard = shard};
    ptrtab_add(&sh->peer_handoffs.seen, s);
}

void seen_add(struct shard *sh, uint64_t uid, enum seen_how how)
{
    uint8_t key[KEY_N], value[4];
    struct bytes k = seen_key(key, uid, sh->number);
    be32_put(value, sh->node->conf.shards);
    remember(sh, uid, sh->number);
    if (how == SEEN_NOTED)
        return;
    store_batch_put(&sh->persist.ops, STORE_SEEN, k, bytes_of(value, sizeof value));
    store_batch_put(&sh->persist.keep, STORE_SEEN, k, bytes_of(value, sizeof value));
}

/* Every shard is asked, since it may have been another one before the node last started. */
void seen_settle(struct shard *sh, void *arg)
{
    struct seen_list *l = arg;
    uint8_t key[KEY_N];
    for (uint32_t i = 0; i < l->n; i++) {
        struct seen *s = seen_find(sh, l->uids[i]);
        if (!s)
            continue;
        struct bytes k = seen_key(key, s->uid, s->shard);
        ptrtab_del(&sh->peer_handoffs.seen, s);
        store_batch_del(&sh->persist.ops, STORE_SEEN, k);
        store_batch_del(&sh->persist.keep, STORE_SEEN, k);
        free(s);
    }
    free(l);
}

/* With as many shards as then, it is the same one's. With another number its sessions may be anywhere now: a
 * message that has been stored by one of the old shards then counts as stored by all. */
static void seen_take(struct node *n, struct bytes key, struct bytes value)
{
    uint64_t uid = be64_get(key.p);
    uint32_t shard = be32_get(key.p + 8), shards = value.n == 4 ? be32_get(value.p) : 0;
    for (uint32_t i = 0; i < n->conf.shards; i++) {
        if ((shards != n->conf.shards || i == shard) && !seen_has(n->shards[i], uid))
            remember(n->shards[i], uid, shard);
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
            if (key.n == KEY_N)
                seen_take(n, key, s == OK ? value : bytes_of(NULL, 0));
        }
        store_read_end(r);
    }
    store_reader_free(r);
    return e;
}
