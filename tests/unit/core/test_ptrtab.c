/* SPDX-License-Identifier: Apache-2.0 */
/* The pointer table against an array, with hashes that collide; old tables are freed by the given function.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/core/ptrtab.h"
#include "tests/unit/core/random.h"

enum { ELEMENTS = 3000 };

struct element {
    uint64_t key;
    uint32_t hash;
    bool is_in;
};

static void *old_tables[1000];
static unsigned old_tables_n;

static void keep_old(void *p)
{
    assert_true(old_tables_n < sizeof old_tables / sizeof old_tables[0]);
    old_tables[old_tables_n++] = p;
}

static struct element *find(struct ptrslots *slots, uint64_t key, uint32_t hash)
{
    uint32_t at = 0;
    struct element *e;
    while ((e = ptrslots_probe(slots, hash, &at))) {
        assert_int_equal(e->hash, hash);
        if (e->key == key)
            return e;
    }
    return NULL;
}

static void check_all(const struct ptrtab *t, struct element *v)
{
    uint32_t n = 0, walked = 0, at = 0;
    const struct element *e;
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        assert_ptr_equal(find(ptrtab_slots(t), v[i].key, v[i].hash), v[i].is_in ? &v[i] : NULL);
        n += v[i].is_in;
    }
    assert_int_equal(t->n, n);
    while ((e = ptrtab_next(t, &at))) {
        assert_true(e->is_in);
        walked++;
    }
    assert_int_equal(walked, n);
}

static void run(uint64_t seed, uint32_t hash_mask)
{
    struct random r = {seed};
    struct ptrtab t;
    struct element *v = calloc(ELEMENTS, sizeof *v);
    assert_non_null(v);
    for (uint32_t i = 0; i < ELEMENTS; i++)
        v[i] = (struct element){.key = i, .hash = random_u32(&r) & hash_mask};
    ptrtab_init(&t, offsetof(struct element, hash), keep_old);
    for (uint32_t step = 0; step < 30000; step++) {
        /* Grows, shrinks, grows again: a wave over the elements. */
        uint32_t bound = step / 5000 % 2 ? 50 : ELEMENTS;
        struct element *e = &v[random_below(&r, ELEMENTS)];
        bool add = e->key < bound && random_below(&r, 4) != 0;
        if (add && !e->is_in)
            ptrtab_add(&t, e);
        else if (!add && e->is_in)
            ptrtab_del(&t, e);
        e->is_in = add;
        assert_ptr_equal(find(ptrtab_slots(&t), e->key, e->hash), add ? e : NULL);
        if (step % 1000 == 0)
            check_all(&t, v);
    }
    check_all(&t, v);
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        if (v[i].is_in)
            ptrtab_del(&t, &v[i]);
        v[i].is_in = false;
    }
    check_all(&t, v);
    assert_true(t.slots->mask < 64); /* memory came back */
    ptrtab_fini(&t);
    free(v);
    assert_true(old_tables_n > 0);
    while (old_tables_n)
        free(old_tables[--old_tables_n]);
}

static void finds_as_an_array_does(void **state)
{
    (void)state;
    run(1, UINT32_MAX);
    run(2, 0xfff);
}

/* Few hashes for many elements. */
static void finds_among_equal_hashes(void **state)
{
    (void)state;
    run(3, 0x1f);
}

/* As many come as go: deleted slots never fill the table, so that every probe ends. */
static void deleted_slots_are_cleared(void **state)
{
    (void)state;
    struct element v[16];
    struct ptrtab t;
    ptrtab_init(&t, offsetof(struct element, hash), NULL);
    for (uint32_t i = 0; i < 5000; i++) {
        struct element *e = &v[i % 16];
        if (i >= 8)
            ptrtab_del(&t, &v[(i - 8) % 16]);
        *e = (struct element){.key = i, .hash = i * 2654435761u};
        ptrtab_add(&t, e);
        assert_true(t.slots->used <= t.slots->mask);
        assert_true(t.slots->mask < 64);
        assert_ptr_equal(find(ptrtab_slots(&t), i, e->hash), e);
        assert_null(find(ptrtab_slots(&t), i + 1, e->hash + 1));
    }
    ptrtab_fini(&t);
}

/* A reader that took the slots before a change can end its walk in them. */
static void an_old_table_stays_readable(void **state)
{
    (void)state;
    struct element v[200] = {{0}};
    struct ptrtab t;
    ptrtab_init(&t, offsetof(struct element, hash), keep_old);
    for (uint32_t i = 0; i < 10; i++) {
        v[i] = (struct element){.key = i, .hash = i * 2654435761u};
        ptrtab_add(&t, &v[i]);
    }
    struct ptrslots *old = ptrtab_slots(&t);
    for (uint32_t i = 10; i < 200; i++) {
        v[i] = (struct element){.key = i, .hash = i * 2654435761u};
        ptrtab_add(&t, &v[i]);
    }
    assert_ptr_not_equal(old, ptrtab_slots(&t));
    for (uint32_t i = 0; i < 10; i++)
        assert_ptr_equal(find(old, i, v[i].hash), &v[i]);
    ptrtab_fini(&t);
    while (old_tables_n)
        free(old_tables[--old_tables_n]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_as_an_array_does),
        cmocka_unit_test(finds_among_equal_hashes),
        cmocka_unit_test(deleted_slots_are_cleared),
        cmocka_unit_test(an_old_table_stays_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
