/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn.h"

#include "node/auth/pwhash.h"
#include "node/core/identity.h"
#include "node/core/mail.h"
#include "node/core/shard.h"
#include "node/io/authn_files.h"
#include "node/io/authn_http.h"
#include "node/io/authn_jwt.h"
#include "node/io/remember.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 128, QUEUE_MAX = 20000 };

/* A question that a thread of the pool works on; from malloc(), with the strings behind it. */
struct job {
    struct list link;
    uint32_t is_gone; /* atomic */
    uint32_t shard;
    size_t n; /* of the strings */
    struct vet_ask ask;
    struct settings settings; /* a copy: the connection may be gone */
    struct identity *identity;
    struct vet_answer answer;
    uint8_t data[];
};

struct authn {
    struct authn_conf conf;
    struct vet_ops ops;
    struct remember *remember;
    struct authn_http *http; /* NULL: not configured */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct authn_files *files; /* under lock */
    struct list queue;         /* jobs; under lock */
    uint32_t queue_n;
    bool is_stopping; /* under lock */
    bool is_stale;    /* under lock: the last reload failed */
    uint32_t threads_n;
    pthread_t threads[THREADS_MAX];
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

/* ---- the pool ------------------------------------------------------------------------------------- */

static struct bytes part_put(uint8_t **at, struct bytes b)
{
    struct bytes copy = bytes_of(*at, b.n);
    *at = bytes_put(*at, b);
    return b.p ? copy : b;
}

static struct job *job_new(const struct vet_ask *q)
{
    size_t n = (size_t)q->client_id.n + q->username.n + q->password.n + q->peerhost.n;
    struct job *j = mem_alloc(sizeof *j + n);
    uint8_t *at = j->data;
    *j = (struct job){.shard = q->shard, .n = n, .ask = *q, .settings = *q->settings};
    j->ask.settings = &j->settings;
    j->ask.client_id = part_put(&at, q->client_id);
    j->ask.username = part_put(&at, q->username);
    j->ask.password = part_put(&at, q->password);
    j->ask.peerhost = part_put(&at, q->peerhost);
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

static struct job *job_take(struct authn *a)
{
    struct list *l = NULL;
    pthread_mutex_lock(&a->lock);
    while (!a->is_stopping && !(l = list_pop(&a->queue)))
        pthread_cond_wait(&a->cond, &a->lock);
    a->queue_n -= l != NULL;
    pthread_mutex_unlock(&a->lock);
    return l ? container_of(l, struct job, link) : NULL;
}

enum { POOL_NICE = 15 };

/* Workers go first where processors are few. On Linux a priority is a thread's own; without it all is as
 * good, but the messages of others wait longer. */
static void priority_lower(void)
{
    int e = setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), POOL_NICE);
    (void)e;
}

static void *pool_thread(void *arg)
{
    struct authn *a = arg;
    struct job *j;
    priority_lower();
    while ((j = job_take(a))) {
        struct mailbag *bag = NULL;
        /* Whoever has gone does not cost the others who wait. The answer still goes: it frees the job. */
        j->answer.verdict = VET_REFUSE;
        if (!__atomic_load_n(&j->is_gone, __ATOMIC_RELAXED))
            j->answer.verdict = chain_run(a, &j->ask, &j->answer, TEMPO_ANY);
        mailbag_push(&bag, UINT32_MAX,
                     &(struct mail){.kind = MAIL_CALL, .u.fn = job_deliver, .drop = job_drop, .arg = j});
        a->post(a->post_ctx, j->shard, bag);
    }
    authn_http_thread_end();
    return NULL;
}

static enum vet_verdict on_ask(void *ctx, const struct vet_ask *q, struct vet_answer *out, uint32_t **is_gone)
{
    struct authn *a = ctx;
    enum vet_verdict v = chain_run(a, q, out, TEMPO_AT_ONCE);
    if (v != VET_WAIT)
        return v;
    struct job *j = job_new(q);
    pthread_mutex_lock(&a->lock);
    bool is_full = a->queue_n >= QUEUE_MAX;
    if (!is_full) {
        *is_gone = &j->is_gone;
        list_push(&a->queue, &j->link);
        a->queue_n++;
        pthread_cond_signal(&a->cond);
    }
    pthread_mutex_unlock(&a->lock);
    if (!is_full)
        return VET_WAIT;
    job_free(j);
    return refuse(out, RC_SERVER_BUSY, "Too many clients wait for their passwords to be checked");
}

/* ---- life ----------------------------------------------------------------------------------------- */

enum err authn_new(struct authn **out, const struct authn_conf *conf)
{
    struct authn *a = mem_zalloc(sizeof *a);
    CHECK(conf->threads && conf->threads <= THREADS_MAX);
    a->conf = *conf;
    a->ops = (struct vet_ops){a, on_ask};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->cond, NULL);
    list_init(&a->queue);
    a->remember = remember_new(conf->remembered_max);
    a->http = authn_http_new(&conf->http, conf->log);
    if (a->http)
        a->conf.threads += conf->http.threads;
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
    while (a->threads_n < a->conf.threads) {
        if (pthread_create(&a->threads[a->threads_n], NULL, pool_thread, a) != 0)
            return ERR_LIMIT;
        a->threads_n++;
    }
    return OK;
}

void authn_stop(struct authn *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->is_stopping = true;
    pthread_cond_broadcast(&a->cond);
    pthread_mutex_unlock(&a->lock);
    while (a->threads_n)
        pthread_join(a->threads[--a->threads_n], NULL);
}

void authn_free(struct authn *a)
{
    struct list *l;
    if (!a)
        return;
    CHECK(a->threads_n == 0);
    authn_http_free(a->http);
    while ((l = list_pop(&a->queue)))
        job_drop(container_of(l, struct job, link));
    if (a->files)
        authn_files_free(a->files);
    remember_free(a->remember);
    pthread_cond_destroy(&a->cond);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

const struct vet_ops *authn_ops(const struct authn *a)
{
    return &a->ops;
}
