/* SPDX-License-Identifier: Apache-2.0 */

/* Files that are cut, foreign or flipped: found at the start or at the record, never served, and no signal.
 */

#include "tests/unit/storage/image.h"

#include <signal.h>

static int setup(void **state)
{
    struct place *p = mem_zalloc(sizeof(*p));
    place_init_in_memory(p);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place_fini(*state);
    free(*state);
    return 0;
}

static void check_open(struct place *p, enum err expected, const char *reason)
{
    struct store *s = NULL;
    p->last[0] = 0;
    assert_int_equal(store_open_lmdb(&s, &p->conf), expected);
    assert_null(s);
    assert_non_null(strstr(p->last, "storage open_failed dir="));
    assert_non_null(strstr(p->last, reason));
}

static void file_write(const struct place *p, const char *name, const void *data, size_t n)
{
    char path[128];
    place_path(p, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, data, n), n);
    close(fd);
}

static void test_cut_file(void **state)
{
    struct place *p = *state;
    struct image f;
    fill(p);
    image_load(&f, p);
    static const uint64_t cuts[] = {0, 1, 100, 4095, 4096, 4200, 8191, 8192, 8193, 20000, 100000};
    for (size_t i = 0; i < array_len(cuts); i++) {
        image_save(&f, cuts[i]);
        check_open(p, ERR_CORRUPT, "cut short");
    }
    for (uint64_t n = f.n - 1; n > 10000; n -= n / 3) {
        image_save(&f, n);
        check_open(p, ERR_CORRUPT, "cut short");
    }
    image_save(&f, f.n); /* behind that nothing is stored */
    struct store *s = place_open(p);
    assert_int_equal(store_count(s, STORE_RETAINED), RECORDS);
    store_close(s);
    free(f.p);
}

static void test_foreign_files(void **state)
{
    struct place *p = *state;
    struct random r = {99};
    static uint8_t garbage[100000];
    random_fill(&r, garbage, sizeof(garbage));
    file_write(p, "store", garbage, sizeof(garbage));
    check_open(p, ERR_CORRUPT, "not a store");
    memset(garbage, 0, sizeof(garbage));
    file_write(p, "store", garbage, sizeof(garbage));
    check_open(p, ERR_CORRUPT, "not a store");
    file_write(p, "store", "", 0);
    check_open(p, ERR_CORRUPT, "cut short");
    char path[128];
    place_path(p, "store", path);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    check_open(p, ERR_CORRUPT, "not a file");
    rmdir(path);
    /* What a start that was interrupted leaves is no store yet and is done again. */
    file_write(p, "store.new", garbage, 5000);
    file_write(p, "store-lock", garbage, 77);
    store_close(place_open(p));
}

static void test_lmdb_file_of_somebody_else(void **state)
{
    struct place *p = *state;
    char path[128];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    char text[] = "value";
    MDB_val k = {3, text}, v = {5, text};
    place_path(p, "store", path);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    check_open(p, ERR_CORRUPT, "reason=");
}

static void test_newer_format(void **state)
{
    struct place *p = *state;
    struct store *s = place_open(p);
    uint8_t format[4] = {0, 0, 0, 2};
    assert_int_equal(put_one(s, STORE_META, bytes_str("format"), bytes_of(format, 4)), OK);
    store_close(s);
    check_open(p, ERR_VERSION, "newer version");
}

static void test_damaged_meta_pages(void **state)
{
    struct place *p = *state;
    struct image f;
    fill(p);
    image_load(&f, p);
    unsigned refused = 0;
    for (size_t at = 0; at < 8192; at = at == 159 ? 4096 : at == 4096 + 159 ? 8192 : at + 1) {
        for (int bit = 0; bit < 8; bit += 7) {
            struct store *s = NULL;
            f.p[at] ^= (uint8_t)(1u << bit);
            image_save(&f, f.n);
            if (store_open_lmdb(&s, &p->conf) == OK)
                store_close(s);
            else
                refused++;
            f.p[at] ^= (uint8_t)(1u << bit);
        }
    }
    assert_true(refused > 100);
    image_save(&f, f.n);
    store_close(place_open(p));
    free(f.p);
}

/* One record of the table is damaged: the others are served, and a walk goes on behind it. */
static void check_one_damaged(struct place *p, struct bytes damaged)
{
    struct store *s = place_open(p);
    struct store_reader *r = reader_of(s);
    struct bytes key, value;
    uint8_t buf[9000];
    unsigned seen = 0;
    assert_int_equal(store_read_begin(r), OK);
    assert_int_equal(store_get(r, STORE_RETAINED, damaged, &value), ERR_CORRUPT);
    enum err e = store_seek(r, STORE_RETAINED, bytes_of(NULL, 0), &key, &value);
    for (unsigned i = 0; i < RECORDS; i++) {
        char name[32];
        struct bytes expected = key_of(name, i);
        if (bytes_eq(key, damaged)) {
            assert_int_equal(e, ERR_CORRUPT);
            seen++;
        } else {
            assert_int_equal(e, OK);
            assert_true(bytes_eq(key, expected) && bytes_eq(value, value_of(buf, i)));
        }
        e = store_next(r, &key, &value);
    }
    assert_int_equal(e, ERR_NOTFOUND);
    assert_int_equal(seen, 1);
    store_reader_free(r);
    store_close(s);
}

