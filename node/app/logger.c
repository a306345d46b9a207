/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/logger.h"

#include "node/app/logger_file.h"
#include "proto/base/check.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* The key at line[at], which ends before a '='; 0: there is none. */
static size_t key_size(const char *line, size_t at, size_t n)
{
    size_t end = at;
    if (at && line[at - 1] != ' ')
        return 0;
    while (end < n && (isalnum((unsigned char)line[end]) || line[end] == '_' || line[end] == '.'))
        end++;
    return end < n && line[end] == '=' ? end - at : 0;
}

/* The value at line[at]: a word, or what is in quotes, in which there are none. Returns where the line goes
 * on. */
static size_t value_find(const char *line, size_t at, size_t n, struct bytes *value)
{
    bool is_quoted = at < n && line[at] == '"';
    size_t start = at + is_quoted, end = start;
    while (end < n && line[end] != (is_quoted ? '"' : ' '))
        end++;
    *value = bytes_of((const uint8_t *)line + start, (uint32_t)(end - start));
    return end + (is_quoted && end < n);
}

/* "key=value" of the line as members of an object, as many as fit. */
static size_t fields_put(char *out, size_t size, const char *line, size_t n)
{
    static const char begin[] = ",\"fields\":{";
    size_t o = 0;
    for (size_t i = 0; i < n;) {
        struct bytes value;
        size_t key_n = key_size(line, i, n), key = i, need;
        if (!key_n) {
            i++;
            continue;
        }
        i = value_find(line, i + key_n + 1, n, &value);
        need = (o ? 1 : sizeof begin - 1) + key_n + 6 * (size_t)value.n + sizeof "\"\":\"\"}";
        if (o + need > size)
            break;
        o += (size_t)snprintf(out + o, size - o, "%s\"%.*s\":\"", o ? "," : begin, (int)key_n, line + key);
        o += json_put(out + o, size - o, (const char *)value.p, value.n);
        out[o++] = '"';
    }
    if (o)
        out[o++] = '}';
    return o;
}

static size_t json_format(char *out, size_t size, const char *when, enum log_level level, const char *line,
                          size_t n)
{
    static const char json_end[] = "}\n";
    size_t o = (size_t)snprintf(out, size, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"", when,
                                log_level_name(level));
    o += json_put(out + o, size - o - sizeof json_end - 1, line, n);
    out[o++] = '"';
    o += fields_put(out + o, size - o - sizeof json_end, line, n);
    memcpy(out + o, json_end, sizeof json_end);
    return o + sizeof json_end - 1;
}

size_t logger_format(char *out, size_t size, enum config_log_format format, uint64_t unix_ms,
                     enum log_level level, const char *line, size_t n)
{
    char when[32];
    size_t o;
    CHECK(size >= 128);
    time_put(when, sizeof when, unix_ms);
    if (format == LOG_FORMAT_JSON)
        return json_format(out, size, when, level, line, n);
    o = (size_t)snprintf(out, size, "%s %s ", when, log_level_name(level));
    if (n > size - o - 2)
        n = size - o - 2;
    memcpy(out + o, line, n);
    out[o + n] = '\n';
    out[o + n + 1] = 0;
    return o + n + 1;
}

