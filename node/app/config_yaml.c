/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_build.h"

#include "proto/base/check.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* Only the plain part of YAML is taken: one document of nested maps, with scalars and lists of scalars for
 * values. No anchors, aliases or tags: they could make a small file huge, and nobody needs them here. The
 * nesting is bounded by that of the keys, since an unknown section is skipped as a whole. */

enum { SKIP_DEPTH_MAX = 32 };

struct reader {
    struct config_build *b;
    const char *text;
    size_t text_n;
    yaml_parser_t parser;
    yaml_event_t event; /* the last one got; valid while has_event */
    bool has_event;
    bool is_over; /* a syntax error was reported, or nothing more is wanted */
    char path[CONFIG_PATH_MAX];
    struct section {
        struct section *next;
        const char *path;
        size_t line;
    } * sections;
};

/* Lines count from 0. */
static const char *where(struct reader *r, size_t line)
{
    return config_arena_printf(r->b->report->arena, "%s:%zu", r->b->conf->file, line + 1);
}

static const char *here(struct reader *r)
{
    return where(r, r->event.start_mark.line);
}

__attribute__((format(printf, 4, 5))) static void fail(struct reader *r, const char *place, const char *path,
                                                       const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = config_arena_vprintf(r->b->report->arena, fmt, ap);
    va_end(ap);
    config_report_add(r->b->report, CONFIG_ERROR, place, path, "%s", text);
}

static void event_drop(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
}

/* libyaml tells only the byte when a character is not one. */
static size_t line_of_offset(struct reader *r, size_t offset)
{
    size_t line = 0;
    for (size_t i = 0; i < offset && i < r->text_n; i++)
        line += r->text[i] == '\n';
    return line;
}

static void syntax_fail(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "it cannot be read";
    const yaml_mark_t *mark = &p->problem_mark;
    const char *hint = "";
    if (strstr(problem, "cannot start any token"))
        hint = "; indent with spaces, not tabs, and quote values that start with @, `, %, [, { or *";
    else if (p->error == YAML_PARSER_ERROR)
        hint = "; values that start with [, {, \" or ' may need quotes";
    if (p->error == YAML_READER_ERROR) {
        fail(r, where(r, line_of_offset(r, p->problem_offset)), "", "not valid YAML: %s", problem);
        return;
    }
    fail(r, where(r, mark->line), "", "not valid YAML: %s%s", problem, hint);
}

/* The next event, with what is never allowed refused; false when reading is over. */
static bool event_next(struct reader *r)
{
    event_drop(r);
    if (r->is_over)
        return false;
    if (config_report_is_full(r->b->report) || !yaml_parser_parse(&r->parser, &r->event)) {
        if (!config_report_is_full(r->b->report))
            syntax_fail(r);
        r->is_over = true;
        return false;
    }
    r->has_event = true;
    const yaml_event_t *e = &r->event;
    bool is_anchored = (e->type == YAML_SCALAR_EVENT && (e->data.scalar.anchor || e->data.scalar.tag)) ||
                       (e->type == YAML_MAPPING_START_EVENT &&
                        (e->data.mapping_start.anchor || e->data.mapping_start.tag)) ||
                       (e->type == YAML_SEQUENCE_START_EVENT &&
                        (e->data.sequence_start.anchor || e->data.sequence_start.tag)) ||
                       e->type == YAML_ALIAS_EVENT;
    if (!is_anchored)
        return true;
    fail(r, here(r), r->path,
         "anchors (&), aliases (*) and tags (!) are not used in this file; quote the "
         "value if it starts with such a character");
    r->is_over = true;
    return false;
}

/* Reads to the end of the node that has started; false when reading is over. */
static bool node_skip(struct reader *r)
{
    int depth = 0;
    for (;;) {
        yaml_event_type_t type = r->event.type;
        if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
            depth++;
        else if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT)
            depth--;
        if (depth > SKIP_DEPTH_MAX) {
            fail(r, here(r), r->path, "nested too deeply");
            r->is_over = true;
        }
        if (r->is_over)
            return false;
        if (depth == 0)
            return true;
        if (!event_next(r))
            return false;
    }
}

static bool scalar_is_null(const yaml_event_t *e)
{
    const char *s = (const char *)e->data.scalar.value;
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (*s == 0 || strcmp(s, "~") == 0 || strcasecmp(s, "null") == 0);
}

/* The scalar's text, in the arena of the configuration; NULL, reported, when it holds a NUL. */
static const char *scalar_text(struct reader *r)
{
    const char *s = (const char *)r->event.data.scalar.value;
    size_t n = r->event.data.scalar.length;
    if (memchr(s, 0, n)) {
        fail(r, here(r), r->path, "holds a NUL character");
        return NULL;
    }
    return config_arena_dup(r->b->conf->arena, s, n);
}

/* A list as the text that config_value_parse() takes. Elements stand in it as they are, so those with a comma
 * are refused here and those with other brackets than an address has, there. */
