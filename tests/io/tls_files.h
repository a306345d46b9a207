/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_IO_TLS_FILES_H
#define COVEY_TESTS_IO_TLS_FILES_H

/* Certificates for a test, made when it runs, in a folder that goes with it. */

#include "tests/io/loop.h"

#include <openssl/ssl.h>

struct tls_files {
    char dir[64];
    char cert[96];
    char key[96];
};

void tls_files_init(struct tls_files *f);
void tls_files_fini(struct tls_files *f);
/* Writes a new key and a self-signed certificate with this name over what is there. */
void tls_files_write(struct tls_files *f, const char *name);
/* Replaces the certificate by something that is none. */
void tls_files_spoil(struct tls_files *f);

/* A handshake on an open connection. ctx NULL: one without verification. resume may be NULL. */
void client_tls(struct client *c, SSL_CTX *ctx, SSL_SESSION *resume);
/* The common name in the server's certificate. */
void client_peer_name(struct client *c, char name[64]);

#endif
