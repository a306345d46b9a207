/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/rpc/publish_entry.h"

#include <stdlib.h>

/* Publishes on their way to a peer. A chunk with entries that somebody waits for is kept until each has its
 * answer: then it can be sent again to a peer that started anew, and the member of a shared route that is
 * gone can be replaced by another. */

static void resolve(struct mesh *m, struct fchunk *c, uint32_t index, enum reason code)
{
    struct pending *p = fchunk_take(c, index);
    if (!p)
        return;
    mesh_mail(m, c->shard, &(struct mail){.kind = MAIL_RESOLVED, .pending = p, .u.code = (uint64_t)code});
}

static void waits_push(struct peer *p, struct fchunk *c)
{
    c->next = NULL;
    *p->waits_end = c;
    p->waits_end = &c->next;
}

static void chunk_push(struct mesh *m, struct peer *p, struct fchunk *c)
{
    if (c->waits) {
        c->seq = link_push(&p->link, frame_buf_ref(c->frame));
        waits_push(p, c);
    } else {
        link_push(&p->link, c->frame);
        c->frame = NULL;
        fchunk_free(c);
    }
    peer_mark_dirty(m, p);
}

void forward_send(struct mesh *m, struct fchunk *c)
{
    struct peer *p = m->peers[c->peer];
    if (!peer_is_live(p)) {
        forward_lost(m, c);
        fchunk_free(c);
        return;
    }
    c->since_ms = m->now_ms;
    p->forwarded += c->count;
    m->counters[MC_FORWARDED] += c->count;
    frame_buf_seal(c->frame, RPC_PUBLISHES, c->body_n);
    chunk_push(m, p, c);
}

/* ---- answers -------------------------------------------------------------------------------------- */

static struct fchunk *chunk_find(struct peer *p, uint64_t seq)
{
    struct fchunk *c = p->waits;
    while (c && c->seq != seq)
        c = c->next;
    return c;
}

/* Those in front that nobody waits for any more: their answers are here, or are given up. */
static void waits_trim(struct mesh *m, struct peer *p)
{
    struct fchunk *c;
    while ((c = p->waits) && c->waits == 0) {
        hist_add(&m->forwards, (m->now_ms - c->since_ms) * 1000);
        p->waits = c->next;
        if (!p->waits)
            p->waits_end = &p->waits;
        fchunk_free(c);
    }
}

bool forward_on_results(struct mesh *m, struct peer *p, struct bytes body)
{
    struct rpc_results r;
    if (!rpc_results_read(&r, body, m->arena))
        return false;
    for (uint32_t i = 0; i < r.n; i++) {
        const struct rpc_run *run = &r.runs[i];
        struct fchunk *c = chunk_find(p, run->seq);
        if (!c || run->first > c->count || run->count > c->count - run->first)
            continue; /* given up already */
        for (uint32_t k = run->first; k < run->first + run->count; k++) {
            if (run->code == RC_NO_MATCHING_SUBSCRIBERS && redispatch(m, c, k))
                continue;
            resolve(m, c, k, (enum reason)run->code);
        }
    }
    waits_trim(m, p);
    return true;
}

/* ---- trouble -------------------------------------------------------------------------------------- */

/* The entry at the index, read again from the frame. */
static bool entry_at(const struct fchunk *c, uint32_t index, struct publish_entry *e)
{
    struct cursor at = cursor_of(bytes_of(frame_buf_body(c->frame), c->body_n));
    for (uint32_t i = 0; i <= index; i++)
        if (!publish_entry_take(&at, e))
            return false;
    return true;
}

/* The member of a shared route that was picked is not there: a QoS 1 message goes to another one. QoS 2 stays
 * where it was sent [MQTT-4.8.2-5]. */
