/* SPDX-License-Identifier: Apache-2.0 */
/* Names and filters: what is well formed, and topic_match against a model that splits into levels. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/topic/topic.h"
#include "proto/topic/utf8.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *name;
    unsigned levels_max;
    enum topic_verdict verdict;
} names[] = {
    {"a", 0, TOPIC_OK},
    {"/", 0, TOPIC_OK},
    {"//", 0, TOPIC_OK},
    {"a/b c/\xc3\xa4", 0, TOPIC_OK},
    {"\xef\xbb\xbf"
     "a",
     0, TOPIC_OK}, /* MQTT-1.5.4-3 */
    {"$SYS/broker", 0, TOPIC_OK},
    {"$share/g/t", 0, TOPIC_OK},
    {"", 0, TOPIC_EMPTY},     /* MQTT-4.7.3-1 */
    {"+", 0, TOPIC_WILDCARD}, /* MQTT-4.7.0-1, MQTT-3.3.2-2 */
    {"#", 0, TOPIC_WILDCARD},
    {"a/+/b", 0, TOPIC_WILDCARD},
    {"a/b#", 0, TOPIC_WILDCARD},
    {"long/enough/for/two/words/+", 0, TOPIC_WILDCARD},
    {"long/enough/for/two/words/\xc3\xa4+", 0, TOPIC_WILDCARD},
    {"\xff", 0, TOPIC_BAD_UTF8}, /* MQTT-1.5.4-1 */
    {"a/b/c/d/e/f/\xed\xa0\x80", 0, TOPIC_BAD_UTF8},
    {"+/\xff", 0, TOPIC_BAD_UTF8},
    {"\xff+", 0, TOPIC_BAD_UTF8},
    {"a/b/c", 3, TOPIC_OK},
    {"a/b/c", 2, TOPIC_TOO_DEEP},
    {"\xc3\xa4/b/c", 2, TOPIC_TOO_DEEP},
    {"/", 1, TOPIC_TOO_DEEP},
    {"abcdefgh/abcdefgh/abcdefgh", 2, TOPIC_TOO_DEEP},
    {"abcdefgh/abcdefgh/abcdefgh", 3, TOPIC_OK},
    {"a/b/+", 1, TOPIC_WILDCARD},
};

static void names_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(names); i++) {
        enum topic_verdict v = topic_name_check(bytes_str(names[i].name), names[i].levels_max);
        if (v != names[i].verdict)
            fail_msg("'%s': %s", names[i].name, topic_verdict_text(v));
    }
    /* MQTT-4.7.3-2 */
    assert_int_equal(topic_name_check(bytes_of("a\0b", 3), 0), TOPIC_BAD_UTF8);
    assert_int_equal(topic_name_check(bytes_of("\0", 1), 0), TOPIC_BAD_UTF8);
}

/* Each interesting byte at each offset of each length, in memory of just that size. */
static void names_at_every_offset(void **state)
{
    (void)state;
    static const struct {
        uint8_t byte;
        enum topic_verdict verdict;
    } rows[] = {
        {'+', TOPIC_WILDCARD},  {'#', TOPIC_WILDCARD}, {0x00, TOPIC_BAD_UTF8}, {0x80, TOPIC_BAD_UTF8},
        {0xff, TOPIC_BAD_UTF8}, {'*', TOPIC_OK},       {',', TOPIC_OK},        {'"', TOPIC_OK},
        {'$', TOPIC_OK},        {0x7f, TOPIC_OK},      {0x01, TOPIC_OK},       {0xab, TOPIC_BAD_UTF8},
        {0xa3, TOPIC_BAD_UTF8},
    };

    for (size_t r = 0; r < ROWS(rows); r++) {
        for (size_t n = 1; n < 36; n++) {
            uint8_t *b = malloc(n);
            assert_non_null(b);
            for (size_t at = 0; at < n; at++) {
                memset(b, 'x', n);
                b[at] = rows[r].byte;
                if (topic_name_check(bytes_of(b, n), 0) != rows[r].verdict)
                    fail_msg("byte %02x at %zu of %zu", rows[r].byte, at, n);
            }
            free(b);
        }
    }
}

