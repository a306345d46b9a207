/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PATTERN_H
#define COVEY_CORE_PATTERN_H

/* Regular expressions (PCRE2) for names that strangers choose. A match takes a bounded time and memory
 * whatever the expression and the name are. */

#include "proto/base/bytes.h"

enum { PATTERN_BYTES_MAX = 1024 };

struct pattern;

/* NULL: not an expression, too long, or too deeply nested; the text in why (if any) says what is wrong. */
struct pattern *pattern_new(struct bytes text, char *why, size_t why_n);
void pattern_free(struct pattern *p); /* NULL is fine */

/* PATTERN_UNDECIDED: a limit was reached, or the name is not UTF-8. */
enum pattern_verdict { PATTERN_NO, PATTERN_YES, PATTERN_UNDECIDED };
/* Is it anywhere in the name? */
enum pattern_verdict pattern_find(const struct pattern *p, struct bytes name);
/* The same; groups[0] is what was found, groups[1] the first part in parentheses..: views of name, empty
 * where there is none. n: at most PATTERN_GROUPS. */
enum { PATTERN_GROUPS = 10 };
enum pattern_verdict pattern_groups(const struct pattern *p, struct bytes name, struct bytes *groups,
                                    uint32_t n);

#endif
