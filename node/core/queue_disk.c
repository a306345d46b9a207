/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/queue_disk.h"

#include "node/core/deliver.h"
#include "node/core/note.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

enum {
    CHUNK_VERSION = 1,
    STATE_VERSION = 1,
    CHUNK_BYTES_MAX = 64 << 10,
    ENTRY_FIXED = 8 + 1 + 2,
    UID_N = 8,
    HAS_UID = 1 << 4,
    RESERVE_AHEAD = 4096, /* sequence numbers made durable at once */
    PROBES = 8192,        /* behind a damaged page every number is tried, then more and more are left out */
    KEY_N = 16,
};

static struct bytes queue_key(uint8_t buf[KEY_N], const struct session *s, uint64_t seq)
{
    be64_put(be64_put(buf, s->number), seq);
    return bytes_of(buf, KEY_N);
}

/* ---- chunks that are known ------------------------------------------------------------------------ */

static void chunk_add(struct sendq *q, uint64_t first, uint64_t last)
{
    if (q->chunks_n == q->chunks_cap) {
        q->chunks_cap = q->chunks_cap ? q->chunks_cap * 2 : 4;
        q->chunks = mem_realloc(q->chunks, sizeof *q->chunks * q->chunks_cap);
    }
    uint32_t at = q->chunks_n;
    while (at > 0 && q->chunks[at - 1].first > first)
        at--;
    if (at > 0 && q->chunks[at - 1].first == first)
        return;
    memmove(q->chunks + at + 1, q->chunks + at, sizeof *q->chunks * (q->chunks_n - at));
    q->chunks[at] = (struct chunk){first, last};
    q->chunks_n++;
}

/* Where reading back has to start in order to find seq. */
static uint64_t chunk_first_of(const struct sendq *q, uint64_t seq)
{
    for (uint32_t i = q->chunks_n; i > 0 && q->chunks[i - 1].last >= seq; i--) {
        if (q->chunks[i - 1].first <= seq)
            return q->chunks[i - 1].first;
    }
    return seq;
}

static void chunks_drop(struct session *s, struct store_batch *b)
{
    struct sendq *q = s->q;
    uint32_t n = 0;
    uint8_t key[KEY_N];
    for (; n < q->chunks_n && q->chunks[n].last < sendq_low(q); n++)
        store_batch_del(b, STORE_QUEUE, queue_key(key, s, q->chunks[n].first));
    if (n) {
        q->chunks_n -= n;
        memmove(q->chunks, q->chunks + n, sizeof *q->chunks * q->chunks_n);
    }
}

/* ---- sealing -------------------------------------------------------------------------------------- */

static bool is_to_store(const struct slot *slot)
{
    return slot->msg && slot->qos && slot->state != SLOT_DONE && slot->state != SLOT_RELEASED;
}

static size_t entry_size(const struct slot *slot)
{
    size_t uid_n = slot->msg->uid ? UID_N : 0;
    return ENTRY_FIXED + uid_n + 4u * slot->ids_n + msg_record_size(slot->msg);
}

static uint8_t *entry_put(uint8_t *p, uint64_t seq, const struct slot *slot)
{
    p = be64_put(p, seq);
    *p++ = (uint8_t)(slot->qos | slot->retain << 2 | slot->hold << 3 | (slot->msg->uid ? HAS_UID : 0));
    if (slot->msg->uid)
        p = be64_put(p, slot->msg->uid);
    p = be16_put(p, slot->ids_n);
    for (uint32_t i = 0; i < slot->ids_n; i++)
        p = be32_put(p, slot_ids(slot)[i]);
    return msg_record_put(p, slot->msg);
}

/* One chunk from `seq` on; answers where the next begins. */
static uint64_t chunk_seal(struct session *s, struct store_batch *b, uint64_t seq, uint64_t end)
{
    struct sendq *q = s->q;
    uint64_t first = 0, last = 0, stop = seq;
    size_t size = 1;
    for (; stop < end && size < CHUNK_BYTES_MAX; stop++) {
        const struct slot *slot = sendq_find(q, stop);
        if (!slot || !is_to_store(slot))
            continue;
        first = first ? first : stop;
        last = stop;
        size += entry_size(slot);
    }
    if (!first)
        return stop;
    uint8_t key[KEY_N];
    uint8_t *p = store_batch_reserve(b, STORE_QUEUE, queue_key(key, s, first), (uint32_t)size);
    *p++ = CHUNK_VERSION;
    for (uint64_t i = first; i <= last; i++) {
        struct slot *slot = sendq_find(q, i);
        if (!slot || !is_to_store(slot))
            continue;
        p = entry_put(p, i, slot);
        COUNT(s->shard, MESSAGES_STORED);
        if (slot->pending)
            persist_wait_sealed(s->shard, slot->pending);
        slot->pending = NULL;
    }
    chunk_add(q, first, last);
    return stop;
}

