/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"

/* The commands about who may come in and what they may do. */

static void auth_reload(struct call *c)
{
    const struct admin_conf *conf = &c->env->conf;
    if (!conf->auth_reload || conf->auth_reload(conf->auth_ctx) != OK)
        call_fail(c, "Not reloaded: what was in force stays so, and the log says which line is wrong.");
    else
        text_add(&c->out, "ok\n");
}

static void auth_status(struct call *c)
{
    figures_put(c, "auth");
}

const struct command commands_auth[] = {
    {"auth", NULL, "", "Show how many clients were let in and refused, and what was denied", 0, 0,
     COMMAND_LOOKS, auth_status},
    {"auth", "reload", "", "Read the password file again", 0, 0, COMMAND_CHANGES, auth_reload},
    {0},
};
