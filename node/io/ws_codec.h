/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_WS_CODEC_H
#define COVEY_IO_WS_CODEC_H

/* wslay's frame layer with memory as its network, and a pool of its contexts. */

#include "node/io/transport.h"

#include <wslay/wslay.h>

enum { WS_CODECS_KEPT = 64, WS_FRAME_HEADER_MAX = 10 /* unmasked */ };

struct ws_codec {
    struct ws_codec *next;
    wslay_frame_context_ptr ctx;
    const uint8_t *in; /* what wslay may take next */
    size_t in_n;
    uint64_t unaccounted; /* bytes it has taken that belong to no frame yet: a header that is not whole */
    uint8_t *header;      /* where the header of a frame to be sent goes */
    size_t header_n;
    bool has_header;
};

/* NULL: no memory. */
struct ws_codec *ws_codec_take(struct transport_env *env);
/* Only between frames; NULL is fine. */
void ws_codec_give(struct transport_env *env, struct ws_codec *c);
void ws_codec_free(struct ws_codec *c);
void ws_codecs_free(struct transport_env *env);

/* wslay_frame_recv() from c->in: payload bytes in f, or one of wslay's errors. */
ssize_t ws_codec_recv(struct ws_codec *c, struct wslay_frame_iocb *f);
/* Tells that a frame has begun whose header has been taken. */
void ws_codec_account(struct ws_codec *c, const struct wslay_frame_iocb *f);

/* Writes the header of an unmasked final frame; how many bytes, 0: no memory. */
size_t ws_codec_header(struct transport_env *env, uint8_t opcode, uint64_t payload_n,
                       uint8_t header[WS_FRAME_HEADER_MAX]);

#endif
