/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CLI_ADMINS_H
#define COVEY_APP_CLI_ADMINS_H

/* `covey ctl admins add` and `passwd`: the password of a user of the dashboard is asked for here and goes to
 * the node as a hash, so that it is in no log, on no socket and in no list of processes. One that stands
 * among the words, as scripts of other brokers have it, is taken and wiped there. */

#include "node/app/cli.h"

enum { CLI_ADMINS_WORDS_MAX = 6 };

struct cli_admins {
    const char *words[CLI_ADMINS_WORDS_MAX]; /* what is sent */
    size_t n;
    char hash[128];
};

/* Is it one of the two? */
bool cli_admins_concerns(const char *const *words, size_t n);
/* NULL: *a is to be sent; else what is wrong. words: of main(), for they may be wiped. */
const char *cli_admins_read(struct cli_admins *a, const char *const *words, size_t n);

#endif
