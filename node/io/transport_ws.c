/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/transport_ws.h"

#include "node/io/ws_codec.h"
#include "node/io/ws_upgrade.h"
#include "proto/base/check.h"

#include <stdlib.h>

enum {
    CONTROL_MAX = 125,    /* RFC 6455 5.5 */
    OWN_BYTES_MAX = 1024, /* pongs beyond this wait for nobody: a ping flood is not answered in full */
};

struct ws {
    struct transport t;
    const struct io_ws_conf *conf;
    uint8_t *head; /* of the request, while it is not whole */
    uint8_t *own;  /* response, pongs, close frame: what waits to be sent at the next frame's boundary */
    struct ws_codec *codec;
    uint8_t *control;  /* payload of a control frame that is not whole */
    uint64_t in_left;  /* of the payload of the frame that is coming in */
    uint64_t out_left; /* of the payload of the frame that is going out */
    uint16_t head_n;
    uint16_t own_n;
    uint16_t own_off;
    uint8_t control_n;
    uint8_t out_header[WS_FRAME_HEADER_MAX];
    uint8_t out_header_n;
    uint8_t out_header_off;
    uint8_t in_opcode;
    bool in_frame;   /* the header has been seen, payload is missing */
    bool in_message; /* a fragment has come whose message goes on */
    bool in_fin;
    bool close_sent; /* or queued */
    uint8_t fault;   /* enum transport_fault, to be told when what came before is read */
    bool is_ended;   /* the peer has sent its close frame */
};

static struct ws *ws_of(struct transport *t)
{
    return container_of(t, struct ws, t);
}

/* ---- what the filter itself has to say ------------------------------------------------------------- */

static bool is_between_frames(const struct ws *ws)
{
    return ws->out_left == 0 && ws->out_header_off == ws->out_header_n;
}

static void own_update(struct ws *ws)
{
    ws->t.wants_write = ws->own_n > 0 && is_between_frames(ws);
}

/* Appends: what is there may have been offered to the filter below already, and must not change. */
static void own_push(struct ws *ws, const uint8_t *p, size_t n)
{
    uint8_t *own = realloc(ws->own, ws->own_n + n);

    if (!own)
        return;
    memcpy(own + ws->own_n, p, n);
    ws->own = own;
    ws->own_n = (uint16_t)(ws->own_n + n);
    own_update(ws);
}

static void own_push_frame(struct ws *ws, struct transport_env *env, uint8_t opcode, const uint8_t *p,
                           size_t n)
{
    uint8_t frame[WS_FRAME_HEADER_MAX + CONTROL_MAX];
    size_t header_n = ws_codec_header(env, opcode, n, frame);

    if (!header_n)
        return;
    if (n)
        memcpy(frame + header_n, p, n);
    own_push(ws, frame, header_n + n);
}

static void own_push_close(struct ws *ws, struct transport_env *env, uint16_t code)
{
    uint8_t payload[2];

    if (ws->close_sent)
        return;
    be16_put(payload, code);
    own_push_frame(ws, env, WSLAY_CONNECTION_CLOSE, payload, code ? 2 : 0);
    ws->close_sent = true;
}

/* 0: all is sent; or a code of transport.h. */
static ssize_t own_flush(struct ws *ws, struct transport_env *env)
{
    while (ws->own_n && is_between_frames(ws)) {
        struct iovec iov = {ws->own + ws->own_off, (size_t)ws->own_n - ws->own_off};
        ssize_t r = transport_send(ws->t.below, ws->t.fd, env, &iov, 1);
        if (r < 0)
            return r;
        ws->own_off = (uint16_t)(ws->own_off + r);
        if (ws->own_off < ws->own_n)
            return TRANSPORT_AGAIN;
        free(ws->own);
        ws->own = NULL;
        ws->own_n = ws->own_off = 0;
    }
    own_update(ws);
    return 0;
}

/* ---- frames in ------------------------------------------------------------------------------------- */

static uint16_t close_code(enum transport_fault f)
{
    switch (f) {
    case TRANSPORT_FAULT_WS_TEXT:
        return WSLAY_CODE_UNSUPPORTED_DATA;
    case TRANSPORT_FAULT_WS_TOO_BIG:
        return WSLAY_CODE_MESSAGE_TOO_BIG;
    default:
        return WSLAY_CODE_PROTOCOL_ERROR;
    }
}

