/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_RESOLVE_H
#define COVEY_CLUSTER_IO_RESOLVE_H

/* Where other nodes may be found: configured addresses and what DNS and /etc/hosts say about names. Rounds
 * are made every resolve_ms while the mesh wants seeds, every resolve_idle_ms otherwise; each reads
 * resolv.conf afresh. A name that does not resolve keeps the addresses that it had. */

#include "cluster/io/cluster_private.h"

struct resolver;

/* ERR_INVALID: a seed is malformed; logged. */
MUST_USE enum err resolver_new(struct resolver **out, struct cluster_io *c);
void resolver_free(struct resolver *r); /* NULL is fine; queries under way end */
/* On the cluster thread: tells the mesh the addresses that need no resolution. */
void resolver_start(struct resolver *r);
/* At every tick: begins and ends rounds. */
void resolver_tick(struct resolver *r);
/* The first seed that is a number; false: none. */
bool resolver_literal(const struct resolver *r, struct net_addr *out);

#endif
