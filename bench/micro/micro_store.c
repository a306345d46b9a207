/* SPDX-License-Identifier: Apache-2.0 */

/* What the store costs: micro_store [dir] [always|interval|off]. CPU time of the process (getrusage) and time
 * on the clock, each an operation. Without a directory: one in /tmp, removed afterwards. */

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { RECORDS = 100000, VALUE_BYTES = 100, BATCH_OPS = 256, CHUNKS = 1000, CHUNK_BYTES = 16 * 1024 };

struct watch {
    double cpu_us;
    double clock_us;
};

static struct watch watch_now(void)
{
    struct rusage u;
    struct timespec t;
    getrusage(RUSAGE_SELF, &u);
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct watch){(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
                              (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec),
                          (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3};
}

static void report(const char *what, struct watch from, double n)
{
    struct watch to = watch_now();
    printf("%-44s %8.3f us CPU %9.3f us\n", what, (to.cpu_us - from.cpu_us) / n,
           (to.clock_us - from.clock_us) / n);
}

static uint32_t shuffled(uint32_t i)
{
    return (uint32_t)((uint64_t)i * 7919 % RECORDS); /* a permutation: 7919 does not divide RECORDS */
}

static struct bytes key_of(char buf[64], uint32_t i)
{
    return bytes_of(buf, (size_t)snprintf(buf, 64, "site/%02u/device/%06u/temperature", i / 1000, i));
}

static void commit(struct store *s, struct store_batch *b)
{
    const struct store_batch *one = b;
    CHECK(store_commit(s, &one, 1) == OK);
    store_batch_reset(b);
}

static void puts_run(struct store *s, const char *what, uint32_t (*order)(uint32_t))
{
    struct store_batch b;
    char key[64];
    uint8_t value[VALUE_BYTES];
    memset(value, 'v', sizeof(value));
    store_batch_init(&b);
    struct watch w = watch_now();
    for (uint32_t i = 0; i < RECORDS; i++) {
        store_batch_put(&b, STORE_RETAINED, key_of(key, order(i)), bytes_of(value, sizeof(value)));
        if (b.ops == BATCH_OPS)
            commit(s, &b);
    }
    commit(s, &b);
    report(what, w, RECORDS);
    store_batch_fini(&b);
}

static uint32_t sorted(uint32_t i)
{
    return i;
}

static void chunks_run(struct store *s)
{
    struct store_batch b;
    char key[64];
    store_batch_init(&b);
    struct watch w = watch_now();
    for (uint32_t i = 0; i < CHUNKS; i++) {
        memset(store_batch_reserve(&b, STORE_QUEUE, key_of(key, shuffled(i)), CHUNK_BYTES), 'c', CHUNK_BYTES);
        if (b.ops == 16)
            commit(s, &b);
    }
    commit(s, &b);
    report("queue chunk of 16 KiB, 16 a commit", w, CHUNKS);
    w = watch_now();
    store_batch_del_prefix(&b, STORE_QUEUE, bytes_str("site/"));
    commit(s, &b);
    report("the same deleted by prefix", w, CHUNKS);
    store_batch_fini(&b);
}

static void commits_run(struct store *s)
{
    struct store_batch b;
    char key[64];
    store_batch_init(&b);
    struct watch w = watch_now();
    for (uint32_t i = 0; i < CHUNKS; i++) {
        store_batch_put(&b, STORE_STATE, key_of(key, i % 10), bytes_str("x"));
        commit(s, &b);
    }
    report("commit of one small put", w, CHUNKS);
    store_batch_fini(&b);
}

static void reads_run(struct store *s)
{
    struct store_reader *r;
    struct bytes key, value;
    char name[64];
    uint32_t n = 0;
    CHECK(store_reader_new(&r, s) == OK);
    for (int round = 0; round < 2; round++) {
        struct watch w = watch_now();
        CHECK(store_read_begin(r) == OK);
        n = 0;
        for (enum err e = store_seek(r, STORE_RETAINED, bytes_of(NULL, 0), &key, &value); e == OK;
             e = store_next(r, &key, &value))
            n++;
        store_read_end(r);
        CHECK(n == RECORDS);
        report(round ? "store_next, again" : "store_next", w, n);
    }
    struct watch w = watch_now();
    CHECK(store_read_begin(r) == OK);
    for (uint32_t i = 0; i < RECORDS; i++)
        CHECK(store_get(r, STORE_RETAINED, key_of(name, shuffled(i)), &value) == OK);
    store_read_end(r);
    report("store_get, random keys", w, RECORDS);
    w = watch_now();
    for (uint32_t i = 0; i < RECORDS; i++) {
        CHECK(store_read_begin(r) == OK);
        store_read_end(r);
    }
    report("store_read_begin and _end", w, RECORDS);
    store_reader_free(r);
}

static struct store *open_fresh(const struct store_conf *conf)
{
    static const char *const names[] = {"store", "store-lock", "lock"};
    char path[512];
    struct store *s = NULL;
    for (size_t i = 0; i < array_len(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", conf->dir, names[i]);
        unlink(path);
    }
    CHECK(store_open_lmdb(&s, conf) == OK);
    return s;
}

static enum store_sync sync_of(const char *word)
{
    if (strcmp(word, "off") == 0)
        return STORE_SYNC_OFF;
    return strcmp(word, "interval") == 0 ? STORE_SYNC_INTERVAL : STORE_SYNC_ALWAYS;
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/covey-micro-XXXXXX";
    struct store_conf conf = {.dir = argc > 1 ? argv[1] : mkdtemp(dir)};
    conf.sync = sync_of(argc > 2 ? argv[2] : "always");
    struct store *s = open_fresh(&conf);
    puts_run(s, "put of 100 bytes, random keys, 256 a commit", shuffled);
    puts_run(s, "the same again (overwrites)", shuffled);
    store_close(s);
    s = open_fresh(&conf);
    puts_run(s, "put of 100 bytes, sorted keys, 256 a commit", sorted);
    reads_run(s);
    chunks_run(s);
    commits_run(s);
    uint64_t used, max;
    store_usage(s, &used, &max);
    printf("%llu bytes used for %u records\n", (unsigned long long)used, RECORDS);
    store_close(s);
    store_close(open_fresh(&conf));
    return 0;
}
