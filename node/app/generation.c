/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/generation.h"

#include "node/app/config_load.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* A disabled listener without a certificate or a path is not even one that could be started later. */
static bool is_usable(const struct config_listener *l)
{
    bool tls = l->kind == LISTENER_SSL || l->kind == LISTENER_WSS;
    if (l->kind == LISTENER_UNIX)
        return l->path[0];
    return l->enable || !tls || l->ssl.certfile[0] || l->ssl.psk_file[0];
}

static const struct config_listener *listener_find(const struct config *conf, const char *id)
{
    for (size_t i = 0; i < conf->listeners_n; i++)
        if (strcmp(conf->listeners[i].id, id) == 0)
            return &conf->listeners[i];
    return NULL;
}

struct generation *generation_new(const struct config *boot, const struct config *conf, struct config *owned)
{
    struct generation *g = mem_zalloc(sizeof *g);
    size_t n = conf->listeners_n + 1;
    *g = (struct generation){.conf = conf, .owned = owned, .settings = settings_of(conf)};
    g->listeners = mem_zalloc(n * sizeof *g->listeners);
    g->listener_settings = mem_zalloc(n * sizeof *g->listener_settings);
    g->strings = mem_zalloc(n * sizeof *g->strings);
    for (size_t i = 0; i < conf->listeners_n; i++) {
        const struct config_listener *l = &conf->listeners[i], *known = listener_find(boot, l->id);
        uint32_t at = g->listeners_n;
        if (!known || !is_usable(l))
            continue;
        g->listener_settings[at] = settings_of_listener(conf, l);
        g->listener_settings[at].listener = known->id;
        listener_conf_of(&g->listeners[at], l, &g->listener_settings[at], &g->strings[at]);
        g->listeners[at].name = known->id;
        g->listeners_n++;
    }
    return g;
}

void generation_free(struct generation *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; i < g->listeners_n; i++) {
        free(g->strings[i].ciphers);
        free(g->strings[i].ciphersuites);
    }
    free(g->strings);
    free(g->listeners);
    free(g->listener_settings);
    config_free(g->owned);
    free(g);
}

bool generation_is_used(const struct generation *g, struct io *io)
{
    bool is_used = false;
    for (uint32_t i = 0; i < g->listeners_n; i++)
        is_used |= io_settings_used(io, &g->listener_settings[i]);
    return is_used;
}
