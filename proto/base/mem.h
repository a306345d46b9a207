/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_MEM_H
#define COVEY_BASE_MEM_H

/* Allocation for sizes that this program chooses: they cannot fail but by a CHECK. Where a peer chooses the
 * size, limit it first; where a failure can be answered, use malloc and look at the result. */

#include <stddef.h>

#define NEVER_NULL __attribute__((returns_nonnull))

NEVER_NULL void *mem_alloc(size_t n);              /* not cleared */
NEVER_NULL void *mem_zalloc(size_t n);             /* cleared */
NEVER_NULL void *mem_realloc(void *p, size_t n);   /* p may be NULL */
NEVER_NULL void *mem_dup(const void *p, size_t n); /* a copy with one NUL byte behind it */
NEVER_NULL char *mem_text(const char *s);          /* a copy */

#endif
