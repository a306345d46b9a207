/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_TRANSPORT_WS_H
#define COVEY_IO_TRANSPORT_WS_H

/* MQTT over WebSocket [MQTT-6.0.0] as a transport filter, server side: the HTTP upgrade, then binary frames.
 * Packets may begin and end anywhere in frames [MQTT-6.0.0-2]. One send of the core becomes one frame.
 *
 * Frames are taken apart and made by wslay, whose decoder carries a buffer of 4 KiB. A connection has one
 * only while a frame is incomplete; otherwise decoders lie in the worker's pool, so an idle connection costs
 * no more than struct ws. */

#include "node/io/io.h"
#include "node/io/transport.h"

/* Takes below; conf outlives it. NULL: no memory; below is still the caller's. */
struct transport *transport_ws_new(const struct io_ws_conf *conf, int fd, struct transport *below);

/* Frees the decoders of env's pool. */
void ws_codecs_free(struct transport_env *env);

#endif
