/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn_http.h"

#include "node/auth/hook.h"
#include "node/core/identity.h"
#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_MAX = 64 * 1024, RECALL_SLOTS = 8192, RECALL_KEY = 32 };

/* What the server said of a request with this keyed hash. */
struct recall {
    uint8_t key[RECALL_KEY];
    uint64_t until_ms;
    enum hook_answer answer;
};

struct authn_http {
    struct authn_http_conf conf;
    struct log_sink *log;
    struct curl_slist *headers;
    enum hook_encoding body_encoding;
    uint8_t secret[crypto_generichash_KEYBYTES];
    pthread_mutex_t lock;
    struct breaker breaker; /* under lock, like the rest */
    uint64_t malformed_told_ms;
    struct recall *recalls; /* NULL: nothing is remembered */
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- life ----------------------------------------------------------------------------------------- */

const char *authn_http_header_judge(const char *header)
{
    const char *colon = strchr(header, ':');
    if (!colon || colon == header)
        return "must be NAME: VALUE";
    return strpbrk(header, "\r\n") ? "has a line break" : strstr(header, "${") ? "has a placeholder" : NULL;
}

static bool is_form(const char *const *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncasecmp(headers[i], "content-type:", 13) == 0 && strstr(headers[i], "x-www-form-urlencoded"))
            return true;
    return false;
}

static bool has_type(const char *const *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncasecmp(headers[i], "content-type:", 13) == 0)
            return true;
    return false;
}

struct authn_http *authn_http_new(const struct authn_http_conf *conf, struct log_sink *log)
{
    if (!*conf->url)
        return NULL;
    struct authn_http *h = mem_zalloc(sizeof *h);
    h->conf = *conf;
    h->log = log;
    h->body_encoding = is_form(conf->headers, conf->headers_n) ? HOOK_URL : HOOK_JSON;
    for (size_t i = 0; i < conf->headers_n; i++)
        h->headers = curl_slist_append(h->headers, conf->headers[i]);
    if (!has_type(conf->headers, conf->headers_n) && conf->is_post)
        h->headers = curl_slist_append(h->headers, "Content-Type: application/json");
    h->headers = curl_slist_append(h->headers, "Expect:"); /* no round trip before the body */
    randombytes_buf(h->secret, sizeof h->secret);
    pthread_mutex_init(&h->lock, NULL);
    if (conf->cache_ms)
        h->recalls = mem_zalloc(RECALL_SLOTS * sizeof *h->recalls);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return h;
}

void authn_http_free(struct authn_http *h)
{
    if (!h)
        return;
    curl_slist_free_all(h->headers);
    pthread_mutex_destroy(&h->lock);
    free(h->recalls);
    free(h);
    curl_global_cleanup();
}

bool authn_http_is_down(struct authn_http *h)
{
    pthread_mutex_lock(&h->lock);
    bool is_down = breaker_is_open(&h->breaker);
    pthread_mutex_unlock(&h->lock);
    return is_down;
}

/* ---- what is remembered --------------------------------------------------------------------------- */

static void hash_put(crypto_generichash_state *st, struct bytes b)
{
    uint64_t n = b.p ? (uint64_t)b.n + 1 : 0;
    crypto_generichash_update(st, (const uint8_t *)&n, sizeof n);
    crypto_generichash_update(st, b.p ? b.p : (const uint8_t *)"", b.n);
}

static struct hook_client client_of(const struct vet_ask *q)
{
    return (struct hook_client){q->client_id, q->username, q->password, q->peerhost,
                                q->identity ? q->identity->cert_name : bytes_of(NULL, 0)};
}

/* Of all that the server may have been told. */
static void key_make(const struct authn_http *h, const struct vet_ask *q, uint8_t key[RECALL_KEY])
{
    struct hook_client c = client_of(q);
    crypto_generichash_state st;
    crypto_generichash_init(&st, h->secret, sizeof h->secret, RECALL_KEY);
    hash_put(&st, c.client_id);
    hash_put(&st, c.username);
    hash_put(&st, c.password);
    hash_put(&st, c.peerhost);
    hash_put(&st, c.cert_common_name);
    crypto_generichash_final(&st, key, RECALL_KEY);
}

static struct recall *slot_of(const struct authn_http *h, const uint8_t key[RECALL_KEY])
{
    uint32_t at;
    memcpy(&at, key, sizeof at);
    return &h->recalls[at % RECALL_SLOTS];
}

