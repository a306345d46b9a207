/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/act.h"
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/core/bans.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"

#include <stdlib.h>

/* Who may not come in. The table is the same on every shard and every node; shard 0 makes the changes. */

/* ---- list ----------------------------------------------------------------------------------------- */

struct bans_ask {
    uint32_t *place;
    struct rpc_buf buf;
    bool more;
};

static void list_call(struct shard *sh, void *arg)
{
    struct bans_ask *a = arg;
    a->more = bans_list(sh, a->place, &a->buf);
}

static void time_put(struct text *out, const char *name, uint64_t ms)
{
    char buf[TEXT_TIME_N];
    text_printf(out, ", %s=%s", name, ms ? text_time(buf, ms) : "infinity");
}

static void ban_put(struct text *out, const struct rpc_ban *b)
{
    text_printf(out, "Banned(as=%s, who=", ban_as_name(b->as));
    text_escaped(out, b->who, ",()");
    text_add(out, ", by=");
    text_escaped(out, b->by, ",()");
    text_add(out, ", reason=");
    text_escaped(out, b->reason, ",()");
    time_put(out, "at", b->at_ms);
    time_put(out, "until", b->until_ms);
    text_add(out, ")\n");
}

static bool list_produce(struct call *c)
{
    struct bans_ask a = {.place = &c->listing.place};
    struct rpc_arena *arena = rpc_arena_new();
    struct rpc_bans m;
    shard_ask(c->env->conf.io, 0, list_call, &a);
    if (rpc_bans_read(&m, rpc_buf_bytes(&a.buf), arena)) {
        for (uint32_t i = 0; i < m.n; i++)
            ban_put(&c->out, &m.items[i]);
    }
    rpc_arena_free(arena);
    rpc_buf_fini(&a.buf);
    return a.more;
}

static void list(struct call *c)
{
    c->produce = list_produce;
}

/* ---- add and del ---------------------------------------------------------------------------------- */

static bool change_read(const struct call *c, struct act_ban *a)
{
    uint64_t ms;
    *a = (struct act_ban){.ban.by = bytes_str("ctl"), .ban.who = bytes_str(c->args[1])};
    if (!ban_as_parse(&a->ban.as, c->args[0]))
        return false;
    for (uint32_t i = 2; i + 1 < c->args_n; i += 2) {
        if (strcmp(c->args[i], "--reason") == 0)
            a->ban.reason = bytes_str(c->args[i + 1]);
        else if (strcmp(c->args[i], "--for") == 0 && duration_read(c->args[i + 1], &ms))
            a->ban.until_ms = wall_ms() + ms;
        else
            return false;
    }
    return c->args_n % 2 == 0;
}

static bool change_run(struct call *c, struct act_ban *a, void (*fn)(struct shard *sh, void *arg))
{
    if (!change_read(c, a)) {
        call_fail(c, "Usage: ban add|del clientid|username|peerhost|peerhost_net|clientid_re|username_re WHO "
                     "[--for 90s|5m|2h|7d] [--reason TEXT]");
        return false;
    }
    enum reason stored = shard_ask_stored(c->env->conf.io, 0, fn, a);
    if (a->is_done && stored >= RC_UNSPECIFIED_ERROR) {
        call_fail(c, "It is in force, but the store cannot be written now; that is tried again.");
        return false;
    }
    return true;
}

static void add(struct call *c)
{
    struct act_ban a;
    if (!change_run(c, &a, act_ban_add))
        return;
    if (!a.is_done) {
        c->status = 1;
        text_printf(&c->out, "Not banned: %s.\n", a.why);
        return;
    }
    text_add(&c->out, "ok\n");
}

static void del(struct call *c)
{
    struct act_ban a;
    if (!change_run(c, &a, act_ban_del))
        return;
    if (a.is_done)
        text_add(&c->out, "ok\n");
    else
        call_fail(c, "Not Found.");
}

const struct command commands_bans[] = {
    {"ban", "list", "", "List who may not come in", 0, 0, COMMAND_LOOKS, list},
    {"ban", "add", "<as> <who> [--for TIME] [--reason TEXT]", "Ban: as clientid, username, peerhost, ..", 2,
     6, COMMAND_CHANGES, add},
    {"ban", "del", "<as> <who>", "Lift a ban", 2, 2, COMMAND_CHANGES, del},
    {0},
};
