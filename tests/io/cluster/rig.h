/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_CLUSTER_RIG_H
#define COVEY_TESTS_CLUSTER_RIG_H

/* One cluster thread on loopback with a stub mesh, and a raw client that says to it just what a test wants.
 * What does not come within some seconds fails the test. */

#include "cluster/io/cluster_io.h"
#include "cluster/io/handshake.h"
#include "tests/io/cluster/stub_mesh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sodium.h>
#include <cmocka.h>

enum { RIG_LOG_MAX = 64 * 1024 };

struct rig {
    struct cluster_io_conf conf;
    struct cluster_io *io;
    struct log_sink log;
    char lines[RIG_LOG_MAX];
    size_t lines_n;
    char folder[64]; /* of the secret file; "": none */
    char secret_file[96];
    _Atomic uint32_t posted[2]; /* bags by shard */
};

/* Number 1.. makes another node id; change conf before rig_start(). */
void rig_init(struct rig *r, uint8_t number);
/* The node's secret file gets this text and mode. */
void rig_secret(struct rig *r, const char *text, unsigned mode);
void rig_start(struct rig *r);
void rig_stop(struct rig *r); /* and frees everything */
unsigned rig_logged(struct rig *r, const char *text);
struct net_addr rig_addr(const struct rig *r);
/* fn on the cluster thread. */
void rig_ask(struct rig *r, void (*fn)(struct mesh *m, void *arg), void *arg);
void rig_dial(struct rig *r, const struct net_addr *to);
/* Waits until fn answers true on the cluster thread. */
void rig_wait(struct rig *r, bool (*fn)(struct mesh *m, void *arg), void *arg);
void rig_wait_peers(struct rig *r, uint32_t n);
void rig_pause(void); /* a millisecond, in loops that wait */
struct cluster_io_stats rig_stats(struct rig *r);
/* So many connections have not shown who they are. */
void rig_wait_half_open(struct rig *r, uint32_t n);
void rig_wait_fault(struct rig *r, enum cluster_fault f, uint64_t at_least);

/* ---- raw clients ---------------------------------------------------------------------------------- */

struct raw {
    int fd;
    struct seal tx, rx;
};

/* TCP from 127.0.0.from to the rig. */
void raw_open(struct raw *c, struct rig *r, uint8_t from);
void raw_close(struct raw *c);
void raw_reset(struct raw *c); /* closes with RST */
void raw_send(struct raw *c, const void *p, size_t n);
void raw_recv(struct raw *c, void *p, size_t n);
/* The other side ends the connection; in any way. */
void raw_expect_end(struct raw *c);
/* As dialler, with the rig's own secret. */
void raw_shake(struct raw *c, struct rig *r);
void raw_send_record(struct raw *c, const char *text);
/* The next record is this text. */
void raw_expect_record(struct raw *c, const char *text);
/* A datagram from a socket of its own. */
void raw_datagram(struct rig *r, const void *p, size_t n);
/* What the rig seals and opens with. */
struct secret raw_secret(const struct rig *r);

#endif
