/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_TRACES_H
#define COVEY_IO_TRACES_H

/* The files of traces (node/core/trace.h): FOLDER/NAME.log each. Shards put lines into rings, a thread writes
 * them; what a full ring could not take is counted, and told in the file. A file ends at bytes_max, or when
 * it cannot be written. A trace outlives its node: after a restart, or a crash, one whose time is not over
 * goes on, and the others are there with what they have, until somebody deletes them (trace_kept.h).
 *
 * All but the sink is for one thread, the admin's, which also tells the shards: after traces_open()
 * trace_set() with the rule, before traces_close() without. */

#include "node/core/trace.h"
#include "proto/base/err.h"
#include "proto/base/log.h"

struct node;
struct traces;

enum { TRACE_NAME_MAX = 64, TRACE_VALUE_MAX = 1024 };

struct traces_conf {
    const char *folder;
    uint64_t bytes_max; /* of one file */
    uint32_t shards;
    struct log_sink *log;
};

enum trace_state { TRACE_FREE, TRACE_RUNS, TRACE_STOPPED };

struct trace_info {
    enum trace_state state;
    char name[TRACE_NAME_MAX + 1];
    struct trace_rule rule;
    uint64_t start_ms, end_ms; /* wall clock */
    uint64_t bytes;
    uint64_t dropped;
    const char *ended; /* why it has stopped by itself; NULL: it has not */
};

struct traces *traces_new(const struct traces_conf *conf);
/* When no shard runs any more. NULL is fine. */
void traces_free(struct traces *t);
const struct trace_sink *traces_sink(const struct traces *t);
/* Reads the traces that an earlier life of the node has left; those that run are told to the shards, none of
 * which runs yet. What cannot be read is logged. */
void traces_resume(struct traces *t, struct node *node);

/* Makes the file and answers the number of the trace. ERR_EXISTS: there is such a name, or its file;
 * ERR_LIMIT: there are TRACES_MAX; ERR_INVALID: not a name, value or filter; ERR_IO: the file cannot be made,
 * logged. */
MUST_USE enum err traces_open(struct traces *t, const char *name, const struct trace_rule *rule,
                              uint64_t end_ms, uint32_t *number);
/* What is on its way is written. The file stays. */
void traces_close(struct traces *t, uint32_t number);
/* One that does not run, and its file. ERR_NOTFOUND: neither is there. */
MUST_USE enum err traces_delete(struct traces *t, const char *name);
/* A copy of the trace with this number. */
void traces_info(struct traces *t, uint32_t number, struct trace_info *out);
/* The rule of one that is there; it stays where it is until the trace is deleted. */
const struct trace_rule *traces_rule(const struct traces *t, uint32_t number);
/* The number of a name; TRACES_MAX: there is none. */
uint32_t traces_find(struct traces *t, const char *name);
/* The path of a name's file; out has room for n bytes. */
const char *traces_path(const struct traces *t, const char *name, char *out, size_t n);

#endif
