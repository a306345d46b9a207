/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_arena.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_piece {
    struct arena_piece *next;
    max_align_t data[];
};

struct config_arena {
    struct arena_piece *pieces;
};

struct config_arena *config_arena_new(void)
{
    return mem_zalloc(sizeof(struct config_arena));
}

void config_arena_free(struct config_arena *a)
{
    if (!a)
        return;
    for (struct arena_piece *p = a->pieces, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    free(a);
}

void *config_arena_alloc(struct config_arena *a, size_t n)
{
    struct arena_piece *p = mem_zalloc(sizeof *p + n);
    p->next = a->pieces;
    a->pieces = p;
    return p->data;
}

char *config_arena_dup(struct config_arena *a, const char *s, size_t n)
{
    char *d = config_arena_alloc(a, n + 1);
    if (n)
        memcpy(d, s, n);
    return d;
}

char *config_arena_str(struct config_arena *a, const char *s)
{
    return config_arena_dup(a, s, strlen(s));
}

char *config_arena_vprintf(struct config_arena *a, const char *fmt, va_list ap)
{
    char *made = NULL;
    int n = vasprintf(&made, fmt, ap);
    CHECK(n >= 0);
    char *s = config_arena_dup(a, made, (size_t)n);
    free(made);
    return s;
}

char *config_arena_printf(struct config_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = config_arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}
