/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/act.h"
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/core/peers.h"
#include "node/mesh/mesh.h"
#include "proto/topic/topic.h"

#include <stdlib.h>

/* ---- lines ---------------------------------------------------------------------------------------- */

/* With ">" escaped, " -> " stands in a line once. */
static void put_filter(struct text *out, const struct inspect_sub *s)
{
    if (topic_group_is_exclusive(inspect_sub_group(s))) {
        text_add(out, "$exclusive/");
    } else if (s->group_n) {
        text_add(out, "$share/");
        text_escaped(out, inspect_sub_group(s), ">");
        text_add(out, "/");
    }
    text_escaped(out, inspect_sub_filter(s), ">");
}

/* A name for a number that a peer has in this node; its id when it is not known by name. */
static void put_peer(struct call *c, const struct mesh_info *info, uint32_t peer)
{
    const struct node_id *id = &node_peers(c->env->conf.node)->ids[peer];
    char text[NODE_ID_TEXT_N];
    for (uint32_t i = 0; i < info->peers_n; i++) {
        if (node_id_eq(&info->peers[i].member.id, id)) {
            text_add(&c->out, info->peers[i].member.name);
            return;
        }
    }
    text_add(&c->out, node_id_text(text, id));
}

static void put_topic(struct call *c, const struct inspect_sub *s, const struct mesh_info *info)
{
    put_filter(&c->out, s);
    text_add(&c->out, " -> ");
    if (s->peer == INSPECT_HERE)
        text_add(&c->out, node_conf(c->env->conf.node)->name);
    else
        put_peer(c, info, s->peer);
    text_add(&c->out, "\n");
}

static void put_sub(struct call *c, const struct inspect_sub *s)
{
    text_escaped(&c->out, inspect_sub_client_id(s), ">");
    text_add(&c->out, " -> topic:");
    put_filter(&c->out, s);
    text_printf(&c->out, " qos:%u nl:%u rh:%u rap:%u\n", s->qos, s->no_local, s->retain_handling,
                s->retain_as_published);
}

/* ---- a piece of a listing ------------------------------------------------------------------------- */

struct piece {
    struct listing *l;
    struct bytes word; /* client id or filter, for those that have one */
    enum inspect result;
};

static void piece_ask(struct call *c, struct piece *x, uint32_t worker,
                      void (*fn)(struct shard *sh, void *arg),
                      void (*put)(struct call *c, const struct inspect_sub *s))
{
    const struct inspect_sub *s;
    size_t at = 0;
    x->l = &c->listing;
    x->l->buf.n = 0;
    shard_ask(c->env->conf.io, worker, fn, x);
    while ((s = inspect_next(&x->l->buf, &at)))
        put(c, s);
}

/* On to the next shard when this one is through. */
static bool shards_go_on(struct call *c, const struct piece *x)
{
    struct listing *l = &c->listing;
    if (x->result == INSPECT_END) {
        l->shard++;
        l->place = 0;
        l->sub_place = (struct inspect_place){0};
    }
    return l->shard < io_workers(c->env->conf.io);
}

/* ---- topics --------------------------------------------------------------------------------------- */

static void topics_call(struct shard *sh, void *arg)
{
    struct piece *x = arg;
    x->result = inspect_topics(sh, &x->l->place, &x->l->buf);
}

/* The route table is the node's: any worker can read it. */
static void topics_put(struct call *c, struct piece *x, void (*fn)(struct shard *sh, void *arg))
{
    const struct inspect_sub *s;
    struct mesh_info info = {0};
    size_t at = 0;
    x->l = &c->listing;
    x->l->buf.n = 0;
    shard_ask(c->env->conf.io, 0, fn, x);
    if (c->env->conf.cluster && !cluster_info(c, &info))
        return;
    while ((s = inspect_next(&x->l->buf, &at)))
        put_topic(c, s, &info);
    free(info.peers);
}

static bool topics_produce(struct call *c)
{
    struct piece x = {0};
    topics_put(c, &x, topics_call);
    return x.result == INSPECT_MORE;
}

static void topics_list(struct call *c)
{
    c->produce = topics_produce;
}

static void topic_call(struct shard *sh, void *arg)
{
    struct piece *x = arg;
    x->result = inspect_topic(sh, x->word, &x->l->buf);
}

static void topics_show(struct call *c)
{
    struct piece x = {.word = bytes_str(c->args[0])};
    topics_put(c, &x, topic_call);
    if (x.result == INSPECT_NONE)
        call_fail(c, "Not Found.");
}

/* ---- subscriptions -------------------------------------------------------------------------------- */

