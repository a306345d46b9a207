/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_AUDIT_H
#define COVEY_ADMIN_API_AUDIT_H

/* Who changed what: every call that is not a GET, and every login, as a line of the log and in a list of the
 * last ones. No bodies: they hold passwords and payloads. */

#include "node/admin/api/call.h"

enum { AUDIT_ENTRIES_MAX = 1000 };

struct audit;
struct audit *audit_new(void);
void audit_free(struct audit *a); /* NULL is fine */
/* path: as it was asked for. user: "" where nobody has logged in. */
void audit_add(struct audit *a, const struct api_who *who, enum api_method method, const char *path,
               int status, struct log_sink *log);
/* The newest first, from number `skip` on. */
json_t *audit_list(const struct audit *a, uint64_t skip, uint32_t take);
uint32_t audit_count(const struct audit *a);

#endif
