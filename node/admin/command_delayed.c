/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/core/delayed.h"
#include "proto/mqtt/msg.h"

#include <sodium.h>

/* Messages of this node that are to be published later. */

enum { ITEMS_A_PIECE = 500, ID_TEXT_N = 2 * DELAYED_KEY_N + 1 };

static void item_put(struct text *out, struct bytes key, struct bytes record)
{
    char id[ID_TEXT_N], when[TEXT_TIME_N];
    struct message_in m;
    uint64_t origin;
    if (key.n != DELAYED_KEY_N || !msg_record_view(record, 0, &m, &origin))
        return;
    text_printf(out, "Delayed(%s, topic=", sodium_bin2hex(id, sizeof id, key.p, key.n));
    text_escaped(out, m.topic, ",()");
    text_printf(out, ", qos=%u, retain=%s, bytes=%u, publish_at=%s)\n", m.qos, m.retain ? "true" : "false",
                m.payload.n, text_time(when, be64_get(key.p)));
}

static bool list_produce(struct call *c)
{
    struct retained_walk *w = &c->listing.retained; /* its reader and place */
    static const uint8_t first = 0;
    struct bytes key, record, from = w->key_n ? bytes_of(w->key, w->key_n) : bytes_of(&first, 1);
    uint32_t items = 0;
    if (store_read_begin(w->reader) != OK)
        return false;
    enum err e = store_seek(w->reader, STORE_DELAYED, from, &key, &record);
    for (; (e == OK || e == ERR_CORRUPT) && items < ITEMS_A_PIECE; e = store_next(w->reader, &key, &record)) {
        if (w->key_n && bytes_cmp(key, bytes_of(w->key, w->key_n)) <= 0)
            continue;
        memcpy(w->key, key.p, key.n);
        w->key_n = key.n;
        items++;
        if (e == OK)
            item_put(&c->out, key, record);
    }
    store_read_end(w->reader);
    return items == ITEMS_A_PIECE;
}

static void list(struct call *c)
{
    if (retained_walk_begin(&c->listing.retained, c->env->conf.store) == OK)
        c->produce = list_produce;
    else
        call_fail(c, "The store cannot be read.");
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

static void delete (struct call *c)
{
    struct delete_ask a = {0};
    size_t n = 0;
    const char *text = c->args[0];
    if (sodium_hex2bin(a.key, sizeof a.key, text, strlen(text), NULL, &n, NULL) != 0 || n != sizeof a.key) {
        call_fail(c, "Not the id of a delayed message.");
        return;
    }
    enum reason stored = shard_ask_stored(c->env->conf.io, 0, delete_call, &a);
    if (!a.is_done)
        call_fail(c, "Not Found.");
    else if (stored >= RC_UNSPECIFIED_ERROR)
        call_fail(c, "The store cannot be written.");
    else
        text_add(&c->out, "ok\n");
}

const struct command commands_delayed[] = {
    {"delayed", "list", "", "List the messages of this node that are to be published later", 0, 0,
     COMMAND_LOOKS, list},
    {"delayed", "delete", "<id>", "Delete one of them", 1, 1, COMMAND_CHANGES, delete},
    {0},
};
