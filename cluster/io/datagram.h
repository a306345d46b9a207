/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_DATAGRAM_H
#define COVEY_CLUSTER_IO_DATAGRAM_H

/* Sealed datagrams, and what tells that one was seen before:
 *
 *     version 1 | key id 8 | nonce 24, random | XChaCha20-Poly1305( sender 16 | epoch 8 | counter 8 | body )
 *
 * Version and key id are authenticated. Per sender the highest epoch counts, and within it the last 64
 * numbers behind the highest one. The table of senders is bounded; who is not in it begins anew. A node that
 * has just started remembers nothing, so what was recorded before can be played to it once; the epochs and
 * incarnation numbers of SWIM make that harmless. Nothing here does I/O. */

#include "cluster/io/secret.h"
#include "proto/rpc/node_id.h"

enum {
    DATAGRAM_HEAD_N = 1 + SECRET_ID_N + 24,
    DATAGRAM_INNER_N = NODE_ID_N + 8 + 8,
    DATAGRAM_OVERHEAD_N = DATAGRAM_HEAD_N + DATAGRAM_INNER_N + 16,
    DATAGRAM_MAX = 1400, /* payload of UDP */
    DATAGRAM_NONCE_N = 24,
};

/* ---- replay ---------------------------------------------------------------------------------------- */

enum { REPLAY_SENDERS_MAX = 512, REPLAY_WINDOW = 64 };
struct replay_sender {
    struct node_id id;
    uint64_t epoch;
    uint64_t top;  /* highest number seen */
    uint64_t seen; /* bit i: top - i was seen */
    uint64_t used; /* when: for finding the one unused longest */
};
struct replay {
    uint32_t n;
    uint64_t clock;
    struct replay_sender senders[REPLAY_SENDERS_MAX];
};
/* Notes a number that is authentic. False: it was there before or is too old. */
bool replay_note(struct replay *r, const struct node_id *sender, uint64_t epoch, uint64_t counter);

/* ---- sealing --------------------------------------------------------------------------------------- */

struct datagram_head {
    struct node_id sender;
    uint64_t epoch;
    uint64_t counter; /* from 1, never twice in an epoch */
};
/* Answers the length; body.n is at most DATAGRAM_MAX - DATAGRAM_OVERHEAD_N. */
uint32_t datagram_seal(uint8_t out[DATAGRAM_MAX], const struct secret *s,
                       const uint8_t nonce[DATAGRAM_NONCE_N], const struct datagram_head *head,
                       struct bytes body);
enum datagram_result { DATAGRAM_OK, DATAGRAM_MALFORMED, DATAGRAM_KEY, DATAGRAM_FORGED };
/* In place: *body is a part of b. */
MUST_USE enum datagram_result datagram_open(const struct secret *s, uint8_t *b, uint32_t n,
                                            struct datagram_head *head, struct bytes *body);

#endif
