/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MESH_MESH_I_H
#define COVEY_MESH_MESH_I_H

/* The inside of a mesh, for the files of this folder: each part belongs to one of them. */

#include "cluster/core/arbiter.h"
#include "cluster/core/link.h"
#include "cluster/core/routelog.h"
#include "node/core/claim.h"
#include "node/core/forward.h"
#include "node/core/handoff_peer.h"
#include "node/core/parcel.h"
#include "node/core/peers.h"
#include "node/core/subs.h"
#include "node/mesh/mesh.h"
#include "proto/base/check.h"
#include "proto/base/list.h"
#include "proto/rpc/messages.h"
#include "proto/rpc/version.h"

enum {
    SLOT_NONE = 0xff,
    FLUSH_BYTES_MAX = 512 << 10, /* of route pages and deltas for one peer in one turn */
    ROUTE_BODY_MAX = 128 << 10,
};

/* Another node, from when it is first heard of until it is forgotten. */
struct peer {
    uint32_t number; /* 0..PEERS_MAX - 1 */
    uint32_t life;   /* grows each time the conversation begins anew */
    struct node_id id;
    uint64_t epoch;
    char name[MEMBER_NAME_MAX];
    struct net_addr addr;
    bool is_dead; /* SWIM says so, or it has left: nothing is sent to it and nothing waited for */
    struct wire *wire;
    struct link link;
    bool was_linked;
    uint64_t link_ms; /* wall clock: linked since, or not linked since */
    char link_why[96];
    char mqtt_address[MESH_ADDRESS_MAX]; /* where clients may be sent; "": not known */
    uint64_t dial_ms;                    /* monotonic: not before */
    uint32_t dial_wait_ms;
    uint64_t unlinked_ms; /* monotonic */
    uint32_t version;
    uint64_t features;
    uint8_t room; /* enum link_room that the shards were told */

    /* routes */
    struct routefeed feed;
    struct routetake take;
    uint8_t slot;      /* the set that counts; SLOT_NONE */
    uint8_t slot_load; /* the one that a snapshot goes into; SLOT_NONE */

    /* forwards that wait for answers, oldest first */
    struct fchunk *waits;
    struct fchunk **waits_end;
    /* answers for it, gathered during the turn */
    struct rpc_run *runs;
    uint32_t runs_n, runs_cap;

    struct hold_batch *holds; /* ids to be announced to it */
    uint64_t push_pull_ms;
    uint64_t forwarded, received, dropped;
};

/* A set of routes that no longer counts and is swept out of the table piece by piece. */
struct sweep {
    bool is_on;
    uint32_t at;
};

struct barrier; /* a SUBACK that waits, see barrier.c */
struct claim_wait;
struct parcel_wait;
struct mark_round;
struct seed;
struct retaining;

struct mesh {
    struct mesh_conf conf;
    struct node *node;
    struct peers *view; /* what shards see of the peers */
    struct members *members;
    uint64_t now_ms, wall_ms, start_ms;
    uint64_t stamp; /* the last one given: hybrid logical clock */
    uint32_t shards_n;
    struct mailbag *outbox[NODE_SHARDS_MAX];
    struct peer *peers[PEERS_MAX];
    struct list wires; /* all */
    struct list dirty;
    struct list rxframes;    /* with entries that the shards have not answered */
    struct rpc_arena *arena; /* of the frame that is being read */
    struct rpc_buf scratch;

    /* routes */
    struct routelog *routelog;
    struct routepage *page;
    struct sweep sweeps[PEER_SLOTS];
    uint64_t slots_used;
    struct list barriers;
    uint8_t *route_body;

    /* forwards */
    struct subs subs; /* topic -> shards of this node */
    struct arrivals *building[NODE_SHARDS_MAX];
    uint32_t building_cap[NODE_SHARDS_MAX];
    uint64_t random;

    /* dialling */
    struct seed *seeds;
    uint32_t seeds_n;
    bool had_contact;

    /* client ids */
    struct arbiter *arbiter;
    struct list claims;
    uint64_t announce_ms; /* when all ids are announced again; 0: not */
    uint32_t announce_round;
    uint32_t members_round; /* grows when who arbitrates may have changed */
    uint64_t untold;        /* peers that have not announced all since; a bit each */
    uint32_t own_walks;     /* shards of this node likewise */
    uint64_t settle_ms;     /* claims of ids that nobody has announced wait for them until then */
    struct list early;      /* such claims of peers */
    struct list parcels;
    struct list marks;
    uint64_t mark_next;
    struct node_id live[PEERS_MAX + 1]; /* who arbitrates: this node and the peers that live */
    uint32_t live_n;

