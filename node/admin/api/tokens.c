/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/tokens.h"

#include "proto/base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { RANDOM_N = 32, HASH_N = 32, HASH_TEXT_N = 2 * HASH_N + 1, TELL_MS_MAX = 60000 };

struct token {
    uint8_t hash[HASH_N];
    char user[TOKEN_USER_BYTES_MAX + 1];
    int64_t since;
    int64_t made_ms; /* of another node: perhaps before this machine was there */
    int64_t used_ms;
    int64_t told_ms; /* the others know of this use */
};

struct ended {
    uint8_t hash[HASH_N];
    int64_t made_ms;
};

/* People log in seldom: lists that are looked through. */
struct tokens {
    int64_t idle_ms;
    struct token *v;
    uint32_t n;
    uint32_t cap;
    struct ended *ended; /* a ring */
    uint32_t ended_n;
    uint32_t ended_next;
    uint32_t ended_cap;
};

struct tokens *tokens_new(uint64_t idle_ms)
{
    struct tokens *t = mem_zalloc(sizeof *t);
    t->idle_ms = (int64_t)idle_ms;
    return t;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    free(t->v);
    free(t->ended);
    free(t);
}

/* ---- those that have ended ------------------------------------------------------------------------ */

static bool is_ended(const struct tokens *t, const uint8_t hash[HASH_N])
{
    for (uint32_t i = 0; i < t->ended_n; i++)
        if (memcmp(t->ended[i].hash, hash, HASH_N) == 0) /* a hash of what is no secret any more */
            return true;
    return false;
}

/* The one that was put first gives way. */
static void ended_put(struct tokens *t, const uint8_t hash[HASH_N], int64_t made_ms)
{
    if (is_ended(t, hash))
        return;
    if (t->ended_n == t->ended_cap && t->ended_cap < TOKENS_ENDED_MAX) {
        t->ended_cap = t->ended_cap ? t->ended_cap * 2 : 16;
        t->ended = mem_realloc(t->ended, sizeof *t->ended * t->ended_cap);
    }
    uint32_t at = t->ended_n < t->ended_cap ? t->ended_n++ : t->ended_next++ % TOKENS_ENDED_MAX;
    memcpy(t->ended[at].hash, hash, HASH_N);
    t->ended[at].made_ms = made_ms;
}

static void token_del(struct tokens *t, uint32_t i)
{
    t->v[i] = t->v[--t->n];
}

static void end(struct tokens *t, uint32_t i)
{
    ended_put(t, t->v[i].hash, t->v[i].made_ms);
    token_del(t, i);
}

/* ---- those that live ------------------------------------------------------------------------------ */

static void expire(struct tokens *t, int64_t now_ms)
{
    for (uint32_t i = 0; i < t->n;) {
        const struct token *k = &t->v[i];
        if (now_ms - k->used_ms >= t->idle_ms || now_ms - k->made_ms >= TOKEN_LIFE_MS)
            token_del(t, i);
        else
            i++;
    }
}

static void room_make(struct tokens *t, const char *user)
{
    uint32_t n = 0, oldest = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        if (strcmp(t->v[i].user, user) != 0)
            continue;
        if (!n++ || t->v[i].used_ms < t->v[oldest].used_ms)
            oldest = i;
    }
    if (n >= TOKENS_OF_USER_MAX)
        end(t, oldest);
}

static struct token *token_add(struct tokens *t, const uint8_t hash[HASH_N], const char *user)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 8;
        t->v = mem_realloc(t->v, sizeof *t->v * t->cap);
    }
    struct token *k = &t->v[t->n++];
    *k = (struct token){0};
    memcpy(k->hash, hash, HASH_N);
    memcpy(k->user, user, strnlen(user, TOKEN_USER_BYTES_MAX));
    return k;
}

static void hash_of(uint8_t hash[HASH_N], const char *text)
{
    crypto_generichash(hash, HASH_N, (const uint8_t *)text, strlen(text), NULL, 0);
}

