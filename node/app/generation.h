/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_GENERATION_H
#define COVEY_APP_GENERATION_H

/* A configuration as the running parts take it: what they point into lives as long as it does. The first one
 * is that of the start, a reload makes another. */

#include "node/app/settings.h"

struct generation {
    const struct config *conf;
    struct config *owned; /* conf, when the generation frees it */
    struct settings settings;
    uint32_t listeners_n; /* of what follows */
    struct io_listener_conf *listeners;
    struct settings *listener_settings;
    struct config_strings *strings;
    struct generation *next;
};

/* boot: what the node started with, which outlives everything: names of listeners are its own, and others
 * than its listeners are left out. conf may be the same. Takes owned, which is conf or NULL. */
struct generation *generation_new(const struct config *boot, const struct config *conf, struct config *owned);
void generation_free(struct generation *g); /* NULL is fine */
/* Has a listener or a connection a use for it? See io_settings_used(). */
bool generation_is_used(const struct generation *g, struct io *io);

#endif