    struct retaining *retained;

    /* administrators' calls */
    void (*on_admin)(void *ctx, const char *from, const struct rpc_admin *a);
    void *on_admin_ctx;

    bool is_leaving;
    uint64_t leave_ms;
    uint32_t drain_per_s;
    uint32_t drain_credit; /* thousandths of a client that may be moved */
    uint32_t drain_next;   /* shard that the next one comes from */
    uint64_t drain_ms;
    struct draining {
        uint32_t at;   /* where the look through the sessions goes on */
        uint32_t left; /* connections and sessions that are still here; UINT32_MAX: not known */
        bool is_busy;
    } draining[NODE_SHARDS_MAX];
    uint64_t partitions;
    char last_partition[192];
    uint64_t counters[MESH_COUNTERS_N];
    struct hist forwards; /* see mesh_info */
};

#define MESH_COUNT(m, id) ((m)->counters[MC_##id]++)

static inline bool peer_is_live(const struct peer *p)
{
    return p && !p->is_dead;
}
/* Linked, and not dead: it will answer. */
static inline bool peer_is_reachable(const struct peer *p)
{
    return peer_is_live(p) && p->wire != NULL;
}

/* ---- mesh.c --------------------------------------------------------------------------------------- */
void mesh_mail(struct mesh *m, uint32_t shard, const struct mail *mail);
/* drop: as in struct mail. */
void mesh_call(struct mesh *m, uint32_t shard, void (*fn)(struct shard *sh, void *arg),
               void (*drop)(void *arg), void *arg);
uint64_t mesh_random(struct mesh *m);
uint64_t mesh_stamp(struct mesh *m);
void mesh_stamp_see(struct mesh *m, uint64_t stamp);
uint32_t mesh_home(const struct mesh *m, struct bytes client_id);

/* ---- peer.c --------------------------------------------------------------------------------------- */
struct peer *peer_find(struct mesh *m, const struct node_id *id);
/* Finds or makes; NULL: there are PEERS_MAX already. */
struct peer *peer_get(struct mesh *m, const struct node_id *id);
void peer_free(struct mesh *m, struct peer *p);
/* The conversation begins anew: what has no answer is repeated, routes and ids are told from the start. */
void peer_on_reset(struct mesh *m, struct peer *p);
void peer_on_link(struct mesh *m, struct peer *p, struct wire *w, enum link_resume how);
void peer_on_unlink(struct mesh *m, struct peer *p, const char *why);
void peer_on_dead(struct mesh *m, struct peer *p, const char *why);
void peers_work_events(struct mesh *m);
/* Numbers and sends a frame; made from the scratch buffer where body is a view. */
void peer_send(struct mesh *m, struct peer *p, enum rpc_op op, struct bytes body);
void peer_mark_dirty(struct mesh *m, struct peer *p);
/* Tells the shards about full and congested links. */
void peer_room_update(struct mesh *m, struct peer *p);
const char *peer_name(const struct peer *p);
/* ---- admin.c -------------------------------------------------------------------------------------- */
bool admin_on_frame(struct mesh *m, const struct peer *p, struct bytes body);

/* ---- wire.c: frames in and out -------------------------------------------------------------------- */
void wire_close(struct wire *w, const char *why);
void wire_tick(struct wire *w);
/* One sequenced frame, in dispatch.c. False: malformed. */
bool peer_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body);
void push_pull_send(struct mesh *m, struct peer *p, enum rpc_op op);

/* ---- dial.c --------------------------------------------------------------------------------------- */
void dial_on_self(struct mesh *m, const struct net_addr *a);
void dial_fini(struct mesh *m);
bool dial_has_others(const struct mesh *m);

/* ---- routes_sync.c -------------------------------------------------------------------------------- */
void routes_sync_init(struct mesh *m);
void routes_sync_fini(struct mesh *m);
/* Own changes since the last call get their numbers. */
void routes_sync_journal(struct mesh *m);
void routes_sync_send(struct mesh *m, struct peer *p);
void routes_sync_start(struct mesh *m, struct peer *p);
void routes_sync_off(struct mesh *m, struct peer *p); /* dead: its routes no longer count */
void routes_sync_step(struct mesh *m);                /* sweeps, and forgets what all have */
bool routes_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body);

/* ---- barrier.c ------------------------------------------------------------------------------------ */
/* must: also where SUBACKs wait for nobody. */
void barrier_add(struct mesh *m, uint32_t shard, struct pending *p, uint32_t must);
/* Releases who has waited long enough or for what has come. */
void barriers_step(struct mesh *m);
void barriers_fini(struct mesh *m);
/* The number that every reachable peer has confirmed. */
uint64_t barrier_acked(const struct mesh *m);

