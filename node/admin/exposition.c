/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/exposition.h"

#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

void exposition_head(struct text *out, const char *name, const char *type, const char *help)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition_gauge(struct text *out, const char *name, uint64_t value, const char *help)
{
    exposition_head(out, name, "gauge", help);
    text_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

void exposition_label(struct text *out, const char *value)
{
    for (; *value; value++)
        text_printf(out, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
}

/* Does the pattern fit; where is what its '*' stands for? */
static bool fits(const char *pattern, const char *figure, const char **label, size_t *label_n)
{
    const char *star = strchr(pattern, '*');
    size_t n = strlen(figure);
    *label_n = 0;
    if (!star)
        return strcmp(pattern, figure) == 0;
    size_t before = (size_t)(star - pattern), behind = strlen(star + 1);
    if (n <= before + behind || memcmp(figure, pattern, before) != 0 ||
        strcmp(figure + n - behind, star + 1) != 0)
        return false;
    *label = figure + before;
    *label_n = n - before - behind;
    return true;
}

const struct family *family_of(const char *figure, const char **label, size_t *label_n)
{
    for (const struct family *f = families; f->figures; f++)
        if (fits(f->figures, figure, label, label_n))
            return f;
    return NULL;
}

static void value_put(struct text *out, const struct family *f, uint64_t value)
{
    if (f->divisor)
        text_printf(out, " %g\n", (double)value / f->divisor);
    else
        text_printf(out, " %llu\n", (unsigned long long)value);
}

struct line {
    const struct family *family; /* NULL: not shown */
    const char *label;
    size_t label_n;
};

static void family_put(struct text *out, const struct family *f, const struct sys_figure *v,
                       const struct line *lines, uint32_t n)
{
    size_t name_n = strlen(f->name);
    bool has_head = false, is_counter = name_n > 6 && strcmp(f->name + name_n - 6, "_total") == 0;
    for (uint32_t i = 0; i < n; i++) {
        if (lines[i].family != f)
            continue;
        if (!has_head)
            exposition_head(out, f->name, is_counter ? "counter" : "gauge", f->help);
        has_head = true;
        text_add(out, f->name);
        if (f->label)
            text_printf(out, "{%s=\"%.*s\"}", f->label, (int)lines[i].label_n, lines[i].label);
        value_put(out, f, v[i].value);
    }
}

void exposition_figures(struct text *out, const struct sys_figure *v, uint32_t n)
{
    struct line *lines = mem_zalloc(n * sizeof *lines);
    for (uint32_t i = 0; i < n; i++)
        lines[i].family = family_of(v[i].name, &lines[i].label, &lines[i].label_n);
    for (const struct family *f = families; f->figures; f++)
        if (f->name)
            family_put(out, f, v, lines, n);
    free(lines);
}
