/* SPDX-License-Identifier: Apache-2.0 */
/* Exact topics and who listens to each: a hash table with chains that only grows. */
#ifndef BENCH_FLOOR_TOPICS_H
#define BENCH_FLOOR_TOPICS_H

#include <stddef.h>
#include <stdint.h>

#define TOPICS_BUCKETS (1u << 17)

struct topic {
    struct topic *next;
    void **listeners;
    uint32_t listener_count, listener_cap;
    uint32_t hash, len;
    uint8_t name[];
};

struct topics {
    struct topic *bucket[TOPICS_BUCKETS];
};

struct topic *topics_find(const struct topics *t, const uint8_t *name, size_t len);

/* `listener` hears `name` from now on. Aborts without memory. */
void topics_add(struct topics *t, const uint8_t *name, size_t len, void *listener);

/* `listener` hears nothing any more; a walk over all topics. */
void topics_forget(struct topics *t, const void *listener);

#endif
