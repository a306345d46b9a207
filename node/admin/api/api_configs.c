/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/call.h"
#include "node/admin/api/routes.h"

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
     .summary = "What this node was started with, and where each value comes from"},
    {0},
};
