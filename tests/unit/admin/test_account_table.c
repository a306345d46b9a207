/* SPDX-License-Identifier: Apache-2.0 */
/* Which of two changes of a user or key wins, and that all nodes come to the same. */
#include "node/admin/api/account_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sodium.h>
#include <cmocka.h>

static json_t *user(int64_t stamp, int64_t node, const char *hash)
{
    return json_pack("{s:s, s:s, s:I, s:I}", "hash", hash, "role", "viewer", "stamp", (json_int_t)stamp,
                     "node", (json_int_t)node);
}

static json_t *first(int64_t stamp, int64_t node, const char *hash)
{
    json_t *o = user(stamp, node, hash);
    json_put(o, "first", json_true());
    return o;
}

static bool merged(struct account_table *t, const char *name, json_t *record)
{
    bool is = account_table_merge(t, ACCOUNT_USER, name, record);
    json_decref(record);
    return is;
}

static void hash_is(const struct account_table *t, const char *name, const char *hash)
{
    const json_t *record = account_table_get(t, ACCOUNT_USER, name);
    if (hash)
        assert_string_equal(json_str(record, "hash"), hash);
    else
        assert_true(!record || account_is_gone(record));
}

static void the_newer_wins(void **state)
{
    struct account_table t;
    (void)state;
    account_table_init(&t);
    assert_true(merged(&t, "ann", user(5, 1, "a")));
    assert_false(merged(&t, "ann", user(5, 1, "a")));
    assert_false(merged(&t, "ann", user(4, 9, "older")));
    assert_true(merged(&t, "ann", user(6, 1, "b")));
    assert_true(merged(&t, "ann", user(6, 2, "c"))); /* of one stamp: the node decides */
    hash_is(&t, "ann", "c");
    assert_true(merged(&t, "ann", account_tombstone(7, 1)));
    assert_false(merged(&t, "ann", user(6, 9, "from a node that was away")));
    hash_is(&t, "ann", NULL);
    assert_int_equal(json_object_size(t.all[ACCOUNT_USER]), 0);
    assert_true(merged(&t, "ann", user(8, 1, "new"))); /* the name is free again */
    assert_int_equal(json_object_size(t.gone[ACCOUNT_USER]), 0);
    hash_is(&t, "ann", "new");
    account_table_fini(&t);
}

static void the_first_user_gives_way(void **state)
{
    struct account_table t;
    (void)state;
    account_table_init(&t);
    assert_true(merged(&t, "admin", first(50, 1, "of a start")));
    assert_false(merged(&t, "admin", first(60, 1, "of a later start")));
    assert_true(merged(&t, "admin", first(40, 1, "of an earlier start")));
    assert_false(merged(&t, "admin", first(40, 2, "at the same time")));
    assert_true(merged(&t, "admin", user(1, 1, "chosen")));
    assert_false(merged(&t, "admin", first(99, 9, "of a start")));
    hash_is(&t, "admin", "chosen");
    assert_true(merged(&t, "admin", account_tombstone(2, 1)));
    assert_false(merged(&t, "admin", first(99, 9, "of a start")));
    hash_is(&t, "admin", NULL);
    account_table_fini(&t);
}

static void the_first_user_is_over_when_there_are_others(void **state)
{
    struct account_table t;
    (void)state;
    account_table_init(&t);
    merged(&t, "admin", first(50, 1, "of a start"));
    assert_false(account_table_first_is_over(&t));
    merged(&t, "bob", account_tombstone(7, 1));
    assert_false(account_table_first_is_over(&t));
    merged(&t, "ann", user(5, 1, "a"));
    assert_true(account_table_first_is_over(&t));
    account_table_put(&t, ACCOUNT_USER, "admin", NULL);
    assert_null(account_table_get(&t, ACCOUNT_USER, "admin"));
    assert_false(account_table_first_is_over(&t));
    account_table_fini(&t);
}

/* ---- all orders ----------------------------------------------------------------------------------- */

enum { CHANGES = 6 };

/* A change of a name. */
struct change {
    const char *name;
    json_t *record;
};

static void put_in_order(struct account_table *t, const struct change v[CHANGES], const int order[CHANGES])
{
    account_table_init(t);
    for (int i = 0; i < CHANGES; i++) {
        account_table_merge(t, ACCOUNT_USER, v[order[i]].name, v[order[i]].record);
        account_table_settle(t);
    }
}

