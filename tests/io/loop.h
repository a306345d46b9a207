/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_IO_LOOP_H
#define COVEY_TESTS_IO_LOOP_H

/* A whole node without a process of its own: workers, listeners on ports that the system chooses, a store in
 * memory. And clients for it that say just what a test tells them, byte by byte if need be. Everything that
 * does not come within some seconds fails the test. */

#include "node/io/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* ---- the node -------------------------------------------------------------------------------------- */

enum { LOOP_LISTENERS_MAX = 4, LOOP_LOG_MAX = 64 * 1024 };

struct loop {
    struct io *io;
    struct node *node;
    struct writer *writer;
    struct store *store;
    struct settings settings;
    struct io_listener_conf listeners[LOOP_LISTENERS_MAX];
    struct log_sink log;
    char lines[LOOP_LOG_MAX]; /* everything that was logged at warning and above; read under lock */
    size_t lines_n;
};

/* Sane settings and one plain listener; change what the test needs before loop_start(). */
void loop_init(struct loop *l);
void loop_start(struct loop *l, uint32_t workers, uint32_t listeners);
/* Stops and frees. */
void loop_stop(struct loop *l);
uint16_t loop_port(struct loop *l, uint32_t listener);
struct io_listener_info loop_info(struct loop *l, uint32_t listener);
struct io_stats loop_stats(struct loop *l);
/* How many lines with this text were logged. */
unsigned loop_logged(struct loop *l, const char *text);
/* Waits until cond(l, arg) is true. */
void loop_wait(struct loop *l, bool (*cond)(struct loop *l, void *arg), void *arg);

/* ---- clients --------------------------------------------------------------------------------------- */

struct client {
    int fd;
    void *tls; /* SSL, or NULL */
    bool is_ws;
    uint32_t ws_left; /* of the frame that is being read */
};

enum { CLIENT_BUF = 4096 };

void client_open(struct client *c, uint16_t port);
void client_close(struct client *c);
void client_send(struct client *c, const void *p, size_t n);
/* Reads exactly n bytes. */
void client_recv(struct client *c, void *p, size_t n);
void client_expect(struct client *c, const void *p, size_t n);
/* The server ends the connection in good order, or (reset_too) in any way, with nothing before it. */
void client_expect_eof(struct client *c);
void client_expect_gone(struct client *c);

/* Packets; each answers how many bytes it wrote. */
size_t packet_connect(uint8_t *out, uint8_t level, const char *client_id, uint8_t flags);
size_t packet_publish(uint8_t *out, const char *topic, const void *payload, size_t n, unsigned qos,
                      uint16_t id);
size_t packet_subscribe(uint8_t *out, const char *filter, unsigned qos);

/* TCP connect, CONNECT (3.1.1, clean) and CONNACK. */
void client_connect(struct client *c, uint16_t port, const char *client_id);
/* CONNECT on a connection that is open. */
void client_hello(struct client *c, const char *client_id);
void client_subscribe(struct client *c, const char *filter, unsigned qos);
/* Publishes from one and expects it at the other, QoS 0. */
void client_relay(struct client *from, struct client *to, const char *topic, size_t payload_n);

#endif