void token_make(struct tokens *t, const char *user, int64_t since, uint64_t now_ms, char out[TOKEN_TEXT_N])
{
    uint8_t random[RANDOM_N], hash[HASH_N];
    expire(t, (int64_t)now_ms);
    room_make(t, user);
    randombytes_buf(random, sizeof random);
    sodium_bin2base64(out, TOKEN_TEXT_N, random, sizeof random, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    hash_of(hash, out);
    struct token *k = token_add(t, hash, user);
    k->since = since;
    k->made_ms = k->used_ms = k->told_ms = (int64_t)now_ms;
}

static struct token *hash_find(const struct tokens *t, const uint8_t hash[HASH_N])
{
    for (uint32_t i = 0; i < t->n; i++)
        if (sodium_memcmp(t->v[i].hash, hash, HASH_N) == 0)
            return &t->v[i];
    return NULL;
}

static struct token *token_find(const struct tokens *t, const char *text)
{
    uint8_t hash[HASH_N];
    hash_of(hash, text);
    return hash_find(t, hash);
}

const char *token_user(struct tokens *t, const char *text, uint64_t now_ms, int64_t *since)
{
    expire(t, (int64_t)now_ms);
    struct token *k = token_find(t, text);
    if (!k)
        return NULL;
    k->used_ms = (int64_t)now_ms;
    *since = k->since;
    return k->user;
}

void token_end(struct tokens *t, const char *text, uint64_t now_ms)
{
    expire(t, (int64_t)now_ms);
    struct token *k = token_find(t, text);
    if (k)
        end(t, (uint32_t)(k - t->v));
}

/* ---- other nodes ---------------------------------------------------------------------------------- */

bool token_wants_telling(struct tokens *t, const char *text, uint64_t now_ms)
{
    struct token *k = token_find(t, text);
    int64_t pause_ms = t->idle_ms / 8 < TELL_MS_MAX ? t->idle_ms / 8 : TELL_MS_MAX;
    if (!k || (int64_t)now_ms - k->told_ms < pause_ms)
        return false;
    k->told_ms = (int64_t)now_ms;
    return true;
}

static json_t *item_new(const uint8_t hash[HASH_N], json_t *record)
{
    char name[HASH_TEXT_N];
    json_t *o = json_object();
    sodium_bin2hex(name, sizeof name, hash, HASH_N);
    json_put(o, "kind", json_of_str("token"));
    json_put(o, "name", json_of_str(name));
    json_put(o, "record", record);
    return o;
}

static json_t *living_item(const struct token *k, int64_t now_ms)
{
    json_t *record = json_object();
    json_put(record, "user", json_of_str(k->user));
    json_put(record, "since", json_integer(k->since));
    json_put(record, "age", json_integer(now_ms - k->made_ms));
    json_put(record, "idle", json_integer(now_ms - k->used_ms));
    return item_new(k->hash, record);
}

static json_t *ended_item(const struct ended *e, int64_t now_ms)
{
    json_t *record = json_object();
    json_put(record, "gone", json_true());
    json_put(record, "age", json_integer(now_ms - e->made_ms));
    return item_new(e->hash, record);
}

json_t *token_item(const struct tokens *t, const char *text, uint64_t now_ms)
{
    uint8_t hash[HASH_N];
    hash_of(hash, text);
    const struct token *k = hash_find(t, hash);
    if (k)
        return living_item(k, (int64_t)now_ms);
    for (uint32_t i = 0; i < t->ended_n; i++)
        if (memcmp(t->ended[i].hash, hash, HASH_N) == 0)
            return ended_item(&t->ended[i], (int64_t)now_ms);
    return NULL;
}

void tokens_items(const struct tokens *t, uint64_t now_ms, json_t *out)
{
    for (uint32_t i = 0; i < t->n; i++)
        json_push(out, living_item(&t->v[i], (int64_t)now_ms));
    for (uint32_t i = 0; i < t->ended_n; i++)
        if ((int64_t)now_ms - t->ended[i].made_ms < TOKEN_LIFE_MS)
            json_push(out, ended_item(&t->ended[i], (int64_t)now_ms));
}

static bool hash_read(uint8_t hash[HASH_N], const char *name)
{
    size_t n;
    return name && sodium_hex2bin(hash, HASH_N, name, strlen(name), NULL, &n, NULL) == 0 && n == HASH_N;
}

static void living_merge(struct tokens *t, const uint8_t hash[HASH_N], const json_t *record, int64_t now_ms)
{
    const char *user = json_str(record, "user");
    int64_t age = json_int(record, "age", -1), idle = json_int(record, "idle", -1);
    if (!user || idle < 0 || idle > age || age >= TOKEN_LIFE_MS || is_ended(t, hash))
        return;
    struct token *k = hash_find(t, hash);
    if (!k) {
        k = token_add(t, hash, user);
        k->since = json_int(record, "since", 0);
        k->made_ms = now_ms - age;
        k->used_ms = now_ms - idle;
    }
    if (k->used_ms < now_ms - idle)
        k->used_ms = now_ms - idle;
    k->told_ms = k->used_ms;
}

void token_merge(struct tokens *t, const json_t *item, uint64_t now_ms)
{
    uint8_t hash[HASH_N];
    const json_t *record = json_object_get(item, "record");
    int64_t age = json_int(record, "age", -1);
    if (!hash_read(hash, json_str(item, "name")) || age < 0 || age >= TOKEN_LIFE_MS)
        return;
    if (!json_bool(record, "gone", false)) {
        living_merge(t, hash, record, (int64_t)now_ms);
    } else {
        struct token *k = hash_find(t, hash);
        if (k)
            end(t, (uint32_t)(k - t->v));
        else
            ended_put(t, hash, (int64_t)now_ms - age);
    }
    expire(t, (int64_t)now_ms);
}
