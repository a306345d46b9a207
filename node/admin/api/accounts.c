/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/accounts.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_PASSWORD_N = 20 };

struct accounts {
    struct admin_env *env;
    struct offload *offload;
    json_t *all[ACCOUNT_KINDS];
    char first_path[PATH_MAX];
};

/* In STORE_META. */
static const char *const prefixes[ACCOUNT_KINDS] = {"http/user/", "http/key/"};

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

const char *account_prefix(enum account_kind kind)
{
    return prefixes[kind];
}

bool account_is_sound(enum account_kind kind, struct bytes name, struct bytes record)
{
    static const char *const needed[ACCOUNT_KINDS][4] = {{"hash", "role", NULL},
                                                         {"hash", "role", "api_key", NULL}};
    if (name.n == 0 || name.n > ACCOUNT_NAME_MAX || memchr(name.p, 0, name.n))
        return false;
    json_t *o = json_loadb((const char *)record.p, record.n, 0, NULL);
    bool is_sound = json_is_object(o);
    for (int i = 0; is_sound && needed[kind][i]; i++)
        is_sound = json_is_string(json_object_get(o, needed[kind][i]));
    json_decref(o);
    return is_sound;
}

/* ---- the store ------------------------------------------------------------------------------------ */

static void kind_load(struct accounts *a, enum account_kind kind, struct store_reader *r)
{
    struct bytes key, value, prefix = bytes_str(prefixes[kind]);
    enum err e = store_seek(r, STORE_META, prefix, &key, &value);
    for (; (e == OK || e == ERR_CORRUPT) && bytes_starts(key, prefix); e = store_next(r, &key, &value)) {
        char name[ACCOUNT_NAME_MAX + 1] = "";
        json_t *record = e == OK ? json_loadb((const char *)value.p, value.n, 0, NULL) : NULL;
        if (key.n - prefix.n > ACCOUNT_NAME_MAX || !json_is_object(record)) {
            LOG(a->env->conf.log, LOG_ERROR, "api account damaged kind=%d", (int)kind);
            json_decref(record);
            continue;
        }
        memcpy(name, key.p + prefix.n, key.n - prefix.n);
        json_put(a->all[kind], name, record);
    }
}

static bool all_load(struct accounts *a)
{
    struct store_reader *r;
    if (store_reader_new(&r, a->env->conf.store) != OK)
        return false;
    bool is_read = store_read_begin(r) == OK;
    for (int k = 0; is_read && k < ACCOUNT_KINDS; k++)
        kind_load(a, (enum account_kind)k, r);
    if (is_read)
        store_read_end(r);
    store_reader_free(r);
    return is_read;
}

struct change {
    struct accounts *a;
    struct store_batch batch;
    enum account_kind kind;
    char *name;
    json_t *before; /* NULL: there was none */
    enum err result;
    void (*done)(void *arg, enum err result);
    void *arg;
};

static void change_done(void *arg)
{
    struct change *c = arg;
    struct accounts *a = c->a;
    if (c->result != OK) {
        LOG(a->env->conf.log, LOG_ERROR, "api account not stored error=\"%s\"", err_name(c->result));
        if (c->before)
            json_put(a->all[c->kind], c->name, json_incref(c->before));
        else
            json_object_del(a->all[c->kind], c->name);
    }
    if (c->done)
        c->done(c->arg, c->result);
    json_decref(c->before);
    store_batch_fini(&c->batch);
    free(c->name);
    free(c);
}

static void on_stored(void *ctx, struct store_batch *batch, enum err result)
{
    struct change *c = ctx;
    (void)batch;
    c->result = result;
    offload_post(c->a->offload, change_done, c);
}

