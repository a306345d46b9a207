/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/cluster_text.h"

#include <stdio.h>

enum { STATE_TEXT_MAX = 32, NUMBER_TEXT_MAX = 48 };

/* Members know the monotonic clock, people the other one. */
static const char *since_text(char out[TEXT_TIME_N], const struct cluster_report *r, uint64_t mono_ms)
{
    uint64_t ago = r->mono_ms > mono_ms ? r->mono_ms - mono_ms : 0;
    return text_time(out, r->wall_ms > ago ? r->wall_ms - ago : 0);
}

static bool is_running(const struct member *m)
{
    return m->state == MEMBER_ALIVE || m->state == MEMBER_SUSPECT;
}

static const struct member *member_at(const struct mesh_info *info, uint32_t i)
{
    return i == 0 ? &info->self : &info->peers[i - 1].member;
}

static const char *yes_no(bool yes)
{
    return yes ? "yes" : "no";
}

/* ---- for people ----------------------------------------------------------------------------------- */

static void name_put(struct text *out, const char **comma, const char *name)
{
    text_printf(out, "%s'", *comma);
    text_escaped(out, bytes_str(name), "'");
    text_add(out, "'");
    *comma = ",";
}

static void names_put(struct text *out, const struct cluster_report *r, bool running)
{
    const struct mesh_info *info = r->info;
    const char *comma = "";
    if (!info && running)
        name_put(out, &comma, r->node);
    for (uint32_t i = 0; info && i <= info->peers_n; i++)
        if (is_running(member_at(info, i)) == running)
            name_put(out, &comma, member_at(info, i)->name);
}

/* "alive", "alive, draining" */
static const char *state_text(char out[STATE_TEXT_MAX], const struct member *m)
{
    snprintf(out, STATE_TEXT_MAX, "%s%s", member_state_name(m->state), m->is_draining ? ", draining" : "");
    return out;
}

static void overview_put(struct text *out, const struct cluster_report *r)
{
    const struct mesh_info *info = r->info;
    char addr[NET_ADDR_TEXT_N], id[NODE_ID_TEXT_N], state[STATE_TEXT_MAX];
    text_printf(out, "cluster     : ");
    text_escaped(out, bytes_str(r->cluster), "");
    text_add(out, "\nthis node   : ");
    text_escaped(out, bytes_str(info->self.name), "");
    text_printf(out, ", %s, address %s, id %s\n", state_text(state, &info->self),
                net_addr_text(addr, &info->self.addr), node_id_text(id, &info->self.id));
    text_printf(out, "ready       : %s\n", yes_no(info->is_ready));
    text_printf(out, "health      : %u (0 is good; else this node is slow and waits longer for others)\n",
                info->health);
    text_printf(out, "routes      : %llu, last change %llu\n", (unsigned long long)info->routes,
                (unsigned long long)info->route_seq);
    text_printf(out, "client ids  : %llu looked after\n", (unsigned long long)info->ids_arbitrated);
    if (info->is_draining)
        text_printf(out, "draining    : %llu left\n", (unsigned long long)info->drain_left);
    text_printf(out, "partitions  : %llu, sessions merged %llu", (unsigned long long)info->partitions,
                (unsigned long long)info->merges);
    if (info->last_partition[0]) {
        text_add(out, ", last: ");
        text_escaped(out, bytes_str(info->last_partition), "");
    }
    text_add(out, "\n");
}

/* As wide as the escaped name needs, and the heading. */
static int name_width(const struct mesh_info *info)
{
    struct text t = {0};
    size_t most = 4;
    for (uint32_t i = 0; i < info->peers_n; i++) {
        t.n = 0;
        text_escaped(&t, bytes_str(info->peers[i].member.name), " ");
        if (t.n > most)
            most = t.n;
    }
    text_fini(&t);
    return (int)most;
}

static void why_put(struct text *out, const struct mesh_peer_info *p)
{
    const struct member *m = &p->member;
    char addr[NET_ADDR_TEXT_N], id[NODE_ID_TEXT_N];
    text_printf(out, "  address %s, id %s, %s", net_addr_text(addr, &m->addr), node_id_text(id, &m->id),
                member_state_name(m->state));
    text_printf(out, ": %s%s", m->why ? m->why : "", node_id_is_zero(&m->source) ? "" : " (others say)");
    if (p->link_why[0]) {
        text_add(out, ", link ended: ");
        text_escaped(out, bytes_str(p->link_why), "");
    }
    if (p->resent || p->dropped)
        text_printf(out, ", resent %llu, dropped %llu", (unsigned long long)p->resent,
                    (unsigned long long)p->dropped);
    text_add(out, "\n");
}

static void peer_put(struct text *out, const struct cluster_report *r, const struct mesh_peer_info *p,
                     int width)
{
    char since[TEXT_TIME_N], link_since[TEXT_TIME_N] = "-", state[STATE_TEXT_MAX], acked[NUMBER_TEXT_MAX];
    struct text name = {0};
    text_escaped(&name, bytes_str(p->member.name), " ");
    if (p->linked_since_ms)
        text_time(link_since, p->linked_since_ms);
    snprintf(acked, sizeof acked, "%llu/%llu", (unsigned long long)p->routes_acked,
             (unsigned long long)r->info->route_seq);
    text_printf(out, "%-*.*s  %-15s  %-20s  %-4s  %-20s  %2u", width, (int)name.n, name.n ? name.p : "",
                state_text(state, &p->member), since_text(since, r, p->member.since_ms),
                p->is_linked ? "up" : "down", link_since, p->version);
    text_printf(out, "  %8llu  %-8s  %9s  %9llu  %9llu  %9llu\n", (unsigned long long)p->routes,
                p->routes_complete ? "yes" : "no", acked, (unsigned long long)p->ring_bytes,
                (unsigned long long)p->forwarded, (unsigned long long)p->received);
    why_put(out, p);
    text_fini(&name);
}

