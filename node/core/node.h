/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_NODE_H
#define COVEY_CORE_NODE_H

/* What all shards of a node share: names, the route table, the retained messages' reader, totals. Everything
 * here is read-only while shards run, or made for concurrent use. */

#include "node/core/settings.h"
#include "node/core/shard.h"
#include "proto/base/log.h"
#include "proto/rpc/node_id.h"
#include "storage/store.h"

struct acl;
struct ask_ops;
struct peers;
struct routes;
struct trace_sink;
struct vet_ops;

struct node_conf {
    const char *name;       /* "covey@127.0.0.1" */
    const char *version;    /* "0.1.0" */
    uint32_t shards;        /* 1..NODE_SHARDS_MAX */
    uint64_t seed;          /* of hashes and random choices */
    uint8_t home_key[16];   /* of the hash that finds a client id's home; the same at each start */
    uint32_t shards_before; /* how many there were when the store was last used; 0: as many */
    uint64_t boot_wall_ms;
    struct node_id id;   /* of the data directory */
    uint64_t epoch;      /* of this start of it */
    bool is_clustered;   /* other nodes may come: routes are journaled, client ids claimed */
    uint32_t commit_ops; /* so many operations are not kept waiting for company; 0: no such number */
    const struct settings *settings; /* the node's own defaults; see node_set_settings() */
    const struct vet_ops *vet;       /* who checks clients; NULL: no settings name a method */
    struct acl *acl;                 /* NULL: everybody may do everything; each shard takes a reference */
    uint32_t acl_slots;              /* verdicts that a shard remembers */
    const struct ask_ops *asks;      /* who is asked where no rule fits, see gate_ask.h; NULL: nobody */
    struct store *store;
    const struct trace_sink *trace; /* NULL: there are no traces */
    struct log_sink *log;
    /* Frees p when no shard can still see it (RCU); NULL: at once, for single-threaded use. */
    void (*defer_free)(void *p);
};

enum { NODE_SHARDS_MAX = 64 };

/* conf and what it points at outlive the node. Makes the shards too. */
MUST_USE enum err node_new(struct node **out, const struct node_conf *conf);
void node_free(struct node *n);
/* Reads sessions and subscriptions (not messages) from the store into the shards. Before the workers start.
 */
MUST_USE enum err node_load(struct node *n);

const struct node_conf *node_conf(const struct node *n);
/* The settings that every shard has been given, for who is no shard: on the thread that calls
 * node_set_settings(), which only notes them. */
const struct settings *node_settings(const struct node *n);
void node_set_settings(struct node *n, const struct settings *settings);
struct shard *node_shard(struct node *n, uint32_t number);
/* The shard that a client id lives on. Any thread. */
uint32_t node_home(const struct node *n, struct bytes client_id);
/* What the shards know of the other nodes; the cluster thread writes it. */
struct peers *node_peers(struct node *n);
struct routes *node_routes(struct node *n);
/* A stamp (hlc.h) that is greater than all that this node has given or seen, and the number that tells
 * changes of one stamp apart: of this life of the node. Any thread. */
uint64_t node_stamp(struct node *n, uint64_t wall_ms);
void node_stamp_see(struct node *n, uint64_t stamp);
uint64_t node_tag(const struct node *n);

#endif
