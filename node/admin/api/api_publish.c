/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/api_i.h"
#include "node/admin/api/message.h"
#include "node/admin/api/routes.h"
#include "node/core/deliver.h"
#include "node/core/persist.h"
#include "node/core/retained.h"
#include "node/core/rewrite.h"
#include "node/core/shard_i.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Messages from the API. As with a client's PUBACK, the answer to one with QoS 1 or 2, or that is retained,
 * comes when every persistent session that it reached has it stored. */

/* One message on its way; lives until the shard, and whoever stores it, is done with it. */
struct sending {
    struct api_call *call;
    struct message message;
    uint32_t receivers;
    enum reason code;
    uint8_t id[16];
};

/* The messages of a call, and how many are not done. */
struct sendings {
    struct sending *v;
    size_t n;
    size_t left;
};

static void sendings_free(void *state)
{
    struct sendings *all = state;
    for (size_t i = 0; i < all->n; i++)
        message_fini(&all->v[i].message);
    free(all->v);
    free(all);
}

/* ---- on the shard --------------------------------------------------------------------------------- */

static void send_done(void *arg)
{
    struct sending *s = arg;
    struct sendings *all = s->call->state;
    if (--all->left == 0)
        api_call_wake(s->call);
}

static void on_stored(struct shard *sh, void *arg, enum reason code)
{
    struct sending *s = arg;
    (void)sh;
    if (code >= RC_UNSPECIFIED_ERROR)
        s->code = code;
    offload_post(s->call->api->offload, send_done, s);
}

static void on_never(void *arg)
{
    struct sending *s = arg;
    s->code = RC_UNSPECIFIED_ERROR;
    offload_post(s->call->api->offload, send_done, s);
}

static enum reason judge(struct shard *sh, const struct message_in *m, const struct match *match)
{
    const struct settings *set = shard_settings(sh);
    if (!match || match->special == TOPIC_RESERVED)
        return RC_TOPIC_NAME_INVALID;
    if (set->topic_levels_max && match->levels > set->topic_levels_max)
        return RC_TOPIC_NAME_INVALID;
    if (m->qos > set->qos_max)
        return RC_QOS_NOT_SUPPORTED;
    if (m->retain && !set->retain_available)
        return RC_RETAIN_NOT_SUPPORTED;
    return RC_SUCCESS;
}

static void publish(struct shard *sh, struct sending *s, struct publication *p)
{
    enum topic_verdict verdict;
    if (sh->rewrite) {
        struct bytes nobody = bytes_of(NULL, 0);
        p->m.topic = rewrite_topic(sh->rewrite, REWRITE_PUBLISH, p->m.topic, nobody, nobody);
    }
    const struct match *match = subs_match(&sh->subs, p->m.topic, &verdict);
    s->code = judge(sh, &p->m, match);
    if (s->code != RC_SUCCESS)
        return;
    COUNT(sh, MESSAGES_RECEIVED);
    sh->counters.v[C_MESSAGES_QOS0_RECEIVED + p->m.qos]++;
    if (match->special == TOPIC_DELAYED) {
        delayed_publish(sh, p);
    } else {
        if (p->m.retain)
            retained_publish(sh, p);
        deliver_match(sh, p, match);
    }
    s->receivers = p->receivers;
    s->code = p->failed ? (enum reason)p->failed : RC_SUCCESS;
}

static void send_call(struct shard *sh, void *arg)
{
    struct sending *s = arg;
    struct publication p = {.m = message_view(&s->message)};
    struct pending *done = pending_new_call(on_stored, on_never, s);
    if (p.m.qos || p.m.retain)
        p.pending = pending_ref(done);
    publish(sh, s, &p);
    if (p.pending)
        persist_hurry(sh);
    publication_fini(sh, &p);
    pending_release(sh, done, RC_SUCCESS);
}

/* ---- answers -------------------------------------------------------------------------------------- */

static json_t *answer_of(const struct sending *s, int *status)
{
    static const char hex[] = "0123456789ABCDEF";
    char id[33] = "";
    struct text why = {0};
    json_t *o = json_object();
    if (s->code >= RC_UNSPECIFIED_ERROR) {
        *status = s->code == RC_TOPIC_NAME_INVALID || s->code == RC_QOS_NOT_SUPPORTED ||
                          s->code == RC_RETAIN_NOT_SUPPORTED
                      ? 400
                      : 503;
        json_put(o, "reason_code", json_of_u64(s->code));
        text_printf(&why, "%s%s", s->code == RC_TOPIC_NAME_INVALID ? "topic: " : "", reason_name(s->code));
        json_put(o, "message", json_of_bytes(bytes_of(why.p, why.n)));
        text_fini(&why);
        json_put(o, "code", json_of_str(*status == 400 ? "BAD_REQUEST" : "SERVICE_UNAVAILABLE"));
        return o;
    }
    *status = s->receivers ? 200 : 202;
    if (!s->receivers) {
        json_put(o, "reason_code", json_of_u64(RC_NO_MATCHING_SUBSCRIBERS));
        json_put(o, "message", json_of_str("no_matching_subscribers"));
        return o;
    }
    for (int i = 0; i < 16; i++) {
        id[2 * i] = hex[s->id[i] >> 4];
        id[2 * i + 1] = hex[s->id[i] & 15];
    }
    json_put(o, "id", json_of_str(id));
    return o;
}

