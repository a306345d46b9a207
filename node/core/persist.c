/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/persist.h"

#include "node/core/mount.h"
#include "node/core/pending.h"
#include "node/core/queue_disk.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"
#include "proto/record/record.h"

#include <stdlib.h>

enum {
    RETRY_MS = 1000,
    RESERVE_LOW = 1024, /* ask for more sequence numbers when fewer are left */
    SUB_KEY_N = 24,
};

void persist_init(struct persist *p)
{
    *p = (struct persist){0};
    store_batch_init(&p->ops);
    store_batch_init(&p->keep);
    store_batch_init(&p->keep_sealed);
    list_init(&p->sessions);
}

void persist_fini(struct persist *p)
{
    store_batch_fini(&p->ops);
    store_batch_fini(&p->keep);
    store_batch_fini(&p->keep_sealed);
    for (uint32_t i = 0; i < p->waiting_n; i++)
        pending_drop(p->waiting[i]);
    for (uint32_t i = 0; i < p->sealed_waiting_n; i++)
        pending_drop(p->sealed_waiting[i]);
    free(p->waiting);
    free(p->sealed_waiting);
    free(p->sealed);
}

/* ---- what changes --------------------------------------------------------------------------------- */

static struct bytes number_key(uint8_t buf[8], const struct session *s)
{
    be64_put(buf, s->number);
    return bytes_of(buf, 8);
}

static struct bytes sub_key(uint8_t buf[SUB_KEY_N], const struct subscription *sub)
{
    const struct route *r = sub->route;
    size_t n = (size_t)r->filter_n + r->group_n;
    be64_put(buf, sub->session->number);
    be64_put(buf + 8, hash_bytes(r->text, n, 0x5ca1ab1e00000000ull + r->group_n));
    be64_put(buf + 16, hash_bytes(r->text, n, 0x0ddba11000000000ull + r->group_n));
    return bytes_of(buf, SUB_KEY_N);
}

void persist_session(struct session *s)
{
    uint8_t key[8];
    struct record_session r = {
        .client_id = session_id(s),
        .username = s->username ? bytes_str(s->username) : bytes_of(NULL, 0),
        .expiry_s = s->expiry_s,
        .version = s->version,
        .created_ms = s->created_ms,
        .offline_since_ms = s->conn ? 0 : s->since_ms,
        .will = s->will ? s->will->msg : NULL,
        .will_delay_s = s->will ? s->will->delay_s : 0,
        .mountpoint = mount_prefix(s->mount),
    };
    uint32_t n = record_session_size(&r);
    struct store_batch *keep = &s->shard->persist.keep;
    uint8_t *p = store_batch_reserve(keep, STORE_SESSIONS, number_key(key, s), n);
    record_session_put(p, &r);
    store_batch_put(&s->shard->persist.ops, STORE_SESSIONS, number_key(key, s), bytes_of(p, n));
    s->is_recorded = 1;
}

static uint64_t ends_bit(const struct session *s)
{
    return 1ull << (s->hash & 63);
}

void persist_session_end(struct session *s)
{
    uint8_t key[8];
    struct bytes k = number_key(key, s);
    struct persist *p = &s->shard->persist;
    struct store_batch *const lists[] = {&p->ops, &p->keep};
    for (unsigned i = 0; i < array_len(lists); i++) {
        store_batch_del(lists[i], STORE_SESSIONS, k);
        store_batch_del(lists[i], STORE_STATE, k);
        store_batch_del_prefix(lists[i], STORE_SUBS, k);
        store_batch_del_prefix(lists[i], STORE_QUEUE, k);
    }
    p->ends |= ends_bit(s);
    s->is_recorded = 0;
}

bool persist_is_ending(const struct session *s)
{
    const struct persist *p = &s->shard->persist;
    return ((p->ends | p->ends_sealed) & ends_bit(s)) != 0;
}

void persist_forget(struct session *s)
{
    struct persist *p = &s->shard->persist;
    list_del(&s->dirty_link);
    for (uint32_t i = 0; s->is_sealed && i < p->sealed_n; i++) {
        if (p->sealed[i].session == s)
            p->sealed[i].session = NULL;
    }
}

