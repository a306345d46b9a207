/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_EXPAND_H
#define COVEY_CORE_EXPAND_H

/* Topics that are made from a template of the configuration: ${clientid} or %c, ${username} or %u,
 * ${cert_common_name}, and $1 to $9 for what an expression has found. Names are taken literally: one that is
 * empty or has + or # in it makes no topic, so that nobody gets a wildcard by his name. */

#include "proto/base/bytes.h"

enum { EXPAND_GROUPS = 10, EXPAND_BYTES_MAX = 65535 };

struct expand_names {
    struct bytes client_id;
    struct bytes username;         /* n 0: none */
    const struct bytes *groups;    /* EXPAND_GROUPS of them; NULL: $1 stands for itself */
    const struct bytes *cert_name; /* NULL: ${cert_common_name} stands for itself */
};

/* Writes at most EXPAND_BYTES_MAX bytes to out. False: it comes to no topic. */
bool topic_expand(struct bytes template, const struct expand_names *names, uint8_t *out, uint32_t *n);

/* Rules stand in one text, separated by semicolons: the next one from *at on, without blanks around it.
 * False: that was all. */
bool rule_next(const char *text, size_t *at, struct bytes *rule);
/* The next word of a rule, which moves on behind it; n 0: there is none. */
struct bytes rule_word(struct bytes *rule);

#endif
