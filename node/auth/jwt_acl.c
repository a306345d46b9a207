/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/jwt.h"
#include "proto/base/mem.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The rules of a token become lines, so that one grammar says what a rule may be. A token has 16 KB at most.
 */
struct lines {
    char *p; /* ends with NUL */
    size_t n, cap;
};

static void put(struct lines *out, const char *s, size_t n)
{
    if (out->n + n >= out->cap) {
        out->cap = 2 * (out->n + n) + 64;
        out->p = mem_realloc(out->p, out->cap);
    }
    memcpy(out->p + out->n, s, n);
    out->n += n;
    out->p[out->n] = 0;
}

static void put_text(struct lines *out, const char *s)
{
    put(out, s, strlen(s));
}

static bool fail(const char **why, const char *what)
{
    *why = what;
    return false;
}

/* In quotes. What could end the line is not for a topic. */
static bool topic_write(struct lines *out, const json_t *topic, const char **why)
{
    const char *s = json_string_value(topic);
    bool is_eq = s && strncmp(s, "eq ", 3) == 0;
    if (!s || !*s)
        return fail(why, "The ACL of the token has a topic that is not a text");
    put_text(out, is_eq ? " eq \"" : " \"");
    for (s += is_eq ? 3 : 0; *s; s++) {
        if ((unsigned char)*s < ' ')
            return fail(why, "The ACL of the token has a topic with a control character");
        if (*s == '"' || *s == '\\')
            put(out, "\\", 1);
        put(out, s, 1);
    }
    put_text(out, "\"\n");
    return true;
}

/* topics: one, or a list of them. */
static bool rules_write(struct lines *out, const char *permission, const char *action, const json_t *topics,
                        const char **why)
{
    size_t n = json_is_array(topics) ? json_array_size(topics) : 1;
    for (size_t i = 0; i < n; i++) {
        put_text(out, permission);
        put_text(out, " all ");
        put_text(out, action);
        if (!topic_write(out, json_is_array(topics) ? json_array_get(topics, i) : topics, why))
            return false;
    }
    return true;
}

/* ---- {"pub": [...], "sub": [...], "all": [...]} --------------------------------------------------- */

static const char *action_of(const char *word)
{
    static const char *const actions[][2] = {{"publish", "publish"},
                                             {"subscribe", "subscribe"},
                                             {"all", "all"},
                                             {"pub", "publish"},
                                             {"sub", "subscribe"}};
    for (size_t i = 0; word && i < sizeof actions / sizeof *actions; i++)
        if (strcmp(word, actions[i][0]) == 0)
            return actions[i][1];
    return NULL;
}

static bool lists_write(struct lines *out, json_t *lists, const char **why)
{
    const char *name;
    json_t *topics;
    json_object_foreach(lists, name, topics)
    {
        const char *action = action_of(name);
        if (!action)
            return fail(why, "The ACL of the token has a member that is not pub, sub or all");
        if (!rules_write(out, "allow", action, topics, why))
            return false;
    }
    return true;
}

/* ---- [{"permission": ..., "action": ..., "topic": ...}, ...] -------------------------------------- */

/* A condition that leaves nothing out is none. */
static bool leaves_nothing_out(const char *name, const json_t *value)
{
    unsigned seen = 0;
    if (strcmp(name, "retain") == 0)
        return json_is_string(value) && strcmp(json_string_value(value), "all") == 0;
    if (strcmp(name, "qos") != 0)
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_int_t qos = json_integer_value(json_array_get(value, i));
        if (json_is_integer(json_array_get(value, i)) && qos >= 0 && qos <= 2)
            seen |= 1u << qos;
    }
    return seen == 7;
}

static bool members_judge(json_t *rule, const char **why)
{
    static const char *const known[] = {"permission", "action", "topic", "topics"};
    const char *name;
    json_t *value;
    json_object_foreach(rule, name, value)
    {
        bool is_known = leaves_nothing_out(name, value);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known |= strcmp(name, known[i]) == 0;
        if (!is_known)
            return fail(why, "The ACL of the token has a rule with a condition that is not known");
    }
    return true;
}

static bool rule_write(struct lines *out, json_t *rule, const char **why)
{
    const char *permission = json_string_value(json_object_get(rule, "permission"));
    const char *action = action_of(json_string_value(json_object_get(rule, "action")));
    const json_t *one = json_object_get(rule, "topic"), *many = json_object_get(rule, "topics");
    if (!json_is_object(rule) || !permission || !action || !one == !many)
        return fail(why, "The ACL of the token has a rule without permission, action or topic");
    if (strcmp(permission, "allow") != 0 && strcmp(permission, "deny") != 0)
        return fail(why, "The ACL of the token has a permission that is not allow or deny");
    return members_judge(rule, why) && rules_write(out, permission, action, one ? one : many, why);
}

static bool list_write(struct lines *out, const json_t *rules, const char **why)
{
    for (size_t i = 0; i < json_array_size(rules); i++)
        if (!rule_write(out, json_array_get(rules, i), why))
            return false;
    return true;
}

bool jwt_acl(const struct jwt *t, const char *claim, char **text, bool *is_whole, const char **why)
{
    json_t *acl = json_object_get(t->claims, claim);
    struct lines out = {0};
    *text = NULL;
    if (!acl)
        return true;
    put(&out, "", 0);
    *is_whole = json_is_object(acl);
    bool ok = *is_whole            ? lists_write(&out, acl, why)
              : json_is_array(acl) ? list_write(&out, acl, why)
                                   : fail(why, "The ACL of the token is neither a list nor an object");
    if (ok)
        *text = out.p;
    else
        free(out.p);
    return ok;
}
