/* SPDX-License-Identifier: Apache-2.0 */
/* A benchmark that cannot go on says why and exits: 1 for a usage or set-up error, 2 for a broken promise. */
#ifndef BENCH_LOAD_DIE_H
#define BENCH_LOAD_DIE_H

#include <stddef.h>

enum bench_exit { BENCH_EXIT_OK = 0, BENCH_EXIT_SETUP = 1, BENCH_EXIT_BROKEN = 2 };

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Allocate or die; never NULL. The memory of die_calloc is zeroed. */
void *die_calloc(size_t count, size_t size);
void *die_realloc(void *old, size_t size);

#endif
