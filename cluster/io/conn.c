/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/conn.h"

#include "cluster/io/sockaddr.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- life ------------------------------------------------------------------------------------------ */

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static struct cconn *cconn_new(struct cluster_io *c, int fd, enum wire_side side, const struct net_addr *addr)
{
    struct cconn *cc = mem_zalloc(sizeof *cc);

    cc->c = c;
    cc->fd = fd;
    cc->side = side;
    cc->addr = *addr;
    list_init(&cc->link);
    event_assign(&cc->read_event, c->base, fd, EV_READ | EV_PERSIST, on_readable, cc);
    event_assign(&cc->write_event, c->base, fd, EV_WRITE | EV_PERSIST, on_writable, cc);
    return cc;
}

static void move(struct cconn *cc, enum cconn_state state, struct list *to, uint32_t ms)
{
    cc->state = state;
    cc->deadline_ms = cc->c->now_ms + ms;
    list_del(&cc->link);
    list_push(to, &cc->link);
}

static void watch_write(struct cconn *cc)
{
    if (!cc->write_watched)
        event_add(&cc->write_event, NULL);
    cc->write_watched = true;
}

static void unwatch_write(struct cconn *cc)
{
    if (cc->write_watched)
        event_del(&cc->write_event);
    cc->write_watched = false;
}

static void wire_end(struct cconn *cc)
{
    if (cc->state != CCONN_OPEN)
        return;
    wire_fini(&cc->wire);
    counter_sub(&cc->c->counters.connections, 1);
}

void cconn_cut(struct cconn *cc)
{
    struct cluster_io *c = cc->c;
    bool is_dial = cc->side == WIRE_DIALED && cc->state < CCONN_OPEN;

    if (cc->side == WIRE_ACCEPTED && cc->state == CCONN_SHAKING)
        counter_sub(&c->counters.half_open, 1);
    wire_end(cc);
    event_del(&cc->read_event);
    event_del(&cc->write_event);
    close(cc->fd);
    list_del(&cc->link);
    if (is_dial) {
        counter_add(&c->counters.dials_failed, 1);
        mesh_on_dial_failed(c->mesh, &cc->addr);
    }
    handshake_fini(&cc->hs);
    seal_fini(&cc->tx);
    seal_fini(&cc->rx);
    free(cc->in);
    free(cc->out);
    free(cc);
}

static void fail(struct cconn *cc, enum cluster_fault f)
{
    cluster_count_fault(cc->c, f, &cc->addr, cc->side == WIRE_DIALED ? "dialled" : "accepted");
    cconn_cut(cc);
}

/* ---- handshake ------------------------------------------------------------------------------------- */

