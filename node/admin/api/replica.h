/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_REPLICA_H
#define COVEY_ADMIN_API_REPLICA_H

/* Users, API keys, logins and wrong passwords, the same on all nodes: what one node changes it tells each of
 * the others at once, by calls between the admin threads (peers.h). When a link is new, and now and then
 * besides, two nodes compare digests, and where they differ each gets all that the other has. Which of two
 * changes wins is decided where they meet (account_table.h, tokens.h), so the order does not matter.
 *
 *     {"replica": {"items": [...], "digest": of all that the asker has; not there: nothing is asked for}}
 *     {"status": 200, "answer": {"digest": ..., "items": all, where the digests differ}}
 *
 * A node of an older version, or without the API, answers otherwise; it is left alone for longer and longer.
 */

#include "node/admin/api/api.h"
#include "node/admin/api/json.h"

struct replica;

enum {
    REPLICA_WAIT_MS = 1000,     /* who has changed something waits so long for the others */
    REPLICA_COMPARE_MS = 30000, /* between two comparisons with a node */
    REPLICA_BYTES_MAX = 64 * 1024,
};

/* There are links (a->links). */
struct replica *replica_new(struct api *a);
/* Nobody waits any longer, nobody is told any more. After peers_stop(); NULL is fine. */
void replica_stop(struct replica *r);
void replica_free(struct replica *r); /* stopped; NULL is fine */

/* Tells the others; takes the item. True: done(arg) is called in a later turn of the loop, when those that
 * can be reached have it, or after REPLICA_WAIT_MS. False: there is nobody to wait for. done may be NULL. r
 * may be NULL. */
bool replica_tell(struct replica *r, json_t *item, void (*done)(void *arg), void *arg);
/* Somebody at the address gave a wrong password, or the right one. */
void replica_tell_try(struct replica *r, const char *address, bool is_right);

/* A request of another node: {"items", "digest"}; the answer, as above. */
json_t *replica_serve(struct api *a, const json_t *request);

#endif
