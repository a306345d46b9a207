/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_LMDB_CHECKPOINT_H
#define COVEY_STORAGE_LMDB_CHECKPOINT_H

/* The file dir/checkpoint: to which transaction a start after a power cut goes back. See lmdb_sync.c. Two
 * slots, each in sectors of its own, are written in turn and in place: the file needs no room on a full disk,
 * and a slot that was torn leaves the other. A slot of zeros is empty. */

#include "storage/lmdb_format.h"

enum { LMDB_BOOT_ID_BYTES = 36, LMDB_CHECKPOINT_SLOTS = 2, LMDB_CHECKPOINT_SLOT_BYTES = 4096 };

struct lmdb_checkpoint {
    uint64_t number; /* of the two the higher counts, and is in slot number % 2 */
    struct lmdb_meta_page page;
    uint8_t boot_id[LMDB_BOOT_ID_BYTES]; /* of the kernel that ran when it was written */
    uint32_t sum;                        /* of all before it */
};

uint32_t lmdb_checkpoint_sum(const struct lmdb_checkpoint *c);

#endif
