/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_CERT_NAME_H
#define COVEY_IO_CERT_NAME_H

/* The names in a client's certificate. */

#include "node/io/io.h"

#include <openssl/x509.h>

struct identity;

/* From malloc(). A name that is not there, or is none that a client may have, is left out. */
struct identity *cert_identity(X509 *cert, enum io_cert_name user_from);

#endif
