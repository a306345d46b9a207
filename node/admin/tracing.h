/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_TRACING_H
#define COVEY_ADMIN_TRACING_H

/* Traces of this node, started and ended: the file (node/io/traces.h) and every shard. The admin's thread. */

#include "node/admin/admin.h"
#include "node/io/traces.h"

struct admin_env;

/* "client", "topic", "ip_address"; "hidden", "text", "hex". False: no such word. */
bool trace_by_find(const char *word, enum trace_by *out);
bool trace_payload_find(const char *word, enum trace_payload *out);
const char *trace_by_name(enum trace_by by);

/* As traces_open(); why says for people what is wrong. */
MUST_USE enum err tracing_start(struct admin_env *env, const char *name, const struct trace_rule *rule,
                                uint64_t end_ms, const char **why);
/* ERR_NOTFOUND: no such trace. One that does not run any more stays as it is. */
MUST_USE enum err tracing_stop(struct admin_env *env, const char *name);
/* Stops it first when it runs. ERR_NOTFOUND: neither trace nor file. */
MUST_USE enum err tracing_delete(struct admin_env *env, const char *name);
/* Ends those whose time is over or whose file has ended; to be called every second or so. */
void tracing_tick(struct admin_env *env);

#endif
