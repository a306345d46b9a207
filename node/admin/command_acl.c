/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "node/io/acl_file.h"
#include "proto/topic/topic.h"

/* The rules of authorization: what they are, whom they have refused, and what they would say. */

static bool server_is_asked(const struct call *c)
{
    const struct admin_conf *conf = &c->env->conf;
    return conf->authz_is_on && conf->authz_is_on(conf->auth_ctx);
}

/* The rules in force, a reference; NULL, said: there are none. */
static struct acl *acl_get(struct call *c)
{
    struct acl *a = acl_file_acl(c->env->conf.acl_file);
    if (!a)
        call_fail(c,
                  server_is_asked(c)
                      ? "No authorization.file is configured: authorization.http is asked about everything."
                      : "No authorization.file is configured: everybody may publish and subscribe "
                        "everything.");
    return a;
}

static const char *effect_name(const struct acl *a, uint32_t verdict)
{
    return acl_allows(a, verdict) ? "allow" : "deny";
}

static void list(struct call *c)
{
    struct acl *a = acl_get(c);
    if (!a)
        return;
    text_printf(&c->out, "%6s %12s  %s\n", "line", "refused", "rule");
    for (uint32_t i = 0; i < acl_rules(a); i++) {
        const struct acl_rule *r = acl_rule(a, i);
        text_printf(&c->out, "%6u %12llu  ", (unsigned)r->line, (unsigned long long)acl_refused(a, i));
        text_escaped(&c->out, r->text, "");
        text_add(&c->out, "\n");
    }
    uint32_t none = acl_rules(a);
    text_printf(&c->out, "%6s %12llu  %s where no rule fits (authorization.no_match)%s\n", "-",
                (unsigned long long)acl_refused(a, none), effect_name(a, none),
                server_is_asked(c) ? " and authorization.http has nothing to say" : "");
    acl_unref(a);
}

/* ---- check ---------------------------------------------------------------------------------------- */

struct question {
    struct acl_client client;
    uint8_t address[ACL_ADDRESS_N];
    enum acl_action action;
    struct bytes topic;
};

static bool option_take(struct call *c, struct question *q, const char *name, const char *value)
{
    if (strcmp(name, "--client") == 0)
        q->client.client_id = bytes_str(value);
    else if (strcmp(name, "--username") == 0)
        q->client.username = bytes_str(value);
    else if (strcmp(name, "--cert") == 0)
        q->client.cert_name = bytes_str(value);
    else if (strcmp(name, "--address") == 0 && acl_address(value, q->address))
        q->client.address = q->address;
    else {
        call_fail(c, "Options are --client ID, --username NAME, --cert NAME and --address ADDRESS.");
        return false;
    }
    return true;
}

static bool question_read(struct call *c, struct question *q)
{
    struct topic_filter f;
    uint32_t i = 0;
    for (; i + 1 < c->args_n && strncmp(c->args[i], "--", 2) == 0; i += 2)
        if (!option_take(c, q, c->args[i], c->args[i + 1]))
            return false;
    if (c->args_n != i + 2 || (strcmp(c->args[i], "publish") != 0 && strcmp(c->args[i], "subscribe") != 0)) {
        call_fail(c, "Say publish TOPIC or subscribe FILTER in the end.");
        return false;
    }
    q->action = c->args[i][0] == 'p' ? ACL_PUBLISH : ACL_SUBSCRIBE;
    q->topic = bytes_str(c->args[i + 1]);
    bool is_good = q->action == ACL_PUBLISH ? topic_name_check(q->topic, 0) == TOPIC_OK
                                            : topic_filter_parse(q->topic, 0, &f) == TOPIC_OK;
    if (!is_good)
        call_fail(c, "Not a topic or topic filter.");
    else if (q->action == ACL_SUBSCRIBE)
        q->topic = f.filter;
    return is_good;
}

static void check(struct call *c)
{
    struct question q = {0};
    bool is_whole = true;
    if (!question_read(c, &q))
        return;
    struct acl *a = acl_get(c);
    if (!a)
        return;
    uint32_t verdict = q.action == ACL_PUBLISH ? acl_on_topic(a, &q.client, q.action, q.topic)
                                               : acl_on_filter(a, &q.client, q.topic, &is_whole);
    bool is_asked = verdict == acl_rules(a) && server_is_asked(c);
    text_add(&c->out, is_asked ? "no rule fits: authorization.http is asked" : effect_name(a, verdict));
    if (is_asked) {
        is_whole = true;
    } else if (verdict < acl_rules(a)) {
        text_printf(&c->out, " by line %u: ", (unsigned)acl_rule(a, verdict)->line);
        text_escaped(&c->out, acl_rule(a, verdict)->text, "");
    } else {
        text_add(&c->out, ": no rule fits (authorization.no_match)");
    }
    text_add(&c->out, "\n");
    if (acl_allows(a, verdict) && !is_whole)
        text_add(&c->out, "Some topics of it are denied: those messages are left out.\n");
    acl_unref(a);
}

static void reload(struct call *c)
{
    struct acl_fault fault;
    enum err e = acl_reload(c->env->conf.acl_file, &fault);
    if (e == OK)
        text_add(&c->out, "ok\n");
    else if (e == ERR_NOTFOUND)
        call_fail(c, "No authorization.file is configured.");
    else {
        c->status = 1;
        text_printf(&c->out, "Line %u: %s\nThe old rules stay in force.\n", (unsigned)fault.line, fault.what);
    }
}

static void cache_clean(struct call *c)
{
    acl_file_forget(c->env->conf.acl_file);
    text_add(&c->out, "ok\n");
}

const struct command commands_acl[] = {
    {"acl", "list", "", "List the rules of authorization, and how often each has refused", 0, 0,
     COMMAND_LOOKS, list},
    {"acl", "check", "[--client ID] [--username U] [--cert N] [--address A] publish|subscribe <topic>",
     "Show what the rules say, and which one", 2, 10, COMMAND_LOOKS, check},
    {"acl", "reload", "", "Read authorization.file again", 0, 0, COMMAND_CHANGES, reload},
    {"acl", "cache-clean", "", "Forget the verdicts that are remembered", 0, 0, COMMAND_CHANGES, cache_clean},
    {0},
};
