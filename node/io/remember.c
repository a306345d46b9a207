/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/remember.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

enum { WAYS = 4 };

struct remember {
    pthread_mutex_t lock;
    uint8_t key[crypto_generichash_KEYBYTES];
    uint32_t turn;
    uint32_t sets; /* a power of two; 0: nothing is remembered */
    struct remember_tag (*v)[WAYS];
};

struct remember *remember_new(uint32_t entries_max)
{
    struct remember *r = mem_zalloc(sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    randombytes_buf(r->key, sizeof r->key);
    if (entries_max) {
        for (r->sets = 1; (uint64_t)r->sets * WAYS < entries_max;)
            r->sets *= 2;
        r->v = mem_zalloc(sizeof *r->v * r->sets);
    }
    return r;
}

void remember_free(struct remember *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    sodium_memzero(r->key, sizeof r->key);
    free(r->v);
    free(r);
}

struct remember_tag remember_tag_of(struct remember *r, struct bytes name, const char *hash,
                                    struct bytes password)
{
    struct remember_tag t;
    crypto_generichash_state st;
    uint8_t sizes[8];
    uint8_t key[sizeof r->key];
    pthread_mutex_lock(&r->lock);
    memcpy(key, r->key, sizeof key);
    pthread_mutex_unlock(&r->lock);
    be32_put(be32_put(sizes, name.n), (uint32_t)strlen(hash)); /* where one part ends and the next begins */
    crypto_generichash_init(&st, key, sizeof key, sizeof t.b);
    crypto_generichash_update(&st, sizes, sizeof sizes);
    crypto_generichash_update(&st, name.p, name.n);
    crypto_generichash_update(&st, (const uint8_t *)hash, strlen(hash));
    crypto_generichash_update(&st, password.p, password.n);
    crypto_generichash_final(&st, t.b, sizeof t.b);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&st, sizeof st);
    return t;
}

static struct remember_tag *set_of(struct remember *r, const struct remember_tag *t)
{
    return r->v[be32_get(t->b) & (r->sets - 1)];
}

static bool set_has(struct remember *r, const struct remember_tag *t)
{
    struct remember_tag *set = set_of(r, t);
    bool found = false;
    for (int i = 0; i < WAYS; i++)
        found |= sodium_memcmp(set[i].b, t->b, sizeof t->b) == 0;
    return found;
}

bool remember_has(struct remember *r, const struct remember_tag *t)
{
    if (!r->sets)
        return false;
    pthread_mutex_lock(&r->lock);
    bool found = set_has(r, t);
    pthread_mutex_unlock(&r->lock);
    return found;
}

void remember_add(struct remember *r, const struct remember_tag *t)
{
    if (!r->sets)
        return;
    pthread_mutex_lock(&r->lock);
    if (!set_has(r, t)) {
        struct remember_tag *set = set_of(r, t);
        int at = 0;
        while (at < WAYS && !sodium_is_zero(set[at].b, sizeof set[at].b))
            at++;
        set[at < WAYS ? (uint32_t)at : r->turn++ % WAYS] = *t;
    }
    pthread_mutex_unlock(&r->lock);
}

void remember_reset(struct remember *r)
{
    pthread_mutex_lock(&r->lock);
    randombytes_buf(r->key, sizeof r->key);
    if (r->sets)
        sodium_memzero(r->v, sizeof *r->v * r->sets);
    pthread_mutex_unlock(&r->lock);
}