/* How many slots from low on have a state worth keeping. Not only what is before q->sent: that goes back to
 * low when the client comes again, while what is behind it may be released or done. */
static uint32_t states_count(const struct sendq *q)
{
    uint64_t end = q->win.end;
    if (end > sendq_low(q) + UINT16_MAX)
        end = sendq_low(q) + UINT16_MAX;
    while (end > sendq_low(q) && ring_at(&q->win, end - 1)->state == SLOT_READY)
        end--;
    return (uint32_t)(end - sendq_low(q));
}

static void state_seal(struct session *s, struct store_batch *b, uint64_t reserved)
{
    struct sendq *q = s->q;
    uint32_t states = q ? states_count(q) : 0;
    uint32_t ids = s->rx2 ? s->rx2->n : 0;
    uint8_t key[8];
    be64_put(key, s->number);
    uint8_t *p = store_batch_reserve(b, STORE_STATE, bytes_of(key, 8), 1 + 4 * 8 + 4 + states + 4 + 2 * ids);
    *p++ = STATE_VERSION;
    p = be64_put(p, q ? sendq_low(q) : 1);
    p = be64_put(p, q ? reserved : 1);
    p = be64_put(p, q ? q->queued : 0);
    p = be64_put(p, q ? q->queued_bytes : 0);
    p = be32_put(p, states);
    for (uint32_t i = 0; i < states; i++)
        *p++ = ring_at(&q->win, sendq_low(q) + i)->state;
    p = be32_put(p, ids);
    for (uint32_t i = 0; ids && i <= s->rx2->mask; i++) {
        if (s->rx2->v[i].id)
            p = be16_put(p, s->rx2->v[i].id);
    }
}

void queue_seal(struct session *s, struct store_batch *b, struct sealed *out)
{
    struct sendq *q = s->q;
    uint32_t ops = b->ops;
    *out = (struct sealed){.session = s};
    if (q) {
        uint64_t at = q->sealed > sendq_low(q) ? q->sealed : sendq_low(q);
        out->from = at;
        /* Chunks do not span the gap between window and tail. */
        while (at < q->next)
            at = chunk_seal(s, b, at, at < q->win.end ? q->win.end : q->next);
        q->sealed = out->to = q->next;
        chunks_drop(s, b);
        out->reserved = q->next + RESERVE_AHEAD;
    }
    if (s->state_dirty || b->ops > ops)
        state_seal(s, b, out->reserved);
    else
        out->reserved = 0;
    s->state_dirty = 0;
}

void queue_on_stored(struct session *s, const struct sealed *sealed)
{
    struct sendq *q = s->q;
    if (!q)
        return;
    if (sealed->to > q->committed)
        q->committed = sealed->to;
    if (sealed->reserved > q->reserved)
        q->reserved = sealed->reserved;
    /* What is stored and not near its turn need not stay in memory. */
    if (!sendq_has_disk_part(q))
        q->load_at = chunk_first_of(q, q->win.end);
    while (q->tail.first < q->tail.end && q->tail.first < sealed->to) {
        struct slot *slot = ring_at(&q->tail, q->tail.first++);
        if (!slot->qos) {
            COUNT(s->shard, DROPPED_OFFLINE_QOS0);
            if (slot->msg)
                note_session(s, JOURNAL_OFFLINE_QOS0, msg_topic(slot->msg), 0, NULL);
        }
        slot_clear(slot);
    }
    if (s->conn)
        session_pump(s);
}

void queue_on_store_failed(struct session *s, const struct sealed *sealed)
{
    struct sendq *q = s->q;
    s->state_dirty = 1;
    for (uint64_t i = sealed->from; q && i < sealed->to; i++) {
        struct slot *slot = sendq_find(q, i);
        if (!slot || !slot->qos)
            continue;
        if (slot->handoff &&
            is_to_store(slot)) { /* it is still stored elsewhere: again with the next batch */
            q->sealed = i < q->sealed ? i : q->sealed;
            continue;
        }
        if (slot->state != SLOT_READY)
            continue;
        COUNT(s->shard, DROPPED_STORE);
        if (slot->msg)
            note_session(s, JOURNAL_STORE_FAILED, msg_topic(slot->msg), 0, NULL);
        size_t bytes = slot->msg ? msg_size(slot->msg) : 0;
        q->queued -= q->queued > 0;
        q->queued_bytes -= q->queued_bytes > bytes ? bytes : q->queued_bytes;
        slot_clear(slot);
        slot->state = SLOT_DONE;
    }
}

