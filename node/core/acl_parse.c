/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/acl_i.h"
#include "proto/base/mem.h"
#include "proto/topic/topic.h"
#include "proto/topic/utf8.h"

#include <stdio.h>
#include <stdlib.h>

static const struct bytes none;

enum { WORDS_MAX = 7, SHOWN_MAX = 40 };

struct parser {
    struct acl *acl;
    struct acl_fault *fault;
    uint32_t line;
    uint32_t cap;
    char *free; /* in acl->unquoted: never more than the text has */
};

/* word (may be empty): what it is about. Answers false. */
static bool fail(struct parser *p, struct bytes word, const char *what)
{
    char shown[SHOWN_MAX + 1];
    uint32_t n = word.n < SHOWN_MAX ? word.n : SHOWN_MAX;
    for (uint32_t i = 0; i < n; i++)
        shown[i] = word.p[i] < ' ' || word.p[i] >= 0x7f ? '?' : (char)word.p[i];
    shown[n] = 0;
    p->fault->line = p->line;
    snprintf(p->fault->what, sizeof p->fault->what, "%s%s%s", shown, n ? ": " : "", what);
    return false;
}

/* ---- words ---------------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The rest of a quoted word, behind its first quote. */
static bool quoted_take(struct parser *p, struct cursor *at, struct bytes *word)
{
    char *start = p->free;
    while (at->p < at->end && *at->p != '"') {
        if (*at->p == '\\') {
            at->p++;
            if (at->p == at->end || (*at->p != '"' && *at->p != '\\'))
                return fail(p, none, "in quotes, a backslash stands before a quote or a backslash only");
        }
        *p->free++ = (char)*at->p++;
    }
    if (at->p == at->end)
        return fail(p, none, "a quote is not closed");
    at->p++;
    if (at->p < at->end && !is_blank(*at->p))
        return fail(p, none, "something stands right behind a closing quote");
    *word = bytes_of(start, (size_t)(p->free - start));
    return true;
}

/* Fills words with those of the line; *n: how many. */
static bool words_split(struct parser *p, struct bytes line, struct bytes words[WORDS_MAX], uint32_t *n)
{
    struct cursor at = cursor_of(line);
    for (*n = 0;; ++*n) {
        while (at.p < at.end && is_blank(*at.p))
            at.p++;
        if (at.p == at.end)
            return true;
        if (*n == WORDS_MAX)
            return fail(p, none, "too many words");
        if (*at.p == '"') {
            at.p++;
            if (!quoted_take(p, &at, &words[*n]))
                return false;
            continue;
        }
        const uint8_t *start = at.p;
        while (at.p < at.end && !is_blank(*at.p))
            at.p++;
        words[*n] = bytes_of(start, (size_t)(at.p - start));
        if (memchr(start, '"', words[*n].n))
            return fail(p, words[*n], "a quote within a word: put all of it into quotes");
    }
}

static bool is(struct bytes word, const char *text)
{
    return bytes_eq(word, bytes_str(text));
}

/* ---- the parts of a rule -------------------------------------------------------------------------- */

static bool address_parse(struct parser *p, struct acl_rule *r, struct bytes word)
{
    char text[64];
    unsigned bits = 0;
    if (word.n >= sizeof text)
        return fail(p, word, "no address or network");
    memcpy(text, word.p, word.n);
    text[word.n] = 0;
    char *slash = strchr(text, '/');
    if (slash)
        *slash++ = 0;
    if (!acl_address(text, r->address))
        return fail(p, word, "no address or network");
    unsigned most = strchr(text, ':') ? 128 : 32;
    if (!slash) {
        r->address_bits = 128;
        return true;
    }
    for (const char *d = slash; *d && bits <= most; d++) {
        if (*d < '0' || *d > '9')
            return fail(p, word, "a number of bits stands behind the slash");
        bits = bits * 10 + (unsigned)(*d - '0');
    }
    if (!*slash || bits > most)
        return fail(p, word, "the address does not have so many bits");
    r->address_bits = (uint8_t)(128 - most + bits);
    return true;
}