void account_put(struct accounts *a, enum account_kind kind, const char *name, json_t *record,
                 void (*done)(void *arg, enum err result), void *arg)
{
    struct change *c = mem_zalloc(sizeof *c);
    struct text key = {0};
    *c = (struct change){.a = a, .kind = kind, .done = done, .arg = arg};
    c->name = mem_dup(name, strlen(name));
    c->before = json_incref(json_object_get(a->all[kind], name));
    text_printf(&key, "%s%s", prefixes[kind], name);
    store_batch_init(&c->batch);
    if (record) {
        size_t n;
        char *text = json_text(record, &n);
        store_batch_put(&c->batch, STORE_META, bytes_of(key.p, key.n), bytes_of(text, n));
        free(text);
        json_put(a->all[kind], name, record);
    } else {
        store_batch_del(&c->batch, STORE_META, bytes_of(key.p, key.n));
        json_object_del(a->all[kind], name);
    }
    text_fini(&key);
    offload_expect(a->offload);
    writer_submit(a->env->conf.writer, &c->batch, on_stored, c);
}

void accounts_read_again(struct accounts *a)
{
    if (!all_load(a))
        LOG(a->env->conf.log, LOG_ERROR, "api accounts not read");
    if (!json_bool(account_find(a, ACCOUNT_USER, "admin"), "must_change", true))
        accounts_first_password_forget(a);
}

/* ---- the first user ------------------------------------------------------------------------------- */

static void password_make(char out[FIRST_PASSWORD_N + 1])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* none that looks like another */
    for (int i = 0; i < FIRST_PASSWORD_N; i++)
        out[i] = letters[randombytes_uniform(sizeof letters - 1)];
    out[FIRST_PASSWORD_N] = 0;
}

static bool file_write(const char *path, const char *password)
{
    unlink(path); /* one of a start that did not get to its end */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    char line[FIRST_PASSWORD_N + 2];
    int n = snprintf(line, sizeof line, "%s\n", password);
    bool is_written = write(fd, line, (size_t)n) == n && fsync(fd) == 0;
    if (close(fd) != 0 || !is_written)
        unlink(path);
    return is_written;
}

/* The file first: a user with a password that nobody knows would be in the way for ever. */
static void first_user_make(struct accounts *a)
{
    char password[FIRST_PASSWORD_N + 1], hash[ACCOUNT_HASH_MAX];
    struct log_sink *log = a->env->conf.log;
    password_make(password);
    if (!account_hash(hash, password) || !file_write(a->first_path, password)) {
        LOG(log, LOG_ERROR, "api no first user path=\"%s\" system=\"%s\"", a->first_path, strerror(errno));
    } else {
        json_t *user = json_pack("{s:s, s:s, s:s, s:b}", "hash", hash, "role", "administrator", "description",
                                 "", "must_change", 1);
        json_put(user, "created_at", json_of_u64(admin_wall_ms()));
        account_put(a, ACCOUNT_USER, "admin", user, NULL, NULL);
        LOG(log, LOG_NOTICE, "api first user made user=admin password_file=\"%s\"", a->first_path);
    }
    sodium_memzero(password, sizeof password);
}

struct accounts *accounts_new(struct admin_env *env, struct offload *offload)
{
    struct accounts *a = mem_zalloc(sizeof *a);
    a->env = env;
    a->offload = offload;
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        a->all[k] = json_object();
    snprintf(a->first_path, sizeof a->first_path, "%s/admin_password", env->conf.data_dir);
    if (all_load(a) && json_object_size(a->all[ACCOUNT_USER]) == 0)
        first_user_make(a);
    return a;
}

void accounts_free(struct accounts *a)
{
    if (!a)
        return;
    for (int k = 0; k < ACCOUNT_KINDS; k++)
        json_decref(a->all[k]);
    free(a);
}

const json_t *accounts_all(const struct accounts *a, enum account_kind kind)
{
    return a->all[kind];
}

const json_t *account_find(const struct accounts *a, enum account_kind kind, const char *name)
{
    return json_object_get(a->all[kind], name);
}

void accounts_first_password_forget(struct accounts *a)
{
    unlink(a->first_path);
}
