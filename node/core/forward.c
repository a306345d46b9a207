/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/forward.h"

#include "node/core/conn_i.h"
#include "node/core/note.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/rpc/publish_entry.h"

#include <stdlib.h>

enum {
    CHUNK_FIRST = 2048,
    CHUNK_FULL = 56 << 10, /* a frame is sealed when it is this long, so that records stay whole */
    PENDINGS_FIRST = 16,
};

uint64_t shard_uid(struct shard *sh, bool hold)
{
    uint64_t count = ++sh->uid_next & ((1ull << UID_COUNT_BITS) - 1);
    return sh->node->tag << UID_LIFE_SHIFT | (uint64_t)sh->number << UID_SHARD_SHIFT |
           (uint64_t)hold << UID_COUNT_BITS | count;
}

/* ---- chunks --------------------------------------------------------------------------------------- */

void fchunk_free(struct fchunk *c)
{
    frame_buf_unref(c->frame);
    free(c->pendings);
    free(c);
}

void fchunk_drop(struct fchunk *c)
{
    for (uint32_t i = 0; i < c->pendings_n; i++)
        pending_drop(c->pendings[i]);
    fchunk_free(c);
}

static void chunk_post(struct shard *sh, uint32_t peer)
{
    mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_FORWARD, .arg = sh->chunks[peer]});
    sh->chunks[peer] = NULL;
    sh->chunks_open &= ~(1ull << peer);
}

void forward_flush(struct shard *sh)
{
    for (uint64_t open = sh->chunks_open; open; open &= open - 1)
        chunk_post(sh, (uint32_t)__builtin_ctzll(open));
}

void forward_fini(struct shard *sh)
{
    for (uint64_t open = sh->chunks_open; open; open &= open - 1)
        fchunk_drop(sh->chunks[__builtin_ctzll(open)]);
}

/* The chunk for a peer, with room for n more bytes. */
static struct fchunk *chunk_get(struct shard *sh, uint32_t peer, uint32_t n)
{
    struct fchunk *c = sh->chunks[peer];
    if (c && c->body_n + n > CHUNK_FULL) {
        chunk_post(sh, peer);
        c = NULL;
    }
    if (!c) {
        c = mem_zalloc(sizeof *c);
        c->peer = peer;
        c->shard = sh->number;
        c->frame = frame_buf_new(n > CHUNK_FIRST ? n : CHUNK_FIRST);
        sh->chunks[peer] = c;
        sh->chunks_open |= 1ull << peer;
    }
    c->frame = frame_buf_room(c->frame, c->body_n + n);
    return c;
}

static void chunk_wait(struct fchunk *c, struct pending *p)
{
    if (c->count >= c->pendings_n) {
        uint32_t cap = c->pendings_n ? c->pendings_n : PENDINGS_FIRST;
        while (cap <= c->count)
            cap *= 2;
        c->pendings = mem_realloc(c->pendings, cap * sizeof(struct pending *));
        memset(c->pendings + c->pendings_n, 0, (cap - c->pendings_n) * sizeof(struct pending *));
        c->pendings_n = cap;
    }
    c->pendings[c->count] = p;
    c->waits++;
}

/* ---- marks ---------------------------------------------------------------------------------------- */

struct mark {
    void (*fn)(struct mesh *m, void *arg);
    void *arg;
    uint32_t via;
};

static void mark_drop(void *arg)
{
    struct mark *mark = arg;
    free(mark->arg);
    free(mark);
}

static void mark_pass(struct shard *sh, void *arg)
{
    struct mark *mark = arg;
    forward_flush(sh);
    shard_mesh_call(sh, mark->fn, free, mark->arg);
    free(mark);
}

static void on_mark_stored(struct shard *sh, void *arg, enum reason code)
{
    struct mark *mark = arg;
    (void)code;
    if (mark->via == sh->number || mark->via == MAIL_TO_CLUSTER)
        mark_pass(sh, mark);
    else
        mail_push(sh, mark->via,
                  &(struct mail){.kind = MAIL_CALL, .u.fn = mark_pass, .drop = mark_drop, .arg = mark});
}