/* WHO, from *at on. */
static bool who_parse(struct parser *p, struct acl_rule *r, const struct bytes *words, uint32_t n,
                      uint32_t *at)
{
    static const char *const names[ACL_WHOS] = {"all", "user", "client", "cert", "address"};
    struct bytes word = *at < n ? words[*at] : bytes_of("", 0);
    r->who = ACL_WHOS;
    for (unsigned i = 0; i < ACL_WHOS; i++)
        if (is(word, names[i]))
            r->who = (uint8_t)i;
    ++*at;
    if (r->who == ACL_WHOS)
        return fail(p, word, "all, user, client, address or cert is expected");
    if (r->who == ACL_ALL)
        return true;
    if (*at >= n || words[*at].n == 0)
        return fail(p, word, "a name is expected behind it");
    r->name = words[(*at)++];
    return r->who != ACL_ADDRESS || address_parse(p, r, r->name);
}

static bool action_parse(struct parser *p, struct acl_rule *r, struct bytes word)
{
    if (is(word, "publish"))
        r->actions = ACL_PUBLISH;
    else if (is(word, "subscribe"))
        r->actions = ACL_SUBSCRIBE;
    else if (is(word, "all"))
        r->actions = ACL_PUBLISH | ACL_SUBSCRIBE;
    else
        return fail(p, word, "publish, subscribe or all is expected");
    return true;
}

static bool placeholders_check(struct parser *p, struct acl_rule *r)
{
    static const char *const known[] = {"${clientid}", "${username}", "${cert_common_name}"};
    struct bytes f = r->filter;
    for (; f.n > 1; f = bytes_of(f.p + 1, f.n - 1)) {
        bool is_known = false;
        if (f.p[0] != '$' || f.p[1] != '{')
            continue;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known |= bytes_starts(f, bytes_str(known[i]));
        if (!is_known)
            return fail(p, f, "there are ${clientid}, ${username} and ${cert_common_name}");
        r->has_placeholder = 1;
    }
    return true;
}

/* Up to the first wildcard or placeholder, without the slash before it: a/# covers a. */
static uint32_t prefix_of(const struct acl_rule *r)
{
    uint32_t n = 0;
    struct bytes f = r->filter;
    while (!r->is_eq && n < f.n && f.p[n] != '+' && f.p[n] != '#' &&
           !(f.p[n] == '$' && n + 1 < f.n && f.p[n + 1] == '{'))
        n++;
    if (r->is_eq || n == f.n)
        return f.n;
    return n && f.p[n - 1] == '/' ? n - 1 : n;
}

static bool filter_parse(struct parser *p, struct acl_rule *r, struct bytes word)
{
    struct topic_filter f;
    enum topic_verdict v = topic_filter_parse(word, 0, &f);
    r->filter = word;
    r->has_filter = 1;
    if (v != TOPIC_OK)
        return fail(p, word, topic_verdict_text(v));
    if (f.group.n)
        return fail(p, word, "leave out $share and the name, rules are about what stands behind them");
    r->prefix_n = prefix_of(r);
    return r->is_eq || placeholders_check(p, r);
}

static bool rule_parse(struct parser *p, struct acl_rule *r, const struct bytes *words, uint32_t n)
{
    uint32_t at = 1;
    if (!is(words[0], "allow") && !is(words[0], "deny"))
        return fail(p, words[0], "allow or deny is expected");
    r->effect = is(words[0], "allow") ? ACL_ALLOW : ACL_DENY;
    if (!who_parse(p, r, words, n, &at) || !action_parse(p, r, at < n ? words[at] : bytes_of("", 0)))
        return false;
    at++;
    if (at + 1 < n && is(words[at], "eq")) {
        r->is_eq = 1;
        at++;
    }
    if (at < n && !filter_parse(p, r, words[at++]))
        return false;
    return at >= n || fail(p, words[at], "nothing is expected behind the filter");
}

