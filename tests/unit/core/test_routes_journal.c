/* SPDX-License-Identifier: Apache-2.0 */
/* What the other nodes are told of this node's routes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/core/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 3, TEXT_MAX = 4096 };

static struct routes *table_new(void)
{
    return routes_new(5, SHARDS, free);
}

static struct route *add(struct routes *t, const char *filter, const char *group, uint32_t shard)
{
    routes_lock(t);
    struct route *r = routes_add(t, bytes_str(filter), bytes_str(group), shard);
    routes_unlock(t);
    return r;
}

static void del(struct routes *t, struct route *r, uint32_t shard)
{
    routes_lock(t);
    routes_del(t, r, shard);
    routes_unlock(t);
}

/* "+a/b -c =$g/d:2 ": added, gone, online only; with the members of shared ones. */
static void change_text(void *ctx, const struct route_change *c)
{
    char *out = ctx;
    size_t n = strlen(out);
    n += (size_t)snprintf(out + n, TEXT_MAX - n, "%c%.*s%s%.*s",
                          c->is_gone          ? '-'
                          : c->is_online_only ? '='
                                              : '+',
                          (int)c->group.n, (const char *)c->group.p, c->group.n ? ":" : "", (int)c->filter.n,
                          (const char *)c->filter.p);
    if (c->group.n && !c->is_gone)
        n += (size_t)snprintf(out + n, TEXT_MAX - n, "(%u)", c->online);
    snprintf(out + n, TEXT_MAX - n, " ");
}

static void expect_journal(struct routes *t, const char *expected)
{
    char text[TEXT_MAX] = "";
    assert_int_equal(routes_journal_pending(t), *expected != 0);
    routes_journal_each(t, change_text, text);
    assert_string_equal(text, expected);
    assert_false(routes_journal_pending(t));
}

static void online_set(struct routes *t, struct route *r, uint32_t shard, uint32_t n)
{
    __atomic_store_n(&r->u.share->online[shard], n, __ATOMIC_RELAXED);
    routes_online_changed(t, r);
}

static void nothing_is_written_until_it_is_enabled(void **state)
{
    struct routes *t = table_new();
    (void)state;
    struct route *r = add(t, "a/b", "", 0);
    del(t, r, 0);
    add(t, "a/b", "", 0);
    expect_journal(t, "");
    routes_free(t);
}

static void what_was_there_before_is_news(void **state)
{
    struct routes *t = table_new();
    (void)state;
    add(t, "a/b", "", 0);
    add(t, "a/b", "", 2);
    add(t, "x/+/#", "", 1);
    struct route *gone = add(t, "gone", "", 0);
    struct route *shared = add(t, "s/t", "g", 1);
    __atomic_store_n(&shared->u.share->online[1], 3, __ATOMIC_RELAXED);
    del(t, gone, 0);
    routes_lock(t);
    assert_true(routes_peer_add(t, bytes_str("of/a/peer"), bytes_str(""), 7, 0));
    routes_unlock(t);
    routes_journal_enable(t);
    char text[TEXT_MAX] = "";
    assert_true(routes_journal_pending(t));
    routes_journal_each(t, change_text, text);
    /* In no order that means anything; nothing of other nodes, no plain route that only carries a shared one.
     */
    assert_int_equal(strlen(text), strlen("+a/b +x/+/# +g:s/t(3) "));
    assert_non_null(strstr(text, "+a/b "));
    assert_non_null(strstr(text, "+x/+/# "));
    assert_non_null(strstr(text, "+g:s/t(3) "));
    expect_journal(t, "");
    routes_free(t);
}

static void the_first_and_the_last_shard_are_news(void **state)
{
    struct routes *t = table_new();
    (void)state;
    routes_journal_enable(t);
    struct route *r = add(t, "a/b", "", 0);
    add(t, "a/b", "", 1);
    add(t, "c/#", "", 1);
    del(t, r, 0);
    expect_journal(t, "+a/b +c/# ");
    del(t, r, 1);
    expect_journal(t, "-a/b ");
    r = add(t, "a/b", "", 2);
    del(t, r, 2);
    r = add(t, "a/b", "", 0);
    expect_journal(t, "+a/b -a/b +a/b "); /* in order */
    routes_lock(t);
    routes_peer_add(t, bytes_str("a/b"), bytes_str(""), 1, 0);
    routes_peer_add(t, bytes_str("p"), bytes_str(""), 1, 0);
    routes_peer_del(t, bytes_str("p"), bytes_str(""), 1);
    routes_unlock(t);
    expect_journal(t, ""); /* other nodes' routes are their own to tell */
    del(t, r, 0);
    expect_journal(t, "-a/b ");
    routes_free(t);
}

