/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/routes.h"
#include "node/admin/api/walk.h"
#include "proto/base/clock.h"

/* What is wrong, and what was. */

static json_t *row(const struct api_call *c, const struct alarm *m, uint64_t wall_ms)
{
    json_t *o = json_object();
    uint64_t until_ms = m->until_ms ? m->until_ms : wall_ms;
    json_put(o, "node", json_of_str(api_node_name(c)));
    json_put(o, "name", json_of_str(m->name));
    json_put(o, "message", json_of_bytes(bytes_str(m->message)));
    json_put(o, "activate_at", json_of_time(m->since_ms));
    if (m->until_ms)
        json_put(o, "deactivate_at", json_of_time(m->until_ms));
    json_put(o, "duration", json_of_u64(until_ms > m->since_ms ? until_ms - m->since_ms : 0));
    return o;
}

static void list(struct api_call *c)
{
    const struct alarms *a = &c->env->alarms;
    uint64_t now_ms = wall_ms();
    json_t *rows = json_array();
    const struct alarm *m;
    if (json_bool(c->query, "activated", true))
        for (uint32_t i = 0; i < a->active_n; i++)
            json_push(rows, row(c, &a->active[i], now_ms));
    else
        for (uint32_t i = 0; (m = alarms_past(a, i)); i++)
            json_push(rows, row(c, m, now_ms));
    walk_answer(c, rows);
}

static void forget(struct api_call *c)
{
    alarms_forget_past(&c->env->alarms);
    api_reply(c, 204, NULL);
}

static void forget_merge(struct api_call *c)
{
    api_reply(c, 204, NULL);
}

API_SHAPE(alarm_shape, "alarm", API_HAS("node", STRING, "The node that raises it"),
          API_HAS("name", STRING, "What it is about, as node_down/covey@n3"),
          API_HAS("message", STRING, "For people"), API_HAS("activate_at", TIME, "Since when"),
          API_MAY("deactivate_at", TIME, "Until when, of the past"),
          API_HAS("duration", INT, "Milliseconds"));
static const struct api_field alarms_query[] = {
    WALK_PAGE_FIELDS,
    API_MAY("node", STRING, "Only those of this node"),
    API_MAY("activated", BOOL, "Those that are active (true, by default), or of the past"),
    {0},
};

const struct api_route api_routes_alarms[] = {
    {.method = API_GET,
     .path = "/alarms",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = list,
     .query = alarms_query,
     .answer = API_PAGE,
     .shape = &alarm_shape,
     .tag = "Alarms",
     .summary = "A page of the alarms"},
    {.method = API_DELETE,
     .path = "/alarms",
     .scope = API_ALL,
     .role = API_ADMIN,
     .run = forget,
     .merge = forget_merge,
     .tag = "Alarms",
     .summary = "Forget those of the past"},
    {0},
};
