/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CLUSTER_H
#define COVEY_APP_CLUSTER_H

/* From the configuration to what the cluster thread takes. */

#include "cluster/io/cluster_io.h"
#include "node/app/config.h"

/* Strings are the configuration's. Node, identity, seed, shards, callback and log are left to the caller. */
void cluster_conf_of(struct cluster_io_conf *out, const struct config *conf);

#endif
