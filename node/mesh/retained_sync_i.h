/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MESH_RETAINED_SYNC_I_H
#define COVEY_MESH_RETAINED_SYNC_I_H

/* The inside of a retained_sync, for its two files. */

#include "node/core/peers.h"
#include "node/mesh/retained_sync.h"

/* How far a walk through the stamps has come: behind the key, a key of STORE_RETAINED_META. n 0: at the
 * beginning. */
struct place {
    uint32_t n;
    uint8_t key[RETAINED_META_KEY_MAX];
};

/* A list that the peer has sent, to be compared with ours: items as u16 key length, stamp, node, key. */
struct list_page {
    struct list_page *next;
    uint32_t bucket;
    bool is_last;
    struct place begin; /* of the range that it is about */
    uint32_t n;
    uint32_t at; /* compared so far */
    uint8_t items[];
};

struct sync_peer {
    uint32_t number;
    bool pushes;
    bool is_settled;   /* see the conf */
    bool has_repaired; /* it knew what was missing here, and may be missing elsewhere */
    bool leads;
    /* leading */
    bool wants_round; /* digests are to be sent */
    bool in_round;    /* they are, and the peer has not come to its end */
    struct list_page *pages;
    struct list_page **pages_end;
    uint32_t pages_bytes;
    bool is_walking; /* the first page is begun, `walk` tells how far */
    struct place walk;
    struct bytes *wants; /* views into the first page */
    uint32_t wants_n, wants_cap;
    struct place listed; /* behind the last item that the peer has listed */
    /* following */
    bool has_theirs;     /* digests to be compared */
    bool is_listing;     /* buckets in `differ`, from `list` on */
    bool owes_end;       /* and then to say that it was all */
    uint32_t unanswered; /* pages */
    uint32_t burst_bytes;
    uint32_t bucket;
    struct place list;
    uint32_t differed;
    struct rpc_buf wanted; /* keys of records to be sent, each behind a u16 length */
    uint32_t wanted_at;
    /* pushing */
    bool is_pushing;
    struct place push;

    bool in_scan; /* the scan under way began after it was asked for */
    uint64_t differ[RETAINED_BUCKETS / 64];
    uint64_t theirs[RETAINED_BUCKETS];
};

struct retained_sync {
    struct retained_sync_conf conf;
    struct store_reader *reader;
    struct sync_peer *peers[PEERS_MAX];
    uint32_t first; /* who is served first in the next step */
    uint64_t now_ms, wall_ms, round_ms;
    uint32_t left; /* of the step's records */

    bool is_scanning;
    struct place scan;
    uint64_t sums[RETAINED_BUCKETS];

    struct rpc_retained_item *items; /* gathered for one message; views into the snapshot */
    uint32_t items_n, items_cap;
    uint32_t items_bytes;
    struct rpc_buf scratch;
};

/* A record counts for one, its bytes come on top. False: no more in this step. */
static inline bool sync_spend(struct retained_sync *rs, uint32_t bytes)
{
    enum { BYTES_PER_ITEM = 256 };
    uint32_t cost = 1 + bytes / BYTES_PER_ITEM;
    rs->left = rs->left > cost ? rs->left - cost : 0;
    return rs->left > 0;
}

static inline bool peer_is_idle(const struct sync_peer *p)
{
    return !p->wants_round && !p->in_round && !p->pages && !p->has_theirs && !p->is_listing &&
           !p->unanswered && !p->owes_end && p->wanted_at == p->wanted.n && !p->is_pushing;
}

static inline bool sync_has_room(const struct retained_sync *rs, const struct sync_peer *p)
{
    return rs->conf.has_room(rs->conf.ctx, p->number);
}

static inline bool stamp_counts(const struct retained_sync *rs, const struct retained_meta *m)
{
    return !retained_has_faded(m->fades_ms, rs->wall_ms);
}

void place_set(struct place *at, struct bytes key);

/* The first stamp behind the place whose key begins with prefix; then the next ones. False: no more. *key is
 * the whole key. What is damaged looks as if it had faded. */
bool stamps_seek(struct retained_sync *rs, const struct place *at, struct bytes prefix,
                 struct retained_meta *m, struct bytes *key);
bool stamps_next(struct retained_sync *rs, struct bytes prefix, struct retained_meta *m, struct bytes *key);

/* ---- retained_exchange.c, all within an open snapshot ------------------------------------------------- */
void exchange_step(struct retained_sync *rs, struct sync_peer *p);
void exchange_drop(struct sync_peer *p);
bool exchange_on_list(struct retained_sync *rs, struct sync_peer *p, const struct rpc_retained *list);
bool exchange_on_want(struct retained_sync *rs, struct sync_peer *p, const struct rpc_retained_want *want);
void exchange_begin(struct sync_peer *p, uint32_t differed);

#endif
