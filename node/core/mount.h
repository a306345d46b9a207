/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_MOUNT_H
#define COVEY_CORE_MOUNT_H

/* The mountpoint of a listener's clients: a prefix that is put before the topics that they publish and
 * subscribe to, and taken off those that they are delivered. Behind it everything is about whole topics:
 * routes, stores, other nodes, metrics, operators. Before it, as the client has them: topic aliases,
 * rewriting, the ACL.
 *
 * Topics that begin with $ are the server's own: $SYS/.. is not mounted; in $delayed/N/TOPIC,
 * $share/GROUP/FILTER and $exclusive/FILTER the last part is; others cannot be published. */

#include "node/core/conn.h"
#include "node/core/subs.h"

struct mount {
    uint32_t n;
    uint8_t p[];
};

/* Room for properties with another Response Topic. */
struct mounted_props {
    uint8_t *p;
    size_t cap;
};

/* What is wrong with a mountpoint of the configuration; NULL: nothing. */
const char *mount_judge(const char *template);

/* The prefix of this client, from malloc(), or NULL where there is none. When its names make no mountpoint:
 * NULL, and *code and *why say why. */
struct mount *mount_new(struct shard *sh, const char *template, const struct conn *c, struct bytes client_id,
                        struct bytes username, enum reason *code, const char **why);
struct mount *mount_of(struct bytes prefix); /* n 0: NULL */
static inline struct bytes mount_prefix(const struct mount *m)
{
    return m ? bytes_of(m->p, m->n) : bytes_of(NULL, 0);
}

/* The whole topic or filter: a view that lives until the next call on this shard. What is no filter, and what
 * is not mounted, comes back as it is. It may be longer than a topic may be. */
struct bytes mount_topic(struct shard *sh, const struct mount *m, struct bytes topic);
struct bytes mount_filter(struct shard *sh, const struct mount *m, struct bytes filter);

/* The topic or filter as the client sees it: without the prefix where it has it, else as it is, since a
 * session may have subscriptions from its time at another listener. m may be NULL. */
static inline struct bytes mount_off(const struct mount *m, struct bytes topic)
{
    if (!m || topic.n <= m->n || memcmp(topic.p, m->p, m->n) != 0)
        return topic;
    return bytes_of(topic.p + m->n, topic.n - m->n);
}

/* The properties of a message with the whole Response Topic, and as the client sees it: so an answer finds
 * its way under one prefix, and from outside of it. One that is not mounted, and one that would be longer
 * than a topic may be, stays. A view as above, of each of the two. */
struct bytes mount_props(struct shard *sh, const struct mount *m, struct bytes props);
struct bytes mount_props_off(struct shard *sh, const struct mount *m, struct bytes props);

/* Is the topic one that this client (NULL: nobody's) may not publish to? */
static inline bool match_is_reserved(const struct match *match, const struct conn *c)
{
    return match->special == TOPIC_RESERVED || (match->special == TOPIC_DOLLAR && c && c->is_mounted);
}

#endif