static void subs_call(struct shard *sh, void *arg)
{
    struct piece *x = arg;
    x->result = inspect_subs(sh, &x->l->sub_place, &x->l->buf);
}

static bool subs_produce(struct call *c)
{
    struct piece x = {0};
    piece_ask(c, &x, c->listing.shard, subs_call, put_sub);
    return shards_go_on(c, &x);
}

static void subs_list_all(struct call *c)
{
    c->produce = subs_produce;
}

/* ---- exclusive ones ------------------------------------------------------------------------------- */

static void exclusives_call(struct shard *sh, void *arg)
{
    struct piece *x = arg;
    x->result = inspect_exclusives(sh, &x->l->place, &x->l->buf);
}

static void put_exclusive(struct call *c, const struct inspect_sub *s)
{
    text_escaped(&c->out, inspect_sub_filter(s), ">");
    text_add(&c->out, " -> ");
    text_escaped(&c->out, inspect_sub_client_id(s), ">");
    text_add(&c->out, "\n");
}

static bool exclusives_produce(struct call *c)
{
    struct piece x = {0};
    piece_ask(c, &x, c->listing.shard, exclusives_call, put_exclusive);
    return shards_go_on(c, &x);
}

static void exclusive_list(struct call *c)
{
    c->produce = exclusives_produce;
}

/* ---- of one client -------------------------------------------------------------------------------- */

static void session_subs_call(struct shard *sh, void *arg)
{
    struct piece *x = arg;
    x->result = inspect_session_subs(sh, x->word, &x->l->place, &x->l->buf);
}

static bool session_subs_produce(struct call *c)
{
    struct piece x = {.word = bytes_str(c->args[0])};
    piece_ask(c, &x, node_home(c->env->conf.node, x.word), session_subs_call, put_sub);
    if (x.result == INSPECT_NONE && c->listing.place == 0)
        call_fail(c, "Not Found.");
    return x.result == INSPECT_MORE;
}

/* The first piece at once, since it decides about the status. */
static void subs_show(struct call *c)
{
    if (session_subs_produce(c))
        c->produce = session_subs_produce;
}

static void act_tell(struct call *c, const struct act *a)
{
    switch (a->result) {
    case ACT_OK:
        text_add(&c->out, "ok\n");
        break;
    case ACT_NOT_FOUND:
        call_fail(c, "Not Found.");
        break;
    case ACT_REFUSED:
        call_fail(c, a->text ? a->text : "Refused.");
        break;
    }
}

static void subs_add_one(struct call *c)
{
    const char *qos = c->args[2];
    struct act a = {.client_id = bytes_str(c->args[0]), .item = {.filter = bytes_str(c->args[1])}};
    if (qos[0] < '0' || qos[0] > '2' || qos[1]) {
        call_fail(c, "QoS must be 0, 1 or 2.");
        return;
    }
    a.item.qos = (uint8_t)(qos[0] - '0');
    shard_ask(c->env->conf.io, node_home(c->env->conf.node, a.client_id), act_subscribe, &a);
    act_tell(c, &a);
}

static void subs_del_one(struct call *c)
{
    struct act a = {.client_id = bytes_str(c->args[0]), .item = {.filter = bytes_str(c->args[1])}};
    shard_ask(c->env->conf.io, node_home(c->env->conf.node, a.client_id), act_unsubscribe, &a);
    act_tell(c, &a);
}

const struct command commands_topics[] = {
    {"topics", "list", "", "List all topics and filters with subscribers", 0, 0, COMMAND_LOOKS, topics_list},
    {"topics", "show", "<topic>", "Show a topic", 1, 1, COMMAND_LOOKS, topics_show},
    {"routes", "list", "", "The same as topics list", 0, 0, COMMAND_LOOKS, topics_list},
    {"routes", "show", "<topic>", "The same as topics show", 1, 1, COMMAND_LOOKS, topics_show},
    {"exclusive", "list", "", "List who has which exclusive subscription on this node", 0, 0, COMMAND_LOOKS,
     exclusive_list},
    {"subscriptions", "list", "", "List all subscriptions", 0, 0, COMMAND_LOOKS, subs_list_all},
    {"subscriptions", "show", "<clientid>", "Show the subscriptions of a client", 1, 1, COMMAND_LOOKS,
     subs_show},
    {"subscriptions", "add", "<clientid> <topic> <qos>", "Subscribe for a client", 3, 3, COMMAND_CHANGES,
     subs_add_one},
    {"subscriptions", "del", "<clientid> <topic>", "Unsubscribe for a client", 2, 2, COMMAND_CHANGES,
     subs_del_one},
    {0},
};
