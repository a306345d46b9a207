/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the HTTP API that need no node: paths, fields, tokens, tries, times. */
#include "node/admin/api/field.h"
#include "node/admin/api/guard.h"
#include "node/admin/api/route.h"
#include "node/admin/api/tokens.h"
#include "node/admin/api/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sodium.h>
#include <cmocka.h>

#define HEX16 "0123456789abcdef"
#define HEX64 HEX16 HEX16 HEX16 HEX16

/* ---- paths ---------------------------------------------------------------------------------------- */

static void route_is(enum api_method method, const char *path, const char *pattern, const char *first)
{
    struct api_params params;
    unsigned allowed;
    const struct api_route *r = api_route_find(method, path, &params, &allowed);
    if (!pattern) {
        assert_null(r);
        assert_int_equal(params.count, 0);
        return;
    }
    assert_non_null(r);
    assert_string_equal(r->path, pattern);
    if (first)
        assert_string_equal(params.v[0], first);
    api_params_fini(&params);
}

static void paths(void **state)
{
    (void)state;
    route_is(API_GET, "/nodes", "/nodes", NULL);
    route_is(API_GET, "/nodes/covey%40127.0.0.1", "/nodes/{node}", "covey@127.0.0.1");
    route_is(API_GET, "/nodes/n1/stats", "/nodes/{node}/stats", "n1");
    route_is(API_GET, "/clients/a%2Fb%20c+d", "/clients/{clientid}", "a/b c+d");
    route_is(API_GET, "/clients/%E4%BD%A0", "/clients/{clientid}", "\xe4\xbd\xa0");
    route_is(API_POST, "/clients/kickout/bulk", "/clients/kickout/bulk", NULL);
    route_is(API_GET, "", NULL, NULL);
    route_is(API_GET, "/", NULL, NULL);
    route_is(API_GET, "/nodes/", NULL, NULL);
    route_is(API_GET, "//nodes", NULL, NULL);
    route_is(API_GET, "/clients/%00", NULL, NULL);
    route_is(API_GET, "/clients/a%", NULL, NULL);
    route_is(API_GET, "/clients/a%4", NULL, NULL);
    route_is(API_GET, "/clients/a%zz", NULL, NULL);
    route_is(API_GET, "/clients/%ff", NULL, NULL);
}

static void methods_of_a_path(void **state)
{
    struct api_params params;
    unsigned allowed;
    (void)state;
    assert_null(api_route_find(API_POST, "/clients/x", &params, &allowed));
    assert_int_equal(allowed, 1u << API_GET | 1u << API_DELETE);
    assert_null(api_route_find(API_GET, "/nothing", &params, &allowed));
    assert_int_equal(allowed, 0);
}

/* Each row is complete, is found by its path, and is the only one. */
static void the_table(void **state)
{
    (void)state;
    for (const struct api_route *const *t = api_tables; *t; t++) {
        for (const struct api_route *r = *t; r->path; r++) {
            struct api_params params;
            unsigned allowed;
            assert_true(r->run && r->tag && r->summary && r->path[0] == '/');
            assert_true(r->answer == API_NOTHING || r->shape);
            assert_true(r->body_form != API_ONE || r->body);
            assert_true(r->scope != API_NODE || strstr(r->path, "/{node}"));
            assert_true(r->method != API_GET || r->role != API_ADMIN);
            assert_ptr_equal(api_route_find(r->method, r->path, &params, &allowed), r);
            api_params_fini(&params);
        }
    }
}

/* ---- fields --------------------------------------------------------------------------------------- */

API_SHAPE(inner, "inner", {"n", API_INT, API_REQUIRED, 1, 9, NULL, NULL, NULL});
API_SHAPE(outer, "outer", API_HAS("name", STRING, NULL), {"kind", API_STRING, 0, 0, 0, "tcp|ssl", NULL, NULL},
          {"short", API_STRING, 0, 2, 4, NULL, NULL, NULL},
          {"none", API_STRING, API_NULLABLE, 0, 0, NULL, NULL, NULL}, API_MAY("on", BOOL, NULL),
          {.name = "in", .type = API_OBJECT, .of = &inner}, {.name = "all", .type = API_ARRAY, .of = &inner},
          API_MAY("words", ARRAY, NULL), API_MAY("max", STRING_OR_INT, NULL), API_MAY("real", NUMBER, NULL));

