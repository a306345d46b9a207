/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn.h"

#include "node/auth/pwhash.h"
#include "node/core/identity.h"
#include "node/core/mail.h"
#include "node/core/shard.h"
#include "node/io/authn_files.h"
#include "node/io/authn_http.h"
#include "node/io/authn_jwt.h"
#include "node/io/authn_scram.h"
#include "node/io/hasher.h"
#include "node/io/hook_pool.h"
#include "node/io/pool.h"
#include "node/io/remember.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

enum { QUEUE_MAX = 20000, HASHER_STEP_MS = 1000 };

/* A question that a thread of a pool works on; from malloc(), with the strings behind it. */
struct job {
    struct pool_job pooled;
    uint32_t is_gone; /* atomic */
    uint32_t shard;
    uint32_t at; /* the step of the chain that is next */
    size_t n;    /* of the strings */
    struct vet_ask ask;
    struct settings settings; /* a copy: the connection may be gone */
    struct identity *identity;
    struct vet_answer answer;
    uint8_t data[];
};

struct authn {
    struct authn_conf conf;
    struct vet_ops ops;
    uint8_t scram_seed[SCRAM_KEY_N]; /* where the password file has none */
    struct remember *remember;
    struct hook_pools http; /* of struct authn_http; they mostly wait */
    struct hasher *hasher;
    struct pool *passwords; /* each waits for the hasher */
    pthread_mutex_t lock;
    struct authn_files *files; /* under lock */
    bool is_stale;             /* under lock: the last reload failed */
    void (*post)(void *ctx, uint32_t shard, struct mailbag *bag);
    void *post_ctx;
};

/* ---- files ---------------------------------------------------------------------------------------- */

static struct authn_files *files_ref(struct authn *a)
{
    pthread_mutex_lock(&a->lock);
    struct authn_files *f = a->files;
    f->refs++;
    pthread_mutex_unlock(&a->lock);
    return f;
}

static void files_unref(struct authn *a, struct authn_files *f)
{
    pthread_mutex_lock(&a->lock);
    bool is_last = --f->refs == 0;
    pthread_mutex_unlock(&a->lock);
    if (is_last)
        authn_files_free(f);
}

static void stale_set(struct authn *a, bool is_stale)
{
    pthread_mutex_lock(&a->lock);
    a->is_stale = is_stale;
    pthread_mutex_unlock(&a->lock);
}

bool authn_is_server_down(struct authn *a)
{
    return hook_pools_is_down(&a->http);
}

bool authn_is_stale(struct authn *a)
{
    pthread_mutex_lock(&a->lock);
    bool is_stale = a->is_stale;
    pthread_mutex_unlock(&a->lock);
    return is_stale;
}

enum err authn_read(struct authn *a, const struct authn_conf *conf, struct authn_files **out)
{
    enum err e = authn_files_read(out, conf);
    if (e != OK)
        LOG(a->conf.log, LOG_ERROR, "auth not reloaded: what was read before stays in force");
    stale_set(a, e != OK);
    return e;
}

void authn_set(struct authn *a, const struct authn_conf *conf, struct authn_files *files)
{
    pthread_mutex_lock(&a->lock);
    struct authn_files *old = a->files;
    a->files = files;
    pthread_mutex_unlock(&a->lock);
    a->conf = *conf;
    remember_reset(a->remember);
    files_unref(a, old);
}

enum err authn_reload(struct authn *a)
{
    struct authn_conf same = a->conf;
    struct authn_files *fresh;
    enum err e = authn_read(a, &same, &fresh);
    if (e == OK)
        authn_set(a, &same, fresh);
    return e;
}

/* ---- methods -------------------------------------------------------------------------------------- */

/* What a step may take its time for, here. */
struct pace {
    bool has_time;             /* for passwords and signatures */
    struct authn_http *asking; /* the server that may be asked; NULL: none */
};
static const struct pace at_once = {0}, with_passwords = {.has_time = true};

