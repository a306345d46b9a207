/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_FIGURES_H
#define COVEY_ADMIN_FIGURES_H

/* The numbers of the whole node: sums over its shards, the I/O side and the store, under the names that ctl
 * and $SYS show. */

#include "node/admin/cluster_view.h"
#include "node/core/inspect.h"
#include "node/core/sys.h"
#include "node/io/io.h"

enum {
    FIGURES_STATS_MAX = 24,
    FIGURES_METRICS_MAX = COUNTERS + MESH_COUNTERS_N + CLUSTER_FAULTS_N + 48,
    FIGURES_NAME_MAX = 48
};

/* Fill in the first group; the rest is kept between calls. */
struct figures {
    struct io *io;
    struct writer *writer;
    struct store *store;
    const struct cluster_view_ops *cluster; /* NULL: the node is alone, and there are no figures of it */

    uint64_t commit_us_max;
    struct sys_figure stats[FIGURES_STATS_MAX];
    uint32_t stats_n;
    struct sys_figure metrics[FIGURES_METRICS_MAX];
    uint32_t metrics_n;
    char fault_names[IO_FAULTS_MAX][FIGURES_NAME_MAX];
    char cluster_fault_names[CLUSTER_FAULTS_N][FIGURES_NAME_MAX];
};

/* Asks every worker. The names and their order are the same each time. */
void figures_gather(struct figures *f);

/* Of the writer; commit_us_max since the start. */
void figures_writer(struct figures *f, struct writer_stats *out);

#endif
