/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/delayed_walk.h"

#include "node/admin/ask.h"
#include "proto/mqtt/msg.h"

#include <sodium.h>

enum { ITEMS_A_PIECE = 500 };

/* False: it is damaged. */
static bool item_read(struct delayed_item *item, struct bytes key, struct bytes record)
{
    uint64_t origin;
    if (key.n != DELAYED_KEY_N || !msg_record_view(record, 0, &item->m, &origin))
        return false;
    sodium_bin2hex(item->id, sizeof item->id, key.p, key.n);
    item->when_ms = be64_get(key.p);
    return true;
}

bool delayed_walk_piece(struct retained_walk *w, bool (*fn)(void *arg, const struct delayed_item *item),
                        void *arg)
{
    static const uint8_t first = 0;
    struct bytes key, record, from = w->key_n ? bytes_of(w->key, w->key_n) : bytes_of(&first, 1);
    struct delayed_item item;
    uint32_t items = 0;
    bool is_wanted = true;
    if (store_read_begin(w->reader) != OK)
        return false;
    enum err e = store_seek(w->reader, STORE_DELAYED, from, &key, &record);
    for (; (e == OK || e == ERR_CORRUPT) && items < ITEMS_A_PIECE && is_wanted;
         e = store_next(w->reader, &key, &record)) {
        if (w->key_n && bytes_cmp(key, bytes_of(w->key, w->key_n)) <= 0)
            continue;
        memcpy(w->key, key.p, key.n);
        w->key_n = key.n;
        items++;
        if (e == OK && item_read(&item, key, record))
            is_wanted = fn(arg, &item);
    }
    store_read_end(w->reader);
    return items == ITEMS_A_PIECE || !is_wanted;
}

static bool id_read(const char *id, uint8_t key[DELAYED_KEY_N])
{
    size_t n = 0;
    return sodium_hex2bin(key, DELAYED_KEY_N, id, strlen(id), NULL, &n, NULL) == 0 && n == DELAYED_KEY_N;
}

static bool find(struct store_reader *r, struct bytes key,
                 void (*fn)(void *arg, const struct delayed_item *item), void *arg)
{
    struct delayed_item item;
    struct bytes record;
    if (store_read_begin(r) != OK)
        return false;
    bool is_found = store_get(r, STORE_DELAYED, key, &record) == OK && item_read(&item, key, record);
    if (is_found)
        fn(arg, &item);
    store_read_end(r);
    return is_found;
}

bool delayed_find(struct store *store, const char *id, void (*fn)(void *arg, const struct delayed_item *item),
                  void *arg)
{
    uint8_t key[DELAYED_KEY_N];
    struct store_reader *r;
    if (!id_read(id, key) || store_reader_new(&r, store) != OK)
        return false;
    bool is_found = find(r, bytes_of(key, sizeof key), fn, arg);
    store_reader_free(r);
    return is_found;
}

struct delete_ask {
    uint8_t key[DELAYED_KEY_N];
    bool is_done;
};

static void delete_call(struct shard *sh, void *arg)
{
    struct delete_ask *a = arg;
    a->is_done = delayed_delete(sh, bytes_of(a->key, sizeof a->key));
}

enum delayed_deleted delayed_remove(struct io *io, const char *id)
{
    struct delete_ask a = {0};
    if (!id_read(id, a.key))
        return DELAYED_NO_ID;
    enum reason stored = shard_ask_stored(io, 0, delete_call, &a);
    if (!a.is_done)
        return DELAYED_NOT_FOUND;
    return stored >= RC_UNSPECIFIED_ERROR ? DELAYED_NOT_STORED : DELAYED_DELETED;
}