static uint64_t random_next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static enum topic_verdict naive_name_check(const uint8_t *p, uint32_t n, unsigned levels_max)
{
    unsigned levels = 1;
    bool has_wildcard = false;

    for (uint32_t i = 0; i < n; i++) {
        levels += p[i] == '/';
        has_wildcard |= p[i] == '+' || p[i] == '#';
    }
    if (!utf8_is_valid(bytes_of(p, n)))
        return TOPIC_BAD_UTF8;
    return has_wildcard ? TOPIC_WILDCARD : levels_max && levels > levels_max ? TOPIC_TOO_DEEP : TOPIC_OK;
}

/* Slashes are counted eight at a time: random names of slashes, letters, two-byte characters and now and
 * then something bad, against a count one by one. */
static void names_against_a_naive_check(void **state)
{
    (void)state;
    static const char *const pieces[] = {"/", "/", "/", "a", "b", "/a/", "\xc3\xa4", "0", ".", "xyzxyzxyz"};
    static const char *const bad[] = {"+", "#", "\xff", "\xc3"};
    uint64_t seed = 20240229;

    for (unsigned round = 0; round < 200000; round++) {
        uint8_t b[80];
        uint32_t n = 0;
        uint32_t want = 1 + (uint32_t)(random_next(&seed) % 60);
        while (n < want) {
            const char *s = random_next(&seed) % 64 ? pieces[random_next(&seed) % ROWS(pieces)]
                                                    : bad[random_next(&seed) % ROWS(bad)];
            memcpy(b + n, s, strlen(s));
            n += (uint32_t)strlen(s);
        }
        unsigned levels_max = (unsigned)(random_next(&seed) % 40);
        enum topic_verdict v = topic_name_check(bytes_of(b, n), levels_max);
        if (v != naive_name_check(b, n, levels_max))
            fail_msg("'%.*s' with %u levels: %s", (int)n, (const char *)b, levels_max, topic_verdict_text(v));
    }
}

