/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_ROUTES_H
#define COVEY_ADMIN_API_ROUTES_H

/* The tables of calls, one for each area, ended by one without a path. */

#include "node/admin/api/route.h"

extern const struct api_route api_routes_login[];
extern const struct api_route api_routes_users[];
extern const struct api_route api_routes_keys[];
extern const struct api_route api_routes_nodes[];
extern const struct api_route api_routes_stats[];
extern const struct api_route api_routes_clients[];
extern const struct api_route api_routes_subs[];
extern const struct api_route api_routes_retained[];
extern const struct api_route api_routes_listeners[];
extern const struct api_route api_routes_publish[];
extern const struct api_route api_routes_alarms[];
extern const struct api_route api_routes_banned[];
extern const struct api_route api_routes_configs[];
extern const struct api_route api_routes_delayed[];
extern const struct api_route api_routes_rules[];
extern const struct api_route api_routes_watch[];
extern const struct api_route api_routes_trace[];
extern const struct api_route api_routes_groups[];
extern const struct api_route api_routes_why[];

#endif
