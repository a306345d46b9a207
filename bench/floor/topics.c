/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/floor/topics.h"

#include <stdlib.h>
#include <string.h>

static uint32_t topics_hash(const uint8_t *p, size_t len)
{
    uint64_t h = len * 0x9e3779b97f4a7c15u;
    uint64_t word = 0;
    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9ddfea08eb382d69u;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, p, len);
    h = (h ^ word) * 0x9ddfea08eb382d69u;
    return (uint32_t)(h >> 32 ^ h);
}

static struct topic *topics_find_hashed(const struct topics *t, const uint8_t *name, size_t len,
                                        uint32_t hash)
{
    struct topic *at = t->bucket[hash % TOPICS_BUCKETS];
    while (at && (at->hash != hash || at->len != len || memcmp(at->name, name, len) != 0))
        at = at->next;
    return at;
}

struct topic *topics_find(const struct topics *t, const uint8_t *name, size_t len)
{
    return topics_find_hashed(t, name, len, topics_hash(name, len));
}

void topics_add(struct topics *t, const uint8_t *name, size_t len, void *listener)
{
    uint32_t hash = topics_hash(name, len);
    struct topic *at = topics_find_hashed(t, name, len, hash);
    if (!at) {
        at = calloc(1, sizeof(*at) + len);
        if (!at)
            abort();
        at->hash = hash;
        at->len = (uint32_t)len;
        memcpy(at->name, name, len);
        at->next = t->bucket[hash % TOPICS_BUCKETS];
        t->bucket[hash % TOPICS_BUCKETS] = at;
    }
    if (at->listener_count == at->listener_cap) {
        at->listener_cap = at->listener_cap ? at->listener_cap * 2 : 1;
        at->listeners = realloc(at->listeners, at->listener_cap * sizeof(void *));
        if (!at->listeners)
            abort();
    }
    at->listeners[at->listener_count++] = listener;
}

void topics_forget(struct topics *t, const void *listener)
{
    for (uint32_t b = 0; b < TOPICS_BUCKETS; b++)
        for (struct topic *at = t->bucket[b]; at; at = at->next)
            for (uint32_t i = 0; i < at->listener_count;)
                if (at->listeners[i] == listener)
                    at->listeners[i] = at->listeners[--at->listener_count];
                else
                    i++;
}
