/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/account_table.h"

#include "node/core/hlc.h"
#include "proto/base/check.h"

#include <sodium.h>
#include <stdlib.h>

static const char *const kind_names[ACCOUNT_KINDS] = {"user", "key"};
static const char first_user[] = "admin";

void account_table_init(struct account_table *t)
{
    for (int k = 0; k < ACCOUNT_KINDS; k++) {
        t->all[k] = json_object();
        t->gone[k] = json_object();
    }
    t->users = json_incref(t->all[ACCOUNT_USER]);
    t->saved[0] = 0;
}

void account_table_fini(struct account_table *t)
{
    json_decref(t->users);
    for (int k = 0; k < ACCOUNT_KINDS; k++) {
        json_decref(t->all[k]);
        json_decref(t->gone[k]);
    }
}

const char *account_kind_name(enum account_kind kind)
{
    return kind_names[kind];
}

bool account_kind_parse(enum account_kind *out, const char *name)
{
    for (int k = 0; name && k < ACCOUNT_KINDS; k++) {
        if (strcmp(kind_names[k], name) == 0) {
            *out = (enum account_kind)k;
            return true;
        }
    }
    return false;
}

/* ---- records -------------------------------------------------------------------------------------- */

bool account_is_gone(const json_t *record)
{
    return json_bool(record, "gone", false);
}

bool account_is_whole(enum account_kind kind, const json_t *record)
{
    static const char *const needed[ACCOUNT_KINDS][4] = {{"hash", "role", NULL},
                                                         {"hash", "role", "api_key", NULL}};
    int64_t stamp = json_int(record, "stamp", 0);
    bool is_whole = json_is_object(record) && stamp > 0 && (uint64_t)stamp < HLC_STAMP_MAX;
    for (int i = 0; is_whole && !account_is_gone(record) && needed[kind][i]; i++)
        is_whole = json_is_string(json_object_get(record, needed[kind][i]));
    return is_whole;
}

json_t *account_tombstone(uint64_t stamp, uint64_t node)
{
    json_t *o = json_object();
    json_put(o, "gone", json_true());
    json_put(o, "stamp", json_of_u64(stamp));
    json_put(o, "node", json_of_u64(node));
    return o;
}

bool account_is_admin(const json_t *user)
{
    const char *role = json_str(user, "role");
    return role && strcmp(role, "administrator") == 0;
}

void account_past_keep(json_t *user, const json_t *before)
{
    const json_t *was = account_is_gone(before) ? json_object_get(before, "was") : before;
    json_t *until = json_object_get(account_is_admin(before) ? user : before,
                                    account_is_admin(before) ? "stamp" : "admin_until");
    json_object_del(user, "admin_until");
    if (account_is_admin(user) || !until)
        return;
    json_put(user, "admin_until", json_incref(until));
    if (!account_is_gone(user))
        return;
    json_t *copy = json_copy((json_t *)(uintptr_t)was);
    json_put(copy, "role", json_of_str("administrator"));
    json_object_del(copy, "admin_until");
    json_put(user, "was", copy);
}

static char *sorted_text(const json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    CHECK(text);
    return text;
}

static int int_compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Two changes of one stamp are made by a version that does not know of stamps, or by a copied store: which of
 * them wins does not matter, but it is the same one on all nodes. */
static int rank_compare(const json_t *a, const json_t *b)
{
    bool is_first = json_bool(a, "first", false), other_is_first = json_bool(b, "first", false);
    if (is_first != other_is_first)
        return is_first ? -1 : 1;
    int by = int_compare(json_int(a, "stamp", 0), json_int(b, "stamp", 0));
    if (!by)
        by = int_compare(json_int(a, "node", 0), json_int(b, "node", 0));
    if (by)
        return is_first ? -by : by;
    char *text = sorted_text(a), *other = sorted_text(b);
    by = strcmp(text, other);
    free(text);
    free(other);
    return by;
}

/* ---- the table ------------------------------------------------------------------------------------ */

const json_t *account_table_get(const struct account_table *t, enum account_kind kind, const char *name)
{
    const json_t *record = json_object_get(t->all[kind], name);
    return record ? record : json_object_get(t->gone[kind], name);
}

void account_table_put(struct account_table *t, enum account_kind kind, const char *name, json_t *record)
{
    bool is_gone = account_is_gone(record);
    json_object_del(is_gone ? t->all[kind] : t->gone[kind], name);
    if (record) {
        json_put(is_gone ? t->gone[kind] : t->all[kind], name, record);
        return;
    }
    json_object_del(t->all[kind], name);
}

bool account_table_merge(struct account_table *t, enum account_kind kind, const char *name, json_t *record)
{
    const json_t *known = account_table_get(t, kind, name);
    if (known && rank_compare(record, known) <= 0)
        return false;
    account_table_put(t, kind, name, json_incref(record));
    return true;
}

