/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/act.h"

#include "node/core/conn.h"
#include "node/core/retained.h"
#include "node/core/session.h"
#include "node/core/subscribe.h"

static const char kicked[] = "Ended by an administrator";

void act_kick(struct shard *sh, void *arg)
{
    struct act *a = arg;
    struct session *s = session_find(sh, a->client_id);
    a->result = s && s->conn ? ACT_OK : ACT_NOT_FOUND;
    if (a->result == ACT_OK)
        conn_close(s->conn, RC_ADMINISTRATIVE_ACTION, kicked, CONN_END_KICKED);
}

/* The session may end with its connection, so it is looked up again. */
void act_discard(struct shard *sh, void *arg)
{
    struct act *a = arg;
    struct session *s = session_find(sh, a->client_id);
    a->result = s ? ACT_OK : ACT_NOT_FOUND;
    if (s && s->conn) {
        conn_close(s->conn, RC_ADMINISTRATIVE_ACTION, kicked, CONN_END_KICKED);
        s = session_find(sh, a->client_id);
    }
    if (s)
        session_end(s);
}

static void act_answer(struct act *a, enum reason code)
{
    a->code = code;
    a->result = code < RC_UNSPECIFIED_ERROR ? ACT_OK : ACT_REFUSED;
}

void act_subscribe(struct shard *sh, void *arg)
{
    struct act *a = arg;
    struct session *s = session_find(sh, a->client_id);
    if (!s) {
        a->result = ACT_NOT_FOUND;
        return;
    }
    act_answer(a, session_subscribe(s, &a->item, 0, GRANTED_BY_OTHERS, &a->text));
    if (a->result == ACT_OK && s->conn && s->conn->replay)
        replay_run(s->conn);
}

void act_unsubscribe(struct shard *sh, void *arg)
{
    struct act *a = arg;
    struct session *s = session_find(sh, a->client_id);
    if (!s) {
        a->result = ACT_NOT_FOUND;
        return;
    }
    enum reason code = session_unsubscribe(s, a->item.filter, &a->text);
    act_answer(a, code);
    if (code == RC_NO_SUBSCRIPTION_EXISTED)
        a->result = ACT_NOT_FOUND;
}

void act_ban_add(struct shard *sh, void *arg)
{
    struct act_ban *a = arg;
    a->is_done = ban_add(sh, &a->ban, a->why, sizeof a->why);
}

void act_ban_del(struct shard *sh, void *arg)
{
    struct act_ban *a = arg;
    a->is_done = ban_del(sh, a->ban.as, a->ban.who);
}
