/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_UIDMAX_H
#define COVEY_CORE_UIDMAX_H

/* The newest message of each stream, a stream being what one shard of a node's life publishes to one topic
 * and what goes the same way, so that the uids grow (shard_uid()). An open table; a stream beyond
 * UIDMAX_STREAMS is not noted. */

#include "proto/base/bytes.h"

enum { UIDMAX_STREAMS = 1 << 16 };

struct uidmax {
    struct uidmax_slot {
        uint64_t stream; /* 0: free */
        uint64_t uid;
    } * v; /* NULL: nothing yet */
    uint32_t n;
    uint32_t mask;
};

/* Begins as zeros. */
void uidmax_fini(struct uidmax *t);
/* uid 0 belongs to no stream. */
void uidmax_note(struct uidmax *t, struct bytes topic, uint64_t uid);
/* Is a newer one of its stream noted? */
bool uidmax_is_older(const struct uidmax *t, struct bytes topic, uint64_t uid);

#endif
