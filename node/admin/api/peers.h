/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_PEERS_H
#define COVEY_ADMIN_API_PEERS_H

/* Calls between the admin threads of nodes, over the links of the mesh:
 *
 *     asker                           answerer
 *       CALL id, request      ---->   api_serve()
 *       PIECE id, offset      <----   the first piece of the answer
 *       MORE id, offset       ---->
 *       PIECE ...             <----   and so on: a long answer is never in the way of messages for longer
 *                                     than a piece takes
 *
 * Nothing is kept for long: an asker that hears nothing for PEERS_SILENCE_MS gives up, and an answer that
 * nobody takes goes. */

#include "node/admin/api/api.h"

struct peers;

enum {
    PEERS_PIECE_BYTES = 128 * 1024,
    PEERS_ANSWER_BYTES_MAX = 64 << 20,
    PEERS_CALLS_MAX = 64,    /* under way, of each kind */
    PEERS_SILENCE_MS = 4000, /* less than a connection of HTTP may last */
};

/* env->conf.cluster is there. Sets itself as the peers of the api. */
struct peers *peers_new(struct api *a);
/* No call comes in any more, those that went out fail with ERR_CLOSED. NULL is fine. */
void peers_stop(struct peers *p);
void peers_free(struct peers *p); /* stopped, and no call is under way; NULL is fine */

#endif
