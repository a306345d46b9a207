/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/routes.h"
#include "node/admin/api/subject.h"
#include "node/admin/api/walk.h"
#include "node/admin/retained_walk.h"
#include "node/core/retained.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/mqtt/msg.h"
#include "proto/topic/topic.h"

#include <stdlib.h>

/* Retained messages. Every node has all of them, so the one that is asked answers. */

struct retained_listing {
    struct retained_walk walk;
    const char *filter; /* of the query; NULL: all */
    uint64_t matched;
    uint64_t skipped;
    uint64_t wall_ms;
    struct api_call *call;
    json_t *rows;
};

static void listing_free(void *state)
{
    struct retained_listing *l = state;
    retained_walk_end(&l->walk);
    json_decref(l->rows);
    free(l);
}

/* False, answered: the filter or the store is not good. */
static struct retained_listing *listing_new(struct api_call *c, bool (*step)(struct api_call *c))
{
    struct retained_listing *l = mem_zalloc(sizeof *l);
    struct topic_filter f;
    l->call = c;
    l->filter = json_str(c->query, "topic");
    l->rows = json_array();
    l->wall_ms = wall_ms();
    c->state = l;
    c->state_free = listing_free;
    if (l->filter && (topic_filter_parse(bytes_str(l->filter), 0, &f) != TOPIC_OK || f.group.n))
        api_fail(c, 400, "BAD_REQUEST", "topic: not a topic or topic filter");
    else if (retained_walk_begin(&l->walk, c->env->conf.store) != OK)
        api_fail(c, 503, "SERVICE_UNAVAILABLE", "The store cannot be read.");
    else
        c->step = step;
    return l;
}

static struct bytes filter_of(const struct retained_listing *l)
{
    return l->filter ? bytes_str(l->filter) : bytes_of(NULL, 0);
}

/* ---- listing -------------------------------------------------------------------------------------- */

/* NULL: it has expired, or is damaged. */
static json_t *row(struct bytes record, uint64_t wall_ms, struct bytes *payload)
{
    struct message_in m;
    uint64_t origin, created_ms;
    if (!msg_record_view(record, wall_ms, &m, &origin) || (m.has_expiry && !m.expiry_s))
        return NULL;
    json_t *o = json_object();
    json_put(o, "topic", json_of_bytes(m.topic));
    json_put(o, "qos", json_of_u64(m.qos));
    json_put(o, "payload_size", json_of_u64(m.payload.n));
    if (msg_record_created(record, &created_ms))
        json_put(o, "publish_at", json_of_time(created_ms));
    if (m.has_expiry)
        json_put(o, "message_expiry_interval", json_of_u64(m.expiry_s));
    *payload = m.payload;
    return o;
}

static bool row_take(void *arg, struct bytes topic, struct bytes record)
{
    struct retained_listing *l = arg;
    struct bytes payload;
    json_t *o = row(record, l->wall_ms, &payload);
    (void)topic;
    if (!o)
        return true;
    l->matched++;
    if (l->skipped < l->call->window.skip) {
        l->skipped++;
        json_decref(o);
        return true;
    }
    json_push(l->rows, o);
    return json_array_size(l->rows) < l->call->window.take;
}

static bool list_step(struct api_call *c)
{
    struct retained_listing *l = c->state;
    bool more = retained_walk_piece(&l->walk, filter_of(l), row_take, l);
    if (more && json_array_size(l->rows) < c->window.take)
        return true;
    json_t *count = more ? json_null() : json_of_u64(l->matched);
    if (!l->filter) {
        json_decref(count);
        count = json_of_u64(store_count(c->env->conf.store, STORE_RETAINED));
    }
    walk_page(c, json_incref(l->rows), l->skipped, count);
    return false;
}

static void list(struct api_call *c)
{
    listing_new(c, list_step);
}

/* ---- one ------------------------------------------------------------------------------------------ */

static void not_found(struct api_call *c)
{
    api_fail(c, 404, "NOT_FOUND", "There is no retained message of this topic.");
}

