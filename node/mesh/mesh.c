/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh.h"

#include "node/core/claim.h"
#include "node/mesh/mesh_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { STAMP_SHIFT = 16, LEAVE_MS = 1000 };

void mesh_conf_default(struct mesh_conf *c)
{
    *c = (struct mesh_conf){
        .ring_bytes_max = 64ull << 20,
        .frame_bytes_max = (256u << 20) + (64u << 10),
        .ping_ms = 500,
        .silent_ms = 1400,
        .barrier_ms = 250,
        .claim_ms = 500,
        .forward_ms = 5000,
        .redial_ms = 500,
    };
    members_conf_default(&c->members);
}

const char *mesh_counter_name(enum mesh_counter c)
{
    static const char *const names[MESH_COUNTERS_N] = {
#define X(id, name) name,
        MESH_COUNTERS(X)
#undef X
    };
    return names[c];
}

uint64_t mesh_counter(const struct mesh *m, enum mesh_counter c)
{
    return m->counters[c];
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct mesh *mesh_new(const struct mesh_conf *conf, uint64_t mono_ms, uint64_t wall_ms)
{
    struct mesh *m = mem_zalloc(sizeof *m);
    struct member_self self = {.id = conf->id, .epoch = conf->epoch, .addr = conf->advertise};
    m->conf = *conf;
    m->node = conf->node;
    m->view = node_peers(conf->node);
    m->shards_n = node_conf(conf->node)->shards;
    m->now_ms = m->start_ms = mono_ms;
    m->wall_ms = wall_ms;
    m->random = hash_u64(conf->seed, 7) | 1;
    snprintf(self.name, sizeof self.name, "%s", conf->name);
    snprintf(self.cluster, sizeof self.cluster, "%s", conf->cluster);
    m->members = members_new(&conf->members, &self, conf->seed, mono_ms, conf->log);
    list_init(&m->wires);
    list_init(&m->dirty);
    list_init(&m->barriers);
    list_init(&m->claims);
    list_init(&m->early);
    list_init(&m->rxframes);
    list_init(&m->parcels);
    list_init(&m->marks);
    m->arena = rpc_arena_new();
    m->arbiter = arbiter_new(conf->seed);
    m->live[0] = conf->id;
    m->live_n = 1;
    subs_init(&m->subs, node_routes(conf->node), SUBS_NO_SHARD);
    routes_sync_init(m);
    retained_init(m);
    return m;
}

void mesh_free(struct mesh *m)
{
    if (!m)
        return;
    CHECK(list_is_empty(&m->wires));
    ids_fini(m);
    retained_fini(m);
    moves_fini(m);
    forward_rx_fini(m);
    barriers_fini(m);
    dial_fini(m);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (m->peers[i])
            peer_free(m, m->peers[i]);
    for (uint32_t i = 0; i < NODE_SHARDS_MAX; i++) {
        if (m->outbox[i])
            mailbag_free(m->outbox[i]);
        free(m->building[i]);
    }
    routes_sync_fini(m);
    subs_fini(&m->subs);
    arbiter_free(m->arbiter);
    members_free(m->members);
    rpc_arena_free(m->arena);
    rpc_buf_fini(&m->scratch);
    free(m);
}

void mesh_set_time(struct mesh *m, uint64_t mono_ms, uint64_t wall_ms)
{
    m->now_ms = mono_ms;
    m->wall_ms = wall_ms;
}

/* For picking members, never for secrets. */
uint64_t mesh_random(struct mesh *m)
{
    uint64_t x = m->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    m->random = x;
    return x * 0x2545F4914F6CDD1Dull;
}

/* ---- stamps --------------------------------------------------------------------------------------- */

uint64_t mesh_stamp(struct mesh *m)
{
    uint64_t now = m->wall_ms << STAMP_SHIFT;
    m->stamp = now > m->stamp ? now : m->stamp + 1;
    return m->stamp;
}

void mesh_stamp_see(struct mesh *m, uint64_t stamp)
{
    if (stamp > m->stamp)
        m->stamp = stamp;
}

/* ---- mail ----------------------------------------------------------------------------------------- */

void mesh_mail(struct mesh *m, uint32_t shard, const struct mail *mail)
{
    mailbag_push(&m->outbox[shard], MAIL_TO_CLUSTER, mail);
}

void mesh_call(struct mesh *m, uint32_t shard, void (*fn)(struct shard *sh, void *arg),
               void (*drop)(void *arg), void *arg)
{
    mesh_mail(m, shard, &(struct mail){.kind = MAIL_CALL, .u.fn = fn, .drop = drop, .arg = arg});
}

struct mailbag *mesh_outbox_take(struct mesh *m, uint32_t shard)
{
    struct mailbag *b = m->outbox[shard];
    m->outbox[shard] = NULL;
    return b;
}

uint32_t mesh_home(const struct mesh *m, struct bytes client_id)
{
    return node_home(m->node, client_id);
}

static void on_mail(struct mesh *m, uint32_t from, struct mail *mail)
{
    switch (mail->kind) {
    case MAIL_FORWARD:
        forward_send(m, mail->arg);
        break;
    case MAIL_ARRIVED:
        forward_on_arrived(m, mail->arg);
        break;
    case MAIL_ARRIVED_ONE:
        forward_on_arrived_one(m, mail->arg, mail->pick, (enum reason)mail->u.code);
        break;
    case MAIL_BARRIER:
        barrier_add(m, from, mail->pending, mail->pick);
        break;
    case MAIL_CLAIM:
        ids_on_order(m, mail->arg);
        break;
    case MAIL_HELD:
    case MAIL_UNHELD:
        ids_on_held(m, mail->arg, mail->kind == MAIL_HELD);
        break;
    case MAIL_PARCEL:
        moves_on_piece(m, mail->arg);
        break;
    case MAIL_PARCEL_TOLD:
        moves_on_told(m, mail->arg);
        break;
    case MAIL_SETTLED:
        settled_send(m, mail->arg);
        break;
    case MAIL_RETAINED:
        retained_on_change(m, mail->arg);
        break;
    case MAIL_BANS:
        bans_tell(m, mail->arg);
        break;
    case MAIL_MESH_CALL:
        mail->u.mesh_fn(m, mail->arg);
        break;
    case MAIL_PUBLISH:
    case MAIL_SHARED:
    case MAIL_HANDOFF:
    case MAIL_RESOLVED:
    case MAIL_CALL:
    case MAIL_ARRIVALS:
        CHECK(!"mail for a shard");
    }
}

void mesh_on_mail(struct mesh *m, struct mailbag *bag)
{
    for (uint32_t i = 0; i < bag->n; i++)
        on_mail(m, bag->from, &bag->items[i]);
    free(bag);
}

/* ---- time ----------------------------------------------------------------------------------------- */

static void push_pull_tick(struct mesh *m)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!peer_is_reachable(p) || m->now_ms < p->push_pull_ms)
            continue;
        p->push_pull_ms = m->now_ms + m->conf.members.push_pull_ms;
        push_pull_send(m, p, RPC_PUSH_PULL);
    }
}

