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

enum { FOR_AUTHN = 1 << HOOK_AUTHN, FOR_AUTHZ = 1 << HOOK_AUTHZ };

static const struct {
    const char *name;
    size_t at;
    unsigned uses;
} placeholders[] = {
    {"${clientid}", offsetof(struct hook_values, client_id), FOR_AUTHN | FOR_AUTHZ},
    {"${username}", offsetof(struct hook_values, username), FOR_AUTHN | FOR_AUTHZ},
    {"${peerhost}", offsetof(struct hook_values, peerhost), FOR_AUTHN | FOR_AUTHZ},
    {"${cert_common_name}", offsetof(struct hook_values, cert_common_name), FOR_AUTHN | FOR_AUTHZ},
    {"${password}", offsetof(struct hook_values, password), FOR_AUTHN},
    {"${topic}", offsetof(struct hook_values, topic), FOR_AUTHZ},
    {"${action}", offsetof(struct hook_values, action), FOR_AUTHZ},
    {"${qos}", offsetof(struct hook_values, qos), FOR_AUTHZ},
    {"${retain}", offsetof(struct hook_values, retain), FOR_AUTHZ},
};

/* Its number, when one begins here; else -1. */
static int placeholder_at(const char *text)
{
    for (size_t i = 0; i < array_len(placeholders); i++)
        if (strncmp(text, placeholders[i].name, strlen(placeholders[i].name)) == 0)
            return (int)i;
    return -1;
}

static struct bytes value_of(const struct hook_values *v, int placeholder)
{
    return *(const struct bytes *)(const void *)((const char *)v + placeholders[placeholder].at);
}

const char *hook_template_judge(const char *template, enum hook_use use)
{
    for (const char *p = template; (p = strstr(p, "${")); p++) {
        int i = placeholder_at(p);
        if (i >= 0 && (placeholders[i].uses & 1u << use))
            continue;
        return use == HOOK_AUTHN ? "has a placeholder that is not known: there are ${clientid}, ${username}, "
                                   "${password}, ${peerhost} and ${cert_common_name}"
                                 : "has a placeholder that is not known: there are ${clientid}, ${username}, "
                                   "${peerhost}, ${cert_common_name}, ${topic}, ${action}, ${qos} and "
                                   "${retain}";
    }
    return NULL;
}

const char *hook_url_judge(const char *url, enum hook_use use)
{
    const char *first = strstr(url, "${"), *query = strchr(url, '?');
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return "must begin with http:// or https://";
    if (first && (!query || first < query))
        return "may have placeholders in its query only, behind the ?";
    return hook_template_judge(url, use);
}

const char *hook_header_judge(const char *header)
{
    const char *colon = strchr(header, ':');
    if (!colon || colon == header)
        return "must be NAME: VALUE";
    return strpbrk(header, "\r\n") ? "has a line break" : strstr(header, "${") ? "has a placeholder" : NULL;
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

char *hook_fill(const char *template, enum hook_encoding encoding, const struct hook_values *v)
{
    size_t most = strlen(template) + ENCODED_MAX + 2;
    for (const char *p = template; (p = strstr(p, "${")); p++) {
        int i = placeholder_at(p);
        if (i >= 0)
            most += ENCODED_MAX * value_of(v, i).n;
    }
    char *out = mem_alloc(most), *at = out;
    while (*template) {
        int i = placeholder_at(template);
        if (i < 0) {
            *at++ = *template ++;
            continue;
        }
        at += value_put(at, value_of(v, i), encoding);
        template += strlen(placeholders[i].name);
    }
    *at = 0;
    return out;
}

/* ---- answers -------------------------------------------------------------------------------------- */

struct hook_reply hook_reply_read(long status, struct bytes body)
{
    struct hook_reply r = {.answer = status == 204 ? HOOK_ALLOW : HOOK_IGNORE};
    if (status != 200)
        return r;
    json_t *o = json_loadb((const char *)body.p, body.n, 0, NULL);
    const char *result = json_string_value(json_object_get(o, "result"));
    if (result && strcmp(result, "allow") == 0) {
        r.answer = HOOK_ALLOW;
        r.is_superuser = json_is_true(json_object_get(o, "is_superuser"));
    } else if (result && strcmp(result, "deny") == 0) {
        r.answer = HOOK_DENY;
    } else {
        r.is_malformed = !result || strcmp(result, "ignore") != 0;
    }
    json_decref(o);
    return r;
}

enum hook_outcome hook_outcome_of(const struct hook_reply *r)
{
    if (r->is_malformed)
        return HOOK_SAID_NOTHING;
    switch (r->answer) {
    case HOOK_ALLOW:
        return HOOK_SAID_ALLOW;
    case HOOK_DENY:
        return HOOK_SAID_DENY;
    case HOOK_IGNORE:
        break;
    }
    return HOOK_SAID_IGNORE;
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
