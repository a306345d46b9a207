/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_LOGGER_H
#define COVEY_APP_LOGGER_H

/* The log sink of the running node: lines to stderr or to a file, one write() each, so that threads need no
 * lock and lines never mix.
 *
 *     2026-11-23T10:00:00.123Z info node start version=0.1.0 workers=4
 *     {"time":"2026-11-23T10:00:00.123Z","level":"info","message":"node start version=0.1.0 workers=4",
 *      "fields":{"version":"0.1.0","workers":"4"}}
 *
 * When stderr is the journal of systemd, a line starts with its priority as sd-daemon(3) has it, "<5>", and
 * has no time: the journal has one.
 *
 * A file that has grown to a size becomes FILE.1, FILE.1 becomes FILE.2 and so on: a thread of the logger
 * does that, so that no other one waits for it. A file is opened again after SIGHUP, for those who rename it
 * themselves.
 *
 * Lines that cannot be written (disk full) are lost and counted. The thread tries every second to write how
 * many; what cannot be said there goes to stderr, once. */

#include "node/app/config.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

struct logger {
    struct log_sink sink;
    enum config_log_format format;
    const char *file; /* NULL: stderr */
    int fd;
    bool has_stdio;  /* stdout and stderr go to the file too */
    bool is_journal; /* stderr is the journal's */
    int is_cut;      /* the file ends in the middle of a line; this and what follows: __atomic builtins */
    uint64_t bytes;  /* of the file */

    uint64_t rotation_size;
    uint32_t rotation_count;
    int is_full; /* the thread was told */
    int is_over;
    sem_t wake;
    pthread_t thread;
    bool has_thread;
};

/* LOGGER_STDIO_MOVED: stdout and stderr of the process are the file from now on, so that nothing said on
 * the way to an abort is lost. */
enum logger_stdio { LOGGER_STDIO_KEPT, LOGGER_STDIO_MOVED };

/* Writes to file, which is made if missing and outlives the logger, or to stderr when file is NULL. ERR_IO,
 * with errno: it cannot be opened. */
MUST_USE enum err logger_init(struct logger *l, const char *file, enum logger_stdio stdio,
                              enum log_level level, enum config_log_format format);
/* Starts the thread: from now on the file is rotated at rotation_size bytes, keeping so many old ones, and
 * lines that are lost are told. ERR_LIMIT: no thread is to be had. */
MUST_USE enum err logger_start(struct logger *l, uint64_t rotation_size, uint32_t rotation_count);
/* Ends the thread. */
void logger_fini(struct logger *l);
/* Lines have another form from now on; sink is a logger's. Any thread. */
void logger_set_format(struct log_sink *sink, enum config_log_format format);

/* Makes the next line open the file again. Safe in signal handlers. */
void logger_reopen_soon(void);
/* Lets SIGHUP do that. */
void logger_catch_hangup(void);

/* Writes the last lines of a file, from byte `from` on: what a node that did not start had to say. */
void logger_tail(const char *file, long from, unsigned lines_max, FILE *out);

/* One line with its time, as it stands in the log; returns its length, newline included. Cuts what does not
 * fit. unix_ms: wall clock. */
size_t logger_format(char *out, size_t size, enum config_log_format format, uint64_t unix_ms,
                     enum log_level level, const char *line, size_t n);

#endif
