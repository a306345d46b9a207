/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/overload.h"
#include "node/io/io_private.h"

#include <stdlib.h>
#include <unistd.h>

/* Bytes that the process holds, from an open /proc/self/statm; 0: not known. */
static uint64_t memory_resident(int statm_fd)
{
    char line[128], *behind;
    ssize_t n = statm_fd < 0 ? -1 : pread(statm_fd, line, sizeof line - 1, 0);
    if (n <= 0)
        return 0;
    line[n] = 0;
    strtoull(line, &behind, 10); /* the whole size comes first */
    return strtoull(behind, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* How late this tick is says how long an event waits. */
void worker_note_load(struct worker *w)
{
    uint64_t gone_ms = w->now_ms - w->tick_ms;
    uint64_t lag_ms = gone_ms > WORKER_TICK_MS ? gone_ms - WORKER_TICK_MS : 0;
    struct overload load;

    w->tick_ms = w->now_ms;
    if (w->number == 0 && worker_is_past(w, w->memory_ms)) {
        w->memory_ms = (uint32_t)w->now_ms + WORKER_MEMORY_MS;
        atomic_store_explicit(&w->io->memory, memory_resident(w->io->statm_fd), memory_order_relaxed);
    }
    shard_note_load(w->shard, lag_ms, atomic_load_explicit(&w->io->memory, memory_order_relaxed));
    shard_load(w->shard, &load);
    w->is_critical = load.level == LOAD_CRITICAL;
}
