/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"

static void put_refusals(struct text *out, const struct io_listener_info *l)
{
    const char *comma = "";
    text_add(out, "[");
    if (l->shut_before_connect) {
        text_printf(out, "before_connect=%llu", (unsigned long long)l->shut_before_connect);
        comma = ", ";
    }
    for (int r = 0; r < IO_REFUSALS; r++) {
        if (!l->refused[r])
            continue;
        text_printf(out, "%s%s=%llu", comma, io_refusal_name((enum io_refusal)r),
                    (unsigned long long)l->refused[r]);
        comma = ", ";
    }
    text_add(out, "]\n");
}

static void listeners_list(struct call *c)
{
    struct io *io = c->env->conf.io;
    struct text *out = &c->out;
    for (uint32_t i = 0; i < io_listeners(io); i++) {
        struct io_listener_info l;
        io_listener_info(io, i, &l);
        text_printf(out, "%s\n", l.name);
        text_printf(out, "  %-16s: %s\n", "listen_on", l.bind);
        text_printf(out, "  %-16s: %u\n", "acceptors", io_workers(io));
        text_printf(out, "  %-16s: %s\n", "running", l.is_running ? "true" : "false");
        text_printf(out, "  %-16s: %u\n", "current_conn", l.connections);
        if (l.connections_max)
            text_printf(out, "  %-16s: %u\n", "max_conns", l.connections_max);
        else
            text_printf(out, "  %-16s: infinity\n", "max_conns");
        text_printf(out, "  %-16s: %llu\n", "accepted", (unsigned long long)l.accepted);
        text_printf(out, "  %-16s: ", "shutdown_count");
        put_refusals(out, &l);
    }
}

static void tell(struct call *c, const char *done, const char *verb, enum err e, const char *why)
{
    if (e == OK) {
        text_printf(&c->out, "%s ", done);
        text_escaped(&c->out, bytes_str(c->args[0]), "");
        text_add(&c->out, " listener successfully.\n");
        return;
    }
    c->status = 1;
    text_printf(&c->out, "Failed to %s ", verb);
    text_escaped(&c->out, bytes_str(c->args[0]), "");
    text_printf(&c->out, " listener: %s\n", why);
}

static const char *why_not_start(enum err e)
{
    switch (e) {
    case ERR_NOTFOUND:
        return "there is none of this name";
    case ERR_EXISTS:
        return "it runs already, or its address is in use";
    case ERR_DENIED:
        return "not permitted to use its address";
    case ERR_INVALID:
        return "its address is not one of this machine";
    default:
        return err_name(e);
    }
}

static void listeners_start(struct call *c)
{
    enum err e = io_listener_start(c->env->conf.io, c->args[0]);
    tell(c, "Started", "start", e, why_not_start(e));
}

static void listeners_stop(struct call *c)
{
    enum err e = io_listener_stop(c->env->conf.io, c->args[0]);
    tell(c, "Stopped", "stop", e, "there is none of this name that runs");
}

/* One that does not run is started: it is what was wanted. */
static void listeners_restart(struct call *c)
{
    enum err e = io_listener_stop(c->env->conf.io, c->args[0]);
    if (e == OK || e == ERR_NOTFOUND)
        e = io_listener_start(c->env->conf.io, c->args[0]);
    tell(c, "Restarted", "restart", e, why_not_start(e));
}

const struct command commands_listeners[] = {
    {"listeners", NULL, "", "List the listeners", 0, 0, COMMAND_LOOKS, listeners_list},
    {"listeners", "list", "", "The same", 0, 0, COMMAND_LOOKS, listeners_list},
    {"listeners", "start", "<id>", "Start a listener, as tcp:default", 1, 1, COMMAND_CHANGES,
     listeners_start},
    {"listeners", "stop", "<id>", "Stop a listener; its connections stay", 1, 1, COMMAND_CHANGES,
     listeners_stop},
    {"listeners", "restart", "<id>", "Restart a listener; its connections stay", 1, 1, COMMAND_CHANGES,
     listeners_restart},
    {0},
};
