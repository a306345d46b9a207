/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/act.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/subject.h"
#include "node/admin/api/walk.h"
#include "node/admin/api/when.h"
#include "node/admin/ask.h"

#include <stdlib.h>

/* Clients: whoever has a session, connected or not. */

/* ---- filters -------------------------------------------------------------------------------------- */

static bool flag_is(const json_t *query, const char *name, bool value)
{
    const json_t *v = json_object_get(query, name);
    return !v || json_is_true(v) == value;
}

/* A time of the query was checked when the call began; milliseconds are taken too. */
static bool time_read(const char *text, uint64_t *ms)
{
    char *end;
    *ms = strtoull(text, &end, 10);
    return (*text && !*end) || when_read(text, ms);
}

static bool is_within(const json_t *query, const char *from, const char *to, uint64_t at_ms)
{
    uint64_t ms;
    const char *least = json_str(query, from), *most = json_str(query, to);
    if (least && time_read(least, &ms) && at_ms < ms)
        return false;
    return !(most && time_read(most, &ms) && at_ms > ms);
}

static bool state_is(const char *wanted, bool is_connected)
{
    return !wanted || (strcmp(wanted, "connected") == 0) == is_connected;
}

static bool matches(const struct api_call *c, const void *record)
{
    const struct inspect_session *s = record;
    const json_t *q = c->query;
    const char *username = json_str(q, "username");
    bool has_range = json_str(q, "gte_connected_at") || json_str(q, "lte_connected_at");
    return (!username || s->has_username) && walk_is(json_str(q, "clientid"), inspect_session_id(s)) &&
           walk_is(username, inspect_session_username(s)) &&
           walk_is(json_str(q, "ip_address"), bytes_str(s->address)) &&
           state_is(json_str(q, "conn_state"), s->is_connected) &&
           flag_is(q, "clean_start", s->clean_start) && json_int(q, "proto_ver", s->version) == s->version &&
           walk_contains(json_str(q, "like_clientid"), inspect_session_id(s)) &&
           walk_contains(json_str(q, "like_username"), inspect_session_username(s)) &&
           is_within(q, "gte_created_at", "lte_created_at", s->created_ms) &&
           (!has_range ||
            (s->is_connected && is_within(q, "gte_connected_at", "lte_connected_at", s->since_ms)));
}

static bool is_among(const char *name, const char *const names[])
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* Is anything asked for beside these? */
static bool has_filter(const json_t *query, const char *const others[])
{
    static const char *const plain[] = {"page", "limit", "node", "fields", NULL};
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)query, name,
                        v) if (!is_among(name, plain) && !is_among(name, others)) return true;
    return false;
}

static bool times_are_good(struct api_call *c)
{
    static const char *const names[] = {"gte_created_at", "lte_created_at", "gte_connected_at",
                                        "lte_connected_at"};
    uint64_t ms;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = json_str(c->query, names[i]);
        if (!text || time_read(text, &ms))
            continue;
        api_fail(c, 400, "BAD_REQUEST", "%s: must be a time as 2026-01-31T12:00:00Z, or milliseconds",
                 names[i]);
        return false;
    }
    return true;
}

/* ---- listing -------------------------------------------------------------------------------------- */

static bool is_wanted(const char *fields, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = fields; *p;) {
        size_t part = strcspn(p, ",");
        if (part == n && memcmp(p, name, n) == 0)
            return true;
        p += part + (p[part] == ',');
    }
    return false;
}

static json_t *row(const struct api_call *c, const void *record)
{
    json_t *o = subject_client(c, record), *v;
    const char *fields = json_str(c->query, "fields"), *name;
    void *next;
    if (fields && strcmp(fields, "all") != 0)
        json_object_foreach_safe(o, next, name, v) if (!is_wanted(fields, name)) json_object_del(o, name);
    return o;
}

static void sessions_piece(struct shard *sh, void *arg)
{
    struct walk *w = arg;
    uint64_t skip = w->want.skip;
    w->result = inspect_sessions(sh, &w->place, &w->want, &w->buf);
    w->skipped += skip - w->want.skip;
    w->matched += skip - w->want.skip;
}

static uint64_t sessions_count(struct api_call *c)
{
    figures_gather(&c->env->figures);
    const struct figures *f = &c->env->figures;
    for (uint32_t i = 0; i < f->stats_n; i++)
        if (strcmp(f->stats[i].name, "sessions.count") == 0)
            return f->stats[i].value;
    return 0;
}

static const struct walk_kind sessions = {
    .piece = sessions_piece, .matches = matches, .row = row, .count = sessions_count};

struct one_call {
    struct bytes client_id;
    struct inspect_buf buf;
};

static void one_call(struct shard *sh, void *arg)
{
    struct one_call *x = arg;
    enum inspect result = inspect_session(sh, x->client_id, &x->buf);
    (void)result; /* the buffer tells */
}

/* NULL: there is none here. It lives in x->buf, the caller's to end. */
static const struct inspect_session *one_ask(const struct api_call *c, struct one_call *x)
{
    size_t at = 0;
    shard_ask(c->env->conf.io, node_home(c->env->conf.node, x->client_id), one_call, x);
    return inspect_next(&x->buf, &at);
}

