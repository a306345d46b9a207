/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_number.h"

#include "proto/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"d", 86400000000}, {"h", 3600000000}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1},
};
/* The first five are what is printed. */
enum { SIZE_UNITS_PRINTED = 5 };
static const struct unit size_units[] = {
    {"TB", 1ull << 40},  {"GB", 1ull << 30},  {"MB", 1ull << 20},  {"KB", 1ull << 10},  {"B", 1},
    {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10},
};

/* Takes digits from *s; false when there are none or they do not fit. */
static bool digits_take(const char **s, uint64_t *out)
{
    const char *p = *s;
    uint64_t v = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return false;
    }
    if (p == *s)
        return false;
    *s = p;
    *out = v;
    return true;
}

bool config_number_int(const char *text, uint64_t *out)
{
    return digits_take(&text, out) && *text == 0;
}

bool config_number_decimal(const char *text, uint64_t *out)
{
    uint64_t whole, part = 0;
    if (!digits_take(&text, &whole))
        return false;
    if (*text == '.') {
        const char *start = ++text;
        if (!digits_take(&text, &part) || text - start > 2)
            return false;
        if (text - start == 1)
            part *= 10;
    }
    if (*text || __builtin_mul_overflow(whole, 100, &whole) || __builtin_add_overflow(whole, part, out))
        return false;
    return true;
}

/* The unit that is exactly the letters at s. */
static const struct unit *unit_find(const struct unit *units, size_t n, const char *s, size_t letters)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(units[i].name) == letters && strncasecmp(units[i].name, s, letters) == 0)
            return &units[i];
    }
    return NULL;
}

bool config_number_duration(const char *text, uint64_t plain_us, uint64_t *out_us)
{
    uint64_t sum = 0, v;
    uint64_t smaller_than = UINT64_MAX;
    if (config_number_int(text, &v))
        return !__builtin_mul_overflow(v, plain_us, out_us);
    while (*text) {
        if (!digits_take(&text, &v))
            return false;
        size_t letters = strcspn(text, "0123456789");
        const struct unit *u = unit_find(duration_units, array_len(duration_units), text, letters);
        if (!u || u->factor >= smaller_than)
            return false;
        if (__builtin_mul_overflow(v, u->factor, &v) || __builtin_add_overflow(sum, v, &sum))
            return false;
        smaller_than = u->factor;
        text += letters;
    }
    *out_us = sum;
    return smaller_than != UINT64_MAX;
}

bool config_number_size(const char *text, uint64_t *out)
{
    uint64_t v;
    if (!digits_take(&text, &v))
        return false;
    const struct unit *u = unit_find(size_units, array_len(size_units), text, strlen(text));
    if (*text && !u)
        return false;
    return !__builtin_mul_overflow(v, u ? u->factor : 1, out);
}

bool config_number_rate(const char *text, uint64_t *out)
{
    return digits_take(&text, out) && (*text == 0 || strcmp(text, "/s") == 0);
}

bool config_number_byte_rate(const char *text, uint64_t *out)
{
    char size[CONFIG_NUMBER_MAX];
    size_t n = strlen(text);
    if (n > 2 && strcmp(text + n - 2, "/s") == 0)
        n -= 2;
    if (n >= sizeof size)
        return false;
    memcpy(size, text, n);
    size[n] = 0;
    return config_number_size(size, out);
}

const char *config_number_put_decimal(char out[CONFIG_NUMBER_MAX], uint64_t hundredths)
{
    uint64_t whole = hundredths / 100, part = hundredths % 100;
    if (part == 0)
        snprintf(out, CONFIG_NUMBER_MAX, "%" PRIu64, whole);
    else if (part % 10 == 0)
        snprintf(out, CONFIG_NUMBER_MAX, "%" PRIu64 ".%" PRIu64, whole, part / 10);
    else
        snprintf(out, CONFIG_NUMBER_MAX, "%" PRIu64 ".%02" PRIu64, whole, part);
    return out;
}

/* In the largest unit that divides it. */
static const char *put_unit(char out[CONFIG_NUMBER_MAX], const struct unit *units, size_t n, uint64_t v)
{
    size_t i = 0;
    while (i + 1 < n && (v % units[i].factor != 0 || v == 0))
        i++;
    snprintf(out, CONFIG_NUMBER_MAX, "%" PRIu64 "%s", v / units[i].factor, units[i].name);
    return out;
}

const char *config_number_put_duration(char out[CONFIG_NUMBER_MAX], uint64_t us)
{
    if (us == 0) {
        snprintf(out, CONFIG_NUMBER_MAX, "0s");
        return out;
    }
    return put_unit(out, duration_units, array_len(duration_units), us);
}

const char *config_number_put_size(char out[CONFIG_NUMBER_MAX], uint64_t bytes)
{
    return put_unit(out, size_units, SIZE_UNITS_PRINTED, bytes);
}

const char *config_number_put_byte_rate(char out[CONFIG_NUMBER_MAX], uint64_t bytes)
{
    char size[CONFIG_NUMBER_MAX];
    put_unit(size, size_units, SIZE_UNITS_PRINTED, bytes);
    snprintf(out, CONFIG_NUMBER_MAX, "%.24s/s", size);
    return out;
}
