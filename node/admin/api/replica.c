/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/replica.h"

#include "node/admin/api/api_i.h"
#include "node/mesh/mesh.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <event2/event.h>
#include <stdlib.h>

enum { QUIET_MS = 500 };

/* Another node, from when it is first seen with a link. */
struct other {
    struct list link;
    struct replica *replica;
    char name[MEMBER_NAME_MAX];
    uint64_t linked_ms; /* which link it is */
    bool is_seen;       /* in the look that is under way */
    bool is_linked;
    bool is_asked;      /* an answer is to come */
    bool wants_all;     /* whatever the digests say: logins are not in them */
    json_t *outbox;     /* items that it is to be told */
    size_t outbox_at;   /* of these, as many are on their way */
    uint64_t queued;    /* items that have been put there so far */
    uint64_t known;     /* of these, as many need not be waited for */
    uint32_t under_way; /* items of the request */
    uint32_t failures;  /* in a row: it has no such table, or not yet, or is in trouble */
    uint64_t quiet_ms;  /* monotonic: until then it is told nothing */
    uint64_t compare_ms;
};

struct waiter {
    struct list link;
    uint64_t until_ms;
    void (*done)(void *arg);
    void *arg;
    uint32_t n; /* of those that are waited for */
    struct {
        char name[MEMBER_NAME_MAX];
        uint64_t queued;
    } others[];
};

struct replica {
    struct api *api;
    struct list others;
    struct list waiters;
    struct event *tick;
    struct event *wake;
    bool is_stopped;
};

static void requests_send(struct replica *r);

/* ---- the others ----------------------------------------------------------------------------------- */

static struct other *other_find(const struct replica *r, const char *name)
{
    list_each_safe(l, &r->others)
    {
        struct other *o = container_of(l, struct other, link);
        if (strcmp(o->name, name) == 0)
            return o;
    }
    return NULL;
}

/* What waits for it is not sent: the next comparison finds it. */
static void outbox_drop(struct other *o)
{
    json_array_clear(o->outbox);
    o->outbox_at = 0;
    o->under_way = 0;
    o->known = o->queued;
    o->wants_all = true;
}

static bool is_quiet(const struct other *o)
{
    return !o->is_linked || mono_ms() < o->quiet_ms;
}

static void other_fail(struct other *o)
{
    uint64_t pause_ms = o->failures < 5 ? (uint64_t)QUIET_MS << o->failures : REPLICA_COMPARE_MS;
    outbox_drop(o);
    o->failures++;
    o->quiet_ms = mono_ms() + pause_ms;
}

static void other_see(struct replica *r, const struct mesh_peer_info *p)
{
    struct other *o = other_find(r, p->member.name);
    if (!o && !p->is_linked)
        return;
    if (!o) {
        o = mem_zalloc(sizeof *o);
        o->replica = r;
        snprintf(o->name, sizeof o->name, "%s", p->member.name);
        o->outbox = json_array();
        list_push(&r->others, &o->link);
    }
    o->is_seen = true;
    if (p->is_linked && (!o->is_linked || o->linked_ms != p->linked_since_ms)) {
        outbox_drop(o);
        o->failures = 0;
        o->quiet_ms = o->compare_ms = 0;
    }
    o->linked_ms = p->linked_since_ms;
    o->is_linked = p->is_linked;
}

static void other_free(struct other *o)
{
    list_del(&o->link);
    json_decref(o->outbox);
    free(o);
}

static void others_look(struct replica *r)
{
    struct mesh_info info;
    list_each_safe(l, &r->others) container_of(l, struct other, link)->is_seen = false;
    if (cluster_view_info(r->api->env->conf.cluster, &info))
        for (uint32_t i = 0; i < info.peers_n; i++)
            other_see(r, &info.peers[i]);
    free(info.peers);
    list_each_safe(l, &r->others)
    {
        struct other *o = container_of(l, struct other, link);
        o->is_linked = o->is_linked && o->is_seen;
        if (!o->is_linked)
            outbox_drop(o);
        if (!o->is_seen && !o->is_asked)
            other_free(o);
    }
}

/* ---- what this node has --------------------------------------------------------------------------- */

static json_t *all_items(const struct api *a)
{
    json_t *all = json_array();
    account_table_items(accounts_table(a->accounts), all);
    tokens_items(a->tokens, mono_ms(), all);
    return all;
}