/* What the shard can tell is not copied to be looked at here. */
static void walk_all(struct api_call *c)
{
    static const char *const none[] = {NULL};
    static const char *const of_shard[] = {"like_clientid", "like_username", "conn_state", NULL};
    walk_begin(c, &sessions, has_filter(c->query, none) ? WALK_SOME : WALK_ALL);
    struct walk *w = c->state;
    const char *id = json_str(c->query, "like_clientid"), *username = json_str(c->query, "like_username"),
               *state = json_str(c->query, "conn_state");
    w->want = (struct inspect_want){.like_id = bytes_str(id ? id : ""),
                                    .like_username = bytes_str(username ? username : ""),
                                    .is_connected = state && state_is(state, true),
                                    .is_offline = state && state_is(state, false)};
    if (!has_filter(c->query, of_shard) && c->window.take)
        w->want.skip = c->window.skip;
}

/* A client id that is given in full needs no walk. */
static void list(struct api_call *c)
{
    const char *id = json_str(c->query, "clientid");
    struct one_call x = {.client_id = bytes_str(id ? id : "")};
    if (!times_are_good(c))
        return;
    if (!id) {
        walk_all(c);
        return;
    }
    json_t *rows = json_array();
    const struct inspect_session *s = one_ask(c, &x);
    if (s && matches(c, s))
        json_push(rows, row(c, s));
    inspect_buf_fini(&x.buf);
    walk_answer(c, rows);
}

/* ---- one ------------------------------------------------------------------------------------------ */

static void not_found(struct api_call *c)
{
    api_fail(c, 404, "CLIENTID_NOT_FOUND", "There is no client of this id.");
}

static void show(struct api_call *c)
{
    struct one_call x = {.client_id = api_param_bytes(c, 0)};
    const struct inspect_session *s = one_ask(c, &x);
    if (s)
        api_reply(c, 200, subject_client(c, s));
    else
        not_found(c);
    inspect_buf_fini(&x.buf);
}

static enum act_result kick_one(const struct api_call *c, struct bytes client_id)
{
    struct act a = {.client_id = client_id};
    shard_ask(c->env->conf.io, node_home(c->env->conf.node, client_id), act_discard, &a);
    return a.result;
}

/* The connection ends, and the session with it. */
static void kick(struct api_call *c)
{
    if (kick_one(c, api_param_bytes(c, 0)) == ACT_OK)
        api_reply(c, 204, NULL);
    else
        not_found(c);
}

static void kick_bulk(struct api_call *c)
{
    size_t i;
    json_t *id;
    json_array_foreach(c->body, i, id) kick_one(c, bytes_of(json_string_value(id), json_string_length(id)));
    api_reply(c, 204, NULL);
}

static void kick_bulk_merge(struct api_call *c)
{
    api_reply(c, 204, NULL);
}

/* ---- the table ------------------------------------------------------------------------------------ */

static const struct api_field clients_query[] = {
    WALK_PAGE_FIELDS,
    API_MAY("node", STRING, "Only those of this node"),
    API_MAY("clientid", STRING, "This client id"),
    API_MAY("username", STRING, "This user name"),
    API_MAY("ip_address", STRING, "Connected from this address"),
    {"conn_state", API_STRING, 0, 0, 0, "connected|idle|disconnected", NULL, "connected, or not"},
    API_MAY("clean_start", BOOL, "Asked for a new session"),
    {"proto_ver", API_INT, 0, 3, 5, NULL, NULL, "Version of MQTT"},
    API_MAY("like_clientid", STRING, "Client ids with this in them"),
    API_MAY("like_username", STRING, "User names with this in them"),
    API_MAY("gte_created_at", STRING, "Sessions that began then or later"),
    API_MAY("lte_created_at", STRING, "Sessions that began then or earlier"),
    API_MAY("gte_connected_at", STRING, "Connections that began then or later"),
    API_MAY("lte_connected_at", STRING, "Connections that began then or earlier"),
    API_MAY("fields", STRING, "Only these fields, with commas between them; or all"),
    {0},
};

const struct api_route api_routes_clients[] = {
    {.method = API_GET,
     .path = "/clients",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = list,
     .query = clients_query,
     .answer = API_PAGE,
     .shape = &subject_client_shape,
     .tag = "Clients",
     .summary = "A page of the clients; meta.count is left out where counting would mean looking at all"},
    {.method = API_POST,
     .path = "/clients/kickout/bulk",
     .scope = API_ALL,
     .role = API_ADMIN,
     .run = kick_bulk,
     .merge = kick_bulk_merge,
     .body_form = API_LIST,
     .tag = "Clients",
     .summary = "End connections and sessions; ids that there are not are no error"},
    {.method = API_GET,
     .path = "/clients/{clientid}",
     .scope = API_FINDING,
     .role = API_VIEWER,
     .run = show,
     .answer = API_ONE,
     .shape = &subject_client_shape,
     .tag = "Clients",
     .summary = "One client",
     .refusals = "404 CLIENTID_NOT_FOUND"},
    {.method = API_DELETE,
     .path = "/clients/{clientid}",
     .scope = API_FINDING,
     .role = API_ADMIN,
     .run = kick,
     .tag = "Clients",
     .summary = "End its connection and its session",
     .refusals = "404 CLIENTID_NOT_FOUND"},
    {0},
};
