/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn_files.h"

#include "node/io/authn_jwt.h"
#include "node/io/filetext.h"
#include "proto/base/mem.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { JWT_FILE_BYTES_MAX = 4 << 20 };

/* An unknown user is to take as long as a wrong password: his is compared with this. */
static enum err dummy_make(struct authn_files *f)
{
    uint8_t nobody[32];
    if (f->users.n) {
        snprintf(f->dummy, sizeof f->dummy, "%s", f->users.v[0].hash);
        return OK;
    }
    randombytes_buf(nobody, sizeof nobody);
    return crypto_pwhash_str(f->dummy, (const char *)nobody, sizeof nobody,
                             crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0
               ? OK
               : ERR_NOMEM;
}

static enum err users_read(struct authn_files *f, const struct authn_conf *conf)
{
    struct filetext t;
    struct users_fault fault;
    enum err e = filetext_read(&t, conf->password_file, USERS_FILE_BYTES_MAX);
    if (e != OK) {
        LOG(conf->log, LOG_ERROR, "auth password file not usable file=\"%s\" error=\"%s\"",
            conf->password_file, err_name(e));
        return ERR_INVALID;
    }
    bool ok = users_parse(&f->users, bytes_of(t.p, t.n), &fault);
    if (!ok)
        LOG(conf->log, LOG_ERROR, "auth password file wrong at=\"%s:%u\" what=\"%s\"", conf->password_file,
            fault.line, fault.what);
    if (ok && t.is_public)
        LOG(conf->log, LOG_WARNING, "auth password file can be read by everybody file=\"%s\"",
            conf->password_file);
    filetext_fini(&t);
    f->has_users = ok;
    return ok ? dummy_make(f) : ERR_INVALID;
}

/* The secret is all of the file but for the newline that editors put at the end. */
static struct jwt_keys *jwt_secret_make(struct bytes text, const char **why)
{
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    return jwt_keys_of_secret(text, why);
}

static enum err jwt_file_read(struct authn_files *f, const struct authn_conf *conf, const char *path,
                              struct jwt_keys *(*make)(struct bytes text, const char **why))
{
    struct filetext t;
    const char *why = NULL;
    if (!*path)
        return OK;
    enum err e = filetext_read(&t, path, JWT_FILE_BYTES_MAX);
    if (e == OK)
        f->jwt_keys = make(bytes_of((const uint8_t *)t.p, t.n), &why);
    if (e != OK || why)
        LOG(conf->log, LOG_ERROR, "auth jwt file not usable file=\"%s\" error=\"%s\"", path,
            why ? why : err_name(e));
    else if (t.is_public && make == jwt_secret_make)
        LOG(conf->log, LOG_WARNING, "auth jwt secret can be read by everybody file=\"%s\"", path);
    filetext_fini(&t);
    return f->jwt_keys ? OK : ERR_INVALID;
}

static enum err jwt_read(struct authn_files *f, const struct authn_conf *conf)
{
    enum err e = jwt_file_read(f, conf, conf->jwt.secret_file, jwt_secret_make);
    if (e == OK)
        e = jwt_file_read(f, conf, conf->jwt.public_key_file, jwt_keys_of_pem);
    return e == OK ? jwt_file_read(f, conf, conf->jwt.jwks_file, jwt_keys_of_jwks) : e;
}

enum err authn_files_read(struct authn_files **out, const struct authn_conf *conf)
{
    struct authn_files *f = mem_zalloc(sizeof *f);
    enum err e = OK;
    f->refs = 1;
    authn_jwt_conf_copy(&f->jwt, &conf->jwt);
    if (conf->password_file[0])
        e = users_read(f, conf);
    if (e == OK)
        e = jwt_read(f, conf);
    if (e != OK) {
        authn_files_free(f);
        return e;
    }
    if (f->has_users)
        LOG(conf->log, LOG_NOTICE, "auth password file read file=\"%s\" users=%u", conf->password_file,
            f->users.n);
    *out = f;
    return OK;
}

void authn_files_free(struct authn_files *f)
{
    users_fini(&f->users);
    jwt_keys_free(f->jwt_keys);
    authn_jwt_conf_fini(&f->jwt);
    free(f);
}
