/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/transport_tls.h"

#include "node/core/identity.h"
#include "node/io/cert_name.h"
#include "node/io/psk.h"
#include "proto/base/check.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>

enum { TLS_HANDSHAKE_RECORD = 0x16 };

struct tls {
    struct transport t;
    SSL *ssl;
    enum io_cert_name user_from;
    struct transport_env *env; /* of the call that is being made */
    bool has_first;            /* the first byte has come */
    bool is_plaintext;         /* and was no TLS */
    bool is_eof;               /* the other side of the filter below has ended */
    bool is_dead;              /* after a fatal error nothing more may be sent */
};

static struct tls *tls_of(struct transport *t)
{
    return container_of(t, struct tls, t);
}

/* ---- OpenSSL's view of what is below --------------------------------------------------------------- */

static int bio_read(BIO *bio, char *buf, int n)
{
    struct tls *tls = BIO_get_data(bio);
    ssize_t r = transport_recv(tls->t.below, tls->t.fd, tls->env, (uint8_t *)buf, (size_t)n);

    BIO_clear_retry_flags(bio);
    if (r == TRANSPORT_AGAIN) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (r == TRANSPORT_EOF) {
        tls->is_eof = true;
        return 0;
    }
    if (r < 0)
        return -1;
    if (!tls->has_first) {
        tls->has_first = true;
        tls->is_plaintext = (uint8_t)buf[0] != TLS_HANDSHAKE_RECORD;
        if (tls->is_plaintext)
            return -1;
    }
    return (int)r;
}

