/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/inspect.h"

#include "node/core/mount.h"
#include "node/core/routes_i.h"
#include "node/core/shard_i.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* ---- records -------------------------------------------------------------------------------------- */

void inspect_buf_fini(struct inspect_buf *b)
{
    free(b->p);
    *b = (struct inspect_buf){0};
}

const void *inspect_next(const struct inspect_buf *b, size_t *at)
{
    uint64_t size;
    if (*at >= b->n)
        return NULL;
    const uint8_t *p = b->p + *at;
    memcpy(&size, p, sizeof size);
    *at += size;
    return p;
}

void *inspect_record(struct inspect_buf *b, size_t fixed, size_t text)
{
    uint64_t size = (fixed + text + 7) & ~(uint64_t)7;
    if (b->cap - b->n < size) {
        b->cap = (b->cap + size) * 2;
        b->p = mem_realloc(b->p, b->cap);
    }
    uint8_t *p = b->p + b->n;
    memset(p, 0, size);
    memcpy(p, &size, sizeof size);
    b->n += size;
    return p;
}

static bool is_full(const struct inspect_buf *b, uint32_t items)
{
    return items >= INSPECT_ITEMS_MAX || b->n >= INSPECT_BYTES_MAX;
}

/* ---- sessions ------------------------------------------------------------------------------------- */

static void put_conn(struct inspect_session *r, const struct conn *c)
{
    uint32_t percent = c->settings->keep_alive_percent;
    r->is_connected = true;
    r->keep_alive_s = percent ? (uint32_t)((uint64_t)c->keep_alive_ms * 100 / percent / 1000) : 0;
    r->listener = c->settings->listener;
    r->port = c->peer.port;
    memcpy(r->address, c->peer.address, sizeof r->address);
    r->address[sizeof r->address - 1] = 0;
    r->is_superuser = c->is_superuser;
    r->recv_packets = c->recv_packets;
    r->send_packets = c->send_packets;
    r->recv_bytes = c->recv_bytes;
    r->send_bytes = c->send_bytes;
}

static const char *username_of(const struct session *s)
{
    return s->conn && s->conn->username ? s->conn->username : s->username;
}

static void put_session(struct inspect_buf *out, const struct session *s)
{
    const char *username = username_of(s);
    size_t username_n = username ? strlen(username) : 0;
    struct bytes mountpoint = mount_prefix(s->mount);
    struct inspect_session *r = inspect_record(out, sizeof *r, s->id_n + username_n + mountpoint.n);
    r->number = s->number;
    r->created_ms = s->created_ms;
    r->since_ms = s->since_ms;
    r->subs_n = s->subs_n;
    r->dropped = s->dropped;
    r->expiry_s = s->expiry_s;
    r->version = s->version;
    r->clean_start = s->clean_start;
    if (s->q) {
        r->inflight = s->q->inflight;
        r->queued = s->q->queued;
        r->queued_bytes = s->q->queued_bytes;
    }
    if (s->rx2)
        r->awaiting_rel = s->rx2->n;
    if (s->conn)
        put_conn(r, s->conn);
    r->id_n = s->id_n;
    r->has_username = username != NULL;
    r->username_n = (uint32_t)username_n;
    r->mountpoint_n = mountpoint.n;
    bytes_put(bytes_put(bytes_put(r->text, session_id(s)), bytes_of(username, username_n)), mountpoint);
}

