/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_MESH_SYNC_PAIR_H
#define COVEY_TEST_MESH_SYNC_PAIR_H

/* Two stores with a retained_sync each and a pipe of frames between them; time, room and losses as a test
 * wants them. What is applied is committed some steps later, as shards do. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/core/hlc.h"
#include "node/mesh/retained_sync.h"
#include "proto/base/mem.h"
#include "proto/mqtt/msg.h"
#include "storage/mem.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { WALL_MS = 1700000000, HOUR_MS = 3600000, FRAMES_MAX = 4096 };
#define WALL ((uint64_t)WALL_MS * 1000)

struct sent {
    enum rpc_op op;
    struct bytes body;
};

struct side {
    struct pair *pair;
    uint32_t number;
    uint64_t tag;
    struct store *store;
    struct retained_sync *sync;
    struct store_batch arriving; /* applied, not yet stored */
    bool is_marked;              /* since the mark not all of it was stored */
    struct sent out[FRAMES_MAX];
    unsigned out_n, out_done;
    uint64_t sent[256]; /* frames by opcode */
    uint64_t sent_items;
    uint64_t in_flight_max; /* bytes of lists */
};

struct pair {
    struct side a, b;
    struct retained_sync_conf conf;
    struct rpc_arena *arena;
    uint64_t random;
    uint64_t mono_ms;
    uint64_t wall_ms;
    unsigned no_room_percent, busy_percent;
    bool is_settled;
};

static inline uint64_t pair_random(struct pair *p, uint64_t below)
{
    uint64_t z = p->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) % below;
}

/* ---- what is stored ------------------------------------------------------------------------------- */

struct item {
    char topic[600];
    uint64_t stamp;
    const char *payload; /* NULL: deleted */
    uint64_t expires_ms; /* 0: never */
};

static inline uint64_t ago(uint64_t ms)
{
    return (WALL - ms) << HLC_SHIFT;
}

/* From malloc(); n 0: deleted. */
static inline struct bytes record_of(const struct item *it)
{
    if (!it->payload)
        return bytes_of(NULL, 0);
    uint64_t created = hlc_ms(it->stamp);
    struct message_in m = {.topic = bytes_str(it->topic), .payload = bytes_str(it->payload), .retain = true};
    m.has_expiry = it->expires_ms != 0;
    m.expiry_s = m.has_expiry ? (uint32_t)((it->expires_ms - created) / 1000) : 0;
    struct msg *msg = msg_new(&m, created, 0);
    uint8_t *p = mem_alloc(msg_record_size(msg));
    uint32_t n = (uint32_t)(msg_record_put(p, msg) - p);
    msg_unref(msg);
    return bytes_of(p, n);
}

static inline void put(struct store_batch *b, struct bytes key, uint64_t stamp, uint64_t node,
                       struct bytes record)
{
    uint8_t k[RETAINED_META_KEY_MAX], v[RETAINED_META_N];
    struct retained_meta m = {
        .key = key, .stamp = stamp, .node = node, .fades_ms = retained_fades_ms(stamp, record)};
    retained_meta_value(v, &m);
    store_batch_if_newer(b, STORE_RETAINED_META, retained_meta_key(k, key), bytes_of(v, sizeof v));
    if (record.n)
        store_batch_put(b, STORE_RETAINED, key, record);
    else
        store_batch_del(b, STORE_RETAINED, key);
}

static inline void side_commit(struct side *s)
{
    const struct store_batch *b = &s->arriving;
    assert_int_equal(store_commit(s->store, &b, 1), OK);
    store_batch_reset(&s->arriving);
    s->is_marked = false;
}

static inline void side_put(struct side *s, const struct item *it, uint64_t node)
{
    uint8_t buf[RETAINED_KEY_MAX];
    struct bytes record = record_of(it);
    put(&s->arriving, retained_key(buf, bytes_str(it->topic)), it->stamp, node, record);
    free((void *)(uintptr_t)record.p);
    side_commit(s);
}

/* The message of the topic is gone, its stamp stays: as after a sweep. */
static inline void side_sweep(struct side *s, const char *topic)
{
    store_batch_del(&s->arriving, STORE_RETAINED, bytes_str(topic));
    side_commit(s);
}

/* ---- the pair ------------------------------------------------------------------------------------- */

static inline struct side *other(struct side *s)
{
    return s == &s->pair->a ? &s->pair->b : &s->pair->a;
}

