/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/tokens.h"

#include "proto/base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { RANDOM_N = 32, HASH_N = 32 };

struct token {
    uint8_t hash[HASH_N];
    char user[TOKEN_USER_BYTES_MAX + 1];
    uint64_t made_ms;
    uint64_t used_ms;
};

/* People log in seldom: a list that is looked through. */
struct tokens {
    uint64_t idle_ms;
    struct token *v;
    uint32_t n;
    uint32_t cap;
};

struct tokens *tokens_new(uint64_t idle_ms)
{
    struct tokens *t = mem_zalloc(sizeof *t);
    t->idle_ms = idle_ms;
    return t;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    free(t->v);
    free(t);
}

static void token_del(struct tokens *t, uint32_t i)
{
    t->v[i] = t->v[--t->n];
}

static void expire(struct tokens *t, uint64_t now_ms)
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
        token_del(t, oldest);
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 8;
        t->v = mem_realloc(t->v, sizeof *t->v * t->cap);
    }
}

static void hash_of(uint8_t hash[HASH_N], const char *text)
{
    crypto_generichash(hash, HASH_N, (const uint8_t *)text, strlen(text), NULL, 0);
}

void token_make(struct tokens *t, const char *user, uint64_t now_ms, char out[TOKEN_TEXT_N])
{
    uint8_t random[RANDOM_N];
    expire(t, now_ms);
    room_make(t, user);
    randombytes_buf(random, sizeof random);
    sodium_bin2base64(out, TOKEN_TEXT_N, random, sizeof random, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    struct token *k = &t->v[t->n++];
    *k = (struct token){.made_ms = now_ms, .used_ms = now_ms};
    memcpy(k->user, user, strnlen(user, TOKEN_USER_BYTES_MAX));
    hash_of(k->hash, out);
}

static struct token *token_find(struct tokens *t, const char *text)
{
    uint8_t hash[HASH_N];
    hash_of(hash, text);
    for (uint32_t i = 0; i < t->n; i++)
        if (sodium_memcmp(t->v[i].hash, hash, HASH_N) == 0)
            return &t->v[i];
    return NULL;
}

const char *token_user(struct tokens *t, const char *text, uint64_t now_ms)
{
    expire(t, now_ms);
    struct token *k = token_find(t, text);
    if (!k)
        return NULL;
    k->used_ms = now_ms;
    return k->user;
}

void token_end(struct tokens *t, const char *text)
{
    struct token *k = token_find(t, text);
    if (k)
        token_del(t, (uint32_t)(k - t->v));
}

void tokens_end_of(struct tokens *t, const char *user)
{
    for (uint32_t i = 0; i < t->n;) {
        if (strcmp(t->v[i].user, user) == 0)
            token_del(t, i);
        else
            i++;
    }
}
