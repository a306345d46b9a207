/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/auto_subscribe.h"

#include "node/core/conn_i.h"
#include "node/core/expand.h"
#include "node/core/mount.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "node/core/subscribe.h"

#include <stdio.h>

/* "qos=1" and the like into *item; false: not an option. */
static bool option_parse(struct bytes word, struct subscribe_item *item)
{
    static const char *const names[] = {"qos=", "rh=", "nl=", "rap="};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct bytes name = bytes_str(names[i]);
        if (!bytes_starts(word, name) || word.n != name.n + 1)
            continue;
        unsigned v = word.p[name.n] - (unsigned)'0';
        if (v > (i < 2 ? 2u : 1u))
            return false;
        if (i == 0)
            item->qos = (uint8_t)v;
        else if (i == 1)
            item->retain_handling = (uint8_t)v;
        else if (i == 2)
            item->no_local = v;
        else
            item->retain_as_published = v;
        return true;
    }
    return false;
}

static bool item_parse(struct bytes rule, struct subscribe_item *item)
{
    *item = (struct subscribe_item){.filter = rule_word(&rule)};
    while (rule.n) {
        if (!option_parse(rule_word(&rule), item))
            return false;
    }
    return true;
}

bool auto_subscribe_check(const char *text, char *why, size_t n)
{
    struct subscribe_item item;
    struct topic_filter f;
    struct bytes rule;
    for (size_t at = 0; rule_next(text, &at, &rule);) {
        if (!item_parse(rule, &item)) {
            snprintf(why, n, "an entry is: FILTER [qos=0..2] [nl=0|1] [rap=0|1] [rh=0..2]");
            return false;
        }
        enum topic_verdict v = topic_filter_parse(item.filter, 0, &f);
        if (v != TOPIC_OK) {
            snprintf(why, n, "%.*s: %s", (int)item.filter.n, (const char *)item.filter.p,
                     topic_verdict_text(v));
            return false;
        }
    }
    return true;
}

bool auto_subscribe_next(const char *text, size_t *at, struct subscribe_item *item)
{
    struct bytes rule;
    return rule_next(text, at, &rule) && item_parse(rule, item);
}

static void one(struct conn *c, struct subscribe_item item)
{
    struct session *s = c->session;
    struct shard *sh = c->shard;
    uint8_t filter[EXPAND_BYTES_MAX];
    struct expand_names names = {.client_id = session_id(s)};
    const char *why = "the client's name makes no topic";
    char id[LOG_ESCAPED_MAX];
    uint32_t n;
    if (s->username)
        names.username = bytes_str(s->username);
    if (topic_expand(item.filter, &names, filter, &n)) {
        item.filter = bytes_of(filter, n);
        if (c->is_mounted)
            item.filter = mount_filter(sh, s->mount, item.filter);
        if (session_subscribe(s, &item, 0, &why) < RC_UNSPECIFIED_ERROR)
            return;
    }
    COUNT(sh, AUTO_SUBSCRIBE_FAILED);
    LOG(sh->node->conf.log, LOG_INFO, "client not_subscribed client_id=\"%s\" why=\"%s\"",
        log_escape(id, session_id(s)), why);
}

void auto_subscribe(struct conn *c, const char *text)
{
    struct subscribe_item item;
    for (size_t at = 0; c->state == CONN_OPEN && auto_subscribe_next(text, &at, &item);)
        one(c, item);
    if (c->state == CONN_OPEN && c->replay)
        replay_run(c);
}
