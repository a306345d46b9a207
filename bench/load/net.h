/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of the load generator: one epoll set, one thread, one shared receive buffer.
 *
 * A turn waits, reads every ready connection once, and hands the bytes to `on_bytes`. What is sent during a
 * turn is appended to the connection's out buffer; net_flush() then makes one send() per connection with
 * something to say. EPOLLOUT is armed only after EAGAIN. So the generator costs the broker as few wake-ups as
 * possible and stays far faster than any broker.
 */
#ifndef BENCH_LOAD_NET_H
#define BENCH_LOAD_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_SCRATCH_BYTES (1u << 20)

struct conn;

struct net {
    int epoll_fd;
    struct sockaddr_in addr;
    uint32_t source_count; /* source addresses 127.0.0.2.. to take in turn; 0 leaves it to the kernel */
    uint32_t source_next;
    struct conn *dirty;
    uint8_t *scratch;
    uint64_t recv_calls, send_calls, wait_calls;
};

struct conn_ops {
    /* Returns how many of the bytes were used; the rest is kept and comes again with more. */
    size_t (*on_bytes)(struct conn *c, const uint8_t *data, size_t len);
    /* The peer closed or the socket failed (error 0 = end of file). The descriptor is closed already. */
    void (*on_close)(struct conn *c, int error);
};

struct conn {
    struct net *net;
    const struct conn_ops *ops;
    int fd; /* -1 when closed */
    bool is_dirty, is_blocked;
    uint32_t out_len, out_off, out_cap;
    uint32_t tail_len, tail_cap;
    uint8_t *out;
    uint8_t *tail; /* the unfinished packet at the end of the last read */
    struct conn *dirty_next;
};

/* Dies on failure. `host` is a dotted IPv4 address. */
void net_init(struct net *n, const char *host, uint16_t port, uint32_t source_count);
void net_fini(struct net *n);

/* Waits at most timeout_ns (0 = polls), reads what is ready. Returns the number of ready connections. */
int net_wait(struct net *n, uint64_t timeout_ns);
void net_flush(struct net *n);

/* Starts connecting; dies when no socket can be had. Bytes may be appended at once. */
void conn_open(struct conn *c, struct net *n, const struct conn_ops *ops);

/* Sends what is buffered as far as the socket takes it, closes, frees the buffers; on_close is not called. */
void conn_close(struct conn *c);

/* Room for `len` more bytes at the end of the out buffer, valid until the next call. */
uint8_t *conn_reserve(struct conn *c, size_t len);

/* `len` bytes of the reserved room are filled; marks the connection dirty. */
static inline void conn_commit(struct conn *c, size_t len)
{
    c->out_len += (uint32_t)len;
    if (!c->is_dirty) {
        c->is_dirty = true;
        c->dirty_next = c->net->dirty;
        c->net->dirty = c;
    }
}

#endif