static int bio_write(BIO *bio, const char *buf, int n)
{
    struct tls *tls = BIO_get_data(bio);
    struct iovec iov = {(void *)(uintptr_t)buf, (size_t)n};
    ssize_t r = transport_send(tls->t.below, tls->t.fd, tls->env, &iov, 1);

    BIO_clear_retry_flags(bio);
    if (r >= 0)
        return (int)r;
    if (r == TRANSPORT_AGAIN)
        BIO_set_retry_write(bio);
    return -1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    struct tls *tls = BIO_get_data(bio);

    (void)num;
    (void)ptr;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return tls->is_eof;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_methods;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void bio_methods_init(void)
{
    bio_methods = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
    CHECK(bio_methods);
    BIO_meth_set_read(bio_methods, bio_read);
    BIO_meth_set_write(bio_methods, bio_write);
    BIO_meth_set_ctrl(bio_methods, bio_ctrl);
}

/* ---- the filter ------------------------------------------------------------------------------------ */

static ssize_t fault(struct tls *tls)
{
    unsigned long code = ERR_peek_last_error();

    tls->is_dead = true;
    tls->env->fault = tls->is_plaintext ? TRANSPORT_FAULT_TLS_PLAINTEXT
                      : tls->t.is_open  ? TRANSPORT_FAULT_TLS_DATA
                                        : TRANSPORT_FAULT_TLS_HANDSHAKE;
    long verdict = SSL_get_verify_result(tls->ssl);
    tls->env->fault_text = tls->is_plaintext      ? NULL
                           : verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                           : code                 ? ERR_reason_error_string(code)
                                                  : NULL;
    return TRANSPORT_FAULT;
}

/* What a call that did not succeed means. */
static ssize_t code_of(struct tls *tls, int r)
{
    switch (SSL_get_error(tls->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return TRANSPORT_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        tls->t.wants_write = true;
        return TRANSPORT_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return TRANSPORT_EOF;
    case SSL_ERROR_SSL:
        return tls->is_eof ? TRANSPORT_LOST : fault(tls);
    default:
        tls->is_dead = true;
        return tls->is_plaintext ? fault(tls) : TRANSPORT_LOST;
    }
}

/* Drops what is inside a key and lets go of it; the connection keeps the empty shell. */
static void key_empty(EVP_PKEY *key)
{
    EVP_PKEY_set_type(key, EVP_PKEY_get_base_id(key));
    EVP_PKEY_free(key);
}

/* Takes note whether the handshake is over. OpenSSL would keep both sides' keys of the exchange as long as
 * the connection lives, though nothing asks for them any more. */
static void tls_look_open(struct tls *tls)
{
    bool was_open = tls->t.is_open;
    EVP_PKEY *key;

    tls->t.is_open = SSL_is_init_finished(tls->ssl) == 1;
    if (was_open || !tls->t.is_open)
        return;
    if (SSL_get_tmp_key(tls->ssl, &key))
        key_empty(key);
    if (SSL_get_peer_tmp_key(tls->ssl, &key))
        key_empty(key);
    ERR_clear_error();
}

static ssize_t tls_recv(struct transport *t, struct transport_env *env, uint8_t *buf, size_t cap)
{
    struct tls *tls = tls_of(t);
    size_t all = 0;

    tls->env = env;
    t->wants_write = false;
    t->has_input = false;
    ERR_clear_error();
    while (all < cap) {
        size_t n = 0;
        int r = SSL_read_ex(tls->ssl, buf + all, cap - all, &n);
        if (r != 1) {
            ssize_t code = code_of(tls, r);
            tls_look_open(tls);
            if (all == 0)
                return code;
            /* What came before is used first; asked again, it tells the end again. */
            t->has_input = code != TRANSPORT_AGAIN;
            return (ssize_t)all;
        }
        all += n;
        /* Nothing more is buffered: another read would only be told so by the socket. */
        if (!SSL_has_pending(tls->ssl))
            break;
        t->has_input = all == cap;
    }
    if (unlikely(!t->is_open))
        tls_look_open(tls);
    return (ssize_t)all;
}

/* At most a record's worth of what is offered, in one piece. */
static struct bytes piece(struct transport_env *env, const struct iovec *iov, int n, size_t off)
{
    size_t fill = 0;

    if (n == 1 || iov[0].iov_len - off >= TRANSPORT_BUF)
        return bytes_of((const uint8_t *)iov[0].iov_base + off, iov[0].iov_len - off);
    for (int i = 0; i < n && fill < TRANSPORT_BUF; i++) {
        size_t len = iov[i].iov_len - off;
        if (len > TRANSPORT_BUF - fill)
            len = TRANSPORT_BUF - fill;
        memcpy(env->buf + fill, (const uint8_t *)iov[i].iov_base + off, len);
        fill += len;
        off = 0;
    }
    return bytes_of(env->buf, fill);
}

static ssize_t tls_send(struct transport *t, struct transport_env *env, const struct iovec *iov, int n)
{
    struct tls *tls = tls_of(t);
    size_t all = 0, off = 0;

    tls->env = env;
    if (!t->is_open)
        return n || t->wants_write ? TRANSPORT_AGAIN : 0;
    if (tls->is_dead)
        return TRANSPORT_LOST;
    if (n == 0 && t->wants_write) {
        /* It was a read that wanted to write: let it. */
        t->wants_write = false;
        t->has_input = true;
    }
    ERR_clear_error();
    while (n > 0) {
        struct bytes b = piece(env, iov, n, off);
        size_t done = 0;
        int r = b.n ? SSL_write_ex(tls->ssl, b.p, b.n, &done) : 1;
        if (r != 1) {
            ssize_t code = code_of(tls, r);
            t->wants_write = false;
            return code != TRANSPORT_AGAIN ? TRANSPORT_LOST : all ? (ssize_t)all : TRANSPORT_AGAIN;
        }
        all += done;
        for (off += done; n > 0 && off >= iov[0].iov_len; iov++, n--)
            off -= iov[0].iov_len;
    }
    return (ssize_t)all;
}

static ssize_t tls_shutdown(struct transport *t, struct transport_env *env)
{
    struct tls *tls = tls_of(t);
    ssize_t code;
    int r;

    if (!t->is_open || tls->is_dead)
        return 0;
    tls->env = env;
    ERR_clear_error();
    r = SSL_shutdown(tls->ssl);
    if (r >= 0)
        return 0;
    code = code_of(tls, r);
    return code == TRANSPORT_AGAIN && t->wants_write ? TRANSPORT_AGAIN : TRANSPORT_LOST;
}

static void tls_free(struct transport *t, struct transport_env *env)
{
    struct tls *tls = tls_of(t);

    tls->env = env;
    SSL_free(tls->ssl);
    free(tls);
}

/* ---- who it is ------------------------------------------------------------------------------------- */

/* TLS 1.3: a key is a session that was not made by a handshake. The identity goes along with it, and with the
 * tickets that follow from it, so that it is known of whoever comes with one of them. */
static int on_psk_session(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **out)
{
    static const unsigned char suite[] = {0x13, 0x01}; /* TLS_AES_128_GCM_SHA256: keys go with SHA-256 */
    unsigned char key[PSK_KEY_MAX];
    struct bytes who = bytes_of(identity, n);
    bool is_known;
    unsigned key_n = psk_find(certs_psks(SSL_get_SSL_CTX(ssl)), who, key, sizeof key, &is_known);
    SSL_SESSION *s = key_n ? SSL_SESSION_new() : NULL;

    *out = NULL;
    if (s && SSL_SESSION_set1_master_key(s, key, key_n) &&
        SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, suite)) &&
        SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) &&
        (!is_known || SSL_SESSION_set1_ticket_appdata(s, identity, n)))
        *out = s;
    else
        SSL_SESSION_free(s);
    OPENSSL_cleanse(key, sizeof key);
    return 1;
}

