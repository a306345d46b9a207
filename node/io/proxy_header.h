/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_PROXY_HEADER_H
#define COVEY_IO_PROXY_HEADER_H

/* The header that a proxy sends before the bytes of its client, in version 1 (text) or 2 (binary) of
 * HAProxy's PROXY protocol. Pure: bytes in, a verdict out. */

#include "proto/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A v1 line has at most 107 bytes; the additions of v2 are limited to what proxies really send. */
enum { PROXY_HEADER_MAX = 2048 };

enum proxy_result {
    PROXY_MORE, /* good so far */
    PROXY_DONE,
    PROXY_BAD,
    PROXY_CHECKSUM, /* whole, but not as it was sent */
};

struct proxy_header {
    size_t size;     /* PROXY_DONE: bytes of the header */
    bool has_source; /* false: a connection of the proxy's own (LOCAL), or of no IP address (UNKNOWN) */
    char address[46];
    uint16_t port;
    struct bytes
        cert_name; /* common name of the certificate that the proxy has verified; a view; n 0: none */
};

/* Looks at the first n bytes of a connection. With PROXY_HEADER_MAX of them it is never PROXY_MORE. */
enum proxy_result proxy_header_parse(const uint8_t *p, size_t n, struct proxy_header *out);

#endif
