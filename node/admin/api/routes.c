/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/routes.h"

const struct api_route *const api_tables[] = {
    api_routes_login,   api_routes_users,  api_routes_keys,     api_routes_nodes,     api_routes_stats,
    api_routes_clients, api_routes_subs,   api_routes_retained, api_routes_listeners, api_routes_publish,
    api_routes_alarms,  api_routes_banned, api_routes_configs,  api_routes_delayed,   api_routes_rules,
    api_routes_watch,   api_routes_trace,  api_routes_groups,   api_routes_why,       NULL,
};