static bool one_finish(struct api_call *c)
{
    int status;
    struct sendings *all = c->state;
    json_t *o = answer_of(&all->v[0], &status);
    api_reply(c, status, o);
    return false;
}

/* As EMQX: 200 when all reached somebody, else 202; a failure makes it 503 or 400, and each is told of. */
static bool bulk_finish(struct api_call *c)
{
    int worst = 200, status;
    struct sendings *all = c->state;
    json_t *rows = json_array();
    for (size_t i = 0; i < all->n; i++) {
        json_push(rows, answer_of(&all->v[i], &status));
        worst = status > worst ? status : worst;
    }
    api_reply(c, worst, rows);
    return false;
}

/* ---- starting ------------------------------------------------------------------------------------- */

static uint32_t home_of(const struct api_call *c, const json_t *body)
{
    const char *id = json_str(body, "clientid");
    return node_home(c->env->conf.node, bytes_str(id ? id : "api"));
}

/* All are read before the first is sent, so that one that is wrong stops them all. */
static bool all_read(struct api_call *c, struct sendings *all, const json_t *bodies)
{
    struct text why = {0};
    for (size_t i = 0; i < all->n; i++) {
        struct sending *s = &all->v[i];
        s->call = c;
        if (message_read(&s->message, json_array_get(bodies, i), c->env, &why))
            continue;
        api_fail(c, 400, "BAD_REQUEST", "%.*s", (int)why.n, why.p);
        text_fini(&why);
        return false;
    }
    return true;
}

static void send_all(struct api_call *c, const json_t *bodies, bool (*finish)(struct api_call *c))
{
    struct sendings *all = mem_zalloc(sizeof *all);
    all->n = json_array_size(bodies);
    all->v = mem_zalloc(sizeof *all->v * (all->n + 1));
    c->state = all;
    c->state_free = sendings_free;
    if (!all_read(c, all, bodies))
        return;
    all->left = all->n;
    c->step = finish;
    c->is_waiting = all->n > 0;
    for (size_t i = 0; i < all->n; i++) {
        message_id_make(all->v[i].id);
        offload_expect(c->api->offload);
        io_call(c->env->conf.io, home_of(c, json_array_get(bodies, i)), send_call, &all->v[i]);
    }
}

static void publish_one(struct api_call *c)
{
    json_t *bodies = json_array();
    json_push(bodies, json_incref(c->body));
    send_all(c, bodies, one_finish);
    json_decref(bodies);
}

static void publish_bulk(struct api_call *c)
{
    send_all(c, c->body, bulk_finish);
}

/* ---- the table ------------------------------------------------------------------------------------ */

API_SHAPE(published_shape, "published", API_MAY("id", STRING, "Of the message"),
          API_MAY("reason_code", INT, "16: nobody subscribes to it; else why it failed"),
          API_MAY("message", STRING, "The same in words"), API_MAY("code", STRING, "Of a failure"));

const struct api_route api_routes_publish[] = {
    {.method = API_POST,
     .path = "/publish",
     .role = API_ADMIN,
     .run = publish_one,
     .body = &message_shape,
     .body_form = API_ONE,
     .answer = API_ONE,
     .shape = &published_shape,
     .also_202 = true,
     .is_unaudited = true,
     .tag = "Publish",
     .summary = "Publish a message; 202 when nobody subscribes to it",
     .refusals = "503 SERVICE_UNAVAILABLE"},
    {.method = API_POST,
     .path = "/publish/bulk",
     .role = API_ADMIN,
     .run = publish_bulk,
     .body = &message_shape,
     .body_form = API_LIST,
     .answer = API_LIST,
     .shape = &published_shape,
     .also_202 = true,
     .is_unaudited = true,
     .tag = "Publish",
     .summary = "Publish messages; 202 when one of them reaches nobody",
     .refusals = "503 SERVICE_UNAVAILABLE"},
    {0},
};