static const struct {
    const char *text;
    unsigned levels_max;
    enum topic_verdict verdict;
    const char *group;
    const char *filter;
    bool has_wildcard;
} filters[] = {
    {"a", 0, TOPIC_OK, "", "a", false},
    {"/", 0, TOPIC_OK, "", "/", false},
    {"#", 0, TOPIC_OK, "", "#", true},
    {"+", 0, TOPIC_OK, "", "+", true},
    {"/#", 0, TOPIC_OK, "", "/#", true},
    {"a/+/c/#", 0, TOPIC_OK, "", "a/+/c/#", true},
    {"+/+", 0, TOPIC_OK, "", "+/+", true},
    {"+/a", 0, TOPIC_OK, "", "+/a", true},
    {"$SYS/#", 0, TOPIC_OK, "", "$SYS/#", true},
    {"$shared/g/t", 0, TOPIC_OK, "", "$shared/g/t", false},
    {"$shar/g/t", 0, TOPIC_OK, "", "$shar/g/t", false},
    {"x/$share/g/t", 0, TOPIC_OK, "", "x/$share/g/t", false},
    {"$share/g/t", 0, TOPIC_OK, "g", "t", false},
    {"$share/g/t/#", 0, TOPIC_OK, "g", "t/#", true},
    {"$share/g//", 0, TOPIC_OK, "g", "/", false},
    {"$share/g/$SYS/+", 0, TOPIC_OK, "g", "$SYS/+", true},
    {"$share/a b/#", 0, TOPIC_OK, "a b", "#", true},
    {"", 0, TOPIC_EMPTY, NULL, NULL, false},      /* MQTT-4.7.3-1 */
    {"a#", 0, TOPIC_BAD_HASH, NULL, NULL, false}, /* MQTT-4.7.1-1 */
    {"a/#/b", 0, TOPIC_BAD_HASH, NULL, NULL, false},
    {"#/", 0, TOPIC_BAD_HASH, NULL, NULL, false},
    {"a/#b", 0, TOPIC_BAD_HASH, NULL, NULL, false},
    {"##", 0, TOPIC_BAD_HASH, NULL, NULL, false},
    {"+#", 0, TOPIC_BAD_HASH, NULL, NULL, false},
    {"+a", 0, TOPIC_BAD_PLUS, NULL, NULL, false}, /* MQTT-4.7.1-2 */
    {"a+", 0, TOPIC_BAD_PLUS, NULL, NULL, false},
    {"a/b+/c", 0, TOPIC_BAD_PLUS, NULL, NULL, false},
    {"++", 0, TOPIC_BAD_PLUS, NULL, NULL, false},
    {"$exclusive/a/+", 0, TOPIC_OK, "+", "a/+", true},
    {"$exclusive//", 0, TOPIC_OK, "+", "/", false},
    {"$exclusive", 0, TOPIC_OK, "", "$exclusive", false},
    {"x/$exclusive/t", 0, TOPIC_OK, "", "x/$exclusive/t", false},
    {"$exclusive/", 0, TOPIC_BAD_EXCLUSIVE, NULL, NULL, false},
    {"$exclusive/a#", 0, TOPIC_BAD_HASH, NULL, NULL, false},
    {"$exclusive/a/b/c", 2, TOPIC_TOO_DEEP, NULL, NULL, false},
    {"$share", 0, TOPIC_BAD_SHARE, NULL, NULL, false}, /* MQTT-4.8.2-1 */
    {"$share/", 0, TOPIC_BAD_SHARE, NULL, NULL, false},
    {"$share/g", 0, TOPIC_BAD_SHARE, NULL, NULL, false},
    {"$share/g/", 0, TOPIC_BAD_SHARE, NULL, NULL, false},
    {"$share//x", 0, TOPIC_BAD_SHARE, NULL, NULL, false},
    {"$share//", 0, TOPIC_BAD_SHARE, NULL, NULL, false},
    {"$share/g+/x", 0, TOPIC_BAD_SHARE, NULL, NULL, false}, /* MQTT-4.8.2-2 */
    {"$share/+/x", 0, TOPIC_BAD_SHARE, NULL, NULL, false},
    {"$share/#/x", 0, TOPIC_BAD_SHARE, NULL, NULL, false},
    {"$share/g#/x", 0, TOPIC_BAD_SHARE, NULL, NULL, false},
    {"$share/g/a#", 0, TOPIC_BAD_HASH, NULL, NULL, false},
    {"\xc0\x80", 0, TOPIC_BAD_UTF8, NULL, NULL, false}, /* MQTT-3.8.3-1 */
    {"a/b/c", 3, TOPIC_OK, "", "a/b/c", false},
    {"a/b/#", 2, TOPIC_TOO_DEEP, NULL, NULL, false},
    {"$share/g/a/b", 2, TOPIC_OK, "g", "a/b", false},
    {"$share/g/a/b/c", 2, TOPIC_TOO_DEEP, NULL, NULL, false},
};

static void filters_are_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(filters); i++) {
        struct topic_filter f;
        enum topic_verdict v = topic_filter_parse(bytes_str(filters[i].text), filters[i].levels_max, &f);
        if (v != filters[i].verdict)
            fail_msg("'%s': %s", filters[i].text, topic_verdict_text(v));
        if (v != TOPIC_OK)
            continue;
        assert_true(bytes_eq(f.group, bytes_str(filters[i].group)));
        assert_true(bytes_eq(f.filter, bytes_str(filters[i].filter)));
        assert_int_equal(f.has_wildcard, filters[i].has_wildcard);
    }
}