/* ---- forward_tx.c, forward_rx.c ------------------------------------------------------------------- */
void forward_rx_fini(struct mesh *m);
void forward_send(struct mesh *m, struct fchunk *c);
void settled_send(struct mesh *m, struct settled *s);
bool forward_on_settled(struct mesh *m, struct peer *p, struct bytes body);
void forward_lost(struct mesh *m, struct fchunk *c);
bool redispatch(struct mesh *m, struct fchunk *c, uint32_t index);
bool forward_on_results(struct mesh *m, struct peer *p, struct bytes body);
void forward_repeat(struct mesh *m, struct peer *p);  /* after a reset */
void forward_give_up(struct mesh *m, struct peer *p); /* it is dead: nothing is waited for */
void forward_step(struct mesh *m, struct peer *p);    /* time limit */
bool forward_on_publishes(struct mesh *m, struct peer *p, struct bytes body);
void forward_on_arrived(struct mesh *m, struct arrivals *a);
void forward_on_arrived_one(struct mesh *m, struct rxframe *rx, uint32_t index, enum reason code);
void forward_results_send(struct mesh *m, struct peer *p);
void forward_drop(struct peer *p); /* the node ends */

/* ---- drain.c -------------------------------------------------------------------------------------- */
void drain_tick(struct mesh *m);
uint64_t drain_left(const struct mesh *m); /* connections and sessions that are still here */

/* ---- ids.c ------------------------------------------------------------------------------------- */
void ids_on_order(struct mesh *m, struct claim_order *o);
bool ids_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body);
void ids_on_reset(struct mesh *m, struct peer *p);
uint64_t ids_stamp(struct mesh *m, uint64_t token); /* of a claim that waits; 0: there is none */
void ids_on_ready(struct mesh *m, uint64_t token);  /* its session is here, or there is none */
void ids_on_moving(struct mesh *m, uint64_t token); /* its session has begun to come */
/* Claims an id for a CONNECT that waits on a shard, or (token 0 there) to adopt its session. */
void ids_claim(struct mesh *m, uint32_t shard, uint64_t token, struct bytes client_id, bool clean_start);
void ids_on_dead(struct mesh *m, struct peer *p);
void ids_step(struct mesh *m);
void ids_fini(struct mesh *m);
const struct node_id *ids_arbiter(const struct mesh *m, struct bytes client_id);
/* As the arbiter: the node says that it holds the id. */
void ids_hold(struct mesh *m, const struct node_id *node, struct bytes client_id, uint64_t stamp);

/* ---- holds.c -------------------------------------------------------------------------------------- */
void ids_on_held(struct mesh *m, struct held *h, bool is_held);
void ids_on_membership(struct mesh *m); /* who arbitrates what has changed */
/* The peers with these bits will announce what they hold, and so will this node. */
void ids_unsettle(struct mesh *m, uint64_t peers);
void ids_announce(struct mesh *m);
void ids_send(struct mesh *m, struct peer *p); /* announcements that wait */
void holds_free(struct peer *p);

/* ---- retained.c ----------------------------------------------------------------------------------- */
struct retained_change;
void retained_init(struct mesh *m);
void retained_fini(struct mesh *m);
void retained_on_reset(struct mesh *m, struct peer *p);
void retained_on_forgotten(struct mesh *m, struct peer *p);
bool retained_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body);
void retained_tick(struct mesh *m);
/* A shard has changed one: to every peer, with the others of this turn. Takes c. */
void retained_on_change(struct mesh *m, struct retained_change *c);
void retained_flush(struct mesh *m);
bool retained_is_idle(const struct mesh *m);

/* ---- bans.c --------------------------------------------------------------------------------------- */
struct ban_mail;
void bans_on_reset(struct mesh *m, struct peer *p);
bool bans_on_frame(struct mesh *m, struct bytes body);
/* From shard 0, for one peer or all. Takes mail. */
void bans_tell(struct mesh *m, struct ban_mail *mail);

/* ---- moves.c ------------------------------------------------------------------------------------ */
void moves_release(struct mesh *m, const struct rpc_release *r);
void moves_on_reset(struct mesh *m, struct peer *p);
void moves_on_piece(struct mesh *m, struct parcel_piece *piece);
void moves_on_told(struct mesh *m, struct parcel_news *n);
bool moves_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body);
void moves_on_dead(struct mesh *m, struct peer *p);
void moves_step(struct mesh *m);
void moves_fini(struct mesh *m);

#endif