static void judged(const char *text, const char *why_wanted)
{
    struct text why = {0};
    json_t *o = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(o);
    bool is_good = api_shape_check(&outer, o, &why);
    text_printf(&why, "%c", 0);
    assert_string_equal(why.p, why_wanted ? why_wanted : "");
    assert_int_equal(is_good, !why_wanted);
    text_fini(&why);
    json_decref(o);
}

static void bodies(void **state)
{
    (void)state;
    judged("{\"name\": \"x\"}", NULL);
    judged("{\"name\": \"x\", \"kind\": \"ssl\", \"short\": \"abc\", \"none\": null, \"on\": true, \"in\": "
           "{\"n\": 9}, "
           "\"all\": [{\"n\": 1}], \"words\": [\"a\"], \"max\": \"infinity\", \"real\": 1.5}",
           NULL);
    judged("{\"name\": \"\", \"max\": 3, \"real\": 1, \"all\": [], \"words\": []}", NULL);
    judged("[]", "must be an object");
    judged("null", "must be an object");
    judged("{}", "name: is missing");
    judged("{\"name\": null}", "name: must be a string");
    judged("{\"name\": \"x\", \"nome\": 1}", "nome: there is no such field");
    judged("{\"name\": \"x\", \"a\\nb\": 1}", "a\\x0ab: there is no such field");
    judged("{\"name\": \"x\", \"kind\": \"udp\"}", "kind: must be one of tcp|ssl");
    judged("{\"name\": \"x\", \"kind\": \"tcp|ssl\"}", "kind: must be one of tcp|ssl");
    judged("{\"name\": \"x\", \"kind\": \"\"}", "kind: must be one of tcp|ssl");
    judged("{\"name\": \"x\", \"short\": \"abcde\"}", "short: must have 2 to 4 bytes");
    judged("{\"name\": \"x\", \"on\": 1}", "on: must be true or false");
    judged("{\"name\": \"x\", \"in\": {}}", "in.n: is missing");
    judged("{\"name\": \"x\", \"in\": {\"n\": 0}}", "in.n: must be from 1 to 9");
    judged("{\"name\": \"x\", \"in\": {\"n\": 1.0}}", "in.n: must be a whole number");
    judged("{\"name\": \"x\", \"all\": [{\"n\": 1}, {\"n\": \"2\"}]}", "all[1].n: must be a whole number");
    judged("{\"name\": \"x\", \"all\": {}}", "all: must be an array");
    judged("{\"name\": \"x\", \"words\": [\"a\", 1]}", "words[1]: must be a string");
    judged("{\"name\": \"x\", \"max\": true}", "max: must be a string or a whole number");
}

static void query_is(const char *name, const char *value, const char *why_wanted)
{
    static const struct api_field fields[] = {{"page", API_INT, 0, 1, 10, NULL, NULL, NULL},
                                              API_MAY("on", BOOL, NULL),
                                              {"kind", API_STRING, 0, 0, 0, "tcp|ssl", NULL, NULL},
                                              {0}};
    struct text why = {0};
    json_t *o = json_object();
    bool is_good = api_query_add(fields, o, name, value, &why);
    text_printf(&why, "%c", 0);
    assert_string_equal(why.p, why_wanted ? why_wanted : "");
    assert_int_equal(is_good, !why_wanted);
    text_fini(&why);
    json_decref(o);
}

