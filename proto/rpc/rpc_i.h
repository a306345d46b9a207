/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_RPC_I_H
#define COVEY_RPC_RPC_I_H

/* Between the generated code and the plain structs, for the files of this folder. */

#include "proto/rpc/cluster.pb-c.h"
#include "proto/rpc/messages.h"

static inline ProtobufCBinaryData rpc_data(struct bytes b)
{
    return (ProtobufCBinaryData){.len = b.n, .data = (uint8_t *)(uintptr_t)b.p};
}
static inline struct bytes rpc_view(ProtobufCBinaryData d)
{
    return bytes_of(d.data, d.len);
}
/* Client ids travel within two-byte lengths. */
static inline bool rpc_is_client_id(ProtobufCBinaryData d)
{
    return d.len > 0 && d.len <= UINT16_MAX;
}
/* NULL: malformed, or it would take too much memory. */
void *rpc_unpack(const ProtobufCMessageDescriptor *type, struct bytes body, struct rpc_arena *a);
/* Room of n bytes in the arena, never NULL unless it is full. */
void *rpc_arena_take(struct rpc_arena *a, size_t n);
void rpc_pack(struct rpc_buf *b, const ProtobufCMessage *m);

#endif