static inline void on_send(void *ctx, uint32_t peer, enum rpc_op op, struct bytes body)
{
    struct side *s = ctx;
    uint64_t lists = 0;
    assert_int_equal(peer, other(s)->number);
    assert_true(s->out_n < FRAMES_MAX);
    s->out[s->out_n++] = (struct sent){op, bytes_of(mem_dup(body.p, body.n), body.n)};
    s->sent[op]++;
    for (unsigned i = s->out_done; i < s->out_n; i++)
        lists += s->out[i].op == RPC_RETAINED_BUCKET ? s->out[i].body.n : 0;
    if (lists > s->in_flight_max)
        s->in_flight_max = lists;
}

static inline bool on_has_room(void *ctx, uint32_t peer)
{
    struct side *s = ctx;
    (void)peer;
    return pair_random(s->pair, 100) >= s->pair->no_room_percent;
}

static inline void on_mark(void *ctx, uint32_t peer)
{
    struct side *s = ctx;
    assert_int_equal(peer, other(s)->number);
    s->is_marked = s->arriving.ops > 0;
}

static inline bool on_is_settled(void *ctx, uint32_t peer)
{
    (void)peer;
    const struct side *s = ctx;
    return s->pair->is_settled && !s->is_marked;
}

static inline bool on_is_busy(void *ctx)
{
    struct side *s = ctx;
    return pair_random(s->pair, 100) < s->pair->busy_percent;
}

static inline void on_apply(void *ctx, uint32_t peer, const struct rpc_retained_item *item)
{
    struct side *s = ctx;
    struct bytes record = item->record;
    uint64_t expires_ms;
    (void)peer;
    other(s)->sent_items++;
    uint64_t fades_ms = retained_fades_ms(item->stamp, record);
    if (retained_has_faded(fades_ms, s->pair->wall_ms))
        return;
    if (record.n && msg_record_expiry(record, &expires_ms) && expires_ms <= s->pair->wall_ms)
        record.n = 0;
    put(&s->arriving, item->key, item->stamp, item->node, record);
}

static inline void side_init(struct pair *p, struct side *s, uint32_t number)
{
    struct retained_sync_conf c = p->conf;
    s->pair = p;
    s->number = number;
    s->tag = number + 1;
    s->store = store_new_mem();
    store_batch_init(&s->arriving);
    c.store = s->store;
    c.ctx = s;
    assert_int_equal(retained_sync_new(&s->sync, &c), OK);
}

static inline void frames_drop(struct side *s)
{
    for (unsigned i = s->out_done; i < s->out_n; i++)
        free((void *)(uintptr_t)s->out[i].body.p);
    s->out_n = s->out_done = 0;
}

static inline void side_fini(struct side *s)
{
    frames_drop(s);
    retained_sync_free(s->sync);
    store_batch_fini(&s->arriving);
    store_close(s->store);
}

static inline struct pair *pair_new(uint64_t seed, uint32_t step_items, uint32_t page_bytes)
{
    struct pair *p = mem_zalloc(sizeof *p);
    assert_true(sodium_init() >= 0);
    p->random = seed;
    p->mono_ms = 1000;
    p->wall_ms = WALL;
    p->is_settled = true;
    p->arena = rpc_arena_new();
    retained_sync_conf_default(&p->conf);
    p->conf.step_items = step_items;
    p->conf.page_bytes = page_bytes;
    p->conf.send = on_send;
    p->conf.has_room = on_has_room;
    p->conf.mark = on_mark;
    p->conf.is_settled = on_is_settled;
    p->conf.is_busy = on_is_busy;
    p->conf.apply = on_apply;
    side_init(p, &p->a, 3);
    side_init(p, &p->b, 8);
    return p;
}

static inline void pair_free(struct pair *p)
{
    side_fini(&p->a);
    side_fini(&p->b);
    rpc_arena_free(p->arena);
    free(p);
}

/* The link is new, what was on it is lost. */
static inline void pair_reset(struct pair *p)
{
    frames_drop(&p->a);
    frames_drop(&p->b);
    retained_sync_on_reset(p->a.sync, p->b.number, RETAINED_SYNC_LEADS);
    retained_sync_on_reset(p->b.sync, p->a.number, RETAINED_SYNC_FOLLOWS);
}

