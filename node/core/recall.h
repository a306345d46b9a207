/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_RECALL_H
#define COVEY_CORE_RECALL_H

/* What the authorization server has said, remembered for a while: by connection, kind of question and topic.
 * Bounded in number; the one that was longest not looked at makes room. */

#include "proto/base/bytes.h"
#include "proto/base/list.h"

struct recalled {
    struct recalled *next; /* in its bucket */
    struct list link;      /* by when it was last looked at */
    uint64_t ident;        /* of the connection, see struct gate_ident */
    uint64_t hash;
    uint64_t until_ms;
    uint8_t kind;
    uint8_t answer;
    uint16_t topic_n;
    uint8_t topic[];
};

struct recall {
    struct recalled **buckets; /* NULL: nothing was put yet */
    uint32_t buckets_n;        /* a power of two */
    uint32_t n;
    uint32_t max; /* 0: nothing is remembered */
    struct list used;
};

void recall_init(struct recall *r, uint32_t max);
void recall_fini(struct recall *r);
/* Forgets everything. */
void recall_reset(struct recall *r);
/* hash: of the topic. Valid until the next call; NULL: there is none, or not any more. */
const struct recalled *recall_find(struct recall *r, uint64_t ident, uint8_t kind, uint64_t hash,
                                   struct bytes topic, uint64_t now_ms);
/* What is there of the same question is replaced. */
void recall_put(struct recall *r, uint64_t ident, uint8_t kind, uint64_t hash, struct bytes topic,
                uint8_t answer, uint64_t until_ms);

#endif
