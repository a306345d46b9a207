/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/acl_file.h"

#include "node/core/gate.h"
#include "node/io/filetext.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct acl_file {
    struct log_sink *log;
    pthread_mutex_t
        lock; /* of what follows; held over a whole reload, so that the shards get them in order */
    char *path;
    enum acl_effect no_match;
    struct acl *acl;
    bool is_stale; /* the last reload failed */
    struct acl_fault fault;
    uint32_t shards; /* 0: not started */
    void (*post)(void *ctx, uint32_t shard, struct mailbag *bag);
    void *post_ctx;
};

static enum err file_parse(struct log_sink *log, const char *path, enum acl_effect no_match, struct acl **out,
                           struct acl_fault *fault)
{
    struct filetext text;
    *fault = (struct acl_fault){0};
    enum err e = filetext_read(&text, path, ACL_FILE_BYTES_MAX);
    if (e != OK) {
        snprintf(fault->what, sizeof fault->what, "cannot be read: %s",
                 e == ERR_INVALID ? "not a regular file"
                 : e == ERR_LIMIT ? "too large"
                                  : err_name(e));
    } else {
        *out = acl_parse(bytes_of(text.p, text.n), no_match, fault);
        filetext_fini(&text);
        if (*out)
            return OK;
    }
    LOG(log, LOG_ERROR, "acl file not usable file=\"%s\" line=%u what=\"%s\"", path, (unsigned)fault->line,
        fault->what);
    return ERR_INVALID;
}

enum err acl_file_new(struct acl_file **out, const struct acl_file_conf *conf)
{
    struct acl_fault fault;
    struct acl_file *f = mem_zalloc(sizeof *f);
    f->log = conf->log;
    f->path = mem_text(conf->path);
    f->no_match = conf->no_match;
    pthread_mutex_init(&f->lock, NULL);
    enum err e = *conf->path ? file_parse(f->log, f->path, f->no_match, &f->acl, &fault) : OK;
    if (e != OK) {
        acl_file_free(f);
        return e;
    }
    if (f->acl)
        LOG(conf->log, LOG_NOTICE, "acl loaded file=\"%s\" rules=%u", conf->path,
            (unsigned)acl_rules(f->acl));
    *out = f;
    return OK;
}

void acl_file_free(struct acl_file *f)
{
    if (!f)
        return;
    acl_unref(f->acl);
    pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f);
}

void acl_file_start(struct acl_file *f, uint32_t shards,
                    void (*post)(void *ctx, uint32_t shard, struct mailbag *bag), void *post_ctx)
{
    pthread_mutex_lock(&f->lock);
    f->shards = shards;
    f->post = post;
    f->post_ctx = post_ctx;
    pthread_mutex_unlock(&f->lock);
}

struct acl *acl_file_acl(struct acl_file *f)
{
    pthread_mutex_lock(&f->lock);
    struct acl *a = acl_ref(f->acl);
    pthread_mutex_unlock(&f->lock);
    return a;
}

static void on_set(struct shard *sh, void *arg)
{
    struct acl *a = arg;
    gate_set(sh, a);
    acl_unref(a);
}

static void on_drop(void *arg)
{
    acl_unref(arg);
}

static void on_forget(struct shard *sh, void *arg)
{
    (void)arg;
    gate_forget(sh);
}

/* drop: of arg, when the shard does not run any more. */
static void shards_call(struct acl_file *f, void (*fn)(struct shard *sh, void *arg), void (*drop)(void *arg),
                        struct acl *arg)
{
    for (uint32_t i = 0; i < f->shards; i++) {
        struct mailbag *bag = NULL;
        struct mail m = {.kind = MAIL_CALL, .drop = drop, .u.fn = fn, .arg = acl_ref(arg)};
        mailbag_push(&bag, UINT32_MAX, &m);
        f->post(f->post_ctx, i, bag);
    }
}

/* Under lock; takes a, which may be NULL. */
static void rules_set(struct acl_file *f, struct acl *a)
{
    acl_unref(f->acl);
    f->acl = a;
    shards_call(f, on_set, on_drop, a);
    if (a)
        LOG(f->log, LOG_NOTICE, "acl loaded file=\"%s\" rules=%u", f->path, (unsigned)acl_rules(a));
}

enum err acl_reload(struct acl_file *f, struct acl_fault *fault)
{
    struct acl *a;
    enum err e = ERR_NOTFOUND;
    pthread_mutex_lock(&f->lock);
    if (*f->path) {
        e = file_parse(f->log, f->path, f->no_match, &a, fault);
        f->is_stale = e != OK;
        f->fault = *fault;
    }
    if (e == OK)
        rules_set(f, a);
    pthread_mutex_unlock(&f->lock);
    return e;
}

enum err acl_read(struct acl_file *f, const char *path, enum acl_effect no_match, struct acl **out,
                  struct acl_fault *fault)
{
    *out = NULL;
    enum err e = *path ? file_parse(f->log, path, no_match, out, fault) : OK;
    pthread_mutex_lock(&f->lock);
    if (strcmp(path, f->path) == 0) {
        f->is_stale = e != OK;
        f->fault = *fault;
    }
    pthread_mutex_unlock(&f->lock);
    return e;
}

void acl_set(struct acl_file *f, const char *path, enum acl_effect no_match, struct acl *acl)
{
    char *mine = mem_text(path);
    pthread_mutex_lock(&f->lock);
    free(f->path);
    f->path = mine;
    f->no_match = no_match;
    f->is_stale = false;
    rules_set(f, acl);
    pthread_mutex_unlock(&f->lock);
}

bool acl_file_is_stale(struct acl_file *f, struct acl_fault *fault)
{
    pthread_mutex_lock(&f->lock);
    bool is_stale = f->is_stale;
    *fault = f->fault;
    pthread_mutex_unlock(&f->lock);
    return is_stale;
}

void acl_file_forget(struct acl_file *f)
{
    pthread_mutex_lock(&f->lock);
    shards_call(f, on_forget, NULL, NULL);
    pthread_mutex_unlock(&f->lock);
}
