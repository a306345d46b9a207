/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/api_i.h"
#include "node/admin/api/fan.h"
#include "node/admin/api/numbers.h"
#include "node/admin/api/routes.h"
#include "node/admin/cluster_text.h"
#include "node/admin/process.h"
#include "proto/base/clock.h"

#include <stdlib.h>

/* Nodes, and the cluster as this one sees it. */

/* What `covey ctl cluster status --json` tells. */
static json_t *report(const struct api_call *c)
{
    struct mesh_info info;
    struct text text = {0};
    bool is_clustered = cluster_view_info(c->env->conf.cluster, &info);
    cluster_json_put(&text, &(struct cluster_report){.node = api_node_name(c),
                                                     .cluster = c->env->conf.cluster_name,
                                                     .info = is_clustered ? &info : NULL,
                                                     .mono_ms = mono_ms(),
                                                     .wall_ms = wall_ms()});
    json_t *o = json_loadb(text.p, text.n, 0, NULL);
    text_fini(&text);
    free(info.peers);
    return o ? o : json_object();
}

static void cluster(struct api_call *c)
{
    json_t *o = report(c);
    json_put(o, "name", json_of_str(c->env->conf.cluster_name ? c->env->conf.cluster_name : ""));
    json_put(o, "self", json_of_str(api_node_name(c)));
    json_put(o, "nodes", fan_nodes(c));
    api_reply(c, 200, o);
}

/* ---- nodes ---------------------------------------------------------------------------------------- */

static json_t *size_text(uint64_t bytes)
{
    char text[32];
    snprintf(text, sizeof text, "%.2fM", (double)bytes / (1 << 20));
    return json_of_str(text);
}

static json_t *peers_of(const struct api_call *c)
{
    json_t *o = report(c), *peers = json_array(), *member;
    size_t i;
    json_array_foreach(json_object_get(o, "members"), i, member) if (!json_bool(member, "self", false))
        json_push(peers, json_incref(member));
    json_decref(o);
    return peers;
}

/* Hundredths, as everywhere. */
static json_t *load_of(double load)
{
    return json_real((double)(uint64_t)(load * 100 + 0.5) / 100);
}

static void process_put(json_t *o)
{
    struct process_info p;
    process_info(&p);
    json_put(o, "load1", load_of(p.load[0]));
    json_put(o, "load5", load_of(p.load[1]));
    json_put(o, "load15", load_of(p.load[2]));
    json_put(o, "max_fds", json_of_u64(p.fds_max));
    json_put(o, "used_fds", json_of_u64(p.fds));
    json_put(o, "memory_used", size_text(p.resident_bytes));
    json_put(o, "memory_total", size_text(p.machine_bytes));
}

static json_t *node_here(struct api_call *c)
{
    struct figures *f = &c->env->figures;
    const struct node_conf *nc = node_conf(c->env->conf.node);
    json_t *o = json_object();
    figures_gather(f);
    json_put(o, "node", json_of_str(nc->name));
    json_put(o, "node_status", json_of_str("running"));
    json_put(o, "version", json_of_str(nc->version));
    json_put(o, "edition", json_of_str("Opensource"));
    json_put(o, "role", json_of_str("core"));
    json_put(o, "uptime", json_of_u64(admin_uptime_ms(c->env)));
    json_put(o, "workers", json_of_u64(nc->shards));
    json_put(o, "connections", json_of_u64(numbers_find(f->stats, f->stats_n, "sessions.count")));
    json_put(o, "live_connections",
             json_of_u64(numbers_find(f->stats, f->stats_n, "live_connections.count")));
    json_put(o, "cluster_sessions", json_of_u64(numbers_find(f->stats, f->stats_n, "sessions.count")));
    process_put(o);
    if (c->env->conf.log_file)
        json_put(o, "log_path", json_of_str(c->env->conf.log_file));
    json_put(o, "peers", peers_of(c));
    return o;
}

static void node_one(struct api_call *c)
{
    api_reply(c, 200, node_here(c));
}

static void nodes(struct api_call *c)
{
    json_t *all = json_array();
    json_push(all, node_here(c));
    api_reply(c, 200, all);
}

static bool has_node(const json_t *all, const char *name)
{
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)all, i,
                       o) if (strcmp(json_str(o, "node"), name) == 0) return true;
    return false;
}

