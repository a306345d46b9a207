/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_TRANSFER_H
#define COVEY_ADMIN_TRANSFER_H

/* Entries of a dump (dump.h), checked and put into a node that runs. */

#include "node/admin/dump.h"
#include "node/admin/text.h"
#include "node/io/io.h"
#include "proto/mqtt/reason.h"

struct transfer_counts {
    uint64_t of[DUMP_TYPES]; /* of BANS each ban counts */
    uint64_t over;           /* messages and bans whose time is over */
    uint64_t refused;        /* by a limit of this node */
};

/* Is it what its type says? Adds what is in it to counts. */
bool transfer_check(enum dump_type type, struct bytes entry, struct transfer_counts *counts);

/* Entries that are put together. Begins as zeros; text_fini() of kept ends it. */
struct transfer_batch {
    struct text kept;
    uint32_t n;
    struct transfer_counts counts;
};
/* Takes a copy. False: it is time for transfer_apply(). */
bool transfer_add(struct transfer_batch *b, enum dump_type type, struct bytes entry);
/* Puts them, by shard 0, and returns when they are stored: RC_SUCCESS, or why not. Empties the batch. */
enum reason transfer_apply(struct transfer_batch *b, struct io *io);

#endif
