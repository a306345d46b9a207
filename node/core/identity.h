/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_IDENTITY_H
#define COVEY_CORE_IDENTITY_H

/* What the transport has proven of a client before its first packet: a certificate that was verified, or a
 * key that both know. */

#include "proto/base/bytes.h"

struct identity {
    struct bytes cert_name; /* common name of the certificate; p NULL: there is none */
    struct bytes user;      /* user name that the certificate or the key stands for; p NULL: none */
    bool is_psk;            /* user is the identity of a key */
    uint8_t text[];
};

enum { IDENTITY_NAME_MAX = 1024 }; /* bytes; a longer name is none */

/* A copy, from malloc(): free() it. A name with NUL, other control characters or no UTF-8 is left out. */
struct identity *identity_new(struct bytes cert_name, struct bytes user, bool is_psk);

#endif