void persist_sub(struct subscription *sub)
{
    uint8_t key[SUB_KEY_N];
    struct record_sub r = {
        .filter = route_filter(sub->route),
        .group = route_group(sub->route),
        .id = sub->id,
        .qos = sub->qos,
        .retain_handling = sub->retain_handling,
        .no_local = sub->no_local,
        .retain_as_published = sub->retain_as_published,
        .is_granted = sub->is_granted,
    };
    uint8_t *p = store_batch_reserve(&sub->session->shard->persist.ops, STORE_SUBS, sub_key(key, sub),
                                     record_sub_size(&r));
    record_sub_put(p, &r);
}

void persist_sub_end(struct subscription *sub)
{
    struct persist *p = &sub->session->shard->persist;
    uint8_t key[SUB_KEY_N];
    store_batch_del(&p->ops, STORE_SUBS, sub_key(key, sub));
    store_batch_del(&p->keep, STORE_SUBS, sub_key(key, sub));
}

void persist_touch_queue(struct session *s)
{
    if (list_is_empty(&s->dirty_link))
        list_push(&s->shard->persist.sessions, &s->dirty_link);
}

void persist_touch(struct session *s)
{
    s->state_dirty = 1;
    persist_touch_queue(s);
}

static void waiting_push(struct pending ***v, uint32_t *n, uint32_t *cap, struct pending *p)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *v = mem_realloc(*v, sizeof **v * *cap);
    }
    (*v)[(*n)++] = p;
}

void persist_wait(struct shard *sh, struct pending *p)
{
    struct persist *ps = &sh->persist;
    if (p)
        waiting_push(&ps->waiting, &ps->waiting_n, &ps->waiting_cap, pending_ref(p));
}

void persist_wait_sealed(struct shard *sh, struct pending *p)
{
    struct persist *ps = &sh->persist;
    waiting_push(&ps->sealed_waiting, &ps->sealed_waiting_n, &ps->sealed_waiting_cap, p);
}

struct stored_call {
    void (*fn)(struct shard *sh, void *arg);
    void (*redo)(struct shard *sh, void *arg);
    void *arg;
};

static void stored_call_wait(struct shard *sh, struct stored_call *c);

static void stored_call_drop(void *arg)
{
    struct stored_call *c = arg;
    free(c->arg);
    free(c);
}

static void on_stored_call(struct shard *sh, void *arg, enum reason code)
{
    struct stored_call *c = arg;
    if (code >= RC_UNSPECIFIED_ERROR) {
        if (c->redo)
            c->redo(sh, c->arg);
        stored_call_wait(sh, c);
        return;
    }
    c->fn(sh, c->arg);
    free(c);
}

static void stored_call_wait(struct shard *sh, struct stored_call *c)
{
    struct pending *p = pending_new_call(on_stored_call, stored_call_drop, c);
    persist_wait(sh, p);
    persist_hurry(sh);
    pending_release(sh, p, RC_SUCCESS);
}

void persist_call(struct shard *sh, void (*fn)(struct shard *sh, void *arg),
                  void (*redo)(struct shard *sh, void *arg), void *arg)
{
    struct stored_call *c = mem_alloc(sizeof *c);
    *c = (struct stored_call){fn, redo, arg};
    stored_call_wait(sh, c);
}

void persist_hurry(struct shard *sh)
{
    sh->persist.urgent = 1;
}

bool persist_reserve(struct session *s)
{
    struct sendq *q = s->q;
    if (q->next + RESERVE_LOW >= q->reserved) {
        persist_touch(s);
        if (q->next >= q->reserved)
            persist_hurry(s->shard);
    }
    return q->next < q->reserved;
}

/* ---- sealing -------------------------------------------------------------------------------------- */

enum shard_seal shard_seal_state(const struct shard *sh)
{
    const struct persist *p = &sh->persist;
    if (p->in_flight || p->retry_ms > sh->now_ms)
        return SHARD_SEAL_NOTHING;
    uint32_t many = sh->node->conf.commit_ops;
    if (p->urgent || (many && p->ops.ops >= many))
        return SHARD_SEAL_NOW;
    bool any = p->waiting_n || p->ops.ops || !list_is_empty(&p->sessions);
    return any ? SHARD_SEAL_SOON : SHARD_SEAL_NOTHING;
}

static void batch_swap(struct store_batch *a, struct store_batch *b)
{
    struct store_batch t = *a;
    *a = *b;
    *b = t;
}

