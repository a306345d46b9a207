/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/act.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/walk.h"
#include "node/admin/api/when.h"
#include "node/admin/ask.h"
#include "node/core/bans.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Who may not come in. Every node has all of them, so the one that is asked answers and decides. */

/* ---- listing -------------------------------------------------------------------------------------- */

struct bans_listing {
    uint32_t place;
    bool more;
    struct rpc_buf buf;
    json_t *rows;
};

static void listing_free(void *state)
{
    struct bans_listing *l = state;
    rpc_buf_fini(&l->buf);
    json_decref(l->rows);
    free(l);
}

static void list_call(struct shard *sh, void *arg)
{
    struct bans_listing *l = arg;
    l->more = bans_list(sh, &l->place, &l->buf);
}

static json_t *row(const struct rpc_ban *b)
{
    json_t *o = json_object();
    json_put(o, "as", json_of_str(ban_as_name(b->as)));
    json_put(o, "who", json_of_bytes(b->who));
    json_put(o, "by", json_of_bytes(b->by));
    json_put(o, "reason", json_of_bytes(b->reason));
    json_put(o, "at", json_of_time(b->at_ms));
    json_put(o, "until", b->until_ms ? json_of_time(b->until_ms) : json_of_str("infinity"));
    return o;
}

static bool is_wanted(const json_t *query, const struct rpc_ban *b)
{
    const char *as = json_str(query, "as");
    return (!as || strcmp(as, ban_as_name(b->as)) == 0) && walk_is(json_str(query, "who"), b->who) &&
           walk_contains(json_str(query, "like_who"), b->who);
}

static bool list_step(struct api_call *c)
{
    struct bans_listing *l = c->state;
    struct rpc_arena *arena = rpc_arena_new();
    struct rpc_bans m;
    rpc_buf_reset(&l->buf);
    shard_ask(c->env->conf.io, 0, list_call, l);
    if (rpc_bans_read(&m, rpc_buf_bytes(&l->buf), arena))
        for (uint32_t i = 0; i < m.n; i++)
            if (is_wanted(c->query, &m.items[i]))
                json_push(l->rows, row(&m.items[i]));
    rpc_arena_free(arena);
    if (l->more)
        return true;
    walk_answer(c, json_incref(l->rows));
    return false;
}

static void list(struct api_call *c)
{
    struct bans_listing *l = mem_zalloc(sizeof *l);
    l->rows = json_array();
    c->state = l;
    c->state_free = listing_free;
    c->step = list_step;
}

/* ---- changes -------------------------------------------------------------------------------------- */

/* A decision holds also when it could not be stored yet: that is tried again. */
static void change_run(struct api_call *c, struct act_ban *a, void (*fn)(struct shard *sh, void *arg))
{
    enum reason stored = shard_ask_stored(c->env->conf.io, 0, fn, a);
    if (a->is_done && stored >= RC_UNSPECIFIED_ERROR)
        LOG(c->env->conf.log, LOG_ERROR, "ban not stored yet");
}

static bool until_read(struct api_call *c, uint64_t *ms)
{
    const json_t *v = json_object_get(c->body, "until");
    *ms = 0;
    if (json_is_integer(v))
        *ms = (uint64_t)json_integer_value(v) * 1000; /* as scripts give it: seconds */
    else if (v && strcmp(json_string_value(v), "infinity") != 0 && !when_read(json_string_value(v), ms)) {
        api_fail(c, 400, "BAD_REQUEST",
                 "until: must be infinity, a time as 2026-01-31T12:00:00Z, or seconds since 1970");
        return false;
    }
    return true;
}

static void add(struct api_call *c)
{
    struct act_ban a = {.ban = {.who = json_bytes(c->body, "who"),
                                .by = json_bytes(c->body, "by"),
                                .reason = json_bytes(c->body, "reason")}};
    if (!a.ban.by.n)
        a.ban.by = bytes_str(c->who.name);
    if (!ban_as_parse(&a.ban.as, json_str(c->body, "as")) || !until_read(c, &a.ban.until_ms))
        return; /* as was checked by the shape */
    change_run(c, &a, act_ban_add);
    if (!a.is_done) {
        api_fail(c, 400, "BAD_REQUEST", "who: %s", a.why);
        return;
    }
    a.ban.at_ms = wall_ms();
    api_reply(c, 200, row(&a.ban));
}

static void remove_one(struct api_call *c)
{
    struct act_ban a = {.ban.who = api_param_bytes(c, 1)};
    if (ban_as_parse(&a.ban.as, api_param(c, 0)))
        change_run(c, &a, act_ban_del);
    if (a.is_done)
        api_reply(c, 204, NULL);
    else
        api_fail(c, 404, "NOT_FOUND", "There is no such ban.");
}

/* ---- the table ------------------------------------------------------------------------------------ */

#define AS "clientid|username|peerhost|peerhost_net|clientid_re|username_re"
API_SHAPE(ban_shape, "ban", API_HAS("as", STRING, "What who is: " AS),
          API_HAS("who", STRING, "Who may not come in"), API_HAS("by", STRING, "Who decided"),
          API_HAS("reason", STRING, "Why"), API_HAS("at", TIME, "When"),
          API_HAS("until", STRING, "Until when; infinity: until it is lifted"));
API_SHAPE(ban_body, "ban_new", {"as", API_STRING, API_REQUIRED, 0, 0, AS, NULL, "What who is"},
          {"who", API_STRING, API_REQUIRED, 1, 65535, NULL, NULL, "Who may not come in"},
          {"by", API_STRING, 0, 0, 512, NULL, NULL, "Who decided; the user or key by default"},
          {"reason", API_STRING, 0, 0, 512, NULL, NULL, "Why"}, API_MAY("at", STRING, "Ignored: it is now"),
          {"until", API_STRING_OR_INT, 0, 0, 0, NULL, NULL,
           "infinity by default, a time, or seconds since 1970"});
static const struct api_field list_query[] = {
    WALK_PAGE_FIELDS,
    {"as", API_STRING, 0, 0, 0, AS, NULL, "Only those of this kind"},
    API_MAY("who", STRING, "Exactly this one"),
    API_MAY("like_who", STRING, "Those with this in them"),
    {0},
};

const struct api_route api_routes_banned[] = {
    {.method = API_GET,
     .path = "/banned",
     .scope = API_HERE,
     .role = API_VIEWER,
     .run = list,
     .query = list_query,
     .answer = API_PAGE,
     .shape = &ban_shape,
     .tag = "Banned",
     .summary = "A page of the bans; they are the same on all nodes"},
    {.method = API_POST,
     .path = "/banned",
     .scope = API_HERE,
     .role = API_ADMIN,
     .run = add,
     .body = &ban_body,
     .body_form = API_ONE,
     .answer = API_ONE,
     .shape = &ban_shape,
     .tag = "Banned",
     .summary = "Ban, or change a ban; whoever it is about and is connected goes"},
    {.method = API_DELETE,
     .path = "/banned/{as}/{who}",
     .scope = API_HERE,
     .role = API_ADMIN,
     .run = remove_one,
     .tag = "Banned",
     .summary = "Lift a ban",
     .refusals = "404 NOT_FOUND"},
    {0},
};
