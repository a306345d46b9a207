/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_FRAME_H
#define COVEY_RPC_FRAME_H

/* Frames of the stream between two nodes: be32 length of what follows, one byte opcode, body. The body is a
 * message of cluster.proto, named at its opcode, unless it says otherwise.
 *
 * Control frames belong to one connection. All others are sequenced: they are numbered from 1 in each
 * direction, acknowledged, and sent again on the next connection when they were not (cluster/core/link.h). */

#include "proto/base/bytes.h"

enum { RPC_FRAME_HEADER_N = 5 };

#define RPC_OPS(X)                                                                            \
    /* control */                                                                             \
    X(HELLO, 1)  /* Hello: who is there; the first frame of both */                           \
    X(RESUME, 2) /* Resume: what of yours I have; the second frame of both */                 \
    X(ACK, 3)    /* 8 bytes: the highest number received; cumulative */                       \
    X(PING, 4)   /* empty: nothing else was sent for a while */                               \
    X(BYE, 5)    /* Bye: why the connection ends */                                           \
    /* sequenced */                                                                           \
    X(PUSH_PULL, 16)        /* members as the sender sees them (cluster/core/member.h) */     \
    X(PUSH_PULL_REPLY, 17)  /* the same, not to be answered */                                \
    X(ROUTE_DELTAS, 32)     /* RouteDeltas */                                                 \
    X(ROUTE_SNAPSHOT, 33)   /* RouteSnapshot: one page */                                     \
    X(ROUTE_ACK, 34)        /* RouteAck */                                                    \
    X(ROUTE_DIGEST, 35)     /* RouteDigest */                                                 \
    X(ROUTE_WANT, 36)       /* RouteWant: send a snapshot, or deltas from here */             \
    X(PUBLISHES, 48)        /* Publishes, coded by hand: publish_entry.h */                   \
    X(RESULTS, 49)          /* Results */                                                     \
    X(SETTLED, 50)          /* Settled */                                                     \
    X(CLAIM, 64)            /* Claim: to the arbiter */                                       \
    X(GRANT, 65)            /* Grant: its answer */                                           \
    X(RELEASE, 66)          /* Release: the arbiter to the holder */                          \
    X(HOLD, 67)             /* Hold: ids that the sender holds, to their arbiter */           \
    X(UNHOLD, 68)           /* Unhold: ids that it holds no longer */                         \
    X(PARCEL, 72)           /* Parcel: a piece of a session on its way to its new node */     \
    X(PARCEL_STORED, 73)    /* ParcelRef: it is stored here */                                \
    X(PARCEL_FINISH, 74)    /* ParcelRef: routes are known everywhere, end the relay */       \
    X(PARCEL_GONE, 75)      /* ParcelRef: the old one is deleted */                           \
    X(ADOPT, 76)            /* Adopt: please take this session (drain) */                     \
    X(MARK, 80)             /* Mark: answer behind all that was sent before */                \
    X(MARK_REPLY, 81)       /* Mark */                                                        \
    X(RETAINED, 96)         /* Retained */                                                    \
    X(RETAINED_DIGESTS, 97) /* RetainedDigests */                                             \
    X(RETAINED_BUCKET, 98)  /* RetainedBucket */                                              \
    X(RETAINED_WANT, 99)    /* RetainedWant */                                                \
    X(ADMIN, 112)           /* Admin: what administrators ask another node, and its answer */ \
    X(BANS, 120)            /* Bans: changed, or all when a conversation begins */

enum rpc_op {
#define X(name, number) RPC_##name = number,
    RPC_OPS(X)
#undef X
};

static inline bool rpc_op_is_control(unsigned op)
{
    return op < 16;
}
/* "HELLO"; NULL: there is no such opcode. */
const char *rpc_op_name(unsigned op);

static inline uint8_t *rpc_frame_head_put(uint8_t *p, enum rpc_op op, uint32_t body_n)
{
    p = be32_put(p, body_n + 1);
    *p++ = (uint8_t)op;
    return p;
}

#endif