static uint32_t bits_reverse(uint32_t v)
{
    v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
    v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
    v = (v >> 4 & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(v);
}

/* Home slots are visited in the order of their reversed bits: so those of a doubled table that stem from one
 * slot follow each other, and a table that was resized meanwhile is gone on with where the old one was left.
 * 0 after the last. */
static uint32_t home_after(uint32_t home, uint32_t mask)
{
    return bits_reverse(bits_reverse(home | ~mask) + 1);
}

static bool has_part(struct bytes text, struct bytes part)
{
    return !part.n || (text.n && memmem(text.p, text.n, part.p, part.n));
}

static bool is_wanted(const struct session *s, const struct inspect_want *want)
{
    if ((want->is_connected && !s->conn) || (want->is_offline && s->conn) ||
        !has_part(session_id(s), want->like_id))
        return false;
    const char *username = want->like_username.n ? username_of(s) : NULL;
    return !want->like_username.n || (username && has_part(bytes_str(username), want->like_username));
}

/* A piece of a listing under way. */
struct sessions_walk {
    const struct ptrslots *slots;
    struct inspect_want *want;
    struct inspect_buf *out;
    uint32_t items, passed, steps;
};

static bool walk_is_full(const struct sessions_walk *w)
{
    return w->steps >= INSPECT_STEPS_MAX || w->passed >= INSPECT_PASSED_MAX || is_full(w->out, w->items);
}

static void walk_session(struct sessions_walk *w, const struct session *s)
{
    w->passed++;
    if (!is_wanted(s, w->want))
        return;
    if (w->want->skip) {
        w->want->skip--;
        return;
    }
    put_session(w->out, s);
    w->items++;
}

/* All sessions whose home is this slot stand from it on, before the next free one. */
static void walk_home(struct sessions_walk *w, uint32_t home)
{
    const struct ptrslots *slots = w->slots;
    w->steps++;
    for (uint32_t at = home; slots->v[at]; at = (at + 1) & slots->mask) {
        w->steps++;
        if (slots->v[at] != PTRTAB_GONE && (ptrslots_hash(slots, slots->v[at]) & slots->mask) == home)
            walk_session(w, slots->v[at]);
    }
}

enum { HOMES_AHEAD = 32 };

/* What the next homes hold is fetched together: one after the other, each would wait for memory twice.
 * Returns how many there are before the end. */
static uint32_t homes_fetch(const struct ptrslots *slots, uint32_t home, uint32_t homes[HOMES_AHEAD])
{
    uint32_t n = 0;
    do {
        homes[n++] = home;
        __builtin_prefetch(&slots->v[home]);
        home = home_after(home, slots->mask);
    } while (home && n < HOMES_AHEAD);
    for (uint32_t i = 0; i < n; i++) {
        const struct session *s = slots->v[homes[i]];
        if (!s || s == PTRTAB_GONE)
            continue;
        __builtin_prefetch(&s->hash);
        __builtin_prefetch(s->id);
    }
    return n;
}

enum inspect inspect_sessions(struct shard *sh, uint32_t *place, struct inspect_want *want,
                              struct inspect_buf *out)
{
    struct sessions_walk w = {.slots = ptrtab_slots(&sh->sessions), .want = want, .out = out};
    uint32_t homes[HOMES_AHEAD];
    do {
        uint32_t n = homes_fetch(w.slots, *place & w.slots->mask, homes), i = 0;
        while (i < n && !walk_is_full(&w))
            walk_home(&w, homes[i++]);
        *place = i < n ? homes[i] : home_after(homes[n - 1], w.slots->mask);
    } while (*place && !walk_is_full(&w));
    return *place ? INSPECT_MORE : INSPECT_END;
}

enum inspect inspect_session(struct shard *sh, struct bytes client_id, struct inspect_buf *out)
{
    const struct session *s = session_find(sh, client_id);
    if (!s)
        return INSPECT_NONE;
    put_session(out, s);
    return INSPECT_END;
}

/* ---- subscriptions and topics --------------------------------------------------------------------- */

static struct inspect_sub *put_route(struct inspect_buf *out, const struct route *r, struct bytes client_id)
{
    struct inspect_sub *i = inspect_record(out, sizeof *i, client_id.n + r->filter_n + r->group_n);
    i->client_id_n = (uint16_t)client_id.n;
    i->filter_n = r->filter_n;
    i->group_n = r->group_n;
    bytes_put(bytes_put(bytes_put(i->text, client_id), route_filter(r)), route_group(r));
    return i;
}

void inspect_sub_put(struct inspect_buf *out, const struct subscription *sub)
{
    struct inspect_sub *i = put_route(out, sub->route, session_id(sub->session));
    i->id = sub->id;
    i->qos = sub->qos;
    i->retain_handling = sub->retain_handling;
    i->no_local = sub->no_local;
    i->retain_as_published = sub->retain_as_published;
    i->is_durable = session_is_persistent(sub->session);
}

enum inspect inspect_subs(struct shard *sh, struct inspect_place *place, struct inspect_buf *out)
{
    uint32_t items = 0;
    for (uint32_t steps = 0; place->route < sh->subs.lists_cap; place->route++, place->slot = 0) {
        const struct sublist *l = subs_list(&sh->subs, place->route);
        for (; place->slot < l->n; place->slot++) {
            if (is_full(out, items))
                return INSPECT_MORE;
            inspect_sub_put(out, sublist_items(l)[place->slot]);
            items++;
        }
        if (++steps >= INSPECT_STEPS_MAX) {
            place->route++;
            place->slot = 0;
            return INSPECT_MORE;
        }
    }
    return INSPECT_END;
}

static void put_group(struct inspect_buf *out, const struct sublist *l, const struct route *r)
{
    struct inspect_group *g = inspect_record(out, sizeof *g, r->filter_n + r->group_n);
    g->members = l->n;
    g->online = l->online;
    g->filter_n = r->filter_n;
    g->group_n = r->group_n;
    bytes_put(bytes_put(g->text, route_filter(r)), route_group(r));
}

enum inspect inspect_groups(struct shard *sh, uint32_t *place, struct inspect_buf *out)
{
    uint32_t items = 0, steps = 0;
    for (; *place < sh->subs.lists_cap; ++*place) {
        const struct sublist *l = subs_list(&sh->subs, *place);
        if (++steps > INSPECT_STEPS_MAX || is_full(out, items))
            return INSPECT_MORE;
        const struct route *r = l->n ? sublist_items(l)[0]->route : NULL;
        if (!r || !route_is_shared(r) || topic_group_is_exclusive(route_group(r)))
            continue;
        put_group(out, l, r);
        items++;
    }
    return INSPECT_END;
}

enum inspect inspect_session_subs(struct shard *sh, struct bytes client_id, uint32_t *place,
                                  struct inspect_buf *out)
{
    const struct session *s = session_find(sh, client_id);
    if (!s)
        return INSPECT_NONE;
    for (uint32_t items = 0; *place < s->subs_n; items++) {
        if (is_full(out, items))
            return INSPECT_MORE;
        inspect_sub_put(out, s->subs[(*place)++]);
    }
    return INSPECT_END;
}

/* One record for each node that has subscribers; answers how many. */
static uint32_t put_destinations(struct shard *sh, struct inspect_buf *out, const struct route *r)
{
    const struct peers *peers = &sh->node->peers;
    uint32_t n = 0;
    if (__atomic_load_n(&r->shards, __ATOMIC_RELAXED)) {
        put_route(out, r, bytes_of(NULL, 0))->peer = INSPECT_HERE;
        n++;
    }
    uint64_t live = peers_of_slots(peers, __atomic_load_n(&r->peers, __ATOMIC_RELAXED));
    for (; live; live &= live - 1, n++)
        put_route(out, r, bytes_of(NULL, 0))->peer = (uint8_t)__builtin_ctzll(live);
    return n;
}

enum inspect inspect_topics(struct shard *sh, uint32_t *place, struct inspect_buf *out)
{
    struct routes *t = sh->node->routes;
    uint32_t items = 0, steps = 0;
    routes_lock(t);
    for (; *place < routes_id_max(t); ++*place) {
        const struct route *r = t->by_id[*place];
        if (++steps > INSPECT_STEPS_MAX || is_full(out, items))
            break;
        items += r ? put_destinations(sh, out, r) : 0;
    }
    bool is_over = *place >= routes_id_max(t);
    routes_unlock(t);
    return is_over ? INSPECT_END : INSPECT_MORE;
}

enum inspect inspect_exclusives(struct shard *sh, uint32_t *place, struct inspect_buf *out)
{
    const struct exclusives *e = &sh->exclusives;
    uint32_t items = 0;
    for (; *place < e->n && !is_full(out, items); items++)
        inspect_sub_put(out, e->v[(*place)++]);
    return *place < e->n ? INSPECT_MORE : INSPECT_END;
}

enum inspect inspect_topic(struct shard *sh, struct bytes filter, struct inspect_buf *out)
{
    struct routes *t = sh->node->routes;
    struct topic_filter f;
    size_t before = out->n;
    if (topic_filter_parse(filter, 0, &f) != TOPIC_OK)
        return INSPECT_NONE;
    routes_lock(t);
    const struct route *r = routes_find(t, f.filter, f.group);
    if (r)
        put_destinations(sh, out, r);
    if (r && !f.group.n) {
        for (r = __atomic_load_n(&r->shared, __ATOMIC_RELAXED); r;
             r = __atomic_load_n(&r->shared, __ATOMIC_RELAXED))
            put_destinations(sh, out, r);
    }
    routes_unlock(t);
    return out->n > before ? INSPECT_END : INSPECT_NONE;
}

/* ---- totals --------------------------------------------------------------------------------------- */

void inspect_totals_add(struct shard *sh, struct inspect_totals *t)
{
    for (int i = 0; i < COUNTERS; i++)
        t->counters.v[i] += sh->counters.v[i];
    t->connections += sh->conns_n;
    t->online += sh->online_n;
    t->sessions += sh->sessions.n;
    t->subscriptions += sh->subs.count;
    if (sh->overload.level > t->load_level)
        t->load_level = sh->overload.level;
}

uint64_t inspect_routes(const struct shard *sh)
{
    struct routes *t = sh->node->routes;
    routes_lock(t);
    uint64_t n = routes_count(t);
    routes_unlock(t);
    return n;
}