/* The next permutation in lexical order; false: that was the last. */
static bool permute(int v[CHANGES])
{
    int i = CHANGES - 2, j = CHANGES - 1;
    while (i >= 0 && v[i] > v[i + 1])
        i--;
    if (i < 0)
        return false;
    while (v[j] < v[i])
        j--;
    int swap = v[i];
    v[i] = v[j], v[j] = swap;
    for (int a = i + 1, b = CHANGES - 1; a < b; a++, b--)
        swap = v[a], v[a] = v[b], v[b] = swap;
    return true;
}

/* Takes the records. saved: who is taken back, "" : nobody; its password is then hash. */
static void same_in_all_orders(const struct change v[CHANGES], const char *saved, const char *hash)
{
    int order[CHANGES] = {0, 1, 2, 3, 4, 5};
    char wanted[ACCOUNT_DIGEST_N] = "", digest[ACCOUNT_DIGEST_N];
    do {
        struct account_table t;
        put_in_order(&t, v, order);
        account_table_digest(&t, digest);
        if (*wanted)
            assert_string_equal(digest, wanted);
        memcpy(wanted, digest, sizeof wanted);
        assert_string_equal(t.saved, saved);
        const json_t *user = json_object_get(account_table_now(&t, ACCOUNT_USER), saved);
        assert_int_equal(account_is_admin(user), *saved != 0);
        if (*saved)
            assert_string_equal(json_str(user, "hash"), hash);
        account_table_fini(&t);
    } while (permute(order));
    for (int i = 0; i < CHANGES; i++)
        json_decref(v[i].record);
}

static void the_order_does_not_matter(void **state)
{
    (void)state;
    same_in_all_orders((struct change[]){{"admin", first(10, 1, "first")},
                                         {"admin", first(10, 2, "first elsewhere")},
                                         {"admin", user(20, 1, "one")},
                                         {"admin", user(20, 1, "another of the same stamp")},
                                         {"admin", account_tombstone(19, 3)},
                                         {"admin", account_tombstone(20, 1)}},
                       "", NULL);
}

/* ---- the last administrator ----------------------------------------------------------------------- */

static json_t *admin(int64_t stamp, int64_t node, const char *hash)
{
    json_t *o = user(stamp, node, hash);
    json_put(o, "role", json_of_str("administrator"));
    return o;
}

/* The change of a user that was before; takes both. */
static json_t *after(json_t *before, json_t *change)
{
    account_past_keep(change, before);
    json_decref(before);
    return change;
}

static json_t *deleted(json_t *before, uint64_t stamp, uint64_t node)
{
    return after(before, account_tombstone(stamp, node));
}

static void two_who_delete_each_other(void **state)
{
    (void)state;
    same_in_all_orders((struct change[]){{"ann", admin(5, 1, "a")},
                                         {"bob", admin(6, 2, "b")},
                                         {"ann", deleted(admin(5, 1, "a"), 30, 2)},
                                         {"bob", deleted(admin(6, 2, "b"), 31, 1)},
                                         {"carl", user(40, 1, "c")},
                                         {"admin", first(10, 3, "of a start")}},
                       "bob", "b");
    same_in_all_orders((struct change[]){{"ann", admin(5, 1, "a")},
                                         {"bob", admin(6, 2, "b")},
                                         {"ann", deleted(admin(5, 1, "a"), 30, 2)},
                                         {"bob", deleted(admin(6, 2, "b"), 30, 1)}, /* the node decides */
                                         {"carl", user(40, 1, "c")},
                                         {"carl", account_tombstone(50, 1)}},
                       "ann", "a");
    same_in_all_orders((struct change[]){{"ann", admin(5, 1, "a")},
                                         {"bob", admin(6, 2, "b")},
                                         {"ann", deleted(admin(5, 1, "a"), 30, 1)},
                                         {"bob", deleted(admin(6, 2, "a"), 30, 1)},
                                         {"carl", user(40, 1, "c")},
                                         {"dora", user(41, 1, "d")}},
                       "bob", "a"); /* no clock makes that; the records, then the names decide */
}