static void fail(struct ws *ws, struct transport_env *env, enum transport_fault f)
{
    ws->fault = (uint8_t)f;
    own_push_close(ws, env, close_code(f));
}

/* The header of a frame from a client, RFC 6455 5.1 to 5.5. */
static enum transport_fault header_check(const struct ws *ws, const struct wslay_frame_iocb *f)
{
    if (!f->mask || f->rsv)
        return TRANSPORT_FAULT_WS_PROTOCOL;
    switch (f->opcode) {
    case WSLAY_CONTINUATION_FRAME:
        if (!ws->in_message)
            return TRANSPORT_FAULT_WS_PROTOCOL;
        break;
    case WSLAY_BINARY_FRAME:
        if (ws->in_message)
            return TRANSPORT_FAULT_WS_PROTOCOL;
        break;
    case WSLAY_TEXT_FRAME: /* [MQTT-6.0.0-1] */
        return ws->in_message ? TRANSPORT_FAULT_WS_PROTOCOL : TRANSPORT_FAULT_WS_TEXT;
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return TRANSPORT_FAULT_NONE;
    default:
        return TRANSPORT_FAULT_WS_PROTOCOL;
    }
    return f->payload_length > ws->conf->frame_bytes_max ? TRANSPORT_FAULT_WS_TOO_BIG : TRANSPORT_FAULT_NONE;
}

