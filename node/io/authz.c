/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authz.h"

#include "node/core/gate.h"
#include "node/core/mail.h"
#include "node/core/shard.h"
#include "proto/base/clock.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct job {
    struct pool_job pooled;
    uint64_t until_ms; /* monotonic: later it need not be asked any more */
    struct gate_question *ask;
};

/* The ctx of a hook_pool. Each shard that uses the ops has a reference to the pool. */
struct server {
    struct authz *owner;
    struct hook_pool *pool;
    uint32_t timeout_ms;
    struct ask_ops ops;
};

struct authz {
    struct log_sink *log;
    uint32_t shards;
    struct hook_pools pools;
    void (*post)(void *ctx, uint32_t shard, struct mailbag *bag);
    void *post_ctx;
};

/* ---- questions ------------------------------------------------------------------------------------ */

static void on_run(void *ctx, struct pool_job *p)
{
    struct server *s = ctx;
    struct job *j = container_of(p, struct job, pooled);
    struct gate_question *q = j->ask;
    struct hook_reply reply;
    struct mailbag *bag = NULL;
    uint64_t now = mono_ms();
    /* Whoever has gone does not cost the others who wait. The answer still goes: it frees the question. */
    if (!__atomic_load_n(&q->is_gone, __ATOMIC_RELAXED))
        q->outcome = hook_server_ask(hook_pool_server(s->pool), &q->values,
                                     now < j->until_ms ? (uint32_t)(j->until_ms - now) : 0, &reply);
    free(j);
    mailbag_push(&bag, UINT32_MAX,
                 &(struct mail){.kind = MAIL_CALL, .u.fn = gate_on_answer, .drop = gate_ask_drop, .arg = q});
    s->owner->post(s->owner->post_ctx, q->shard, bag);
}

static void on_drop(void *ctx, struct pool_job *p)
{
    struct job *j = container_of(p, struct job, pooled);
    (void)ctx;
    gate_ask_drop(j->ask);
    free(j);
}

static bool on_ask(void *ctx, struct gate_question *q)
{
    struct server *s = ctx;
    struct job *j = mem_alloc(sizeof *j);
    *j = (struct job){.until_ms = mono_ms() + s->timeout_ms, .ask = q};
    bool is_taken = hook_pool_push(s->pool, &j->pooled);
    if (!is_taken)
        free(j);
    return is_taken;
}

/* ---- the server ----------------------------------------------------------------------------------- */

/* Does what the server is told say how something is published or subscribed? */
static bool tells_how(const struct hook_server_conf *c)
{
    return strstr(c->url, "${qos}") || strstr(c->url, "${retain}") ||
           (c->is_post && (strstr(c->body, "${qos}") || strstr(c->body, "${retain}")));
}

/* NULL: conf names none. */
static struct hook_pool *server_new(struct authz *a, const struct authz_conf *conf)
{
    if (!*conf->server.url)
        return NULL;
    struct server *s = mem_zalloc(sizeof *s);
    *s = (struct server){.owner = a,
                         .timeout_ms = conf->server.timeout_ms,
                         .ops = {.ctx = s,
                                 .recalled_max = conf->recalled_max,
                                 .recall_ms = conf->recall_ms,
                                 .tells_how = tells_how(&conf->server),
                                 .failure_ignores = conf->failure_ignores,
                                 .ask = on_ask}};
    s->pool = hook_pool_new(&(struct hook_pool_conf){.server = conf->server,
                                                     .threads = conf->threads,
                                                     .ctx = s,
                                                     .run = on_run,
                                                     .drop = on_drop,
                                                     .ctx_free = free},
                            a->log);
    return s->pool;
}

static const struct ask_ops *ops_of(struct hook_pool *p)
{
    return p ? &((const struct server *)hook_pool_ctx(p))->ops : NULL;
}

static struct hook_pool *pool_of(const struct ask_ops *ops)
{
    return ops ? ((const struct server *)ops->ctx)->pool : NULL;
}

enum err authz_server_new(struct authz *a, const struct authz_conf *conf, struct hook_pool **out)
{
    struct hook_pool *p = server_new(a, conf);
    enum err e = hook_pool_start(p);
    if (e == OK)
        *out = p;
    else
        hook_pool_free(p);
    return e;
}

/* On the shard. arg: a reference, or NULL. */
static void on_set(struct shard *sh, void *arg)
{
    hook_pool_unref(pool_of(gate_ask_set(sh, ops_of(arg))));
}

/* The shard does not run any more. */
static void on_set_drop(void *arg)
{
    hook_pool_unref(arg);
}

void authz_server_set(struct authz *a, struct hook_pool *server)
{
    for (uint32_t i = 0; i < a->shards; i++) {
        struct mailbag *bag = NULL;
        mailbag_push(
            &bag, UINT32_MAX,
            &(struct mail){
                .kind = MAIL_CALL, .u.fn = on_set, .drop = on_set_drop, .arg = hook_pool_ref(server)});
        a->post(a->post_ctx, i, bag);
    }
    hook_pools_set(&a->pools, server);
}

bool authz_is_on(struct authz *a)
{
    struct hook_pool *p = hook_pools_take(&a->pools);
    hook_pool_unref(p);
    return p != NULL;
}

bool authz_is_down(struct authz *a)
{
    return hook_pools_is_down(&a->pools);
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct authz *authz_new(const struct authz_conf *conf, uint32_t shards, struct log_sink *log)
{
    struct authz *a = mem_zalloc(sizeof *a);
    *a = (struct authz){.log = log, .shards = shards};
    hook_pools_init(&a->pools);
    hook_pools_set(&a->pools, server_new(a, conf));
    for (uint32_t i = 0; i < shards; i++)
        hook_pool_ref(a->pools.now);
    return a;
}

enum err authz_start(struct authz *a, void (*post)(void *ctx, uint32_t shard, struct mailbag *bag),
                     void *post_ctx)
{
    a->post = post;
    a->post_ctx = post_ctx;
    return hook_pool_start(a->pools.now);
}

void authz_stop(struct authz *a)
{
    if (a)
        hook_pools_stop(&a->pools);
}

void authz_free(struct authz *a)
{
    if (!a)
        return;
    hook_pools_fini(&a->pools);
    free(a);
}

const struct ask_ops *authz_ops(struct authz *a)
{
    return ops_of(a->pools.now);
}
