/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/trace_kept.h"

#include "node/io/filetext.h"
#include "proto/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_MAX = 2 * TRACE_VALUE_MAX + 512, PATH_MAX_N = 4096 };

static const char suffix[] = ".trace";
static const char fresh_suffix[] = ".trace.new";

bool trace_name_is_good(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= TRACE_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

static const char *path_of(char out[PATH_MAX_N], const char *folder, const char *name, const char *end)
{
    snprintf(out, PATH_MAX_N, "%s/%s%s", folder, name, end);
    return out;
}

/* ---- writing -------------------------------------------------------------------------------------- */

static bool folder_sync(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return is;
}

enum err trace_kept_write(const char *folder, const struct trace_kept *k)
{
    char path[PATH_MAX_N], fresh[PATH_MAX_N], text[TEXT_MAX], hex[2 * TRACE_VALUE_MAX + 1];
    sodium_bin2hex(hex, sizeof hex, k->value, k->value_n);
    int n = snprintf(text, sizeof text,
                     "running=%d\nby=%d\npayload=%d\nstart_ms=%llu\nend_ms=%llu\ndropped=%llu\nended=%s\n"
                     "value=%s\n",
                     k->state == TRACE_RUNS, (int)k->by, (int)k->payload, (unsigned long long)k->start_ms,
                     (unsigned long long)k->end_ms, (unsigned long long)k->dropped, k->ended, hex);
    path_of(path, folder, k->name, suffix);
    int fd =
        open(path_of(fresh, folder, k->name, fresh_suffix), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return ERR_IO;
    bool is_written = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
    is_written = close(fd) == 0 && is_written;
    if (is_written && rename(fresh, path) == 0 && folder_sync(folder))
        return OK;
    unlink(fresh);
    return ERR_IO;
}

void trace_kept_delete(const char *folder, const char *name)
{
    char path[PATH_MAX_N];
    unlink(path_of(path, folder, name, suffix));
}

/* ---- reading -------------------------------------------------------------------------------------- */

/* The value of the next line, which begins with word; ends it with NUL. NULL: it does not. */
static const char *line_take(char **at, const char *word)
{
    char *end = strchr(*at, '\n'), *value = *at + strlen(word);
    if (!end || strncmp(*at, word, strlen(word)) != 0)
        return NULL;
    *end = 0;
    *at = end + 1;
    return value;
}

static bool number_take(char **at, const char *word, uint64_t max, uint64_t *out)
{
    char *end;
    const char *value = line_take(at, word);
    if (!value || *value < '0' || *value > '9')
        return false;
    errno = 0;
    *out = strtoull(value, &end, 10);
    return !*end && !errno && *out <= max;
}

static bool parse(struct trace_kept *k, char *at)
{
    uint64_t runs, by, payload;
    if (!number_take(&at, "running=", 1, &runs) || !number_take(&at, "by=", TRACE_ADDRESS, &by) ||
        !number_take(&at, "payload=", TRACE_PAYLOADS - 1, &payload) ||
        !number_take(&at, "start_ms=", UINT64_MAX, &k->start_ms) ||
        !number_take(&at, "end_ms=", UINT64_MAX, &k->end_ms) ||
        !number_take(&at, "dropped=", UINT64_MAX, &k->dropped))
        return false;
    const char *ended = line_take(&at, "ended="), *hex = ended ? line_take(&at, "value=") : NULL, *hex_end;
    k->state = runs ? TRACE_RUNS : TRACE_STOPPED;
    k->by = (enum trace_by)by;
    k->payload = (enum trace_payload)payload;
    if (!hex || strlen(ended) > TRACE_ENDED_MAX)
        return false;
    memcpy(k->ended, ended, strlen(ended) + 1);
    return sodium_hex2bin(k->value, sizeof k->value, hex, strlen(hex), NULL, &k->value_n, &hex_end) == 0 &&
           !*hex_end && k->value_n;
}

/* NULL: there is none of that name, or it is not whole. */
static struct trace_kept *read_one(const char *folder, const char *name)
{
    char path[PATH_MAX_N];
    struct filetext text;
    if (filetext_read(&text, path_of(path, folder, name, suffix), TEXT_MAX) != OK)
        return NULL;
    struct trace_kept *k = mem_zalloc(sizeof *k);
    memcpy(k->name, name, strlen(name) + 1);
    bool is_whole = parse(k, text.p);
    filetext_fini(&text);
    if (!is_whole)
        free(k);
    return is_whole ? k : NULL;
}

/* Is it the file of a good name? The name goes to out. */
static bool stem_of(const char *file, const char *end, char out[TRACE_NAME_MAX + 1])
{
    size_t n = strlen(file), end_n = strlen(end);
    if (n <= end_n || n - end_n > TRACE_NAME_MAX || strcmp(file + n - end_n, end) != 0)
        return false;
    memcpy(out, file, n - end_n);
    out[n - end_n] = 0;
    return trace_name_is_good(out);
}

static int by_start(const void *a, const void *b)
{
    const struct trace_kept *x = *(struct trace_kept *const *)a, *y = *(struct trace_kept *const *)b;
    int by = (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
    return by ? by : strcmp(x->name, y->name);
}

struct found {
    struct trace_kept **v;
    size_t n;
};

static void folder_read(struct found *f, const char *folder, struct log_sink *log)
{
    char name[TRACE_NAME_MAX + 1], path[PATH_MAX_N];
    struct dirent *file;
    DIR *dir = opendir(folder);
    while (dir && (file = readdir(dir))) {
        if (stem_of(file->d_name, fresh_suffix, name)) /* of a crash */
            unlink(path_of(path, folder, name, fresh_suffix));
        if (!stem_of(file->d_name, suffix, name))
            continue;
        struct trace_kept *k = read_one(folder, name);
        if (!k) {
            LOG(log, LOG_ERROR, "trace not resumed file=\"%s/%s\" error=\"damaged\"", folder, file->d_name);
            continue;
        }
        f->v = mem_realloc(f->v, (f->n + 1) * sizeof(struct trace_kept *));
        f->v[f->n++] = k;
    }
    if (dir)
        closedir(dir);
}

void trace_kept_each(const char *folder, struct log_sink *log,
                     void (*fn)(void *arg, const struct trace_kept *k), void *arg)
{
    struct found f = {0};
    folder_read(&f, folder, log);
    if (f.n)
        qsort(f.v, f.n, sizeof(struct trace_kept *), by_start);
    for (size_t i = 0; i < f.n; i++) {
        fn(arg, f.v[i]);
        free(f.v[i]);
    }
    free(f.v);
}
