/* SPDX-License-Identifier: Apache-2.0 */

/* Power cuts. The calls that LMDB and the store write with are taken over by this program: each is done, so
 * that the process sees its page cache, and noted. From the notes it is known what is on the disk for certain
 * at any moment and what only may be; from that, disks are made as a cut would leave them, sector by sector,
 * and opened. What was reported as stored must be there, what was reported as failed must not be, and nothing
 * may be there in part. The faults of a dying disk are mixed in: a sync that fails and drops what it should
 * have written, a meta page that gets into the cache and not to the disk. */

#include "tests/unit/storage/model.h"

#include "storage/lmdb_checkpoint.h"
#include "storage/lmdb_store.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/uio.h>

enum { SECTOR = 512, DISK_BYTES = 2 << 20, CUTS = 400 };

/* A write that is in the page cache and perhaps on the disk. */
struct pending {
    off_t at;
    size_t n;
    uint8_t *data;
};

struct file {
    char path[128];
    size_t size;    /* as much of it as is looked at */
    uint8_t *bytes; /* what is on the disk for certain */
    struct pending *pending;
    size_t pending_n;
};

enum { STORE, CHECKPOINT, FILES };
static const char *const file_names[FILES] = {"store", "checkpoint"};

static struct disk {
    bool is_on; /* the calls are noted */
    struct file files[FILES];
    struct random random;
    unsigned sync_fault; /* one in so many fails; 0: none */
    unsigned meta_fault;
    unsigned faults; /* that have been */
} disk;

/* The file that fd is, while calls are noted. */
static struct file *noted(int fd)
{
    char link[64], path[256];
    if (!disk.is_on)
        return NULL;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return NULL;
    path[n] = 0;
    for (int i = 0; i < FILES; i++) {
        if (strcmp(path, disk.files[i].path) == 0)
            return &disk.files[i];
    }
    return NULL;
}

static bool is_fault(unsigned one_in)
{
    bool is = one_in && random_below(&disk.random, one_in) == 0;
    disk.faults += is;
    return is;
}

static void pending_add(struct file *f, const void *data, size_t n, off_t at)
{
    if ((size_t)at >= f->size)
        return; /* tried behind the end, whether there is room: cut off again */
    CHECK((size_t)at + n <= f->size);
    f->pending = mem_realloc(f->pending, (f->pending_n + 1) * sizeof(*f->pending));
    f->pending[f->pending_n++] = (struct pending){at, n, mem_dup(data, n)};
}

/* To bytes go those sectors of the pending writes that one_in lets through: 1 is all. */
static void pending_apply(const struct file *f, uint8_t *bytes, unsigned one_in)
{
    for (size_t i = 0; i < f->pending_n; i++) {
        const struct pending *p = &f->pending[i];
        for (size_t done = 0; done < p->n;) {
            size_t at = (size_t)p->at + done, n = SECTOR - at % SECTOR;
            n = n < p->n - done ? n : p->n - done;
            if (one_in == 1 || random_below(&disk.random, one_in) == 0)
                memcpy(bytes + at, p->data + done, n);
            done += n;
        }
    }
}

static void pending_clear(struct file *f)
{
    for (size_t i = 0; i < f->pending_n; i++)
        free(f->pending[i].data);
    f->pending_n = 0;
}

static void cut_maybe(void);

typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
typedef ssize_t writev_fn(int, const struct iovec *, int);
typedef int sync_fn(int);
#define REAL(type, name) ((type *)dlsym(RTLD_NEXT, name))

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    struct file *f = noted(fd);
    if (!f)
        return REAL(pwrite_fn, "pwrite")(fd, data, n, at);
    cut_maybe();
    bool is_dsync = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
    CHECK(REAL(pwrite_fn, "pwrite")(fd, data, n, at) == (ssize_t)n);
    pending_add(f, data, n, at);
    if (is_dsync && is_fault(disk.meta_fault)) {
        errno = EIO;
        return -1;
    }
    cut_maybe();
    if (is_dsync && (size_t)at < f->size)
        memcpy(f->bytes + at, data, n); /* the disk has it; what else is pending, it may not have */
    return (ssize_t)n;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    struct file *f = noted(fd);
    if (!f)
        return REAL(writev_fn, "writev")(fd, iov, count);
    cut_maybe();
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t n = REAL(writev_fn, "writev")(fd, iov, count);
    for (int i = 0; i < count; i++) {
        pending_add(f, iov[i].iov_base, iov[i].iov_len, at);
        at += (off_t)iov[i].iov_len;
    }
    return n;
}

