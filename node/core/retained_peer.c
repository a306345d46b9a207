/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Retained messages of a cluster: changes with stamps, of this node and of others. */

static struct retained_change *change_alloc(struct bytes key, uint32_t record_n)
{
    struct retained_change *c = mem_alloc(sizeof *c + key.n + record_n);
    *c = (struct retained_change){.key_n = key.n, .record_n = record_n};
    bytes_put(c->bytes, key);
    return c;
}

struct retained_change *retained_change_new(struct shard *sh, struct bytes key, uint32_t record_n)
{
    struct retained_change *c = change_alloc(key, record_n);
    c->stamp = hlc_now(&sh->node->hlc, sh->wall_ms);
    c->node = sh->node->tag;
    return c;
}

/* record n 0: the message goes. */
static void put(struct shard *sh, const struct retained_meta *m, struct bytes record)
{
    uint8_t key[RETAINED_META_KEY_MAX], value[RETAINED_META_N];
    struct store_batch *b = &sh->persist.ops;
    retained_meta_value(value, m);
    store_batch_if_newer(b, STORE_RETAINED_META, retained_meta_key(key, m->key),
                         bytes_of(value, sizeof value));
    if (record.n)
        store_batch_put(b, STORE_RETAINED, m->key, record);
    else
        store_batch_del(b, STORE_RETAINED, m->key);
}

void retained_change_put(struct shard *sh, struct retained_change *c)
{
    struct bytes record = bytes_of(retained_change_record(c), c->record_n);
    struct retained_meta m = {.key = retained_change_key(c),
                              .stamp = c->stamp,
                              .node = c->node,
                              .fades_ms = retained_fades_ms(c->stamp, record)};
    put(sh, &m, record);
}

/* ---- of other nodes ------------------------------------------------------------------------------- */

bool retained_apply(struct shard *sh, struct bytes key, uint64_t stamp, uint64_t node, struct bytes record)
{
    struct retained_meta m = {
        .key = key, .stamp = stamp, .node = node, .fades_ms = retained_fades_ms(stamp, record)};
    uint64_t expires_ms;
    hlc_see(&sh->node->hlc, stamp);
    if (retained_has_faded(m.fades_ms, sh->wall_ms))
        return false;
    if (record.n && msg_record_expiry(record, &expires_ms) && expires_ms <= sh->wall_ms)
        record.n = 0; /* only that there was one counts */
    put(sh, &m, record);
    retained_given_add(sh);
    return true;
}

uint32_t retained_home(const struct node *n, struct bytes key)
{
    return retained_bucket(key) % n->conf.shards;
}

static uint64_t size_of(const struct retained_change *c)
{
    return sizeof *c + c->key_n + c->record_n;
}

struct mail retained_mail(struct node *n, struct bytes key, uint64_t stamp, uint64_t node,
                          struct bytes record)
{
    struct retained_change *c = change_alloc(key, record.n);
    bytes_put(retained_change_record(c), record);
    c->stamp = stamp;
    c->node = node;
    __atomic_add_fetch(&n->retained_arriving, size_of(c), __ATOMIC_RELAXED);
    __atomic_add_fetch(&n->retained_mailed[retained_home(n, key)], 1, __ATOMIC_RELEASE);
    return (struct mail){.kind = MAIL_RETAINED, .arg = c};
}

void retained_arrive(struct shard *sh, struct retained_change *c)
{
    struct bytes record = bytes_of(retained_change_record(c), c->record_n);
    if (!retained_apply(sh, retained_change_key(c), c->stamp, c->node, record))
        persist_hurry(sh); /* there may be no other reason for a batch, and with it this is done */
    sh->persist.retained_bytes += size_of(c);
    sh->persist.retained_arrived++;
    free(c);
}

uint64_t retained_arriving(const struct node *n)
{
    return __atomic_load_n(&n->retained_arriving, __ATOMIC_RELAXED);
}

uint64_t retained_losses(const struct node *n)
{
    return __atomic_load_n(&n->retained_losses, __ATOMIC_ACQUIRE);
}

void retained_fence_set(const struct node *n, struct retained_fence *f)
{
    retained_given(n, f->given);
    for (uint32_t i = 0; i < n->conf.shards; i++)
        f->mailed[i] = __atomic_load_n(&n->retained_mailed[i], __ATOMIC_ACQUIRE);
}

bool retained_fence_is_passed(const struct node *n, const struct retained_fence *f)
{
    for (uint32_t i = 0; i < n->conf.shards; i++) {
        if (__atomic_load_n(&n->retained_arrived[i], __ATOMIC_ACQUIRE) < f->mailed[i])
            return false;
    }
    return retained_is_stored(n, f->given);
}

/* ---- what is stored ------------------------------------------------------------------------------- */

void retained_given_add(struct shard *sh)
{
    __atomic_add_fetch(&sh->node->retained_given[sh->number], 1, __ATOMIC_RELEASE);
}

void retained_given(const struct node *n, uint64_t given[])
{
    for (uint32_t i = 0; i < n->conf.shards; i++)
        given[i] = __atomic_load_n(&n->retained_given[i], __ATOMIC_ACQUIRE);
}

bool retained_is_stored(const struct node *n, const uint64_t given[])
{
    for (uint32_t i = 0; i < n->conf.shards; i++) {
        if (__atomic_load_n(&n->retained_done[i], __ATOMIC_ACQUIRE) < given[i])
            return false;
    }
    return true;
}