static void queries(void **state)
{
    (void)state;
    query_is("page", "10", NULL);
    query_is("page", "11", "page: must be from 1 to 10");
    query_is("page", "", "page: must be a whole number");
    query_is("page", "1x", "page: must be a whole number");
    query_is("page", "99999999999999999999", "page: must be a whole number");
    query_is("on", "true", NULL);
    query_is("on", "yes", "on: must be true or false");
    query_is("kind", "ssl", NULL);
    query_is("kind", "ws", "kind: must be one of tcp|ssl");
    query_is("other", "1", "other: there is no such parameter");
}

/* ---- tokens --------------------------------------------------------------------------------------- */

static const char *user_of(struct tokens *t, const char *text, uint64_t now_ms)
{
    int64_t since = 0;
    const char *user = token_user(t, text, now_ms, &since);
    assert_int_equal(since, user ? 7 : 0);
    return user;
}

static void tokens_live_and_die(void **state)
{
    struct tokens *t = tokens_new(1000);
    char ann[TOKEN_TEXT_N], bob[TOKEN_TEXT_N];
    (void)state;
    token_make(t, "ann", 7, 0, ann);
    token_make(t, "bob", 7, 0, bob);
    assert_int_equal(strlen(ann), TOKEN_TEXT_N - 1);
    assert_string_equal(user_of(t, ann, 900), "ann"); /* counts as use */
    assert_string_equal(user_of(t, ann, 1800), "ann");
    assert_null(user_of(t, bob, 1800));
    assert_null(user_of(t, ann, 2800));
    assert_null(user_of(t, "", 2800));
    tokens_free(t);
}

static void tokens_die_after_a_day(void **state)
{
    struct tokens *t = tokens_new(3600 * 1000);
    char ann[TOKEN_TEXT_N];
    uint64_t now = 0;
    (void)state;
    token_make(t, "ann", 7, 0, ann);
    while (user_of(t, ann, now))
        now += 1000 * 1000;
    assert_in_range(now, TOKEN_LIFE_MS, TOKEN_LIFE_MS + 1000 * 1000);
    tokens_free(t);
}

static void tokens_end(void **state)
{
    struct tokens *t = tokens_new(1000);
    char ann[TOKEN_TEXT_N], bob[TOKEN_TEXT_N];
    (void)state;
    token_make(t, "ann", 7, 0, ann);
    token_make(t, "bob", 7, 0, bob);
    token_end(t, ann, 1);
    token_end(t, "nobody's", 1);
    assert_null(user_of(t, ann, 1));
    assert_string_equal(user_of(t, bob, 1), "bob");
    tokens_free(t);
}

/* ---- tokens of other nodes ------------------------------------------------------------------------ */

/* Each at its own time: the clocks of nodes have nothing to do with each other. */
static void all_told(struct tokens *from, uint64_t from_ms, struct tokens *to, uint64_t to_ms)
{
    json_t *items = json_array(), *item;
    size_t i;
    tokens_items(from, from_ms, items);
    json_array_foreach(items, i, item) token_merge(to, item, to_ms);
    json_decref(items);
}

static void tokens_are_the_same_elsewhere(void **state)
{
    struct tokens *t = tokens_new(1000), *other = tokens_new(1000);
    char ann[TOKEN_TEXT_N];
    (void)state;
    token_make(t, "ann", 7, 50000, ann);
    all_told(t, 50100, other, 7);
    assert_string_equal(user_of(other, ann, 800), "ann");
    assert_false(token_wants_telling(other, ann, 30));
    assert_true(token_wants_telling(other, ann, 800));
    assert_false(token_wants_telling(other, ann, 801));
    all_told(other, 900, t, 51000); /* its use there was 100 ms ago: at 50900 here */
    assert_string_equal(user_of(t, ann, 51800), "ann");
    tokens_free(t);
    tokens_free(other);
}

