/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn_http.h"

#include "node/core/identity.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { RECALL_SLOTS = 8192, RECALL_KEY = 32 };

/* What the server said of a request with this keyed hash. */
struct recall {
    uint8_t key[RECALL_KEY];
    uint64_t until_ms;
    struct hook_reply reply;
};

struct authn_http {
    struct authn *owner;
    struct hook_server *server;
    bool failure_ignores;
    uint32_t timeout_ms, cache_ms;
    uint8_t secret[crypto_generichash_KEYBYTES];
    pthread_mutex_t lock;
    struct recall *recalls; /* under lock; NULL: nothing is remembered */
};

static void on_free(void *ctx)
{
    struct authn_http *h = ctx;
    pthread_mutex_destroy(&h->lock);
    free(h->recalls);
    free(h);
}

struct hook_pool *authn_http_new(const struct authn_http_conf *conf, struct authn *owner,
                                 void (*run)(void *ctx, struct pool_job *j),
                                 void (*drop)(void *ctx, struct pool_job *j), struct log_sink *log)
{
    if (!*conf->server.url)
        return NULL;
    struct authn_http *h = mem_zalloc(sizeof *h);
    *h = (struct authn_http){.owner = owner,
                             .failure_ignores = conf->failure_ignores,
                             .timeout_ms = conf->server.timeout_ms,
                             .cache_ms = conf->cache_ms};
    randombytes_buf(h->secret, sizeof h->secret);
    pthread_mutex_init(&h->lock, NULL);
    if (conf->cache_ms)
        h->recalls = mem_zalloc(RECALL_SLOTS * sizeof *h->recalls);
    struct hook_pool *p = hook_pool_new(&(struct hook_pool_conf){.server = conf->server,
                                                                 .threads = conf->threads,
                                                                 .ctx = h,
                                                                 .run = run,
                                                                 .drop = drop,
                                                                 .ctx_free = on_free},
                                        log);
    h->server = hook_pool_server(p);
    return p;
}

struct authn *authn_http_owner(const struct authn_http *h)
{
    return h->owner;
}

/* ---- what is remembered --------------------------------------------------------------------------- */

static void hash_put(crypto_generichash_state *st, struct bytes b)
{
    uint64_t n = b.p ? (uint64_t)b.n + 1 : 0;
    crypto_generichash_update(st, (const uint8_t *)&n, sizeof n);
    crypto_generichash_update(st, b.p ? b.p : (const uint8_t *)"", b.n);
}

static struct hook_values values_of(const struct vet_ask *q)
{
    return (struct hook_values){
        .client_id = q->client_id,
        .username = q->username,
        .password = q->password,
        .peerhost = q->peerhost,
        .cert_common_name = q->identity ? q->identity->cert_name : bytes_of(NULL, 0),
    };
}

/* Of all that the server may have been told. */
static void key_make(const struct authn_http *h, const struct vet_ask *q, uint8_t key[RECALL_KEY])
{
    struct hook_values v = values_of(q);
    crypto_generichash_state st;
    crypto_generichash_init(&st, h->secret, sizeof h->secret, RECALL_KEY);
    hash_put(&st, v.client_id);
    hash_put(&st, v.username);
    hash_put(&st, v.password);
    hash_put(&st, v.peerhost);
    hash_put(&st, v.cert_common_name);
    crypto_generichash_final(&st, key, RECALL_KEY);
}

static struct recall *slot_of(const struct authn_http *h, const uint8_t key[RECALL_KEY])
{
    uint32_t at;
    memcpy(&at, key, sizeof at);
    return &h->recalls[at % RECALL_SLOTS];
}

static void keep(struct authn_http *h, const struct vet_ask *q, const struct hook_reply *reply)
{
    struct recall r = {.until_ms = mono_ms() + h->cache_ms, .reply = *reply};
    if (!h->recalls)
        return;
    key_make(h, q, r.key);
    pthread_mutex_lock(&h->lock);
    *slot_of(h, r.key) = r;
    pthread_mutex_unlock(&h->lock);
}

/* ---- verdicts ------------------------------------------------------------------------------------- */

static enum vet_verdict verdict_of(const struct hook_reply *r, struct vet_answer *out)
{
    switch (r->answer) {
    case HOOK_ALLOW:
        out->is_superuser = r->is_superuser;
        return VET_ACCEPT;
    case HOOK_DENY:
        out->code = RC_NOT_AUTHORIZED;
        out->text = "Refused by the server that was asked";
        return VET_REFUSE;
    case HOOK_IGNORE:
        break;
    }
    return VET_NEXT;
}

static enum vet_verdict unavailable(const struct authn_http *h, struct vet_answer *out)
{
    if (h->failure_ignores)
        return VET_NEXT;
    out->code = RC_SERVER_UNAVAILABLE;
    out->text = "The server that knows the clients does not answer";
    return VET_REFUSE;
}

enum vet_verdict authn_http_recall(struct authn_http *h, const struct vet_ask *q, struct vet_answer *out)
{
    uint8_t key[RECALL_KEY];
    bool is_there = false;
    struct hook_reply reply = {.answer = HOOK_IGNORE};
    if (!h->recalls)
        return VET_WAIT;
    key_make(h, q, key);
    pthread_mutex_lock(&h->lock);
    const struct recall *r = slot_of(h, key);
    if (mono_ms() < r->until_ms && sodium_memcmp(r->key, key, sizeof key) == 0) {
        is_there = true;
        reply = r->reply;
    }
    pthread_mutex_unlock(&h->lock);
    if (!is_there)
        return VET_WAIT;
    out->asked = HOOK_RECALLED;
    return verdict_of(&reply, out);
}

enum vet_verdict authn_http_full(const struct authn_http *h, struct vet_answer *out)
{
    out->asked = HOOK_QUEUE_FULL;
    return unavailable(h, out);
}

enum vet_verdict authn_http_ask(struct authn_http *h, const struct vet_ask *q, struct vet_answer *out)
{
    struct hook_values v = values_of(q);
    struct hook_reply reply;
    out->asked = hook_server_ask(h->server, &v, h->timeout_ms, &reply);
    switch (out->asked) {
    case HOOK_SAID_ALLOW:
    case HOOK_SAID_DENY: /* who is not known now may be in a moment */
        keep(h, q, &reply);
        return verdict_of(&reply, out);
    case HOOK_FAILED:
    case HOOK_LEFT_ALONE:
    case HOOK_QUEUE_FULL:
        return unavailable(h, out);
    case HOOK_NOT_ASKED:
    case HOOK_SAID_IGNORE:
    case HOOK_SAID_NOTHING:
    case HOOK_RECALLED:
        break;
    }
    return VET_NEXT;
}