/* Logins are not in it: they come and go with time, and are told of when they change. */
static json_t *digest(const struct api *a)
{
    char text[ACCOUNT_DIGEST_N];
    account_table_digest(accounts_table(a->accounts), text);
    return json_of_str(text);
}

static void item_take(struct api *a, const json_t *item)
{
    const char *kind = json_str(item, "kind"), *name = json_str(item, "name");
    if (!kind || !name)
        return;
    if (strcmp(kind, "token") == 0)
        token_merge(a->tokens, item, mono_ms());
    else if (strcmp(kind, "failure") == 0)
        guard_on_failure(&a->guard, name, mono_ms());
    else if (strcmp(kind, "success") == 0)
        guard_on_success(&a->guard, name);
}

static void items_take(struct api *a, const json_t *items)
{
    size_t i;
    json_t *item;
    if (json_array_size(items) == 0)
        return;
    accounts_merge(a->accounts, items);
    json_array_foreach((json_t *)(uintptr_t)items, i, item) item_take(a, item);
}

json_t *replica_serve(struct api *a, const json_t *request)
{
    const char *theirs = json_str(request, "digest");
    json_t *o = json_object(), *ours;
    items_take(a, json_object_get(request, "items"));
    ours = digest(a);
    if (theirs && (!*theirs || strcmp(theirs, json_string_value(ours)) != 0))
        json_put(o, "items", all_items(a));
    json_put(o, "digest", ours);
    return o;
}

/* ---- waiting -------------------------------------------------------------------------------------- */

static bool is_waiting(const struct replica *r, const struct waiter *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        const struct other *o = other_find(r, w->others[i].name);
        if (o && o->known < w->others[i].queued)
            return true;
    }
    return false;
}

