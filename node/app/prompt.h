/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_PROMPT_H
#define COVEY_APP_PROMPT_H

/* What is typed at a terminal, or comes on standard input when that is none. */

#include <stdio.h>
#include <sys/types.h>

/* A line without its newline, ends with NUL; -1: none, or too long. */
ssize_t prompt_line(FILE *f, char *buf, size_t cap);

enum { PROMPT_PASSWORD_MAX = 65535 };
/* A password of at most PROMPT_PASSWORD_MAX bytes, ends with NUL; at a terminal without echo, and twice.
 * NULL: *out has it, for the caller to wipe, with its length in *n; else what is wrong. */
const char *prompt_password(char out[PROMPT_PASSWORD_MAX + 2], size_t *n);

#endif
