/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/acl_i.h"
#include "proto/topic/topic.h"

/* A rule's filter against a topic or a filter, level by level. */

enum fit { FIT_NO, FIT_YES, FIT_UNUSABLE /* a value that cannot stand there */ };

static const struct {
    const char *word;
    size_t at;
} values[] = {
    {"${clientid}", offsetof(struct acl_client, client_id)},
    {"${username}", offsetof(struct acl_client, username)},
    {"${cert_common_name}", offsetof(struct acl_client, cert_name)},
};

/* The value of the placeholder that p begins with; takes it from p. */
static bool value_take(struct bytes *p, const struct acl_client *c, struct bytes *value)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct bytes word = bytes_str(values[i].word);
        if (!bytes_starts(*p, word))
            continue;
        memcpy(value, (const char *)c + values[i].at, sizeof *value);
        *p = bytes_of(p->p + word.n, p->n - word.n);
        return true;
    }
    return false;
}

static bool is_usable(struct bytes v, bool is_first)
{
    return v.n && !memchr(v.p, '+', v.n) && !memchr(v.p, '#', v.n) && !memchr(v.p, '/', v.n) &&
           !(is_first && v.p[0] == '$');
}

/* One level of the rule, with placeholders, against one of the other side. */
static enum fit level_fits(struct bytes p, const struct acl_client *c, struct bytes level, bool is_first)
{
    for (bool begins = is_first; p.n; begins = false) {
        struct bytes part;
        if (value_take(&p, c, &part)) {
            if (!is_usable(part, begins))
                return FIT_UNUSABLE;
        } else {
            part = bytes_of(p.p, 1);
            p = bytes_of(p.p + 1, p.n - 1);
        }
        if (!bytes_starts(level, part))
            return FIT_NO;
        level = bytes_of(level.p + part.n, level.n - part.n);
    }
    return level.n ? FIT_NO : FIT_YES;
}

static bool is_word(struct bytes level, char c)
{
    return level.n == 1 && level.p[0] == (uint8_t)c;
}

static bool is_wild(struct bytes level)
{
    return is_word(level, '+') || is_word(level, '#');
}

enum relation { COVERS, MEETS };

/* What one level says: FIT_YES and FIT_NO end the comparison only with *ends. */
static enum fit step(const struct acl_rule *r, struct bytes p, const struct acl_client *c, struct bytes f,
                     bool is_first, enum relation rel, bool *ends)
{
    bool is_system = is_first && f.n && f.p[0] == '$'; /* [MQTT-4.7.2-1] */
    *ends = true;
    if (is_word(p, '#'))
        return is_system ? FIT_NO : FIT_YES;
    if (rel == MEETS && is_word(f, '#'))
        return is_first && p.n && p.p[0] == '$' && p.n > 1 && p.p[1] != '{' ? FIT_NO : FIT_YES;
    *ends = false;
    if (is_word(p, '+'))
        return is_system || is_word(f, '#') ? FIT_NO : FIT_YES;
    if (rel == MEETS && is_word(f, '+'))
        return FIT_YES;
    if (!r->has_placeholder)
        return bytes_eq(p, f) ? FIT_YES : FIT_NO;
    return level_fits(p, c, f, is_first);
}

static bool relates(const struct acl_rule *r, const struct acl_client *c, struct bytes filter,
                    enum relation rel)
{
    struct bytes p, f;
    uint32_t p_at = 0, f_at = 0;
    for (bool is_first = true;; is_first = false) {
        bool has_p = topic_level_next(r->filter, &p_at, &p);
        bool has_f = topic_level_next(filter, &f_at, &f);
        bool ends;
        if (!has_p && !has_f)
            return true;
        if (!has_f)
            return is_word(p, '#'); /* a/# takes in a */
        if (!has_p)
            return rel == MEETS && is_word(f, '#');
        enum fit fit = step(r, p, c, f, is_first, rel, &ends);
        if (fit == FIT_UNUSABLE)
            return r->effect == ACL_DENY;
        if (fit == FIT_NO || ends)
            return fit == FIT_YES;
    }
}

bool acl_covers(const struct acl_rule *r, const struct acl_client *c, struct bytes filter)
{
    if (!r->has_filter)
        return true;
    if (!bytes_starts(filter, bytes_of(r->filter.p, r->prefix_n)))
        return false;
    if (r->is_eq)
        return bytes_eq(r->filter, filter);
    return relates(r, c, filter, COVERS);
}

bool acl_shows(const struct acl_rule *r, const struct acl_client *c, struct bytes topic)
{
    if (r->is_eq && r->effect == ACL_ALLOW)
        return topic_match(r->filter, topic);
    return acl_covers(r, c, topic);
}

/* A text for eq that is no topic name is never the topic of a message. */
static bool is_name(struct bytes text)
{
    struct bytes level;
    for (uint32_t at = 0; topic_level_next(text, &at, &level);)
        if (is_wild(level))
            return false;
    return true;
}

bool acl_meets(const struct acl_rule *r, const struct acl_client *c, struct bytes filter)
{
    if (!r->has_filter)
        return true;
    if (r->is_eq)
        return is_name(r->filter) && topic_match(filter, r->filter);
    return relates(r, c, filter, MEETS);
}