static const struct {
    const char *filter;
    const char *name;
    bool matches;
} matches[] = {
    {"a", "a", true},           {"a", "b", false},         {"a", "A", false}, /* MQTT-4.7.3-4 */
    {"a", "aa", false},         {"aa", "a", false},        {"a/b", "a/b", true},
    {"a/b", "a", false},        {"a", "a/b", false},       {"a/", "a/", true},
    {"a/", "a", false},         {"a", "a/", false},        {"/a", "a", false},
    {"/a", "/a", true},         {"#", "a", true},          {"#", "/", true},
    {"#", "a/b/c", true},       {"#", "$SYS", false}, /* MQTT-4.7.2-1 */
    {"+/x", "$SYS/x", false},   {"+", "$", false},         {"$SYS/#", "$SYS/x", true},
    {"$SYS/+", "$SYS/x", true}, {"$SYS/#", "$SYS", true},  {"a/#", "a/$x", true},
    {"a/+", "a/$x", true},      {"a/#", "a", true},        {"a/#", "a/", true},
    {"a/#", "a/b/c", true},     {"a/#", "ab", false},      {"/#", "/", true},
    {"/#", "/a", true},         {"/#", "a", false},        {"a//#", "a/", true},
    {"a//#", "a", false},       {"+", "a", true},          {"+", "/", false},
    {"+", "a/b", false},        {"+/+", "/", true},        {"/+", "/a", true},
    {"+/+", "/a", true},        {"+", "/a", false},        {"a/+/c", "a/b/c", true},
    {"a/+/c", "a//c", true},    {"a/+/c", "a/b/d", false}, {"a/+/c", "a/b/b/c", false},
    {"a/+", "a/", true},        {"a/+", "a", false},       {"+/#", "a", true},
    {"+/#", "/", true},         {"+/b/#", "a/b", true},    {"+/b/#", "a/bc", false},
    {"+/+/#", "a", false},      {"", "a", false},          {"#", "", false},
};

static void filters_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(matches); i++) {
        if (topic_match(bytes_str(matches[i].filter), bytes_str(matches[i].name)) != matches[i].matches)
            fail_msg("'%s' on '%s'", matches[i].filter, matches[i].name);
    }
}

/* The model: cut both into levels and compare those. */
static unsigned levels_split(struct bytes t, struct bytes *levels)
{
    unsigned n = 0;
    uint32_t at = 0;

    while (topic_level_next(t, &at, &levels[n]))
        n++;
    return n;
}

static bool naive_match(struct bytes filter, struct bytes name)
{
    struct bytes f[32], n[32];
    unsigned f_n = levels_split(filter, f), n_n = levels_split(name, n);

    if (name.p[0] == '$' && (filter.p[0] == '+' || filter.p[0] == '#'))
        return false;
    for (unsigned i = 0; i < f_n; i++) {
        if (bytes_eq(f[i], bytes_str("#")))
            return true;
        if (i >= n_n || (!bytes_eq(f[i], bytes_str("+")) && !bytes_eq(f[i], n[i])))
            return false;
    }
    return f_n == n_n;
}

static struct bytes random_topic(uint64_t *seed, uint8_t *b, bool is_filter)
{
    static const char *const words[] = {"", "a", "b", "ab", "$a", "$"};
    unsigned levels = 1 + (unsigned)(random_next(seed) % 5);
    uint32_t n = 0;

    for (unsigned i = 0; i < levels; i++) {
        const char *w = words[random_next(seed) % ROWS(words)];
        if (is_filter && random_next(seed) % 3 == 0)
            w = "+";
        if (is_filter && i + 1 == levels && random_next(seed) % 3 == 0)
            w = "#";
        if (i)
            b[n++] = '/';
        memcpy(b + n, w, strlen(w));
        n += (uint32_t)strlen(w);
    }
    return bytes_of(b, n);
}

