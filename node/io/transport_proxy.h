/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_TRANSPORT_PROXY_H
#define COVEY_IO_TRANSPORT_PROXY_H

/* The PROXY protocol as the lowest filter: takes the header off, and knows from it whose connection this is.
 */

#include "node/io/transport.h"

struct conn_peer;

/* NULL: no memory. */
struct transport *transport_proxy_new(int fd);

/* The client's address, once the header has come; false: there is no such filter in the stack, or the header
 * names no address, so that the socket's own counts. */
bool transport_proxy_peer(struct transport *top, struct conn_peer *out);

#endif
