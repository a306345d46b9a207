/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/cluster/stub_mesh.h"

#include "node/core/mail.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { PATTERN = 251, PIECE_MAX = 9973 };

uint8_t stub_byte(uint64_t at)
{
    return (uint8_t)(at % PATTERN);
}

/* ---- for tests ------------------------------------------------------------------------------------- */

void stub_dial(struct mesh *m, const struct net_addr *to)
{
    CHECK(m->dials_n < STUB_DIALS_MAX);
    m->dials[m->dials_n++] = *to;
}

void stub_send_pattern(struct mesh *m, uint64_t n)
{
    list_each(it, &m->peers)
    {
        struct peer *p = container_of(it, struct peer, link);
        p->pattern_left += n;
        p->is_dirty = true;
    }
}

static void append(struct peer *p, const void *b, uint32_t n)
{
    if (p->out_n + n > p->out_cap) {
        p->out_cap = 2 * (p->out_n + n);
        p->out = mem_realloc(p->out, p->out_cap);
    }
    memcpy(p->out + p->out_n, b, n);
    p->out_n += n;
    p->is_dirty = true;
}

void stub_send_text(struct mesh *m, const char *text)
{
    list_each(it, &m->peers)
    {
        struct peer *p = container_of(it, struct peer, link);
        append(p, text, (uint32_t)strlen(text));
    }
}

void stub_close_all(struct mesh *m)
{
    list_each(it, &m->peers)
    {
        struct peer *p = container_of(it, struct peer, link);
        p->wire->state = WIRE_CLOSING;
        p->is_dirty = true;
    }
}

uint64_t stub_waiting(const struct mesh *m)
{
    uint64_t n = 0;

    list_each(it, &m->peers)
    {
        struct peer *p = container_of(it, struct peer, link);
        n += p->out_n + p->pattern_left;
    }
    return n;
}

/* ---- life ------------------------------------------------------------------------------------------ */

void mesh_conf_default(struct mesh_conf *c)
{
    memset(c, 0, sizeof *c);
}

struct mesh *mesh_new(const struct mesh_conf *conf, uint64_t mono_ms, uint64_t wall_ms)
{
    struct mesh *m = mem_zalloc(sizeof *m);

    (void)mono_ms;
    (void)wall_ms;
    m->conf = *conf;
    list_init(&m->peers);
    return m;
}

void mesh_free(struct mesh *m)
{
    if (!m)
        return;
    CHECK(list_is_empty(&m->peers));
    for (uint32_t i = 0; i < m->bags_n; i++)
        free(m->bags[i]);
    free(m);
}

void mesh_set_time(struct mesh *m, uint64_t mono_ms, uint64_t wall_ms)
{
    CHECK(m && mono_ms && wall_ms);
}

void mesh_tick(struct mesh *m)
{
    m->ticks++;
    m->leave_ticks += m->is_leaving;
}

void mesh_flush(struct mesh *m)
{
    (void)m;
}

void mesh_leave(struct mesh *m)
{
    m->is_leaving = true;
    if (m->bye)
        stub_send_text(m, m->bye);
}

bool mesh_has_left(const struct mesh *m)
{
    return m->leave_ticks >= 2;
}

/* ---- mail, datagrams, dials ------------------------------------------------------------------------ */

void mesh_on_mail(struct mesh *m, struct mailbag *bag)
{
    CHECK(m->bags_n < STUB_BAGS_MAX);
    m->bags[m->bags_n++] = bag;
}

struct mailbag *mesh_outbox_take(struct mesh *m, uint32_t shard)
{
    for (uint32_t i = 0; i < m->bags_n; i++)
        if (m->bags[i]->from == shard) {
            struct mailbag *bag = m->bags[i];
            m->bags[i] = m->bags[--m->bags_n];
            return bag;
        }
    return NULL;
}

