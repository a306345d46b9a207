/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_VERSION_H
#define COVEY_RPC_VERSION_H

/* The protocol between nodes. Two nodes speak the highest version that both know; a node knows its own and
 * the one before, so that a cluster can be upgraded node by node. Within a version, features tell what may be
 * used: an opcode that the other side might not know is only sent when its feature bit is set on both.
 *
 * COVEY_RPC_VERSION and _MIN may be set from outside to build nodes of other versions for tests. */

#ifndef COVEY_RPC_VERSION
#define COVEY_RPC_VERSION 2
#endif
#ifndef COVEY_RPC_VERSION_MIN
#define COVEY_RPC_VERSION_MIN 1
#endif

enum { RPC_VERSION = COVEY_RPC_VERSION, RPC_VERSION_MIN = COVEY_RPC_VERSION_MIN };

/* Version 2 brought these. */
#define RPC_FEATURE_ADOPT            (1ull << 0) /* ADOPT: sessions move when a node is drained */
#define RPC_FEATURE_RETAINED_DIGESTS (1ull << 1) /* RETAINED_DIGESTS and what follows from it */
#define RPC_FEATURE_ADMIN            (1ull << 2) /* ADMIN */
#define RPC_FEATURE_BANS             (1ull << 4) /* BANS */

#define RPC_FEATURES                                                                               \
    (RPC_VERSION >= 2                                                                              \
         ? RPC_FEATURE_ADOPT | RPC_FEATURE_RETAINED_DIGESTS | RPC_FEATURE_ADMIN | RPC_FEATURE_BANS \
         : 0)

#endif
