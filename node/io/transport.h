/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_TRANSPORT_H
#define COVEY_IO_TRANSPORT_H

/* What lies between the socket and the MQTT bytes: a stack of filters, each of which works over whatever is
 * below it. NULL is the empty stack: plain TCP, which costs no indirection. TLS is one filter, WebSocket is
 * one, and secure WebSocket is the second over the first.
 *
 *     transport_recv(top) -> ws -> tls -> recv(fd)
 *     transport_send(top) -> ws -> tls -> send(fd)
 *
 * Handshakes happen inside recv: it answers TRANSPORT_AGAIN until the stack is open. A filter that has bytes
 * of its own to send (handshake, pong, close frame) sets wants_write; a send with no bytes pushes them out.
 * A filter holds no buffer unless bytes wait in it. One thread at a time uses a stack. */

#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <sys/types.h>
#include <sys/uio.h>

enum {
    TRANSPORT_AGAIN = -1, /* nothing now; an event will tell */
    TRANSPORT_EOF = -2,   /* the peer has ended its side in good order */
    TRANSPORT_LOST = -3,  /* reset, or cut without a goodbye */
    TRANSPORT_FAULT = -4, /* the peer broke the filter's protocol; the reason is in env->fault */
};

/* Why a transport refused its peer; counted per worker. */
enum transport_fault {
    TRANSPORT_FAULT_NONE,
    TRANSPORT_FAULT_TLS_PLAINTEXT, /* no TLS at all on a TLS port */
    TRANSPORT_FAULT_TLS_HANDSHAKE,
    TRANSPORT_FAULT_TLS_DATA,
    TRANSPORT_FAULT_WS_NOT_HTTP, /* MQTT or TLS on a WebSocket port */
    TRANSPORT_FAULT_WS_REQUEST,  /* no upgrade request, or too long: 400, 405, 431 */
    TRANSPORT_FAULT_WS_PATH,     /* 404 */
    TRANSPORT_FAULT_WS_VERSION,  /* 426 */
    TRANSPORT_FAULT_WS_SUBPROTOCOL,
    TRANSPORT_FAULT_WS_PROTOCOL,  /* 1002 */
    TRANSPORT_FAULT_WS_TEXT,      /* 1003 */
    TRANSPORT_FAULT_WS_TOO_BIG,   /* 1009 */
    TRANSPORT_FAULT_PLAIN_TLS,    /* TLS on a plain MQTT port */
    TRANSPORT_FAULT_PLAIN_HTTP,   /* HTTP on a plain MQTT port */
    TRANSPORT_FAULT_PROXY_HEADER, /* none of the PROXY protocol, or a wrong one */
    TRANSPORT_FAULT_PROXY_CHECKSUM,
    TRANSPORT_FAULTS,
};
const char *transport_fault_name(enum transport_fault f); /* "tls_plaintext", ... */

struct identity;
struct ws_codec;
struct transport;

/* What filters share within one thread; one per worker. */
struct transport_env {
    enum transport_fault fault; /* set with TRANSPORT_FAULT */
    const char *fault_text;     /* for the log; static, or valid until the next call; may be NULL */
    uint8_t *buf;               /* of TRANSPORT_BUF bytes: small pieces are gathered here */
    struct ws_codec *codecs;    /* free frame decoders */
    uint32_t codecs_n;
};
enum { TRANSPORT_BUF = 16384 };
void transport_env_init(struct transport_env *env);
void transport_env_fini(struct transport_env *env);

struct transport_ops {
    const char *name;
    /* Reads up to cap bytes (> 0) or answers one of the codes above. */
    ssize_t (*recv)(struct transport *t, struct transport_env *env, uint8_t *buf, size_t cap);
    /* Takes what it can of iov, in order; how many bytes, or TRANSPORT_AGAIN or TRANSPORT_LOST. With n = 0 it
     * pushes out its own bytes: 0 when none is left. After TRANSPORT_AGAIN the next call begins with the same
     * bytes, and at least as many. */
    ssize_t (*send)(struct transport *t, struct transport_env *env, const struct iovec *iov, int n);
    /* Says goodbye in its protocol: 0 when that is sent (call for the filter below then), or TRANSPORT_AGAIN,
     * TRANSPORT_LOST. May be called again. */
    ssize_t (*shutdown)(struct transport *t, struct transport_env *env);
    void (*free)(struct transport *t, struct transport_env *env);
    /* Who the peer has proven to be, from malloc(); NULL: nobody. NULL as the function: it never knows. */
    struct identity *(*identity)(struct transport *t);
};

struct transport {
    const struct transport_ops *ops;
    struct transport *below; /* NULL: the socket */
    int fd;
    bool is_open;     /* the handshake is over */
    bool has_input;   /* holds bytes that recv would give without the socket becoming readable */
    bool wants_write; /* bytes of its own wait for room below */
};

/* The socket itself: what the bottom of every stack calls. */
ssize_t transport_fd_recv(int fd, uint8_t *buf, size_t cap);
ssize_t transport_fd_send(int fd, const struct iovec *iov, int n);

ssize_t transport_recv(struct transport *t, int fd, struct transport_env *env, uint8_t *buf, size_t cap);
ssize_t transport_send(struct transport *t, int fd, struct transport_env *env, const struct iovec *iov,
                       int n);
/* From the top down: 0, TRANSPORT_AGAIN or TRANSPORT_LOST. The socket is left alone. */
ssize_t transport_shutdown(struct transport *t, struct transport_env *env);
/* The whole stack; NULL is fine. The descriptor stays open. */
void transport_free(struct transport *t, struct transport_env *env);

/* What a filter of the stack knows of the peer once it is open; NULL: nothing. free() it. */
struct identity *transport_identity(struct transport *t);

bool transport_is_open(const struct transport *t);
bool transport_has_input(const struct transport *t);
bool transport_wants_write(const struct transport *t);

#endif
