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

/* A reference to what is in use now: SSL_CTX_free() it. *user_from: what of a client's certificate is its
 * user name. Any thread. */
SSL_CTX *certs_ref(struct certs *c, enum io_cert_name *user_from);
/* What a listener with this configuration would use; NULL: its files cannot be used, logged. Any thread. */
SSL_CTX *certs_try(const struct certs *c, const struct io_tls_conf *conf);
/* New connections get ctx, of certs_try(), which c takes. conf outlives c or the next certs_set(). */
void certs_set(struct certs *c, const struct io_tls_conf *conf, SSL_CTX *ctx);
/* Looks at the files. Any thread. */
void certs_check(struct certs *c);
/* The keys of a context; NULL: none. */
const struct psks *certs_psks(const SSL_CTX *ctx);
/* The files have changed and cannot be used, so what was read before is in use. Any thread. */
bool certs_is_stale(struct certs *c);

#endif