static void sessions_seal(struct shard *sh, struct store_batch *b)
{
    struct persist *p = &sh->persist;
    struct list *l;
    while ((l = list_pop(&p->sessions))) {
        struct session *s = container_of(l, struct session, dirty_link);
        if (p->sealed_n == p->sealed_cap) {
            p->sealed_cap = p->sealed_cap ? p->sealed_cap * 2 : 64;
            p->sealed = mem_realloc(p->sealed, sizeof *p->sealed * p->sealed_cap);
        }
        queue_seal(s, b, &p->sealed[p->sealed_n++]);
        s->is_sealed = 1;
    }
}

bool shard_seal(struct shard *sh, struct store_batch *b)
{
    struct persist *p = &sh->persist;
    CHECK(!p->in_flight && store_batch_is_empty(b));
    batch_swap(&p->keep, &p->keep_sealed);
    store_batch_reset(&p->keep);
    batch_swap(b, &p->ops);
    store_batch_reset(&p->ops);
    p->sealed_n = 0;
    p->sealed_waiting_n = 0;
    sessions_seal(sh, b);
    handoffs_seal(sh);
    for (uint32_t i = 0; i < p->waiting_n; i++)
        persist_wait_sealed(sh, p->waiting[i]);
    p->waiting_n = 0;
    p->ends_sealed = p->ends;
    p->ends = 0;
    p->urgent = 0;
    p->retained_sealed = sh->node->retained_given[sh->number];
    p->retained_bytes_sealed = p->retained_bytes;
    p->retained_bytes = 0;
    p->retained_arrived_sealed = p->retained_arrived;
    p->in_flight = 1;
    if (!store_batch_is_empty(b))
        return true;
    shard_on_stored(sh, OK);
    return false;
}

/* ---- the result ----------------------------------------------------------------------------------- */

static enum reason reason_of(enum err e)
{
    return e == OK ? RC_SUCCESS : e == ERR_NOSPC ? RC_QUOTA_EXCEEDED : RC_IMPLEMENTATION_SPECIFIC;
}

/* What has no way to fail waits for a commit that succeeds. */
static bool must_wait_on(const struct pending *p)
{
    return p->keeps_id || p->type == PACKET_PUBREL || p->type == PACKET_PUBCOMP || p->type == PACKET_UNSUBACK;
}

static void sealed_finish(struct shard *sh, enum err result)
{
    struct persist *p = &sh->persist;
    for (uint32_t i = 0; i < p->sealed_n; i++) {
        struct sealed sealed = p->sealed[i];
        if (!sealed.session)
            continue;
        sealed.session->is_sealed = 0;
        if (result == OK) {
            queue_on_stored(sealed.session, &sealed);
        } else {
            queue_on_store_failed(sealed.session, &sealed);
            persist_touch(sealed.session);
        }
    }
}

static void on_failure(struct shard *sh, enum err result)
{
    struct persist *p = &sh->persist;
    COUNT(sh, STORE_FAILURES);
    if (!p->has_failed)
        LOG(sh->node->conf.log, LOG_ERROR, "store commit failed error=\"%s\" worker=%u", err_name(result),
            sh->number);
    p->has_failed = 1;
    p->ends |= p->ends_sealed;
    p->retry_ms = sh->now_ms + RETRY_MS;
    /* What must hold comes again, before what has gathered since. */
    struct store_batch later;
    store_batch_init(&later);
    store_batch_append(&later, &p->keep_sealed);
    store_batch_append(&later, &p->ops);
    batch_swap(&p->ops, &later);
    store_batch_fini(&later);
    store_batch_append(&p->keep_sealed, &p->keep);
    batch_swap(&p->keep, &p->keep_sealed);
}

void shard_on_stored(struct shard *sh, enum err result)
{
    struct persist *p = &sh->persist;
    CHECK(p->in_flight);
    p->in_flight = 0;
    if (result != OK)
        on_failure(sh, result);
    else if (p->has_failed) {
        LOG(sh->node->conf.log, LOG_NOTICE, "store commit recovered worker=%u", sh->number);
        p->has_failed = 0;
    }
    p->ends_sealed = 0;
    sealed_finish(sh, result);
    handoffs_on_stored(sh, result == OK);
    for (uint32_t i = 0; i < p->sealed_waiting_n; i++) {
        struct pending *w = p->sealed_waiting[i];
        if (result != OK && must_wait_on(w) && w->conn) {
            waiting_push(&p->waiting, &p->waiting_n, &p->waiting_cap, w);
            continue;
        }
        pending_release(sh, w, reason_of(result));
    }
    p->sealed_waiting_n = 0;
    retained_on_stored(sh, p->retained_sealed, result);
}