static enum vet_verdict refuse(struct vet_answer *out, enum reason code, const char *text)
{
    out->code = code;
    out->text = text;
    return VET_REFUSE;
}

static enum vet_verdict password_file(struct authn *a, const struct authn_files *f, const struct vet_ask *q,
                                      struct vet_answer *out, const struct pace *pace)
{
    out->method = "password_file";
    if (!q->username.p || !q->password.p || !f->has_users)
        return VET_NEXT;
    const struct user *u = users_find(&f->users, q->username);
    struct remember_tag tag = remember_tag_of(a->remember, q->username, u ? u->hash : f->dummy, q->password);
    if (u && remember_has(a->remember, &tag))
        return VET_ACCEPT;
    if (!pace->has_time)
        return VET_WAIT;
    bool fits = hasher_verify(a->hasher, u ? u->hash : f->dummy, q->password);
    if (!u)
        return VET_NEXT;
    if (!fits)
        return refuse(out, RC_BAD_USER_NAME_OR_PASSWORD, "Bad user name or password");
    remember_add(a->remember, &tag);
    return VET_ACCEPT;
}

/* What the transport has proven needs no other proof; the name is its own, whatever the client calls itself.
 */
static enum vet_verdict transport_identity_use(const struct vet_ask *q, bool is_psk, struct vet_answer *out)
{
    const struct identity *i = q->identity;
    if (!i || !i->user.p || i->is_psk != is_psk)
        return VET_NEXT;
    out->username = mem_dup(i->user.p, i->user.n);
    return VET_ACCEPT;
}

/* asking: the server that this thread may ask; NULL: none, what is remembered is all. */
static enum vet_verdict http(struct authn *a, struct authn_http *asking, const struct vet_ask *q,
                             struct vet_answer *out)
{
    struct hook_pool *p = asking ? NULL : hook_pools_take(&a->http);
    struct authn_http *h = p ? hook_pool_ctx(p) : asking;
    if (!h) /* it has just been turned off */
        return VET_NEXT;
    enum vet_verdict v = authn_http_recall(h, q, out);
    hook_pool_unref(p);
    return v == VET_WAIT && asking ? authn_http_ask(asking, q, out) : v;
}

/* A step may be of a listener as it was before a reload turned its method off: then it knows nobody. */
static enum vet_verdict step_run(struct authn *a, const struct authn_files *f, enum vet_step step,
                                 const struct vet_ask *q, struct vet_answer *out, const struct pace *pace)
{
    switch (step) {
    case VET_CERTIFICATE:
        return transport_identity_use(q, false, out);
    case VET_PSK:
        return transport_identity_use(q, true, out);
    case VET_JWT:
        if (!f->jwt_keys)
            return VET_NEXT;
        if (!pace->has_time && jwt_keys_are_slow(f->jwt_keys))
            return VET_WAIT;
        return authn_jwt(&f->jwt, f->jwt_keys, (uint64_t)time(NULL), q, out);
    case VET_HTTP:
        return http(a, pace->asking, q, out);
    case VET_PASSWORD_FILE:
        return password_file(a, f, q, out, pace);
    }
    return VET_NEXT;
}

/* From the step *at on, which becomes the one that says VET_WAIT. */
static enum vet_verdict chain_run(struct authn *a, const struct vet_ask *q, struct vet_answer *out,
                                  uint32_t *at, const struct pace *pace)
{
    const struct vet_chain *chain = &q->settings->vet;
    struct authn_files *f = files_ref(a);
    enum vet_verdict v = VET_NEXT;
    for (; *at < chain->n; ++*at) {
        v = step_run(a, f, (enum vet_step)chain->step[*at], q, out, pace);
        if (v != VET_NEXT)
            break;
    }
    files_unref(a, f);
    return v;
}

/* ---- jobs ----------------------------------------------------------------------------------------- */