/* Those that did not answer are told of by what this node believes. */
static void nodes_merge(struct api_call *c)
{
    json_t *all = json_array(), *names = fan_nodes(c), *part, *name;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
        json_array_extend(all, json_object_get(part, "answer"));
    json_array_foreach(names, i, name)
    {
        const char *state = fan_node_state(c, json_string_value(name));
        if (has_node(all, json_string_value(name)))
            continue;
        json_t *o = json_object();
        json_put(o, "node", json_incref(name));
        json_put(o, "node_status", json_of_str(state ? state : "stopped"));
        json_put(o, "answered", json_false());
        const char *why = json_str(c->missing_why, json_string_value(name));
        json_put(o, "reason", json_of_str(why ? why : "no_answer"));
        json_push(all, o);
    }
    json_decref(names);
    api_reply(c, 200, all);
}

/* ---- the table ------------------------------------------------------------------------------------ */

static const struct api_shape peer_shape = {
    "peer",
    (const struct api_field[]){
        API_HAS("name", STRING, "Name of the other node"),
        API_HAS("state", STRING, "alive, suspect, dead or left"),
        API_MAY("since", STRING, "Since when"),
        API_MAY("why", STRING, "How it became so"),
        API_MAY("link", STRING, "up or down"),
        {0},
    },
    API_OPEN_REST,
    API_ANY,
};
API_SHAPE(node_shape, "node", API_HAS("node", STRING, "Name of the node"),
          API_HAS("node_status", STRING, "running, or stopped"),
          API_MAY("answered", BOOL, "false: this node has not answered, and there is no more to tell"),
          API_MAY("reason", STRING, "Then why: down, no_http (it runs without) or no_answer"),
          API_MAY("version", STRING, "Version of the program"),
          API_MAY("edition", STRING, "Always Opensource"), API_MAY("role", STRING, "Always core"),
          API_MAY("uptime", INT, "Milliseconds since the start"),
          API_MAY("workers", INT, "Threads that serve clients"),
          API_MAY("connections", INT, "Sessions, connected or not"),
          API_MAY("live_connections", INT, "Sessions that are connected"),
          API_MAY("cluster_sessions", INT, "Sessions of this node"),
          API_MAY("load1", NUMBER, "Load of the machine"), API_MAY("load5", NUMBER, "Load of the machine"),
          API_MAY("load15", NUMBER, "Load of the machine"),
          API_MAY("max_fds", INT, "Descriptors that it may have"),
          API_MAY("used_fds", INT, "Descriptors that it has"),
          API_MAY("memory_used", STRING, "Memory of the process"),
          API_MAY("memory_total", STRING, "Memory of the machine"),
          API_MAY("log_path", STRING, "The log file, where there is one"),
          {.name = "peers", .type = API_ARRAY, .of = &peer_shape, .help = "What it believes of the others"});
static const struct api_shape cluster_shape = {
    "cluster",
    (const struct api_field[]){
        API_HAS("name", STRING, "Name of the cluster"),
        API_HAS("self", STRING, "The node that answers"),
        API_HAS("nodes", ARRAY, "The names of all nodes"),
        API_HAS("running_nodes", ARRAY, "Those that are alive, as far as this node knows"),
        API_HAS("stopped_nodes", ARRAY, "Those that are not"),
        {.name = "members", .type = API_ARRAY, .of = &peer_shape, .help = "The nodes, as this one sees them"},
        {0},
    },
    API_OPEN_REST,
    API_ANY,
};

const struct api_route api_routes_nodes[] = {
    {.method = API_GET,
     .path = "/nodes",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = nodes,
     .merge = nodes_merge,
     .answer = API_LIST,
     .shape = &node_shape,
     .tag = "Nodes",
     .summary = "All nodes; also those that do not answer"},
    {.method = API_GET,
     .path = "/nodes/{node}",
     .scope = API_NODE,
     .role = API_VIEWER,
     .run = node_one,
     .answer = API_ONE,
     .shape = &node_shape,
     .tag = "Nodes",
     .summary = "One node",
     .refusals = "404 NOT_FOUND, 503 NO_HTTP, 503 SERVICE_UNAVAILABLE"},
    {.method = API_GET,
     .path = "/cluster",
     .role = API_VIEWER,
     .run = cluster,
     .answer = API_ONE,
     .shape = &cluster_shape,
     .tag = "Nodes",
     .summary = "The cluster, as this node sees it"},
    {0},
};
