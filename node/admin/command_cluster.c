/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/sockaddr.h"
#include "node/admin/cluster_text.h"
#include "node/admin/command.h"
#include "proto/base/clock.h"

#include <stdlib.h>

/* The commands about the other nodes. The cluster thread is asked and answers within a turn of its loop. */

enum { POLL_MS = 100, TELL_MS = 1000, JOIN_MS = 5000, WAIT_S_MAX = 24 * 3600, RATE_MAX = 1000000 };

/* False, said: there is nobody to ask. */
static bool ask(struct call *c, void (*fn)(struct mesh *m, void *arg), void *arg)
{
    const struct cluster_view_ops *view = c->env->conf.cluster;
    if (!view)
        call_fail(c, "This node is not part of a cluster.");
    else if (view->ask(view->ctx, fn, arg) != OK)
        call_fail(c, "The node is stopping.");
    else
        return true;
    return false;
}

static void info_call(struct mesh *m, void *arg)
{
    mesh_info(m, arg);
}

static int peer_cmp(const void *a, const void *b)
{
    const struct member *m = &((const struct mesh_peer_info *)a)->member;
    const struct member *n = &((const struct mesh_peer_info *)b)->member;
    int by_name = strcmp(m->name, n->name);
    return by_name ? by_name : node_id_cmp(&m->id, &n->id);
}

bool cluster_info(struct call *c, struct mesh_info *out)
{
    uint32_t n = 0;
    *out = (struct mesh_info){0};
    if (!ask(c, info_call, out))
        return false;
    for (uint32_t i = 0; i < out->peers_n; i++)
        if (!node_id_is_zero(&out->peers[i].member.id))
            out->peers[n++] = out->peers[i];
    out->peers_n = n;
    if (n)
        qsort(out->peers, n, sizeof *out->peers, peer_cmp);
    return true;
}

/* ---- status --------------------------------------------------------------------------------------- */

enum format { FORMAT_TEXT, FORMAT_JSON };

static void report_put(struct call *c, enum format format, const struct cluster_report *r)
{
    if (format == FORMAT_JSON)
        cluster_json_put(&c->out, r);
    else
        cluster_text_put(&c->out, r);
}

/* A node that is alone is all of its cluster. */
static void status_put(struct call *c, enum format format)
{
    const struct admin_conf *conf = &c->env->conf;
    struct mesh_info info;
    struct cluster_report r = {.node = node_conf(conf->node)->name,
                               .cluster = conf->cluster_name,
                               .mono_ms = mono_ms(),
                               .wall_ms = wall_ms()};
    if (!conf->cluster) {
        report_put(c, format, &r);
    } else if (cluster_info(c, &info)) {
        r.info = &info;
        report_put(c, format, &r);
        free(info.peers);
    }
}

static void status(struct call *c)
{
    bool is_json = c->args_n && strcmp(c->args[0], "--json") == 0;
    if (c->args_n && !is_json)
        call_fail(c, "Usage: cluster status [--json]");
    else
        status_put(c, is_json ? FORMAT_JSON : FORMAT_TEXT);
}

static void metrics(struct call *c)
{
    if (c->env->conf.cluster)
        figures_put(c, "cluster.");
    else
        call_fail(c, "This node is not part of a cluster.");
}

/* ---- join and leave ------------------------------------------------------------------------------- */

static void join_call(struct mesh *m, void *arg)
{
    mesh_join(m, arg);
}

static bool is_linked(struct call *c, const struct net_addr *addr)
{
    struct mesh_info info;
    bool found = false;
    if (!cluster_info(c, &info))
        return false;
    for (uint32_t i = 0; i < info.peers_n; i++)
        found |= info.peers[i].is_linked && net_addr_eq(&info.peers[i].member.addr, addr);
    free(info.peers);
    return found;
}

static bool join_wait(struct call *c)
{
    char text[NET_ADDR_TEXT_N];
    if (is_linked(c, &c->waiting.addr)) {
        text_add(&c->out, "Join the cluster successfully.\n");
        status_put(c, FORMAT_TEXT);
        return false;
    }
    if (mono_ms() >= c->waiting.until_ms) {
        c->status = 1;
        text_printf(&c->out, "No node with the address %s has answered yet; this one goes on trying.\n",
                    net_addr_text(text, &c->waiting.addr));
        return false;
    }
    c->wait_ms = POLL_MS;
    return true;
}

/* Names are left to the configuration: a name server that does not answer would hold up everything here. */
static void join(struct call *c)
{
    if (!net_addr_parse(&c->waiting.addr, c->args[0], 0) || net_addr_is_any(&c->waiting.addr)) {
        call_fail(c, "The address must be IP:PORT such as 10.0.0.1:7946; names go into "
                     "cluster.static.seeds of the configuration.");
        return;
    }
    if (!ask(c, join_call, &c->waiting.addr))
        return;
    c->waiting.until_ms = mono_ms() + JOIN_MS;
    c->produce = join_wait;
}

static void leave_call(struct mesh *m, void *arg)
{
    (void)arg;
    mesh_leave(m);
}

static void leave(struct call *c)
{
    if (ask(c, leave_call, NULL))
        text_add(&c->out, "Leave the cluster successfully.\n"
                          "The node serves its clients alone until it is started again.\n");
}

/* ---- forget --------------------------------------------------------------------------------------- */

struct forgetting {
    struct node_id id;
    enum err e;
};

static void forget_call(struct mesh *m, void *arg)
{
    struct forgetting *f = arg;
    f->e = mesh_forget(m, &f->id);
}

