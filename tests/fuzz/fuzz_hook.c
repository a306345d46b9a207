/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of what an HTTP server is asked, and its answers. The first byte says which: a URL, a body, a
 * body in JSON, a header, or an answer. Of the first two: the template up to its NUL, then values, each a
 * byte of length and as many bytes. What is filled in is read back by other code than wrote it. */

#include "node/auth/hook.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { VALUES = 9 };

static struct bytes take(struct bytes *in)
{
    uint32_t n = in->n ? in->p[0] : 0;
    if (!in->n)
        return bytes_of(NULL, 0);
    n = n < in->n ? n : in->n - 1;
    struct bytes v = bytes_of(in->p + 1, n);
    *in = bytes_of(in->p + 1 + n, in->n - 1 - n);
    return v;
}

static struct hook_values values_take(struct bytes *in)
{
    struct hook_values v;
    struct bytes *all[VALUES] = {&v.client_id,        &v.username, &v.peerhost,
                                 &v.cert_common_name, &v.password, &v.topic,
                                 &v.action,           &v.qos,      &v.retain};
    for (unsigned i = 0; i < VALUES; i++)
        *all[i] = take(in);
    return v;
}

/* The value of the placeholder that begins at text, whose length is *n; NULL: none does. */
static const struct bytes *named(const struct hook_values *v, const char *text, size_t *n)
{
    const struct {
        const char *name;
        const struct bytes *value;
    } all[VALUES] = {
        {"clientid}", &v->client_id}, {"username}", &v->username},
        {"peerhost}", &v->peerhost},  {"cert_common_name}", &v->cert_common_name},
        {"password}", &v->password},  {"topic}", &v->topic},
        {"action}", &v->action},      {"qos}", &v->qos},
        {"retain}", &v->retain},
    };
    for (unsigned i = 0; i < VALUES; i++) {
        *n = 2 + strlen(all[i].name);
        if (text[0] == '$' && text[1] == '{' && strncmp(text + 2, all[i].name, *n - 2) == 0)
            return all[i].value;
    }
    return NULL;
}

static uint8_t hex(char c)
{
    const char *digits = "0123456789ABCDEF", *at = strchr(digits, c);
    CHECK(c && at);
    return (uint8_t)(at - digits);
}

/* One byte of a value, as it stands in a URL or a form: nothing that means something there. */
static uint8_t url_read(const char **at)
{
    const char *p = *at;
    if (*p != '%') {
        CHECK((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
              (*p && strchr("-._~", *p)));
        *at += 1;
        return (uint8_t)*p;
    }
    *at += 3;
    return (uint8_t)(hex(p[1]) << 4 | hex(p[2]));
}

/* The same in a string of JSON: nothing that ends it. */
static uint8_t json_read(const char **at)
{
    const char *p = *at;
    CHECK(*p != '"' && (uint8_t)*p >= 0x20);
    if (*p != '\\') {
        *at += 1;
        return (uint8_t)*p;
    }
    if (p[1] != 'u') {
        CHECK(p[1] == '"' || p[1] == '\\');
        *at += 2;
        return (uint8_t)p[1];
    }
    CHECK(p[2] == '0' && p[3] == '0' && (p[4] == '0' || p[4] == '1') && strchr("0123456789abcdef", p[5]));
    *at += 6;
    return (uint8_t)strtoul((char[]){p[4], p[5], 0}, NULL, 16);
}

/* The text is the template with each value in its place, encoded. */
static void check_filled(const char *template, enum hook_encoding encoding, const struct hook_values *v)
{
    char *text = hook_fill(template, encoding, v);
    const char *at = text;
    while (*template) {
        size_t n;
        const struct bytes *value = named(v, template, &n);
        if (!value) {
            CHECK(*at++ == *template ++);
            continue;
        }
        bool is_kept = encoding == HOOK_URL || utf8_is_valid(*value);
        for (uint32_t i = 0; i < value->n; i++) {
            uint8_t b = encoding == HOOK_URL ? url_read(&at) : json_read(&at);
            CHECK(b == (is_kept || value->p[i] < 0x80 ? value->p[i] : '?'));
        }
        template += n;
    }
    CHECK(!*at);
    free(text);
}

/* Whom and what is asked is the template's to say. */
static void check_url_whole(const char *template, enum hook_use use, const struct hook_values *v)
{
    if (hook_url_judge(template, use))
        return;
    CHECK(!hook_template_judge(template, use));
    size_t n = strcspn(template, "?");
    char *text = hook_fill(template, HOOK_URL, v);
    CHECK(strncmp(text, template, n) == 0 && strcspn(text, "?") == n);
    free(text);
    check_filled(template, HOOK_URL, v);
}

/* A string of JSON is the value, and nothing else is there. */
static void check_json(const struct hook_values *v)
{
    const struct bytes *values[] = {&v->client_id, &v->username, &v->password, &v->topic};
    char *text = hook_fill("[\"${clientid}\",\"${username}\",\"${password}\",\"${topic}\"]", HOOK_JSON, v);
    json_t *j = json_loads(text, JSON_ALLOW_NUL, NULL);
    CHECK(j && json_array_size(j) == array_len(values));
    for (size_t i = 0; i < array_len(values); i++) {
        const json_t *s = json_array_get(j, i);
        CHECK(json_is_string(s) && json_string_length(s) == values[i]->n);
        if (values[i]->n && utf8_is_valid(*values[i]))
            CHECK(memcmp(json_string_value(s), values[i]->p, values[i]->n) == 0);
    }
    json_decref(j);
    free(text);
}

static void check_body(const char *template, enum hook_use use, const struct hook_values *v)
{
    if (hook_template_judge(template, use))
        return;
    check_filled(template, HOOK_JSON, v);
    check_filled(template, HOOK_URL, v); /* a form */
}

static void check_header(const char *header)
{
    if (!hook_header_judge(header))
        CHECK(*header != ':' && strchr(header, ':') && !strpbrk(header, "\r\n"));
}

static void check_reply(uint8_t status, struct bytes body)
{
    static const long statuses[] = {200, 204, 0, 199, 201, 301, 403, 500};
    struct hook_reply r = hook_reply_read(statuses[status % array_len(statuses)], body);
    CHECK(!r.is_malformed || r.answer == HOOK_IGNORE);
    CHECK(!r.is_superuser || r.answer == HOOK_ALLOW);
    CHECK(status % array_len(statuses) < 2 || r.answer == HOOK_IGNORE);
    CHECK(hook_outcome_of(&r) != HOOK_NOT_ASKED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n)
        return 0;
    enum hook_use use = data[0] & 1 ? HOOK_AUTHZ : HOOK_AUTHN;
    struct bytes rest = bytes_of(data + 1, (uint32_t)(n - 1));
    if (data[0] >> 1 == 4) {
        check_reply(rest.n ? rest.p[0] : 0, rest.n ? bytes_of(rest.p + 1, rest.n - 1) : rest);
        return 0;
    }
    const uint8_t *end = rest.n ? memchr(rest.p, 0, rest.n) : NULL;
    uint32_t text_n = end ? (uint32_t)(end - rest.p) : rest.n;
    char *text = mem_dup(rest.p, text_n);
    rest = end ? bytes_of(end + 1, rest.n - text_n - 1) : bytes_of(NULL, 0);
    struct hook_values v = values_take(&rest);
    switch (data[0] >> 1) {
    case 0:
        check_url_whole(text, use, &v);
        break;
    case 1:
        check_body(text, use, &v);
        break;
    case 2:
        check_json(&v);
        break;
    case 3:
        check_header(text);
        break;
    }
    free(text);
    return 0;
}
