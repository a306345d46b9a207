/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/call.h"
#include "node/admin/api/routes.h"
#include "node/admin/reload.h"

/* The configuration that this node runs with. */

static void list(struct api_call *c)
{
    const struct admin_conf *conf = &c->env->conf;
    json_t *all = json_array();
    for (size_t i = 0; i < conf->settings_n; i++) {
        json_t *o = json_object();
        json_put(o, "key", json_of_str(conf->settings[i].key));
        json_put(o, "value", json_of_str(conf->settings[i].value));
        json_put(o, "from", json_of_str(conf->settings[i].from));
        json_push(all, o);
    }
    api_reply(c, 200, all);
}

static json_t *changes(const struct admin_change *v, size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        json_put(o, "key", json_of_str(v[i].key));
        json_put(o, "before", json_of_bytes(bytes_str(v[i].before)));
        json_put(o, "after", json_of_bytes(bytes_str(v[i].after)));
        json_push(all, o);
    }
    return all;
}

static void reload(struct api_call *c)
{
    const struct admin_reload *r = admin_reload(c->env);
    if (!r->is_good) {
        api_fail(c, 400, "UPDATE_FAILED", "%s", r->fault);
        return;
    }
    json_t *o = json_object();
    json_put(o, "changed", changes(r->changed, r->changed_n));
    json_put(o, "needs_restart", changes(r->restart, r->restart_n));
    api_reply(c, 200, o);
}

API_SHAPE(change_shape, "setting_change", API_HAS("key", STRING, "As mqtt.max_packet_size"),
          API_HAS("before", STRING, "What is, or was, in force"), API_HAS("after", STRING, "What was read"));
API_SHAPE(reload_shape, "reload",
          {.name = "changed",
           .type = API_ARRAY,
           .flags = API_REQUIRED,
           .of = &change_shape,
           .help = "What is in force now"},
          {.name = "needs_restart",
           .type = API_ARRAY,
           .flags = API_REQUIRED,
           .of = &change_shape,
           .help = "What comes into force when the node is started again"});
API_SHAPE(setting_shape, "setting", API_HAS("key", STRING, "As mqtt.max_packet_size"),
          API_HAS("value", STRING, "As it would be written"),
          API_HAS("from", STRING, "default, the file with its line, or the variable of the environment"));

const struct api_route api_routes_configs[] = {
    {.method = API_GET,
     .path = "/configs",
     .scope = API_HERE,
     .role = API_VIEWER,
     .run = list,
     .answer = API_LIST,
     .shape = &setting_shape,
     .tag = "Configuration",
     .summary = "What is in force on this node, and where each value comes from"},
    {.method = API_POST,
     .path = "/nodes/{node}/configs/reload",
     .scope = API_NODE,
     .role = API_ADMIN,
     .run = reload,
     .answer = API_ONE,
     .shape = &reload_shape,
     .tag = "Configuration",
     .summary = "Read the configuration of a node again, with users, rules and certificates",
     .refusals = "400 UPDATE_FAILED, 404 NOT_FOUND, 503 SERVICE_UNAVAILABLE"},
    {.method = API_POST,
     .path = "/configs/reload",
     .scope = API_HERE,
     .role = API_ADMIN,
     .run = reload,
     .answer = API_ONE,
     .shape = &reload_shape,
     .tag = "Configuration",
     .summary = "The same of the node that is asked",
     .refusals = "400 UPDATE_FAILED"},
    {0},
};