static void members_of_shared_routes_are_told_as_they_are_now(void **state)
{
    struct routes *t = table_new();
    (void)state;
    routes_journal_enable(t);
    struct route *r = add(t, "s", "g", 0);
    online_set(t, r, 0, 1);
    online_set(t, r, 0, 2);
    expect_journal(t, "+g:s(2) =g:s(2) ");
    online_set(t, r, 0, 3);
    add(t, "s", "g", 1);
    online_set(t, r, 1, 4); /* stands in the journal already: once is enough */
    expect_journal(t, "=g:s(7) ");
    online_set(t, r, 1, 0);
    expect_journal(t, "=g:s(3) ");
    routes_free(t);
}

static void a_shared_route_that_came_and_went_is_only_gone(void **state)
{
    struct routes *t = table_new();
    (void)state;
    routes_journal_enable(t);
    struct route *r = add(t, "s", "g", 0);
    online_set(t, r, 0, 1);
    online_set(t, r, 0, 0);
    del(t, r, 0);
    char text[TEXT_MAX] = "";
    routes_journal_each(t, change_text, text);
    assert_string_equal(text + strlen(text) - strlen("-g:s "), "-g:s ");
    assert_null(strchr(text, '='));
    routes_free(t);
}

static void the_number_of_a_change_is_kept_with_its_route(void **state)
{
    struct routes *t = table_new();
    (void)state;
    struct route *r = add(t, "a", "", 0), *shared = add(t, "a", "g", 0);
    assert_int_equal(r->announced, 0);
    routes_announced_set(t, bytes_str("a"), bytes_str(""), 7);
    routes_announced_set(t, bytes_str("a"), bytes_str("g"), 8);
    routes_announced_set(t, bytes_str("never/was"), bytes_str(""), 9);
    assert_int_equal(r->announced, 7);
    assert_int_equal(shared->announced, 8);
    routes_lock(t);
    routes_peer_add(t, bytes_str("a"), bytes_str(""), 0, 0);
    routes_unlock(t);
    del(t, r, 0); /* a peer keeps it in the table */
    assert_ptr_equal(add(t, "a", "", 1), r);
    assert_int_equal(r->announced, 0); /* nobody knows of the new one */
    routes_free(t);
}

/* ---- pages ---------------------------------------------------------------------------------------- */

static void page_note(void *ctx, const struct route *r, uint32_t online)
{
    uint32_t *seen = ctx, i;
    char text[32] = {0};
    memcpy(text, r->text, r->filter_n);
    assert_int_equal(sscanf(text, "f/%u", &i), 1);
    assert_true(i < 500 && !seen[i]);
    seen[i] = 1 + online;
}

static void pages_have_each_route_of_this_node_once(void **state)
{
    static const uint32_t sizes[] = {1, 7, 100, 10000};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct routes *t = table_new();
        uint32_t seen[500] = {0}, at = 0;
        char text[32];
        for (uint32_t i = 0; i < 500; i++) {
            snprintf(text, sizeof text, "f/%u", i);
            struct route *r = add(t, text, i % 5 == 1 ? "g" : "", i % SHARDS);
            if (i % 5 == 1)
                online_set(t, r, i % SHARDS, i);
            if (i % 5 == 3) { /* gone again, but a peer has it */
                routes_lock(t);
                routes_peer_add(t, bytes_str(text), bytes_str(""), 0, 0);
                routes_unlock(t);
                del(t, r, i % SHARDS);
            }
        }
        uint32_t pages = 1;
        while (!routes_page(t, &at, sizes[s], page_note, seen))
            pages++;
        assert_true(pages >= 400 / sizes[s]);
        for (uint32_t i = 0; i < 500; i++)
            assert_int_equal(seen[i], i % 5 == 3 ? 0 : i % 5 == 1 ? 1 + i : 1);
        routes_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_until_it_is_enabled),
        cmocka_unit_test(what_was_there_before_is_news),
        cmocka_unit_test(the_first_and_the_last_shard_are_news),
        cmocka_unit_test(members_of_shared_routes_are_told_as_they_are_now),
        cmocka_unit_test(a_shared_route_that_came_and_went_is_only_gone),
        cmocka_unit_test(the_number_of_a_change_is_kept_with_its_route),
        cmocka_unit_test(pages_have_each_route_of_this_node_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