static int sync_noted(struct file *f)
{
    cut_maybe();
    bool is_failing = is_fault(disk.sync_fault);
    pending_apply(f, f->bytes, is_failing ? 3 : 1);
    pending_clear(f); /* also when it fails: the kernel holds the pages for clean now */
    cut_maybe();
    errno = EIO;
    return is_failing ? -1 : 0;
}

int fdatasync(int fd)
{
    struct file *f = noted(fd);
    return f ? sync_noted(f) : REAL(sync_fn, "fdatasync")(fd);
}

int fsync(int fd)
{
    struct file *f = noted(fd);
    return f ? sync_noted(f) : REAL(sync_fn, "fsync")(fd);
}

static struct test {
    struct place place; /* where the store runs */
    struct place after; /* where it is opened after a cut */
    struct model known; /* what is stored for certain */
    struct model maybe; /* what may be instead: a commit under way, or failed and not yet taken back */
    bool has_maybe;
    unsigned cuts;
} test;

static bool is_model(const struct model *m, struct store *s)
{
    struct store_reader *r = reader_of(s);
    struct bytes key, value;
    bool is_same = true;
    assert_int_equal(store_read_begin(r), OK);
    for (int t = STORE_SESSIONS; t < STORE_TABLES && is_same; t++) {
        size_t i = 0;
        enum err e = store_seek(r, (enum store_table)t, bytes_of(NULL, 0), &key, &value);
        for (; e == OK && is_same; e = store_next(r, &key, &value), i++)
            is_same =
                i < m->n[t] && bytes_eq(key, m->records[t][i].key) && bytes_eq(value, m->records[t][i].value);
        assert_true(e == OK || e == ERR_NOTFOUND);
        is_same = is_same && i == m->n[t];
    }
    store_reader_free(r);
    return is_same;
}

/* The file as the cut leaves it. A checkpoint looks like one of another boot. */
static void file_leave(const struct file *f, const char *name)
{
    uint8_t *bytes = mem_dup(f->bytes, f->size);
    char path[128];
    pending_apply(f, bytes, 1 + random_below(&disk.random, 4));
    for (size_t at = 0; f == &disk.files[CHECKPOINT] && at + sizeof(struct lmdb_checkpoint) < f->size;
         at += LMDB_CHECKPOINT_SLOT_BYTES) {
        struct lmdb_checkpoint c;
        memcpy(&c, bytes + at, sizeof(c));
        if (c.sum != lmdb_checkpoint_sum(&c))
            continue;
        c.boot_id[0] = '!';
        c.sum = lmdb_checkpoint_sum(&c);
        memcpy(bytes + at, &c, sizeof(c));
    }
    place_path(&test.after, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, bytes, f->size), f->size);
    close(fd);
    free(bytes);
}

static void cut_now(void)
{
    disk.is_on = false;
    for (int i = 0; i < FILES && disk.files[i].size; i++)
        file_leave(&disk.files[i], file_names[i]);
    struct store *s = place_open(&test.after);
    assert_true(is_model(&test.known, s) || (test.has_maybe && is_model(&test.maybe, s)));
    /* It is whole as well for the writer. */
    assert_int_equal(put_one(s, STORE_STATE, bytes_str("after"), bytes_str("cut")), OK);
    store_close(s);
    disk.is_on = true;
    test.cuts++;
}

static void cut_maybe(void)
{
    if (random_below(&disk.random, 5) == 0)
        cut_now();
}

static void random_batch(struct random *r, struct store_batch *b)
{
    static uint8_t value[6000];
    store_batch_reset(b);
    for (uint32_t ops = 1 + random_below(r, 8); ops; ops--) {
        char key[16];
        int n = snprintf(key, sizeof(key), "%u/%02u", random_below(r, 3), random_below(r, 40));
        struct bytes k = bytes_of(key, (size_t)n);
        enum store_table t = random_below(r, 2) ? STORE_QUEUE : STORE_RETAINED;
        uint32_t what = random_below(r, 20);
        if (random_below(r, 4) == 0) {
            random_fill(r, value, STORE_RANK_N);
            store_batch_if_newer(b, STORE_RETAINED_META, k, bytes_of(value, STORE_RANK_N));
        }
        if (what < 14) {
            uint32_t value_bytes = random_below(r, random_below(r, 4) ? 200 : sizeof(value));
            random_fill(r, value, value_bytes);
            store_batch_put(b, t, k, bytes_of(value, value_bytes));
        } else if (what < 19) {
            store_batch_del(b, t, k);
        } else {
            store_batch_del_prefix(b, t, bytes_of(key, 2));
        }
    }
}