bool redispatch(struct mesh *m, struct fchunk *c, uint32_t index)
{
    struct publish_entry e;
    if (index >= c->pendings_n || !c->pendings[index] || !entry_at(c, index, &e) || !e.group.n || e.qos != 1)
        return false;
    struct message_in in = {.topic = e.topic,
                            .payload = e.payload,
                            .props = e.props,
                            .qos = e.qos,
                            .retain = e.retain,
                            .has_expiry = e.has_expiry,
                            .expiry_s = e.expiry_s};
    struct msg *msg = msg_new(&in, m->wall_ms, 0);
    if (!msg)
        return false;
    msg->uid = e.uid;
    struct redispatch *r = mem_alloc(sizeof *r + e.group.n + e.filter.n);
    *r = (struct redispatch){.msg = msg, .pending = fchunk_take(c, index), .not_peer = c->peer};
    r->filter_n = e.filter.n;
    r->group_n = e.group.n;
    bytes_put(bytes_put(r->text, e.filter), e.group);
    MESH_COUNT(m, SHARED_REDISPATCHED);
    mesh_call(m, c->shard, share_redispatch, redispatch_drop, r);
    return true;
}

/* Nobody will answer: what went to a shared route is for another member, the rest is done with. The code
 * tells a handoff that it had no answer; for everybody else it is a success. */
void forward_lost(struct mesh *m, struct fchunk *c)
{
    for (uint32_t i = 0; i < c->count && c->waits; i++) {
        if (!redispatch(m, c, i))
            resolve(m, c, i, RC_NO_MATCHING_SUBSCRIBERS);
    }
}

void forward_give_up(struct mesh *m, struct peer *p)
{
    for (struct fchunk *c = p->waits; c; c = c->next)
        forward_lost(m, c);
    waits_trim(m, p);
}

/* A frame with the entries of c that nobody has answered. */
static struct fchunk *chunk_again(struct mesh *m, struct fchunk *c)
{
    struct fchunk *n = mem_zalloc(sizeof *n);
    struct cursor at = cursor_of(bytes_of(frame_buf_body(c->frame), c->body_n));
    n->frame = frame_buf_new(c->body_n);
    n->peer = c->peer;
    n->shard = c->shard;
    n->since_ms = c->since_ms;
    n->pendings = mem_zalloc(c->waits * sizeof(struct pending *));
    n->pendings_n = c->waits;
    for (uint32_t i = 0; i < c->pendings_n && c->waits; i++) {
        struct publish_entry e;
        const uint8_t *from = at.p;
        CHECK(publish_entry_take(&at, &e));
        if (!c->pendings[i])
            continue;
        if (e.qos == 2 && !e.once) { /* whether it was delivered nobody knows, and twice it may not be */
            resolve(m, c, i, RC_IMPLEMENTATION_SPECIFIC);
            continue;
        }
        n->pendings[n->count++] = fchunk_take(c, i);
        bytes_put(frame_buf_body(n->frame) + n->body_n, bytes_of(from, (size_t)(at.p - from)));
        n->body_n += (uint32_t)(at.p - from);
    }
    n->waits = n->count;
    frame_buf_seal(n->frame, RPC_PUBLISHES, n->body_n);
    return n;
}

void forward_repeat(struct mesh *m, struct peer *p)
{
    struct fchunk *old = p->waits;
    p->waits = NULL;
    p->waits_end = &p->waits;
    while (old) {
        struct fchunk *next = old->next;
        if (old->waits) {
            m->counters[MC_FORWARD_REPEATED] += old->waits;
            struct fchunk *again = chunk_again(m, old);
            if (again->waits)
                chunk_push(m, p, again);
            else
                fchunk_free(again);
        }
        fchunk_free(old);
        old = next;
    }
}

void forward_step(struct mesh *m, struct peer *p)
{
    for (struct fchunk *c = p->waits; c && m->now_ms - c->since_ms >= m->conf.forward_ms; c = c->next) {
        if (!c->waits)
            continue;
        m->counters[MC_FORWARD_TIMEOUTS] += c->waits;
        for (uint32_t i = 0; i < c->count && c->waits; i++) {
            if (!redispatch(m, c, i)) /* with QoS 1 another member may have it instead */
                resolve(m, c, i, RC_IMPLEMENTATION_SPECIFIC);
        }
    }
    waits_trim(m, p);
}

void forward_drop(struct peer *p)
{
    while (p->waits) {
        struct fchunk *c = p->waits;
        p->waits = c->next;
        fchunk_drop(c);
    }
    p->waits_end = &p->waits;
}
