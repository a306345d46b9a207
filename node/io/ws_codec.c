/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/ws_codec.h"

#include "proto/base/check.h"

#include <stdlib.h>

static ssize_t on_recv(uint8_t *buf, size_t n, int flags, void *arg)
{
    struct ws_codec *c = arg;

    (void)flags;
    if (c->in_n == 0)
        return -1;
    if (n > c->in_n)
        n = c->in_n;
    memcpy(buf, c->in, n);
    c->in += n;
    c->in_n -= n;
    c->unaccounted += n;
    return (ssize_t)n;
}

/* wslay gives the header first and then the payload, which goes to the socket from where it lies: here it is
 * only said to be sent. */
static ssize_t on_send(const uint8_t *data, size_t n, int flags, void *arg)
{
    struct ws_codec *c = arg;

    (void)flags;
    if (!c->has_header) {
        CHECK(n <= WS_FRAME_HEADER_MAX);
        memcpy(c->header, data, n);
        c->header_n = n;
        c->has_header = true;
    }
    return (ssize_t)n;
}

struct ws_codec *ws_codec_take(struct transport_env *env)
{
    static const struct wslay_frame_callbacks callbacks = {.send_callback = on_send,
                                                           .recv_callback = on_recv};
    struct ws_codec *c = env->codecs;

    if (c) {
        env->codecs = c->next;
        env->codecs_n--;
        return c;
    }
    c = calloc(1, sizeof *c);
    if (c && wslay_frame_context_init(&c->ctx, &callbacks, c) != 0) {
        free(c);
        c = NULL;
    }
    return c;
}

void ws_codec_free(struct ws_codec *c)
{
    if (!c)
        return;
    wslay_frame_context_free(c->ctx);
    free(c);
}

void ws_codec_give(struct transport_env *env, struct ws_codec *c)
{
    if (!c)
        return;
    if (env->codecs_n >= WS_CODECS_KEPT) {
        ws_codec_free(c);
        return;
    }
    c->next = env->codecs;
    env->codecs = c;
    env->codecs_n++;
}

void ws_codecs_free(struct transport_env *env)
{
    while (env->codecs) {
        struct ws_codec *c = env->codecs;
        env->codecs = c->next;
        ws_codec_free(c);
    }
    env->codecs_n = 0;
}

ssize_t ws_codec_recv(struct ws_codec *c, struct wslay_frame_iocb *f)
{
    ssize_t n = wslay_frame_recv(c->ctx, f);

    if (n > 0)
        c->unaccounted -= (uint64_t)n;
    return n;
}

void ws_codec_account(struct ws_codec *c, const struct wslay_frame_iocb *f)
{
    c->unaccounted -= 2u +
                      (f->payload_length < 126     ? 0u
                       : f->payload_length < 65536 ? 2u
                                                   : 8u) +
                      (f->mask ? 4u : 0u);
}

size_t ws_codec_header(struct transport_env *env, uint8_t opcode, uint64_t payload_n,
                       uint8_t header[WS_FRAME_HEADER_MAX])
{
    struct ws_codec *c = ws_codec_take(env);
    struct wslay_frame_iocb f = {
        .fin = 1, .opcode = opcode, .payload_length = payload_n, .data = header, .data_length = payload_n};
    ssize_t n;

    if (!c)
        return 0;
    c->header = header;
    c->has_header = false;
    n = wslay_frame_send(c->ctx, &f);
    CHECK(n == (ssize_t)payload_n && c->has_header);
    ws_codec_give(env, c);
    return c->header_n;
}