void cluster_text_put(struct text *out, const struct cluster_report *r)
{
    const struct mesh_info *info = r->info;
    text_add(out, "Cluster status: #{running_nodes => [");
    names_put(out, r, true);
    text_add(out, "], stopped_nodes => [");
    names_put(out, r, false);
    text_add(out, "]}\n");
    if (!info)
        return;
    overview_put(out, r);
    if (!info->peers_n)
        return;
    int width = name_width(info);
    text_printf(out, "\n%-*s  %-15s  %-20s  %-4s  %-20s  %2s", width, "node", "state", "since", "link",
                "since", "v");
    text_printf(out, "  %8s  %-8s  %9s  %9s  %9s  %9s\n", "routes", "complete", "acked", "ring", "forwarded",
                "received");
    for (uint32_t i = 0; i < info->peers_n; i++)
        peer_put(out, r, &info->peers[i], width);
}

/* ---- for programs --------------------------------------------------------------------------------- */

static void json_str(struct text *out, const char *key, const char *value)
{
    text_printf(out, "\"%s\":", key);
    text_json(out, bytes_str(value));
    text_add(out, ",");
}

static void json_n(struct text *out, const char *key, uint64_t value)
{
    text_printf(out, "\"%s\":%llu,", key, (unsigned long long)value);
}

static void json_bool(struct text *out, const char *key, bool value)
{
    text_printf(out, "\"%s\":%s,", key, value ? "true" : "false");
}

/* Ends an object or a list whose last member left a comma. */
static void json_end(struct text *out, const char *end)
{
    if (out->p[out->n - 1] == ',')
        out->n--;
    text_add(out, end);
}

static void json_names(struct text *out, const struct cluster_report *r, const char *key, bool running)
{
    const struct mesh_info *info = r->info;
    text_printf(out, "\"%s\":[", key);
    if (!info && running)
        text_json(out, bytes_str(r->node));
    for (uint32_t i = 0; info && i <= info->peers_n; i++) {
        const struct member *m = member_at(info, i);
        if (is_running(m) != running)
            continue;
        text_json(out, bytes_str(m->name));
        text_add(out, ",");
    }
    json_end(out, "],");
}

static void json_member(struct text *out, const struct cluster_report *r, const struct member *m)
{
    char addr[NET_ADDR_TEXT_N], since[TEXT_TIME_N], id[NODE_ID_TEXT_N];
    json_str(out, "name", m->name);
    json_str(out, "id", node_id_text(id, &m->id));
    json_n(out, "epoch", m->epoch);
    json_str(out, "address", net_addr_text(addr, &m->addr));
    json_str(out, "state", member_state_name(m->state));
    json_str(out, "since", since_text(since, r, m->since_ms));
    json_str(out, "why", m->why ? m->why : "");
    json_bool(out, "draining", m->is_draining);
}

static void json_peer(struct text *out, const struct cluster_report *r, const struct mesh_peer_info *p)
{
    char since[TEXT_TIME_N];
    json_member(out, r, &p->member);
    json_bool(out, "self", false);
    json_str(out, "link", p->is_linked ? "up" : "down");
    json_str(out, "link_since", p->linked_since_ms ? text_time(since, p->linked_since_ms) : "");
    json_str(out, "link_ended", p->link_why);
    json_n(out, "version", p->version);
    json_n(out, "routes", p->routes);
    json_bool(out, "routes_complete", p->routes_complete);
    json_n(out, "routes_acked", p->routes_acked);
    json_n(out, "ring_bytes", p->ring_bytes);
    json_n(out, "forwarded", p->forwarded);
    json_n(out, "received", p->received);
    json_n(out, "resent", p->resent);
    json_n(out, "dropped", p->dropped);
}

static void json_overview(struct text *out, const struct cluster_report *r)
{
    const struct mesh_info *info = r->info;
    json_str(out, "cluster", r->cluster);
    json_bool(out, "ready", info->is_ready);
    json_n(out, "health", info->health);
    json_n(out, "routes", info->routes);
    json_n(out, "route_seq", info->route_seq);
    json_n(out, "clients_arbitrated", info->ids_arbitrated);
    json_bool(out, "draining", info->is_draining);
    json_n(out, "drain_left", info->is_draining ? info->drain_left : 0);
    json_n(out, "partitions", info->partitions);
    json_n(out, "sessions_merged", info->merges);
    json_str(out, "last_partition", info->last_partition);
}

void cluster_json_put(struct text *out, const struct cluster_report *r)
{
    const struct mesh_info *info = r->info;
    text_add(out, "{");
    json_names(out, r, "stopped_nodes", false);
    json_names(out, r, "running_nodes", true);
    if (info) {
        json_overview(out, r);
        text_add(out, "\"members\":[{");
        json_member(out, r, &info->self);
        json_bool(out, "self", true);
        json_end(out, "},");
        for (uint32_t i = 0; i < info->peers_n; i++) {
            text_add(out, "{");
            json_peer(out, r, &info->peers[i]);
            json_end(out, "},");
        }
        json_end(out, "]");
    }
    json_end(out, "}\n");
}
