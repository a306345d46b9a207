/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mem.h"

#include "proto/base/check.h"

#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    CHECK(p != NULL);
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    CHECK(p != NULL);
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    CHECK(p != NULL);
    return p;
}

void *mem_dup(const void *p, size_t n)
{
    char *d = mem_alloc(n + 1);
    if (n)
        memcpy(d, p, n);
    d[n] = 0;
    return d;
}

char *mem_text(const char *s)
{
    return mem_dup(s, strlen(s));
}