static inline bool side_feed(struct side *s, enum rpc_op op, struct bytes body)
{
    rpc_arena_reset(s->pair->arena);
    return retained_sync_on_frame(s->sync, other(s)->number, op, body, s->pair->arena);
}

static inline void frames_carry(struct side *from, unsigned n)
{
    while (n-- && from->out_done < from->out_n) {
        struct sent f = from->out[from->out_done++];
        assert_true(side_feed(other(from), f.op, f.body));
        free((void *)(uintptr_t)f.body.p);
    }
    if (from->out_done == from->out_n)
        from->out_n = from->out_done = 0;
}

static inline void pair_step(struct pair *p)
{
    p->mono_ms += 5;
    p->wall_ms += 5;
    retained_sync_step(p->a.sync, p->mono_ms, p->wall_ms);
    retained_sync_step(p->b.sync, p->mono_ms, p->wall_ms);
    frames_carry(&p->a, (unsigned)pair_random(p, 8));
    frames_carry(&p->b, (unsigned)pair_random(p, 8));
    if (pair_random(p, 3) == 0)
        side_commit(&p->a);
    if (pair_random(p, 3) == 0)
        side_commit(&p->b);
}

static inline bool pair_is_quiet(const struct pair *p)
{
    return retained_sync_is_idle(p->a.sync) && retained_sync_is_idle(p->b.sync) && !p->a.out_n && !p->b.out_n;
}

static inline unsigned pair_run(struct pair *p)
{
    unsigned steps = 0;
    while (!pair_is_quiet(p) && steps++ < 2000000)
        pair_step(p);
    assert_true(pair_is_quiet(p));
    side_commit(&p->a);
    side_commit(&p->b);
    return steps;
}

/* The same stamps, as far as they count, and the same messages, as far as they live. */
static inline bool table_is_same(struct pair *p, enum store_table t,
                                 bool (*counts)(const struct pair *p, struct bytes key, struct bytes value))
{
    struct store_reader *r[2];
    struct bytes key[2], value[2];
    enum err e[2];
    bool is_same = true;
    struct store *stores[2] = {p->a.store, p->b.store};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_reader_new(&r[i], stores[i]), OK);
        assert_int_equal(store_read_begin(r[i]), OK);
        e[i] = store_seek(r[i], t, bytes_of(NULL, 0), &key[i], &value[i]);
    }
    for (;;) {
        for (int i = 0; i < 2; i++) {
            while (e[i] == OK && !counts(p, key[i], value[i]))
                e[i] = store_next(r[i], &key[i], &value[i]);
        }
        is_same = e[0] == e[1] && (e[0] != OK || (bytes_eq(key[0], key[1]) && bytes_eq(value[0], value[1])));
        if (!is_same || e[0] != OK)
            break;
        for (int i = 0; i < 2; i++)
            e[i] = store_next(r[i], &key[i], &value[i]);
    }
    store_reader_free(r[0]);
    store_reader_free(r[1]);
    return is_same;
}

static inline bool stamp_is_alive(const struct pair *p, struct bytes key, struct bytes value)
{
    struct retained_meta m;
    assert_true(retained_meta_read(&m, key, value));
    return !retained_has_faded(m.fades_ms, p->wall_ms);
}

static inline bool message_is_alive(const struct pair *p, struct bytes key, struct bytes value)
{
    uint64_t expires_ms;
    (void)key;
    return !msg_record_expiry(value, &expires_ms) || expires_ms > p->wall_ms;
}

static inline void pair_check(struct pair *p)
{
    assert_true(table_is_same(p, STORE_RETAINED_META, stamp_is_alive));
    assert_true(table_is_same(p, STORE_RETAINED, message_is_alive));
}

static inline bool side_has(struct side *s, const char *topic, const char *payload)
{
    uint8_t buf[RETAINED_KEY_MAX];
    struct store_reader *r;
    struct bytes record;
    struct message_in m;
    uint64_t origin;
    assert_int_equal(store_reader_new(&r, s->store), OK);
    assert_int_equal(store_read_begin(r), OK);
    enum err e = store_get(r, STORE_RETAINED, retained_key(buf, bytes_str(topic)), &record);
    bool has = payload ? e == OK && msg_record_view(record, s->pair->wall_ms, &m, &origin) &&
                             bytes_eq(m.payload, bytes_str(payload))
                       : e == ERR_NOTFOUND;
    store_reader_free(r);
    return has;
}

#endif