void forward_mark(struct shard *sh, uint32_t via, void (*fn)(struct mesh *m, void *arg), void *arg)
{
    struct mark *mark = mem_alloc(sizeof *mark);
    *mark = (struct mark){fn, arg, via};
    struct pending *p = pending_new_call(on_mark_stored, mark_drop, mark);
    if (sh->handoffs.n) {
        persist_wait(sh, p);
        persist_hurry(sh);
    } else if (sh->handoffs_sealed.n) {
        persist_wait_sealed(sh, pending_ref(p));
    }
    pending_release(sh, p, RC_SUCCESS);
}

/* ---- publishes ------------------------------------------------------------------------------------ */

static void entry_of(struct shard *sh, struct publication *p, struct publish_entry *e)
{
    /* QoS 0 is not looked for doubles, unless it may be delivered with more. */
    if (!p->uid && (p->m.qos || sh->settings->upgrade_qos))
        p->uid = shard_uid(sh, p->hold);
    *e = (struct publish_entry){.topic = p->m.topic,
                                .payload = p->m.payload,
                                .props = p->m.props,
                                .uid = p->uid,
                                .expiry_s = p->m.expiry_s,
                                .has_expiry = p->m.has_expiry,
                                .qos = p->m.qos,
                                .retain = p->m.retain,
                                .wants_answer = p->m.qos && (p->conn || p->pending)};
}

/* More than half of the ring to this peer is in use: what has QoS 1 or 2 is no longer read from this client
 * until there is room again. */
static void pace(struct shard *sh, struct publication *p, uint64_t peers)
{
    if (likely(!(peers_get(&sh->node->peers.congested) & peers)) || !p->conn || !p->m.qos)
        return;
    if (list_is_empty(&p->conn->congested_link))
        list_push(&sh->congested, &p->conn->congested_link);
    conn_pace(p->conn);
}

void forward_resume(struct shard *sh)
{
    struct list *l;
    while ((l = list_pop(&sh->congested)))
        conn_pace(container_of(l, struct conn, congested_link));
}

static bool entry_add(struct shard *sh, struct publication *p, const struct publish_entry *e, uint32_t size,
                      uint32_t peer)
{
    if (p->m.qos == 0 && unlikely(peers_get(&sh->node->peers.full) & 1ull << peer)) {
        COUNT(sh, DROPPED_PEER_FULL);
        note_message(sh, p, JOURNAL_LINK_FULL, NULL);
        return false;
    }
    struct fchunk *c = chunk_get(sh, peer, size);
    uint8_t *at = frame_buf_body(c->frame) + c->body_n;
    CHECK(publish_entry_put(at, e) == at + size);
    c->body_n += size;
    if (e->wants_answer)
        chunk_wait(c, publication_wait(p));
    c->count++;
    return true;
}

void forward_publish(struct shard *sh, struct publication *p, uint64_t peers)
{
    struct publish_entry e;
    entry_of(sh, p, &e);
    uint32_t size = publish_entry_size(&e);
    pace(sh, p, peers);
    for (uint64_t left = peers; left; left &= left - 1)
        p->receivers += entry_add(sh, p, &e, size, (uint32_t)__builtin_ctzll(left));
}

void forward_once(struct shard *sh, struct publication *p, uint32_t peer)
{
    struct publish_entry e;
    entry_of(sh, p, &e);
    e.once = true;
    entry_add(sh, p, &e, publish_entry_size(&e), peer);
}

bool forward_shared(struct shard *sh, struct publication *p, const struct route *r, uint32_t peer)
{
    struct publish_entry e;
    entry_of(sh, p, &e);
    e.group = route_group(r);
    e.filter = route_filter(r);
    pace(sh, p, 1ull << peer);
    if (!entry_add(sh, p, &e, publish_entry_size(&e), peer))
        return false;
    p->receivers++;
    return true;
}
