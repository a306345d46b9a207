/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_GATE_I_H
#define COVEY_CORE_GATE_I_H

/* Between gate.c, gate_judge.c and gate_ask.c. */

#include "node/core/gate.h"

enum verdict_by {
    VERDICT_FILE,      /* a rule of the file, or none fits */
    VERDICT_OWN,       /* one of the client's own rules */
    VERDICT_SUPERUSER, /* no rule concerns it */
    VERDICT_SERVER,    /* the authorization server has said so */
    VERDICT_NO_SERVER, /* it does not answer */
};

struct verdict {
    uint32_t rule; /* as acl.h counts; of VERDICT_FILE and VERDICT_OWN */
    uint8_t by;    /* enum verdict_by */
    bool allows;
    bool is_open; /* no rule fits: a server may be asked, else this holds */
};

/* What a client does, as verdicts are remembered: enum acl_action, and where it matters QoS and retain. */
static inline uint8_t gate_kind(const struct gate *g, enum acl_action action, unsigned qos, bool retain)
{
    return (uint8_t)(action | (g->how_mask & (qos | (retain ? 4u : 0u))) << 2);
}
static inline enum acl_action gate_kind_action(uint8_t kind)
{
    return (enum acl_action)(kind & 3);
}

uint64_t gate_topic_hash(const struct shard *sh, struct bytes topic);
/* Rules and servers are about topics as the client has them, without its mountpoint: that topic, and where it
 * is another one its hash. */
struct bytes gate_topic(struct shard *sh, const struct session *s, struct bytes topic, uint64_t *hash);
/* Is a verdict on it remembered? match_hash: of the topic. The gate_publish() that comes next need not look
 * for it. */
bool gate_remembers(struct shard *sh, const struct session *s, uint8_t kind, uint64_t match_hash,
                    struct bytes topic);
/* A client has brought rules. */
void gate_owner_note(struct shard *sh);
/* What rules look at, of a session and of a client that is not yet let in; address is for what is in it. */
struct acl_client gate_client(struct shard *sh, struct session *s);
struct acl_client gate_client_of_connect(const struct conn *c, struct bytes client_id, struct bytes username,
                                         uint8_t address[ACL_ADDRESS_N]);
/* What the rules say of a session, not remembered ones; filter: without $share. */
struct verdict gate_judge_topic(struct shard *sh, struct session *s, enum acl_action action,
                                struct bytes topic);
struct verdict gate_judge_filter(struct shard *sh, struct session *s, struct bytes filter, bool *is_whole);
/* The same of the will of a client that is not yet let in. */
struct verdict gate_judge_will(const struct conn *c, struct bytes client_id, struct bytes username,
                               struct bytes topic);

/* Why not, for the client. own: its rules, NULL: it has none. */
const char *gate_why(const struct shard *sh, const struct acl *own, struct verdict verdict);
/* What the session may is not known while its client is not there. */
bool gate_is_undecided(const struct shard *sh, const struct session *s);

/* v is open: what the server has said of it. *until_ms: how long that holds, 0: only for this packet. */
struct verdict gate_asked_verdict(struct shard *sh, const struct session *s, uint8_t kind, struct bytes topic,
                                  struct verdict v, uint64_t *until_ms);
/* The same of what it said of a will. */
struct verdict gate_asked_will(const struct shard *sh, enum hook_outcome said, struct verdict v);

#endif
