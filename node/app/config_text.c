/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_number.h"
#include "node/app/config_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *number_text(const struct config_key *key, uint64_t u, struct config_arena *arena)
{
    char buf[CONFIG_NUMBER_MAX];
    if (key->type == CONFIG_DURATION)
        config_number_put_duration(buf, key->flags & CONFIG_F_MICROS ? u : u * 1000);
    else if (key->type == CONFIG_SIZE)
        config_number_put_size(buf, u);
    else if (key->flags & CONFIG_F_BYTES)
        config_number_put_byte_rate(buf, u);
    else if (key->type == CONFIG_DECIMAL)
        config_number_put_decimal(buf, u);
    else
        snprintf(buf, sizeof buf, "%" PRIu64 "%s", u, key->type == CONFIG_RATE ? "/s" : "");
    return config_arena_str(arena, buf);
}

/* Joins words as "[a, b]". */
static const char *list_text(const char *const *v, size_t n, struct config_arena *arena)
{
    size_t bytes = 3;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(v[i]) + 2;
    char *out = config_arena_alloc(arena, bytes);
    size_t o = (size_t)snprintf(out, bytes, "[");
    for (size_t i = 0; i < n; i++)
        o += (size_t)snprintf(out + o, bytes - o, "%s%s", i ? ", " : "", v[i]);
    snprintf(out + o, bytes - o, "]");
    return out;
}

static const char *set_text(const struct config_key *key, uint64_t set, struct config_arena *arena)
{
    const char *words[64];
    size_t n = 0;
    for (unsigned i = 0; i < 64 && key->choices[i]; i++) {
        if (set >> i & 1)
            words[n++] = key->choices[i];
    }
    return list_text(words, n, arena);
}

const char *config_value_text(const struct config_key *key, const struct config_value *v,
                              struct config_arena *arena)
{
    if (v->is_auto)
        return "auto";
    switch (key->type) {
    case CONFIG_BOOL:
        return v->u ? "true" : "false";
    case CONFIG_ENUM:
        return key->choices[v->u];
    case CONFIG_INT:
    case CONFIG_DECIMAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_RATE:
        if (v->u == CONFIG_INFINITY)
            return "infinity";
        if (v->u == 0 && (key->flags & CONFIG_F_DISABLED))
            return "disabled";
        return number_text(key, v->u, arena);
    case CONFIG_SET:
        return set_text(key, v->u, arena);
    case CONFIG_STRING:
    case CONFIG_PATH:
        return v->s;
    case CONFIG_ADDR:
        return config_addr_text(&v->addr, arena);
    case CONFIG_LIST:
        return list_text(v->list.v, v->list.n, arena);
    }
    return "";
}

/* "one of a, b, c" */
static const char *choices_text(const struct config_key *key, const char *lead, struct config_arena *arena)
{
    const char *out = config_arena_printf(arena, "%s %s", lead, key->choices[0]);
    for (size_t i = 1; key->choices[i]; i++)
        out = config_arena_printf(arena, "%s, %s", out, key->choices[i]);
    return out;
}

static const char *kind_text(const struct config_key *key, struct config_arena *arena)
{
    const char *from = number_text(key, key->min, arena);
    const char *to = number_text(key, key->max, arena);
    switch (key->type) {
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_ENUM:
        return choices_text(key, "one of", arena);
    case CONFIG_SET:
        return choices_text(key, "a list of", arena);
    case CONFIG_INT:
    case CONFIG_DECIMAL:
        return config_arena_printf(arena, "a number from %s to %s", from, to);
    case CONFIG_DURATION:
        return config_arena_printf(arena, "a duration from %s to %s such as 500ms, 15s, 2h", from, to);
    case CONFIG_SIZE:
        return config_arena_printf(arena, "a size from %s to %s such as 64KB, 1MB", from, to);
    case CONFIG_RATE:
        return config_arena_printf(arena, "a rate from %s to %s", from, to);
    case CONFIG_STRING:
        if (key->flags & CONFIG_F_URL_PATH)
            return "a path that starts with /";
        return key->min ? config_arena_printf(arena, "a text of 1 to %" PRIu64 " characters", key->max)
                        : "a text of one line";
    case CONFIG_PATH:
        return "the path of a file or folder";
    case CONFIG_ADDR:
        return "an address such as 127.0.0.1:1883, [::1]:1883, :1883";
    case CONFIG_LIST:
        return config_arena_printf(arena, "a list of at most %" PRIu64 " words such as [a, b]", key->max);
    }
    return "";
}

const char *config_value_allowed(const struct config_key *key, struct config_arena *arena)
{
    const char *out = kind_text(key, arena);
    if (key->flags & CONFIG_F_ZERO_INF)
        out = config_arena_printf(arena, "%s, or 0 or infinity for no limit", out);
    else if (key->flags & CONFIG_F_INFINITY)
        out = config_arena_printf(arena, "%s, or infinity", out);
    if (key->flags & CONFIG_F_DISABLED)
        out = config_arena_printf(arena, "%s, or disabled", out);
    if (key->flags & CONFIG_F_AUTO)
        out = config_arena_printf(arena, "%s, or auto", out);
    return out;
}
