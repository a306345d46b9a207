/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_API_I_H
#define COVEY_ADMIN_API_API_I_H

/* What the parts of the API share. */

#include "node/admin/api/accounts.h"
#include "node/admin/api/api.h"
#include "node/admin/api/audit.h"
#include "node/admin/api/guard.h"
#include "node/admin/api/monitor.h"
#include "node/admin/api/replica.h"
#include "node/admin/api/tokens.h"
#include "proto/base/list.h"

struct api {
    struct admin_env *env;
    struct event_base *base;
    struct offload *offload;
    struct accounts *accounts;
    struct tokens *tokens;
    struct guard guard;
    struct audit *audit;
    struct monitor *monitor;
    struct list calls;             /* under way */
    const struct api_peers *peers; /* NULL: there is nobody else */
    struct peers *links;           /* NULL: the same */
    struct replica *replica;       /* NULL: the same */
};

#endif
