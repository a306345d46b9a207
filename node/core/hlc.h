/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_HLC_H
#define COVEY_CORE_HLC_H

/* A hybrid logical clock: stamps that follow the wall clock where it moves, and are greater than every stamp
 * that was given or seen before where it does not. Milliseconds << 16 | a count. What was caused by another
 * change has the greater stamp, on whatever node. Any thread. */

#include <stdbool.h>
#include <stdint.h>

enum { HLC_SHIFT = 16 };
/* No clock comes to such a stamp; who names one would stop all others. */
#define HLC_STAMP_MAX ((uint64_t)1 << 62)

struct hlc {
    uint64_t last; /* atomic */
};

/* A stamp that is greater than all before. */
uint64_t hlc_now(struct hlc *h, uint64_t wall_ms);
/* From here on stamps are greater than this one, which is below HLC_STAMP_MAX. */
void hlc_see(struct hlc *h, uint64_t stamp);

static inline uint64_t hlc_ms(uint64_t stamp)
{
    return stamp >> HLC_SHIFT;
}

#endif
