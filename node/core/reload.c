/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/expand.h"
#include "node/core/rewrite.h"
#include "node/core/shard_i.h"

#include <string.h>

/* What a shard has made of its settings follows them when they change. */

static bool text_eq(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool list_has(const char *list, struct bytes what)
{
    struct bytes one;
    for (size_t at = 0; list && rule_next(list, &at, &one);)
        if (bytes_eq(one, what))
            return true;
    return false;
}

/* Topics that stay go on counting; those that somebody registered by hand are not the configuration's. */
static void metrics_follow(struct shard *sh, const char *before, const char *after)
{
    struct bytes topic;
    const char *why;
    for (size_t at = 0; before && rule_next(before, &at, &topic);)
        if (!list_has(after, topic))
            topic_metrics_unregister(sh, topic);
    for (size_t at = 0; after && rule_next(after, &at, &topic);)
        if (!list_has(before, topic) && !topic_metrics_register(sh, topic, &why))
            LOG(sh->node->conf.log, LOG_WARNING, "topic_metrics not registered topic=\"%.*s\" why=\"%s\"",
                (int)topic.n, (const char *)topic.p, why);
}

const struct settings *shard_settings(const struct shard *sh)
{
    return sh->settings;
}

void shard_settings_set(struct shard *sh, const struct settings *settings)
{
    const struct settings *before = sh->settings;
    if (!text_eq(before->topic_metrics, settings->topic_metrics))
        metrics_follow(sh, before->topic_metrics, settings->topic_metrics);
    if (!text_eq(before->rewrite_rules, settings->rewrite_rules)) {
        rewrite_free(sh->rewrite);
        sh->rewrite = rewrite_new(settings->rewrite_rules);
    }
    if (!settings->overload.is_on)
        sh->overload = (struct overload){0};
    sh->settings = settings;
}
