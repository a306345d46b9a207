/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_RETAINED_META_H
#define COVEY_CORE_RETAINED_META_H

/* What the nodes of a cluster know about a retained message besides the message: which change made it, so
 * that the last one wins wherever they meet. In STORE_RETAINED_META:
 *
 *     key    be16 bucket | key of the message in STORE_RETAINED
 *     value  be64 stamp (hlc.h) | be64 tag of the life of the node that changed it | be64 fades
 *
 * Stamp and tag rank a change (STORE_IF_NEWER). It fades at a time that every node works out alike: a message
 * that does not expire never; what was deleted, or expires, 24 h after the change or when it expires,
 * whatever is later. Until then the record stays, also without a message, as a tombstone: it keeps an older
 * message from coming back with a node that was away. What has faded counts no more: it is not compared, sent
 * or taken, and swept when it comes in handy. So nodes agree although each deletes expired messages in its
 * own time.
 *
 * Buckets are for comparing: nodes tell each other the sums of digests of 1024 of them. */

#include "proto/base/bytes.h"
#include "storage/batch.h"

enum {
    RETAINED_PREFIX_MAX = 480,
    RETAINED_KEY_MAX = RETAINED_PREFIX_MAX + 16,
    RETAINED_BUCKETS = 1024,
    RETAINED_META_KEY_MAX = RETAINED_KEY_MAX + 2,
    RETAINED_META_N = STORE_RANK_N + 8,
    RETAINED_TOMBSTONE_MS = 24 * 3600 * 1000,
};
#define RETAINED_FADES_NEVER UINT64_MAX

struct retained_meta {
    struct bytes key; /* of the message */
    uint32_t bucket;
    uint64_t stamp;
    uint64_t node;
    uint64_t fades_ms; /* wall clock */
};

/* The key of a topic's message: the topic, or of a long one its beginning and a hash of all of it. May be a
 * view of topic. */
struct bytes retained_key(uint8_t buf[RETAINED_KEY_MAX], struct bytes topic);
uint32_t retained_bucket(struct bytes key);
struct bytes retained_meta_key(uint8_t buf[RETAINED_META_KEY_MAX], struct bytes key);
void retained_meta_value(uint8_t out[RETAINED_META_N], const struct retained_meta *m);
/* False: not what is written there. m->key is a view. */
bool retained_meta_read(struct retained_meta *m, struct bytes key, struct bytes value);
/* record: as in the store; n 0: deleted. */
uint64_t retained_fades_ms(uint64_t stamp, struct bytes record);
static inline bool retained_has_faded(uint64_t fades_ms, uint64_t wall_ms)
{
    return fades_ms <= wall_ms;
}
/* The same on every node. */
uint64_t retained_digest(struct bytes key, uint64_t stamp, uint64_t node);
/* Less, equal or greater than 0 as a ranks below, like or above b. */
static inline int retained_rank_cmp(uint64_t a_stamp, uint64_t a_node, uint64_t b_stamp, uint64_t b_node)
{
    if (a_stamp != b_stamp)
        return a_stamp < b_stamp ? -1 : 1;
    return a_node == b_node ? 0 : a_node < b_node ? -1 : 1;
}
/* May this have come from a node that does as it should? record n 0: deleted. */
bool retained_is_sound(struct bytes key, uint64_t stamp, struct bytes record);

#endif
