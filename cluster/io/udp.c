/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/cluster_private.h"
#include "cluster/io/sockaddr.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 32, ROUNDS_MAX = 8, ROOM = 2048 /* one byte too many is noticed */ };

struct udp_batch {
    struct mmsghdr head[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_storage addr[BATCH];
    uint8_t b[BATCH][ROOM];
};
_Static_assert(DATAGRAM_OVERHEAD_N + MEMBER_DATAGRAM_MAX <= DATAGRAM_MAX, "a datagram fits");
_Static_assert((int)DATAGRAM_MAX < (int)ROOM, "a datagram that is too long is seen to be");

/* ---- receiving ------------------------------------------------------------------------------------- */

static enum cluster_fault open_fault(enum datagram_result r)
{
    switch (r) {
    case DATAGRAM_OK:
    case DATAGRAM_MALFORMED:
        break;
    case DATAGRAM_KEY:
        return CLUSTER_FAULT_DATAGRAM_KEY;
    case DATAGRAM_FORGED:
        return CLUSTER_FAULT_DATAGRAM_FORGED;
    }
    return CLUSTER_FAULT_DATAGRAM_MALFORMED;
}

static void on_datagram(struct cluster_io *c, const struct net_addr *from, uint8_t *b, uint32_t n)
{
    struct datagram_head head;
    struct bytes body;
    enum datagram_result r = datagram_open(&c->secret, b, n, &head, &body);

    if (r != DATAGRAM_OK) {
        cluster_count_fault(c, open_fault(r), from, NULL);
    } else if (node_id_eq(&head.sender, &c->conf.mesh.id)) {
        counter_add(&c->counters.datagrams_own, 1);
    } else if (!replay_note(&c->replay, &head.sender, head.epoch, head.counter)) {
        cluster_count_fault(c, CLUSTER_FAULT_DATAGRAM_REPLAYED, from, NULL);
    } else {
        counter_add(&c->counters.datagrams_received, 1);
        mesh_on_datagram(c->mesh, from, body);
    }
}

static int receive(struct cluster_io *c)
{
    struct udp_batch *u = c->udp;
    int n;

    for (int i = 0; i < BATCH; i++) {
        u->iov[i] = (struct iovec){u->b[i], ROOM};
        u->head[i].msg_hdr = (struct msghdr){.msg_name = &u->addr[i],
                                             .msg_namelen = sizeof u->addr[i],
                                             .msg_iov = &u->iov[i],
                                             .msg_iovlen = 1};
    }
    n = recvmmsg(c->udp_fd, u->head, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        struct net_addr from;
        if (sockaddr_read(&from, &u->addr[i]))
            on_datagram(c, &from, u->b[i], u->head[i].msg_len);
    }
    return n;
}

static void on_udp_event(evutil_socket_t fd, short what, void *arg)
{
    struct cluster_io *c = arg;

    (void)fd;
    (void)what;
    cluster_enter(c);
    for (int i = 0; i < ROUNDS_MAX && receive(c) == BATCH; i++)
        ;
}

/* ---- sending --------------------------------------------------------------------------------------- */

/* Takes up to BATCH datagrams from the mesh, sealed, into the batch. */
static unsigned gather(struct cluster_io *c)
{
    struct udp_batch *u = c->udp;
    struct member_datagram d;
    uint8_t nonce[DATAGRAM_NONCE_N];
    unsigned n = 0;

    while (n < BATCH && mesh_datagram_take(c->mesh, &d)) {
        struct datagram_head head = {c->conf.mesh.id, c->conf.mesh.epoch, ++c->datagram_counter};
        randombytes_buf(nonce, sizeof nonce);
        u->iov[n] =
            (struct iovec){u->b[n], datagram_seal(u->b[n], &c->secret, nonce, &head, bytes_of(d.b, d.n))};
        u->head[n].msg_hdr = (struct msghdr){.msg_name = &u->addr[n],
                                             .msg_namelen = sockaddr_of(&u->addr[n], &d.to, c->family),
                                             .msg_iov = &u->iov[n],
                                             .msg_iovlen = 1};
        n++;
    }
    return n;
}

/* What the kernel does not take is lost, as datagrams may be; the others are still tried. */
static void send_batch(struct cluster_io *c, unsigned n)
{
    for (unsigned at = 0; at < n;) {
        int k = sendmmsg(c->udp_fd, c->udp->head + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (k > 0) {
            counter_add(&c->counters.datagrams_sent, (uint64_t)k);
            at += (unsigned)k;
        } else if (errno != EINTR) {
            counter_add(&c->counters.datagrams_unsent, 1);
            at++;
        }
    }
}

void udp_flush(struct cluster_io *c)
{
    unsigned n;

    while ((n = gather(c)))
        send_batch(c, n);
}

/* ---- life ------------------------------------------------------------------------------------------ */

void udp_open(struct cluster_io *c)
{
    c->udp = mem_zalloc(sizeof *c->udp);
    event_assign(&c->udp_event, c->base, c->udp_fd, EV_READ | EV_PERSIST, on_udp_event, c);
    event_add(&c->udp_event, NULL);
}

void udp_close(struct cluster_io *c)
{
    if (c->udp)
        event_del(&c->udp_event);
    free(c->udp);
    c->udp = NULL;
}
