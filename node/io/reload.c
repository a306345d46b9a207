/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/certs.h"
#include "node/io/io_private.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* What listeners do with connections, changed while they run. Workers find it by a pointer that is exchanged;
 * what it pointed at before lives on until no connection has it. */

struct change {
    struct listener *listener;
    struct listener_conf *conf;
    SSL_CTX *ctx; /* of listeners with TLS */
};

struct io_reload {
    struct io *io;
    uint32_t n;
    struct change changes[];
};

enum err io_reload_new(struct io_reload **out, struct io *io, const struct io_listener_conf *confs,
                       uint32_t n)
{
    struct io_reload *r = mem_zalloc(sizeof *r + n * sizeof r->changes[0]);

    r->io = io;
    for (uint32_t i = 0; i < n; i++) {
        struct listener *l = io_listener_find(io, confs[i].name);
        struct change *c = &r->changes[r->n];
        if (!l)
            continue;
        *c = (struct change){.listener = l, .conf = listener_conf_new(&confs[i])};
        c->conf->c.addr = listener_conf(l)->c.addr;
        c->conf->c.file = listener_conf(l)->c.file;
        r->n++;
        if (l->certs && !(c->ctx = certs_try(l->certs, &c->conf->c.tls))) {
            io_reload_free(r);
            return ERR_INVALID;
        }
    }
    *out = r;
    return OK;
}

void io_reload_free(struct io_reload *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->n; i++) {
        listener_conf_free(r->changes[i].conf);
        SSL_CTX_free(r->changes[i].ctx);
    }
    free(r);
}

/* Nobody begins with one of the past any more, so that none of them gets more users. */
static void past_sweep(struct listener *l)
{
    struct listener_conf **at = &l->past;

    while (*at) {
        struct listener_conf *lc = *at;
        if (atomic_load_explicit(&lc->users, memory_order_acquire)) {
            at = &lc->next;
        } else {
            *at = lc->next;
            listener_conf_free(lc);
        }
    }
}

void io_reload_apply(struct io_reload *r)
{
    struct io *io = r->io;

    pthread_mutex_lock(&io->listener_lock);
    for (uint32_t i = 0; i < r->n; i++) {
        struct change *c = &r->changes[i];
        struct listener *l = c->listener;
        struct listener_conf *before = listener_conf(l);
        if (c->ctx)
            certs_set(l->certs, &c->conf->c.tls, c->ctx);
        atomic_store_explicit(&l->conf, c->conf, memory_order_release);
        before->next = l->past;
        l->past = before;
    }
    io_follow(io);
    pthread_mutex_unlock(&io->listener_lock);
    free(r);
}

bool io_settings_used(struct io *io, const struct settings *settings)
{
    bool is_used = false;

    for (uint32_t i = 0; i < io->listeners_n; i++) {
        struct listener *l = &io->listeners[i];
        past_sweep(l);
        is_used |= listener_conf(l)->c.settings == settings;
        for (const struct listener_conf *lc = l->past; lc; lc = lc->next)
            is_used |= lc->c.settings == settings;
    }
    return is_used;
}
