/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/parcel_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "tests/sim/world_i.h"

#include <stdio.h>
#include <stdlib.h>

static struct settings settings_make(void)
{
    return (struct settings){
        .listener = "sim",
        .anonymous_allowed = true,
        .packet_size_max = 1 << 16,
        .client_id_bytes_max = 64,
        .topic_levels_max = 16,
        .qos_max = 2,
        .topic_alias_max = 8,
        .retain_available = true,
        .wildcard_available = true,
        .shared_available = true,
        .idle_timeout_ms = 15000,
        .inflight_max = 8,
        .receive_max = 20,
        .session_expiry_default_s = 1000000,
        .session_expiry_max_s = SECONDS_FOREVER,
        .queue_len_max = 0,
        .keep_alive_percent = 150,
        .outbuf_bytes_max = 1 << 16,
        .response_info = "",
    };
}

static void log_write(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
    struct world_node *node = container_of(sink, struct world_node, log);
    (void)level;
    world_trace(node->world, "n%u: %.*s", node->number, (int)n, line);
}

static struct node_id id_of(uint32_t number)
{
    struct node_id id;
    for (unsigned i = 0; i < NODE_ID_N; i += 8)
        be64_put(id.b + i, hash_u64(number + 1, i));
    return id;
}

void world_node_init(struct world_node *n, struct world *w, uint32_t number, uint32_t shards)
{
    n->world = w;
    n->number = number;
    n->shards = shards;
    n->settings = settings_make();
    n->store = store_new_mem();
    n->log = (struct log_sink){.level = LOG_DEBUG, .write = log_write};
    n->addr = net_addr_v4(10, 0, 0, (uint8_t)(number + 1), 7946);
    snprintf(n->name, sizeof n->name, "n%u", number);
    for (unsigned i = 0; i < SIM_SHARDS_MAX; i++)
        store_batch_init(&n->commits[i].batch);
}

void world_node_start(struct world_node *n, uint32_t shards_before)
{
    struct world *w = n->world;
    struct node_conf nc = {.name = n->name,
                           .version = "0",
                           .shards = n->shards,
                           .seed = w->random | 1,
                           .shards_before = shards_before,
                           .boot_wall_ms = world_node_wall_ms(n),
                           .id = id_of(n->number),
                           .epoch = ++n->epoch,
                           .is_clustered = w->nodes_n > 1,
                           .settings = &n->settings,
                           .store = n->store,
                           .log = w->nodes_n > 1 ? &n->log : NULL};
    CHECK(node_new(&n->node, &nc) == OK);
    for (uint32_t i = 0; i < n->shards; i++)
        shard_set_time(node_shard(n->node, i), w->now_ms, world_node_wall_ms(n));
    CHECK(node_load(n->node) == OK);
    if (nc.is_clustered)
        net_mesh_start(n);
}

static void mail_drop(struct world_node *n)
{
    for (unsigned a = 0; a <= SIM_SHARDS_MAX; a++) {
        for (unsigned b = 0; b <= SIM_SHARDS_MAX; b++) {
            while (n->mail[a][b]) {
                struct mailbag *next = n->mail[a][b]->next;
                mailbag_free(n->mail[a][b]);
                n->mail[a][b] = next;
            }
        }
    }
}

void world_node_drop(struct world_node *n)
{
    if (!n->node)
        return;
    pipes_cut(n);
    mail_drop(n);
    for (unsigned a = 0; a < SIM_SHARDS_MAX; a++) {
        n->commits[a].under_way = false;
        store_batch_reset(&n->commits[a].batch);
    }
    net_mesh_drop(n);
    node_free(n->node);
    n->node = NULL;
}

void world_node_fini(struct world_node *n)
{
    world_node_drop(n);
    store_close(n->store);
    for (unsigned i = 0; i < SIM_SHARDS_MAX; i++)
        store_batch_fini(&n->commits[i].batch);
}

/* ---- a turn --------------------------------------------------------------------------------------- */

