/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_ACCESS_H
#define COVEY_IO_ACCESS_H

/* Which addresses a listener speaks to: rules like "allow 10.0.0.0/8" and "deny all", of which the first that
 * fits decides. Where none fits the address is allowed. */

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct access;

/* What is wrong with a rule; NULL: nothing. */
const char *access_rule_judge(const char *rule);
/* Likewise with an address or network of a list of them. */
const char *access_net_judge(const char *net);

/* Rules that access_rule_judge() has found good; NULL when there is none. free() it. */
struct access *access_new(const char *const *rules, size_t n);
/* A list of networks, all others are denied; NULL when there is none. free() it. */
struct access *access_new_nets(const char *const *nets, size_t n);

/* NULL allows all, and so does an address that is no IP address. */
bool access_allows(const struct access *a, const struct sockaddr_storage *addr);

#endif