static bool is_close_code(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void on_close(struct ws *ws, struct transport_env *env)
{
    uint16_t code = ws->control_n >= 2 ? be16_get(ws->control) : 0;

    if (ws->control_n == 1 || (ws->control_n >= 2 && !is_close_code(code))) {
        fail(ws, env, TRANSPORT_FAULT_WS_PROTOCOL);
        return;
    }
    own_push_close(ws, env, code);
    ws->is_ended = true;
}

static void on_control(struct ws *ws, struct transport_env *env)
{
    if (ws->in_opcode == WSLAY_CONNECTION_CLOSE)
        on_close(ws, env);
    else if (ws->in_opcode == WSLAY_PING && !ws->close_sent && ws->own_n < OWN_BYTES_MAX)
        own_push_frame(ws, env, WSLAY_PONG, ws->control, ws->control_n);
    free(ws->control);
    ws->control = NULL;
    ws->control_n = 0;
}

static bool control_push(struct ws *ws, const uint8_t *p, size_t n)
{
    if (!ws->control && !(ws->control = malloc(CONTROL_MAX)))
        return false;
    CHECK(ws->control_n + n <= CONTROL_MAX);
    memcpy(ws->control + ws->control_n, p, n);
    ws->control_n = (uint8_t)(ws->control_n + n);
    return true;
}

static bool frame_begin(struct ws *ws, struct transport_env *env, const struct wslay_frame_iocb *f)
{
    enum transport_fault fault = header_check(ws, f);

    if (fault != TRANSPORT_FAULT_NONE) {
        fail(ws, env, fault);
        return false;
    }
    ws_codec_account(ws->codec, f);
    ws->in_frame = true;
    ws->in_left = f->payload_length;
    ws->in_opcode = f->opcode;
    ws->in_fin = f->fin;
    return true;
}

static void frame_end(struct ws *ws, struct transport_env *env)
{
    ws->in_frame = false;
    if (wslay_is_ctrl_frame(ws->in_opcode))
        on_control(ws, env);
    else
        ws->in_message = !ws->in_fin;
}

/* Takes the frames out of the n bytes at buf and leaves their payload there; how much that is. The payload is
 * shorter than what it came in, and wslay has copied what it looks at, so the places do not meet. */
static size_t frames_decode(struct ws *ws, struct transport_env *env, uint8_t *buf, size_t n)
{
    size_t out = 0;

    if (!ws->codec && !(ws->codec = ws_codec_take(env))) {
        fail(ws, env, TRANSPORT_FAULT_WS_PROTOCOL);
        return 0;
    }
    ws->codec->in = buf;
    ws->codec->in_n = n;
    while (!ws->fault && !ws->is_ended) {
        struct wslay_frame_iocb f = {0};
        ssize_t r = ws_codec_recv(ws->codec, &f);
        if (r == WSLAY_ERR_WANT_READ)
            break;
        if (r < 0) {
            fail(ws, env, TRANSPORT_FAULT_WS_PROTOCOL);
            break;
        }
        if (!ws->in_frame && !frame_begin(ws, env, &f))
            break;
        if (wslay_is_ctrl_frame(f.opcode)) {
            if (!control_push(ws, f.data, (size_t)r))
                fail(ws, env, TRANSPORT_FAULT_WS_PROTOCOL);
        } else if (r > 0) {
            memcpy(buf + out, f.data, (size_t)r);
            out += (size_t)r;
        }
        ws->in_left -= (uint64_t)r;
        if (ws->in_left == 0)
            frame_end(ws, env);
    }
    if (ws->fault || ws->is_ended) {
        ws_codec_free(ws->codec);
        ws->codec = NULL;
    } else if (!ws->in_frame && ws->codec->unaccounted == 0) {
        ws_codec_give(env, ws->codec);
        ws->codec = NULL;
    }
    return out;
}

/* ---- the upgrade ----------------------------------------------------------------------------------- */

static bool head_push(struct ws *ws, const uint8_t *p, size_t n)
{
    uint8_t *head = realloc(ws->head, ws->head_n + n);

    if (!head)
        return false;
    memcpy(head + ws->head_n, p, n);
    ws->head = head;
    ws->head_n = (uint16_t)(ws->head_n + n);
    return true;
}

static void upgrade_fail(struct ws *ws, enum transport_fault f, const uint8_t *response, size_t n)
{
    ws->fault = (uint8_t)f;
    if (n)
        own_push(ws, response, n);
}

/* n more bytes of the request; how many of them were the head's: n when it is not whole yet. */
static size_t upgrade_feed(struct ws *ws, const uint8_t *p, size_t n)
{
    uint8_t response[WS_RESPONSE_MAX];
    size_t had = ws->head_n, response_n = 0, end;
    size_t take = n < WS_HEAD_MAX - had ? n : WS_HEAD_MAX - had;
    enum transport_fault fault;

    if (had == 0 && !(p[0] >= 'A' && p[0] <= 'Z')) {
        upgrade_fail(ws, TRANSPORT_FAULT_WS_NOT_HTTP, NULL, 0);
        return n;
    }
    if (!head_push(ws, p, take)) {
        upgrade_fail(ws, TRANSPORT_FAULT_WS_REQUEST, NULL, 0);
        return n;
    }
    end = ws_upgrade_end(ws->head, ws->head_n);
    if (end == 0) {
        if (ws->head_n == WS_HEAD_MAX)
            upgrade_fail(ws, TRANSPORT_FAULT_WS_REQUEST, response, ws_upgrade_too_long(response));
        return n;
    }
    fault = ws_upgrade(ws->conf, ws->head, end, response, &response_n);
    free(ws->head);
    ws->head = NULL;
    ws->head_n = 0;
    if (fault != TRANSPORT_FAULT_NONE) {
        upgrade_fail(ws, fault, response, response_n);
        return n;
    }
    own_push(ws, response, response_n);
    ws->t.is_open = true;
    return end - had;
}

/* ---- the filter ------------------------------------------------------------------------------------ */

/* What is to be told when there are no more bytes to be read. */
static ssize_t ending(struct ws *ws, struct transport_env *env)
{
    if (ws->fault) {
        env->fault = (enum transport_fault)ws->fault;
        env->fault_text = NULL;
        return TRANSPORT_FAULT;
    }
    return ws->is_ended ? TRANSPORT_EOF : TRANSPORT_AGAIN;
}

static ssize_t ws_recv(struct transport *t, struct transport_env *env, uint8_t *buf, size_t cap)
{
    struct ws *ws = ws_of(t);
    size_t at = 0, out = 0;
    ssize_t n;

    t->has_input = false;
    if (ws->fault || ws->is_ended)
        return ending(ws, env);
    n = transport_recv(t->below, t->fd, env, buf, cap);
    if (n <= 0)
        return n == TRANSPORT_EOF ? TRANSPORT_LOST : n;
    if (!t->is_open) {
        at = upgrade_feed(ws, buf, (size_t)n);
        if (at < (size_t)n)
            memmove(buf, buf + at, (size_t)n - at);
    }
    if ((size_t)n > at)
        out = frames_decode(ws, env, buf, (size_t)n - at);
    if (out == 0)
        return ending(ws, env);
    t->has_input = ws->fault || ws->is_ended;
    return (ssize_t)out;
}

/* Begins a frame for all that is offered. */
static bool frame_out_begin(struct ws *ws, struct transport_env *env, const struct iovec *iov, int n)
{
    uint64_t all = 0;

    for (int i = 0; i < n; i++)
        all += iov[i].iov_len;
    ws->out_header_off = 0;
    ws->out_header_n = (uint8_t)ws_codec_header(env, WSLAY_BINARY_FRAME, all, ws->out_header);
    ws->out_left = ws->out_header_n ? all : 0;
    return ws->out_header_n > 0;
}

enum { IOV_BELOW_MAX = 64 };

/* The rest of the header, and of iov what belongs to this frame. */
static int frame_out_iov(struct ws *ws, const struct iovec *iov, int n, struct iovec *below)
{
    uint64_t left = ws->out_left;
    int k = 0;

    if (ws->out_header_off < ws->out_header_n)
        below[k++] = (struct iovec){ws->out_header + ws->out_header_off,
                                    (size_t)ws->out_header_n - ws->out_header_off};
    for (int i = 0; i < n && k < IOV_BELOW_MAX && left > 0; i++) {
        size_t len = iov[i].iov_len < left ? iov[i].iov_len : (size_t)left;
        below[k++] = (struct iovec){iov[i].iov_base, len};
        left -= len;
    }
    return k;
}

static ssize_t ws_send(struct transport *t, struct transport_env *env, const struct iovec *iov, int n)
{
    struct ws *ws = ws_of(t);
    struct iovec below[IOV_BELOW_MAX];
    size_t header_left;
    ssize_t r = own_flush(ws, env);

    if (r < 0)
        return r;
    if (n == 0)
        return transport_send(t->below, t->fd, env, NULL, 0);
    if (is_between_frames(ws) && (ws->close_sent || !frame_out_begin(ws, env, iov, n)))
        return TRANSPORT_LOST;
    n = frame_out_iov(ws, iov, n, below);
    r = transport_send(t->below, t->fd, env, below, n);
    if (r < 0)
        return r;
    header_left = (size_t)ws->out_header_n - ws->out_header_off;
    if ((size_t)r < header_left) {
        ws->out_header_off = (uint8_t)(ws->out_header_off + r);
        return TRANSPORT_AGAIN;
    }
    ws->out_header_off = ws->out_header_n;
    r -= (ssize_t)header_left;
    ws->out_left -= (uint64_t)r;
    own_update(ws);
    return r > 0 ? r : TRANSPORT_AGAIN;
}

static ssize_t ws_shutdown(struct transport *t, struct transport_env *env)
{
    struct ws *ws = ws_of(t);

    /* In the middle of a frame there is no place for another. */
    if (!is_between_frames(ws))
        return 0;
    if (t->is_open)
        own_push_close(ws, env, WSLAY_CODE_NORMAL_CLOSURE);
    return own_flush(ws, env);
}

static void ws_free(struct transport *t, struct transport_env *env)
{
    struct ws *ws = ws_of(t);

    (void)env;
    ws_codec_free(ws->codec);
    free(ws->control);
    free(ws->head);
    free(ws->own);
    free(ws);
}

struct transport *transport_ws_new(const struct io_ws_conf *conf, int fd, struct transport *below)
{
    static const struct transport_ops ops = {"ws", ws_recv, ws_send, ws_shutdown, ws_free, NULL};
    struct ws *ws = calloc(1, sizeof *ws);

    if (!ws)
        return NULL;
    ws->t = (struct transport){.ops = &ops, .below = below, .fd = fd};
    ws->conf = conf;
    return &ws->t;
}
