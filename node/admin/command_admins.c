/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/accounts.h"
#include "node/admin/command.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* `covey ctl admins`: the users of the dashboard and the API, for who has lost a password. Passwords come as
 * hashes, which the command line makes. */

enum { LOOK_MS = 20 };

/* A change that is being stored and told to the other nodes. */
struct admins_wait {
    bool is_done;
    bool is_left; /* nobody looks at it any more */
    enum err result;
};

void admins_wait_free(struct admins_wait *w)
{
    if (w && w->is_done)
        free(w);
    else if (w)
        w->is_left = true;
}

static void on_done(void *arg, enum err result)
{
    struct admins_wait *w = arg;
    w->is_done = true;
    w->result = result;
    if (w->is_left)
        free(w);
}

static bool produce(struct call *c)
{
    if (!c->admins->is_done) {
        c->wait_ms = LOOK_MS;
        return true;
    }
    if (c->admins->result == OK)
        text_add(&c->out, "ok\n");
    else
        call_fail(c, "It could not be stored; nothing has changed.");
    return false;
}

/* record NULL: deletes it. */
static void put(struct call *c, json_t *record)
{
    c->admins = mem_zalloc(sizeof *c->admins);
    c->produce = produce;
    account_put(c->env->accounts, ACCOUNT_USER, c->args[0], record, on_done, c->admins);
}

/* ---- checks --------------------------------------------------------------------------------------- */

static bool has_accounts(struct call *c)
{
    if (!c->env->accounts)
        call_fail(c, "There is no HTTP API on this node, and so there are no users of it.");
    return c->env->accounts != NULL;
}

/* NULL: said. */
static const json_t *user_wanted(struct call *c)
{
    const json_t *user = account_find(c->env->accounts, ACCOUNT_USER, c->args[0]);
    if (!user)
        call_fail(c, "There is no user of this name.");
    return user;
}

static bool is_hash(struct call *c)
{
    bool is = bytes_starts(bytes_str(c->args[1]), bytes_str("$argon2id$"));
    if (!is)
        call_fail(c, "A password is sent as its hash, which \"covey ctl admins\" makes.");
    return is;
}

/* ---- commands ------------------------------------------------------------------------------------- */

static void list(struct call *c)
{
    const char *name;
    json_t *user;
    if (!has_accounts(c))
        return;
    json_object_foreach((json_t *)(uintptr_t)accounts_all(c->env->accounts, ACCOUNT_USER), name, user)
        text_printf(&c->out, "%s role=%s%s\n", name, json_str(user, "role"),
                    json_bool(user, "must_change", false) ? " must_change=true" : "");
}

static void add(struct call *c)
{
    const char *description = c->args_n > 2 && strcmp(c->args[2], "-") != 0 ? c->args[2] : "";
    const char *role = c->args_n > 3 ? c->args[3] : "administrator";
    if (!has_accounts(c) || !is_hash(c))
        return;
    if (!account_name_is_good(c->args[0])) {
        call_fail(c, "A name has at most 64 letters, digits and the signs ._@-");
    } else if (account_find(c->env->accounts, ACCOUNT_USER, c->args[0])) {
        call_fail(c, "There is a user of this name.");
    } else if (strcmp(role, "administrator") != 0 && strcmp(role, "viewer") != 0) {
        call_fail(c, "A role is administrator or viewer.");
    } else {
        put(c, account_user_new(c->args[1], role, description));
    }
}

static void passwd(struct call *c)
{
    const json_t *user = has_accounts(c) && is_hash(c) ? user_wanted(c) : NULL;
    if (!user)
        return;
    json_t *next = json_copy((json_t *)(uintptr_t)user);
    json_put(next, "hash", json_of_str(c->args[1]));
    json_put(next, "must_change", json_false());
    put(c, next);
}

static void del(struct call *c)
{
    const json_t *user = has_accounts(c) ? user_wanted(c) : NULL;
    if (!user)
        return;
    if (accounts_last_admin_is(c->env->accounts, user))
        call_fail(c, "This is the last administrator.");
    else
        put(c, NULL);
}

const struct command commands_admins[] = {
    {"admins", "list", "", "List the users of the dashboard and the API", 0, 0, COMMAND_LOOKS, list},
    {"admins", "add", "<name> [<password> [<description> [<role>]]]",
     "Add a user, administrator or viewer; without a password, or with -, it is asked for", 2, 4,
     COMMAND_SECRET, add},
    {"admins", "passwd", "<name> [<password>]", "Change the password of a user, whose logins end", 2, 2,
     COMMAND_SECRET, passwd},
    {"admins", "del", "<name>", "Delete a user, whose logins end", 1, 1, COMMAND_CHANGES, del},
    {0},
};