static json_t *one_read(struct api_call *c, struct store_reader *r)
{
    uint8_t buf[RETAINED_KEY_MAX];
    struct bytes record, payload;
    json_t *o = NULL;
    if (store_read_begin(r) != OK)
        return NULL;
    if (store_get(r, STORE_RETAINED, retained_key(buf, api_param_bytes(c, 0)), &record) == OK)
        o = row(record, wall_ms(), &payload);
    if (o)
        json_put(o, "payload", subject_base64(payload));
    store_read_end(r);
    return o;
}

static json_t *one(struct api_call *c)
{
    struct store_reader *r;
    if (store_reader_new(&r, c->env->conf.store) != OK)
        return NULL;
    json_t *o = one_read(c, r);
    store_reader_free(r);
    return o;
}

static void show(struct api_call *c)
{
    json_t *o = one(c);
    if (o)
        api_reply(c, 200, o);
    else
        not_found(c);
}

/* ---- deleting ------------------------------------------------------------------------------------- */

static bool delete_stored(struct api_call *c, struct retained_walk *w)
{
    enum reason code = retained_walk_delete(w, c->env->conf.io);
    if (code != RC_SUCCESS)
        api_fail(c, 503, "SERVICE_UNAVAILABLE", "The store cannot be written.");
    return code == RC_SUCCESS;
}

static void remove_one(struct api_call *c)
{
    struct retained_walk w = {0};
    json_t *o = one(c);
    if (o) {
        retained_walk_doom(&w, api_param_bytes(c, 0));
        if (delete_stored(c, &w))
            api_reply(c, 204, NULL);
        retained_walk_end(&w);
    } else {
        not_found(c);
    }
    json_decref(o);
}

static bool victim_add(void *arg, struct bytes topic, struct bytes record)
{
    struct retained_listing *l = arg;
    (void)record;
    return retained_walk_doom(&l->walk, topic);
}

static bool clean_step(struct api_call *c)
{
    struct retained_listing *l = c->state;
    bool more = retained_walk_piece(&l->walk, filter_of(l), victim_add, l);
    if (!delete_stored(c, &l->walk))
        return false;
    if (!more)
        api_reply(c, 204, NULL);
    return more;
}

static void clean(struct api_call *c)
{
    listing_new(c, clean_step);
}

/* ---- the table ------------------------------------------------------------------------------------ */

API_SHAPE(retained_shape, "retained", API_HAS("topic", STRING, "Its topic"), API_HAS("qos", INT, "Its QoS"),
          API_HAS("payload_size", INT, "Bytes of its payload"),
          API_MAY("publish_at", TIME, "When the broker took it"),
          API_MAY("message_expiry_interval", INT, "Seconds that are left of it"),
          API_MAY("payload", STRING, "The payload in base64; of one message only"));
static const struct api_field list_query[] = {
    WALK_PAGE_FIELDS,
    API_MAY("topic", STRING, "Only those that match this topic or filter"),
    {0},
};
static const struct api_field clean_query[] = {
    API_MAY("topic", STRING, "Only those that match this topic or filter"),
    {0},
};

const struct api_route api_routes_retained[] = {
    {.method = API_GET,
     .path = "/mqtt/retainer/messages",
     .scope = API_HERE,
     .role = API_VIEWER,
     .run = list,
     .query = list_query,
     .answer = API_PAGE,
     .shape = &retained_shape,
     .tag = "Retained messages",
     .summary = "A page of the retained messages, without their payloads"},
    {.method = API_DELETE,
     .path = "/mqtt/retainer/messages",
     .scope = API_HERE,
     .role = API_ADMIN,
     .run = clean,
     .query = clean_query,
     .tag = "Retained messages",
     .summary = "Delete all, or those that match",
     .refusals = "503 SERVICE_UNAVAILABLE"},
    {.method = API_GET,
     .path = "/mqtt/retainer/message/{topic}",
     .scope = API_HERE,
     .role = API_VIEWER,
     .run = show,
     .answer = API_ONE,
     .shape = &retained_shape,
     .tag = "Retained messages",
     .summary = "One with its payload",
     .refusals = "404 NOT_FOUND"},
    {.method = API_DELETE,
     .path = "/mqtt/retainer/message/{topic}",
     .scope = API_HERE,
     .role = API_ADMIN,
     .run = remove_one,
     .tag = "Retained messages",
     .summary = "Delete one",
     .refusals = "404 NOT_FOUND, 503 SERVICE_UNAVAILABLE"},
    {0},
};