static void test_flipped_value(void **state)
{
    struct place *p = *state;
    struct image f;
    char key[32];
    uint8_t value[9000];
    static const unsigned numbers[] = {0, 1, 123, 200, 390, 399};
    fill(p);
    image_load(&f, p);
    for (size_t i = 0; i < array_len(numbers); i++) {
        struct bytes v = value_of(value, numbers[i]);
        /* Two tables have it; the key in front tells not which, so both are damaged. */
        size_t a = image_find(&f, 0, bytes_of(v.p, 20)), b = image_find(&f, a + 1, bytes_of(v.p, 20));
        f.p[a + i * 3] ^= 0x10;
        f.p[b + i * 3] ^= 0x10;
        image_save(&f, f.n);
        check_one_damaged(p, key_of(key, numbers[i]));
        f.p[a + i * 3] ^= 0x10;
        f.p[b + i * 3] ^= 0x10;
    }
    free(f.p);
}

/* A sound value under a key that is not its own. */
static void test_flipped_key(void **state)
{
    struct place *p = *state;
    struct image f;
    char name[32];
    uint8_t value[9000];
    fill(p);
    image_load(&f, p);
    struct bytes key = key_of(name, 129), v = value_of(value, 129);
    for (size_t at = 0; at + v.n + key.n < f.n; at++) {
        if (memcmp(f.p + at, key.p, key.n) == 0 && memcmp(f.p + at + key.n, v.p, v.n) == 0)
            f.p[at + key.n - 1] = ':'; /* behind '9', so it stays in its place in the order */
    }
    image_save(&f, f.n);
    name[key.n - 1] = ':';
    check_one_damaged(p, key);
    free(f.p);
}

/* A page of the table is lost: whatever stands elsewhere is still found in the same snapshot, by key and by
 * a seek, also after reads that met the damage. */
static void test_lost_page_hides_only_itself(void **state)
{
    struct place *p = *state;
    struct image f;
    char name[32];
    uint8_t buf[9000];
    struct bytes key, value;
    unsigned lost = 0;
    fill(p);
    image_load(&f, p);
    struct bytes v = value_of(buf, 123);
    size_t at = image_find(&f, 0, v);
    memset(f.p + at / 4096 * 4096, 0xff, 4096);
    at = image_find(&f, at / 4096 * 4096 + 4096, v); /* the other table's */
    memset(f.p + at / 4096 * 4096, 0xff, 4096);
    image_save(&f, f.n);
    struct store *s = place_open(p);
    struct store_reader *r = reader_of(s);
    assert_int_equal(store_read_begin(r), OK);
    for (unsigned i = 0; i < RECORDS; i++) {
        enum err got = store_get(r, STORE_QUEUE, key_of(name, i), &value);
        lost += got != OK;
        if (got == OK)
            assert_true(bytes_eq(value, value_of(buf, i)));
        enum err sought = store_seek(r, STORE_QUEUE, key_of(name, i), &key, &value);
        assert_int_equal(sought == OK, got == OK);
        if (sought == OK)
            assert_true(bytes_eq(key, key_of(name, i)) && bytes_eq(value, value_of(buf, i)));
    }
    assert_in_range(lost, 1, 100);
    store_reader_free(r);
    store_close(s);
    free(f.p);
}

/* Reads all there is, by walking and by key. 0: nothing false was served. */
static int served_false(struct store *s)
{
    struct store_reader *r;
    struct bytes key, value;
    char name[32];
    uint8_t buf[9000];
    if (store_reader_new(&r, s) != OK || store_read_begin(r) != OK)
        return 0;
    enum store_table tables[] = {STORE_RETAINED, STORE_QUEUE};
    for (int t = 0; t < 2; t++) {
        enum err e = store_seek(r, tables[t], bytes_of(NULL, 0), &key, &value);
        for (int steps = 0; (e == OK || e == ERR_CORRUPT) && steps < 10 * RECORDS; steps++) {
            if (e == OK) {
                snprintf(name, sizeof(name), "%.*s", (int)key.n, (const char *)key.p);
                unsigned i = key.n == 10 ? (unsigned)strtoul(name + 4, NULL, 10) : RECORDS;
                if (i >= RECORDS || !bytes_eq(value, value_of(buf, i)))
                    return 1;
            }
            e = store_next(r, &key, &value);
        }
        for (unsigned i = 0; i < RECORDS; i++) {
            e = store_get(r, tables[t], key_of(name, i), &value);
            if (e == OK && !bytes_eq(value, value_of(buf, i)))
                return 2;
        }
    }
    store_reader_free(r);
    return 0;
}

