/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/tracing.h"

#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"

#include <string.h>

static const char *const bys[] = {"client", "topic", "ip_address"};
static const char *const payloads[] = {"hidden", "text", "hex"};

bool trace_by_find(const char *word, enum trace_by *out)
{
    for (size_t i = 0; i < array_len(bys); i++) {
        *out = (enum trace_by)i;
        if (strcmp(bys[i], word) == 0)
            return true;
    }
    return false;
}

bool trace_payload_find(const char *word, enum trace_payload *out)
{
    for (size_t i = 0; i < array_len(payloads); i++) {
        *out = (enum trace_payload)i;
        if (strcmp(payloads[i], word) == 0)
            return true;
    }
    return false;
}

const char *trace_by_name(enum trace_by by)
{
    return bys[by];
}

struct order {
    uint32_t number;
    const struct trace_rule *rule;
};

static void on_order(struct shard *sh, void *arg)
{
    const struct order *o = arg;
    trace_set(sh, o->number, o->rule);
}

static void shards_tell(struct admin_env *env, uint32_t number, const struct trace_rule *rule)
{
    for (uint32_t i = 0; i < io_workers(env->conf.io); i++)
        shard_ask(env->conf.io, i, on_order, &(struct order){number, rule});
}

static const char *fault_of(enum err e)
{
    switch ((int)e) {
    case ERR_EXISTS:
        return "there is a trace, or a file, with this name";
    case ERR_LIMIT:
        return "there are as many traces as there can be: delete one";
    case ERR_INVALID:
        return "a name has letters, digits, _ and -, at most 64; a value 1 to 1024 bytes; a topic is a "
               "filter";
    default:
        return "its file cannot be made; the log says why";
    }
}

enum err tracing_start(struct admin_env *env, const char *name, const struct trace_rule *rule,
                       uint64_t end_ms, const char **why)
{
    uint32_t number;
    const struct trace_rule *kept;
    enum err e = traces_open(env->conf.traces, name, rule, end_ms, &number);
    if (e != OK) {
        *why = fault_of(e);
        return e;
    }
    kept = traces_rule(env->conf.traces, number);
    shards_tell(env, number, kept);
    return OK;
}

static void end(struct admin_env *env, uint32_t number)
{
    shards_tell(env, number, NULL);
    traces_close(env->conf.traces, number);
}

static bool runs(struct admin_env *env, uint32_t number)
{
    struct trace_info info;
    traces_info(env->conf.traces, number, &info);
    return info.state == TRACE_RUNS;
}

enum err tracing_stop(struct admin_env *env, const char *name)
{
    uint32_t number = traces_find(env->conf.traces, name);
    if (number == TRACES_MAX)
        return ERR_NOTFOUND;
    if (runs(env, number))
        end(env, number);
    return OK;
}

enum err tracing_delete(struct admin_env *env, const char *name)
{
    uint32_t number = traces_find(env->conf.traces, name);
    if (number < TRACES_MAX && runs(env, number))
        end(env, number);
    return traces_delete(env->conf.traces, name);
}

void tracing_tick(struct admin_env *env)
{
    uint64_t now_ms = wall_ms();
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        struct trace_info info;
        traces_info(env->conf.traces, i, &info);
        if (info.state == TRACE_RUNS && (info.ended || now_ms >= info.end_ms))
            end(env, i);
    }
}
