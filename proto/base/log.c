/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/log.h"

#include "proto/base/check.h"

#include <stdio.h>

static const char *const level_names[] = {"debug", "info", "notice", "warning", "error"};

void log_line(struct log_sink *sink, enum log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    sink->write(sink, level, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_find(const char *word, enum log_level *level)
{
    for (size_t i = 0; i < array_len(level_names); i++) {
        if (strcmp(word, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Length of the well-formed UTF-8 character at p, or 0. */
static unsigned utf8_char(const uint8_t *p, uint32_t left, uint32_t *cp)
{
    unsigned n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (n == 1) {
        *cp = p[0];
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
        return 0;
    uint32_t v = p[0] & (0x7fu >> n);
    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3fu);
    }
    if ((n == 3 && v < 0x800) || (n == 4 && v < 0x10000) || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *cp = v;
    return n;
}

/* Characters that change how the rest of a line reads: controls, line separators, direction marks. */
static bool is_unsafe(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == '"' || cp == '\\' ||
           (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
           (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff || cp == 0x61c;
}

const char *log_escape(char out[LOG_ESCAPED_MAX], struct bytes b)
{
    size_t o = 0;
    for (uint32_t i = 0; i < b.n;) {
        char piece[16];
        uint32_t cp = 0;
        unsigned n = utf8_char(b.p + i, b.n - i, &cp);
        int len;
        if (n == 0)
            len = snprintf(piece, sizeof piece, "\\x%02x", b.p[i]);
        else if (is_unsafe(cp) && cp < 0x80)
            len = snprintf(piece, sizeof piece, "\\x%02x", (unsigned)cp);
        else if (is_unsafe(cp))
            len = snprintf(piece, sizeof piece, "\\u{%x}", (unsigned)cp);
        else
            len = snprintf(piece, sizeof piece, "%.*s", (int)n, (const char *)b.p + i);
        if (o + (size_t)len > LOG_ESCAPED_MAX - 3) {
            memcpy(out + o, "..", 2);
            o += 2;
            break;
        }
        memcpy(out + o, piece, (size_t)len);
        o += (size_t)len;
        i += n ? n : 1;
    }
    out[o] = 0;
    return out;
}
