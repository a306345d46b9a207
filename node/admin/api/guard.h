/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_GUARD_H
#define COVEY_ADMIN_API_GUARD_H

/* How often an address may try to log in: GUARD_TRIES_MAX failures, and then one more every GUARD_WAIT_MS. An
 * address of IPv6 stands for its network of 64 bits. By address and not by user, so that nobody can lock a
 * user out by failing in his name; the one thread that hashes is the limit for all of them together. */

#include <stdint.h>

enum { GUARD_TRIES_MAX = 10, GUARD_WAIT_MS = 10000, GUARD_ADDRESSES_MAX = 256, GUARD_ADDRESS_MAX = 46 };

struct guard {
    struct guard_entry {
        char address[GUARD_ADDRESS_MAX];
        uint64_t free_ms; /* when all failures are forgotten */
    } v[GUARD_ADDRESSES_MAX];
};

/* 0: it may try; else the milliseconds until it may. */
uint64_t guard_wait_ms(struct guard *g, const char *address, uint64_t now_ms);
void guard_on_failure(struct guard *g, const char *address, uint64_t now_ms);
void guard_on_success(struct guard *g, const char *address);

#endif
