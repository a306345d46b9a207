/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TOPIC_TOPIC_H
#define COVEY_TOPIC_TOPIC_H

/* Topic names and topic filters: what is well formed, and which name matches which filter
 * (MQTT 5.0 section 4.7). Byte compare, case sensitive, no normalisation [MQTT-4.7.3-4].
 * All functions are linear in the length, none recurses, none allocates. */

#include "proto/base/bytes.h"

enum topic_verdict {
    TOPIC_OK = 0,
    TOPIC_EMPTY,         /* [MQTT-4.7.3-1] */
    TOPIC_TOO_LONG,      /* [MQTT-4.7.3-3] */
    TOPIC_BAD_UTF8,      /* [MQTT-1.5.4-1], also U+0000 [MQTT-4.7.3-2] */
    TOPIC_WILDCARD,      /* + or # in a topic name [MQTT-4.7.0-1] */
    TOPIC_BAD_HASH,      /* # not alone in the last level [MQTT-4.7.1-1] */
    TOPIC_BAD_PLUS,      /* + not alone in its level [MQTT-4.7.1-2] */
    TOPIC_BAD_SHARE,     /* $share without a name or filter [MQTT-4.8.2-1, MQTT-4.8.2-2] */
    TOPIC_BAD_EXCLUSIVE, /* $exclusive without a filter */
    TOPIC_TOO_DEEP,      /* more levels than the limit */
};

/* For reason strings: "'#' must be the last level", ... Never NULL. */
const char *topic_verdict_text(enum topic_verdict v);

/* Is `name` a topic that can be published to? levels_max 0: no limit. */
enum topic_verdict topic_name_check(struct bytes name, unsigned levels_max);

/* The group of $exclusive/FILTER; no share name can be so. */
#define TOPIC_EXCLUSIVE "+"

/* A filter as a SUBSCRIBE gives it, taken apart. */
struct topic_filter {
    struct bytes group;  /* share name, empty when not shared; TOPIC_EXCLUSIVE */
    struct bytes filter; /* what is matched: behind $share/NAME/ or $exclusive/ */
    bool has_wildcard;
};

/* Checks `text` as a filter and fills *f with views into it. levels_max counts the levels of f->filter;
 * 0: no limit. */
enum topic_verdict topic_filter_parse(struct bytes text, unsigned levels_max, struct topic_filter *f);

static inline bool topic_group_is_exclusive(struct bytes group)
{
    return group.n == 1 && group.p[0] == TOPIC_EXCLUSIVE[0];
}

/* Does `name` match `filter`? Both are well formed; the filter has no $share prefix. A leading wildcard does
 * not match a name that begins with $ [MQTT-4.7.2-1]; `a/#` matches `a`. */
bool topic_match(struct bytes filter, struct bytes name);

/* Walks levels: sets *level to the next one, answers false behind the last. Start with *at = 0. "a//b" has
 * three levels, "/" has two empty ones. */
static inline bool topic_level_next(struct bytes t, uint32_t *at, struct bytes *level)
{
    if (*at > t.n)
        return false;
    const uint8_t *start = t.p + *at;
    const uint8_t *slash = t.n > *at ? memchr(start, '/', t.n - *at) : NULL;
    uint32_t n = slash ? (uint32_t)(slash - start) : t.n - *at;
    *level = bytes_of(start, n);
    *at += n + 1;
    return true;
}

#endif