static struct job *job_new(const struct vet_ask *q, uint32_t at_step)
{
    size_t n = (size_t)q->client_id.n + q->username.n + q->password.n + q->peerhost.n;
    struct job *j = mem_alloc(sizeof *j + n);
    uint8_t *at = j->data;
    *j = (struct job){.shard = q->shard, .at = at_step, .n = n, .ask = *q, .settings = *q->settings};
    j->ask.settings = &j->settings;
    j->ask.client_id = bytes_keep(&at, q->client_id);
    j->ask.username = bytes_keep(&at, q->username);
    j->ask.password = bytes_keep(&at, q->password);
    j->ask.peerhost = bytes_keep(&at, q->peerhost);
    const struct identity *i = q->identity;
    j->identity = i ? identity_new(i->cert_name, i->user, i->is_psk) : NULL;
    j->ask.identity = j->identity;
    j->answer.token = q->token;
    return j;
}

static void job_free(void *arg)
{
    struct job *j = arg;
    sodium_memzero(j->data, j->n);
    free(j->identity);
    free(j);
}

/* Nobody will read the answer. */
static void job_drop(void *arg)
{
    struct job *j = arg;
    vet_answer_fini(&j->answer);
    job_free(j);
}

static void job_deliver(struct shard *sh, void *arg)
{
    struct job *j = arg;
    vet_on_answer(sh, &j->answer);
    job_free(j);
}

static bool is_at_http(const struct job *j)
{
    return j->settings.vet.step[j->at] == VET_HTTP;
}

/* Into the queue of the step that it has come to. False: it is still the caller's, and *v is what it means
 * that no more can wait there. */
static bool job_push(struct authn *a, struct job *j, enum vet_verdict *v)
{
    if (!is_at_http(j)) {
        bool is_taken = pool_push(a->passwords, &j->pooled);
        if (!is_taken)
            *v =
                refuse(&j->answer, RC_SERVER_BUSY, "Too many clients wait for their passwords to be checked");
        return is_taken;
    }
    struct hook_pool *p = hook_pools_take(&a->http);
    bool is_taken = p && hook_pool_push(p, &j->pooled);
    if (!is_taken)
        *v = p ? authn_http_full(hook_pool_ctx(p), &j->answer) : VET_NEXT;
    hook_pool_unref(p);
    return is_taken;
}

/* Others than VET_WAIT: it is still the caller's. */
static enum vet_verdict job_queue(struct authn *a, struct job *j, const struct pace *pace)
{
    enum vet_verdict v = VET_WAIT;
    while (v == VET_WAIT && !job_push(a, j, &v)) {
        if (v != VET_NEXT)
            continue;
        j->at++;
        v = chain_run(a, &j->ask, &j->answer, &j->at, pace);
    }
    return v;
}

static void job_run(struct authn *a, struct job *j, const struct pace *pace)
{
    struct mailbag *bag = NULL;
    /* Whoever has gone does not cost the others who wait. The answer still goes: it frees the job. */
    enum vet_verdict v = VET_REFUSE;
    if (!__atomic_load_n(&j->is_gone, __ATOMIC_RELAXED))
        v = chain_run(a, &j->ask, &j->answer, &j->at, pace);
    if (v == VET_WAIT && (v = job_queue(a, j, pace)) == VET_WAIT)
        return;
    j->answer.verdict = v;
    mailbag_push(&bag, UINT32_MAX,
                 &(struct mail){.kind = MAIL_CALL, .u.fn = job_deliver, .drop = job_drop, .arg = j});
    a->post(a->post_ctx, j->shard, bag);
}

static void on_password_job(void *ctx, struct pool_job *p)
{
    job_run(ctx, container_of(p, struct job, pooled), &with_passwords);
}

static void on_request_job(void *ctx, struct pool_job *p)
{
    struct authn_http *h = ctx;
    job_run(authn_http_owner(h), container_of(p, struct job, pooled), &(struct pace){.asking = h});
}

