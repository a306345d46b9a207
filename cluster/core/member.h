/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_MEMBER_H
#define COVEY_CLUSTER_MEMBER_H

/* Who is in the cluster: SWIM with Lifeguard (Das, Gupta, Motivala: SWIM, 2002; Dadgar, Phillips, Currey:
 * Lifeguard, 2017). One struct members is one node's view.
 *
 *     (unknown) --learned--> ALIVE <--refuted-- SUSPECT --time-out--> DEAD --24 h or `forget`--> (unknown)
 *                              \--says so--> LEFT ---------------------/
 *
 * Datagrams go out by members_datagram_take() and come in by members_on_datagram(), in clear: whoever carries
 * them seals them. What has to be complete travels over a link as a push-pull. No I/O, no clock: the caller
 * passes monotonic milliseconds that never go back. */

#include "proto/base/err.h"
#include "proto/base/log.h"
#include "proto/rpc/net_addr.h"
#include "proto/rpc/node_id.h"

enum { MEMBER_NAME_MAX = 128, MEMBER_DATAGRAM_MAX = 1232, MEMBERS_MAX = 256, MEMBER_CLUSTER_MAX = 64 };

struct members;

enum member_state { MEMBER_ALIVE, MEMBER_SUSPECT, MEMBER_DEAD, MEMBER_LEFT };
const char *member_state_name(enum member_state s); /* "alive", "suspect", "dead", "left" */

/* Defaults are those of members_conf_default(); each field says which way to turn it. */
struct members_conf {
    uint32_t probe_interval_ms;  /* 1000: shorter finds deaths sooner and takes stalls for deaths */
    uint32_t probe_timeout_ms;   /* 400: above the round trip that is usual; then indirect probes */
    uint32_t indirect_probes;    /* 3 */
    uint32_t suspicion_mult;     /* 4: min = mult x max(1, log10 N) x interval */
    uint32_t suspicion_max_mult; /* 6: max = this x min; shrinks to min with independent confirmations */
    uint32_t gossip_interval_ms; /* 200 */
    uint32_t gossip_nodes;       /* 3 */
    uint32_t retransmit_mult;    /* 4: each rumour mult x ceil(log10(N + 1)) times */
    uint32_t push_pull_ms;       /* 30000; not of members' own doing, see members_push_pull_due() */
    uint32_t reclaim_ms;         /* 86400000: dead and left members are forgotten after this */
    uint32_t awareness_max;      /* 8: local health 0..7 multiplies probe interval and timeout */
};
void members_conf_default(struct members_conf *c);

/* What a member says about itself. */
struct member_self {
    struct node_id id;
    uint64_t epoch; /* a higher one wins over everything that is known of lower ones */
    struct net_addr addr;
    char name[MEMBER_NAME_MAX];
    char cluster[MEMBER_CLUSTER_MAX]; /* datagrams of another cluster are dropped and counted */
    bool is_draining;
};

struct member {
    struct node_id id;
    uint64_t epoch;
    uint32_t incarnation;
    enum member_state state;
    struct net_addr addr;
    char name[MEMBER_NAME_MAX];
    bool is_draining;
    uint64_t since_ms;     /* in this state */
    const char *why;       /* "joined", "probe failed", "suspicion timed out", "said so", "refuted", ... */
    struct node_id source; /* who told; zero: we found out */
};

struct members *members_new(const struct members_conf *conf, const struct member_self *self, uint64_t seed,
                            uint64_t now_ms, struct log_sink *log);
void members_free(struct members *m); /* NULL is fine */

/* Probes, suspicion, gossip: call at least every 50 ms. */
void members_tick(struct members *m, uint64_t now_ms);
/* A datagram from the network, opened. Malformed ones are counted and have no other effect. */
void members_on_datagram(struct members *m, const struct net_addr *from, struct bytes d, uint64_t now_ms);
struct member_datagram {
    struct net_addr to;
    uint32_t n;
    uint8_t b[MEMBER_DATAGRAM_MAX];
};
/* The next one to be sent; false: none. */
bool members_datagram_take(struct members *m, struct member_datagram *out);

/* A link is up: its peer is alive, with these attributes. */
void members_on_contact(struct members *m, const struct member_self *peer, uint64_t now_ms);
/* Is there a live link to id? Set by the mesh; a probe that fails by UDP asks it before suspecting. One whose
 * link is lost is probed at once. */
void members_set_reachable(struct members *m, const struct node_id *id, bool is_reachable);
/* Our own attributes changed (address, draining): tells the others. */
void members_self_set(struct members *m, const struct net_addr *addr, bool is_draining, uint64_t now_ms);
/* We leave: gossips it; the caller goes on for a few gossip intervals. */
void members_leave(struct members *m, uint64_t now_ms);
/* An operator's `forget`: takes a dead or left member out, here and by gossip. ERR_NOTFOUND; ERR_EXISTS: it
 * is alive, or this node itself. */
MUST_USE enum err members_forget(struct members *m, const struct node_id *id, uint64_t now_ms);

/* Everything that is known, for PUSH_PULL and its reply. Returns bytes written to *buf (grown as needed,
 * the caller's to free). */
uint32_t members_push_pull_put(const struct members *m, uint8_t **buf, uint32_t *cap);
/* False: malformed. */
MUST_USE bool members_push_pull_merge(struct members *m, const struct node_id *from, struct bytes b,
                                      uint64_t now_ms);

/* What changed, in order; each once. */
enum member_event_kind {
    MEMBER_EVENT_JOINED,  /* new or back: alive */
    MEMBER_EVENT_UPDATED, /* address, name, epoch or draining changed */
    MEMBER_EVENT_SUSPECT,
    MEMBER_EVENT_ALIVE, /* no longer suspect */
    MEMBER_EVENT_DEAD,
    MEMBER_EVENT_LEFT,
    MEMBER_EVENT_FORGOTTEN, /* removed: by an operator or after reclaim_ms */
};
struct member_event {
    enum member_event_kind kind;
    struct member member; /* as it is afterwards */
};
bool members_event_take(struct members *m, struct member_event *out);

/* NULL: not known. Valid until the next call that may change members. */
const struct member *members_find(const struct members *m, const struct node_id *id);
const struct member *members_self(const struct members *m);
uint32_t members_count(const struct members *m); /* with self and those that are dead */
/* 0..count - 1, in no order that means anything. */
const struct member *members_at(const struct members *m, uint32_t i);
uint32_t members_alive_count(const struct members *m); /* with self and suspects */
uint32_t members_health(const struct members *m);      /* Lifeguard's local health: 0 is good */

struct members_stats {
    uint64_t datagrams_sent, datagrams_received, datagrams_malformed, datagrams_foreign;
    uint64_t probes, probes_failed, refutations;
};
void members_stats(const struct members *m, struct members_stats *out);

#endif
