/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over every file of a directory, in builds without libFuzzer: the kept corpus is a test
 * of every build. A target fails by aborting; a directory that is missing or empty is a failure too. */

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { PATH_BYTES_MAX = 4096 };

/* The file's bytes in memory of just their size; NULL when it cannot be read. */
static uint8_t *file_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;

    if (f && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (size >= 0 && fseek(f, 0, SEEK_SET) == 0)
        data = malloc(size ? (size_t)size : 1);
    if (data && fread(data, 1, (size_t)size, f) != (size_t)size) {
        free(data);
        data = NULL;
    }
    if (f)
        fclose(f);
    *n = data ? (size_t)size : 0;
    return data;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (!dir) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[PATH_BYTES_MAX];
        size_t n;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        uint8_t *data = file_read(path, &n);
        if (!data) {
            fprintf(stderr, "%s: cannot be read\n", path);
            failed++;
            continue;
        }
        LLVMFuzzerTestOneInput(data, n);
        free(data);
        passed++;
    }
    closedir(dir);
    printf("%u passed, %u failed\n", passed, failed);
    if (passed == 0)
        fprintf(stderr, "%s: there is nothing to run\n", argv[1]);
    return passed == 0 || failed != 0;
}