static void store_step(struct world_node *n, uint32_t i)
{
    struct world *w = n->world;
    struct commit *c = &n->commits[i];
    struct shard *sh = node_shard(n->node, i);
    const struct store_batch *b = &c->batch;
    if (c->under_way && w->now_ms >= c->due_ms) {
        if (world_chance(w, w->fault_percent))
            store_mem_fail_next(n->store, world_chance(w, 50) ? ERR_NOSPC : ERR_IO, 1);
        enum err e = store_commit(n->store, &b, 1);
        world_trace(w, "n%u shard %u commit %u ops: %s", n->number, i, b->ops, err_name(e));
        store_batch_reset(&c->batch);
        c->under_way = false;
        shard_on_stored(sh, e);
    }
    if (c->under_way || shard_seal_state(sh) == SHARD_SEAL_NOTHING)
        return;
    if (shard_seal_state(sh) == SHARD_SEAL_SOON && world_chance(w, 60))
        return;
    c->under_way = shard_seal(sh, &c->batch);
    c->due_ms = w->now_ms + world_random(w, 30);
}

static void mail_append(struct mailbag **at, struct mailbag *bag)
{
    while (*at)
        at = &(*at)->next;
    *at = bag;
}

/* Bags of one sender arrive in the order in which it sent them; the cluster thread is the last number. */
static void mail_out(struct world_node *n, uint32_t from)
{
    struct shard *sh = node_shard(n->node, from);
    for (uint32_t to = 0; to < n->shards; to++) {
        if (to != from)
            mail_append(&n->mail[from][to], shard_outbox_take(sh, to));
    }
    struct mailbag *bag = shard_outbox_take(sh, MAIL_TO_CLUSTER);
    if (bag && n->mesh)
        mail_append(&n->mail[from][SIM_SHARDS_MAX], bag);
    else if (bag)
        mailbag_free(bag);
}

static void mail_in(struct world_node *n, uint32_t i, uint32_t from)
{
    struct mailbag *bag = n->mail[from][i];
    if (!bag || world_chance(n->world, 30))
        return;
    n->mail[from][i] = bag->next;
    bag->next = NULL;
    shard_on_mail(node_shard(n->node, i), bag);
}

static void shard_turn(struct world_node *n, uint32_t i)
{
    struct shard *sh = node_shard(n->node, i);
    shard_set_time(sh, n->world->now_ms, world_node_wall_ms(n));
    pipes_turn(n, sh);
    for (uint32_t from = 0; from < n->shards; from++)
        mail_in(n, i, from);
    mail_in(n, i, SIM_SHARDS_MAX);
    shard_tick(sh);
    pipes_flush(n, sh);
    store_step(n, i);
    pipes_flush(n, sh);
    mail_out(n, i);
}

static void mesh_turn(struct world_node *n)
{
    mesh_set_time(n->mesh, n->world->now_ms, world_node_wall_ms(n));
    for (uint32_t i = 0; i < n->shards; i++) {
        struct mailbag *bag = n->mail[i][SIM_SHARDS_MAX];
        if (!bag || world_chance(n->world, 30))
            continue;
        n->mail[i][SIM_SHARDS_MAX] = bag->next;
        bag->next = NULL;
        mesh_on_mail(n->mesh, bag);
    }
    net_turn(n);
    for (uint32_t i = 0; i < n->shards; i++)
        mail_append(&n->mail[SIM_SHARDS_MAX][i], mesh_outbox_take(n->mesh, i));
}

void world_node_turn(struct world_node *n)
{
    uint32_t first = (uint32_t)world_random(n->world, n->shards);
    if (!n->node || n->world->now_ms < n->stalled_until_ms)
        return;
    for (uint32_t i = 0; i < n->shards; i++)
        shard_turn(n, (first + i) % n->shards);
    if (n->mesh)
        mesh_turn(n);
}

static bool has_moves(const struct shard *sh)
{
    list_each(l, &sh->parcels.moving)
    {
        if (container_of(l, struct parcel, link)->state != PARCEL_ARRIVED)
            return true;
    }
    return false;
}

bool world_node_is_busy(const struct world_node *n)
{
    for (uint32_t i = 0; i < n->shards; i++) {
        const struct shard *sh = node_shard(n->node, i);
        if (!list_is_empty(&sh->peer_handoffs.list) || has_moves(sh))
            return true;
        if (n->commits[i].under_way || shard_seal_state(sh) != SHARD_SEAL_NOTHING ||
            sh->persist.retry_ms > sh->now_ms)
            return true;
    }
    for (uint32_t i = 0; i <= SIM_SHARDS_MAX; i++) {
        for (uint32_t k = 0; k <= SIM_SHARDS_MAX; k++) {
            if (n->mail[i][k])
                return true;
        }
    }
    return false;
}
