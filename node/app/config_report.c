/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_report.h"

#include "proto/base/log.h"

#include <stdarg.h>

void config_report_init(struct config_report *r)
{
    *r = (struct config_report){.arena = config_arena_new()};
}

void config_report_fini(struct config_report *r)
{
    config_arena_free(r->arena);
    r->arena = NULL;
}

bool config_report_is_full(const struct config_report *r)
{
    return r->n == CONFIG_NOTES_MAX;
}

void config_report_add(struct config_report *r, enum config_severity severity, const char *where,
                       const char *path, const char *fmt, ...)
{
    char escaped[LOG_ESCAPED_MAX];
    va_list ap;
    if (severity == CONFIG_ERROR)
        r->errors++;
    if (config_report_is_full(r))
        return;
    struct config_note *note = &r->notes[r->n++];
    va_start(ap, fmt);
    note->severity = severity;
    note->where = config_arena_str(r->arena, where);
    note->path = config_arena_str(r->arena, log_escape(escaped, bytes_str(path)));
    note->message = config_arena_vprintf(r->arena, fmt, ap);
    va_end(ap);
}

void config_report_print(const struct config_report *r, FILE *out)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct config_note *note = &r->notes[i];
        fprintf(out, "%s%s%s%s%s%s\n", note->where, *note->where ? ": " : "",
                note->severity == CONFIG_WARNING ? "warning: " : "", note->path, *note->path ? ": " : "",
                note->message);
    }
    if (config_report_is_full(r))
        fprintf(out, "(only the first %d are shown)\n", CONFIG_NOTES_MAX);
}
