/* SPDX-License-Identifier: Apache-2.0 */
/* A filter and a name, with a byte 0xff between them, which is in no UTF-8; the first byte is the limit of
 * levels. What is well formed is matched, against a model that compares level by level. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/topic/topic.h"
#include "proto/topic/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint32_t levels_count(struct bytes t)
{
    struct bytes level;
    uint32_t at = 0, n = 0;

    while (topic_level_next(t, &at, &level))
        n++;
    return n;
}

static bool model_match(struct bytes filter, struct bytes name)
{
    struct bytes f, n;
    uint32_t f_at = 0, n_at = 0;

    if (name.p[0] == '$' && (filter.p[0] == '+' || filter.p[0] == '#'))
        return false;
    for (;;) {
        bool has_f = topic_level_next(filter, &f_at, &f), has_n = topic_level_next(name, &n_at, &n);
        if (has_f && bytes_eq(f, bytes_str("#")))
            return true;
        if (!has_f || !has_n)
            return has_f == has_n;
        if (!bytes_eq(f, bytes_str("+")) && !bytes_eq(f, n))
            return false;
    }
}

static bool name_check(struct bytes name, unsigned levels_max)
{
    enum topic_verdict v = topic_name_check(name, levels_max);
    bool has_wildcard = name.n && (memchr(name.p, '+', name.n) || memchr(name.p, '#', name.n));

    CHECK(topic_verdict_text(v)[0]);
    if (name.n == 0)
        CHECK(v == TOPIC_EMPTY);
    else if (name.n > 65535)
        CHECK(v == TOPIC_TOO_LONG);
    else if (!utf8_is_valid(name))
        CHECK(v == TOPIC_BAD_UTF8);
    else if (has_wildcard)
        CHECK(v == TOPIC_WILDCARD);
    else
        CHECK(v == (levels_max && levels_count(name) > levels_max ? TOPIC_TOO_DEEP : TOPIC_OK));
    if (v == TOPIC_OK)
        CHECK(topic_match(name, name));
    return v == TOPIC_OK;
}

static bool filter_check(struct bytes text, unsigned levels_max, struct topic_filter *f)
{
    enum topic_verdict v = topic_filter_parse(text, levels_max, f);

    CHECK(topic_verdict_text(v)[0]);
    if (v != TOPIC_OK)
        return false;
    CHECK(utf8_is_valid(text) && f->filter.n && f->filter.p + f->filter.n == text.p + text.n);
    CHECK(!levels_max || levels_count(f->filter) <= levels_max);
    CHECK(f->group.n == 0 || text.n == 7 + f->group.n + 1 + f->filter.n);
    CHECK(f->has_wildcard ==
          (memchr(f->filter.p, '+', f->filter.n) || memchr(f->filter.p, '#', f->filter.n)));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    const uint8_t *border = memchr(data + 1, 0xff, n - 1);
    size_t filter_n = border ? (size_t)(border - data - 1) : n - 1;
    size_t name_n = border ? n - 2 - filter_n : 0;

    /* Each in memory of just its size. */
    uint8_t *fp = malloc(filter_n ? filter_n : 1), *np = malloc(name_n ? name_n : 1);
    CHECK(fp && np);
    memcpy(fp, data + 1, filter_n);
    if (name_n)
        memcpy(np, border + 1, name_n);
    struct bytes name = bytes_of(np, name_n);
    struct topic_filter f;
    bool is_filter = filter_check(bytes_of(fp, filter_n), data[0], &f);
    bool is_name = name_check(name, data[0]);
    name_check(bytes_of(fp, filter_n), data[0]);
    if (is_filter && is_name)
        CHECK(topic_match(f.filter, name) == model_match(f.filter, name));
    free(fp);
    free(np);
    return 0;
}
