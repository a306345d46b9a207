/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "node/admin/delayed_walk.h"

/* Messages of this node that are to be published later. */

static bool item_put(void *arg, const struct delayed_item *item)
{
    struct text *out = arg;
    char when[TEXT_TIME_N];
    text_printf(out, "Delayed(%s, topic=", item->id);
    text_escaped(out, item->m.topic, ",()");
    text_printf(out, ", qos=%u, retain=%s, bytes=%u, publish_at=%s)\n", item->m.qos,
                item->m.retain ? "true" : "false", item->m.payload.n, text_time(when, item->when_ms));
    return true;
}

static bool list_produce(struct call *c)
{
    return delayed_walk_piece(&c->listing.retained, item_put, &c->out);
}

static void list(struct call *c)
{
    if (retained_walk_begin(&c->listing.retained, c->env->conf.store) == OK)
        c->produce = list_produce;
    else
        call_fail(c, "The store cannot be read.");
}

static void delete (struct call *c)
{
    static const char *const said[] = {[DELAYED_NOT_FOUND] = "Not Found.",
                                       [DELAYED_NO_ID] = "Not the id of a delayed message.",
                                       [DELAYED_NOT_STORED] = "The store cannot be written."};
    enum delayed_deleted done = delayed_remove(c->env->conf.io, c->args[0]);
    if (done == DELAYED_DELETED)
        text_add(&c->out, "ok\n");
    else
        call_fail(c, said[done]);
}

const struct command commands_delayed[] = {
    {"delayed", "list", "", "List the messages of this node that are to be published later", 0, 0,
     COMMAND_LOOKS, list},
    {"delayed", "delete", "<id>", "Delete one of them", 1, 1, COMMAND_CHANGES, delete},
    {0},
};
