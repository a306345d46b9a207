/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_WHEN_H
#define COVEY_ADMIN_API_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* A time of RFC 3339, as "2026-11-23T10:00:00.123+01:00", in milliseconds since 1970. False: it is none, or
 * before 1970. */
bool when_read(const char *text, uint64_t *wall_ms);

#endif
