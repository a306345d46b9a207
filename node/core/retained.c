/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/retained.h"

#include "node/core/publish_out.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { KEY_MAX = RETAINED_PREFIX_MAX + 16, SWEEP_STEP = 256 };

static struct bytes retained_key(uint8_t buf[KEY_MAX], struct bytes topic)
{
    if (topic.n <= RETAINED_PREFIX_MAX)
        return topic;
    memcpy(buf, topic.p, RETAINED_PREFIX_MAX);
    uint8_t *p = be64_put(buf + RETAINED_PREFIX_MAX, hash_bytes(topic.p, topic.n, 1));
    be64_put(p, hash_bytes(topic.p, topic.n, 2));
    return bytes_of(buf, KEY_MAX);
}

/* ---- changes -------------------------------------------------------------------------------------- */

/* The change is on its way: replays that start from now on wait for it, the publisher's acknowledgement too.
 */
static void change_given(struct shard *sh, struct publication *p)
{
    __atomic_add_fetch(&sh->node->retained_given[sh->number], 1, __ATOMIC_RELEASE);
    struct pending *w = p ? publication_wait(p) : NULL;
    if (w) {
        persist_wait(sh, w);
        pending_release(sh, w, RC_SUCCESS);
    }
    persist_hurry(sh);
}

static bool refuse(struct shard *sh, struct publication *p)
{
    COUNT(sh, RETAINED_REFUSED);
    if (!p->failed)
        p->failed = RC_QUOTA_EXCEEDED;
    return false;
}

bool retained_publish(struct shard *sh, struct publication *p)
{
    const struct settings *set = sh->node->conf.settings;
    struct store_batch *b = &sh->persist.ops;
    uint8_t buf[KEY_MAX];
    struct bytes key = retained_key(buf, p->m.topic);
    if (p->m.payload.n == 0) { /* [MQTT-3.3.1-6, MQTT-3.3.1-7] */
        store_batch_del(b, STORE_RETAINED, key);
        change_given(sh, p);
        return true;
    }
    if (set->retained_payload_max && p->m.payload.n > set->retained_payload_max)
        return refuse(sh, p);
    if (set->retained_count_max &&
        store_count(sh->node->conf.store, STORE_RETAINED) >= set->retained_count_max)
        return refuse(sh, p);
    struct message_in m = p->m;
    if (!m.has_expiry && set->retained_expiry_s) {
        m.has_expiry = true;
        m.expiry_s = set->retained_expiry_s;
    }
    struct msg *msg = msg_new(&m, sh->wall_ms, p->origin);
    if (!msg)
        return refuse(sh, p);
    uint8_t *at = store_batch_reserve(b, STORE_RETAINED, key, (uint32_t)msg_record_size(msg));
    msg_record_put(at, msg);
    msg_unref(msg);
    COUNT(sh, MESSAGES_RETAINED);
    change_given(sh, p);
    return true;
}

void retained_delete(struct shard *sh, struct bytes topic)
{
    uint8_t buf[KEY_MAX];
    store_batch_del(&sh->persist.ops, STORE_RETAINED, retained_key(buf, topic));
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

static void scan_from(struct shard *sh, const struct scan *s, struct bytes from, struct bytes after)
{
    struct bytes key, record;
    enum err e = store_seek(sh->reader, STORE_RETAINED, from, &key, &record);
    for (; e == OK || e == ERR_CORRUPT; e = store_next(sh->reader, &key, &record)) {
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
    uint8_t buf[KEY_MAX];
    struct bytes record;
    static const uint8_t first = 0;
    if (!sh->reader || store_read_begin(sh->reader) != OK)
        return;
    if (!has_wildcard(filter)) {
        struct bytes key = retained_key(buf, filter);
        if (!after.n && store_get(sh->reader, STORE_RETAINED, key, &record) == OK)
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
        store_get(sh->reader, STORE_RETAINED, parent, &record) == OK)
        go_on = fn(ctx, parent, record);
    if (s.prefix.n > RETAINED_PREFIX_MAX)
        s.prefix.n = RETAINED_PREFIX_MAX;
    struct bytes from = after.n && bytes_cmp(after, s.prefix) > 0 ? after : s.prefix;
    if (go_on)
        scan_from(sh, &s, from.n ? from : bytes_of(&first, 1), after);
    store_read_end(sh->reader);
}

void retained_sweep(struct shard *sh)
{
    struct bytes key, record;
    uint8_t *from = sh->sweep_key;
    uint64_t expires_ms;
    static const uint8_t first = 0;
    if (!sh->reader || store_read_begin(sh->reader) != OK)
        return;
    struct bytes start = sh->sweep_n ? bytes_of(from, sh->sweep_n) : bytes_of(&first, 1);
    enum err e = store_seek(sh->reader, STORE_RETAINED, start, &key, &record);
    unsigned n = 0;
    for (; (e == OK || e == ERR_CORRUPT) && n < SWEEP_STEP; n++, e = store_next(sh->reader, &key, &record)) {
        if (e == OK && msg_record_expiry(record, &expires_ms) && expires_ms <= sh->wall_ms)
            store_batch_del(&sh->persist.ops, STORE_RETAINED, key);
        sh->sweep_n = key.n;
        memcpy(sh->sweep_key, key.p, key.n);
    }
    if (n < SWEEP_STEP)
        sh->sweep_n = 0;
    store_read_end(sh->reader);
}
