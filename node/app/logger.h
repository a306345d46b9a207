/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_LOGGER_H
#define COVEY_APP_LOGGER_H

/* The log sink of the running node: lines to stderr or to a file, one write() each, so that threads need no
 * lock and lines never mix.
 *
 *     2026-11-23T10:00:00.123Z info node start version=0.1.0 workers=4
 *     {"time":"2026-11-23T10:00:00.123Z","level":"info","message":"node start version=0.1.0 workers=4"}
 *
 * A file is opened again after SIGHUP, which is how it is rotated: rename it, send SIGHUP. */

#include "node/app/config.h"

#include <stdio.h>

struct logger {
    struct log_sink sink;
    enum config_log_format format;
    const char *file; /* NULL: stderr */
    int fd;
    bool has_stdio; /* stdout and stderr go to the file too */
};

/* LOGGER_STDIO_MOVED: stdout and stderr of the process are the file from now on, so that nothing said on
 * the way to an abort is lost. */
enum logger_stdio { LOGGER_STDIO_KEPT, LOGGER_STDIO_MOVED };

/* Writes to file, which is made if missing and outlives the logger, or to stderr when file is NULL. ERR_IO,
 * with errno: it cannot be opened. */
MUST_USE enum err logger_init(struct logger *l, const char *file, enum logger_stdio stdio,
                              enum log_level level, enum config_log_format format);
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