static void tokens_that_ended_stay_so(void **state)
{
    struct tokens *t = tokens_new(1000), *other = tokens_new(1000), *third = tokens_new(1000);
    char ann[TOKEN_TEXT_N];
    (void)state;
    token_make(t, "ann", 7, 0, ann);
    all_told(t, 0, other, 0);
    all_told(t, 0, third, 0);
    token_end(t, ann, 1);
    json_t *item = token_item(t, ann, 1);
    assert_true(json_bool(json_object_get(item, "record"), "gone", false));
    json_decref(item);
    all_told(t, 1, other, 1);
    assert_null(user_of(other, ann, 1));
    all_told(third, 1, other, 1); /* who has not heard of it does not bring it back */
    assert_null(user_of(other, ann, 1));
    all_told(other, 2, third, 2);
    assert_null(user_of(third, ann, 2));
    tokens_free(t);
    tokens_free(other);
    tokens_free(third);
}

static void tokens_that_are_not_whole(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"name\": 1, \"record\": {\"user\": \"ann\", \"age\": 0, \"idle\": 0}}",
        "{\"name\": \"00\", \"record\": {\"user\": \"ann\", \"age\": 0, \"idle\": 0}}",
        "{\"name\": \"" HEX64 "\", \"record\": {\"age\": 0, \"idle\": 0}}",
        "{\"name\": \"" HEX64 "\", \"record\": {\"user\": \"ann\", \"age\": 0, \"idle\": 1}}",
        "{\"name\": \"" HEX64 "\", \"record\": {\"user\": \"ann\", \"age\": -1, \"idle\": -1}}",
        "{\"name\": \"" HEX64 "\", \"record\": {\"user\": \"ann\", \"age\": 86400000, \"idle\": 0}}",
    };
    struct tokens *t = tokens_new(1000);
    json_t *out = json_array();
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *item = json_loads(bad[i], 0, NULL);
        assert_non_null(item);
        token_merge(t, item, 5);
        json_decref(item);
    }
    tokens_items(t, 5, out);
    assert_int_equal(json_array_size(out), 0);
    json_decref(out);
    tokens_free(t);
}

static void ended_tokens_are_bounded(void **state)
{
    struct tokens *t = tokens_new(1000);
    char token[TOKEN_TEXT_N];
    json_t *out = json_array();
    (void)state;
    for (int i = 0; i < TOKENS_ENDED_MAX + 10; i++) {
        token_make(t, "ann", 7, 5, token);
        token_end(t, token, 5);
    }
    tokens_items(t, 5, out);
    assert_int_equal(json_array_size(out), TOKENS_ENDED_MAX);
    json_array_clear(out);
    tokens_items(t, 5 + TOKEN_LIFE_MS, out); /* nobody could have them any more */
    assert_int_equal(json_array_size(out), 0);
    json_decref(out);
    tokens_free(t);
}

/* The one that was used least lately gives way, and only one of the same user. */
static void tokens_of_a_user_are_bounded(void **state)
{
    struct tokens *t = tokens_new(1000000);
    char bob[TOKEN_TEXT_N], v[TOKENS_OF_USER_MAX + 1][TOKEN_TEXT_N];
    (void)state;
    token_make(t, "bob", 7, 0, bob);
    for (int i = 0; i < TOKENS_OF_USER_MAX; i++)
        token_make(t, "ann", 7, (uint64_t)i, v[i]);
    assert_non_null(user_of(t, v[0], 100));
    token_make(t, "ann", 7, 101, v[TOKENS_OF_USER_MAX]);
    assert_non_null(user_of(t, v[0], 102));
    assert_null(user_of(t, v[1], 102));
    assert_non_null(user_of(t, v[2], 102));
    assert_non_null(user_of(t, bob, 102));
    tokens_free(t);
}

/* ---- tries ---------------------------------------------------------------------------------------- */

