/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SHARD_I_H
#define COVEY_CORE_SHARD_I_H

/* The inside of a shard, for the files of this folder only: each part belongs to one of them. */

#include "node/core/bans.h"
#include "node/core/claim.h"
#include "node/core/counters.h"
#include "node/core/delayed.h"
#include "node/core/exclusive.h"
#include "node/core/flapping.h"
#include "node/core/forward.h"
#include "node/core/handoff.h"
#include "node/core/handoff_peer.h"
#include "node/core/hlc.h"
#include "node/core/journal.h"
#include "node/core/mount.h"
#include "node/core/node.h"
#include "node/core/overload.h"
#include "node/core/parcel.h"
#include "node/core/peers.h"
#include "node/core/persist.h"
#include "node/core/ptrtab.h"
#include "node/core/session.h"
#include "node/core/shard.h"
#include "node/core/slow_subs.h"
#include "node/core/subs.h"
#include "node/core/vet.h"
#include "node/core/topic_metrics.h"
#include "node/core/trace.h"

/* The publish that is being delivered: encoded once per form, see deliver.c. */
struct encoder {
    uint8_t *buf[4]; /* by (5.0 or not) and (QoS or not) */
    uint32_t cap[4];
};

struct shard {
    struct node *node;
    const struct settings *settings; /* the node's own, see shard_settings_set() */
    uint32_t number;
    uint32_t mark; /* of the publish under way */
    uint64_t now_ms;
    uint64_t sample_us;     /* see shard_sample() */
    uint64_t acked_from_us; /* see shard_acked_from() */
    uint64_t wall_ms;
    struct overload overload;
    uint64_t random;
    struct wheel wheel;         /* of connections */
    struct wheel session_wheel; /* of sessions */
    struct outpool outpool;
    struct list dirty;   /* connections */
    struct list replays; /* that wait for retained messages to be stored */
    struct list conns;   /* all */
    uint32_t conns_n;
    uint32_t online_n;
    struct ptrtab sessions; /* by client id */
    uint64_t session_next;
    struct subs subs;
    struct persist persist;
    struct handoffs handoffs; /* in the next batch */
    struct handoffs handoffs_sealed;
    uint64_t handoff_taking; /* number of the one that is being delivered; 0: none is */
    struct counters counters;
    struct encoder encoder;
    struct collected *collected; /* sessions that one publish reaches by several filters */
    uint32_t collected_cap;
    uint32_t *collected_ids;
    uint32_t collected_ids_cap;
    struct store_reader *reader; /* NULL without a store */
    bool retained_is_damaged;    /* and that was told */
    uint64_t tick_ms;            /* of the last tick */
    uint64_t patience_ms;        /* no keep alive ends before: the node itself stood still */
    uint64_t sweep_ms;           /* when the next look for expired retained messages is due */
    uint32_t sweep_n;            /* how far the last one came */
    uint8_t sweep_key[STORE_KEY_MAX];
    uint32_t meta_sweep_n; /* the same of stamps */
    uint8_t meta_sweep_key[STORE_KEY_MAX];
    struct mailbag *outbox[NODE_SHARDS_MAX + 1]; /* the last one for MAIL_TO_CLUSTER */
    struct fchunk *chunks[PEERS_MAX];            /* publishes for the peers, this turn's */
    uint64_t chunks_open;                        /* a bit for each that there is */
    uint64_t uid_next;
    struct claims claims;
    struct vets vets;
    struct gate gate;
    struct peer_handoffs peer_handoffs;
    struct parcels parcels;
    struct bans bans;
    struct flapping flapping;
    struct exclusives exclusives;
    struct topic_metrics topic_metrics;
    struct tracer tracer;
    struct journal journal;
    struct bytes connecting; /* client id of the CONNECT that may be refused, until it is answered */
    struct slow_subs slow_subs;
    struct rewrite *rewrite; /* NULL: no rules */
    struct mounted_props mounted_props, seen_props;
    uint8_t *mounted; /* where mount.c puts topics together; NULL: nobody has a mountpoint */
    struct delayed delayed;
    struct list congested; /* connections that wait for a peer's link */
    struct list paced;     /* struct pace of connections that send too fast */
};

struct node {
    struct node_conf conf;
    const struct settings *settings; /* of the admin thread, which changes it */
    struct routes *routes;
    struct shard *shards[NODE_SHARDS_MAX];
    uint64_t retained_given[NODE_SHARDS_MAX];   /* retained changes put into a shard's batches, atomic */
    uint64_t retained_done[NODE_SHARDS_MAX];    /* of those, stored or failed, atomic */
    uint64_t handoff_next;                      /* atomic */
    uint64_t replays_waiting;                   /* bit per shard, atomic */
    uint64_t retained_mailed[NODE_SHARDS_MAX];  /* changes of other nodes sent to a shard, atomic */
    uint64_t retained_arrived[NODE_SHARDS_MAX]; /* of those, stored or failed, atomic */
    uint64_t retained_arriving;                 /* bytes of changes of other nodes, atomic */
    uint64_t delayed_count;                     /* given so far, not 0 when some are stored, atomic */
    uint64_t retained_losses;                   /* failed commits with changes, atomic */
    uint64_t tag; /* of this life of the node: one after a crash may use a stamp again */
    struct hlc hlc;
    struct peers peers;
};

#define COUNT(sh, id) ((sh)->counters.v[C_##id]++)

/* xorshift64*: for picking members, never for secrets. */
static inline uint64_t shard_random(struct shard *sh)
{
    uint64_t x = sh->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    sh->random = x;
    return x * 0x2545F4914F6CDD1Dull;
}

/* The shard that the client id lived on when the store was last used. */
uint32_t node_home_before(const struct node *n, struct bytes client_id);
/* The one that it lives on where there are so many. */
uint32_t node_home_among(const struct node *n, struct bytes client_id, uint32_t shards);

/* Appends to the outbox for shard `to`. */
void mail_push(struct shard *sh, uint32_t to, const struct mail *m);

#endif
