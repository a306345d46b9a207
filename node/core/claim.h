/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_CLAIM_H
#define COVEY_CORE_CLAIM_H

/* One owner per client id in the cluster, the shards' side. A CONNECT for an id without a session on this
 * node waits, unread, until the cluster thread has claimed the id: then whoever held it before has handed its
 * session over (parcel.h) or had none. The cluster thread bounds the wait.
 *
 * Without other nodes nothing waits. A CONNECT for an id whose session is here goes on at once: this node is
 * the holder already, and only tells the arbiter that it is so from now on. */

#include "proto/base/bytes.h"
#include "proto/base/list.h"

struct conn;
struct connect;
struct session;
struct shard;

struct claims {
    struct list waiting; /* struct parked */
    uint64_t next;
    uint64_t newest; /* stamp that was told: what is told later has a newer one, also of a clock that was set
                        back */
};

/* MAIL_CLAIM and MAIL_HELD, MAIL_UNHELD: owned by the cluster thread once mailed; free(). */
struct claim_order {
    uint64_t token;
    uint32_t shard;
    bool clean_start;
    uint16_t client_id_n;
    uint8_t client_id[];
};
struct held {
    uint64_t stamp;
    uint32_t shard;
    uint16_t client_id_n;
    uint8_t client_id[];
};

/* The cluster thread's answer, by MAIL_CALL claim_on_answer(); arg is freed here. The CONNECT goes on with
 * whatever session is here by now. */
struct claim_answer {
    uint64_t token;
    uint64_t stamp;
};
void claim_on_answer(struct shard *sh, void *answer);

/* Does this CONNECT have to wait? */
bool claim_is_needed(const struct shard *sh, struct bytes client_id);
/* Parks the CONNECT (parked.h) and asks. */
void claim_begin(struct conn *c, const struct connect *k, const uint8_t *body, uint32_t n);
void claims_init(struct claims *c);
void claims_fini(struct claims *c);

/* The session is this node's from now on, or no longer. */
void claim_tell_held(struct session *s);
/* It still is, since when it was claimed: the arbiter may think otherwise. */
void claim_tell_again(const struct session *s);
void claim_tell_unheld(const struct session *s);
/* Goes through the sessions of a shard piece by piece, for announcing them to their arbiters: calls fn for
 * the next `max` or so with their stamps. One that is made meanwhile announces itself; when the table grows
 * the walk begins anew, so that none is passed over. w begins as zeros; w->is_over tells when it is done. */
struct claim_walk {
    uint32_t at;
    uint32_t mask;
    bool is_over;
};
void claim_each(struct shard *sh, struct claim_walk *w, uint32_t max,
                void (*fn)(void *ctx, struct bytes client_id, uint64_t stamp), void *ctx);

#endif
