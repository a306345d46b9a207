/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/rewrite.h"

#include "node/core/expand.h"
#include "node/core/pattern.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

struct rule {
    unsigned actions; /* bits of enum rewrite_action */
    struct bytes source;
    struct bytes dest;
    struct pattern *pattern;
};

struct rewrite {
    struct rule *rules;
    uint32_t n;
    uint8_t out[2 * EXPAND_BYTES_MAX]; /* what stays in front, and what is made */
};

/* Views of text, but for the pattern. */
static bool rule_parse(struct bytes text, struct rule *r, char *why, size_t n)
{
    struct topic_filter f;
    struct bytes action = rule_word(&text);
    r->source = rule_word(&text);
    struct bytes expression = rule_word(&text);
    r->dest = rule_word(&text);
    r->actions = bytes_eq(action, bytes_str("publish"))     ? REWRITE_PUBLISH
                 : bytes_eq(action, bytes_str("subscribe")) ? REWRITE_SUBSCRIBE
                 : bytes_eq(action, bytes_str("all"))       ? REWRITE_PUBLISH | REWRITE_SUBSCRIBE
                                                            : 0;
    if (!r->actions || r->dest.n == 0 || text.n) {
        snprintf(why, n, "a rule is: publish|subscribe|all FILTER EXPRESSION TOPIC");
        return false;
    }
    enum topic_verdict v = topic_filter_parse(r->source, 0, &f);
    if (v != TOPIC_OK || f.group.n) {
        snprintf(why, n, "%.*s: %s", (int)r->source.n, (const char *)r->source.p,
                 v != TOPIC_OK ? topic_verdict_text(v) : "the filter stands without $share");
        return false;
    }
    r->pattern = pattern_new(expression, why, n);
    return r->pattern != NULL;
}

bool rewrite_check(const char *text, char *why, size_t n)
{
    struct bytes rule;
    struct rule r;
    for (size_t at = 0; rule_next(text, &at, &rule);) {
        if (!rule_parse(rule, &r, why, n))
            return false;
        pattern_free(r.pattern);
    }
    return true;
}

struct rewrite *rewrite_new(const char *text)
{
    struct rewrite *out = NULL;
    struct bytes rule;
    char why[128];
    for (size_t at = 0; text && rule_next(text, &at, &rule);) {
        if (!out)
            out = mem_zalloc(sizeof *out);
        out->rules = mem_realloc(out->rules, (out->n + 1) * sizeof *out->rules);
        CHECK(rule_parse(rule, &out->rules[out->n], why, sizeof why));
        out->n++;
    }
    return out;
}

void rewrite_free(struct rewrite *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->n; i++)
        pattern_free(r->rules[i].pattern);
    free(r->rules);
    free(r);
}

static bool is_well_formed(enum rewrite_action action, struct bytes topic)
{
    struct topic_filter f;
    return action == REWRITE_PUBLISH ? topic_name_check(topic, 0) == TOPIC_OK
                                     : topic_filter_parse(topic, 0, &f) == TOPIC_OK;
}

/* The first rule that is about the topic, if it is a topic at all. */
static const struct rule *rule_find(const struct rewrite *r, enum rewrite_action action, struct bytes name)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if ((r->rules[i].actions & action) && topic_match(r->rules[i].source, name))
            return &r->rules[i];
    }
    return NULL;
}

struct bytes rewrite_topic(struct rewrite *r, enum rewrite_action action, struct bytes topic,
                           struct bytes client_id, struct bytes username)
{
    struct topic_filter f = {.filter = topic};
    struct bytes groups[EXPAND_GROUPS];
    struct expand_names names = {.client_id = client_id, .username = username, .groups = groups};
    uint32_t n;
    if (action == REWRITE_SUBSCRIBE && topic_filter_parse(topic, 0, &f) != TOPIC_OK)
        return topic;
    const struct rule *rule = rule_find(r, action, f.filter);
    if (!rule || pattern_groups(rule->pattern, f.filter, groups, EXPAND_GROUPS) != PATTERN_YES)
        return topic;
    uint32_t lead = topic.n - f.filter.n;
    bytes_put(r->out, bytes_of(topic.p, lead));
    if (!topic_expand(rule->dest, &names, r->out + lead, &n))
        return topic;
    struct bytes made = bytes_of(r->out, lead + n);
    return is_well_formed(action, made) ? made : topic;
}

struct bytes rewrite_of(const struct session *s, enum rewrite_action action, struct bytes topic)
{
    struct bytes username = s->username ? bytes_str(s->username) : bytes_of(NULL, 0);
    return rewrite_topic(s->shard->rewrite, action, topic, session_id(s), username);
}