static void waiters_work(struct replica *r)
{
    uint64_t now_ms = mono_ms();
    list_each_safe(l, &r->waiters)
    {
        struct waiter *w = container_of(l, struct waiter, link);
        if (!r->is_stopped && now_ms < w->until_ms && is_waiting(r, w))
            continue;
        list_del(&w->link);
        w->done(w->arg);
        free(w);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    waiters_work(arg);
}

static void wake(struct replica *r, uint32_t after_ms)
{
    struct timeval tv = {.tv_usec = (suseconds_t)(after_ms % 1000) * 1000, .tv_sec = after_ms / 1000};
    CHECK(event_add(r->wake, &tv) == 0);
}

/* ---- requests ------------------------------------------------------------------------------------- */

/* It has sent all that it has; what it has not is sent in turn. */
static void answer_take(struct other *o, const json_t *told, const json_t *items)
{
    struct api *a = o->replica->api;
    items_take(a, items);
    json_t *ours = digest(a), *all = all_items(a);
    const char *theirs = json_str(told, "digest");
    if (o->is_linked && theirs && strcmp(theirs, json_string_value(ours)) != 0) {
        o->queued += json_array_size(all);
        json_array_extend(o->outbox, all);
    }
    json_decref(ours);
    json_decref(all);
}

static void on_answer(void *arg, enum err e, struct bytes answer)
{
    struct other *o = arg;
    struct replica *r = o->replica;
    json_t *whole = e == OK && answer.n ? json_loadb((const char *)answer.p, answer.n, 0, NULL) : NULL;
    const json_t *told = json_object_get(whole, "answer"), *items = json_object_get(told, "items");
    o->is_asked = false;
    o->known += o->under_way;
    o->under_way = 0;
    if (e != OK || json_int(whole, "status", 0) != 200)
        other_fail(o);
    else
        o->failures = 0;
    if (items)
        answer_take(o, told, items);
    json_decref(whole);
    if (r->is_stopped)
        return;
    wake(r, 0);
    if (e == OK)
        requests_send(r);
}

static void request_send(struct other *o, json_t *items, bool is_comparison)
{
    struct api *a = o->replica->api;
    json_t *request = json_object(), *whole = json_object();
    size_t n;
    json_put(request, "items", items);
    if (is_comparison)
        json_put(request, "digest", o->wants_all ? json_of_str("") : digest(a));
    if (is_comparison)
        o->wants_all = false;
    json_put(whole, "replica", request);
    char *text = json_text(whole, &n);
    o->is_asked = true;
    a->peers->ask(a->peers->ctx, o->name, bytes_of(text, n), on_answer, o);
    free(text);
    json_decref(whole);
}

/* As many as a frame should have. */
static json_t *outbox_take(struct other *o)
{
    json_t *items = json_array();
    size_t bytes = 0;
    while (o->outbox_at < json_array_size(o->outbox) && bytes < REPLICA_BYTES_MAX) {
        json_t *item = json_array_get(o->outbox, o->outbox_at++);
        bytes += json_dumpb(item, NULL, 0, JSON_COMPACT);
        json_push(items, json_incref(item));
        o->under_way++;
    }
    if (o->outbox_at == json_array_size(o->outbox)) {
        json_array_clear(o->outbox);
        o->outbox_at = 0;
    }
    return items;
}

static void requests_send(struct replica *r)
{
    uint64_t now_ms = mono_ms();
    list_each_safe(l, &r->others)
    {
        struct other *o = container_of(l, struct other, link);
        if (is_quiet(o) || o->is_asked)
            continue;
        bool is_comparison = now_ms >= o->compare_ms || o->wants_all;
        if (is_comparison)
            o->compare_ms = now_ms + REPLICA_COMPARE_MS;
        if (is_comparison || json_array_size(o->outbox))
            request_send(o, outbox_take(o), is_comparison);
    }
}

/* ---- telling -------------------------------------------------------------------------------------- */

static struct waiter *waiter_new(const struct replica *r)
{
    uint32_t n = 0;
    list_each_safe(l, &r->others) n++;
    struct waiter *w = mem_zalloc(sizeof *w + n * sizeof w->others[0]);
    list_each_safe(l, &r->others)
    {
        const struct other *o = container_of(l, struct other, link);
        if (o->known == o->queued)
            continue;
        memcpy(w->others[w->n].name, o->name, sizeof o->name);
        w->others[w->n++].queued = o->queued;
    }
    return w;
}

bool replica_tell(struct replica *r, json_t *item, void (*done)(void *arg), void *arg)
{
    if (r && !r->is_stopped)
        others_look(r);
    for (struct list *l = r ? r->others.next : NULL; l && l != &r->others; l = l->next) {
        struct other *o = container_of(l, struct other, link);
        if (r->is_stopped || is_quiet(o))
            continue;
        json_push(o->outbox, json_incref(item));
        o->queued++;
    }
    json_decref(item);
    if (!r || r->is_stopped)
        return false;
    requests_send(r);
    struct waiter *w = waiter_new(r);
    if (!done || !w->n) {
        free(w);
        return false;
    }
    w->done = done;
    w->arg = arg;
    w->until_ms = mono_ms() + REPLICA_WAIT_MS;
    list_push(&r->waiters, &w->link);
    if (!event_pending(r->wake, EV_TIMEOUT, NULL))
        wake(r, REPLICA_WAIT_MS);
    return true;
}

void replica_tell_try(struct replica *r, const char *address, bool is_right)
{
    json_t *o = json_object();
    json_put(o, "kind", json_of_str(is_right ? "success" : "failure"));
    json_put(o, "name", json_of_str(address));
    replica_tell(r, o, NULL, NULL);
}

static bool on_account(void *ctx, json_t *item, void (*done)(void *arg), void *arg)
{
    return replica_tell(ctx, item, done, arg);
}

/* ---- life ----------------------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct replica *r = arg;
    (void)fd;
    (void)what;
    others_look(r);
    requests_send(r);
    waiters_work(r);
}

struct replica *replica_new(struct api *a)
{
    static const struct timeval every = {1, 0};
    struct replica *r = mem_zalloc(sizeof *r);
    r->api = a;
    list_init(&r->others);
    list_init(&r->waiters);
    r->tick = event_new(a->base, -1, EV_PERSIST, on_tick, r);
    r->wake = evtimer_new(a->base, on_wake, r);
    CHECK(r->tick && r->wake && event_add(r->tick, &every) == 0);
    accounts_teller_set(a->accounts, on_account, r);
    return r;
}

void replica_stop(struct replica *r)
{
    if (!r)
        return;
    r->is_stopped = true;
    event_del(r->tick);
    event_del(r->wake);
    waiters_work(r);
}

void replica_free(struct replica *r)
{
    if (!r)
        return;
    while (!list_is_empty(&r->others))
        other_free(container_of(r->others.next, struct other, link));
    event_free(r->tick);
    event_free(r->wake);
    free(r);
}
