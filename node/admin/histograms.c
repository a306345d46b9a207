/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/histograms.h"

#include "node/admin/cluster_view.h"
#include "node/admin/exposition.h"
#include "node/mesh/mesh.h"
#include "storage/writer.h"

#include <stdio.h>
#include <stdlib.h>

/* labels: "worker=\"0\"," or "". */
static void hist_put(struct text *out, const char *name, const char *labels, const struct hist_sum *h)
{
    static const uint32_t bounds[HIST_BOUNDS] = HIST_BOUNDS_US;
    int labels_n = (int)strlen(labels);
    uint64_t n = 0;
    for (int i = 0; i < HIST_BOUNDS; i++) {
        n += h->count[i];
        text_printf(out, "%s_bucket{%sle=\"%g\"} %llu\n", name, labels, bounds[i] / 1e6,
                    (unsigned long long)n);
    }
    n += h->count[HIST_BOUNDS];
    text_printf(out, "%s_bucket{%sle=\"+Inf\"} %llu\n", name, labels, (unsigned long long)n);
    const char *open = labels_n ? "{" : "", *end = labels_n ? "}" : "";
    if (labels_n)
        labels_n--; /* the comma */
    text_printf(out, "%s_sum%s%.*s%s %.6f\n", name, open, labels_n, labels, end, (double)h->sum_us / 1e6);
    text_printf(out, "%s_count%s%.*s%s %llu\n", name, open, labels_n, labels, end, (unsigned long long)n);
}

static void workers_put(struct text *out, struct io *io)
{
    static const char turns[] = "covey_turn_seconds", acks[] = "covey_ack_wait_seconds",
                      lag[] = "covey_loop_lag_seconds";
    uint32_t n = io_workers(io);
    struct io_worker_times t;
    char labels[32];
    exposition_head(out, turns, "histogram", "A turn of a worker's loop: reading, routing, sending.");
    for (uint32_t i = 0; i < n; i++) {
        io_worker_times(io, i, &t);
        snprintf(labels, sizeof labels, "worker=\"%u\",", i);
        hist_put(out, turns, labels, &t.turns);
    }
    exposition_head(out, acks, "histogram",
                    "From reading a PUBLISH to its PUBACK or PUBREC, when that has to wait.");
    for (uint32_t i = 0; i < n; i++) {
        io_worker_times(io, i, &t);
        snprintf(labels, sizeof labels, "worker=\"%u\",", i);
        hist_put(out, acks, labels, &t.acks);
    }
    exposition_head(out, lag, "gauge", "The longest turn of the last 15 to 30 seconds.");
    for (uint32_t i = 0; i < n; i++) {
        io_worker_times(io, i, &t);
        text_printf(out, "%s{worker=\"%u\"} %g\n", lag, i, (double)t.lag_ms_max / 1e3);
    }
}

static void cluster_put(struct text *out, struct admin_env *env)
{
    static const char name[] = "covey_cluster_forward_seconds";
    struct mesh_info info;
    if (!cluster_view_info(env->conf.cluster, &info))
        return;
    exposition_head(out, name, "histogram",
                    "From sending messages of QoS 1 and 2 to another node to its answers.");
    hist_put(out, name, "", &info.forwards);
    free(info.peers);
}

void histograms_put(struct text *out, struct admin_env *env)
{
    static const char commits[] = "covey_store_commit_seconds";
    struct writer_stats w = {0};
    workers_put(out, env->conf.io);
    figures_writer(&env->figures, &w);
    exposition_head(out, commits, "histogram", "A commit of the store.");
    hist_put(out, commits, "", &w.commits_took);
    cluster_put(out, env);
}
