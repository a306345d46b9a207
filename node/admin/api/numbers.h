/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_NUMBERS_H
#define COVEY_ADMIN_API_NUMBERS_H

/* Figures by name, and sums of objects of numbers. */

#include "node/admin/api/json.h"
#include "node/core/sys.h"

/* 0: there is none of this name. */
uint64_t numbers_find(const struct sys_figure *v, uint32_t n, const char *name);
/* Adds the numbers in `from` to those of the same names in `sum`. */
void numbers_add(json_t *sum, const json_t *from);

#endif
