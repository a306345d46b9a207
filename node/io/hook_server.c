/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/hook_server.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 64 * 1024, TELL_EVERY_MS = 1000 };

struct hook_server {
    struct hook_server_conf conf; /* without its headers */
    char *url, *body, *cafile;    /* what it points at */
    struct log_sink *log;
    struct curl_slist *headers;
    enum hook_encoding body_encoding;
    bool is_stopping; /* atomic */
    pthread_mutex_t lock;
    struct breaker breaker; /* under lock, like the rest */
    uint64_t malformed_told_ms;
};

/* ---- life ----------------------------------------------------------------------------------------- */

/* NULL: there is none. */
static const char *content_type(const struct hook_server_conf *conf)
{
    for (size_t i = 0; i < conf->headers_n; i++)
        if (strncasecmp(conf->headers[i], "content-type:", 13) == 0)
            return conf->headers[i];
    return NULL;
}

struct hook_server *hook_server_new(const struct hook_server_conf *conf, struct log_sink *log)
{
    struct hook_server *h = mem_zalloc(sizeof *h);
    const char *type = content_type(conf);
    h->conf = *conf;
    h->conf.url = h->url = mem_text(conf->url);
    h->conf.body = h->body = mem_text(conf->body);
    h->conf.cafile = h->cafile = mem_text(conf->cafile);
    h->conf.headers = NULL;
    h->log = log;
    h->body_encoding = type && strstr(type, "x-www-form-urlencoded") ? HOOK_URL : HOOK_JSON;
    for (size_t i = 0; i < conf->headers_n; i++)
        h->headers = curl_slist_append(h->headers, conf->headers[i]);
    if (!type && conf->is_post)
        h->headers = curl_slist_append(h->headers, "Content-Type: application/json");
    h->headers = curl_slist_append(h->headers, "Expect:"); /* no round trip before the body */
    pthread_mutex_init(&h->lock, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return h;
}

void hook_server_free(struct hook_server *h)
{
    if (!h)
        return;
    curl_slist_free_all(h->headers);
    pthread_mutex_destroy(&h->lock);
    free(h->url);
    free(h->body);
    free(h->cafile);
    free(h);
    curl_global_cleanup();
}

void hook_server_stop(struct hook_server *h)
{
    if (h)
        __atomic_store_n(&h->is_stopping, true, __ATOMIC_RELAXED);
}

bool hook_server_is_down(struct hook_server *h)
{
    pthread_mutex_lock(&h->lock);
    bool is_down = breaker_is_open(&h->breaker);
    pthread_mutex_unlock(&h->lock);
    return is_down;
}

/* ---- one request ---------------------------------------------------------------------------------- */

/* A thread keeps its connection. */
static _Thread_local CURL *thread_curl;

void hook_server_thread_end(void)
{
    if (thread_curl)
        curl_easy_cleanup(thread_curl);
    thread_curl = NULL;
}

struct body {
    size_t n;
    uint8_t p[ANSWER_MAX];
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct body *b = arg;
    if (size * n > sizeof b->p - b->n)
        return 0; /* ends the transfer */
    memcpy(b->p + b->n, p, size * n);
    b->n += size * n;
    return size * n;
}

/* Called once a second and more often: not 0 gives up. */
static int on_progress(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    const struct hook_server *h = arg;
    (void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
    return __atomic_load_n(&h->is_stopping, __ATOMIC_RELAXED);
}

static void curl_prepare(CURL *c, struct hook_server *h, uint32_t timeout_ms, struct body *b)
{
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "covey/" COVEY_VERSION);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, b);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
    if (*h->conf.cafile)
        curl_easy_setopt(c, CURLOPT_CAINFO, h->conf.cafile);
}

static void text_wipe(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
}

