/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_MEM_H
#define COVEY_STORAGE_MEM_H

/* A store in memory behind the same interface, for tests and simulation: ordered, snapshots as the contract
 * says, and faults on demand. */

#include "storage/store.h"

struct store *store_new_mem(void);

/* The next n commits answer e and leave nothing behind. */
void store_mem_fail_next(struct store *s, enum err e, unsigned n);
/* A copy of what a machine that loses power now would find: the last committed state. The caller closes it.
 */
struct store *store_mem_clone(const struct store *s);

#endif
