/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"

/* What has to be done about retained messages that nobody asks for: expired ones and old stamps go, and at
 * the start stamps are put in order. */

enum { SWEEP_STEP = 256, ADOPT_STEP = 4096 };
/* Faded stamps are kept so much longer than they count, since the clocks of nodes are not quite the same. */
enum { FADED_KEEP_MS = 3600 * 1000 };

static const uint8_t first_key = 0;

/* ---- sweeping ------------------------------------------------------------------------------------- */

/* Steps through a table; the place is kept in *n and key. */
static void sweep(struct shard *sh, enum store_table t, uint8_t *at, uint32_t *at_n,
                  void (*fn)(struct shard *sh, struct bytes key, struct bytes value))
{
    struct bytes key, value;
    struct bytes start = *at_n ? bytes_of(at, *at_n) : bytes_of(&first_key, 1);
    unsigned n = 0;
    enum err e = store_seek(sh->reader, t, start, &key, &value);
    for (; (e == OK || e == ERR_CORRUPT) && n < SWEEP_STEP; n++, e = store_next(sh->reader, &key, &value)) {
        if (e == OK)
            fn(sh, key, value);
        *at_n = key.n;
        memcpy(at, key.p, key.n);
    }
    if (n < SWEEP_STEP)
        *at_n = 0;
}

/* A newer message may have come since; it is not touched. */
static void message_sweep(struct shard *sh, struct bytes key, struct bytes record)
{
    uint64_t expires_ms;
    if (!msg_record_expiry(record, &expires_ms) || expires_ms > sh->wall_ms)
        return;
    struct store_batch *b = &sh->persist.ops;
    store_batch_if_starts(b, STORE_RETAINED, key, bytes_of(record.p, MSG_RECORD_TIMES_N));
    store_batch_del(b, STORE_RETAINED, key);
}

static void meta_sweep(struct shard *sh, struct bytes key, struct bytes value)
{
    struct retained_meta m;
    if (!retained_meta_read(&m, key, value) || m.fades_ms == RETAINED_FADES_NEVER ||
        !retained_has_faded(m.fades_ms + FADED_KEEP_MS, sh->wall_ms))
        return;
    store_batch_if_starts(&sh->persist.ops, STORE_RETAINED_META, key, value);
    store_batch_del(&sh->persist.ops, STORE_RETAINED_META, key);
}

void retained_sweep(struct shard *sh)
{
    if (!sh->reader || store_read_begin(sh->reader) != OK)
        return;
    sweep(sh, STORE_RETAINED, sh->sweep_key, &sh->sweep_n, message_sweep);
    if (sh->node->conf.is_clustered)
        sweep(sh, STORE_RETAINED_META, sh->meta_sweep_key, &sh->meta_sweep_n, meta_sweep);
    store_read_end(sh->reader);
}

/* ---- at the start --------------------------------------------------------------------------------- */

/* In STORE_META: every message has its stamp. */
static struct bytes marker(void)
{
    return bytes_str("retained_stamped");
}

static enum err commit(struct node *n, struct store_batch *b)
{
    const struct store_batch *list = b;
    enum err e = store_batch_is_empty(b) ? OK : store_commit(n->conf.store, &list, 1);
    store_batch_reset(b);
    return e;
}

/* Changes of a single node have no stamps, so the ones there are would soon be wrong. */
static enum err stamps_drop(struct node *n)
{
    struct store_batch b;
    if (store_count(n->conf.store, STORE_RETAINED_META) == 0)
        return OK;
    store_batch_init(&b);
    store_batch_del_prefix(&b, STORE_RETAINED_META, bytes_of(NULL, 0));
    store_batch_del(&b, STORE_META, marker());
    enum err e = commit(n, &b);
    store_batch_fini(&b);
    return e;
}

static void adopt_one(struct node *n, struct store_reader *r, struct store_batch *b, struct bytes key,
                      struct bytes record)
{
    uint8_t meta_key[RETAINED_META_KEY_MAX], value[RETAINED_META_N];
    struct bytes old;
    uint64_t created_ms, wall_ms = n->conf.boot_wall_ms;
    if (key.n > RETAINED_KEY_MAX || !msg_record_created(record, &created_ms))
        return;
    struct bytes k = retained_meta_key(meta_key, key);
    if (store_get(r, STORE_RETAINED_META, k, &old) != ERR_NOTFOUND)
        return;
    struct retained_meta m = {.key = key, .node = n->tag};
    m.stamp = (created_ms < wall_ms ? created_ms : wall_ms) << HLC_SHIFT;
    m.fades_ms = retained_fades_ms(m.stamp, record);
    if (retained_has_faded(m.fades_ms, wall_ms))
        return;
    retained_meta_value(value, &m);
    store_batch_put(b, STORE_RETAINED_META, k, bytes_of(value, sizeof value));
}

static enum err adopt_all(struct node *n, struct store_reader *r)
{
    struct store_batch b;
    struct bytes key, record;
    enum err e = OK, found = store_seek(r, STORE_RETAINED, bytes_of(&first_key, 1), &key, &record);
    store_batch_init(&b);
    for (; (found == OK || found == ERR_CORRUPT) && e == OK; found = store_next(r, &key, &record)) {
        if (found == OK)
            adopt_one(n, r, &b, key, record);
        if (b.ops >= ADOPT_STEP)
            e = commit(n, &b);
    }
    store_batch_put(&b, STORE_META, marker(), bytes_of(NULL, 0));
    if (e == OK)
        e = commit(n, &b);
    store_batch_fini(&b);
    return e;
}

static void clock_set(struct node *n, struct store_reader *r)
{
    struct bytes key, value;
    struct retained_meta m;
    enum err e = store_seek(r, STORE_RETAINED_META, bytes_of(&first_key, 1), &key, &value);
    for (; e == OK || e == ERR_CORRUPT; e = store_next(r, &key, &value)) {
        if (e == OK && retained_meta_read(&m, key, value))
            hlc_see(&n->hlc, m.stamp);
    }
}

enum err retained_load(struct node *n)
{
    struct store_reader *r = n->shards[0]->reader;
    struct bytes value;
    if (!n->conf.is_clustered)
        return stamps_drop(n);
    enum err e = store_read_begin(r);
    if (e != OK)
        return e;
    if (store_get(r, STORE_META, marker(), &value) == ERR_NOTFOUND)
        e = adopt_all(n, r);
    clock_set(n, r);
    hlc_see(&n->hlc, n->conf.boot_wall_ms << HLC_SHIFT); /* none of those just adopted is newer */
    store_read_end(r);
    return e;
}
