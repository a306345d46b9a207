/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn.h"

#include "node/auth/pwhash.h"
#include "node/core/identity.h"
#include "node/io/authn_files.h"
#include "node/io/authn_http.h"
#include "node/io/authn_jwt.h"
#include "node/io/authn_pool.h"
#include "node/io/remember.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

enum { STALL_MS = 1000 };

struct authn {
    struct authn_conf conf;
    struct vet_ops ops;
    struct remember *remember;
    struct authn_http *http; /* NULL: not configured */
    pthread_mutex_t lock;
    struct authn_pool *pool;
    struct authn_files *files; /* under lock */
    bool is_stale;             /* under lock: the last reload failed */
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
    return a->http && authn_http_is_down(a->http);
}

bool authn_is_stale(struct authn *a)
{
    pthread_mutex_lock(&a->lock);
    bool is_stale = a->is_stale;
    pthread_mutex_unlock(&a->lock);
    return is_stale;
}

enum err authn_read(struct authn *a, struct authn_files **out)
{
    enum err e = authn_files_read(out, &a->conf);
    if (e != OK)
        LOG(a->conf.log, LOG_ERROR, "auth not reloaded: what was read before stays in force");
    stale_set(a, e != OK);
    return e;
}

void authn_set(struct authn *a, struct authn_files *files)
{
    pthread_mutex_lock(&a->lock);
    struct authn_files *old = a->files;
    a->files = files;
    pthread_mutex_unlock(&a->lock);
    remember_reset(a->remember);
    files_unref(a, old);
}

enum err authn_reload(struct authn *a)
{
    struct authn_files *fresh;
    enum err e = authn_read(a, &fresh);
    if (e == OK)
        authn_set(a, fresh);
    return e;
}

/* ---- methods -------------------------------------------------------------------------------------- */

/* Whether a step may take its time. */
enum tempo { TEMPO_AT_ONCE, TEMPO_ANY };

static enum vet_verdict refuse(struct vet_answer *out, enum reason code, const char *text)
{
    out->code = code;
    out->text = text;
    return VET_REFUSE;
}

static enum vet_verdict password_file(struct authn *a, const struct authn_files *f, const struct vet_ask *q,
                                      struct vet_answer *out, enum tempo tempo)
{
    out->method = "password_file";
    if (!q->username.p || !q->password.p || !f->has_users)
        return VET_NEXT;
    const struct user *u = users_find(&f->users, q->username);
    struct remember_tag tag = remember_tag_of(a->remember, q->username, u ? u->hash : f->dummy, q->password);
    if (u && remember_has(a->remember, &tag))
        return VET_ACCEPT;
    if (tempo == TEMPO_AT_ONCE)
        return VET_WAIT;
    bool fits = pwhash_verify(u ? u->hash : f->dummy, q->password);
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

static enum vet_verdict step_run(struct authn *a, const struct authn_files *f, enum vet_step step,
                                 const struct vet_ask *q, struct vet_answer *out, enum tempo tempo)
{
    switch (step) {
    case VET_CERTIFICATE:
        return transport_identity_use(q, false, out);
    case VET_PSK:
        return transport_identity_use(q, true, out);
    case VET_JWT:
        if (tempo == TEMPO_AT_ONCE && jwt_keys_are_slow(f->jwt_keys))
            return VET_WAIT;
        return authn_jwt(&a->conf.jwt, f->jwt_keys, (uint64_t)time(NULL), q, out);
    case VET_HTTP: {
        enum vet_verdict v = authn_http_recall(a->http, q, out);
        return v == VET_WAIT && tempo == TEMPO_ANY ? authn_http_ask(a->http, q, out) : v;
    }
    case VET_PASSWORD_FILE:
        return password_file(a, f, q, out, tempo);
    }
    return VET_NEXT;
}

static enum vet_verdict chain_run(struct authn *a, const struct vet_ask *q, struct vet_answer *out,
                                  enum tempo tempo)
{
    const struct vet_chain *chain = &q->settings->vet;
    struct authn_files *f = files_ref(a);
    enum vet_verdict v = VET_NEXT;
    for (uint32_t i = 0; i < chain->n && v == VET_NEXT; i++)
        v = step_run(a, f, (enum vet_step)chain->step[i], q, out, tempo);
    files_unref(a, f);
    return v;
}

/* ---- asking --------------------------------------------------------------------------------------- */

static enum vet_verdict judge(void *ctx, const struct vet_ask *q, struct vet_answer *out)
{
    return chain_run(ctx, q, out, TEMPO_ANY);
}

static enum vet_verdict on_ask(void *ctx, const struct vet_ask *q, struct vet_answer *out, uint32_t **is_gone)
{
    struct authn *a = ctx;
    enum vet_verdict v = chain_run(a, q, out, TEMPO_AT_ONCE);
    if (v != VET_WAIT)
        return v;
    if (authn_pool_ask(a->pool, q, is_gone))
        return VET_WAIT;
    return refuse(out, RC_SERVER_BUSY, "Too many clients wait for their passwords to be checked");
}

/* ---- life ----------------------------------------------------------------------------------------- */

enum err authn_new(struct authn **out, const struct authn_conf *conf)
{
    struct authn *a = mem_zalloc(sizeof *a);
    a->conf = *conf;
    a->ops = (struct vet_ops){a, on_ask};
    pthread_mutex_init(&a->lock, NULL);
    a->remember = remember_new(conf->remembered_max);
    a->http = authn_http_new(&conf->http, conf->log);
    a->pool = authn_pool_new(&(struct authn_pool_conf){
        .threads = conf->threads + (a->http ? conf->http.threads : 0),
        .stall_ms = STALL_MS + (a->http ? conf->http.timeout_ms : 0),
        .judge = judge,
        .thread_end = authn_http_thread_end,
        .ctx = a,
    });
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
    return authn_pool_start(a->pool, post, post_ctx);
}

void authn_stop(struct authn *a)
{
    if (a)
        authn_pool_stop(a->pool);
}

void authn_free(struct authn *a)
{
    if (!a)
        return;
    authn_pool_free(a->pool);
    authn_http_free(a->http);
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
