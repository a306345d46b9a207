/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_TRANSPORT_TLS_H
#define COVEY_IO_TRANSPORT_TLS_H

/* TLS as a transport filter, server side: OpenSSL over whatever is below, without a buffer between. */

#include "node/io/certs.h"
#include "node/io/transport.h"

/* Takes below. NULL: no memory; below is still the caller's. */
struct transport *transport_tls_new(struct certs *certs, int fd, struct transport *below);

#endif
