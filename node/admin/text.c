/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/text.h"

#include "proto/base/check.h"
#include "proto/base/log.h"
#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* So many bytes never fill what log_escape() writes to: each becomes four at most. */
enum { PIECE = 60 };

void text_fini(struct text *t)
{
    free(t->p);
    *t = (struct text){0};
}

static char *text_room(struct text *t, size_t n)
{
    if (t->cap - t->n < n) {
        t->cap = (t->cap + n) * 2;
        t->p = mem_realloc(t->p, t->cap);
    }
    return t->p + t->n;
}

void text_append(struct text *t, struct bytes b)
{
    bytes_put((uint8_t *)text_room(t, b.n), b);
    t->n += b.n;
}

void text_add(struct text *t, const char *s)
{
    text_append(t, bytes_str(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    CHECK(n >= 0);
    vsnprintf(text_room(t, (size_t)n + 1), (size_t)n + 1, fmt, again);
    t->n += (size_t)n;
    va_end(again);
    va_end(ap);
}

/* How many bytes to escape at once, without cutting a character in two. */
static uint32_t piece_size(struct bytes b, const char *also)
{
    uint32_t n = 0;
    while (n < b.n && n < PIECE && !(b.p[n] < 0x80 && strchr(also, b.p[n])))
        n++;
    for (unsigned back = 0; n < b.n && n > 3 && (b.p[n] & 0xc0) == 0x80 && back < 3; back++)
        n--;
    return n;
}

void text_escaped(struct text *t, struct bytes b, const char *also)
{
    char out[LOG_ESCAPED_MAX];
    while (b.n) {
        uint32_t n = piece_size(b, also);
        if (n) {
            text_add(t, log_escape(out, bytes_of(b.p, n)));
        } else {
            text_printf(t, "\\x%02x", b.p[0]);
            n = 1;
        }
        b = bytes_of(b.p + n, b.n - n);
    }
}

void text_json(struct text *t, struct bytes b)
{
    bool is_utf8 = utf8_is_valid(b);
    text_add(t, "\"");
    for (uint32_t i = 0; i < b.n; i++) {
        uint8_t c = b.p[i];
        if (c == '"' || c == '\\')
            text_printf(t, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            text_printf(t, "\\u%04x", c);
        else
            text_printf(t, "%c", c >= 0x80 && !is_utf8 ? '?' : c);
    }
    text_add(t, "\"");
}

const char *text_time(char out[TEXT_TIME_N], uint64_t wall_ms)
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&s, &tm) || strftime(out, TEXT_TIME_N, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(out, TEXT_TIME_N, "-");
    return out;
}
