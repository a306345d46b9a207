/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_STORAGE_FIXTURE_H
#define COVEY_TESTS_STORAGE_FIXTURE_H

/* What the tests of the store share: a directory that is removed afterwards, one-line commits and reads, a
 * seeded random source. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "storage/mem.h"
#include "storage/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char dir[80];
    struct store_conf conf;
    struct log_sink log;
    char last[1024]; /* the last line logged */
};

static inline void place_log(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
    struct place *p = container_of(sink, struct place, log);
    (void)level;
    snprintf(p->last, sizeof(p->last), "%.*s", (int)n, line);
    if (getenv("COVEY_TEST_LOG"))
        fprintf(stderr, "%s\n", p->last);
}

/* A new directory for a store, under base or /tmp. The struct stays where it is. */
static inline void place_init_under(struct place *p, const char *base)
{
    *p = (struct place){.log = {.level = LOG_DEBUG, .write = place_log}};
    snprintf(p->dir, sizeof(p->dir), "%s/covey-store-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(p->dir));
    p->conf = (struct store_conf){.dir = p->dir, .sync = STORE_SYNC_OFF, .log = &p->log};
}

static inline void place_init(struct place *p)
{
    place_init_under(p, NULL);
}

/* In memory, where it is not the disk that is tested. */
static inline void place_init_in_memory(struct place *p)
{
    place_init_under(p, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
}

static inline void place_path(const struct place *p, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", p->dir, name);
}

static inline void place_fini(struct place *p)
{
    static const char *const names[] = {"store",     "store-lock",     "lock",
                                        "store.new", "store.new-lock", "checkpoint"};
    char path[128];
    for (size_t i = 0; i < array_len(names); i++) {
        place_path(p, names[i], path);
        unlink(path);
    }
    assert_int_equal(rmdir(p->dir), 0);
}

static inline struct store *place_open(struct place *p)
{
    struct store *s = NULL;
    assert_int_equal(store_open_lmdb(&s, &p->conf), OK);
    return s;
}

static inline enum err commit_one(struct store *s, const struct store_batch *b)
{
    return store_commit(s, &b, 1);
}

static inline enum err put_one(struct store *s, enum store_table t, struct bytes key, struct bytes value)
{
    struct store_batch b;
    store_batch_init(&b);
    store_batch_put(&b, t, key, value);
    enum err e = commit_one(s, &b);
    store_batch_fini(&b);
    return e;
}

static inline enum err del_prefix_one(struct store *s, enum store_table t, struct bytes prefix)
{
    struct store_batch b;
    store_batch_init(&b);
    store_batch_del_prefix(&b, t, prefix);
    enum err e = commit_one(s, &b);
    store_batch_fini(&b);
    return e;
}

static inline struct store_reader *reader_of(struct store *s)
{
    struct store_reader *r = NULL;
    assert_int_equal(store_reader_new(&r, s), OK);
    return r;
}

/* The length of the value under key in a fresh snapshot, or minus the error. */
static inline int64_t value_n(struct store *s, enum store_table t, struct bytes key)
{
    struct store_reader *r = reader_of(s);
    struct bytes v;
    enum err e = store_read_begin(r);
    if (e == OK)
        e = store_get(r, t, key, &v);
    int64_t n = e == OK ? (int64_t)v.n : -(int64_t)e;
    store_reader_free(r);
    return n;
}

/* splitmix64 */
struct random {
    uint64_t state;
};

static inline uint64_t random_u64(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static inline uint32_t random_below(struct random *r, uint32_t n)
{
    return (uint32_t)(random_u64(r) % n);
}

/* The seed of a test: fixed, unless COVEY_TEST_SEED gives another. */
static inline struct random random_of(uint64_t seed)
{
    const char *text = getenv("COVEY_TEST_SEED");
    if (text)
        seed = strtoull(text, NULL, 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    return (struct random){seed};
}

static inline void random_fill(struct random *r, uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        p[i] = (uint8_t)random_u64(r);
}

#endif