static void two_who_make_viewers_of_each_other(void **state)
{
    (void)state;
    json_t *viewer = after(admin(5, 1, "a"), user(30, 2, "a"));
    same_in_all_orders((struct change[]){{"ann", admin(5, 1, "a")},
                                         {"bob", admin(6, 2, "b")},
                                         {"ann", json_incref(viewer)},
                                         {"ann", after(viewer, user(33, 2, "a new password"))},
                                         {"bob", after(admin(6, 2, "b"), user(31, 1, "b"))},
                                         {"carl", user(40, 1, "c")}},
                       "bob", "b"); /* who changed the password later is not the later administrator */
    json_t *gone = deleted(after(admin(5, 1, "a"), user(30, 2, "a")), 32, 2);
    same_in_all_orders(
        (struct change[]){{"ann", admin(5, 1, "a")},
                          {"ann", gone},
                          {"ann", after(json_incref(gone), user(36, 1, "another of the name"))},
                          {"bob", admin(6, 2, "b")},
                          {"bob", deleted(after(admin(6, 2, "b"), user(29, 1, "b")), 35, 1)},
                          {"carl", user(40, 1, "c")}},
        "ann", "another of the name");
}

static void nobody_is_taken_back_where_there_is_an_administrator(void **state)
{
    (void)state;
    same_in_all_orders((struct change[]){{"ann", admin(5, 1, "a")},
                                         {"bob", admin(6, 2, "b")},
                                         {"ann", deleted(admin(5, 1, "a"), 30, 2)},
                                         {"bob", deleted(admin(6, 2, "b"), 31, 1)},
                                         {"carl", user(32, 1, "c")},
                                         {"dora", admin(7, 3, "d")}},
                       "", NULL);
    /* Records of a version that did not write down who it was, and what is no record. */
    json_t *broken = deleted(admin(5, 1, "a"), 30, 1);
    json_put(broken, "was", json_of_str("nobody"));
    json_t *of_a_tombstone = deleted(admin(5, 1, "a"), 30, 1);
    json_put(of_a_tombstone, "was", account_tombstone(3, 3));
    same_in_all_orders((struct change[]){{"ann", admin(5, 1, "a")},
                                         {"ann", account_tombstone(30, 1)},
                                         {"bob", admin(5, 1, "b")},
                                         {"bob", broken},
                                         {"carl", of_a_tombstone},
                                         {"dora", user(7, 3, "d")}},
                       "", NULL);
}

static void who_was_taken_back_stays(void **state)
{
    struct account_table t;
    char name[ACCOUNT_NAME_MAX + 1];
    (void)state;
    account_table_init(&t);
    merged(&t, "admin", first(10, 3, "of a start"));
    merged(&t, "ann", deleted(admin(5, 1, "a"), 2, 2));
    account_table_settle(&t);
    assert_string_equal(t.saved, "ann");
    assert_true(account_table_first_is_over(&t));
    for (int i = 0; i < ACCOUNT_TOMBSTONES_MAX; i++) {
        snprintf(name, sizeof name, "u%d", i);
        merged(&t, name, account_tombstone((uint64_t)i + 3, 1));
    }
    assert_true(account_table_trim(&t, ACCOUNT_USER, name));
    assert_string_equal(name, "u0"); /* the older one is needed */
    json_t *back = json_copy(json_object_get(account_table_now(&t, ACCOUNT_USER), "ann"));
    json_t *again = admin(90, 1, "a");
    account_past_keep(again, back);
    assert_null(json_object_get(again, "admin_until"));
    assert_true(merged(&t, "ann", again));
    account_table_settle(&t);
    assert_string_equal(t.saved, "");
    assert_true(account_is_admin(json_object_get(account_table_now(&t, ACCOUNT_USER), "ann")));
    json_decref(back);
    account_table_fini(&t);
}

/* ---- items ---------------------------------------------------------------------------------------- */

static void digests_tell_tables_apart(void **state)
{
    struct account_table t;
    char empty[ACCOUNT_DIGEST_N], one[ACCOUNT_DIGEST_N], two[ACCOUNT_DIGEST_N], gone[ACCOUNT_DIGEST_N];
    (void)state;
    account_table_init(&t);
    account_table_digest(&t, empty);
    merged(&t, "ann", user(5, 1, "a"));
    account_table_digest(&t, one);
    merged(&t, "bob", user(5, 1, "a"));
    account_table_digest(&t, two);
    merged(&t, "bob", account_tombstone(6, 1));
    account_table_digest(&t, gone);
    assert_string_not_equal(empty, one);
    assert_string_not_equal(one, two);
    assert_string_not_equal(one, gone);
    assert_string_not_equal(two, gone);
    account_table_fini(&t);
}

