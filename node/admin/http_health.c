/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/http.h"
#include "storage/writer.h"

#include <stdlib.h>

/* That the admin thread answers is what there is to say: it asks nobody, so that it tells of this thread only
 * and never waits. */
static void livez(struct admin_env *env, const char *query, struct http_answer *out)
{
    (void)env;
    (void)query;
    text_add(&out->body, "ok\n");
}

/* ---- readiness ------------------------------------------------------------------------------------ */

static void reason_put(struct http_answer *out, const char *reason)
{
    text_add(&out->body, out->status == 200 ? "not ready: " : "; ");
    out->status = 503;
    text_add(&out->body, reason);
}

/* The first one whose subscriptions are not all here; NULL: none. */
static const struct mesh_peer_info *peer_behind(const struct mesh_info *info)
{
    for (uint32_t i = 0; i < info->peers_n; i++)
        if (info->peers[i].is_linked && !info->peers[i].routes_complete)
            return &info->peers[i];
    return NULL;
}

static void mesh_judge(const struct mesh_info *info, struct http_answer *out)
{
    const struct mesh_peer_info *behind = peer_behind(info);
    if (info->is_draining)
        reason_put(out, "its clients are being moved to other nodes");
    if (info->is_ready)
        return;
    if (info->self.state == MEMBER_LEFT) {
        reason_put(out, "it has left the cluster");
    } else if (behind) {
        reason_put(out, "the subscriptions are not complete yet of ");
        text_escaped(&out->body, bytes_str(behind->member.name), "");
    } else {
        reason_put(out, "no other node has answered yet");
    }
}

static void cluster_judge(const struct cluster_view_ops *view, struct http_answer *out)
{
    struct mesh_info info;
    if (!cluster_view_info(view, &info))
        reason_put(out, "the node is stopping");
    else
        mesh_judge(&info, out);
    free(info.peers);
}

static void readyz(struct admin_env *env, const char *query, struct http_answer *out)
{
    struct writer_stats w = {0};
    (void)query;
    if (env->conf.writer)
        figures_writer(&env->figures, &w);
    if (w.failed_in_row)
        reason_put(out, "what clients send cannot be stored, see the log");
    if (env->conf.cluster)
        cluster_judge(env->conf.cluster, out);
    text_add(&out->body, out->status == 200 ? "ok\n" : "\n");
}

/* ---- status --------------------------------------------------------------------------------------- */

static void status(struct admin_env *env, const char *query, struct http_answer *out)
{
    const struct node_conf *nc = node_conf(env->conf.node);
    if (!http_query_is(query, "format", "json")) {
        text_printf(&out->body, "Node %s is started\ncovey is running", nc->name);
        return;
    }
    out->format = HTTP_JSON;
    text_add(&out->body, "{\"node_name\":");
    text_json(&out->body, bytes_str(nc->name));
    text_add(&out->body, ",\"rel_vsn\":");
    text_json(&out->body, bytes_str(nc->version));
    text_add(&out->body, ",\"broker_status\":\"started\",\"app_status\":\"running\"}");
}

const struct http_route http_routes_health[] = {
    {"/livez", livez}, {"/readyz", readyz}, {"/status", status}, {"/api/v5/status", status}, {0},
};
