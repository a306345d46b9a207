/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/cert_name.h"

#include "node/core/identity.h"
#include "proto/base/check.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/x509v3.h>

/* A text out of OpenSSL; p NULL: none. OPENSSL_free() p. */
static struct bytes text_of(const ASN1_STRING *s)
{
    unsigned char *p = NULL;
    int n = s ? ASN1_STRING_to_UTF8(&p, s) : -1;
    return bytes_of(n >= 0 ? p : NULL, n >= 0 ? (size_t)n : 0);
}

/* The last one is the most specific. */
static struct bytes common_name(X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);
    int at = -1, found = -1;
    while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
        found = at;
    return text_of(found >= 0 ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, found)) : NULL);
}

static struct bytes subject(X509 *cert)
{
    struct bytes out = bytes_of(NULL, 0);
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
                                  XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        char *p;
        long n = BIO_get_mem_data(bio, &p);
        out = bytes_of(OPENSSL_memdup(p, (size_t)n), (size_t)n);
    }
    BIO_free(bio);
    return out;
}

static struct bytes alternative(X509 *cert)
{
    static const int kinds[] = {GEN_URI, GEN_DNS, GEN_EMAIL};
    struct bytes out = bytes_of(NULL, 0);
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (size_t k = 0; k < array_len(kinds) && !out.p; k++) {
        for (int i = 0; i < sk_GENERAL_NAME_num(names) && !out.p; i++) {
            const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
            if (g->type == kinds[k])
                out = text_of(g->d.ia5);
        }
    }
    GENERAL_NAMES_free(names);
    return out;
}

static struct bytes user_name(X509 *cert, enum io_cert_name from)
{
    switch (from) {
    case IO_CERT_NONE:
        break;
    case IO_CERT_CN:
        return common_name(cert);
    case IO_CERT_DN:
        return subject(cert);
    case IO_CERT_SAN:
        return alternative(cert);
    }
    return bytes_of(NULL, 0);
}

static void text_free(struct bytes b)
{
    OPENSSL_free((void *)(uintptr_t)b.p);
}

struct identity *cert_identity(X509 *cert, enum io_cert_name user_from)
{
    struct bytes cn = common_name(cert), user = user_name(cert, user_from);
    struct identity *i = identity_new(cn, user, false);
    text_free(cn);
    text_free(user);
    return i;
}
