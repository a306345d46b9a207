/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/expand.h"

struct writer {
    uint8_t *out;
    uint32_t n;
    bool is_good;
};

static void put(struct writer *w, struct bytes b)
{
    if (b.n > EXPAND_BYTES_MAX - w->n) {
        w->is_good = false;
        return;
    }
    bytes_put(w->out + w->n, b);
    w->n += b.n;
}

static void put_name(struct writer *w, struct bytes name)
{
    if (name.n == 0 || memchr(name.p, '+', name.n) || memchr(name.p, '#', name.n))
        w->is_good = false;
    put(w, name);
}

/* How many bytes of t a placeholder takes, which is written; 0: none begins here. */
static uint32_t placeholder(struct writer *w, struct bytes t, const struct expand_names *names)
{
    static const char *const client_ids[] = {"${clientid}", "%c"}, *const usernames[] = {"${username}", "%u"};
    for (unsigned i = 0; i < 2; i++) {
        if (bytes_starts(t, bytes_str(client_ids[i]))) {
            put_name(w, names->client_id);
            return (uint32_t)strlen(client_ids[i]);
        }
        if (bytes_starts(t, bytes_str(usernames[i]))) {
            put_name(w, names->username);
            return (uint32_t)strlen(usernames[i]);
        }
    }
    static const char cert_name[] = "${cert_common_name}";
    if (names->cert_name && bytes_starts(t, bytes_str(cert_name))) {
        put_name(w, *names->cert_name);
        return sizeof cert_name - 1;
    }
    if (names->groups && t.n > 1 && t.p[0] == '$' && t.p[1] >= '1' && t.p[1] <= '9') {
        put(w, names->groups[t.p[1] - '0']);
        return 2;
    }
    return 0;
}

bool topic_expand(struct bytes template, const struct expand_names *names, uint8_t *out, uint32_t *n)
{
    struct writer w = {.out = out, .is_good = true};
    for (uint32_t at = 0; at < template.n && w.is_good;) {
        struct bytes rest = bytes_of(template.p + at, template.n - at);
        uint32_t taken = placeholder(&w, rest, names);
        if (!taken) {
            put(&w, bytes_of(rest.p, 1));
            taken = 1;
        }
        at += taken;
    }
    *n = w.n;
    return w.is_good;
}

/* ---- rules ---------------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static struct bytes trim(struct bytes b)
{
    while (b.n && is_blank(b.p[0]))
        b = bytes_of(b.p + 1, b.n - 1);
    while (b.n && is_blank(b.p[b.n - 1]))
        b.n--;
    return b;
}

bool rule_next(const char *text, size_t *at, struct bytes *rule)
{
    while (text[*at]) {
        size_t n = strcspn(text + *at, ";");
        *rule = trim(bytes_of(text + *at, n));
        *at += n + (text[*at + n] == ';');
        if (rule->n)
            return true;
    }
    return false;
}

struct bytes rule_word(struct bytes *rule)
{
    uint32_t n = 0;
    *rule = trim(*rule);
    while (n < rule->n && !is_blank(rule->p[n]))
        n++;
    struct bytes word = bytes_of(rule->p, n);
    *rule = trim(bytes_of(rule->p + n, rule->n - n));
    return word;
}