/* ---- the file ------------------------------------------------------------------------------------- */

static bool line_parse(struct parser *p, struct bytes line)
{
    struct acl *a = p->acl;
    struct bytes words[WORDS_MAX];
    uint32_t n;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (!utf8_is_valid(line))
        return fail(p, none, "not UTF-8");
    while (line.n && is_blank(line.p[0]))
        line = bytes_of(line.p + 1, line.n - 1);
    if (line.n == 0 || line.p[0] == '#')
        return true;
    if (a->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        a->rules = mem_realloc(a->rules, p->cap * sizeof *a->rules);
    }
    struct acl_rule *r = &a->rules[a->n];
    *r = (struct acl_rule){.line = p->line, .text = line};
    if (!words_split(p, line, words, &n) || !rule_parse(p, r, words, n))
        return false;
    if (a->is_own)
        snprintf(r->why, sizeof r->why, "Denied by rule %u of the token", (unsigned)p->line);
    else
        snprintf(r->why, sizeof r->why, "Denied by line %u of the ACL", (unsigned)p->line);
    a->n++;
    return true;
}

static bool lines_parse(struct parser *p, struct bytes text)
{
    struct cursor at = cursor_of(text);
    while (at.p < at.end) {
        const uint8_t *end = memchr(at.p, '\n', cursor_left(&at));
        p->line++;
        if (!end)
            return fail(p, none, "the last line has no newline: the file is not whole");
        if (!line_parse(p, bytes_of(at.p, (size_t)(end - at.p))))
            return false;
        at.p = end + 1;
    }
    return true;
}

static int order_cmp(const void *x, const void *y, void *rules)
{
    const struct acl_rule *v = rules;
    uint32_t i = *(const uint32_t *)x, j = *(const uint32_t *)y;
    if (v[i].who != v[j].who)
        return v[i].who - v[j].who;
    int d = v[i].who == ACL_ADDRESS ? 0 : bytes_cmp(v[i].name, v[j].name);
    return d ? d : (i > j) - (i < j);
}

static void order_make(struct acl *a)
{
    uint32_t at = 0;
    a->order = mem_alloc((2 * (size_t)a->n + 1) * sizeof *a->order);
    for (uint32_t i = 0; i < a->n; i++)
        a->order[i] = i;
    qsort_r(a->order, a->n, sizeof *a->order, order_cmp, a->rules);
    for (unsigned who = 0; who <= ACL_WHOS; who++) {
        while (at < a->n && a->rules[a->order[at]].who < who)
            at++;
        a->starts[who] = at;
    }
    a->certs_end = a->n;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->rules[i].who == ACL_CERT)
            a->order[a->certs_end++] = i;
    a->counts = mem_zalloc((a->n + 1) * sizeof *a->counts);
}

/* Takes a, which has no rules yet. */
static struct acl *parse(struct acl *a, struct bytes text, struct acl_fault *fault)
{
    a->text = mem_dup(text.p, text.n);
    a->unquoted = mem_alloc(text.n + 1u);
    struct parser p = {.acl = a, .fault = fault, .free = a->unquoted};
    if (!lines_parse(&p, bytes_of(a->text, text.n))) {
        acl_unref(a);
        return NULL;
    }
    order_make(a);
    return a;
}

static struct acl *acl_new(enum acl_effect no_match)
{
    struct acl *a = mem_zalloc(sizeof *a);
    a->refs = 1;
    a->no_match = no_match;
    return a;
}

struct acl *acl_parse(struct bytes text, enum acl_effect no_match, struct acl_fault *fault)
{
    return parse(acl_new(no_match), text, fault);
}

struct acl *acl_parse_own(struct bytes text, bool is_whole, struct acl_fault *fault)
{
    struct acl *a = acl_new(ACL_DENY);
    a->is_own = true;
    a->is_partial = !is_whole;
    return parse(a, text, fault);
}
