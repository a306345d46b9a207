/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_WS_UPGRADE_H
#define COVEY_IO_WS_UPGRADE_H

/* The HTTP side of a WebSocket's beginning, RFC 6455 4.2: one request head in, one response out. Pure. */

#include "node/io/io.h"
#include "node/io/transport.h"

enum {
    WS_HEAD_MAX = 8192,    /* a request head may be this long */
    WS_RESPONSE_MAX = 512, /* every response fits */
};

/* Where the head ends (behind its empty line), or 0: not yet. */
size_t ws_upgrade_end(const uint8_t *p, size_t n);

/* Answers a whole head: TRANSPORT_FAULT_NONE when the connection is a WebSocket now, else why not. The
 * response is written in both cases; *n is its length. */
enum transport_fault ws_upgrade(const struct io_ws_conf *conf, const uint8_t *head, size_t head_n,
                                uint8_t response[WS_RESPONSE_MAX], size_t *n);
/* The response to a head that is too long: 431. */
size_t ws_upgrade_too_long(uint8_t response[WS_RESPONSE_MAX]);

#endif