static void file_begin(struct file *f, const char *name)
{
    place_path(&test.place, name, f->path);
    int fd = open(f->path, O_RDONLY);
    if (fd < 0)
        return; /* no checkpoint, where there are none */
    f->size = f == &disk.files[STORE] ? DISK_BYTES : 2 * LMDB_CHECKPOINT_SLOT_BYTES;
    f->bytes = mem_zalloc(f->size);
    assert_true(read(fd, f->bytes, f->size) > 0);
    close(fd);
}

static void file_end(struct file *f)
{
    pending_clear(f);
    free(f->pending);
    free(f->bytes);
}

static void recording_begin(struct store *s)
{
    for (int i = 0; i < FILES; i++)
        file_begin(&disk.files[i], file_names[i]);
    lmdb_store_of(s)->recover_interval_us = 0;
    disk.is_on = true;
}

static void model_replace(struct model *to, const struct model *from)
{
    model_fini(to);
    model_copy(to, from);
}

/* A commit with cuts at any point of it. As long as a failed one may still be in the cache and is not taken
 * back for certain, a cut may bring it up; so faults end with a commit that gets through. */
static void commit_step(struct store *s, struct store_batch *b)
{
    random_batch(&disk.random, b);
    model_replace(&test.maybe, &test.known);
    model_apply(&test.maybe, b);
    test.has_maybe = true;
    enum err e = commit_one(s, b);
    if (e == OK)
        model_replace(&test.known, &test.maybe);
    assert_true(e == OK || e == ERR_IO);
    while (e != OK) { /* nothing of it; an empty commit says when the store is well again */
        store_batch_reset(b);
        store_batch_del(b, STORE_QUEUE, bytes_str("nothing"));
        e = commit_one(s, b);
    }
    test.has_maybe = false;
    cut_now();
}

/* Some commits, which a cut takes back to the last sync, then a sync, after which they stay. */
static void interval_step(struct store *s, struct store_batch *b)
{
    model_replace(&test.maybe, &test.known);
    for (uint32_t n = random_below(&disk.random, 8); n; n--) {
        random_batch(&disk.random, b);
        model_apply(&test.maybe, b);
        assert_int_equal(commit_one(s, b), OK);
        cut_maybe();
    }
    test.has_maybe = true;
    while (store_sync_now(s) != OK)
        ;
    model_replace(&test.known, &test.maybe);
    test.has_maybe = false;
    cut_now();
}

static void run(uint64_t seed, enum store_sync sync, unsigned sync_fault, unsigned meta_fault)
{
    struct store_batch b;
    store_batch_init(&b);
    test = (struct test){0};
    disk = (struct disk){.random = random_of(seed), .sync_fault = sync_fault, .meta_fault = meta_fault};
    place_init_in_memory(&test.place);
    place_init_in_memory(&test.after);
    test.place.conf.sync = sync;
    test.place.conf.map_bytes_max = test.after.conf.map_bytes_max = DISK_BYTES;
    struct store *s = place_open(&test.place);
    recording_begin(s);
    while (test.cuts < CUTS)
        (sync == STORE_SYNC_ALWAYS ? commit_step : interval_step)(s, &b);
    disk.is_on = false;
    assert_true(is_model(&test.known, s));
    store_close(s);
    print_message("%u faults, %u cuts\n", disk.faults, test.cuts);
    assert_true(disk.faults > 5 || !(sync_fault + meta_fault));
    for (int i = 0; i < FILES; i++)
        file_end(&disk.files[i]);
    model_fini(&test.known);
    model_fini(&test.maybe);
    store_batch_fini(&b);
    place_fini(&test.place);
    place_fini(&test.after);
}

static void test_cut_on_a_sound_disk(void **state)
{
    (void)state;
    run(1, STORE_SYNC_ALWAYS, 0, 0);
}

static void test_cut_on_a_disk_that_fails_to_sync(void **state)
{
    (void)state;
    run(2, STORE_SYNC_ALWAYS, 4, 0);
}

static void test_cut_on_a_disk_that_fails_at_meta_pages(void **state)
{
    (void)state;
    run(3, STORE_SYNC_ALWAYS, 0, 4);
    run(4, STORE_SYNC_ALWAYS, 5, 5);
}

static void test_cut_between_syncs(void **state)
{
    (void)state;
    run(5, STORE_SYNC_INTERVAL, 0, 0);
}

static void test_cut_between_syncs_that_fail(void **state)
{
    (void)state;
    run(6, STORE_SYNC_INTERVAL, 4, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_on_a_sound_disk),
        cmocka_unit_test(test_cut_on_a_disk_that_fails_to_sync),
        cmocka_unit_test(test_cut_on_a_disk_that_fails_at_meta_pages),
        cmocka_unit_test(test_cut_between_syncs),
        cmocka_unit_test(test_cut_between_syncs_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
