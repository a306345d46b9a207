/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/certs.h"

#include "node/io/psk.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILES = 5 };

/* What tells that a file is another one than before. */
struct file_mark {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

struct certs {
    const char *listener;
    struct log_sink *log;
    pthread_mutex_t lock; /* over what follows, and over one check at a time */
    const struct io_tls_conf *conf;
    SSL_CTX *ctx;
    struct file_mark marks[FILES];
    bool is_stale; /* the files of the last look could not be used */
};

static bool is_set(const char *s)
{
    return s && s[0];
}

/* ---- a context from files -------------------------------------------------------------------------- */

static void log_failure(const struct certs *c, const char *what, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    LOG(c->log, LOG_ERROR, "tls certificate_unusable listener=%s what=%s file=%s error=\"%s\"", c->listener,
        what, file ? file : "-", reason ? reason : "unknown");
    ERR_clear_error();
}

/* Without it OpenSSL would ask the terminal for the passphrase of an encrypted key. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return 0;
}

static void set_modes(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* Idle connections hold no record buffers, and what was offered once may be offered again from another
     * place of memory. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    /* Sessions are resumed by tickets, which cost the server no memory. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
}

static bool set_protocol(const struct certs *c, SSL_CTX *ctx)
{
    const struct io_tls_conf *conf = c->conf;
    unsigned v = conf->versions ? conf->versions : IO_TLS_1_2 | IO_TLS_1_3;

    if (!SSL_CTX_set_min_proto_version(ctx, v & IO_TLS_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION) ||
        !SSL_CTX_set_max_proto_version(ctx, v & IO_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION)) {
        log_failure(c, "versions", NULL);
        return false;
    }
    if (is_set(conf->ciphers) && !SSL_CTX_set_cipher_list(ctx, conf->ciphers)) {
        log_failure(c, "ciphers", NULL);
        return false;
    }
    /* Keys that both know go with SHA-256, so a suite with that hash has to be the first. */
    if (!is_set(conf->ciphersuites) && is_set(conf->pskfile) &&
        !SSL_CTX_set_ciphersuites(
            ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384")) {
        log_failure(c, "ciphersuites", NULL);
        return false;
    }
    if (is_set(conf->ciphersuites) && !SSL_CTX_set_ciphersuites(ctx, conf->ciphersuites)) {
        log_failure(c, "ciphersuites", NULL);
        return false;
    }
    return true;
}

static bool set_identity(const struct certs *c, SSL_CTX *ctx)
{
    const struct io_tls_conf *conf = c->conf;

    if (!is_set(conf->certfile) && is_set(conf->pskfile))
        return true;
    if (SSL_CTX_use_certificate_chain_file(ctx, conf->certfile) != 1) {
        log_failure(c, "certificate", conf->certfile);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, conf->keyfile, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        log_failure(c, "key", conf->keyfile);
        return false;
    }
    return true;
}

/* With lists of revoked certificates, one must be there for the authority of each client, and be in date. */
static bool set_revoked(const struct certs *c, SSL_CTX *ctx)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);

    if (!is_set(c->conf->crlfile))
        return true;
    if (X509_load_crl_file(X509_STORE_add_lookup(store, X509_LOOKUP_file()), c->conf->crlfile,
                           X509_FILETYPE_PEM) < 1) {
        log_failure(c, "revoked", c->conf->crlfile);
        return false;
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

static bool set_verify(const struct certs *c, SSL_CTX *ctx)
{
    static const unsigned char id[] = "covey";
    const struct io_tls_conf *conf = c->conf;
    int mode = SSL_VERIFY_NONE;

    if (conf->verify != IO_VERIFY_NONE)
        mode = SSL_VERIFY_PEER;
    if (conf->verify == IO_VERIFY_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, NULL);
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    if (mode == SSL_VERIFY_NONE)
        return true;
    if (!is_set(conf->cafile) || SSL_CTX_load_verify_locations(ctx, conf->cafile, NULL) != 1) {
        log_failure(c, "authority", conf->cafile);
        return false;
    }
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(conf->cafile));
    return set_revoked(c, ctx);
}

static void psks_drop(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent;
    (void)ad;
    (void)index;
    (void)argl;
    (void)argp;
    psks_free(ptr);
}

static int psks_index;
static pthread_once_t psks_once = PTHREAD_ONCE_INIT;

static void psks_index_make(void)
{
    psks_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, psks_drop);
    CHECK(psks_index >= 0);
}

