/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_MQTT_HEX_H
#define COVEY_TESTS_MQTT_HEX_H

/* Packets as tests write them: hex bytes, 'text', spaces for the eye, and (..) for a block with its length in
 * front as a variable byte integer. "0004 'MQTT' 05" is what it looks like. Bodies lie in memory of just
 * their size, so that the address sanitizer sees a read behind them. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/base/bytes.h"
#include "proto/mqtt/packet.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

static inline unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    fail_msg("'%c' is no hex digit", c);
    return 0;
}

/* Writes what [s, end) says to out, or only counts when out is NULL. */
static inline uint32_t hex_range(uint8_t *out, const char *s, const char *end)
{
    uint32_t n = 0;

    while (s < end) {
        if (*s == ' ') {
            s++;
        } else if (*s == '\'') {
            for (s++; *s != '\''; s++, n++) {
                assert_true(s + 1 < end);
                if (out)
                    out[n] = (uint8_t)*s;
            }
            s++;
        } else if (*s == '(') {
            const char *close = strchr(s, ')');
            assert_non_null(close);
            uint8_t length[4];
            uint32_t inner_n = hex_range(NULL, s + 1, close);
            uint32_t length_n = (uint32_t)(varint_put(length, inner_n) - length);
            if (out) {
                memcpy(out + n, length, length_n);
                hex_range(out + n + length_n, s + 1, close);
            }
            n += length_n + inner_n;
            s = close + 1;
        } else {
            assert_true(s + 1 < end);
            if (out)
                out[n] = (uint8_t)(hex_digit(s[0]) << 4 | hex_digit(s[1]));
            n++;
            s += 2;
        }
    }
    return n;
}

static inline uint32_t hex_put(uint8_t *out, const char *text)
{
    return hex_range(out, text, text + strlen(text));
}

struct buf {
    uint8_t *p; /* n bytes and not one more, from malloc */
    uint32_t n;
};

static inline struct buf buf_copy(const uint8_t *p, uint32_t n)
{
    struct buf b = {malloc(n ? n : 1), n};

    assert_non_null(b.p);
    if (n)
        memcpy(b.p, p, n);
    return b;
}

static inline struct buf buf_hex(const char *text)
{
    struct buf b = {NULL, hex_put(NULL, text)};

    b.p = malloc(b.n ? b.n : 1);
    assert_non_null(b.p);
    hex_put(b.p, text);
    return b;
}

static inline void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

/* For messages of failing rows. */
static inline void hex_print(const char *label, const uint8_t *p, size_t n)
{
    char line[3 * 64 + 1] = "";

    for (size_t i = 0; i < n && i < 64; i++)
        snprintf(line + 3 * i, 4, "%02x ", p[i]);
    print_error("%s: %s(%zu bytes)\n", label, line, n);
}

static inline void assert_wire(const uint8_t *p, const uint8_t *end, const char *want)
{
    struct buf w = buf_hex(want);
    size_t n = (size_t)(end - p);

    if (n != w.n || (n && memcmp(p, w.p, n) != 0)) {
        hex_print("got ", p, n);
        hex_print("want", w.p, w.n);
        fail_msg("other bytes than '%s'", want);
    }
    buf_free(&w);
}

static inline void assert_view(struct bytes b, const char *want)
{
    if (!bytes_eq(b, bytes_str(want)))
        fail_msg("'%.*s' is not '%s'", (int)b.n, b.n ? (const char *)b.p : "", want);
}

/* One row of a table of faults: what is decoded, and what must come of it. RC_SUCCESS: it is in order. */
struct fault_row {
    const char *rule; /* ids of the standard, or why */
    enum mqtt_version version;
    const char *body;
    enum reason code;
};

static inline void assert_fault(const struct fault_row *row, bool is_ok, const struct fault *f)
{
    if (is_ok != (row->code == RC_SUCCESS))
        fail_msg("%s: decoded as %s: %s", row->rule, is_ok ? "valid" : reason_name(f->code), row->body);
    if (is_ok)
        return;
    if (f->code != row->code)
        fail_msg("%s: 0x%02x instead of 0x%02x, '%s': %s", row->rule, (unsigned)f->code, (unsigned)row->code,
                 f->text, row->body);
    assert_non_null(f->text);
    assert_true(strlen(f->text) > 15);
}

#endif
