/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/sendq.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { RING_MIN = 8, IDS_MAX = UINT16_MAX };

struct sendq *sendq_new(uint64_t first_seq)
{
    struct sendq *q = mem_zalloc(sizeof *q);
    q->win.first = q->win.end = q->tail.first = q->tail.end = first_seq;
    q->sent = q->next = q->sealed = q->committed = q->load_at = first_seq;
    return q;
}

void slot_clear(struct slot *s)
{
    msg_unref(s->msg);
    s->msg = NULL;
    if (s->ids_n > 1)
        free(s->ids.many);
    s->ids_n = 0;
}

static void ring_fini(struct ring *r)
{
    for (uint64_t i = r->first; i < r->end; i++)
        slot_clear(ring_at(r, i));
    free(r->v);
}

void sendq_free(struct sendq *q)
{
    if (!q)
        return;
    ring_fini(&q->win);
    ring_fini(&q->tail);
    free(q->chunks);
    free(q);
}

static void ring_resize(struct ring *r, uint32_t cap)
{
    struct slot *v = mem_alloc(sizeof *v * cap);
    for (uint64_t i = r->first; i < r->end; i++)
        v[i & (cap - 1)] = r->v[i & r->mask];
    free(r->v);
    r->v = v;
    r->mask = cap - 1;
}

struct slot *ring_push(struct ring *r)
{
    uint64_t n = r->end - r->first;
    if (!r->v)
        ring_resize(r, RING_MIN);
    else if (n == (uint64_t)r->mask + 1)
        ring_resize(r, (r->mask + 1) * 2);
    struct slot *s = ring_at(r, r->end++);
    *s = (struct slot){0};
    return s;
}

struct slot *sendq_push(struct sendq *q, uint32_t window_max)
{
    q->next++;
    if (q->win.end == q->next - 1 && q->win.end - q->win.first < window_max) {
        q->tail.first = q->tail.end = q->next;
        return ring_push(&q->win);
    }
    return ring_push(&q->tail);
}

void slot_ids_set(struct slot *s, const uint32_t *ids, uint32_t n)
{
    s->ids_n = (uint16_t)(n < IDS_MAX ? n : IDS_MAX);
    if (n == 1)
        s->ids.one = ids[0];
    else if (n > 1) {
        s->ids.many = mem_alloc(sizeof *ids * s->ids_n);
        memcpy(s->ids.many, ids, sizeof *ids * s->ids_n);
    }
}

uint64_t sendq_seq(const struct sendq *q, uint16_t packet_id)
{
    uint64_t low = q->win.first;
    uint32_t ahead = ((uint32_t)packet_id + 65535u - sendq_packet_id(low)) % 65535u;
    uint64_t seq = low + ahead;
    return packet_id && seq < q->sent ? seq : 0;
}

static void ring_shrink(struct ring *r)
{
    if (r->mask + 1 > 1024 && r->end - r->first < (r->mask + 1) / 8)
        ring_resize(r, (r->mask + 1) / 4);
}

void sendq_done(struct sendq *q, uint64_t seq)
{
    struct slot *s = sendq_find(q, seq);
    CHECK(s != NULL);
    slot_clear(s);
    s->state = SLOT_DONE;
    while (q->win.first < q->win.end && q->win.first < q->sent &&
           ring_at(&q->win, q->win.first)->state == SLOT_DONE)
        q->win.first++;
    ring_shrink(&q->win);
}
