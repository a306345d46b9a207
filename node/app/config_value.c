/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_value.h"

#include "node/app/config_number.h"
#include "proto/base/check.h"
#include "proto/topic/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { STRING_BYTES_MAX = 4096 };

/* Enums are stored through an int of the same size. */
_Static_assert(sizeof(enum store_sync) == sizeof(int), "an enum is as large as an int");

/* One line of UTF-8: values are printed, and some of them go to clients. */
static bool text_is_plain(const char *text)
{
    for (const char *s = text; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    }
    return utf8_is_valid(bytes_str(text));
}

static bool bool_parse(const char *text, uint64_t *out)
{
    static const char *const words[] = {"false", "true", "off", "on"};
    for (size_t i = 0; i < array_len(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out = i & 1;
            return true;
        }
    }
    return false;
}

static bool choice_find(const char *const *choices, const char *word, uint64_t *out)
{
    for (uint64_t i = 0; choices[i]; i++) {
        if (strcmp(choices[i], word) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* The micro- or milliseconds of the field are made of microseconds without rounding. */
static bool duration_parse(const struct config_key *key, const char *text, uint64_t *out)
{
    uint64_t resolution = key->flags & CONFIG_F_MICROS ? 1 : 1000;
    uint64_t us;
    if (!config_number_duration(text, key->flags & CONFIG_F_SECONDS ? 1000000 : 1000, &us))
        return false;
    *out = us / resolution;
    return us % resolution == 0;
}

static bool number_parse(const struct config_key *key, const char *text, uint64_t *out)
{
    switch (key->type) {
    case CONFIG_INT:
        return config_number_int(text, out);
    case CONFIG_DECIMAL:
        return config_number_decimal(text, out);
    case CONFIG_DURATION:
        return duration_parse(key, text, out);
    case CONFIG_SIZE:
        return config_number_size(text, out);
    case CONFIG_RATE:
        return key->flags & CONFIG_F_BYTES ? config_number_byte_rate(text, out)
                                           : config_number_rate(text, out);
    case CONFIG_BOOL:
    case CONFIG_ENUM:
    case CONFIG_SET:
    case CONFIG_STRING:
    case CONFIG_PATH:
    case CONFIG_ADDR:
    case CONFIG_LIST:
        break;
    }
    check_failed(__FILE__, __LINE__, "not a number");
}

/* A number, or one of the words that stand for one, within the key's bounds. */
static bool bounded_parse(const struct config_key *key, const char *text, uint64_t *out)
{
    if ((key->flags & CONFIG_F_INFINITY) && strcasecmp(text, "infinity") == 0) {
        *out = CONFIG_INFINITY;
        return true;
    }
    if ((key->flags & CONFIG_F_DISABLED) && strcasecmp(text, "disabled") == 0) {
        *out = 0;
        return true;
    }
    if (!number_parse(key, text, out))
        return false;
    if ((key->flags & CONFIG_F_ZERO_INF) && *out == 0) {
        *out = CONFIG_INFINITY;
        return true;
    }
    return *out >= key->min && *out <= key->max;
}

static size_t trim(const char **s, size_t n)
{
    while (n && (**s == ' ' || **s == '\t')) {
        (*s)++;
        n--;
    }
    while (n && ((*s)[n - 1] == ' ' || (*s)[n - 1] == '\t'))
        n--;
    return n;
}

/* Brackets stand only around the address in "[::1]:7946". */
static bool is_element(const char *word, size_t n)
{
    const char *end = n && word[0] == '[' ? memchr(word, ']', n) : NULL;
    size_t at = end ? (size_t)(end - word) + 1 : 0;
    if (end && (at == n || word[at] != ':' || memchr(word + 1, '[', at - 1)))
        return false;
    return n && !memchr(word + at, '[', n - at) && !memchr(word + at, ']', n - at);
}

/* "[a, b]" or "a, b"; false when an element is empty or a bracket is missing. */
static bool list_parse(const char *text, struct config_list *out, struct config_arena *arena)
{
    size_t n = trim(&text, strlen(text)), elements_max = 1;
    if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n = trim(&text, n - 2);
    }
    *out = (struct config_list){NULL, 0};
    if (n == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        elements_max += text[i] == ',';
    const char **v = config_arena_alloc(arena, elements_max * sizeof *v);
    const char *end = text + n;
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *word = text;
        size_t word_n = trim(&word, (size_t)((comma ? comma : end) - text));
        if (!is_element(word, word_n))
            return false;
        v[out->n++] = config_arena_dup(arena, word, word_n);
        if (!comma)
            break;
        text = comma + 1;
    }
    out->v = v;
    return true;
}

static bool set_parse(const struct config_key *key, const char *text, uint64_t *out,
                      struct config_arena *arena)
{
    struct config_list list;
    *out = 0;
    if (!list_parse(text, &list, arena) || list.n == 0)
        return false;
    for (size_t i = 0; i < list.n; i++) {
        uint64_t bit;
        if (!choice_find(key->choices, list.v[i], &bit))
            return false;
        *out |= 1ull << bit;
    }
    return true;
}

static bool string_parse(const struct config_key *key, const char *text, const char **out,
                         struct config_arena *arena)
{
    size_t n = strlen(text);
    size_t most = key->max && key->max < STRING_BYTES_MAX ? key->max : STRING_BYTES_MAX;
    if (n < key->min || n > most)
        return false;
    if ((key->flags & CONFIG_F_URL_PATH) && (text[0] != '/' || strpbrk(text, " ?#")))
        return false;
    *out = config_arena_str(arena, text);
    return true;
}

bool config_value_parse(struct config_value *out, const struct config_key *key, const char *text,
                        struct config_arena *arena)
{
    *out = (struct config_value){.s = ""};
    if ((key->flags & CONFIG_F_AUTO) && strcasecmp(text, "auto") == 0) {
        out->is_auto = true;
        return true;
    }
    if (!text_is_plain(text))
        return false;
    switch (key->type) {
    case CONFIG_BOOL:
        return bool_parse(text, &out->u);
    case CONFIG_INT:
    case CONFIG_DECIMAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_RATE:
        return bounded_parse(key, text, &out->u);
    case CONFIG_ENUM:
        return choice_find(key->choices, text, &out->u);
    case CONFIG_SET:
        return set_parse(key, text, &out->u, arena);
    case CONFIG_STRING:
    case CONFIG_PATH:
        return string_parse(key, text, &out->s, arena);
    case CONFIG_ADDR:
        return config_addr_parse(&out->addr, text);
    case CONFIG_LIST:
        return list_parse(text, &out->list, arena) && out->list.n <= key->max;
    }
    return false;
}

void config_value_store(const struct config_key *key, const struct config_value *v, void *base)
{
    char *field = (char *)base + key->offset;
    int word = (int)v->u;
    bool yes = v->u != 0;
    switch (key->type) {
    case CONFIG_BOOL:
        memcpy(field, &yes, sizeof yes);
        return;
    case CONFIG_ENUM:
        memcpy(field, &word, sizeof word);
        return;
    case CONFIG_INT:
    case CONFIG_DECIMAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_RATE:
    case CONFIG_SET:
        memcpy(field, &v->u, sizeof v->u);
        return;
    case CONFIG_STRING:
    case CONFIG_PATH:
        memcpy(field, &v->s, sizeof v->s);
        return;
    case CONFIG_ADDR:
        memcpy(field, &v->addr, sizeof v->addr);
        return;
    case CONFIG_LIST:
        memcpy(field, &v->list, sizeof v->list);
        return;
    }
}

void config_value_fetch(const struct config_key *key, struct config_value *v, const void *base)
{
    const char *field = (const char *)base + key->offset;
    int word;
    bool yes;
    *v = (struct config_value){.s = ""};
    switch (key->type) {
    case CONFIG_BOOL:
        memcpy(&yes, field, sizeof yes);
        v->u = yes;
        return;
    case CONFIG_ENUM:
        memcpy(&word, field, sizeof word);
        v->u = (uint64_t)word;
        return;
    case CONFIG_INT:
    case CONFIG_DECIMAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_RATE:
    case CONFIG_SET:
        memcpy(&v->u, field, sizeof v->u);
        return;
    case CONFIG_STRING:
    case CONFIG_PATH:
        memcpy(&v->s, field, sizeof v->s);
        return;
    case CONFIG_ADDR:
        memcpy(&v->addr, field, sizeof v->addr);
        return;
    case CONFIG_LIST:
        memcpy(&v->list, field, sizeof v->list);
        return;
    }
}
