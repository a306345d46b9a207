/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/accounts.h"

#include "node/admin/api/first_user.h"
#include "node/core/hlc.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <sodium.h>
#include <stdlib.h>

struct accounts {
    struct admin_env *env;
    struct offload *offload;
    struct account_table table;
    account_teller_fn *tell; /* NULL: there are no others */
    void *tell_ctx;
};

/* In STORE_META. What older versions of the program do not look at is apart. */
static const char *const prefixes[ACCOUNT_KINDS] = {"http/user/", "http/key/"};
static const char *const gone_prefixes[ACCOUNT_KINDS] = {"http/gone/user/", "http/gone/key/"};

const char *account_prefix(enum account_kind kind)
{
    return prefixes[kind];
}

bool account_is_sound(enum account_kind kind, struct bytes name, struct bytes record)
{
    if (name.n == 0 || name.n > ACCOUNT_NAME_MAX || memchr(name.p, 0, name.n))
        return false;
    json_t *o = json_loadb((const char *)record.p, record.n, 0, NULL);
    if (json_is_object(o) && !json_object_get(o, "stamp"))
        json_put(o, "stamp", json_integer(1));
    bool is_sound = account_is_whole(kind, o) && !account_is_gone(o);
    json_decref(o);
    return is_sound;
}

static void settle(struct accounts *a)
{
    char before[ACCOUNT_NAME_MAX + 1];
    memcpy(before, a->table.saved, sizeof before);
    account_table_settle(&a->table);
    if (*a->table.saved && strcmp(before, a->table.saved) != 0)
        LOG(a->env->conf.log, LOG_WARNING, "api last administrator taken back name=%s", a->table.saved);
}

/* ---- reading the store ---------------------------------------------------------------------------- */

/* A record of a version that kept them per node: as old as it is. One whose password is still that of the
 * first start can only be the first user. */
static void stamp_complete(enum account_kind kind, json_t *record)
{
    int64_t made_ms = json_int(record, "created_at", 0);
    uint64_t stamp = made_ms > 0 ? (uint64_t)made_ms << HLC_SHIFT : 1;
    if (json_object_get(record, "stamp"))
        return;
    json_put(record, "stamp", json_of_u64(stamp < HLC_STAMP_MAX ? stamp : 1));
    json_put(record, "node", json_integer(0));
    if (kind != ACCOUNT_USER)
        return;
    json_put(record, "since", json_incref(json_object_get(record, "stamp")));
    if (json_bool(record, "must_change", false))
        json_put(record, "first", json_true());
}

static void record_load(struct accounts *a, enum account_kind kind, struct bytes name, struct bytes value)
{
    char text[ACCOUNT_NAME_MAX + 1] = "";
    json_t *record = value.n ? json_loadb((const char *)value.p, value.n, 0, NULL) : NULL;
    if (json_is_object(record))
        stamp_complete(kind, record);
    if (name.n && name.n <= ACCOUNT_NAME_MAX && account_is_whole(kind, record)) {
        memcpy(text, name.p, name.n);
        node_stamp_see(a->env->conf.node, (uint64_t)json_int(record, "stamp", 1));
        if (account_table_merge(&a->table, kind, text, record) && a->tell)
            a->tell(a->tell_ctx, account_item(kind, text, record), NULL, NULL);
    } else {
        LOG(a->env->conf.log, LOG_ERROR, "api account damaged kind=%s", account_kind_name(kind));
    }
    json_decref(record);
}

static void kind_load(struct accounts *a, enum account_kind kind, const char *begin, struct store_reader *r)
{
    struct bytes key, value, prefix = bytes_str(begin);
    enum err e = store_seek(r, STORE_META, prefix, &key, &value);
    for (; (e == OK || e == ERR_CORRUPT) && bytes_starts(key, prefix); e = store_next(r, &key, &value))
        record_load(a, kind, bytes_of(key.p + prefix.n, key.n - prefix.n),
                    e == OK ? value : bytes_of(NULL, 0));
}

static bool all_load(struct accounts *a)
{
    struct store_reader *r;
    if (store_reader_new(&r, a->env->conf.store) != OK)
        return false;
    bool is_read = store_read_begin(r) == OK;
    for (int k = 0; is_read && k < ACCOUNT_KINDS; k++) {
        kind_load(a, (enum account_kind)k, prefixes[k], r);
        kind_load(a, (enum account_kind)k, gone_prefixes[k], r);
    }
    if (is_read)
        store_read_end(r);
    store_reader_free(r);
    settle(a);
    return is_read;
}