static void list_read(struct reader *r, const struct config_key *key)
{
    const char *place = here(r);
    char text[4096];
    size_t o = 1;
    bool is_good = true;
    text[0] = '[';
    while (event_next(r) && r->event.type != YAML_SEQUENCE_END_EVENT) {
        const char *word = NULL;
        if (r->event.type == YAML_SCALAR_EVENT)
            word = scalar_text(r);
        else if (!node_skip(r))
            return;
        size_t n = word ? strlen(word) : 0;
        if (n == 0 || strchr(word, ',') || o + n + 4 > sizeof text) {
            is_good = false;
            continue;
        }
        o += (size_t)snprintf(text + o, sizeof text - o, "%s%s", o > 1 ? ", " : "", word);
    }
    if (r->is_over)
        return;
    text[o] = ']';
    text[o + 1] = 0;
    if (is_good && (key->type == CONFIG_LIST || key->type == CONFIG_SET))
        config_build_set(r->b, CONFIG_FROM_FILE, place, r->path, text);
    else
        fail(r, place, r->path, "this list is not %s", config_value_allowed(key, r->b->report->arena));
}

static void value_read(struct reader *r, const struct config_key *key)
{
    switch (r->event.type) {
    case YAML_SCALAR_EVENT: {
        const char *text = scalar_text(r);
        if (text && scalar_is_null(&r->event))
            fail(r, here(r), r->path, "has no value; expected %s",
                 config_value_allowed(key, r->b->report->arena));
        else if (text)
            config_build_set(r->b, CONFIG_FROM_FILE, here(r), r->path, text);
        return;
    }
    case YAML_SEQUENCE_START_EVENT:
        list_read(r, key);
        return;
    default:
        fail(r, here(r), r->path, "is no section; expected %s",
             config_value_allowed(key, r->b->report->arena));
        node_skip(r);
    }
}

/* False, reported, when the section was there before: YAML has no two values for one key. */
static bool section_enter(struct reader *r, const char *place, size_t line)
{
    for (struct section *s = r->sections; s; s = s->next) {
        if (strcmp(s->path, r->path) == 0) {
            fail(r, place, r->path, "given twice, first in line %zu", s->line);
            return false;
        }
    }
    struct section *s = config_arena_alloc(r->b->report->arena, sizeof *s);
    s->path = config_arena_str(r->b->report->arena, r->path);
    s->line = line;
    s->next = r->sections;
    r->sections = s;
    return config_build_listener(r->b, place, r->path);
}

static void map_read(struct reader *r);

static void section_read(struct reader *r, const char *place, size_t line)
{
    bool is_empty = r->event.type == YAML_SCALAR_EVENT && scalar_is_null(&r->event);
    if (!is_empty && r->event.type != YAML_MAPPING_START_EVENT) {
        fail(r, place, r->path, "is a section; its keys go under it, one a line, indented");
        node_skip(r);
    } else if (!section_enter(r, place, line)) {
        node_skip(r);
    } else if (!is_empty) {
        map_read(r);
    }
}

/* Appends the scalar that is the key; false, reported, when it cannot be one. */
static bool path_push(struct reader *r)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    char escaped[LOG_ESCAPED_MAX];
    size_t o = strlen(r->path);
    if (r->event.type != YAML_SCALAR_EVENT) {
        fail(r, here(r), r->path, "a key must be a word");
        return false;
    }
    const char *word = (const char *)r->event.data.scalar.value;
    size_t n = r->event.data.scalar.length;
    if (n == 0 || n != strspn(word, allowed) || o + n + 2 > sizeof r->path) {
        fail(r, here(r), r->path, "\"%s\" cannot be a key: letters, digits, _ and - only",
             log_escape(escaped, bytes_of(word, n)));
        return false;
    }
    snprintf(r->path + o, sizeof r->path - o, "%s%s", o ? "." : "", word);
    return true;
}

/* One key, which has been read, and its value. */
static void entry_read(struct reader *r)
{
    bool is_word = path_push(r);
    const char *place = here(r);
    size_t line = r->event.start_mark.line + 1;
    if (!node_skip(r) || !event_next(r))
        return;
    const struct config_key *key = is_word ? config_key_find(r->path) : NULL;
    if (!is_word) {
        node_skip(r);
    } else if (key) {
        value_read(r, key);
    } else if (config_key_is_section(r->path)) {
        section_read(r, place, line);
    } else {
        config_build_unknown(r->b, CONFIG_FROM_FILE, place, r->path);
        node_skip(r);
    }
}

/* The entries of the mapping that has started. The recursion is as deep as the keys have parts. */
static void map_read(struct reader *r)
{
    size_t path_n = strlen(r->path);
    while (event_next(r) && r->event.type != YAML_MAPPING_END_EVENT) {
        entry_read(r);
        r->path[path_n] = 0;
    }
}

/* A document with nothing in it is fine: all of a file may be commented out. */
static void document_read(struct reader *r)
{
    if (!event_next(r))
        return;
    if (r->event.type == YAML_MAPPING_START_EVENT)
        map_read(r);
    else if (r->event.type != YAML_SCALAR_EVENT || !scalar_is_null(&r->event)) {
        fail(r, here(r), "", "the file must be sections with keys, such as \"mqtt:\"");
        r->is_over = true;
    }
    event_next(r);
}

void config_yaml_read(struct config_build *b, const char *text, size_t n)
{
    struct reader r = {.b = b, .text = text, .text_n = n};
    unsigned documents = 0;
    CHECK(yaml_parser_initialize(&r.parser));
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    while (event_next(&r) && r.event.type != YAML_STREAM_END_EVENT) {
        if (r.event.type != YAML_DOCUMENT_START_EVENT)
            continue;
        if (++documents > 1) {
            fail(&r, here(&r), "", "a second YAML document (\"---\"): only one is allowed");
            break;
        }
        document_read(&r);
    }
    event_drop(&r);
    yaml_parser_delete(&r.parser);
}