/* A connection that has sent next to nothing takes these few bytes at once, or is none. */
static bool shake_send(struct cconn *cc, const uint8_t *msg, uint32_t n)
{
    return send(cc->fd, msg, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void shake_begin(struct cconn *cc)
{
    uint8_t random[HANDSHAKE_RANDOM_N], hello[HANDSHAKE_HELLO_N];

    move(cc, CCONN_SHAKING, &cc->c->shaking, CLUSTER_HANDSHAKE_MS);
    event_add(&cc->read_event, NULL);
    randombytes_buf(random, sizeof random);
    if (cc->side == WIRE_ACCEPTED) {
        handshake_accept(&cc->hs, random);
        return;
    }
    handshake_dial(&cc->hs, &cc->c->secret, random, hello);
    if (!shake_send(cc, hello, sizeof hello))
        fail(cc, CLUSTER_FAULT_HANDSHAKE_CLOSED);
}

static void shake_end(struct cconn *cc)
{
    struct cluster_io *c = cc->c;

    handshake_keys(&cc->hs, &cc->tx, &cc->rx);
    LOG(c->log, LOG_DEBUG, "cluster connection side=%s cipher=%s",
        cc->side == WIRE_DIALED ? "dialled" : "accepted", seal_cipher_name(cc->hs.cipher));
    handshake_fini(&cc->hs);
    if (cc->side == WIRE_ACCEPTED)
        counter_sub(&c->counters.half_open, 1);
    counter_add(&c->counters.connections, 1);
    counter_add(&c->counters.established, 1);
    cc->out = mem_alloc(CLUSTER_OUT_MAX + SEAL_RECORD_MAX);
    move(cc, CCONN_OPEN, &c->open, 0);
    wire_init(&cc->wire, c->mesh, cc->side, &cc->addr);
}

static enum cluster_fault shake_fault(enum handshake_result r)
{
    switch (r) {
    case HANDSHAKE_OK:
    case HANDSHAKE_MALFORMED:
        break;
    case HANDSHAKE_VERSION:
        return CLUSTER_FAULT_HANDSHAKE_VERSION;
    case HANDSHAKE_KEY:
        return CLUSTER_FAULT_HANDSHAKE_KEY;
    case HANDSHAKE_FORGED:
        return CLUSTER_FAULT_HANDSHAKE_FORGED;
    }
    return CLUSTER_FAULT_HANDSHAKE_MALFORMED;
}

/* Never reads beyond the message that is due: what follows it is a record. */
static void shake_read(struct cconn *cc)
{
    uint8_t answer[HANDSHAKE_MESSAGE_MAX];
    uint32_t answer_n, wants = handshake_wants(&cc->hs);
    ssize_t n = recv(cc->fd, cc->hs_in + cc->hs_in_n, wants - cc->hs_in_n, 0);
    enum handshake_result r;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fail(cc, CLUSTER_FAULT_HANDSHAKE_CLOSED);
        return;
    }
    cc->hs_in_n += (uint32_t)n;
    if (cc->hs.state != HANDSHAKE_WAIT_PROOF && !handshake_may_become(cc->hs_in, cc->hs_in_n)) {
        fail(cc, CLUSTER_FAULT_HANDSHAKE_MALFORMED);
        return;
    }
    if (cc->hs_in_n < wants)
        return;
    cc->hs_in_n = 0;
    r = handshake_on_message(&cc->hs, &cc->c->secret, cc->hs_in, answer, &answer_n);
    if (r != HANDSHAKE_OK)
        fail(cc, shake_fault(r));
    else if (answer_n && !shake_send(cc, answer, answer_n))
        fail(cc, CLUSTER_FAULT_HANDSHAKE_CLOSED);
    else if (handshake_wants(&cc->hs) == 0)
        shake_end(cc);
}

void cconn_accept(struct cluster_io *c, int fd, const struct net_addr *addr)
{
    struct cconn *cc = cconn_new(c, fd, WIRE_ACCEPTED, addr);

    counter_add(&c->counters.accepted, 1);
    counter_add(&c->counters.half_open, 1);
    shake_begin(cc);
}

/* ---- dialling -------------------------------------------------------------------------------------- */

/* From the address that we are bound to, so that the others see the one that they know. */
static bool dial_from(const struct cluster_io *c, int fd, int family)
{
    struct sockaddr_storage sa;
    struct net_addr from = c->bound;
    socklen_t n;
    int on = 1;

    from.port = 0;
    if (net_addr_is_any(&from) || net_addr_is_v4(&from) != (family == AF_INET))
        return true;
    n = sockaddr_of(&sa, &from, AF_UNSPEC);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return bind(fd, (struct sockaddr *)&sa, n) == 0;
}

bool cconn_dial(struct cluster_io *c, const struct net_addr *to)
{
    struct sockaddr_storage sa;
    socklen_t n = sockaddr_of(&sa, to, AF_UNSPEC);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct cconn *cc;

    if (fd < 0)
        return false;
    tcp_options_set(fd);
    if (!dial_from(c, fd, sa.ss_family) ||
        (connect(fd, (struct sockaddr *)&sa, n) != 0 && errno != EINPROGRESS)) {
        close(fd);
        return false;
    }
    cc = cconn_new(c, fd, WIRE_DIALED, to);
    move(cc, CCONN_CONNECTING, &c->connecting, CLUSTER_DIAL_MS);
    watch_write(cc);
    return true;
}

static void on_connected(struct cconn *cc)
{
    int error = 0;
    socklen_t n = sizeof error;
    char text[NET_ADDR_TEXT_N];

    unwatch_write(cc);
    if (getsockopt(cc->fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0) {
        shake_begin(cc);
        return;
    }
    LOG(cc->c->log, LOG_DEBUG, "cluster dial_failed peer=%s error=\"%s\"", net_addr_text(text, &cc->addr),
        strerror(error));
    cconn_cut(cc);
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* Opens the records of b in place and feeds the wire. Answers how many bytes were used; on a fault the
 * connection is gone and the answer is UINT32_MAX. */
static uint32_t open_records(struct cconn *cc, uint8_t *b, uint32_t n)
{
    uint32_t at = 0, used;
    struct bytes plain;
    enum err e;

    while (cc->wire.state != WIRE_CLOSING) {
        e = seal_open(&cc->rx, b + at, n - at, &plain, &used);
        if (e == ERR_AGAIN)
            break;
        if (e != OK) {
            fail(cc, e == ERR_INVALID ? CLUSTER_FAULT_RECORD_LENGTH : CLUSTER_FAULT_RECORD_FORGED);
            return UINT32_MAX;
        }
        counter_add(&cc->c->counters.records_received, 1);
        at += used;
        wire_feed(&cc->wire, plain);
    }
    return at;
}

static void keep_rest(struct cconn *cc, const uint8_t *b, uint32_t n)
{
    if (n && !cc->in)
        cc->in = mem_alloc(SEAL_RECORD_MAX);
    /* seal_open() would have refused a longer one. */
    CHECK(n < SEAL_RECORD_MAX);
    if (n)
        memcpy(cc->in, b, n);
    cc->in_n = n;
}

static void open_read(struct cconn *cc)
{
    uint8_t *b = cc->c->scratch;
    uint32_t used;
    ssize_t n;

    if (cc->in_n)
        memcpy(b, cc->in, cc->in_n);
    n = recv(cc->fd, b + cc->in_n, CLUSTER_SCRATCH - cc->in_n, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        cconn_cut(cc);
        return;
    }
    counter_add(&cc->c->counters.recv_bytes, (uint64_t)n);
    n += cc->in_n;
    used = open_records(cc, b, (uint32_t)n);
    if (used == UINT32_MAX)
        return;
    if (cc->wire.state == WIRE_CLOSING)
        event_del(&cc->read_event); /* the mesh offers the wire before this turn ends */
    else
        keep_rest(cc, b + used, (uint32_t)n - used);
}

/* What still comes is read so that the peer is not reset before it has read our last bytes. */
static void linger_read(struct cconn *cc)
{
    ssize_t n = recv(cc->fd, cc->c->scratch, CLUSTER_SCRATCH, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        cconn_cut(cc);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct cconn *cc = arg;

    (void)fd;
    (void)what;
    cluster_enter(cc->c);
    switch (cc->state) {
    case CCONN_CONNECTING:
        break;
    case CCONN_SHAKING:
        shake_read(cc);
        break;
    case CCONN_OPEN:
        open_read(cc);
        break;
    case CCONN_LINGERING:
        linger_read(cc);
        break;
    }
}

/* ---- writing --------------------------------------------------------------------------------------- */

/* Gathers and seals one record; false: there is nothing. */
static bool seal_next(struct cconn *cc)
{
    uint8_t *record = cc->out + cc->out_n;
    uint32_t n = 0;
    struct bytes piece;

    while (n < SEAL_PLAIN_MAX && (piece = wire_out_peek(&cc->wire)).n) {
        if (piece.n > SEAL_PLAIN_MAX - n)
            piece.n = SEAL_PLAIN_MAX - n;
        memcpy(record + SEAL_LENGTH_N + n, piece.p, piece.n);
        n += piece.n;
        wire_out_done(&cc->wire, piece.n);
    }
    if (n == 0)
        return false;
    cc->out_n += seal_put(&cc->tx, record, n);
    counter_add(&cc->c->counters.records_sent, 1);
    return true;
}

enum sent { SENT_ALL, SENT_SOME, SENT_FAILED };

static enum sent send_out(struct cconn *cc)
{
    while (cc->out_at < cc->out_n) {
        ssize_t n = send(cc->fd, cc->out + cc->out_at, cc->out_n - cc->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? SENT_SOME : SENT_FAILED;
        counter_add(&cc->c->counters.send_bytes, (uint64_t)n);
        cc->out_at += (uint32_t)n;
    }
    cc->out_at = cc->out_n = 0;
    return SENT_ALL;
}

/* Nothing new is sealed before all that is sealed was taken, so that what waits waits in the mesh, which
 * knows how much it is. */
static enum sent pump(struct cconn *cc)
{
    uint32_t turn = 0;
    enum sent sent;

    while ((sent = send_out(cc)) == SENT_ALL && turn < CLUSTER_TURN_BYTES_MAX) {
        while (cc->out_n < CLUSTER_OUT_MAX && seal_next(cc))
            ;
        if (cc->out_n == 0)
            return SENT_ALL;
        turn += cc->out_n;
    }
    return sent == SENT_FAILED ? SENT_FAILED : SENT_SOME;
}

static void cconn_write(struct cconn *cc)
{
    switch (pump(cc)) {
    case SENT_ALL:
        unwatch_write(cc);
        break;
    case SENT_SOME:
        watch_write(cc);
        break;
    case SENT_FAILED:
        cconn_cut(cc);
        break;
    }
}

void cconn_finish(struct cconn *cc)
{
    bool all = pump(cc) == SENT_ALL;

    wire_end(cc);
    unwatch_write(cc);
    move(cc, CCONN_LINGERING, &cc->c->lingering, CLUSTER_LINGER_MS);
    if (!all || shutdown(cc->fd, SHUT_WR) != 0) {
        cconn_cut(cc);
        return;
    }
    event_add(&cc->read_event, NULL);
}

void cconn_on_wire(struct wire *w)
{
    struct cconn *cc = container_of(w, struct cconn, wire);

    if (w->state == WIRE_CLOSING)
        cconn_finish(cc);
    else if (!cc->write_watched)
        cconn_write(cc);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct cconn *cc = arg;

    (void)fd;
    (void)what;
    cluster_enter(cc->c);
    if (cc->state == CCONN_CONNECTING)
        on_connected(cc);
    else if (cc->state == CCONN_OPEN)
        cconn_write(cc);
}

/* ---- time ------------------------------------------------------------------------------------------ */

static struct cconn *first_late(struct cluster_io *c, struct list *l)
{
    struct cconn *cc = list_is_empty(l) ? NULL : container_of(l->next, struct cconn, link);

    return cc && c->now_ms >= cc->deadline_ms ? cc : NULL;
}

void cconns_tick(struct cluster_io *c)
{
    struct cconn *cc;

    while ((cc = first_late(c, &c->connecting)))
        cconn_cut(cc);
    while ((cc = first_late(c, &c->shaking)))
        fail(cc, CLUSTER_FAULT_HANDSHAKE_TIMEOUT);
    while ((cc = first_late(c, &c->lingering)))
        cconn_cut(cc);
}

static void cut_list(struct list *l)
{
    while (!list_is_empty(l))
        cconn_cut(container_of(l->next, struct cconn, link));
}

void cconns_finish_all(struct cluster_io *c)
{
    cut_list(&c->connecting);
    cut_list(&c->shaking);
    while (!list_is_empty(&c->open))
        cconn_finish(container_of(c->open.next, struct cconn, link));
}

void cconns_cut_all(struct cluster_io *c)
{
    cut_list(&c->connecting);
    cut_list(&c->shaking);
    cut_list(&c->open);
    cut_list(&c->lingering);
}