/* NULL: somebody has chosen a password. */
static const json_t *first_user(const struct accounts *a)
{
    const json_t *user = account_find(a, ACCOUNT_USER, "admin");
    return json_bool(user, "first", false) ? user : NULL;
}

/* ---- writing it ----------------------------------------------------------------------------------- */

/* record NULL: nothing stays of the name. */
static void record_store(struct store_batch *batch, enum account_kind kind, const char *name,
                         const json_t *record)
{
    struct text key = {0}, gone_key = {0};
    bool is_gone = account_is_gone(record);
    text_printf(&key, "%s%s", prefixes[kind], name);
    text_printf(&gone_key, "%s%s", gone_prefixes[kind], name);
    struct bytes live = bytes_of(key.p, key.n), gone = bytes_of(gone_key.p, gone_key.n);
    if (record) {
        size_t n;
        char *text = json_text(record, &n);
        store_batch_put(batch, STORE_META, is_gone ? gone : live, bytes_of(text, n));
        free(text);
    }
    if (!record || is_gone)
        store_batch_del(batch, STORE_META, live);
    if (!record || !is_gone)
        store_batch_del(batch, STORE_META, gone);
    text_fini(&key);
    text_fini(&gone_key);
}

/* What is being stored, and, of a change that was made here, who waits for it. */
struct change {
    struct accounts *a;
    struct store_batch batch;
    enum account_kind kind;
    char *name; /* NULL: of another node, or several */
    json_t *record;
    json_t *before; /* NULL: there was none */
    enum err result;
    void (*done)(void *arg, enum err result);
    void *arg;
};

static void change_end(void *arg)
{
    struct change *c = arg;
    if (c->done)
        c->done(c->arg, c->result);
    json_decref(c->record);
    json_decref(c->before);
    store_batch_fini(&c->batch);
    free(c->name);
    free(c);
}

static void change_stored(void *arg)
{
    struct change *c = arg;
    struct accounts *a = c->a;
    if (c->result != OK)
        LOG(a->env->conf.log, LOG_ERROR, "api account not stored error=\"%s\"", err_name(c->result));
    /* What came from another node stays in memory, and is asked for again by the next start. */
    if (c->result != OK && c->name && account_table_get(&a->table, c->kind, c->name) == c->record) {
        account_table_put(&a->table, c->kind, c->name, c->before ? json_incref(c->before) : NULL);
        settle(a);
    }
    if (c->result == OK && json_bool(c->before, "first", false) && !first_user(a))
        first_user_file_remove(&a->env->conf);
    bool is_told = c->result == OK && c->name && a->tell;
    if (!is_told || !a->tell(a->tell_ctx, account_item(c->kind, c->name, c->record), change_end, c))
        change_end(c);
}

static void on_stored(void *ctx, struct store_batch *batch, enum err result)
{
    struct change *c = ctx;
    (void)batch;
    c->result = result;
    offload_post(c->a->offload, change_stored, c);
}

static void change_submit(struct change *c)
{
    char oldest[ACCOUNT_NAME_MAX + 1];
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        while (account_table_trim(&c->a->table, (enum account_kind)k, oldest))
            record_store(&c->batch, (enum account_kind)k, oldest, NULL);
    offload_expect(c->a->offload);
    writer_submit(c->a->env->conf.writer, &c->batch, on_stored, c);
}

static struct change *change_new(struct accounts *a)
{
    struct change *c = mem_zalloc(sizeof *c);
    c->a = a;
    store_batch_init(&c->batch);
    return c;
}

static void put(struct accounts *a, enum account_kind kind, const char *name, json_t *record,
                void (*done)(void *arg, enum err result), void *arg)
{
    struct change *c = change_new(a);
    c->kind = kind;
    c->name = mem_text(name);
    c->before = json_incref((json_t *)(uintptr_t)account_table_get(&a->table, kind, name));
    c->record = json_incref(record);
    c->done = done;
    c->arg = arg;
    record_store(&c->batch, kind, name, record);
    account_table_put(&a->table, kind, name, record);
    settle(a);
    change_submit(c);
}

/* ---- the first user ------------------------------------------------------------------------------- */

struct first_job {
    struct accounts *a;
    char *salt, *hash;
    bool is_written;
};

