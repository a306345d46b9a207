/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/tls_files.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void tls_files_init(struct tls_files *f)
{
    snprintf(f->dir, sizeof f->dir, "/tmp/covey-tls-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->cert, sizeof f->cert, "%s/cert.pem", f->dir);
    snprintf(f->key, sizeof f->key, "%s/key.pem", f->dir);
}

void tls_files_fini(struct tls_files *f)
{
    unlink(f->cert);
    unlink(f->key);
    rmdir(f->dir);
}

static X509 *cert_new(EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();
    static long serial;

    assert_non_null(x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* As certificate tools do it: a new file takes the place of the old one. */
static void replace(const char *path, EVP_PKEY *key, X509 *x)
{
    char fresh[128];
    FILE *file;

    snprintf(fresh, sizeof fresh, "%s.new", path);
    file = fopen(fresh, "w");
    assert_non_null(file);
    assert_int_equal(
        key ? PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) : PEM_write_X509(file, x), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

void tls_files_write(struct tls_files *f, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x;

    assert_non_null(key);
    x = cert_new(key, name);
    replace(f->cert, NULL, x);
    replace(f->key, key, NULL);
    X509_free(x);
    EVP_PKEY_free(key);
}

void tls_files_spoil(struct tls_files *f)
{
    FILE *file = fopen(f->cert, "w");

    assert_non_null(file);
    fputs("-----BEGIN CERTIFICATE-----\nbut nothing follows\n", file);
    assert_int_equal(fclose(file), 0);
}

void client_tls(struct client *c, SSL_CTX *ctx, SSL_SESSION *resume)
{
    SSL_CTX *own = ctx ? NULL : SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx ? ctx : own);

    assert_non_null(ssl);
    SSL_set_fd(ssl, c->fd);
    if (resume)
        SSL_set_session(ssl, resume);
    assert_int_equal(SSL_connect(ssl), 1);
    SSL_CTX_free(own);
    c->tls = ssl;
}

void client_peer_name(struct client *c, char name[64])
{
    X509 *x = SSL_get1_peer_certificate(c->tls);

    assert_non_null(x);
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, 64) > 0);
    X509_free(x);
}
