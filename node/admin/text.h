/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_TEXT_H
#define COVEY_ADMIN_TEXT_H

/* Growing text. What came from a client goes in escaped, so that a line stays a line. */

#include "proto/base/bytes.h"

struct text {
    char *p; /* not terminated */
    size_t n;
    size_t cap;
};

void text_fini(struct text *t);
void text_add(struct text *t, const char *s);
void text_append(struct text *t, struct bytes b); /* as they are */
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As a JSON string, quotes included. What is not UTF-8 becomes '?'. */
void text_json(struct text *t, struct bytes b);
/* As log_escape(), of any length; the ASCII characters in `also` become \xNN too. */
void text_escaped(struct text *t, struct bytes b, const char *also);
/* "2026-01-31T12:00:00Z", of the wall clock's milliseconds. Returns out. */
enum { TEXT_TIME_N = 32 };
const char *text_time(char out[TEXT_TIME_N], uint64_t wall_ms);

#endif
