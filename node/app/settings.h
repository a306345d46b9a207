/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_SETTINGS_H
#define COVEY_APP_SETTINGS_H

/* From the configuration to what the cores and the I/O side take. */

#include "node/app/config.h"
#include "node/io/authn.h"
#include "node/io/authz.h"
#include "node/io/io.h"

/* The node's own settings; views into conf, which outlives them. */
struct settings settings_of(const struct config *conf);
/* The same with a listener's own limits over them. */
struct settings settings_of_listener(const struct config *conf, const struct config_listener *l);
/* Who checks clients and what they may; views into conf. */
struct authn_conf authn_conf_of(const struct config *conf, struct log_sink *log);
struct authz_conf authz_conf_of(const struct config *conf);
/* Strings made on the way. */
struct config_strings {
    char *ciphers;
    char *ciphersuites;
};

/* Fills out; the strings it needs beyond conf's are in *held, freed by the caller. */
void listener_conf_of(struct io_listener_conf *out, const struct config_listener *l,
                      const struct settings *settings, struct config_strings *held);

#endif
