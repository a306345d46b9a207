/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_LOG_H
#define COVEY_BASE_LOG_H

/* One line an event: `area event key=value ...`. A sink decides what becomes of it; the level check comes
 * before any formatting. Values that came from outside go through log_escape, so that one event stays one
 * line. No payloads, no credentials; nothing at info or above on hot paths. */

#include "proto/base/bytes.h"

#include <stdarg.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERROR };

/* Where lines go. `write` may be called from any thread at once; `line` has no newline and is valid during
 * the call. Levels below `level` are not formatted; `level` may be changed at any time. */
struct log_sink {
    int level; /* read and written with __atomic builtins */
    void (*write)(struct log_sink *sink, enum log_level level, const char *line, size_t n);
    const char *destination; /* for people: a file, or "stderr"; NULL: nothing to say */
    uint64_t lost;           /* lines that could not be written, with __atomic builtins; */
    int is_failing;          /* the last one was such, the same */
};

/* A sink may be NULL: nothing is logged. */
static inline bool log_is_on(const struct log_sink *s, enum log_level level)
{
    return s && (int)level >= __atomic_load_n(&s->level, __ATOMIC_RELAXED);
}

void log_line(struct log_sink *sink, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define LOG(sink, level, ...)                   \
    do {                                        \
        if (log_is_on(sink, level))             \
            log_line(sink, level, __VA_ARGS__); \
    } while (0)

/* "debug".."error"; never NULL. log_level_find answers false for an unknown word. */
const char *log_level_name(enum log_level level);
bool log_level_find(const char *word, enum log_level *level);

#define LOG_ESCAPED_MAX 256
/* Writes b with control characters, quotes, backslashes, non-UTF-8 and direction marks as \xNN or \u{N},
 * cut with ".." when out is too small. Returns out, NUL-terminated. */
const char *log_escape(char out[LOG_ESCAPED_MAX], struct bytes b);

#endif