/* ---- reading back --------------------------------------------------------------------------------- */

/* The slot for seq in the window, making those before it that do not exist pass as done; NULL: it is over. */
static struct slot *slot_get(struct sendq *q, uint64_t seq)
{
    if (seq < sendq_low(q))
        return NULL;
    while (q->win.end < seq)
        ring_push(&q->win)->state = SLOT_DONE;
    if (q->win.end == seq)
        return ring_push(&q->win);
    struct slot *slot = ring_at(&q->win, seq);
    return slot->msg || slot->state == SLOT_DONE || slot->state == SLOT_RELEASED ? NULL : slot;
}

static bool entry_take(struct session *s, struct cursor *c, uint64_t *last)
{
    uint64_t seq, uid = 0;
    uint8_t bits;
    uint16_t ids_n;
    struct bytes ids;
    if (!cursor_u64(c, &seq) || !cursor_u8(c, &bits) || ((bits & HAS_UID) && !cursor_u64(c, &uid)) ||
        !cursor_u16(c, &ids_n) || !cursor_bytes(c, 4u * ids_n, &ids))
        return false;
    struct msg *m = msg_record_take(c);
    if (!m)
        return false;
    m->uid = uid;
    *last = seq;
    struct slot *slot = slot_get(s->q, seq);
    if (!slot) {
        msg_unref(m);
        return true;
    }
    slot->msg = m;
    slot->qos = bits & 3;
    slot->retain = bits >> 2 & 1;
    slot->ids_n = ids_n;
    if (ids_n == 1)
        slot->ids.one = be32_get(ids.p);
    if (ids_n > 1) {
        slot->ids.many = mem_alloc(sizeof(uint32_t) * ids_n);
        for (uint32_t i = 0; i < ids_n; i++)
            slot->ids.many[i] = be32_get(ids.p + 4 * i);
    }
    return true;
}

static void log_corrupt(struct session *s)
{
    char id[LOG_ESCAPED_MAX];
    LOG(s->shard->node->conf.log, LOG_ERROR, "store damaged chunk skipped client_id=\"%s\"",
        log_escape(id, session_id(s)));
}

static void chunk_take(struct session *s, uint64_t first, struct bytes value)
{
    struct cursor c = cursor_of(value);
    uint8_t version = 0;
    uint64_t last = first;
    bool good = cursor_u8(&c, &version) && version == CHUNK_VERSION;
    while (good && cursor_left(&c))
        good = entry_take(s, &c, &last);
    if (!good) {
        s->q->is_damaged = true;
        log_corrupt(s);
    }
    chunk_add(s->q, first, last);
    s->q->load_at = last + 1;
}

/* The first chunk from load_at on. Where pages are damaged the store cannot say what comes behind them, only
 * what is at or behind a number that is asked for: so they are asked for one by one, up to the tail. */
static enum err chunk_seek(struct session *s, struct bytes *key, struct bytes *value)
{
    struct store_reader *r = s->shard->reader;
    struct sendq *q = s->q;
    uint8_t buf[KEY_N];
    enum err e = store_seek(r, STORE_QUEUE, queue_key(buf, s, q->load_at), key, value);
    if (e == OK || e == ERR_NOTFOUND || key->n)
        return e;
    q->is_damaged = true;
    log_corrupt(s);
    uint64_t low = sendq_low(q) > RESERVE_AHEAD ? sendq_low(q) - RESERVE_AHEAD : 1;
    uint64_t from = q->load_at < low ? low : q->load_at + 1;
    for (uint64_t seq = from; seq < q->tail.first; seq += 1 + (seq - from) / PROBES) {
        e = store_seek(r, STORE_QUEUE, queue_key(buf, s, seq), key, value);
        if (e == OK || e == ERR_NOTFOUND || key->n)
            return e;
    }
    q->load_at = q->tail.first;
    return ERR_NOTFOUND;
}

static bool is_chunk_of(const struct session *s, struct bytes key)
{
    return key.n == KEY_N && be64_get(key.p) == s->number;
}

/* Reads the next chunk of the disk-only part; false when there is none before the tail. */
static bool chunk_load(struct session *s)
{
    struct shard *sh = s->shard;
    struct bytes key, value;
    bool found = false;
    if (!sh->reader || store_read_begin(sh->reader) != OK)
        return false;
    enum err e = chunk_seek(s, &key, &value);
    if ((e == OK || e == ERR_CORRUPT) && is_chunk_of(s, key) && be64_get(key.p + 8) < s->q->tail.first) {
        found = true;
        chunk_take(s, be64_get(key.p + 8), e == OK ? value : bytes_of(NULL, 0));
    }
    store_read_end(sh->reader);
    return found;
}