/* TLS 1.2. */
static unsigned on_psk(SSL *ssl, const char *identity, unsigned char *key, unsigned cap)
{
    bool is_known;
    if (SSL_version(ssl) >= TLS1_3_VERSION)
        return 0;
    return psk_find(certs_psks(SSL_get_SSL_CTX(ssl)), bytes_str(identity), key, cap, &is_known);
}

/* Of the key that the session rests on; p NULL: it rests on none. */
static struct bytes psk_identity(SSL *ssl)
{
    void *p = NULL;
    size_t n = 0;

    if (SSL_version(ssl) < TLS1_3_VERSION) {
        const char *name = SSL_get_psk_identity(ssl);
        return name ? bytes_str(name) : bytes_of(NULL, 0);
    }
    SSL_SESSION_get0_ticket_appdata(SSL_get0_session(ssl), &p, &n);
    return bytes_of(n ? p : NULL, n);
}

static struct identity *tls_identity(struct transport *t)
{
    struct tls *tls = tls_of(t);
    struct bytes psk = psk_identity(tls->ssl);
    X509 *cert = SSL_get0_peer_certificate(tls->ssl);

    if (psk.p)
        return identity_new(bytes_of(NULL, 0), psk, true);
    if (!cert || SSL_get_verify_result(tls->ssl) != X509_V_OK)
        return NULL;
    return cert_identity(cert, tls->user_from);
}

static SSL *ssl_new(struct certs *certs, enum io_cert_name *user_from)
{
    SSL_CTX *ctx = certs_ref(certs, user_from);
    SSL *ssl = SSL_new(ctx);

    if (ssl && certs_psks(ctx)) {
        SSL_set_psk_server_callback(ssl, on_psk);
        SSL_set_psk_find_session_callback(ssl, on_psk_session);
    }
    SSL_CTX_free(ctx);
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

struct transport *transport_tls_new(struct certs *certs, int fd, struct transport *below)
{
    static const struct transport_ops ops = {"tls", tls_recv, tls_send, tls_shutdown, tls_free, tls_identity};
    struct tls *tls = calloc(1, sizeof *tls);
    BIO *bio;

    pthread_once(&bio_once, bio_methods_init);
    bio = BIO_new(bio_methods);
    if (tls)
        tls->ssl = ssl_new(certs, &tls->user_from);
    if (!tls || !tls->ssl || !bio) {
        if (tls)
            SSL_free(tls->ssl);
        BIO_free(bio);
        free(tls);
        return NULL;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    tls->t = (struct transport){.ops = &ops, .below = below, .fd = fd};
    return &tls->t;
}