/* False: it does not answer; *why says why. */
static bool request(struct hook_server *h, const struct hook_values *v, uint32_t timeout_ms, long *status,
                    struct body *b, const char **why)
{
    if (!thread_curl)
        thread_curl = curl_easy_init();
    if (!thread_curl)
        return false;
    char *url = hook_fill(h->conf.url, HOOK_URL, v);
    char *body = h->conf.is_post ? hook_fill(h->conf.body, h->body_encoding, v) : NULL;
    curl_prepare(thread_curl, h, timeout_ms, b);
    curl_easy_setopt(thread_curl, CURLOPT_URL, url);
    if (body)
        curl_easy_setopt(thread_curl, CURLOPT_POSTFIELDS, body);
    CURLcode code = curl_easy_perform(thread_curl);
    *why = curl_easy_strerror(code);
    curl_easy_getinfo(thread_curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_setopt(thread_curl, CURLOPT_POSTFIELDS, NULL);
    text_wipe(url);
    text_wipe(body);
    if (code == CURLE_WRITE_ERROR) /* longer than an answer may be: it is one, and is not understood */
        b->n = 0;
    return code == CURLE_OK || code == CURLE_WRITE_ERROR;
}

/* ---- what comes of it ----------------------------------------------------------------------------- */

/* Once a second at most: answers come by the thousand. */
static void malformed_tell(struct hook_server *h)
{
    uint64_t now = mono_ms();
    pthread_mutex_lock(&h->lock);
    bool is_due = !h->malformed_told_ms || now >= h->malformed_told_ms + TELL_EVERY_MS;
    if (is_due)
        h->malformed_told_ms = now;
    pthread_mutex_unlock(&h->lock);
    if (is_due)
        LOG(h->log, LOG_WARNING, "%s answer not understood, taken for \"ignore\"", h->conf.name);
}

/* Whether the server has opened or closed the breaker by it is a line in the log. */
static void outcome_note(struct hook_server *h, bool has_answered, bool is_probe, const char *why)
{
    pthread_mutex_lock(&h->lock);
    bool was_open = breaker_is_open(&h->breaker);
    breaker_note(&h->breaker, has_answered, is_probe, mono_ms());
    bool is_open = breaker_is_open(&h->breaker);
    pthread_mutex_unlock(&h->lock);
    if (is_open && !was_open)
        LOG(h->log, LOG_ERROR, "%s server does not answer, it is left alone for a while error=\"%s\"",
            h->conf.name, why);
    if (was_open && !is_open)
        LOG(h->log, LOG_NOTICE, "%s server answers again", h->conf.name);
}

/* JSON cannot say what is no UTF-8. */
static bool is_sayable(const struct hook_server *h, const struct hook_values *v)
{
    return !h->conf.is_post || h->body_encoding != HOOK_JSON || utf8_is_valid(v->password);
}

enum hook_outcome hook_server_ask(struct hook_server *h, const struct hook_values *v, uint32_t timeout_ms,
                                  struct hook_reply *reply)
{
    const char *why = "";
    long status = 0;
    bool is_probe;
    *reply = (struct hook_reply){.answer = HOOK_IGNORE};
    if (!is_sayable(h, v))
        return HOOK_NOT_ASKED;
    if (!timeout_ms)
        return HOOK_QUEUE_FULL;
    pthread_mutex_lock(&h->lock);
    bool lets = breaker_lets(&h->breaker, mono_ms(), &is_probe);
    pthread_mutex_unlock(&h->lock);
    if (!lets)
        return HOOK_LEFT_ALONE;
    struct body *b = mem_zalloc(sizeof *b);
    bool has_answered = request(h, v, timeout_ms, &status, b, &why);
    if (!__atomic_load_n(&h->is_stopping, __ATOMIC_RELAXED))
        outcome_note(h, has_answered, is_probe, why);
    if (has_answered)
        *reply = hook_reply_read(status, bytes_of(b->p, b->n));
    free(b);
    if (!has_answered)
        return HOOK_FAILED;
    if (reply->is_malformed)
        malformed_tell(h);
    return hook_outcome_of(reply);
}