/* What a child found: 0 opened and nothing false served, 10 refused, others are failures. */
static int child_reads(struct place *p)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s;
        static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
        for (size_t i = 0; i < array_len(fatal); i++)
            signal(fatal[i], SIG_DFL); /* cmocka caught them */
        p->conf.log = NULL;
        if (store_open_lmdb(&s, &p->conf) != OK)
            _exit(10);
        _exit(served_false(s));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Damage anywhere in the pages in use: bits, or a page overwritten with zeros, garbage or another page. */
static void test_random_damage_is_never_served(void **state)
{
    struct place *p = *state;
    struct image f, damaged;
    struct random r = random_of(11);
    unsigned opened = 0;
    fill(p);
    image_load(&f, p);
    damaged = f;
    damaged.p = mem_alloc(f.n);
    for (int round = 0; round < 150; round++) {
        memcpy(damaged.p, f.p, f.n);
        uint8_t *page = damaged.p + (2 + random_below(&r, (uint32_t)(f.n / 4096) - 2)) * (size_t)4096;
        switch (round % 4) {
        case 0:
            memset(page, 0, 4096);
            break;
        case 1:
            random_fill(&r, page + random_below(&r, 64), 2000);
            break;
        case 2:
            memcpy(page, f.p + (2 + random_below(&r, (uint32_t)(f.n / 4096) - 2)) * (size_t)4096, 4096);
            break;
        case 3: /* heads of pages and of nodes are where it hurts */
            for (int i = 0; i < 200; i++)
                damaged.p[8192 + random_u64(&r) % (f.n - 8192) / 4096 * 4096 + random_below(&r, 300)] ^=
                    (uint8_t)(1u << random_below(&r, 8));
            break;
        }
        image_save(&damaged, damaged.n);
        int found = child_reads(p);
        if (found != 0 && found != 10)
            print_error("round %d found %d\n", round, found);
        assert_true(found == 0 || found == 10);
        opened += found == 0;
    }
    print_message("opened %u of 150\n", opened);
    assert_true(opened > 50);
    free(damaged.p);
    free(f.p);
}

/* Somebody cuts the file under a running store: pages cannot be had any more, as from a broken disk. */
static int served_from_cut_file(struct place *p)
{
    struct store *s;
    struct store_reader *r;
    struct bytes value;
    char path[128], name[32];
    unsigned errors = 0;
    p->conf.log = NULL;
    if (store_open_lmdb(&s, &p->conf) != OK || store_reader_new(&r, s) != OK || store_read_begin(r) != OK)
        return 1;
    place_path(p, "store", path);
    if (truncate(path, 16384) != 0)
        return 2;
    for (unsigned i = 0; i < RECORDS; i++)
        errors += store_get(r, STORE_RETAINED, key_of(name, i), &value) == ERR_IO;
    if (errors < RECORDS / 2)
        return 3;
    if (put_one(s, STORE_RETAINED, key_of(name, 7), bytes_str("x")) == OK)
        return 4;
    store_read_end(r);
    store_reader_free(r);
    store_close(s);
    return 0;
}

static void test_file_cut_under_a_running_store(void **state)
{
    struct place *p = *state;
    int status;
    fill(p);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(served_from_cut_file(p));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void as_nobody(struct place *p)
{
    struct store *s;
    if (seteuid(65534) != 0)
        _exit(77);
    if (store_open_lmdb(&s, &p->conf) != ERR_IO || !strstr(p->last, "Permission denied"))
        _exit(1);
    static char below[128];
    place_path(p, "below/it", below);
    p->conf.dir = below;
    if (store_open_lmdb(&s, &p->conf) != ERR_IO)
        _exit(2);
    _exit(0);
}

/* Also as root a directory below a file cannot be made. */
static void test_directory_that_cannot_be_used(void **state)
{
    struct place *p = *state;
    struct store *s;
    char below[128];
    int status;
    store_close(place_open(p));
    pid_t pid = fork();
    if (pid == 0)
        as_nobody(p);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
    place_path(p, "store/below", below);
    p->conf.dir = below;
    p->last[0] = 0;
    assert_int_equal(store_open_lmdb(&s, &p->conf), ERR_IO);
    assert_non_null(strstr(p->last, "Not a directory"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_cut_file),
        TEST(test_foreign_files),
        TEST(test_lmdb_file_of_somebody_else),
        TEST(test_newer_format),
        TEST(test_damaged_meta_pages),
        TEST(test_lost_page_hides_only_itself),
        TEST(test_flipped_value),
        TEST(test_flipped_key),
        TEST(test_random_damage_is_never_served),
        TEST(test_file_cut_under_a_running_store),
        TEST(test_directory_that_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
