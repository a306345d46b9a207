/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/overload.h"

#include "node/core/shard_i.h"

const char *overload_level_name(enum overload_level level)
{
    static const char *const names[] = {"normal", "busy", "critical"};
    return names[level];
}

/* Is something at the limit of the step to this level? */
static bool is_over(const struct overload *o, const struct overload_limits *l, unsigned level)
{
    uint64_t memory_max = l->memory_bytes[level - 1];
    return o->lag_ms >= l->lag_ms[level - 1] || (memory_max && o->memory_bytes >= memory_max);
}

/* Well below it: half of the lag; memory that was freed comes back slowly, so less of a distance. */
static bool is_calm(const struct overload *o, const struct overload_limits *l, unsigned level)
{
    uint64_t memory_max = l->memory_bytes[level - 1];
    return o->lag_ms <= l->lag_ms[level - 1] / 2 &&
           (!memory_max || o->memory_bytes <= memory_max - memory_max / 16);
}

bool overload_step(struct overload *o, const struct overload_limits *limits, uint64_t lag_ms,
                   uint64_t memory_bytes, uint64_t now_ms)
{
    o->lag_ms = (o->lag_ms * 3 + lag_ms) / 4;
    o->memory_bytes = memory_bytes;
    for (unsigned level = LOAD_CRITICAL; level > o->level; level--) {
        if (!is_over(o, limits, level))
            continue;
        o->level = (uint8_t)level;
        o->calm_ms = 0;
        return true;
    }
    if (o->level == LOAD_NORMAL)
        return false;
    if (!is_calm(o, limits, o->level)) {
        o->calm_ms = 0;
        return false;
    }
    if (o->calm_ms == 0)
        o->calm_ms = now_ms;
    if (now_ms - o->calm_ms < limits->cooldown_ms)
        return false;
    o->level--;
    o->calm_ms = 0;
    return true;
}

void shard_note_load(struct shard *sh, uint64_t lag_ms, uint64_t memory_bytes)
{
    const struct overload_limits *limits = &sh->settings->overload;
    struct overload *o = &sh->overload;
    uint8_t before = o->level;
    if (!limits->is_on || !overload_step(o, limits, lag_ms, memory_bytes, sh->now_ms))
        return;
    o->since_ms = sh->wall_ms;
    if (o->level > before)
        COUNT(sh, OVERLOADS);
    LOG(sh->node->conf.log, LOG_WARNING, "worker load worker=%u level=%s before=%s lag_ms=%llu memory=%llu",
        sh->number, overload_level_name((enum overload_level)o->level),
        overload_level_name((enum overload_level)before), (unsigned long long)o->lag_ms,
        (unsigned long long)o->memory_bytes);
}

void shard_load(const struct shard *sh, struct overload *out)
{
    *out = sh->overload;
}
