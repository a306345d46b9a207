/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_REFUSALS_H
#define COVEY_CORE_REFUSALS_H

/* What clients were refused, counted by reason. The codes that occur have counters of their own (counters.h),
 * the others are counted together. */

#include "proto/mqtt/reason.h"

struct shard;

enum refusal {
    REFUSAL_CONNECT,   /* CONNACK with a failure */
    REFUSAL_PACKET,    /* the connection ends because of what the client sent */
    REFUSAL_SUBSCRIBE, /* one filter of a SUBSCRIBE */
};

/* code: not a success. */
void refusal_count(struct shard *sh, enum refusal what, enum reason code);

#endif
