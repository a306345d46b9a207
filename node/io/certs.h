/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_CERTS_H
#define COVEY_IO_CERTS_H

/* The certificate and key of one listener, as an SSL_CTX that all workers share. The files are looked at now
 * and then; when they have changed and are good, new connections get the new ones and existing connections
 * keep theirs. When they are bad the old ones stay in use and the log says why. */

#include "node/io/io.h"

#include <openssl/ssl.h>

struct certs;
struct psks;

/* Reads the files. ERR_INVALID: they cannot be used; logged. conf outlives it. */
MUST_USE enum err certs_new(struct certs **out, const char *listener, const struct io_tls_conf *conf,
                            struct log_sink *log);
void certs_free(struct certs *c); /* NULL is fine; connections keep what they use */

/* A reference to what is in use now: SSL_CTX_free() it. Any thread. */
SSL_CTX *certs_ref(struct certs *c);
/* Looks at the files. Any thread. */
void certs_check(struct certs *c);
/* The keys of a context; NULL: none. */
const struct psks *certs_psks(const SSL_CTX *ctx);
/* What of a client's certificate is its user name. */
enum io_cert_name certs_user_from(const struct certs *c);
/* The files have changed and cannot be used, so what was read before is in use. Any thread. */
bool certs_is_stale(struct certs *c);

#endif