/* Keys live as long as the context that connections were made with. */
static bool set_psks(const struct certs *c, SSL_CTX *ctx)
{
    struct psks *p;
    char fault[200];

    if (!is_set(c->conf->pskfile))
        return true;
    if (psks_read(&p, c->conf->pskfile, fault, sizeof fault) != OK) {
        LOG(c->log, LOG_ERROR, "tls certificate_unusable listener=%s what=psk file=%s error=\"%s\"",
            c->listener, c->conf->pskfile, fault);
        return false;
    }
    SSL_CTX_set_ex_data(ctx, psks_index, p);
    return true;
}

const struct psks *certs_psks(const SSL_CTX *ctx)
{
    return SSL_CTX_get_ex_data(ctx, psks_index);
}

static SSL_CTX *ctx_new(const struct certs *c)
{
    SSL_CTX *ctx;

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        log_failure(c, "context", NULL);
        return NULL;
    }
    set_modes(ctx);
    if (set_protocol(c, ctx) && set_identity(c, ctx) && set_verify(c, ctx) && set_psks(c, ctx))
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* ---- files ----------------------------------------------------------------------------------------- */

static void mark(const char *file, struct file_mark *m)
{
    struct stat st;

    *m = (struct file_mark){0};
    /* stat() follows links: secrets that are mounted change by a link that points elsewhere. */
    if (is_set(file) && stat(file, &st) == 0)
        *m = (struct file_mark){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static void marks_read(const struct certs *c, struct file_mark marks[FILES])
{
    mark(c->conf->certfile, &marks[0]);
    mark(c->conf->keyfile, &marks[1]);
    mark(c->conf->cafile, &marks[2]);
    mark(c->conf->crlfile, &marks[3]);
    mark(c->conf->pskfile, &marks[4]);
}

static bool mark_eq(const struct file_mark *a, const struct file_mark *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
           a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* Takes note of the files as they are now; true when they differ from the last time. */
static bool marks_update(struct certs *c)
{
    struct file_mark now[FILES];
    bool changed = false;

    marks_read(c, now);
    for (int i = 0; i < FILES; i++)
        changed |= !mark_eq(&now[i], &c->marks[i]);
    memcpy(c->marks, now, sizeof now);
    return changed;
}

/* ---- life ------------------------------------------------------------------------------------------ */

enum err certs_new(struct certs **out, const char *listener, const struct io_tls_conf *conf,
                   struct log_sink *log)
{
    struct certs *c = mem_zalloc(sizeof *c);

    c->listener = listener;
    c->conf = conf;
    c->log = log;
    pthread_once(&psks_once, psks_index_make);
    pthread_mutex_init(&c->lock, NULL);
    marks_read(c, c->marks);
    c->ctx = ctx_new(c);
    if (!c->ctx) {
        certs_free(c);
        return ERR_INVALID;
    }
    *out = c;
    return OK;
}

void certs_free(struct certs *c)
{
    if (!c)
        return;
    SSL_CTX_free(c->ctx);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

SSL_CTX *certs_ref(struct certs *c, enum io_cert_name *user_from)
{
    SSL_CTX *ctx;

    pthread_mutex_lock(&c->lock);
    ctx = c->ctx;
    *user_from = c->conf->user_from;
    SSL_CTX_up_ref(ctx);
    pthread_mutex_unlock(&c->lock);
    return ctx;
}

SSL_CTX *certs_try(const struct certs *c, const struct io_tls_conf *conf)
{
    struct certs other = {.listener = c->listener, .conf = conf, .log = c->log};

    return ctx_new(&other);
}

void certs_set(struct certs *c, const struct io_tls_conf *conf, SSL_CTX *ctx)
{
    SSL_CTX *old;

    pthread_mutex_lock(&c->lock);
    old = c->ctx;
    c->ctx = ctx;
    c->conf = conf;
    c->is_stale = false;
    marks_read(c, c->marks);
    pthread_mutex_unlock(&c->lock);
    SSL_CTX_free(old);
}

void certs_check(struct certs *c)
{
    SSL_CTX *fresh, *old = NULL;

    pthread_mutex_lock(&c->lock);
    if (marks_update(c)) {
        fresh = ctx_new(c);
        c->is_stale = !fresh;
        if (fresh) {
            old = c->ctx;
            c->ctx = fresh;
            LOG(c->log, LOG_NOTICE, "tls certificate_loaded listener=%s file=%s", c->listener,
                c->conf->certfile);
        } else {
            LOG(c->log, LOG_ERROR, "tls certificate_kept listener=%s file=%s", c->listener,
                c->conf->certfile);
        }
    }
    pthread_mutex_unlock(&c->lock);
    SSL_CTX_free(old);
}

bool certs_is_stale(struct certs *c)
{
    pthread_mutex_lock(&c->lock);
    bool is_stale = c->is_stale;
    pthread_mutex_unlock(&c->lock);
    return is_stale;
}
