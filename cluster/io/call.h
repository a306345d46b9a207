/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_CALL_H
#define COVEY_CLUSTER_IO_CALL_H

/* Closures for the cluster thread, made by cluster_io_call() and cluster_io_ask(). */

#include "node/mesh/mesh.h"

/* Runs it; tells who waits for it, or frees it. item is a struct cluster_call. */
void cluster_call_run(void *item, struct mesh *m);

#endif
