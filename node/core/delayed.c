/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/delayed.h"

#include "node/core/deliver.h"
#include "node/core/mount.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum {
    KEY_N = DELAYED_KEY_N,
    RUNS_MAX = 256,
    STEP_BYTES_MAX = 1 << 20,
    AGAIN_MS = 1000,
    AGAIN_SHIFT_MAX = 6
};

/* A message that is due, from when it is published until it is deleted. */
struct run {
    struct list link;
    uint64_t again_ms; /* 0: under way; else when it is tried again (monotonic) */
    uint8_t key[KEY_N];
    uint8_t tries;
};

void delayed_init(struct delayed *d)
{
    list_init(&d->runs);
}

static void run_end(struct shard *sh, struct run *r)
{
    list_del(&r->link);
    sh->delayed.runs_n--;
    free(r);
}

void delayed_fini(struct delayed *d)
{
    list_each_safe(l, &d->runs) free(container_of(l, struct run, link));
}

/* ---- taking --------------------------------------------------------------------------------------- */

bool delayed_parse(struct bytes topic, uint64_t wall_ms, uint64_t *when_ms, struct bytes *of_then)
{
    const struct bytes prefix = bytes_str("$delayed/");
    uint64_t n = 0, now_s = wall_ms / 1000;
    uint32_t at = prefix.n;
    if (!bytes_starts(topic, prefix))
        return false;
    for (; at < topic.n && topic.p[at] >= '0' && topic.p[at] <= '9' && at < prefix.n + 11; at++)
        n = n * 10 + (uint64_t)(topic.p[at] - '0');
    if (at == prefix.n || at + 1 >= topic.n || topic.p[at] != '/')
        return false;
    *of_then = bytes_of(topic.p + at + 1, topic.n - at - 1);
    if (n <= DELAYED_S_MAX) {
        *when_ms = wall_ms + n * 1000;
        return true;
    }
    *when_ms = n * 1000;
    return n + DELAYED_S_MAX >= now_s && n <= now_s + DELAYED_S_MAX;
}

struct bytes delayed_topic(struct bytes topic, uint64_t wall_ms)
{
    struct bytes of_then;
    uint64_t when_ms;
    return delayed_parse(topic, wall_ms, &when_ms, &of_then) ? of_then : topic;
}

static void put(struct shard *sh, const struct msg *m, uint64_t when_ms)
{
    uint8_t key[KEY_N];
    uint64_t count = __atomic_add_fetch(&sh->node->delayed_count, 1, __ATOMIC_RELAXED);
    be64_put(be64_put(key, when_ms), hash_u64(count, sh->node->tag));
    msg_record_put(store_batch_reserve(&sh->persist.ops, STORE_DELAYED, bytes_of(key, KEY_N),
                                       (uint32_t)msg_record_size(m)),
                   m);
}

bool delayed_restore(struct shard *sh, struct bytes key, struct bytes record)
{
    struct cursor at = cursor_of(record);
    struct msg *m = key.n == KEY_N ? msg_record_take(&at) : NULL;
    bool is_sound = m && cursor_left(&at) == 0 && m->data[0] != '$';
    if (is_sound) {
        __atomic_add_fetch(&sh->node->delayed_count, 1, __ATOMIC_RELAXED);
        store_batch_put(&sh->persist.ops, STORE_DELAYED, key, record);
    }
    msg_unref(m);
    return is_sound;
}

static enum reason refuse(struct shard *sh, struct publication *p, enum reason code)
{
    COUNT(sh, DELAYED_REFUSED);
    p->failed = (uint8_t)code;
    return code;
}