void mesh_seeds_set(struct mesh *m, const struct net_addr *v, uint32_t n)
{
    m->seeds_told++;
    m->seeds_n = n < STUB_SEEDS_MAX ? n : STUB_SEEDS_MAX;
    if (m->seeds_n)
        memcpy(m->seeds, v, m->seeds_n * sizeof v[0]);
}

bool mesh_wants_seeds(const struct mesh *m)
{
    return m->peers_n == 0;
}

bool mesh_dial_take(struct mesh *m, struct net_addr *to)
{
    if (!m->dials_n)
        return false;
    *to = m->dials[--m->dials_n];
    return true;
}

void mesh_on_dial_failed(struct mesh *m, const struct net_addr *to)
{
    (void)to;
    m->dials_failed++;
}

void mesh_on_datagram(struct mesh *m, const struct net_addr *from, struct bytes d)
{
    uint32_t n = d.n < sizeof m->datagram_last - 1 ? d.n : (uint32_t)sizeof m->datagram_last - 1;

    m->datagrams_in++;
    m->datagram_from = *from;
    memcpy(m->datagram_last, d.p, n);
    m->datagram_last[n] = '\0';
}

bool mesh_datagram_take(struct mesh *m, struct member_datagram *out)
{
    if (!m->datagrams_out)
        return false;
    m->datagrams_out--;
    *out = m->datagram;
    return true;
}

/* ---- wires ----------------------------------------------------------------------------------------- */

void wire_init(struct wire *w, struct mesh *m, enum wire_side side, const struct net_addr *addr)
{
    struct peer *p = mem_zalloc(sizeof *p);

    memset(w, 0, sizeof *w);
    w->mesh = m;
    w->side = (uint8_t)side;
    w->state = WIRE_UP;
    w->addr = *addr;
    w->peer = p;
    p->wire = w;
    list_push(&m->peers, &p->link);
    m->peers_n++;
    m->wires_ever++;
}

void wire_fini(struct wire *w)
{
    CHECK(w->peer);
    list_del(&w->peer->link);
    free(w->peer->out);
    free(w->peer);
    w->peer = NULL;
    w->mesh->peers_n--;
}

void wire_feed(struct wire *w, struct bytes b)
{
    struct peer *p = w->peer;
    uint32_t n = b.n < sizeof p->last - 1 ? b.n : (uint32_t)sizeof p->last - 1;

    CHECK(w->state != WIRE_CLOSING && b.n);
    memcpy(p->last, b.p + b.n - n, n);
    p->last[n] = '\0';
    if (w->mesh->is_echo)
        append(p, b.p, b.n);
    for (uint32_t i = 0; i < b.n; i++)
        p->bad += b.p[i] != stub_byte(p->received + i);
    p->received += b.n;
}

struct bytes wire_out_peek(struct wire *w)
{
    static uint8_t pattern[PATTERN + PIECE_MAX];
    struct peer *p = w->peer;
    uint64_t n = p->out_n ? p->out_n : p->pattern_left;

    if (!pattern[1])
        for (uint32_t i = 0; i < sizeof pattern; i++)
            pattern[i] = stub_byte(i);
    n = n < PIECE_MAX ? n : PIECE_MAX;
    return bytes_of(p->out_n ? p->out : pattern + p->pattern_at % PATTERN, n);
}

void wire_out_done(struct wire *w, uint32_t n)
{
    struct peer *p = w->peer;

    if (p->out_n) {
        CHECK(n <= p->out_n);
        p->out_n -= n;
        memmove(p->out, p->out + n, p->out_n);
        return;
    }
    CHECK(n <= p->pattern_left);
    p->pattern_left -= n;
    p->pattern_at += n;
}

struct wire *mesh_wire_take(struct mesh *m)
{
    list_each(it, &m->peers)
    {
        struct peer *p = container_of(it, struct peer, link);
        if (p->is_dirty) {
            p->is_dirty = false;
            return p->wire;
        }
    }
    return NULL;
}