bool account_table_trim(struct account_table *t, enum account_kind kind, char out[ACCOUNT_NAME_MAX + 1])
{
    const char *name, *oldest = NULL;
    int64_t stamp = INT64_MAX;
    json_t *record;
    if (json_object_size(t->gone[kind]) <= ACCOUNT_TOMBSTONES_MAX)
        return false;
    json_object_foreach(t->gone[kind], name, record)
    {
        if (json_int(record, "stamp", 0) < stamp && strcmp(name, t->saved) != 0) {
            stamp = json_int(record, "stamp", 0);
            oldest = name;
        }
    }
    CHECK(oldest);
    size_t n = strnlen(oldest, ACCOUNT_NAME_MAX);
    memcpy(out, oldest, n);
    out[n] = 0;
    json_object_del(t->gone[kind], out);
    return true;
}

bool account_table_first_is_over(const struct account_table *t)
{
    const json_t *first = json_object_get(t->all[ACCOUNT_USER], first_user);
    return json_bool(first, "first", false) && (json_object_size(t->all[ACCOUNT_USER]) > 1 || *t->saved);
}

/* ---- the last administrator ----------------------------------------------------------------------- */

/* The user of a first start is none that somebody has chosen. */
static bool has_admin(const struct account_table *t)
{
    const char *name;
    json_t *user;
    json_object_foreach(t->all[ACCOUNT_USER], name, user)
    {
        if (account_is_admin(user) && !json_bool(user, "first", false))
            return true;
    }
    return false;
}

struct lost {
    const char *name;
    const json_t *record;
};

static void lost_look(struct lost *best, const char *name, const json_t *record)
{
    const json_t *was = json_object_get(record, "was");
    int64_t until = json_int(record, "admin_until", 0);
    if (until <= 0 || (account_is_gone(record) && (!account_is_whole(ACCOUNT_USER, was) ||
                                                   account_is_gone(was) || !account_is_admin(was))))
        return;
    int by = best->name ? int_compare(until, json_int(best->record, "admin_until", 0)) : 1;
    if (!by)
        by = rank_compare(record, best->record);
    if (by > 0 || (!by && strcmp(name, best->name) > 0))
        *best = (struct lost){name, record};
}

void account_table_settle(struct account_table *t)
{
    struct lost best = {0};
    const char *name;
    json_t *record, *users = t->all[ACCOUNT_USER];
    json_decref(t->users);
    t->users = json_incref(users);
    t->saved[0] = 0;
    if (has_admin(t))
        return;
    json_object_foreach(users, name, record) lost_look(&best, name, record);
    json_object_foreach(t->gone[ACCOUNT_USER], name, record) lost_look(&best, name, record);
    size_t n = best.name ? strlen(best.name) : 0;
    if (!n || n > ACCOUNT_NAME_MAX)
        return;
    const json_t *was = json_object_get(best.record, "was");
    json_t *back = json_copy((json_t *)(uintptr_t)(account_is_gone(best.record) ? was : best.record));
    json_put(back, "role", json_of_str("administrator"));
    memcpy(t->saved, best.name, n + 1);
    json_decref(t->users);
    t->users = json_copy(users);
    json_put(t->users, t->saved, back);
}

const json_t *account_table_now(const struct account_table *t, enum account_kind kind)
{
    return kind == ACCOUNT_USER ? t->users : t->all[kind];
}

/* ---- items ---------------------------------------------------------------------------------------- */

json_t *account_item(enum account_kind kind, const char *name, const json_t *record)
{
    json_t *o = json_object();
    json_put(o, "kind", json_of_str(kind_names[kind]));
    json_put(o, "name", json_of_str(name));
    json_put(o, "record", json_incref((json_t *)(uintptr_t)record));
    return o;
}

static void each(const struct account_table *t,
                 void (*fn)(void *arg, enum account_kind kind, const char *name, const json_t *record),
                 void *arg)
{
    const char *name;
    json_t *record;
    for (int k = 0; k < ACCOUNT_KINDS; k++) {
        json_object_foreach(t->all[k], name, record) fn(arg, (enum account_kind)k, name, record);
        json_object_foreach(t->gone[k], name, record) fn(arg, (enum account_kind)k, name, record);
    }
}

static void item_push(void *arg, enum account_kind kind, const char *name, const json_t *record)
{
    json_push(arg, account_item(kind, name, record));
}

void account_table_items(const struct account_table *t, json_t *out)
{
    each(t, item_push, out);
}

struct digest {
    uint8_t sum[ACCOUNT_DIGEST_N / 2];
};

/* Sums do not depend on the order, which a table does not have. */
static void digest_add(void *arg, enum account_kind kind, const char *name, const json_t *record)
{
    struct digest *d = arg;
    uint8_t hash[sizeof d->sum];
    crypto_generichash_state st;
    char *text = sorted_text(record);
    crypto_generichash_init(&st, NULL, 0, sizeof hash);
    crypto_generichash_update(&st, (const uint8_t *)kind_names[kind], strlen(kind_names[kind]) + 1);
    crypto_generichash_update(&st, (const uint8_t *)name, strlen(name) + 1);
    crypto_generichash_update(&st, (const uint8_t *)text, strlen(text));
    crypto_generichash_final(&st, hash, sizeof hash);
    sodium_add(d->sum, hash, sizeof hash);
    free(text);
}

void account_table_digest(const struct account_table *t, char out[ACCOUNT_DIGEST_N])
{
    struct digest d = {{0}};
    each(t, digest_add, &d);
    sodium_bin2hex(out, ACCOUNT_DIGEST_N, d.sum, sizeof d.sum);
}