/* How many there are of this name or id; *id is that of the last one. */
static uint32_t members_named(const struct mesh_info *info, const char *who, struct node_id *id)
{
    char text[NODE_ID_TEXT_N];
    uint32_t found = 0;
    for (uint32_t i = 0; i < info->peers_n; i++) {
        const struct member *m = &info->peers[i].member;
        if (strcmp(m->name, who) != 0 && strcmp(node_id_text(text, &m->id), who) != 0)
            continue;
        *id = m->id;
        found++;
    }
    return found;
}

static void forget(struct call *c)
{
    struct forgetting f = {.e = ERR_NOTFOUND};
    struct mesh_info info;
    if (!cluster_info(c, &info))
        return;
    bool is_self = strcmp(info.self.name, c->args[0]) == 0;
    uint32_t found = members_named(&info, c->args[0], &f.id);
    free(info.peers);
    if (found == 1 && !ask(c, forget_call, &f))
        return;
    if (found > 1)
        call_fail(c, "Several nodes have this name: give the id that \"cluster status\" shows.");
    else if (found == 0 && is_self)
        call_fail(c, "That is this node: it can leave.");
    else if (f.e == ERR_EXISTS)
        call_fail(c, "The node is alive: stop it first, or let it leave.");
    else if (f.e != OK)
        call_fail(c, "Not Found.");
    else
        text_add(&c->out, "ok\n");
}

/* ---- drain ---------------------------------------------------------------------------------------- */

static void drain_call(struct mesh *m, void *arg)
{
    mesh_drain(m, *(uint32_t *)arg);
}

/* Is there somebody whom the clients can go to? */
static bool has_target(const struct mesh_info *info)
{
    for (uint32_t i = 0; i < info->peers_n; i++)
        if (info->peers[i].is_linked && !info->peers[i].member.is_draining)
            return true;
    return false;
}

static bool drain_wait(struct call *c)
{
    struct mesh_info info;
    uint64_t now = mono_ms();
    if (!cluster_info(c, &info))
        return false;
    bool is_hopeless = !has_target(&info);
    unsigned long long left = info.drain_left;
    free(info.peers);
    if (left == 0) {
        text_add(&c->out, "All clients and sessions are moved.\n");
        return false;
    }
    if (!info.is_draining || is_hopeless) {
        call_fail(c, is_hopeless ? "There is no other node that takes clients." : "The drain was stopped.");
        return false;
    }
    if (now >= c->waiting.until_ms) {
        c->status = 1;
        text_printf(&c->out, "The time is over; left=%llu\n", left);
        return false;
    }
    if (now - c->waiting.told_ms >= TELL_MS) {
        c->waiting.told_ms = now;
        text_printf(&c->out, "left=%llu\n", left);
    }
    c->wait_ms = POLL_MS;
    return true;
}

static bool number(const char *text, unsigned long most, uint32_t *out)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    *out = (uint32_t)v;
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && v >= 1 && v <= most;
}

struct drain_args {
    uint32_t rate;
    uint32_t wait_s;
    bool is_stop;
};

static bool drain_args_read(const struct call *c, struct drain_args *a)
{
    *a = (struct drain_args){.rate = c->env->conf.drain_rate};
    for (uint32_t i = 0; i < c->args_n; i++) {
        const char *word = c->args[i], *value = i + 1 < c->args_n ? c->args[i + 1] : "";
        if (strcmp(word, "--stop") == 0) {
            a->is_stop = true;
            continue;
        }
        bool ok = (strcmp(word, "--rate") == 0 && number(value, RATE_MAX, &a->rate)) ||
                  (strcmp(word, "--wait") == 0 && number(value, WAIT_S_MAX, &a->wait_s));
        if (!ok)
            return false;
        i++;
    }
    return !a->is_stop || c->args_n == 1;
}

static void drain(struct call *c)
{
    struct drain_args a;
    if (!drain_args_read(c, &a)) {
        call_fail(c, "Usage: cluster drain [--rate CLIENTS_PER_SECOND] [--wait SECONDS] | --stop");
        return;
    }
    if (a.is_stop)
        a.rate = 0;
    if (!ask(c, drain_call, &a.rate))
        return;
    if (a.is_stop) {
        text_add(&c->out, "ok\n");
        return;
    }
    text_printf(&c->out, "Moving %u clients a second to the other nodes.\n", a.rate);
    if (a.wait_s) {
        c->waiting.told_ms = mono_ms();
        c->waiting.until_ms = c->waiting.told_ms + (uint64_t)a.wait_s * 1000;
        c->produce = drain_wait;
    }
}

const struct command commands_cluster[] = {
    {"cluster", "status", "[--json]", "Show the nodes and what this one knows of them", 0, 1, COMMAND_LOOKS,
     status},
    {"cluster", "metrics", "", "Show what this node has counted of the others", 0, 0, COMMAND_LOOKS, metrics},
    {"cluster", "join", "<ip:port>", "Call a node of the cluster to be joined", 1, 1, COMMAND_CHANGES, join},
    {"cluster", "leave", "", "Tell the others that this node leaves", 0, 0, COMMAND_CHANGES, leave},
    {"cluster", "forget", "<name|id>", "Take a dead node out of the cluster for good", 1, 1, COMMAND_CHANGES,
     forget},
    {"cluster", "force-leave", "<name|id>", "The same", 1, 1, COMMAND_CHANGES, forget},
    {"cluster", "drain", "[--rate N] [--wait SECONDS] [--stop]", "Move the clients to the other nodes", 0, 4,
     COMMAND_CHANGES, drain},
    {0},
};
