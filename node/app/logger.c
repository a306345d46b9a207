/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/logger.h"

#include "proto/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192, TAIL_BYTES = 8192 };

/* A signal handler has no argument to find the logger with; this flag is all that it touches. */
static int reopen_wanted;

void logger_reopen_soon(void)
{
    __atomic_store_n(&reopen_wanted, 1, __ATOMIC_RELAXED);
}

static void on_hangup(int sig)
{
    (void)sig;
    logger_reopen_soon();
}

void logger_catch_hangup(void)
{
    struct sigaction act = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    CHECK(sigaction(SIGHUP, &act, NULL) == 0);
}

static size_t time_put(char *out, size_t size, uint64_t unix_ms)
{
    time_t s = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, size - n, ".%03uZ", (unsigned)(unix_ms % 1000));
}

/* Bytes of the UTF-8 sequence that starts at p, cut sequences counting as one broken byte. */
static size_t json_char_put(char out[8], const char *p, size_t left)
{
    unsigned char c = (unsigned char)*p;
    size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    bool is_whole = n != 0 && n <= left;
    for (size_t i = 1; is_whole && i < n; i++)
        is_whole = ((unsigned char)p[i] & 0xc0) == 0x80;
    if (!is_whole) {
        snprintf(out, 8, "\\u%04x", 0xfffdu);
        return 1;
    }
    if (c < 0x20)
        snprintf(out, 8, "\\u%04x", (unsigned)c);
    else if (c == '"' || c == '\\')
        snprintf(out, 8, "\\%c", c);
    else
        snprintf(out, 8, "%.*s", (int)n, p);
    return n;
}

static size_t json_put(char *out, size_t size, const char *line, size_t n)
{
    size_t o = 0;
    for (size_t i = 0; i < n;) {
        char piece[8];
        i += json_char_put(piece, line + i, n - i);
        size_t len = strlen(piece);
        if (o + len > size)
            break;
        memcpy(out + o, piece, len);
        o += len;
    }
    return o;
}

size_t logger_format(char *out, size_t size, enum config_log_format format, uint64_t unix_ms,
                     enum log_level level, const char *line, size_t n)
{
    static const char json_end[] = "\"}\n";
    char when[32];
    size_t o;
    CHECK(size >= 128);
    time_put(when, sizeof when, unix_ms);
    if (format == LOG_FORMAT_JSON) {
        o = (size_t)snprintf(out, size, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"", when,
                             log_level_name(level));
        o += json_put(out + o, size - o - sizeof json_end, line, n);
        memcpy(out + o, json_end, sizeof json_end);
        return o + sizeof json_end - 1;
    }
    o = (size_t)snprintf(out, size, "%s %s ", when, log_level_name(level));
    if (n > size - o - 2)
        n = size - o - 2;
    memcpy(out + o, line, n);
    out[o + n] = '\n';
    out[o + n + 1] = 0;
    return o + n + 1;
}

static int file_open(const char *file)
{
    return open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

/* dup2() puts the new file behind the old descriptor at once, under the eyes of other threads that write. A
 * file that cannot be opened leaves the old one in use. */
static void file_reopen(struct logger *l)
{
    int fd = file_open(l->file);
    if (fd < 0)
        return;
    dup3(fd, l->fd, O_CLOEXEC);
    if (l->has_stdio) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    close(fd);
}

static void on_line(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
    struct logger *l = container_of(sink, struct logger, sink);
    char out[LINE_MAX_BYTES];
    struct timespec now;
    if (l->file && __atomic_exchange_n(&reopen_wanted, 0, __ATOMIC_RELAXED))
        file_reopen(l);
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    size_t len =
        logger_format(out, sizeof out, __atomic_load_n(&l->format, __ATOMIC_RELAXED), ms, level, line, n);
    /* A log that cannot be written (disk full) has nobody to complain to. */
    ssize_t w;
    do
        w = write(l->fd, out, len);
    while (w < 0 && errno == EINTR);
}

enum err logger_init(struct logger *l, const char *file, enum logger_stdio stdio, enum log_level level,
                     enum config_log_format format)
{
    *l = (struct logger){.format = format, .file = file, .fd = STDERR_FILENO};
    l->sink.level = (int)level;
    l->sink.write = on_line;
    if (!file)
        return OK;
    l->fd = file_open(file);
    if (l->fd < 0)
        return ERR_IO;
    if (stdio == LOGGER_STDIO_MOVED) {
        l->has_stdio = true;
        dup2(l->fd, STDOUT_FILENO);
        dup2(l->fd, STDERR_FILENO);
    }
    return OK;
}

void logger_fini(struct logger *l)
{
    if (l->file)
        close(l->fd);
    l->fd = -1;
}

void logger_set_format(struct log_sink *sink, enum config_log_format format)
{
    struct logger *l = container_of(sink, struct logger, sink);
    __atomic_store_n(&l->format, format, __ATOMIC_RELAXED);
}

void logger_tail(const char *file, long from, unsigned lines_max, FILE *out)
{
    char buf[TAIL_BYTES + 1];
    FILE *f = fopen(file, "re");
    if (!f)
        return;
    long end = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (end - from > TAIL_BYTES)
        from = end - TAIL_BYTES;
    size_t n = end > from && fseek(f, from, SEEK_SET) == 0 ? fread(buf, 1, TAIL_BYTES, f) : 0;
    fclose(f);
    size_t start = n;
    for (unsigned lines = 0; start > 0; start--) {
        if (buf[start - 1] == '\n' && start != n && ++lines == lines_max)
            break;
    }
    fwrite(buf + start, 1, n - start, out);
    if (n && buf[n - 1] != '\n')
        fputc('\n', out);
}
