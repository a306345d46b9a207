/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_SUGGEST_H
#define COVEY_APP_CONFIG_SUGGEST_H

/* What somebody who wrote a key that does not exist may have meant. */

#include "node/app/config_arena.h"

/* The key or section nearest to path, names of the user's kept; NULL when nothing is near. */
const char *config_suggest(const char *path, struct config_arena *arena);
/* For keys that other brokers have and this one leaves out on purpose: what to do instead. NULL for others.
 */
const char *config_suggest_instead(const char *path);
/* Edits (insert, delete, replace, swap neighbours) from a to b, or anything above most when it is more. */
unsigned config_suggest_distance(const char *a, const char *b, unsigned most);

#endif
