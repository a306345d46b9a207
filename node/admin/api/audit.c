/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/audit.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { PATH_BYTES_MAX = 200 };

struct entry {
    uint64_t at_ms;
    enum api_method method;
    int status;
    char user[ACCOUNT_NAME_MAX + 1];
    char address[46];
    char path[PATH_BYTES_MAX + 1]; /* the beginning */
};

struct audit {
    struct entry v[AUDIT_ENTRIES_MAX]; /* a ring */
    uint64_t n;                        /* all that there were */
};

struct audit *audit_new(void)
{
    return mem_zalloc(sizeof(struct audit));
}

void audit_free(struct audit *a)
{
    free(a);
}

void audit_add(struct audit *a, const struct api_who *who, enum api_method method, const char *path,
               int status, struct log_sink *log)
{
    char user[LOG_ESCAPED_MAX], place[LOG_ESCAPED_MAX];
    struct entry *e = &a->v[a->n++ % AUDIT_ENTRIES_MAX];
    *e = (struct entry){.at_ms = wall_ms(), .method = method, .status = status};
    snprintf(e->user, sizeof e->user, "%s", who->name);
    snprintf(e->address, sizeof e->address, "%s", who->address);
    memcpy(e->path, path, strnlen(path, PATH_BYTES_MAX));
    LOG(log, LOG_NOTICE, "api call method=%s path=\"%s\" user=\"%s\" key=%s address=%s status=%d",
        api_method_name(method), log_escape(place, bytes_str(e->path)), log_escape(user, bytes_str(e->user)),
        who->is_person ? "no" : "yes", e->address, status);
}

uint32_t audit_count(const struct audit *a)
{
    return a->n < AUDIT_ENTRIES_MAX ? (uint32_t)a->n : AUDIT_ENTRIES_MAX;
}

json_t *audit_list(const struct audit *a, uint64_t skip, uint32_t take)
{
    json_t *out = json_array();
    for (uint64_t i = skip; i < audit_count(a) && i - skip < take; i++) {
        const struct entry *e = &a->v[(a->n - 1 - i) % AUDIT_ENTRIES_MAX];
        json_t *o = json_object();
        json_put(o, "created_at", json_of_time(e->at_ms));
        json_put(o, "http_method", json_of_str(api_method_name(e->method)));
        json_put(o, "operation_id", json_of_str(e->path));
        json_put(o, "source", json_of_str(e->user));
        json_put(o, "source_ip", json_of_str(e->address));
        json_put(o, "http_status_code", json_of_u64((uint64_t)e->status));
        json_push(out, o);
    }
    return out;
}
