/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_STORAGE_FAILING_DISK_H
#define COVEY_TESTS_STORAGE_FAILING_DISK_H

/* Runs a test program on tests/io/failing_disk.c: the disk below /tmp fails while a control file says so. */

#include "tests/unit/storage/fixture.h"

/* First in main(): starts the program once more with the library before it, which lies beside it. */
static inline void failing_disk_begin(char **argv)
{
    char path[4096], control[64], options[256];
    if (getenv("COVEY_TEST_DISK_FAULT"))
        return;
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
    CHECK(n > 0);
    path[n] = 0;
    snprintf(strrchr(path, '/'), 32, "/failing_disk.so");
    CHECK(access(path, R_OK) == 0);
    snprintf(control, sizeof(control), "/tmp/covey-disk-fault-%d", (int)getpid());
    const char *asan = getenv("ASAN_OPTIONS");
    snprintf(options, sizeof(options), "%s:verify_asan_link_order=0", asan ? asan : "");
    setenv("ASAN_OPTIONS", options, 1);
    setenv("COVEY_TEST_DISK_FAULT", control, 1);
    setenv("COVEY_TEST_DISK_DIR", "/tmp", 1);
    setenv("LD_PRELOAD", path, 1);
    execv("/proc/self/exe", argv);
    CHECK(!"the program starts again");
}

/* "eio sync" and so on, see tests/io/failing_disk.c; NULL: the disk is well. */
static inline void failing_disk_set(const char *what)
{
    const char *control = getenv("COVEY_TEST_DISK_FAULT");
    char temp[80];
    unlink(control);
    if (!what)
        return;
    snprintf(temp, sizeof(temp), "%s.new", control);
    FILE *f = fopen(temp, "w");
    assert_non_null(f);
    fputs(what, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(temp, control), 0);
}

#endif