static void items_make_the_same_table(void **state)
{
    struct account_table t, other;
    json_t *items = json_array(), *item;
    char digest[ACCOUNT_DIGEST_N], same[ACCOUNT_DIGEST_N];
    size_t i;
    (void)state;
    account_table_init(&t);
    account_table_init(&other);
    merged(&t, "ann", user(5, 1, "a"));
    merged(&t, "bob", account_tombstone(6, 1));
    account_table_put(&t, ACCOUNT_KEY, "script", user(9, 1, "k"));
    account_table_items(&t, items);
    assert_int_equal(json_array_size(items), 3);
    json_array_foreach(items, i, item)
    {
        enum account_kind kind;
        assert_true(account_kind_parse(&kind, json_str(item, "kind")));
        account_table_merge(&other, kind, json_str(item, "name"), json_object_get(item, "record"));
    }
    account_table_digest(&t, digest);
    account_table_digest(&other, same);
    assert_string_equal(digest, same);
    json_decref(items);
    account_table_fini(&t);
    account_table_fini(&other);
}

static void whole_is(bool wanted, enum account_kind kind, const char *text)
{
    json_t *o = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(o);
    assert_int_equal(account_is_whole(kind, o), wanted);
    json_decref(o);
}

static void what_is_not_whole(void **state)
{
    enum account_kind kind;
    (void)state;
    whole_is(true, ACCOUNT_USER, "{\"hash\": \"a\", \"role\": \"viewer\", \"stamp\": 1}");
    whole_is(false, ACCOUNT_KEY, "{\"hash\": \"a\", \"role\": \"viewer\", \"stamp\": 1}");
    whole_is(false, ACCOUNT_USER, "{\"hash\": 1, \"role\": \"viewer\", \"stamp\": 1}");
    whole_is(false, ACCOUNT_USER, "{\"hash\": \"a\", \"role\": \"viewer\"}");
    whole_is(false, ACCOUNT_USER, "{\"hash\": \"a\", \"role\": \"viewer\", \"stamp\": -1}");
    whole_is(false, ACCOUNT_USER,
             "{\"gone\": true, \"stamp\": 4611686018427387904}"); /* no clock comes there */
    whole_is(true, ACCOUNT_KEY, "{\"gone\": true, \"stamp\": 4611686018427387903}");
    whole_is(false, ACCOUNT_USER, "[]");
    whole_is(false, ACCOUNT_USER, "null");
    assert_false(account_kind_parse(&kind, "token"));
    assert_false(account_kind_parse(&kind, NULL));
}

static void the_oldest_tombstones_go(void **state)
{
    struct account_table t;
    char name[ACCOUNT_NAME_MAX + 1];
    (void)state;
    account_table_init(&t);
    for (int i = 0; i <= ACCOUNT_TOMBSTONES_MAX; i++) {
        snprintf(name, sizeof name, "u%d", i);
        merged(&t, name, account_tombstone((uint64_t)(i == 77 ? 1 : i + 2), 1));
    }
    assert_true(account_table_trim(&t, ACCOUNT_USER, name));
    assert_string_equal(name, "u77");
    assert_false(account_table_trim(&t, ACCOUNT_USER, name));
    assert_false(account_table_trim(&t, ACCOUNT_KEY, name));
    account_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newer_wins),
        cmocka_unit_test(the_first_user_gives_way),
        cmocka_unit_test(the_first_user_is_over_when_there_are_others),
        cmocka_unit_test(the_order_does_not_matter),
        cmocka_unit_test(two_who_delete_each_other),
        cmocka_unit_test(two_who_make_viewers_of_each_other),
        cmocka_unit_test(nobody_is_taken_back_where_there_is_an_administrator),
        cmocka_unit_test(who_was_taken_back_stays),
        cmocka_unit_test(digests_tell_tables_apart),
        cmocka_unit_test(items_make_the_same_table),
        cmocka_unit_test(what_is_not_whole),
        cmocka_unit_test(the_oldest_tombstones_go),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
