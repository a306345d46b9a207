/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/accounts.h"
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/admin/transfer.h"
#include "node/core/bans.h"
#include "node/core/delayed.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/mqtt/msg.h"

/* A batch holds a shard for well under a millisecond. */
enum { BATCH_ENTRIES_MAX = 200, BATCH_BYTES_MAX = 256 * 1024 };

static enum account_kind kind_of(enum dump_type type)
{
    return type == DUMP_USER ? ACCOUNT_USER : ACCOUNT_KEY;
}

/* name | 0 | JSON */
static bool account_split(struct bytes entry, struct bytes *name, struct bytes *record)
{
    const uint8_t *end = entry.n ? memchr(entry.p, 0, entry.n) : NULL;
    if (!end)
        return false;
    *name = bytes_of(entry.p, (uint32_t)(end - entry.p));
    *record = bytes_of(end + 1, entry.n - name->n - 1);
    return true;
}

static struct bytes behind_key(struct bytes entry)
{
    return bytes_of(entry.p + DELAYED_KEY_N, entry.n - DELAYED_KEY_N);
}

/* ---- checking ------------------------------------------------------------------------------------- */

static bool message_check(struct bytes record)
{
    struct cursor at = cursor_of(record);
    struct msg *m = msg_record_take(&at);
    bool is_sound = m && cursor_left(&at) == 0;
    msg_unref(m);
    return is_sound;
}

static bool bans_check(struct bytes body, uint64_t *count)
{
    struct rpc_arena *arena = rpc_arena_new();
    struct rpc_bans m;
    bool is_sound = rpc_bans_read(&m, body, arena);
    if (is_sound)
        *count += m.n;
    rpc_arena_free(arena);
    return is_sound;
}

bool transfer_check(enum dump_type type, struct bytes entry, struct transfer_counts *counts)
{
    struct bytes name, record;
    uint64_t *count = &counts->of[type];
    if (type == DUMP_BANS)
        return bans_check(entry, count);
    ++*count;
    switch (type) {
    case DUMP_RETAINED:
        return message_check(entry);
    case DUMP_DELAYED:
        return entry.n > DELAYED_KEY_N && message_check(behind_key(entry));
    case DUMP_USER:
    case DUMP_KEY:
        return account_split(entry, &name, &record) && account_is_sound(kind_of(type), name, record);
    case DUMP_BANS:
    case DUMP_END:
    case DUMP_TYPES:
        break;
    }
    return false;
}

/* ---- on shard 0 ----------------------------------------------------------------------------------- */

static void retained_restore(struct shard *sh, struct bytes record, struct transfer_counts *counts)
{
    struct cursor at = cursor_of(record);
    struct msg *m = msg_record_take(&at);
    if (!m || msg_is_expired(m, sh->wall_ms)) {
        counts->over += m != NULL;
        counts->refused += m == NULL;
        msg_unref(m);
        return;
    }
    struct publication p = {.m = msg_view(m, sh->wall_ms)};
    p.m.retain = true;
    if (retained_publish(sh, &p))
        counts->of[DUMP_RETAINED]++;
    else
        counts->refused++;
    publication_fini(sh, &p);
    msg_unref(m);
}

static void bans_restore(struct shard *sh, struct bytes body, struct transfer_counts *counts)
{
    struct rpc_arena *arena = rpc_arena_new();
    struct rpc_bans m = {0};
    char why[160];
    if (!rpc_bans_read(&m, body, arena))
        m.n = 0;
    for (uint32_t i = 0; i < m.n; i++) {
        if (!ban_is_on(&m.items[i], sh->wall_ms))
            counts->over++;
        else if (ban_add(sh, &m.items[i], why, sizeof why))
            counts->of[DUMP_BANS]++;
        else
            counts->refused++;
    }
    rpc_arena_free(arena);
}

static void account_put_back(struct shard *sh, enum dump_type type, struct bytes entry,
                             struct transfer_counts *counts)
{
    struct bytes name, record;
    if (!account_split(entry, &name, &record))
        return;
    account_restore(&sh->persist.ops, kind_of(type), name, record, node_stamp(sh->node, sh->wall_ms),
                    node_tag(sh->node));
    counts->of[type]++;
}

static void entry_restore(struct shard *sh, enum dump_type type, struct bytes entry,
                          struct transfer_counts *counts)
{
    switch (type) {
    case DUMP_RETAINED:
        retained_restore(sh, entry, counts);
        break;
    case DUMP_DELAYED:
        if (delayed_restore(sh, bytes_of(entry.p, DELAYED_KEY_N), behind_key(entry)))
            counts->of[DUMP_DELAYED]++;
        else
            counts->refused++;
        break;
    case DUMP_BANS:
        bans_restore(sh, entry, counts);
        break;
    case DUMP_USER:
    case DUMP_KEY:
        account_put_back(sh, type, entry, counts);
        break;
    case DUMP_END:
    case DUMP_TYPES:
        break;
    }
}

static void batch_run(struct shard *sh, void *arg)
{
    struct transfer_batch *b = arg;
    for (size_t at = 0; at < b->kept.n;) {
        uint32_t head[2]; /* type, size */
        memcpy(head, b->kept.p + at, sizeof head);
        at += sizeof head;
        entry_restore(sh, (enum dump_type)head[0], bytes_of(b->kept.p + at, head[1]), &b->counts);
        at += head[1];
    }
}

/* ---- the batch ------------------------------------------------------------------------------------ */

bool transfer_add(struct transfer_batch *b, enum dump_type type, struct bytes entry)
{
    const uint32_t head[2] = {(uint32_t)type, entry.n};
    text_append(&b->kept, bytes_of(head, sizeof head));
    text_append(&b->kept, entry);
    return ++b->n < BATCH_ENTRIES_MAX && b->kept.n < BATCH_BYTES_MAX;
}

enum reason transfer_apply(struct transfer_batch *b, struct io *io)
{
    enum reason code = b->n ? shard_ask_stored(io, 0, batch_run, b) : RC_SUCCESS;
    b->n = 0;
    b->kept.n = 0;
    return code;
}
