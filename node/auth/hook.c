/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/hook.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- templates ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    size_t at;
} placeholders[] = {
    {"${clientid}", offsetof(struct hook_client, client_id)},
    {"${username}", offsetof(struct hook_client, username)},
    {"${password}", offsetof(struct hook_client, password)},
    {"${peerhost}", offsetof(struct hook_client, peerhost)},
    {"${cert_common_name}", offsetof(struct hook_client, cert_common_name)},
};

/* Its number, when one begins here; else -1. */
static int placeholder_at(const char *text)
{
    for (size_t i = 0; i < array_len(placeholders); i++)
        if (strncmp(text, placeholders[i].name, strlen(placeholders[i].name)) == 0)
            return (int)i;
    return -1;
}

const char *hook_template_judge(const char *template)
{
    for (const char *p = template; (p = strstr(p, "${")); p++)
        if (placeholder_at(p) < 0)
            return "has a placeholder that is not known: there are ${clientid}, ${username}, ${password}, "
                   "${peerhost} "
                   "and ${cert_common_name}";
    return NULL;
}

const char *hook_url_judge(const char *url)
{
    const char *first = strstr(url, "${"), *query = strchr(url, '?');
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return "must begin with http:// or https://";
    if (first && (!query || first < query))
        return "may have placeholders in its query only, behind the ?";
    return hook_template_judge(url);
}

/* A byte makes at most six: \u001f. */
enum { ENCODED_MAX = 6 };

static size_t url_put(char *out, uint8_t b)
{
    bool is_plain = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
                    (b && strchr("-._~", b));
    return (size_t)(is_plain ? snprintf(out, ENCODED_MAX + 1, "%c", b)
                             : snprintf(out, ENCODED_MAX + 1, "%%%02X", b));
}

/* Passwords need not be UTF-8, but JSON is: what is not becomes '?'. Who asks does not ask with such a one.
 */
static size_t json_put(char *out, uint8_t b, bool is_utf8)
{
    if (b < 0x20)
        return (size_t)snprintf(out, ENCODED_MAX + 1, "\\u%04x", b);
    if (b == '"' || b == '\\')
        return (size_t)snprintf(out, ENCODED_MAX + 1, "\\%c", b);
    *out = (char)(b >= 0x80 && !is_utf8 ? '?' : b);
    return 1;
}

static size_t value_put(char *out, struct bytes v, enum hook_encoding encoding)
{
    bool is_utf8 = utf8_is_valid(v);
    size_t n = 0;
    for (size_t i = 0; i < v.n; i++)
        n += encoding == HOOK_URL ? url_put(out + n, v.p[i]) : json_put(out + n, v.p[i], is_utf8);
    return n;
}

char *hook_fill(const char *template, enum hook_encoding encoding, const struct hook_client *c)
{
    size_t most = strlen(template) + ENCODED_MAX + 2;
    for (const char *p = template; (p = strstr(p, "${")); p++) {
        int i = placeholder_at(p);
        if (i >= 0)
            most +=
                ENCODED_MAX * ((const struct bytes *)(const void *)((const char *)c + placeholders[i].at))->n;
    }
    char *out = mem_alloc(most), *at = out;
    while (*template) {
        int i = placeholder_at(template);
        if (i < 0) {
            *at++ = *template ++;
            continue;
        }
        at += value_put(at, *(const struct bytes *)(const void *)((const char *)c + placeholders[i].at),
                        encoding);
        template += strlen(placeholders[i].name);
    }
    *at = 0;
    return out;
}

/* ---- answers -------------------------------------------------------------------------------------- */

enum hook_answer hook_answer_read(long status, struct bytes body, bool *is_malformed)
{
    *is_malformed = false;
    if (status == 204)
        return HOOK_ALLOW;
    if (status != 200)
        return HOOK_IGNORE;
    json_t *o = json_loadb((const char *)body.p, body.n, 0, NULL);
    const char *result = json_string_value(json_object_get(o, "result"));
    enum hook_answer a = HOOK_IGNORE;
    if (result && strcmp(result, "allow") == 0)
        a = HOOK_ALLOW;
    else if (result && strcmp(result, "deny") == 0)
        a = HOOK_DENY;
    else
        *is_malformed = !result || strcmp(result, "ignore") != 0;
    json_decref(o);
    return a;
}

/* ---- the breaker ---------------------------------------------------------------------------------- */

bool breaker_is_open(const struct breaker *b)
{
    return b->failures >= BREAKER_FAILURES;
}

bool breaker_lets(struct breaker *b, uint64_t now_ms, bool *is_probe)
{
    *is_probe = false;
    if (!breaker_is_open(b))
        return true;
    if (b->is_probing || now_ms < b->open_until_ms)
        return false;
    b->is_probing = *is_probe = true;
    return true;
}

void breaker_note(struct breaker *b, bool has_answered, bool is_probe, uint64_t now_ms)
{
    if (breaker_is_open(b) && !is_probe)
        return;
    b->is_probing = false;
    if (has_answered) {
        b->failures = 0;
        return;
    }
    if (b->failures < BREAKER_FAILURES)
        b->failures++;
    if (breaker_is_open(b))
        b->open_until_ms = now_ms + BREAKER_OPEN_MS;
}