void mesh_tick(struct mesh *m)
{
    members_tick(m->members, m->now_ms);
    peers_work_events(m);
    list_each_safe(l, &m->wires) wire_tick(container_of(l, struct wire, all_link));
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (m->peers[i])
            forward_step(m, m->peers[i]);
    ids_step(m);
    moves_step(m);
    drain_tick(m);
    retained_tick(m);
    push_pull_tick(m);
    routes_sync_step(m);
    barriers_step(m);
}

void mesh_flush(struct mesh *m)
{
    peers_work_events(m);
    routes_sync_journal(m);
    retained_flush(m);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!peer_is_live(p))
            continue;
        forward_results_send(m, p);
        ids_send(m, p);
        if (p->wire)
            routes_sync_send(m, p);
        peer_room_update(m, p);
        if (p->wire && link_has_out(&p->link))
            peer_mark_dirty(m, p);
    }
    barriers_step(m);
    moves_step(m);
}

/* ---- datagrams ------------------------------------------------------------------------------------ */

void mesh_on_datagram(struct mesh *m, const struct net_addr *from, struct bytes d)
{
    members_on_datagram(m->members, from, d, m->now_ms);
}

bool mesh_datagram_take(struct mesh *m, struct member_datagram *out)
{
    return members_datagram_take(m->members, out);
}

/* ---- operation ------------------------------------------------------------------------------------ */

void mesh_leave(struct mesh *m)
{
    if (m->is_leaving)
        return;
    m->is_leaving = true;
    m->leave_ms = m->now_ms;
    members_leave(m->members, m->now_ms);
}

bool mesh_has_left(const struct mesh *m)
{
    return m->is_leaving && (m->view->count == 0 || m->now_ms - m->leave_ms >= LEAVE_MS);
}

enum err mesh_forget(struct mesh *m, const struct node_id *id)
{
    return members_forget(m->members, id, m->now_ms);
}