static bool is_there(const struct sendq *q, uint64_t seq)
{
    if (!ring_has(&q->win, seq))
        return false;
    const struct slot *slot = ring_at(&q->win, seq);
    return slot->msg || slot->state == SLOT_DONE || slot->state == SLOT_RELEASED;
}

/* Nothing on disk for seq: it was never promised to anybody (or is damaged), so it is over. */
static void give_up(struct session *s, uint64_t seq)
{
    struct sendq *q = s->q;
    if (ring_has(&q->win, seq)) {
        ring_at(&q->win, seq)->state = SLOT_DONE;
        return;
    }
    while (q->win.end < q->tail.first)
        ring_push(&q->win)->state = SLOT_DONE;
}

bool queue_fetch(struct session *s, uint64_t seq)
{
    struct sendq *q = s->q;
    while (!is_there(q, seq)) {
        bool on_disk = ring_has(&q->win, seq) || sendq_has_disk_part(q);
        if (on_disk) {
            if (!chunk_load(s))
                give_up(s, seq);
            continue;
        }
        if (q->tail.first == q->tail.end)
            return false;
        struct slot *from = ring_at(&q->tail, q->tail.first++);
        *ring_push(&q->win) = *from;
    }
    return true;
}

bool queue_load_state(struct session *s, struct bytes record)
{
    struct cursor c = cursor_of(record);
    uint64_t low, reserved, queued, queued_bytes;
    uint32_t states_n, ids_n;
    uint8_t version;
    struct bytes states, ids;
    if (!cursor_u8(&c, &version) || version != STATE_VERSION || !cursor_u64(&c, &low) ||
        !cursor_u64(&c, &reserved) || !cursor_u64(&c, &queued) || !cursor_u64(&c, &queued_bytes) ||
        !cursor_u32(&c, &states_n) || !cursor_bytes(&c, states_n, &states) || !cursor_u32(&c, &ids_n) ||
        ids_n > UINT16_MAX || !cursor_bytes(&c, 2 * ids_n, &ids) || low == 0 || reserved < low + states_n ||
        states_n > UINT16_MAX)
        return false;
    if (ids_n)
        s->rx2 = pidset_new();
    for (uint32_t i = 0; i < ids_n; i++)
        pidset_add(s->rx2, be16_get(ids.p + 2 * i), (uint32_t)(s->shard->now_ms / 1000));
    struct sendq *q = s->q = sendq_new(low);
    for (uint32_t i = 0; i < states_n; i++) {
        uint8_t st = states.p[i];
        struct slot *slot = ring_push(&q->win);
        slot->state = st == SLOT_SENT ? SLOT_RESEND : st <= SLOT_DONE ? st : SLOT_DONE;
        slot->qos = st == SLOT_RELEASED ? 2 : 0;
    }
    q->next = q->tail.first = q->tail.end = q->sealed = q->committed = q->reserved = reserved;
    q->load_at = 0;
    q->queued = (uint32_t)queued;
    q->queued_bytes = queued_bytes;
    return true;
}

void queue_recover(struct session *s, struct store_reader *r)
{
    uint8_t buf[KEY_N];
    struct bytes key, value;
    uint64_t first = 0, last = 0;
    enum err e = store_seek(r, STORE_QUEUE, queue_key(buf, s, 0), &key, &value);
    for (; (e == OK || e == ERR_CORRUPT) && is_chunk_of(s, key); e = store_next(r, &key, &value)) {
        last = be64_get(key.p + 8);
        first = first ? first : last;
    }
    if (!first)
        return;
    struct sendq *q = s->q = sendq_new(first);
    /* Behind all that was reserved, as far as can be told. */
    q->next = q->tail.first = q->tail.end = last + 3 * RESERVE_AHEAD;
    q->sealed = q->committed = q->reserved = q->next;
    q->is_damaged = true;
}

void queue_check_lost(struct session *s)
{
    struct sendq *q = s->q;
    char id[LOG_ESCAPED_MAX];
    q->is_damaged = false;
    if (!q->queued)
        return;
    s->shard->counters.v[C_DROPPED_DAMAGED] += q->queued;
    note_session(s, JOURNAL_STORE_DAMAGED, bytes_of(NULL, 0), q->queued, NULL);
    LOG(s->shard->node->conf.log, LOG_ERROR, "store damaged messages lost=%u client_id=\"%s\"", q->queued,
        log_escape(id, session_id(s)));
    q->queued = 0;
    q->queued_bytes = 0;
}
