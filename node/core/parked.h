/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PARKED_H
#define COVEY_CORE_PARKED_H

/* A CONNECT that waits: for whoever checks its client (vet.h), or for the cluster (claim.h). Its connection
 * stays NEW and is not read meanwhile; it may end while it waits, and the answer then finds nobody. */

#include "proto/base/bytes.h"
#include "proto/base/list.h"

struct conn;

struct parked {
    struct list link;
    struct conn *conn; /* NULL: it is gone */
    uint64_t token;
    uint32_t
        *is_gone; /* of whoever is asked, told when the connection ends; NULL: it need not know. Atomic. */
    uint32_t n;
    uint8_t body[]; /* of the CONNECT */
};

/* Copies the CONNECT and stops reading. c waits for nothing else. */
struct parked *parked_new(struct list *waiting, struct conn *c, uint64_t token, const uint8_t *body,
                          uint32_t n);
/* Takes it off the list; its connection, if there still is one, reads on. NULL: there is none of that token.
 */
struct parked *parked_take(struct list *waiting, uint64_t token);
/* Its client id, a view. */
struct bytes parked_client(const struct parked *p);
/* The connection ends. */
void parked_forget(struct conn *c);
/* There may be a password in it. NULL is fine. */
void parked_free(struct parked *p);
void parked_free_all(struct list *waiting);

#endif