enum reason delayed_publish(struct shard *sh, struct publication *p)
{
    const struct settings *set = sh->settings;
    struct message_in m = p->m;
    enum topic_verdict verdict;
    uint64_t when_ms;
    if (!set->delayed_available || !sh->reader || !delayed_parse(p->m.topic, sh->wall_ms, &when_ms, &m.topic))
        return refuse(sh, p, RC_TOPIC_NAME_INVALID);
    const struct match *of_then = subs_match(&sh->subs, m.topic, &verdict);
    if (!of_then || of_then->special == TOPIC_DELAYED || match_is_reserved(of_then, p->conn))
        return refuse(sh, p, RC_TOPIC_NAME_INVALID);
    if (unlikely(sh->gate.acl != NULL) && p->conn &&
        (p->denied = gate_publish(sh, p->conn->session, of_then))) {
        p->failed = RC_NOT_AUTHORIZED;
        return RC_NOT_AUTHORIZED;
    }
    if (set->delayed_count_max && store_count(sh->node->conf.store, STORE_DELAYED) >= set->delayed_count_max)
        return refuse(sh, p, RC_QUOTA_EXCEEDED);
    struct msg *msg = msg_new(&m, when_ms, p->origin); /* its expiry starts then */
    if (!msg)
        return refuse(sh, p, RC_QUOTA_EXCEEDED);
    put(sh, msg, when_ms);
    msg_unref(msg);
    COUNT(sh, MESSAGES_DELAYED);
    p->receivers++;
    struct pending *w = publication_wait(p);
    if (w) {
        persist_wait(sh, w);
        pending_release(sh, w, RC_SUCCESS);
        persist_hurry(sh);
    }
    return RC_SUCCESS;
}

/* ---- when it is due ------------------------------------------------------------------------------- */

static void drop_nothing(void *arg)
{
    (void)arg; /* the run is the shard's */
}

static void forget(struct shard *sh, struct run *r);

static void on_forgotten(struct shard *sh, void *arg, enum reason code)
{
    struct run *r = arg;
    if (code < RC_UNSPECIFIED_ERROR)
        run_end(sh, r);
    else
        forget(sh, r);
}

static void forget(struct shard *sh, struct run *r)
{
    struct pending *w = pending_new_call(on_forgotten, drop_nothing, r);
    store_batch_del(&sh->persist.ops, STORE_DELAYED, bytes_of(r->key, KEY_N));
    persist_wait(sh, w);
    pending_release(sh, w, RC_SUCCESS);
}

/* A queue that is full elsewhere has the same code as a full disk: that is tried once more, not for an hour,
 * since the others get it again each time. */
static void again(struct shard *sh, struct run *r, enum reason code)
{
    unsigned shift = r->tries < AGAIN_SHIFT_MAX ? r->tries : AGAIN_SHIFT_MAX;
    r->tries = (uint8_t)(r->tries + (code == RC_QUOTA_EXCEEDED ? DELAYED_TRIES_MAX / 2 : 1));
    if (r->tries < DELAYED_TRIES_MAX) {
        r->again_ms = sh->now_ms + ((uint64_t)AGAIN_MS << shift);
        return;
    }
    COUNT(sh, DROPPED_STORE);
    forget(sh, r);
}

/* QoS 1: everybody has it, or somebody could not keep it. */
static void on_settled(struct shard *sh, void *arg, enum reason code)
{
    if (code >= RC_UNSPECIFIED_ERROR)
        again(sh, arg, code);
    else
        forget(sh, arg);
}

/* QoS 2: one commit deleted it and gave it to queues and handoffs, or did neither. */
static void on_moved(struct shard *sh, void *arg, enum reason code)
{
    if (code >= RC_UNSPECIFIED_ERROR)
        again(sh, arg, RC_IMPLEMENTATION_SPECIFIC);
    else
        run_end(sh, arg);
}

static void move(struct shard *sh, struct run *r)
{
    struct pending *w = pending_new_call(on_moved, drop_nothing, r);
    store_batch_del(&sh->persist.ops, STORE_DELAYED, bytes_of(r->key, KEY_N));
    persist_wait(sh, w);
    persist_hurry(sh);
    pending_release(sh, w, RC_SUCCESS);
}