static void first_work(void *arg)
{
    struct first_job *j = arg;
    j->is_written = first_user_file_write(&j->a->env->conf, j->salt, j->hash);
}

static void first_done(void *arg)
{
    struct first_job *j = arg;
    const json_t *user = first_user(j->a);
    if (!user) /* a password has been chosen meanwhile */
        first_user_file_remove(&j->a->env->conf);
    else
        LOG(j->a->env->conf.log, LOG_NOTICE, "api first user is of another node password_file_%s",
            j->is_written ? "written" : "there");
    free(j->salt);
    free(j->hash);
    free(j);
}

/* The file says what the table says: before is the hash that it was made for, "" : none. */
static void first_user_follow(struct accounts *a, const char *before)
{
    const json_t *user = first_user(a);
    const char *salt = json_str(user, "salt"), *hash = json_str(user, "hash");
    if (!user) {
        if (*before)
            first_user_file_remove(&a->env->conf);
        return;
    }
    if (strcmp(hash, before) == 0)
        return;
    struct first_job *j = mem_zalloc(sizeof *j);
    *j = (struct first_job){
        .a = a, .salt = mem_dup(salt ? salt : "", salt ? strlen(salt) : 0), .hash = mem_text(hash)};
    if (!offload_run(a->offload, first_work, first_done, j))
        first_work(j), first_done(j);
}

static char *first_hash(const struct accounts *a)
{
    const char *hash = json_str(first_user(a), "hash");
    return mem_dup(hash ? hash : "", hash ? strlen(hash) : 0);
}

static void first_user_begin(struct accounts *a)
{
    struct node *node = a->env->conf.node;
    const json_t *users = a->table.all[ACCOUNT_USER];
    bool was_there = json_object_size(users) + json_object_size(a->table.gone[ACCOUNT_USER]) > 0;
    if (was_there) {
        if (json_str(first_user(a), "salt") && !first_user_file_exists(&a->env->conf))
            first_user_follow(a, "");
        return;
    }
    json_t *user = first_user_make(&a->env->conf, node_stamp(node, wall_ms()), node_tag(node) >> 1);
    if (user)
        put(a, ACCOUNT_USER, "admin", user, NULL, NULL);
}

/* ---- changes -------------------------------------------------------------------------------------- */

/* Somebody goes on with the users as they are: who was taken back stays, whoever comes. */
static void saved_keep(struct accounts *a, const char *changed)
{
    char name[ACCOUNT_NAME_MAX + 1];
    memcpy(name, a->table.saved, sizeof name);
    if (*name && strcmp(name, changed) != 0)
        account_put(a, ACCOUNT_USER, name,
                    json_copy((json_t *)(uintptr_t)account_find(a, ACCOUNT_USER, name)), NULL, NULL);
}

void account_put(struct accounts *a, enum account_kind kind, const char *name, json_t *record,
                 void (*done)(void *arg, enum err result), void *arg)
{
    struct node *node = a->env->conf.node;
    if (kind == ACCOUNT_USER)
        saved_keep(a, name);
    uint64_t stamp = node_stamp(node, wall_ms()), tag = node_tag(node) >> 1;
    const json_t *now = account_find(a, kind, name);
    const char *hash = json_str(now, "hash"), *next = json_str(record, "hash");
    if (record) {
        json_put(record, "stamp", json_of_u64(stamp));
        json_put(record, "node", json_of_u64(tag));
        json_object_del(record, "first");
        json_object_del(record, "salt");
        if (kind == ACCOUNT_USER && (!hash || strcmp(hash, next) != 0))
            json_put(record, "since", json_of_u64(stamp));
    } else {
        record = account_tombstone(stamp, tag);
    }
    if (kind == ACCOUNT_USER)
        account_past_keep(record, now ? now : account_table_get(&a->table, kind, name));
    put(a, kind, name, record, done, arg);
}

bool account_name_is_good(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
    return *name && strlen(name) <= ACCOUNT_NAME_MAX && name[strspn(name, letters)] == 0;
}

json_t *account_user_new(const char *hash, const char *role, const char *description)
{
    json_t *record = json_object();
    json_put(record, "hash", json_of_str(hash));
    json_put(record, "role", json_of_str(role));
    json_put(record, "description", json_of_str(description));
    json_put(record, "must_change", json_false());
    json_put(record, "created_at", json_of_u64(wall_ms()));
    return record;
}

