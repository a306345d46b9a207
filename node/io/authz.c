/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authz.h"

#include "node/core/mail.h"
#include "node/core/shard.h"
#include "proto/base/clock.h"
#include "node/io/pool.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 20000 };

struct job {
    struct pool_job pooled;
    uint64_t until_ms; /* monotonic: later it need not be asked any more */
    struct gate_question *ask;
};

struct authz {
    struct authz_conf conf;
    struct ask_ops ops;
    struct hook_server *server;
    struct pool *pool;
    void (*post)(void *ctx, uint32_t shard, struct mailbag *bag);
    void *post_ctx;
};

static void on_run(void *ctx, struct pool_job *p)
{
    struct authz *a = ctx;
    struct job *j = container_of(p, struct job, pooled);
    struct gate_question *q = j->ask;
    struct hook_reply reply;
    struct mailbag *bag = NULL;
    uint64_t now = mono_ms();
    /* Whoever has gone does not cost the others who wait. The answer still goes: it frees the question. */
    if (!__atomic_load_n(&q->is_gone, __ATOMIC_RELAXED))
        q->outcome = hook_server_ask(a->server, &q->values,
                                     now < j->until_ms ? (uint32_t)(j->until_ms - now) : 0, &reply);
    free(j);
    mailbag_push(&bag, UINT32_MAX,
                 &(struct mail){.kind = MAIL_CALL, .u.fn = gate_on_answer, .drop = gate_ask_drop, .arg = q});
    a->post(a->post_ctx, q->shard, bag);
}

static void on_drop(void *ctx, struct pool_job *p)
{
    struct job *j = container_of(p, struct job, pooled);
    (void)ctx;
    gate_ask_drop(j->ask);
    free(j);
}

static void on_thread_end(void *ctx)
{
    (void)ctx;
    hook_server_thread_end();
}

static bool on_ask(void *ctx, struct gate_question *q)
{
    struct authz *a = ctx;
    struct job *j = mem_alloc(sizeof *j);
    *j = (struct job){.until_ms = mono_ms() + a->conf.server.timeout_ms, .ask = q};
    bool is_taken = pool_push(a->pool, &j->pooled);
    if (!is_taken)
        free(j);
    return is_taken;
}

/* Does what the server is told say how something is published or subscribed? */
static bool tells_how(const struct hook_server_conf *c)
{
    return strstr(c->url, "${qos}") || strstr(c->url, "${retain}") ||
           (c->is_post && (strstr(c->body, "${qos}") || strstr(c->body, "${retain}")));
}

struct authz *authz_new(const struct authz_conf *conf, struct log_sink *log)
{
    if (!*conf->server.url)
        return NULL;
    struct authz *a = mem_zalloc(sizeof *a);
    a->conf = *conf;
    a->ops = (struct ask_ops){.ctx = a,
                              .recalled_max = conf->recalled_max,
                              .recall_ms = conf->recall_ms,
                              .tells_how = tells_how(&conf->server),
                              .failure_ignores = conf->failure_ignores,
                              .ask = on_ask};
    a->server = hook_server_new(&conf->server, log);
    a->pool = pool_new(&(struct pool_conf){.threads = conf->threads,
                                           .queue_max = QUEUE_MAX,
                                           .ctx = a,
                                           .run = on_run,
                                           .drop = on_drop,
                                           .thread_end = on_thread_end});
    return a;
}

enum err authz_start(struct authz *a, void (*post)(void *ctx, uint32_t shard, struct mailbag *bag),
                     void *post_ctx)
{
    if (!a)
        return OK;
    a->post = post;
    a->post_ctx = post_ctx;
    return pool_start(a->pool);
}

void authz_stop(struct authz *a)
{
    if (!a)
        return;
    hook_server_stop(a->server);
    pool_stop(a->pool);
}

void authz_free(struct authz *a)
{
    if (!a)
        return;
    pool_free(a->pool);
    hook_server_free(a->server);
    free(a);
}

const struct ask_ops *authz_ops(const struct authz *a)
{
    return a ? &a->ops : NULL;
}

bool authz_is_down(struct authz *a)
{
    return hook_server_is_down(a->server);
}
