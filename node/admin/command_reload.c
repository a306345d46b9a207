/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "node/admin/reload.h"

/* The configuration, read again. */

static void changes_put(struct call *c, const char *what, const struct admin_change *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_printf(&c->out, "%s %s: ", what, v[i].key);
        text_escaped(&c->out, bytes_str(v[i].before), "");
        text_add(&c->out, " -> ");
        text_escaped(&c->out, bytes_str(v[i].after), "");
        text_add(&c->out, "\n");
    }
}

static void reload(struct call *c)
{
    const struct admin_reload *r = admin_reload(c->env);
    if (!r->is_good) {
        c->status = 1;
        text_add(&c->out, r->fault);
        text_add(&c->out, "Nothing has changed.\n");
        return;
    }
    changes_put(c, "changed", r->changed, r->changed_n);
    changes_put(c, "restart", r->restart, r->restart_n);
    text_printf(&c->out, "%zu changed, %zu need%s a restart\n", r->changed_n, r->restart_n,
                r->restart_n == 1 ? "s" : "");
}

const struct command commands_reload[] = {
    {"reload", NULL, "", "Read the configuration, users, rules and certificates again", 0, 0, COMMAND_CHANGES,
     reload},
    {"conf", "reload", "", "The same", 0, 0, COMMAND_CHANGES, reload},
    {0},
};