static void guard_slows_down(void **state)
{
    struct guard *g = calloc(1, sizeof *g);
    uint64_t now = 5000000;
    (void)state;
    for (int i = 0; i < GUARD_TRIES_MAX; i++) {
        assert_int_equal(guard_wait_ms(g, "10.0.0.1", now), 0);
        guard_on_failure(g, "10.0.0.1", now);
    }
    assert_int_equal(guard_wait_ms(g, "10.0.0.1", now), GUARD_WAIT_MS);
    assert_int_equal(guard_wait_ms(g, "10.0.0.2", now), 0);
    assert_int_equal(guard_wait_ms(g, "10.0.0.1", now + GUARD_WAIT_MS), 0);
    guard_on_failure(g, "10.0.0.1", now + GUARD_WAIT_MS);
    assert_int_equal(guard_wait_ms(g, "10.0.0.1", now + GUARD_WAIT_MS), GUARD_WAIT_MS);
    guard_on_success(g, "10.0.0.1");
    assert_int_equal(guard_wait_ms(g, "10.0.0.1", now), 0);
    free(g);
}

static void guard_takes_networks_of_ipv6(void **state)
{
    struct guard *g = calloc(1, sizeof *g);
    char address[GUARD_ADDRESS_MAX];
    (void)state;
    for (int i = 0; i < GUARD_TRIES_MAX; i++) {
        snprintf(address, sizeof address, "2001:db8:0:1::%x", (unsigned)i + 1);
        guard_on_failure(g, address, 1);
    }
    assert_true(guard_wait_ms(g, "2001:db8:0:1:ffff::1", 1) > 0);
    assert_true(guard_wait_ms(g, "2001:db8:0:2::1", 1) == 0);
    free(g);
}

static void guard_forgets_the_oldest(void **state)
{
    struct guard *g = calloc(1, sizeof *g);
    char address[GUARD_ADDRESS_MAX];
    (void)state;
    for (int i = 0; i < GUARD_TRIES_MAX; i++)
        guard_on_failure(g, "10.1.1.1", 1);
    for (int i = 0; i < 3 * GUARD_ADDRESSES_MAX; i++) {
        snprintf(address, sizeof address, "10.2.%d.%d", i / 250, i % 250);
        guard_on_failure(g, address, 2);
    }
    assert_true(guard_wait_ms(g, "10.1.1.1", 2) > 0); /* who failed often is remembered longest */
    free(g);
}

/* ---- times ---------------------------------------------------------------------------------------- */

static void when_is(const char *text, uint64_t ms)
{
    uint64_t out = 0;
    assert_true(when_read(text, &out));
    assert_int_equal(out, ms);
}

static void times(void **state)
{
    uint64_t out;
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-01-31",
                                      "2026-01-31T12:00:00",
                                      "2026-01-31T12:00:00ZZ",
                                      "2026-13-31T12:00:00Z",
                                      "2026-01-31T12:00:00+1:00",
                                      "2026-01-31T12:00:00+99:00",
                                      "1960-01-01T00:00:00Z",
                                      "infinity"};
    (void)state;
    when_is("1970-01-01T00:00:00Z", 0);
    when_is("2026-01-31T12:00:00.123Z", 1769860800123);
    when_is("2026-01-31T12:00:00.5+08:00", 1769832000500);
    when_is("2026-01-31T12:00:00-00:30", 1769862600000);
    when_is("2026-01-31T12:00:00.123456789Z", 1769860800123);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(when_read(bad[i], &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(methods_of_a_path),
        cmocka_unit_test(the_table),
        cmocka_unit_test(bodies),
        cmocka_unit_test(queries),
        cmocka_unit_test(tokens_live_and_die),
        cmocka_unit_test(tokens_die_after_a_day),
        cmocka_unit_test(tokens_end),
        cmocka_unit_test(tokens_are_the_same_elsewhere),
        cmocka_unit_test(tokens_that_ended_stay_so),
        cmocka_unit_test(tokens_that_are_not_whole),
        cmocka_unit_test(ended_tokens_are_bounded),
        cmocka_unit_test(tokens_of_a_user_are_bounded),
        cmocka_unit_test(guard_slows_down),
        cmocka_unit_test(guard_takes_networks_of_ipv6),
        cmocka_unit_test(guard_forgets_the_oldest),
        cmocka_unit_test(times),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
