/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_ACT_H
#define COVEY_ADMIN_ACT_H

/* What an operator does to a session, as closures for its home shard; arg is a struct act. */

#include "node/core/bans.h"
#include "node/core/shard.h"
#include "proto/mqtt/packet.h"

enum act_result { ACT_OK, ACT_NOT_FOUND, ACT_REFUSED };

struct act {
    struct bytes client_id;
    struct subscribe_item item; /* of the subscribe; its filter of the unsubscribe too */
    enum act_result result;
    enum reason code; /* of ACT_REFUSED */
    const char *text; /* static, or NULL */
};

/* Ends the client's connection; its session stays as long as it was to. ACT_NOT_FOUND: not connected. */
void act_kick(struct shard *sh, void *arg);
/* Ends the session, and before it its connection. */
void act_discard(struct shard *sh, void *arg);
void act_subscribe(struct shard *sh, void *arg);
/* ACT_NOT_FOUND: no session, or no such subscription. */
void act_unsubscribe(struct shard *sh, void *arg);

/* A ban that is set or lifted, on shard 0; arg is a struct act_ban. */
struct act_ban {
    struct rpc_ban ban;
    bool is_done;
    char why[160]; /* of one that was not set */
};
void act_ban_add(struct shard *sh, void *arg);
void act_ban_del(struct shard *sh, void *arg);

#endif