static void publish(struct shard *sh, struct run *r, struct bytes record)
{
    struct publication p = {0};
    enum topic_verdict verdict;
    r->again_ms = 0;
    const struct match *match = NULL;
    if (msg_record_view(record, sh->wall_ms, &p.m, &p.origin))
        match = subs_match(&sh->subs, p.m.topic, &verdict);
    if (!match) { /* not what was written */
        forget(sh, r);
        return;
    }
    if (p.m.qos == 1)
        p.pending = pending_new_call(on_settled, drop_nothing, r);
    if (p.m.qos == 2) {
        p.hold = 1;
        move(sh, r);
    }
    if (!p.m.has_expiry || p.m.expiry_s) {
        if (p.m.retain)
            retained_publish(sh, &p);
        match = subs_match(&sh->subs, p.m.topic, &verdict);
        deliver_match(sh, &p, match);
    }
    if (p.m.qos == 0)
        forget(sh, r);
    p.failed = 0; /* what a full queue or the limit of retained messages refused has been counted */
    publication_fini(sh, &p);
}

static struct run *run_find(const struct delayed *d, struct bytes key)
{
    list_each_safe(l, &d->runs)
    {
        struct run *r = container_of(l, struct run, link);
        if (bytes_eq(bytes_of(r->key, KEY_N), key))
            return r;
    }
    return NULL;
}

/* The next one that is due and not under way, with a copy of its record; NULL: none now. *from moves on. */
static struct run *next_due(struct shard *sh, uint8_t from[KEY_N], uint8_t **copy, uint32_t *n)
{
    struct delayed *d = &sh->delayed;
    struct bytes key, value;
    struct run *r = NULL;
    enum err e = store_seek(sh->reader, STORE_DELAYED, bytes_of(from, KEY_N), &key, &value);
    for (; e == OK || e == ERR_CORRUPT; e = store_next(sh->reader, &key, &value)) {
        if (key.n != KEY_N || be64_get(key.p) > sh->wall_ms)
            return NULL;
        r = run_find(d, key);
        if (r ? r->again_ms && r->again_ms <= sh->now_ms : d->runs_n < RUNS_MAX)
            break;
    }
    if (e != OK && e != ERR_CORRUPT)
        return NULL;
    if (!r) {
        r = mem_zalloc(sizeof *r);
        bytes_put(r->key, key);
        list_push(&d->runs, &r->link);
        d->runs_n++;
    }
    *n = e == OK ? value.n : 0;
    *copy = mem_dup(value.p, *n);
    memcpy(from, r->key, KEY_N);
    return r;
}

void delayed_tick(struct shard *sh)
{
    uint8_t from[KEY_N] = {0}, *copy;
    uint32_t n, bytes = 0;
    struct run *r;
    if (!__atomic_load_n(&sh->node->delayed_count, __ATOMIC_RELAXED) || sh->number != 0)
        return;
    while (bytes < STEP_BYTES_MAX && store_read_begin(sh->reader) == OK) {
        r = next_due(sh, from, &copy, &n);
        store_read_end(sh->reader);
        if (!r)
            return;
        publish(sh, r, bytes_of(copy, n));
        free(copy);
        bytes += n + KEY_N;
    }
}

bool delayed_delete(struct shard *sh, struct bytes key)
{
    struct bytes value;
    if (key.n != KEY_N || !sh->reader || store_read_begin(sh->reader) != OK)
        return false;
    enum err e = store_get(sh->reader, STORE_DELAYED, key, &value);
    store_read_end(sh->reader);
    if (e == ERR_NOTFOUND)
        return false;
    store_batch_del(&sh->persist.ops, STORE_DELAYED, key);
    return true;
}

void delayed_load(struct node *n)
{
    n->delayed_count = store_count(n->conf.store, STORE_DELAYED) > 0;
}