/* Once for a row of failures, where it cannot be told in the log itself. */
static void failure_begin(struct logger *l, int error)
{
    static const char begin[] = "covey: the log cannot be written, lines are lost: ";
    char text[256];
    if (__atomic_exchange_n(&l->sink.is_failing, 1, __ATOMIC_RELAXED))
        return;
    int n = snprintf(text, sizeof text, "%s%s\n", begin, error ? strerror(error) : "the disk is full");
    if (l->file && !l->has_stdio && n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
        return; /* nobody is left to tell */
    if (l->has_thread)
        sem_post(&l->wake);
}

static void line_write(struct logger *l, const char *out, size_t len)
{
    ssize_t w;
    do
        w = write(l->fd, out, len);
    while (w < 0 && errno == EINTR);
    if (w > 0) {
        __atomic_store_n(&l->is_cut, (size_t)w < len, __ATOMIC_RELAXED);
        __atomic_fetch_add(&l->bytes, (uint64_t)w, __ATOMIC_RELAXED);
    }
    if (w == (ssize_t)len) {
        __atomic_store_n(&l->sink.is_failing, 0, __ATOMIC_RELAXED);
        return;
    }
    int error = w < 0 ? errno : 0;
    /* Counted before the thread is woken, which looks at it. */
    __atomic_fetch_add(&l->sink.lost, 1, __ATOMIC_RELAXED);
    failure_begin(l, error);
}

static enum config_log_format format_of(const struct logger *l)
{
    return __atomic_load_n(&l->format, __ATOMIC_RELAXED);
}

/* The journal keeps the time itself. */
static size_t journal_format(struct logger *l, char *out, size_t size, uint64_t ms, enum log_level level,
                             const char *line, size_t n)
{
    static const char priorities[] = {
        [LOG_DEBUG] = '7', [LOG_INFO] = '6', [LOG_NOTICE] = '5', [LOG_WARNING] = '4', [LOG_ERROR] = '3'};
    out[0] = '<';
    out[1] = priorities[level];
    out[2] = '>';
    if (format_of(l) == LOG_FORMAT_JSON)
        return 3 + logger_format(out + 3, size - 3, LOG_FORMAT_JSON, ms, level, line, n);
    return 3 + (size_t)snprintf(out + 3, size - 3, "%.*s\n", (int)n, line);
}

static size_t line_format(struct logger *l, char *out, size_t size, enum log_level level, const char *line,
                          size_t n)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (l->is_journal)
        return journal_format(l, out, size, ms, level, line, n);
    return logger_format(out, size, format_of(l), ms, level, line, n);
}

static void on_line(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
    struct logger *l = container_of(sink, struct logger, sink);
    char out[LINE_MAX_BYTES + 1] = "\n"; /* begins a new line after one that was cut */
    if (l->file && __atomic_exchange_n(&reopen_wanted, 0, __ATOMIC_RELAXED))
        logger_file_reopen(l);
    size_t len = line_format(l, out + 1, sizeof out - 1, level, line, n);
    bool is_cut = __atomic_load_n(&l->is_cut, __ATOMIC_RELAXED);
    line_write(l, is_cut ? out : out + 1, len + is_cut);
    if (l->has_thread && __atomic_load_n(&l->bytes, __ATOMIC_RELAXED) >= l->rotation_size &&
        !__atomic_exchange_n(&l->is_full, 1, __ATOMIC_RELAXED))
        sem_post(&l->wake);
}

/* systemd says which socket the journal reads; stderr may have been sent elsewhere since. */
static bool stderr_is_journal(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;
    char *end;
    if (!text || fstat(STDERR_FILENO, &st) != 0)
        return false;
    dev = strtoull(text, &end, 10);
    if (*end != ':')
        return false;
    ino = strtoull(end + 1, &end, 10);
    return *end == 0 && st.st_dev == dev && st.st_ino == ino;
}

enum err logger_init(struct logger *l, const char *file, enum logger_stdio stdio, enum log_level level,
                     enum config_log_format format)
{
    struct stat st;
    *l = (struct logger){.format = format, .file = file, .fd = STDERR_FILENO};
    l->sink.destination = file ? file : "stderr";
    l->sink.level = (int)level;
    l->sink.write = on_line;
    if (!file) {
        l->is_journal = stderr_is_journal();
        return OK;
    }
    l->fd = logger_file_open(file);
    if (l->fd < 0)
        return ERR_IO;
    l->bytes = fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    if (stdio == LOGGER_STDIO_MOVED) {
        l->has_stdio = true;
        dup2(l->fd, STDOUT_FILENO);
        dup2(l->fd, STDERR_FILENO);
    }
    return OK;
}

void logger_fini(struct logger *l)
{
    logger_thread_end(l);
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
