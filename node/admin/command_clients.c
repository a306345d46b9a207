/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/act.h"
#include "node/admin/ask.h"
#include "node/admin/command.h"

/* `clients` shows what its connection has to do with, `sessions` what is kept. Both name every session. */

static uint32_t home_of(const struct call *c, const char *client_id)
{
    return node_home(c->env->conf.node, bytes_str(client_id));
}

/* ---- lines ---------------------------------------------------------------------------------------- */

/* A comma of theirs must not look like one of ours. */
static void put_value(struct text *out, struct bytes b)
{
    text_escaped(out, b, ",()");
}

static void put_username(struct text *out, const struct inspect_session *s)
{
    text_add(out, ", username=");
    if (s->has_username)
        put_value(out, inspect_session_username(s));
    else
        text_add(out, "undefined");
}

static void put_client(struct text *out, const struct inspect_session *s)
{
    text_add(out, "Client(");
    put_value(out, inspect_session_id(s));
    put_username(out, s);
    if (s->is_connected && s->address[0])
        text_printf(out, ", peername=%s:%u", s->address, s->port);
    else
        text_add(out, ", peername=undefined");
    text_printf(out,
                ", clean_start=%s, keepalive=%u, session_expiry_interval=%u, subscriptions=%u, inflight=%u, "
                "awaiting_rel=%u, enqueued_msgs=%u, dropped_msgs=%u, connected=%s, created_at=%llu, "
                "%sconnected_at=%llu",
                s->clean_start ? "true" : "false", s->keep_alive_s, s->expiry_s, s->subs_n, s->inflight,
                s->awaiting_rel, s->queued, s->dropped, s->is_connected ? "true" : "false",
                (unsigned long long)s->created_ms, s->is_connected ? "" : "dis",
                (unsigned long long)s->since_ms);
    if (s->is_connected)
        text_printf(out,
                    ", proto_ver=%u, listener=%s, is_superuser=%s, recv_pkt=%llu, recv_oct=%llu, "
                    "send_pkt=%llu, send_oct=%llu",
                    s->version, s->listener, s->is_superuser ? "true" : "false",
                    (unsigned long long)s->recv_packets, (unsigned long long)s->recv_bytes,
                    (unsigned long long)s->send_packets, (unsigned long long)s->send_bytes);
    text_add(out, ")\n");
}

static void put_session(struct text *out, const struct inspect_session *s)
{
    text_add(out, "Session(");
    put_value(out, inspect_session_id(s));
    put_username(out, s);
    text_printf(out,
                ", connected=%s, session_expiry_interval=%u, subscriptions=%u, enqueued_msgs=%u, "
                "enqueued_bytes=%llu, inflight=%u, awaiting_rel=%u, dropped_msgs=%u, created_at=%llu, "
                "%sconnected_at=%llu)\n",
                s->is_connected ? "true" : "false", s->expiry_s, s->subs_n, s->queued,
                (unsigned long long)s->queued_bytes, s->inflight, s->awaiting_rel, s->dropped,
                (unsigned long long)s->created_ms, s->is_connected ? "" : "dis",
                (unsigned long long)s->since_ms);
}

/* ---- listing -------------------------------------------------------------------------------------- */

struct list_call {
    struct listing *l;
    enum inspect result;
};

static void list_call(struct shard *sh, void *arg)
{
    struct list_call *x = arg;
    struct inspect_want all = {0};
    x->result = inspect_sessions(sh, &x->l->place, &all, &x->l->buf);
}

static bool produce(struct call *c, void (*put)(struct text *out, const struct inspect_session *s))
{
    struct listing *l = &c->listing;
    struct list_call x = {.l = l};
    const struct inspect_session *s;
    size_t at = 0;
    l->buf.n = 0;
    shard_ask(c->env->conf.io, l->shard, list_call, &x);
    while ((s = inspect_next(&l->buf, &at)))
        put(&c->out, s);
    if (x.result == INSPECT_END) {
        l->shard++;
        l->place = 0;
    }
    return l->shard < io_workers(c->env->conf.io);
}

static bool produce_clients(struct call *c)
{
    return produce(c, put_client);
}

static bool produce_sessions(struct call *c)
{
    return produce(c, put_session);
}

static void clients_list(struct call *c)
{
    c->produce = produce_clients;
}

static void sessions_list(struct call *c)
{
    c->produce = produce_sessions;
}

/* ---- one ------------------------------------------------------------------------------------------ */

struct show_call {
    struct bytes client_id;
    struct inspect_buf *buf;
    enum inspect result;
};

static void show_call(struct shard *sh, void *arg)
{
    struct show_call *x = arg;
    x->result = inspect_session(sh, x->client_id, x->buf);
}

static const struct inspect_session *session_ask(struct call *c)
{
    struct show_call x = {.client_id = bytes_str(c->args[0]), .buf = &c->listing.buf};
    size_t at = 0;
    shard_ask(c->env->conf.io, home_of(c, c->args[0]), show_call, &x);
    const struct inspect_session *s = inspect_next(&c->listing.buf, &at);
    if (!s)
        call_fail(c, "Not Found.");
    return s;
}

static void clients_show(struct call *c)
{
    const struct inspect_session *s = session_ask(c);
    if (s)
        put_client(&c->out, s);
}

static void sessions_show(struct call *c)
{
    const struct inspect_session *s = session_ask(c);
    if (s)
        put_session(&c->out, s);
}

static void act(struct call *c, void (*fn)(struct shard *sh, void *arg))
{
    struct act a = {.client_id = bytes_str(c->args[0])};
    shard_ask(c->env->conf.io, home_of(c, c->args[0]), fn, &a);
    if (a.result == ACT_OK)
        text_add(&c->out, "ok\n");
    else
        call_fail(c, "Not Found.");
}

static void clients_kick(struct call *c)
{
    act(c, act_kick);
}

static void sessions_discard(struct call *c)
{
    act(c, act_discard);
}

const struct command commands_clients[] = {
    {"clients", "list", "", "List all clients, connected or with a kept session", 0, 0, COMMAND_LOOKS,
     clients_list},
    {"clients", "show", "<clientid>", "Show a client", 1, 1, COMMAND_LOOKS, clients_show},
    {"clients", "kick", "<clientid>", "End a client's connection", 1, 1, COMMAND_CHANGES, clients_kick},
    {"sessions", "list", "", "List all sessions", 0, 0, COMMAND_LOOKS, sessions_list},
    {"sessions", "show", "<clientid>", "Show a session", 1, 1, COMMAND_LOOKS, sessions_show},
    {"sessions", "discard", "<clientid>", "End a session, and its connection", 1, 1, COMMAND_CHANGES,
     sessions_discard},
    {0},
};
