/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_ARENA_H
#define COVEY_APP_CONFIG_ARENA_H

/* Memory that is given back as a whole: the strings and lists of one configuration. What goes in comes from
 * a file of limited size, so an allocation cannot fail but by a CHECK. */

#include <stdarg.h>
#include <stddef.h>

struct config_arena;

struct config_arena *config_arena_new(void);
void config_arena_free(struct config_arena *a); /* NULL is fine */

void *config_arena_alloc(struct config_arena *a, size_t n); /* cleared */
char *config_arena_dup(struct config_arena *a, const char *s, size_t n);
char *config_arena_str(struct config_arena *a, const char *s);
char *config_arena_printf(struct config_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *config_arena_vprintf(struct config_arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

#endif