static void matching_against_the_model(void **state)
{
    (void)state;
    uint64_t seed = 0x5eed;
    unsigned hits = 0;
    const unsigned rounds = 400000;

    for (unsigned i = 0; i < rounds; i++) {
        uint8_t fb[64], nb[64];
        struct bytes filter = random_topic(&seed, fb, true), name = random_topic(&seed, nb, false);
        struct topic_filter parsed;
        if (topic_filter_parse(filter, 0, &parsed) != TOPIC_OK || topic_name_check(name, 0) != TOPIC_OK)
            continue;
        bool is_hit = topic_match(filter, name);
        hits += is_hit;
        if (is_hit != naive_match(filter, name))
            fail_msg("'%.*s' on '%.*s': %d", (int)filter.n, (const char *)filter.p, (int)name.n,
                     (const char *)name.p, is_hit);
    }
    /* The walk has seen both answers often. */
    assert_in_range(hits, rounds / 50, rounds / 2);
}

/* Names and filters as long as they can be, of nothing but levels. */
static void the_deepest_topics(void **state)
{
    (void)state;
    enum { N = 65535 };
    uint8_t *slashes = malloc(N + 1), *pluses = malloc(N);
    struct topic_filter f;

    assert_non_null(slashes);
    assert_non_null(pluses);
    memset(slashes, '/', N + 1);
    for (uint32_t i = 0; i < N; i++)
        pluses[i] = i % 2 ? '+' : '/';

    assert_int_equal(topic_name_check(bytes_of(slashes, N), 0), TOPIC_OK);
    assert_int_equal(topic_name_check(bytes_of(slashes, N), N + 1), TOPIC_OK);
    assert_int_equal(topic_name_check(bytes_of(slashes, N), N), TOPIC_TOO_DEEP);
    assert_int_equal(topic_name_check(bytes_of(slashes, N), 128), TOPIC_TOO_DEEP);
    assert_int_equal(topic_name_check(bytes_of(slashes, N + 1), 0), TOPIC_TOO_LONG); /* MQTT-4.7.3-3 */
    assert_int_equal(topic_filter_parse(bytes_of(slashes, N + 1), 0, &f), TOPIC_TOO_LONG);
    assert_int_equal(topic_filter_parse(bytes_of(pluses, N), 0, &f), TOPIC_OK);
    assert_int_equal(topic_filter_parse(bytes_of(pluses, N), 128, &f), TOPIC_TOO_DEEP);
    assert_true(topic_match(bytes_of(slashes, N), bytes_of(slashes, N)));
    assert_true(topic_match(bytes_of(pluses, N), bytes_of(slashes, N / 2 + 1)));
    assert_false(topic_match(bytes_of(pluses, N), bytes_of(slashes, N / 2)));
    free(slashes);
    free(pluses);
}

static void levels_are_walked(void **state)
{
    (void)state;
    struct bytes level;
    uint32_t at = 0;

    assert_true(topic_level_next(bytes_str("a//b"), &at, &level));
    assert_true(bytes_eq(level, bytes_str("a")));
    assert_true(topic_level_next(bytes_str("a//b"), &at, &level));
    assert_int_equal(level.n, 0);
    assert_true(topic_level_next(bytes_str("a//b"), &at, &level));
    assert_true(bytes_eq(level, bytes_str("b")));
    assert_false(topic_level_next(bytes_str("a//b"), &at, &level));
    at = 0;
    assert_true(topic_level_next(bytes_str("/"), &at, &level));
    assert_true(topic_level_next(bytes_str("/"), &at, &level));
    assert_false(topic_level_next(bytes_str("/"), &at, &level));
}

static void every_verdict_has_a_text(void **state)
{
    (void)state;
    for (int v = TOPIC_OK; v <= TOPIC_TOO_DEEP; v++)
        assert_true(strlen(topic_verdict_text((enum topic_verdict)v)) > 10);
    assert_string_equal(topic_verdict_text((enum topic_verdict)(TOPIC_TOO_DEEP + 1)), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(names_at_every_offset),
        cmocka_unit_test(names_against_a_naive_check),
        cmocka_unit_test(filters_are_parsed),
        cmocka_unit_test(filters_match),
        cmocka_unit_test(matching_against_the_model),
        cmocka_unit_test(the_deepest_topics),
        cmocka_unit_test(levels_are_walked),
        cmocka_unit_test(every_verdict_has_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
