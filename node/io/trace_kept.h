/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_TRACE_KEPT_H
#define COVEY_IO_TRACE_KEPT_H

/* What a node remembers of a trace over its own end: FOLDER/NAME.trace beside the lines in FOLDER/NAME.log. A
 * text of `word=value` lines; the value that is traced is in hex, for it may be any bytes. The file is
 * replaced as a whole: after a crash it is the old one or the new one. */

#include "node/io/traces.h"

enum { TRACE_ENDED_MAX = 63 };

struct trace_kept {
    char name[TRACE_NAME_MAX + 1];
    enum trace_state state; /* not TRACE_FREE */
    enum trace_by by;
    enum trace_payload payload;
    uint64_t start_ms, end_ms; /* wall clock */
    uint64_t dropped;
    char ended[TRACE_ENDED_MAX + 1]; /* "": it has not stopped by itself */
    size_t value_n;
    uint8_t value[TRACE_VALUE_MAX];
};

/* 1 to TRACE_NAME_MAX letters, digits, _ and -. */
bool trace_name_is_good(const char *name);

/* ERR_IO: it could not be written, errno says why; the old one stays. */
MUST_USE enum err trace_kept_write(const char *folder, const struct trace_kept *k);
void trace_kept_delete(const char *folder, const char *name);

/* Calls fn for each that is there and whole, the one that was started first first. Those that are damaged are
 * logged and passed over. */
void trace_kept_each(const char *folder, struct log_sink *log,
                     void (*fn)(void *arg, const struct trace_kept *k), void *arg);

#endif