static enum vet_verdict verdict_of(enum hook_answer a, struct vet_answer *out)
{
    switch (a) {
    case HOOK_ALLOW:
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

enum vet_verdict authn_http_recall(struct authn_http *h, const struct vet_ask *q, struct vet_answer *out)
{
    uint8_t key[RECALL_KEY];
    bool is_there = false;
    enum hook_answer a = HOOK_IGNORE;
    if (!h->recalls)
        return VET_WAIT;
    key_make(h, q, key);
    pthread_mutex_lock(&h->lock);
    const struct recall *r = slot_of(h, key);
    if (now_ms() < r->until_ms && sodium_memcmp(r->key, key, sizeof key) == 0) {
        is_there = true;
        a = r->answer;
    }
    pthread_mutex_unlock(&h->lock);
    return is_there ? verdict_of(a, out) : VET_WAIT;
}

static void keep(struct authn_http *h, const struct vet_ask *q, enum hook_answer a)
{
    struct recall r = {.until_ms = now_ms() + h->conf.cache_ms, .answer = a};
    if (!h->recalls)
        return;
    key_make(h, q, r.key);
    pthread_mutex_lock(&h->lock);
    *slot_of(h, r.key) = r;
    pthread_mutex_unlock(&h->lock);
}

/* ---- asking --------------------------------------------------------------------------------------- */

/* A thread keeps its connection. */
static _Thread_local CURL *thread_curl;

void authn_http_thread_end(void)
{
    if (thread_curl)
        curl_easy_cleanup(thread_curl);
    thread_curl = NULL;
}

struct reply {
    size_t n;
    uint8_t p[ANSWER_MAX];
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct reply *r = arg;
    if (size * n > sizeof r->p - r->n)
        return 0; /* ends the transfer */
    memcpy(r->p + r->n, p, size * n);
    r->n += size * n;
    return size * n;
}

static void curl_prepare(CURL *c, const struct authn_http *h, const char *url, const char *body,
                         struct reply *r)
{
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)h->conf.timeout_ms);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)h->conf.timeout_ms);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "covey/" COVEY_VERSION);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
    if (*h->conf.cafile)
        curl_easy_setopt(c, CURLOPT_CAINFO, h->conf.cafile);
    if (body)
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
}

static void text_wipe(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
}

/* False: it does not answer; *why says why. */
static bool request(const struct authn_http *h, const struct vet_ask *q, long *status, struct reply *r,
                    const char **why)
{
    struct hook_client client = client_of(q);
    if (!thread_curl)
        thread_curl = curl_easy_init();
    if (!thread_curl)
        return false;
    char *url = hook_fill(h->conf.url, HOOK_URL, &client);
    char *body = h->conf.is_post ? hook_fill(h->conf.body, h->body_encoding, &client) : NULL;
    curl_prepare(thread_curl, h, url, body, r);
    CURLcode code = curl_easy_perform(thread_curl);
    *why = curl_easy_strerror(code);
    curl_easy_getinfo(thread_curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_setopt(thread_curl, CURLOPT_POSTFIELDS, NULL);
    text_wipe(url);
    text_wipe(body);
    if (code == CURLE_WRITE_ERROR) /* longer than an answer may be: it is one, and is not understood */
        r->n = 0;
    return code == CURLE_OK || code == CURLE_WRITE_ERROR;
}

/* Once a second at most: answers come by the thousand. */
static void malformed_tell(struct authn_http *h)
{
    uint64_t now = now_ms();
    pthread_mutex_lock(&h->lock);
    bool is_due = now >= h->malformed_told_ms + 1000;
    if (is_due)
        h->malformed_told_ms = now;
    pthread_mutex_unlock(&h->lock);
    if (is_due)
        LOG(h->log, LOG_WARNING, "auth http answer not understood, taken for \"ignore\"");
}

/* Whether the server has opened or closed the breaker by it is a line in the log. */
static void outcome_note(struct authn_http *h, bool has_answered, bool is_probe, const char *why)
{
    pthread_mutex_lock(&h->lock);
    bool was_open = breaker_is_open(&h->breaker);
    breaker_note(&h->breaker, has_answered, is_probe, now_ms());
    bool is_open = breaker_is_open(&h->breaker);
    pthread_mutex_unlock(&h->lock);
    if (is_open && !was_open)
        LOG(h->log, LOG_ERROR, "auth http server does not answer, it is left alone for a while error=\"%s\"",
            why);
    if (was_open && !is_open)
        LOG(h->log, LOG_NOTICE, "auth http server answers again");
}

static enum vet_verdict unavailable(const struct authn_http *h, struct vet_answer *out)
{
    if (h->conf.failure_ignores)
        return VET_NEXT;
    out->code = RC_SERVER_UNAVAILABLE;
    out->text = "The server that knows the clients does not answer";
    return VET_REFUSE;
}

/* JSON cannot say what is no UTF-8. */
static bool is_sayable(const struct authn_http *h, const struct vet_ask *q)
{
    return !h->conf.is_post || h->body_encoding != HOOK_JSON || utf8_is_valid(q->password);
}

enum vet_verdict authn_http_ask(struct authn_http *h, const struct vet_ask *q, struct vet_answer *out)
{
    const char *why = "";
    long status = 0;
    bool is_malformed, is_probe;
    if (!is_sayable(h, q))
        return VET_NEXT;
    pthread_mutex_lock(&h->lock);
    bool lets = breaker_lets(&h->breaker, now_ms(), &is_probe);
    pthread_mutex_unlock(&h->lock);
    if (!lets)
        return unavailable(h, out);
    struct reply *r = mem_zalloc(sizeof *r);
    bool has_answered = request(h, q, &status, r, &why);
    outcome_note(h, has_answered, is_probe, why);
    enum hook_answer a = hook_answer_read(status, bytes_of(r->p, r->n), &is_malformed);
    free(r);
    if (!has_answered)
        return unavailable(h, out);
    if (is_malformed)
        malformed_tell(h);
    if (a != HOOK_IGNORE) /* who is not known now may be in a moment */
        keep(h, q, a);
    return verdict_of(a, out);
}
