/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/retained.h"

#include "node/core/publish_out.h"
#include "node/core/note.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* ---- changes -------------------------------------------------------------------------------------- */

/* The change is on its way: the publisher's acknowledgement waits for it. */
static void change_given(struct shard *sh, struct publication *p)
{
    retained_given_add(sh);
    struct pending *w = p ? publication_wait(p) : NULL;
    if (w) {
        persist_wait(sh, w);
        pending_release(sh, w, RC_SUCCESS);
    }
    persist_hurry(sh);
}

static void put(struct shard *sh, struct bytes key, const struct msg *msg)
{
    uint32_t n = msg ? (uint32_t)msg_record_size(msg) : 0;
    struct store_batch *b = &sh->persist.ops;
    if (sh->node->conf.is_clustered) {
        struct retained_change *c = retained_change_new(sh, key, n);
        if (msg)
            msg_record_put(retained_change_record(c), msg);
        retained_change_put(sh, c);
        mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_RETAINED, .arg = c});
    } else if (msg) {
        msg_record_put(store_batch_reserve(b, STORE_RETAINED, key, n), msg);
    } else {
        store_batch_del(b, STORE_RETAINED, key);
    }
}

static bool refuse(struct shard *sh, struct publication *p)
{
    COUNT(sh, RETAINED_REFUSED);
    note_message(sh, p, JOURNAL_RETAINED_REFUSED, NULL);
    if (!p->failed)
        p->failed = RC_QUOTA_EXCEEDED;
    return false;
}

/* As many as are allowed are kept, and none of them is of this topic. */
static bool is_one_too_many(struct shard *sh, struct bytes key)
{
    uint64_t max = sh->settings->retained_count_max;
    struct bytes record;
    if (!max || store_count(sh->node->conf.store, STORE_RETAINED) < max)
        return false;
    if (!sh->reader || store_read_begin(sh->reader) != OK)
        return true;
    bool is_there = store_get(sh->reader, STORE_RETAINED, key, &record) == OK;
    store_read_end(sh->reader);
    return !is_there;
}

bool retained_publish(struct shard *sh, struct publication *p)
{
    const struct settings *set = sh->settings;
    uint8_t buf[RETAINED_KEY_MAX];
    struct bytes key = retained_key(buf, p->m.topic);
    if (p->m.payload.n == 0) { /* [MQTT-3.3.1-6, MQTT-3.3.1-7] */
        put(sh, key, NULL);
        change_given(sh, p);
        if (unlikely(sh->tracer.on & TRACER_WATCHED))
            journal_retained(sh, p);
        return true;
    }
    if (set->retained_payload_max && p->m.payload.n > set->retained_payload_max)
        return refuse(sh, p);
    if (is_one_too_many(sh, key))
        return refuse(sh, p);
    struct message_in m = p->m;
    if (!m.has_expiry && set->retained_expiry_s) {
        m.has_expiry = true;
        m.expiry_s = set->retained_expiry_s;
    }
    struct msg *msg = msg_new(&m, sh->wall_ms, p->origin);
    if (!msg)
        return refuse(sh, p);
    put(sh, key, msg);
    msg_unref(msg);
    COUNT(sh, MESSAGES_RETAINED);
    if (unlikely(sh->tracer.on & TRACER_WATCHED))
        journal_retained(sh, p);
    change_given(sh, p);
    return true;
}

void retained_delete(struct shard *sh, struct bytes topic)
{
    uint8_t buf[RETAINED_KEY_MAX];
    put(sh, retained_key(buf, topic), NULL);
    change_given(sh, NULL);
}

/* ---- looking through ------------------------------------------------------------------------------ */

struct scan {
    struct bytes filter;
    struct bytes prefix; /* what every matching key starts with */
    bool (*fn)(void *ctx, struct bytes key, struct bytes record);
    void *ctx;
};

/* The part of a filter before its first wildcard level, with the slash. */
static struct bytes literal_prefix(struct bytes filter)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < filter.n; i++) {
        if (filter.p[i] == '+' || filter.p[i] == '#')
            return bytes_of(filter.p, n);
        if (filter.p[i] == '/')
            n = i + 1;
    }
    return filter;
}

static bool scan_one(const struct scan *s, struct bytes key, struct bytes record)
{
    struct bytes topic = key;
    if (key.n > RETAINED_PREFIX_MAX && !msg_record_topic(record, &topic))
        return true;
    return !topic_match(s->filter, topic) || s->fn(s->ctx, key, record);
}

/* Once: whoever subscribes would write it again. */
static enum err damage_told(struct shard *sh, enum err e)
{
    if (e == OK || e == ERR_NOTFOUND || sh->retained_is_damaged)
        return e;
    sh->retained_is_damaged = true;
    LOG(sh->node->conf.log, LOG_ERROR, "store damaged retained messages skipped error=\"%s\"", err_name(e));
    return e;
}

static void scan_from(struct shard *sh, const struct scan *s, struct bytes from, struct bytes after)
{
    struct bytes key, record;
    enum err e = store_seek(sh->reader, STORE_RETAINED, from, &key, &record);
    for (; damage_told(sh, e) == OK || e == ERR_CORRUPT; e = store_next(sh->reader, &key, &record)) {
        if (!bytes_starts(key, s->prefix))
            return;
        if (e == ERR_CORRUPT || (after.n && bytes_cmp(key, after) <= 0))
            continue;
        if (!scan_one(s, key, record))
            return;
    }
}

static bool has_wildcard(struct bytes f)
{
    return memchr(f.p, '+', f.n) || memchr(f.p, '#', f.n);
}

void retained_each(struct shard *sh, struct bytes filter, struct bytes after,
                   bool (*fn)(void *ctx, struct bytes key, struct bytes record), void *ctx)
{
    uint8_t buf[RETAINED_KEY_MAX];
    struct bytes record;
    static const uint8_t first = 0;
    if (!sh->reader || store_read_begin(sh->reader) != OK)
        return;
    if (!has_wildcard(filter)) {
        struct bytes key = retained_key(buf, filter);
        if (!after.n && damage_told(sh, store_get(sh->reader, STORE_RETAINED, key, &record)) == OK)
            fn(ctx, key, record);
        store_read_end(sh->reader);
        return;
    }
    struct scan s = {filter, literal_prefix(filter), fn, ctx};
    bool go_on = true;
    /* `a/#` matches `a` as well, which does not stand among those that begin with `a/`. */
    bool is_parent = s.prefix.n && s.prefix.n + 1 == filter.n && filter.p[filter.n - 1] == '#';
    struct bytes parent = bytes_of(filter.p, s.prefix.n ? s.prefix.n - 1 : 0);
    if (is_parent && !after.n && parent.n && parent.n <= RETAINED_PREFIX_MAX &&
        damage_told(sh, store_get(sh->reader, STORE_RETAINED, parent, &record)) == OK)
        go_on = fn(ctx, parent, record);
    if (s.prefix.n > RETAINED_PREFIX_MAX)
        s.prefix.n = RETAINED_PREFIX_MAX;
    struct bytes from = after.n && bytes_cmp(after, s.prefix) > 0 ? after : s.prefix;
    if (go_on)
        scan_from(sh, &s, from.n ? from : bytes_of(&first, 1), after);
    store_read_end(sh->reader);
}
