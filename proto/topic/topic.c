/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/topic/topic.h"

#include "proto/topic/scan.h"
#include "proto/topic/utf8.h"

enum { TOPIC_BYTES_MAX = 65535 /* [MQTT-4.7.3-3] */ };

const char *topic_verdict_text(enum topic_verdict v)
{
    switch (v) {
    case TOPIC_OK:
        return "the topic is well formed";
    case TOPIC_EMPTY:
        return "a topic must have at least one character";
    case TOPIC_TOO_LONG:
        return "a topic must not be longer than 65535 bytes";
    case TOPIC_BAD_UTF8:
        return "a topic must be valid UTF-8 without U+0000";
    case TOPIC_WILDCARD:
        return "a topic name must not contain '+' or '#'";
    case TOPIC_BAD_HASH:
        return "'#' must be the last level and stand alone in it";
    case TOPIC_BAD_PLUS:
        return "'+' must stand alone in its level";
    case TOPIC_BAD_SHARE:
        return "a shared subscription must be $share/NAME/FILTER, NAME without '+' or '#'";
    case TOPIC_BAD_EXCLUSIVE:
        return "an exclusive subscription must be $exclusive/FILTER";
    case TOPIC_TOO_DEEP:
        return "the topic has more levels than are allowed here";
    }
    return "?";
}

/* A wildcard is found at p. Malformed text further on weighs more, since the string could not even be read.
 */
static enum topic_verdict name_has_wildcard(const uint8_t *p, const uint8_t *end)
{
    return utf8_is_valid(bytes_of(p, (size_t)(end - p))) ? TOPIC_WILDCARD : TOPIC_BAD_UTF8;
}

enum topic_verdict topic_name_check(struct bytes name, unsigned levels_max)
{
    if (name.n == 0)
        return TOPIC_EMPTY;
    if (name.n > TOPIC_BYTES_MAX)
        return TOPIC_TOO_LONG;
    const uint8_t *p = name.p;
    const uint8_t *end = name.p + name.n;
    uint32_t slashes = 0;
    while (p < end) {
        uint32_t n = end - p >= 8 ? 8 : (uint32_t)(end - p);
        uint64_t v = n == 8 ? word_load(p) : word_load_tail(name.p, p, end);
        if (word_is_text(v)) {
            if (word_has(v, '+') || word_has(v, '#'))
                return name_has_wildcard(p, end);
            slashes += word_count(v, '/');
        } else {
            n = utf8_sequence(p, end);
            if (n == 0)
                return TOPIC_BAD_UTF8;
            if (*p == '+' || *p == '#')
                return name_has_wildcard(p, end);
            slashes += *p == '/';
        }
        p += n;
    }
    return levels_max && slashes >= levels_max ? TOPIC_TOO_DEEP : TOPIC_OK;
}

/* Takes $exclusive/ off the front. */
static enum topic_verdict exclusive_parse(struct bytes text, struct topic_filter *f)
{
    const struct bytes prefix = bytes_str("$exclusive/");

    if (!bytes_starts(text, prefix))
        return TOPIC_OK;
    if (text.n == prefix.n)
        return TOPIC_BAD_EXCLUSIVE;
    f->group = bytes_str(TOPIC_EXCLUSIVE);
    f->filter = bytes_of(text.p + prefix.n, text.n - prefix.n);
    return TOPIC_OK;
}

/* Takes $share/NAME/ off the front. */
static enum topic_verdict share_parse(struct bytes text, struct topic_filter *f)
{
    const struct bytes prefix = bytes_str("$share");

    *f = (struct topic_filter){.filter = text};
    if (!bytes_starts(text, prefix) || (text.n > prefix.n && text.p[prefix.n] != '/'))
        return exclusive_parse(text, f);
    uint32_t at = prefix.n + 1;
    if (!topic_level_next(text, &at, &f->group) || f->group.n == 0 || at >= text.n)
        return TOPIC_BAD_SHARE; /* [MQTT-4.8.2-1] */
    if (memchr(f->group.p, '+', f->group.n) || memchr(f->group.p, '#', f->group.n))
        return TOPIC_BAD_SHARE; /* [MQTT-4.8.2-2] */
    f->filter = bytes_of(text.p + at, text.n - at);
    return TOPIC_OK;
}

enum topic_verdict topic_filter_parse(struct bytes text, unsigned levels_max, struct topic_filter *f)
{
    *f = (struct topic_filter){0};
    if (text.n == 0)
        return TOPIC_EMPTY;
    if (text.n > TOPIC_BYTES_MAX)
        return TOPIC_TOO_LONG;
    if (!utf8_is_valid(text))
        return TOPIC_BAD_UTF8;
    enum topic_verdict v = share_parse(text, f);
    if (v != TOPIC_OK)
        return v;

    struct bytes level;
    unsigned levels = 0;
    for (uint32_t at = 0; topic_level_next(f->filter, &at, &level); levels++) {
        bool is_last = at > f->filter.n;
        bool has_hash = level.n && memchr(level.p, '#', level.n);
        bool has_plus = level.n && memchr(level.p, '+', level.n);
        if (has_hash && (level.n != 1 || !is_last))
            return TOPIC_BAD_HASH; /* [MQTT-4.7.1-1] */
        if (has_plus && level.n != 1)
            return TOPIC_BAD_PLUS; /* [MQTT-4.7.1-2] */
        f->has_wildcard |= has_hash || has_plus;
    }
    return levels_max && levels > levels_max ? TOPIC_TOO_DEEP : TOPIC_OK;
}

bool topic_match(struct bytes filter, struct bytes name)
{
    if (filter.n == 0 || name.n == 0)
        return false;
    const uint8_t *f = filter.p, *f_end = filter.p + filter.n;
    const uint8_t *n = name.p, *n_end = name.p + name.n;
    if (*n == '$' && (*f == '#' || *f == '+'))
        return false; /* [MQTT-4.7.2-1] */
    /* Each turn matches one level; f and n stand at the beginning of theirs. */
    while (f < f_end) {
        if (*f == '#')
            return true;
        if (*f == '+') {
            f++;
            while (n < n_end && *n != '/')
                n++;
        }
        while (f < f_end && *f != '/') {
            if (n == n_end || *n != *f)
                return false;
            f++;
            n++;
        }
        if (f == f_end)
            return n == n_end;
        if (n == n_end)
            return f_end - f == 2 && f[1] == '#'; /* "a/#" also matches "a" */
        if (*n != '/')
            return false;
        f++;
        n++;
    }
    return n == n_end;
}
