/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_UIDSET_H
#define COVEY_CORE_UIDSET_H

/* The uids of messages that went by lately: at least the last UIDSET_KEEP, at most twice as many. Two open
 * tables; when the newer one is full the older one is forgotten. 0 is never in. */

#include <stdbool.h>
#include <stdint.h>

enum { UIDSET_KEEP = 1 << 16 };

struct uidset {
    uint64_t *now; /* NULL: nothing yet */
    uint64_t *before;
    uint32_t n; /* in now */
    uint32_t now_mask;
    uint32_t before_mask;
};

/* Begins as zeros. */
void uidset_fini(struct uidset *s);
void uidset_add(struct uidset *s, uint64_t uid);
bool uidset_has(const struct uidset *s, uint64_t uid);

#endif
