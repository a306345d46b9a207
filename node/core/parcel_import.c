/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/parcel_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* Which sessions of other nodes were imported and may be handed over again, because their holder does not
 * know yet. Table PARCELS: key: node id, number; value: be64 number of the session here, be64 next, be64
 * same_below, see struct import. */

enum { KEY_N = NODE_ID_N + 8, VALUE_N = 24 };

const struct import *import_find(const struct shard *sh, const struct node_id *from, uint64_t number)
{
    for (uint32_t i = 0; i < sh->parcels.imports_n; i++) {
        const struct import *m = &sh->parcels.imports[i];
        if (m->number == number && node_id_eq(&m->from, from))
            return m;
    }
    return NULL;
}

const struct import *import_of(const struct shard *sh, const struct node_id *from, uint64_t session)
{
    for (uint32_t i = 0; i < sh->parcels.imports_n; i++) {
        const struct import *m = &sh->parcels.imports[i];
        if (m->session == session && node_id_eq(&m->from, from))
            return m;
    }
    return NULL;
}

static struct import *import_get(struct shard *sh, const struct node_id *from, uint64_t number)
{
    struct parcels *p = &sh->parcels;
    const struct import *m = import_find(sh, from, number);
    if (m)
        return &p->imports[m - p->imports];
    if (p->imports_n == p->imports_cap) {
        p->imports_cap = p->imports_cap ? p->imports_cap * 2 : 16;
        p->imports = mem_realloc(p->imports, sizeof *p->imports * p->imports_cap);
    }
    p->imports[p->imports_n] = (struct import){.from = *from, .number = number};
    return &p->imports[p->imports_n++];
}

static struct bytes import_key(uint8_t buf[KEY_N], const struct node_id *from, uint64_t number)
{
    be64_put(bytes_put(buf, node_id_bytes(from)), number);
    return bytes_of(buf, KEY_N);
}

void import_note(struct shard *sh, const struct parcel *p)
{
    uint8_t key[KEY_N], value[VALUE_N];
    struct bytes k = import_key(key, &p->peer, p->number);
    struct import *m = import_get(sh, &p->peer, p->number);
    m->session = p->session->number;
    m->next = p->at > m->next ? p->at : m->next;
    if (parcel_is_same(p))
        m->same_below = m->next;
    be64_put(be64_put(be64_put(value, m->session), m->next), m->same_below);
    store_batch_put(&sh->persist.ops, STORE_PARCELS, k, bytes_of(value, sizeof value));
    store_batch_put(&sh->persist.keep, STORE_PARCELS, k, bytes_of(value, sizeof value));
}

void import_forget(struct shard *sh, const struct node_id *from, uint64_t number)
{
    struct parcels *p = &sh->parcels;
    const struct import *m = import_find(sh, from, number);
    uint8_t key[KEY_N];
    struct bytes k = import_key(key, from, number);
    if (!m)
        return;
    store_batch_del(&sh->persist.ops, STORE_PARCELS, k);
    store_batch_del(&sh->persist.keep, STORE_PARCELS, k);
    p->imports[m - p->imports] = p->imports[--p->imports_n];
}

void parcel_gone(struct shard *sh, void *arg)
{
    struct parcel_order *o = arg;
    import_forget(sh, &o->peer, o->number);
    free(o);
}

/* Any shard may be asked: it may have been another one before the node last started. */
static void import_load(struct node *n, struct bytes key, struct bytes value)
{
    struct node_id from;
    if (key.n != KEY_N || value.n != VALUE_N || !node_id_read(&from, bytes_of(key.p, NODE_ID_N)))
        return;
    for (uint32_t i = 0; i < n->conf.shards; i++) {
        struct import *m = import_get(n->shards[i], &from, be64_get(key.p + NODE_ID_N));
        m->session = be64_get(value.p);
        m->next = be64_get(value.p + 8);
        m->same_below = be64_get(value.p + 16);
    }
}

static enum err imports_load(struct node *n, struct store_reader *r)
{
    static const uint8_t first = 0;
    struct bytes key, value;
    enum err e = store_read_begin(r);
    if (e != OK)
        return e;
    enum err s = store_seek(r, STORE_PARCELS, bytes_of(&first, 1), &key, &value);
    for (; s == OK || s == ERR_CORRUPT; s = store_next(r, &key, &value))
        import_load(n, key, s == OK ? value : bytes_of(NULL, 0));
    store_read_end(r);
    return OK;
}

enum err parcels_load(struct node *n)
{
    struct store_reader *r;
    enum err e = store_reader_new(&r, n->conf.store);
    if (e != OK)
        return e;
    e = imports_load(n, r);
    store_reader_free(r);
    return e;
}
