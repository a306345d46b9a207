/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_IO_PIPE_H
#define COVEY_TESTS_IO_PIPE_H

/* A filter that is no network: what it gives was put into it, what it is sent is kept, and how much it gives
 * and takes at once is the test's choice. */

#include "node/io/transport.h"

#include <stdlib.h>

struct pipe_end {
    struct transport t;
    const uint8_t *in;
    size_t in_n;
    size_t in_step; /* gives at most this much at once */
    bool in_ended;  /* then the end follows, else AGAIN */
    uint8_t *out;
    size_t out_n;
    size_t out_cap;
    size_t room; /* takes this much more and then AGAIN */
};

static inline struct pipe_end *pipe_of(struct transport *t)
{
    return (struct pipe_end *)(void *)t;
}

static inline ssize_t pipe_recv(struct transport *t, struct transport_env *env, uint8_t *buf, size_t cap)
{
    struct pipe_end *p = pipe_of(t);
    size_t n = p->in_n < cap ? p->in_n : cap;

    (void)env;
    if (n > p->in_step)
        n = p->in_step;
    if (n == 0)
        return p->in_ended ? TRANSPORT_EOF : TRANSPORT_AGAIN;
    memcpy(buf, p->in, n);
    p->in += n;
    p->in_n -= n;
    return (ssize_t)n;
}

static inline ssize_t pipe_send(struct transport *t, struct transport_env *env, const struct iovec *iov,
                                int n)
{
    struct pipe_end *p = pipe_of(t);
    ssize_t all = 0;

    (void)env;
    for (int i = 0; i < n; i++) {
        size_t k = iov[i].iov_len < p->room ? iov[i].iov_len : p->room;
        if (p->out_n + k > p->out_cap) {
            p->out_cap = (p->out_n + k) * 2;
            p->out = realloc(p->out, p->out_cap);
            if (!p->out)
                abort();
        }
        memcpy(p->out + p->out_n, iov[i].iov_base, k);
        p->out_n += k;
        p->room -= k;
        all += (ssize_t)k;
        if (k < iov[i].iov_len)
            break;
    }
    return n && all == 0 ? TRANSPORT_AGAIN : all;
}

static inline ssize_t pipe_shutdown(struct transport *t, struct transport_env *env)
{
    (void)t;
    (void)env;
    return 0;
}

static inline void pipe_free(struct transport *t, struct transport_env *env)
{
    (void)env;
    free(pipe_of(t)->out);
}

static inline void pipe_init(struct pipe_end *p)
{
    static const struct transport_ops ops = {"pipe", pipe_recv, pipe_send, pipe_shutdown, pipe_free, NULL};
    *p = (struct pipe_end){
        .t = {.ops = &ops, .fd = -1, .is_open = true}, .in_step = SIZE_MAX, .room = SIZE_MAX};
}

/* The next bytes to be given. */
static inline void pipe_give(struct pipe_end *p, const void *bytes, size_t n)
{
    p->in = bytes;
    p->in_n = n;
}

#endif
