/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_MEMBER_I_H
#define COVEY_CLUSTER_MEMBER_I_H

/* The inside of a view of the members, for the files that make it up. */

#include "cluster/core/member.h"
#include "proto/rpc/gossip.h"

enum {
    CONFIRMATIONS_MAX = 8,
    RELAYS_MAX = 64,
    KNOCK_MS = 10000, /* between two pings of a dead member */
    FORGOTTEN_MAX = 16,
    STALL_MS = 1000, /* a tick that comes so late: the silence may be our own */
};

struct suspicion {
    uint64_t start_ms;
    uint32_t n; /* independent confirmations, the first accuser included */
    struct node_id by[CONFIRMATIONS_MAX];
};

struct entry {
    struct member pub;
    bool is_reachable;
    uint32_t gossip_left; /* how often its record is still to be sent */
    uint32_t filling;     /* the datagram that had it last */
    uint64_t knock_ms;
    struct suspicion suspicion;
};

/* Somebody asked us to ping a third. */
struct relay {
    bool is_on;
    uint32_t seq;       /* of our ping */
    uint32_t their_seq; /* of the one who asked */
    struct net_addr to;
    struct node_id target;
    uint64_t nack_ms;
};

/* The probe of this round. */
struct probe {
    bool is_on;
    bool is_acked;
    bool is_indirect; /* others were asked */
    uint32_t seq;
    uint32_t asked, nacks;
    struct node_id target;
    uint64_t start_ms;
    uint64_t timeout_ms;
    uint64_t end_ms;
};

struct members {
    struct members_conf conf;
    struct log_sink *log;
    char cluster[MEMBER_CLUSTER_MAX];
    uint64_t cluster_hash;
    uint64_t now_ms;
    uint64_t tick_ms;
    uint64_t random;
    uint32_t n;
    struct entry *v;             /* 0 is self */
    uint32_t order[MEMBERS_MAX]; /* of probing */
    uint32_t order_at, order_n;
    struct node_id urgent; /* to be probed next; zero: nobody */
    uint32_t seq;
    uint32_t health;
    struct probe probe;
    struct relay relays[RELAYS_MAX];
    uint32_t relay_next;
    uint64_t gossip_ms;
    uint32_t filling; /* number of the datagram that is being filled */
    struct {
        struct gossip_record record;
        uint32_t left;
    } forgotten[FORGOTTEN_MAX];
    uint32_t forgotten_next;
    bool is_leaving;
    struct member_datagram *out;
    uint32_t out_at, out_n, out_cap;
    struct member_event *events;
    uint32_t events_at, events_n, events_cap;
    struct rpc_arena *arena;
    struct rpc_buf buf;
    struct members_stats stats;
};

/* ---- member.c ------------------------------------------------------------------------------------- */
struct entry *entry_find(struct members *m, const struct node_id *id);
/* NULL: there are MEMBERS_MAX. */
struct entry *entry_add(struct members *m, const struct node_id *id);
void entry_remove(struct members *m, struct entry *e);
/* Moves to the state, tells it and lets the others know. */
void entry_move(struct members *m, struct entry *e, enum member_state state, const char *why,
                const struct node_id *source);
void member_event_push(struct members *m, enum member_event_kind kind, const struct entry *e);
uint64_t members_random(struct members *m, uint64_t below);
/* Another member that lives, at random; NULL: there is none. not: may be NULL. */
struct entry *entry_random(struct members *m, const struct entry * not );

/* ---- member_merge.c ------------------------------------------------------------------------------- */
enum merge_how { MERGE_GOSSIP, MERGE_PUSH_PULL };
void record_merge(struct members *m, const struct gossip_record *r, enum merge_how how);
void record_of(const struct entry *e, struct gossip_record *r);
/* Our own record gets a higher incarnation and goes round. */
void self_bump(struct members *m, uint32_t above);

/* ---- member_suspect.c ----------------------------------------------------------------------------- */
void suspect_begin(struct members *m, struct entry *e, const struct node_id *by, const char *why);
void suspect_confirm(struct members *m, struct entry *e, const struct node_id *by);
void suspects_tick(struct members *m);
/* The node itself stood still for so long: nobody is to suffer for it. */
void suspects_postpone(struct members *m, uint64_t ms);
/* How long a suspicion with so many confirmations lasts. */
uint64_t suspicion_ms(const struct members *m, uint32_t confirmations);

/* ---- member_probe.c ------------------------------------------------------------------------------- */
void probe_tick(struct members *m);
void probe_cancel(struct members *m);
void probe_on_ping(struct members *m, const struct net_addr *from, const struct gossip *g);
void probe_on_ping_req(struct members *m, const struct net_addr *from, const struct gossip *g);
void probe_on_ack(struct members *m, const struct gossip *g);
void probe_on_nack(struct members *m, const struct gossip *g);
void knock_tick(struct members *m);
void health_change(struct members *m, int by);

/* ---- member_gossip.c ------------------------------------------------------------------------------ */
/* A datagram of this kind to `to`, filled up with rumours; for: its entry, if it is known. */
void datagram_send(struct members *m, enum gossip_kind kind, uint32_t seq, const struct net_addr *to,
                   const struct entry *for_member, const struct entry *target);
void gossip_tick(struct members *m);
uint32_t gossip_limit(const struct members *m);

#endif