bool accounts_last_admin_is(const struct accounts *a, const json_t *user)
{
    unsigned n = 0;
    const char *name;
    json_t *other;
    json_object_foreach((json_t *)(uintptr_t)accounts_all(a, ACCOUNT_USER), name, other) n +=
        account_is_admin(other);
    return account_is_admin(user) && n == 1;
}

static bool item_merge(struct accounts *a, const json_t *item, struct store_batch *batch)
{
    const char *name = json_str(item, "name");
    json_t *record = json_object_get(item, "record");
    enum account_kind kind;
    if (!account_kind_parse(&kind, json_str(item, "kind")) || !name || !*name ||
        strlen(name) > ACCOUNT_NAME_MAX || !account_is_whole(kind, record))
        return false;
    node_stamp_see(a->env->conf.node, (uint64_t)json_int(record, "stamp", 1));
    if (!account_table_merge(&a->table, kind, name, record))
        return false;
    record_store(batch, kind, name, record);
    return true;
}

void accounts_merge(struct accounts *a, const json_t *items)
{
    struct change *c = change_new(a);
    char *first = first_hash(a);
    size_t i, n = 0;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)items, i, item) n += item_merge(a, item, &c->batch);
    settle(a);
    if (account_table_first_is_over(&a->table)) {
        account_table_put(&a->table, ACCOUNT_USER, "admin", NULL);
        record_store(&c->batch, ACCOUNT_USER, "admin", NULL);
        settle(a);
    }
    if (n)
        change_submit(c);
    else
        change_end(c);
    first_user_follow(a, first);
    free(first);
}

/* ---- import --------------------------------------------------------------------------------------- */

void account_restore(struct store_batch *batch, enum account_kind kind, struct bytes name,
                     struct bytes record, uint64_t stamp, uint64_t tag)
{
    char text[ACCOUNT_NAME_MAX + 1] = "";
    json_t *o = json_loadb((const char *)record.p, record.n, 0, NULL);
    CHECK(json_is_object(o) && name.n <= ACCOUNT_NAME_MAX); /* account_is_sound() */
    memcpy(text, name.p, name.n);
    json_put(o, "stamp", json_of_u64(stamp));
    json_put(o, "node", json_of_u64(tag >> 1));
    json_object_del(o, "first");
    json_object_del(o, "salt");
    if (kind == ACCOUNT_USER)
        json_put(o, "since", json_of_u64(stamp));
    record_store(batch, kind, text, o);
    json_decref(o);
}

void accounts_read_again(struct accounts *a)
{
    char *first = first_hash(a);
    if (!all_load(a))
        LOG(a->env->conf.log, LOG_ERROR, "api accounts not read");
    first_user_follow(a, first);
    free(first);
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct accounts *accounts_new(struct admin_env *env, struct offload *offload)
{
    struct accounts *a = mem_zalloc(sizeof *a);
    a->env = env;
    a->offload = offload;
    account_table_init(&a->table);
    if (all_load(a))
        first_user_begin(a);
    return a;
}

void accounts_free(struct accounts *a)
{
    if (!a)
        return;
    account_table_fini(&a->table);
    free(a);
}

void accounts_teller_set(struct accounts *a, account_teller_fn *tell, void *ctx)
{
    a->tell = tell;
    a->tell_ctx = ctx;
}

const struct account_table *accounts_table(const struct accounts *a)
{
    return &a->table;
}

const json_t *accounts_all(const struct accounts *a, enum account_kind kind)
{
    return account_table_now(&a->table, kind);
}

const json_t *account_find(const struct accounts *a, enum account_kind kind, const char *name)
{
    return json_object_get(account_table_now(&a->table, kind), name);
}

/* ---- hashes --------------------------------------------------------------------------------------- */

bool account_hash(char out[ACCOUNT_HASH_MAX], const char *password)
{
    _Static_assert(ACCOUNT_HASH_MAX >= crypto_pwhash_STRBYTES, "a hash has room");
    return crypto_pwhash_str(out, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                             crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0;
}

bool account_verify(const char *hash, const char *password)
{
    char unused[ACCOUNT_HASH_MAX];
    if (hash)
        return crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
    bool is_made = account_hash(unused, password);
    (void)is_made;
    return false;
}

void account_secret_hash(char out[65], const char *secret)
{
    uint8_t hash[32];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)secret, strlen(secret), NULL, 0);
    sodium_bin2hex(out, 65, hash, sizeof hash);
}
