/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_SHOW_H
#define COVEY_APP_CONFIG_SHOW_H

/* The configuration and the table of keys for people to read. What is printed as "key: value" can be put into
 * a configuration file as it is. */

#include "node/app/config_load.h"

/* Every value in force and where it came from, one line each. */
void config_show(const struct config *conf, FILE *out);
/* All about one key, or the keys under a section. ERR_NOTFOUND: there is neither; nothing was printed. */
MUST_USE enum err config_explain(const struct config *conf, const char *path, FILE *out);
/* Every key there is: default and meaning, one line each. */
void config_keys_show(FILE *out);
/* A configuration file with every key at its default, commented out. */
void config_default_show(FILE *out);
/* Listeners of all kinds share keys: true when a key before number `at` of config_keys says the same. */
bool config_key_is_said(size_t at);

#endif
