/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_STORAGE_IMAGE_H
#define COVEY_TEST_STORAGE_IMAGE_H

/* A store's file in memory, to be damaged and written back, with records that tell what they should be. */

#include "tests/unit/storage/fixture.h"

#include "storage/lmdb_store.h"

enum { RECORDS = 400 };

/* Record i: its value can be told from its number, every tenth is too large for a page. */
static inline struct bytes key_of(char buf[32], unsigned i)
{
    return bytes_of(buf, (size_t)snprintf(buf, 32, "key-%06u", i));
}

static inline struct bytes value_of(uint8_t buf[9000], unsigned i)
{
    struct random r = {i};
    uint32_t n = i % 10 ? 20 + i % 300 : 9000;
    random_fill(&r, buf, n);
    return bytes_of(buf, n);
}

static inline void fill(struct place *p)
{
    struct store *s = place_open(p);
    struct store_batch b;
    char key[32];
    uint8_t value[9000];
    store_batch_init(&b);
    for (unsigned i = 0; i < RECORDS; i++) {
        store_batch_put(&b, STORE_RETAINED, key_of(key, i), value_of(value, i));
        store_batch_put(&b, STORE_QUEUE, key_of(key, i), value_of(value, i));
        if (i % 50 == 49) {
            assert_int_equal(commit_one(s, &b), OK);
            store_batch_reset(&b);
        }
    }
    store_batch_fini(&b);
    store_close(s);
}

struct image {
    uint8_t *p;
    size_t n;
    char path[128];
};

/* Without the hole behind what is stored. */
static inline void image_load(struct image *f, const struct place *p)
{
    struct lmdb_file_info info;
    const char *why;
    place_path(p, "store", f->path);
    assert_int_equal(lmdb_file_check(f->path, &info, &why), OK);
    assert_true(info.file_bytes >= info.data_bytes + (1 << 20));
    int fd = open(f->path, O_RDONLY);
    f->n = info.data_bytes;
    f->p = mem_alloc(f->n);
    assert_int_equal(read(fd, f->p, f->n), f->n);
    close(fd);
}

static inline void image_save(const struct image *f, size_t n)
{
    int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, f->p, n), n);
    assert_int_equal(ftruncate(fd, (off_t)n), 0);
    close(fd);
}

/* Where text stands in the image, from at on; it must be there. */
static inline size_t image_find(const struct image *f, size_t at, struct bytes text)
{
    const uint8_t *found = memmem(f->p + at, f->n - at, text.p, text.n);
    assert_non_null(found);
    return (size_t)(found - f->p);
}

#endif
