/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/acl_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

struct acl *acl_ref(struct acl *a)
{
    if (a)
        __atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);
    return a;
}

void acl_unref(struct acl *a)
{
    if (!a || __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL))
        return;
    free(a->rules);
    free(a->order);
    free(a->counts);
    free(a->unquoted);
    free(a->text);
    free(a);
}

uint32_t acl_rules(const struct acl *a)
{
    return a->n;
}

const struct acl_rule *acl_rule(const struct acl *a, uint32_t i)
{
    CHECK(i < a->n);
    return &a->rules[i];
}

uint64_t acl_refused(const struct acl *a, uint32_t i)
{
    return __atomic_load_n(&a->counts[i].refused, __ATOMIC_RELAXED);
}

void acl_count_refusal(struct acl *a, uint32_t verdict)
{
    __atomic_add_fetch(&a->counts[verdict].refused, 1, __ATOMIC_RELAXED);
}

bool acl_allows(const struct acl *a, uint32_t verdict)
{
    return (verdict < a->n ? a->rules[verdict].effect : a->no_match) == ACL_ALLOW;
}

bool acl_decides(const struct acl *a, uint32_t verdict)
{
    return verdict < a->n || !a->is_partial;
}

const char *acl_why(const struct acl *a, uint32_t verdict)
{
    if (verdict < a->n)
        return a->rules[verdict].why;
    return a->is_own ? "Denied: the token does not allow it" : "Denied: no rule of the ACL allows it";
}

bool acl_address(const char *text, uint8_t out[ACL_ADDRESS_N])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET6, text, out) == 1)
        return true;
    memcpy(out, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, out + sizeof mapped) == 1;
}

/* ---- the rules of a client ------------------------------------------------------------------------ */

/* Rules that may concern a client, in the order of the file: numbers from a->order. */
struct run {
    const uint32_t *at;
    const uint32_t *end;
    bool denies_only; /* the client may or may not be meant: what allows does not count */
};

enum { RUNS_MAX = ACL_WHOS };

struct runs {
    struct run v[RUNS_MAX];
    uint32_t n;
};

/* Of the rules in order[from..to), all of one who, the first whose name is not below (or: is above) name. */
static uint32_t bound(const struct acl *a, uint32_t from, uint32_t to, struct bytes name, int above)
{
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        int d = bytes_cmp(a->rules[a->order[mid]].name, name);
        if (d < 0 || (above && d == 0))
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static void run_add(struct runs *r, const struct acl *a, uint32_t from, uint32_t to, bool denies_only)
{
    if (from < to)
        r->v[r->n++] = (struct run){a->order + from, a->order + to, denies_only};
}

static void run_add_name(struct runs *r, const struct acl *a, enum acl_who who, struct bytes name)
{
    uint32_t from = a->starts[who], to = a->starts[who + 1];
    if (!name.p || from == to)
        return;
    from = bound(a, from, to, name, 0);
    run_add(r, a, from, bound(a, from, to, name, 1), false);
}

static void runs_of(struct runs *r, const struct acl *a, const struct acl_client *c)
{
    r->n = 0;
    run_add(r, a, a->starts[ACL_ALL], a->starts[ACL_ALL + 1], false);
    run_add_name(r, a, ACL_USER, c->username);
    run_add_name(r, a, ACL_CLIENT, c->client_id);
    if (c->is_partial)
        run_add(r, a, a->n, a->certs_end, true);
    else
        run_add_name(r, a, ACL_CERT, c->cert_name);
    run_add(r, a, a->starts[ACL_ADDRESS], a->starts[ACL_ADDRESS + 1], c->is_partial);
}

static bool is_in(const struct acl_rule *r, const uint8_t *address)
{
    uint32_t whole = r->address_bits / 8, rest = r->address_bits % 8;
    if (!address || memcmp(r->address, address, whole) != 0)
        return false;
    return !rest || (uint8_t)((r->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

/* The next rule that concerns the client, or a->n. */
static uint32_t runs_next(struct runs *r, const struct acl *a, const struct acl_client *c)
{
    for (;;) {
        struct run *first = NULL;
        for (uint32_t i = 0; i < r->n; i++)
            if (r->v[i].at < r->v[i].end && (!first || *r->v[i].at < *first->at))
                first = &r->v[i];
        if (!first)
            return a->n;
        uint32_t i = *first->at++;
        const struct acl_rule *rule = &a->rules[i];
        if (first->denies_only ? rule->effect == ACL_DENY
                               : rule->who != ACL_ADDRESS || is_in(rule, c->address))
            return i;
    }
}

/* ---- verdicts ------------------------------------------------------------------------------------- */

uint32_t acl_on_topic(const struct acl *a, const struct acl_client *c, enum acl_action action,
                      struct bytes topic)
{
    struct runs runs;
    uint32_t i;
    runs_of(&runs, a, c);
    while ((i = runs_next(&runs, a, c)) < a->n) {
        const struct acl_rule *r = &a->rules[i];
        if ((r->actions & action) &&
            (action == ACL_SUBSCRIBE ? acl_shows(r, c, topic) : acl_covers(r, c, topic)))
            break;
    }
    return i;
}

uint32_t acl_on_filter(const struct acl *a, const struct acl_client *c, struct bytes filter, bool *is_whole)
{
    struct runs runs;
    uint32_t i;
    *is_whole = true;
    runs_of(&runs, a, c);
    while ((i = runs_next(&runs, a, c)) < a->n) {
        const struct acl_rule *r = &a->rules[i];
        if (!(r->actions & ACL_SUBSCRIBE))
            continue;
        if (acl_covers(r, c, filter))
            break;
        if (r->effect == ACL_DENY && acl_meets(r, c, filter))
            *is_whole = false;
    }
    return i;
}