static void on_job_dropped(void *ctx, struct pool_job *p)
{
    (void)ctx;
    job_drop(container_of(p, struct job, pooled));
}

static enum vet_verdict on_ask(void *ctx, const struct vet_ask *q, struct vet_answer *out, uint32_t **is_gone)
{
    struct authn *a = ctx;
    uint32_t at = 0;
    enum vet_verdict v = chain_run(a, q, out, &at, &at_once);
    if (v != VET_WAIT)
        return v;
    struct job *j = job_new(q, at);
    *is_gone = &j->is_gone;
    v = job_queue(a, j, &at_once);
    if (v == VET_WAIT)
        return v;
    *out = j->answer;
    job_free(j);
    return v;
}

static enum vet_verdict on_scram(void *ctx, const struct vet_scram_ask *q, struct vet_scram **x,
                                 struct vet_reply *reply, struct vet_answer *out)
{
    struct authn *a = ctx;
    struct authn_files *f = files_ref(a);
    enum vet_verdict v = authn_scram(f->has_users ? &f->users : NULL, a->scram_seed, q, x, reply, out);
    files_unref(a, f);
    return v;
}

/* ---- life ----------------------------------------------------------------------------------------- */

enum err authn_new(struct authn **out, const struct authn_conf *conf)
{
    struct authn *a = mem_zalloc(sizeof *a);
    a->conf = *conf;
    a->ops = (struct vet_ops){.ctx = a, .ask = on_ask, .scram = on_scram, .scram_free = authn_scram_free};
    randombytes_buf(a->scram_seed, sizeof a->scram_seed);
    pthread_mutex_init(&a->lock, NULL);
    a->remember = remember_new(conf->remembered_max);
    a->hasher = hasher_new(
        &(struct hasher_conf){.threads = conf->threads, .step_ms = HASHER_STEP_MS, .verify = pwhash_verify});
    a->passwords = pool_new(&(struct pool_conf){.threads = conf->threads,
                                                .queue_max = QUEUE_MAX,
                                                .ctx = a,
                                                .run = on_password_job,
                                                .drop = on_job_dropped});
    hook_pools_init(&a->http);
    hook_pools_set(&a->http, authn_http_new(&conf->http, a, on_request_job, on_job_dropped, conf->log));
    enum err e = authn_files_read(&a->files, conf);
    if (e != OK) {
        authn_free(a);
        return e;
    }
    *out = a;
    return OK;
}

enum err authn_start(struct authn *a, void (*post)(void *ctx, uint32_t shard, struct mailbag *bag),
                     void *post_ctx)
{
    a->post = post;
    a->post_ctx = post_ctx;
    enum err e = hasher_start(a->hasher);
    if (e == OK)
        e = pool_start(a->passwords);
    return e == OK ? hook_pool_start(a->http.now) : e;
}

enum err authn_server_new(struct authn *a, const struct authn_conf *conf, struct hook_pool **out)
{
    struct hook_pool *p = authn_http_new(&conf->http, a, on_request_job, on_job_dropped, conf->log);
    enum err e = hook_pool_start(p);
    if (e == OK)
        *out = p;
    else
        hook_pool_free(p);
    return e;
}

void authn_server_set(struct authn *a, struct hook_pool *server)
{
    hook_pools_set(&a->http, server);
}

void authn_stop(struct authn *a)
{
    if (!a)
        return;
    hook_pools_stop(&a->http);
    pool_stop(a->passwords);
    hasher_stop(a->hasher);
}

void authn_free(struct authn *a)
{
    if (!a)
        return;
    pool_free(a->passwords);
    hasher_free(a->hasher);
    hook_pools_fini(&a->http);
    if (a->files)
        authn_files_free(a->files);
    remember_free(a->remember);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

const struct vet_ops *authn_ops(const struct authn *a)
{
    return &a->ops;
}
