/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/mount.h"

#include "node/core/expand.h"
#include "node/core/identity.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* A prefix and a topic, each as long as a topic may be. */
enum { MOUNTED_BYTES_MAX = 2 * EXPAND_BYTES_MAX };

enum { CLIENT_ID, USERNAME, CERT_NAME, NAMES };
static const char *const names[NAMES] = {"${clientid}", "${username}", "${cert_common_name}"};
static const char *const short_names[NAMES] = {"%c", "%u", NULL};

static bool has_name(const char *template, int name)
{
    return strstr(template, names[name]) || (short_names[name] && strstr(template, short_names[name]));
}

const char *mount_judge(const char *template)
{
    struct bytes t = bytes_str(template);
    for (const char *at = template; (at = strstr(at, "${")); at++) {
        bool is_known = false;
        for (int i = 0; i < NAMES; i++)
            is_known |= strncmp(at, names[i], strlen(names[i])) == 0;
        if (!is_known)
            return "may have the placeholders ${clientid}, ${username} and ${cert_common_name}";
    }
    if (t.n && t.p[t.n - 1] != '/')
        return "must end with /, as tenant/${clientid}/";
    if (t.n && t.p[0] == '$' && t.p[1] != '{')
        return "must not begin with $";
    return topic_name_check(t, 0) == TOPIC_OK || !t.n ? NULL : "must not have + or # in it";
}

/* One level, and nothing else. */
static bool is_level(struct bytes v)
{
    return v.n && !memchr(v.p, '+', v.n) && !memchr(v.p, '#', v.n) && !memchr(v.p, '/', v.n);
}

static bool refuse(enum reason code, const char *text, enum reason *out, const char **why)
{
    *out = code;
    *why = text;
    return false;
}

static bool names_judge(const char *template, const struct expand_names *k, enum reason *code,
                        const char **why)
{
    if (has_name(template, CLIENT_ID) && !is_level(k->client_id))
        return refuse(RC_CLIENT_ID_NOT_VALID,
                      "The Client Identifier makes no mountpoint: +, # and / cannot be in it", code, why);
    if (has_name(template, USERNAME) && !is_level(k->username))
        return refuse(RC_BAD_USER_NAME_OR_PASSWORD,
                      "The user name makes no mountpoint: it is needed, and +, # and / cannot be in it", code,
                      why);
    if (has_name(template, CERT_NAME) && !is_level(*k->cert_name))
        return refuse(
            RC_NOT_AUTHORIZED,
            "The certificate makes no mountpoint: its name is needed, and +, # and / cannot be in it", code,
            why);
    return true;
}

struct mount *mount_new(struct shard *sh, const char *template, const struct conn *c, struct bytes client_id,
                        struct bytes username, enum reason *code, const char **why)
{
    struct bytes cert_name = c->identity ? c->identity->cert_name : bytes_of(NULL, 0);
    struct expand_names k = {.client_id = client_id, .username = username, .cert_name = &cert_name};
    uint32_t n;
    if (!template || !*template)
        return NULL;
    if (!sh->mounted)
        sh->mounted = mem_alloc(MOUNTED_BYTES_MAX);
    if (!names_judge(template, &k, code, why))
        return NULL;
    if (!topic_expand(bytes_str(template), &k, sh->mounted, &n) || n == EXPAND_BYTES_MAX) {
        refuse(RC_CLIENT_ID_NOT_VALID, "The client's names make a mountpoint that is too long", code, why);
        return NULL;
    }
    if (sh->mounted[0] == '$') {
        refuse(RC_CLIENT_ID_NOT_VALID, "The client's names make a mountpoint that begins with $", code, why);
        return NULL;
    }
    return mount_of(bytes_of(sh->mounted, n));
}

struct mount *mount_of(struct bytes prefix)
{
    if (!prefix.n)
        return NULL;
    struct mount *m = mem_alloc(sizeof *m + prefix.n);
    m->n = prefix.n;
    bytes_put(m->p, prefix);
    return m;
}

/* The prefix before the last part of whole, which begins with lead. */
static struct bytes put_between(struct shard *sh, const struct mount *m, struct bytes whole, uint32_t lead)
{
    if (m->n > MOUNTED_BYTES_MAX - whole.n)
        return whole; /* no topic is so long */
    uint8_t *end = bytes_put(sh->mounted, bytes_of(whole.p, lead));
    end = bytes_put(end, bytes_of(m->p, m->n));
    end = bytes_put(end, bytes_of(whole.p + lead, whole.n - lead));
    return bytes_of(sh->mounted, (size_t)(end - sh->mounted));
}

struct bytes mount_topic(struct shard *sh, const struct mount *m, struct bytes topic)
{
    struct bytes rest = topic;
    uint64_t when_ms;
    if (!topic.n)
        return topic; /* none, and is to be found so */
    if (unlikely(topic.p[0] == '$') &&
        (!delayed_parse(topic, sh->wall_ms, &when_ms, &rest) || rest.p[0] == '$'))
        return topic;
    return put_between(sh, m, topic, topic.n - rest.n);
}

static bool is_sys(struct bytes filter)
{
    return bytes_starts(filter, bytes_str("$SYS")) && (filter.n == 4 || filter.p[4] == '/');
}

struct bytes mount_filter(struct shard *sh, const struct mount *m, struct bytes filter)
{
    struct topic_filter f;
    if (topic_filter_parse(filter, 0, &f) != TOPIC_OK || is_sys(f.filter))
        return filter;
    return put_between(sh, m, filter, filter.n - f.filter.n);
}

static struct bytes response_topic_put(struct mounted_props *to, struct bytes props, struct bytes old,
                                       struct bytes topic)
{
    size_t n = props.n - old.n + topic.n;
    if (to->cap < n) {
        free(to->p);
        to->p = mem_alloc(n * 2);
        to->cap = n * 2;
    }
    message_response_topic_put(to->p, props, old, topic);
    return bytes_of(to->p, n);
}

struct bytes mount_props(struct shard *sh, const struct mount *m, struct bytes props)
{
    struct bytes topic, whole;
    if (!props.n || !message_response_topic(props, &topic))
        return props;
    whole = mount_topic(sh, m, topic);
    return whole.p == topic.p || whole.n > UINT16_MAX
               ? props
               : response_topic_put(&sh->mounted_props, props, topic, whole);
}

struct bytes mount_props_off(struct shard *sh, const struct mount *m, struct bytes props)
{
    struct bytes topic, seen;
    if (!props.n || !message_response_topic(props, &topic))
        return props;
    seen = mount_off(m, topic);
    return seen.p == topic.p ? props : response_topic_put(&sh->seen_props, props, topic, seen);
}
