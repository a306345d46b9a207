/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/pattern.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

/* Steps of the matcher: a few for each byte of a name, and what an ordinary expression needs besides. */
enum { STEPS_BASE = 10000, STEPS_PER_BYTE = 4, HEAP_KIB_MAX = 4096, NESTING_MAX = 50 };

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

static pcre2_code *compile(struct bytes text, int *error, size_t *at)
{
    pcre2_compile_context *ctx = pcre2_compile_context_create(NULL);
    CHECK(ctx != NULL);
    pcre2_set_parens_nest_limit(ctx, NESTING_MAX);
    pcre2_code *code = pcre2_compile(text.p, text.n, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, error, at, ctx);
    pcre2_compile_context_free(ctx);
    return code;
}

struct pattern *pattern_new(struct bytes text, char *why, size_t why_n)
{
    int error = 0;
    size_t at = 0;
    if (text.n == 0 || text.n > PATTERN_BYTES_MAX) {
        snprintf(why, why_n, "an expression has 1 to %d bytes", PATTERN_BYTES_MAX);
        return NULL;
    }
    pcre2_code *code = compile(text, &error, &at);
    if (!code) {
        uint8_t said[128] = "";
        pcre2_get_error_message(error, said, sizeof said);
        snprintf(why, why_n, "%s at byte %zu", (const char *)said, at);
        return NULL;
    }
    struct pattern *p = mem_zalloc(sizeof *p);
    p->code = code;
    p->data = pcre2_match_data_create(PATTERN_GROUPS, NULL);
    p->limits = pcre2_match_context_create(NULL);
    CHECK(p->data && p->limits);
    pcre2_set_heap_limit(p->limits, HEAP_KIB_MAX);
    return p;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    pcre2_match_data_free(p->data);
    pcre2_match_context_free(p->limits);
    free(p);
}

/* How many groups are set, or an error. */
static int match(const struct pattern *p, struct bytes name)
{
    static const uint8_t none = 0;
    pcre2_set_match_limit(p->limits, STEPS_BASE + STEPS_PER_BYTE * name.n);
    int n = pcre2_match(p->code, name.n ? name.p : &none, name.n, 0, 0, p->data, p->limits);
    return n == 0 ? PATTERN_GROUPS : n; /* 0: there are more */
}

static enum pattern_verdict verdict(int n)
{
    if (n == PCRE2_ERROR_NOMATCH)
        return PATTERN_NO;
    return n > 0 ? PATTERN_YES : PATTERN_UNDECIDED;
}

enum pattern_verdict pattern_find(const struct pattern *p, struct bytes name)
{
    return verdict(match(p, name));
}

enum pattern_verdict pattern_groups(const struct pattern *p, struct bytes name, struct bytes *groups,
                                    uint32_t n)
{
    const size_t *at = pcre2_get_ovector_pointer(p->data);
    int set_n = match(p, name);
    for (uint32_t i = 0; i < n; i++) {
        bool is_set = (int)i < set_n && at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];
        groups[i] = is_set ? bytes_of(name.p + at[2 * i], at[2 * i + 1] - at[2 * i]) : bytes_of(NULL, 0);
    }
    return verdict(set_n);
}
