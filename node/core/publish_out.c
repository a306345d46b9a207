/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/publish_out.h"

#include "node/core/conn_i.h"
#include "node/core/mount.h"
#include "node/core/note.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum {
    ALIAS_SLOTS_MAX = 32,
    ALIAS_TOPIC_MIN = 8,    /* shorter topics gain nothing */
    OUT_BUDGET = 256 << 20, /* of one shard; beyond it a blocked reader may keep only OUT_FLOOR */
    OUT_FLOOR = 64 << 10,
    OUT_UNBLOCKED_FACTOR = 16, /* a turn's worth before the socket has even been asked */
};

bool conn_has_room(const struct conn *c)
{
    uint64_t n = outbuf_bytes(&c->out);
    uint64_t max = c->settings->outbuf_bytes_max;
    if (likely(n < OUT_FLOOR))
        return true;
    if (!c->write_blocked)
        return n < max * OUT_UNBLOCKED_FACTOR;
    return c->shard->outpool.bytes > OUT_BUDGET ? false : n < max;
}

/* ---- topic aliases towards the client ------------------------------------------------------------- */

/* Direct-mapped: a topic has one place, the newest wins it, and the place's number is the alias. */
struct alias_out {
    uint32_t n;
    struct {
        uint64_t hash;
        uint32_t topic_n;
        char *topic;
    } v[];
};

void alias_out_free(struct alias_out *a)
{
    for (uint32_t i = 0; a && i < a->n; i++)
        free(a->v[i].topic);
    free(a);
}

/* Sets o->alias, and empties o->topic when the client knows it already. */
static void alias_use(struct shard *sh, struct conn *c, struct publish_out *o)
{
    if (o->topic.n < ALIAS_TOPIC_MIN)
        return;
    if (!c->alias_out) {
        uint32_t n = c->alias_out_max < ALIAS_SLOTS_MAX ? c->alias_out_max : ALIAS_SLOTS_MAX;
        c->alias_out = mem_zalloc(sizeof *c->alias_out + n * sizeof c->alias_out->v[0]);
        c->alias_out->n = n;
    }
    struct alias_out *a = c->alias_out;
    uint64_t h = routes_hash(sh->node->routes, o->topic);
    uint32_t at = (uint32_t)(h % a->n);
    o->alias = (uint16_t)(at + 1); /* [MQTT-3.3.2-8, MQTT-3.3.2-11] */
    if (a->v[at].hash == h && a->v[at].topic_n == o->topic.n &&
        memcmp(a->v[at].topic, o->topic.p, o->topic.n) == 0) {
        o->topic.n = 0;
        return;
    }
    free(a->v[at].topic);
    a->v[at].hash = h;
    a->v[at].topic_n = o->topic.n;
    a->v[at].topic = mem_dup(o->topic.p, o->topic.n);
}

/* ---- forms ---------------------------------------------------------------------------------------- */

static struct publish_out out_of(const struct publication *p)
{
    struct publish_out o = {.topic = p->m.topic, .props = p->m.props, .payload = p->m.payload};
    o.has_expiry = p->m.has_expiry;
    o.expiry_s = p->m.expiry_s;
    return o;
}

/* The bytes of a form; encodes it when it is the first time. */
static const uint8_t *form_get(struct shard *sh, struct publication *p, unsigned form, uint32_t *n)
{
    if (p->raw.n && p->raw_form == form) {
        *n = p->raw.n;
        return p->raw.p;
    }
    struct encoder *e = &sh->encoder;
    if (!p->form_n[form]) {
        struct publish_out o = out_of(p);
        enum mqtt_version v = form & FORM_V5 ? MQTT_V5 : MQTT_V311;
        o.qos = form & FORM_QOS ? 1 : 0;
        o.packet_id = o.qos; /* each receiver's is put over it */
        uint32_t size = publish_size(v, &o);
        if (!size)
            return NULL;
        if (e->cap[form] < size) {
            free(e->buf[form]);
            e->cap[form] = size * 2;
            e->buf[form] = mem_alloc(e->cap[form]);
        }
        bytes_put(encode_publish_head(e->buf[form], v, &o), o.payload);
        p->form_n[form] = size;
    }
    *n = p->form_n[form];
    return e->buf[form];
}

static inline void count_out(struct shard *sh, struct conn *c, const struct publication *p, uint32_t n,
                             const struct publish_how *how)
{
    unsigned qos = how->qos;
    if (unlikely(sh->tracer.on))
        trace_publish_sent(c, p, qos, how->packet_id);
    if (unlikely(sh->topic_metrics.all.n))
        topic_metrics_out(sh, p->m.topic, qos);
    c->send_packets++;
    c->send_bytes += n;
    sh->counters.v[C_BYTES_SENT] += n;
    COUNT(sh, PACKETS_SENT);
    COUNT(sh, PUBLISH_SENT);
    COUNT(sh, MESSAGES_SENT);
    sh->counters.v[C_MESSAGES_QOS0_SENT + qos]++;
    if (list_is_empty(&c->dirty_link))
        list_push(&sh->dirty, &c->dirty_link);
}

static void __attribute__((cold, noinline))
drop_too_large(struct shard *sh, struct conn *c, const struct publication *p)
{
    COUNT(sh, DROPPED_TOO_LARGE);
    note_conn(c, JOURNAL_TOO_LARGE, p->m.topic, 0, NULL);
}

static inline bool is_too_large(const struct conn *c, uint32_t n)
{
    return !n || (c->packet_size_max && n > c->packet_size_max);
}

/* For this receiver alone. */
static bool publish_own(struct shard *sh, struct conn *c, struct publication *p,
                        const struct publish_how *how)
{
    struct publish_out o = out_of(p);
    o.qos = how->qos;
    o.packet_id = how->packet_id;
    o.dup = how->dup;
    o.retain = how->retain;
    o.subscription_ids = how->ids;
    o.subscription_ids_n = how->ids_n;
    if (unlikely(c->is_mounted)) {
        o.topic = mount_off(c->session->mount, o.topic);
        o.props = mount_props_off(sh, c->session->mount, o.props);
    }
    uint32_t size = publish_size(c->version, &o);
    if (unlikely(is_too_large(c, size))) {
        drop_too_large(sh, c, p);
        return false;
    }
    /* The alias costs three bytes before it saves any. */
    if (c->version == MQTT_V5 && c->alias_out_max &&
        (!c->packet_size_max || size + 3 <= c->packet_size_max)) {
        alias_use(sh, c, &o);
        size = publish_size(c->version, &o);
    }
    struct msg *m = o.payload.n >= OUTBUF_REF_MIN ? publication_msg(sh, p) : NULL;
    uint8_t *b = outbuf_reserve(&c->out, &sh->outpool, m ? size - o.payload.n : size);
    b = encode_publish_head(b, c->version, &o);
    outbuf_commit(&c->out, m ? b : bytes_put(b, o.payload));
    if (m)
        outbuf_push_payload(&c->out, m);
    count_out(sh, c, p, size, how);
    return true;
}

bool conn_publish(struct shard *sh, struct conn *c, struct publication *p, const struct publish_how *how)
{
    unsigned v5 = c->version == MQTT_V5 ? FORM_V5 : 0;
    if (p->m.payload.n >= OUTBUF_REF_MIN || c->own_form || (v5 && how->ids_n))
        return publish_own(sh, c, p, how);
    uint32_t n;
    const uint8_t *form = form_get(sh, p, v5 | (how->qos ? FORM_QOS : 0), &n);
    if (unlikely(!form || is_too_large(c, n))) {
        drop_too_large(sh, c, p);
        return false;
    }
    uint8_t *b = outbuf_reserve(&c->out, &sh->outpool, n);
    memcpy(b, form, n);
    b[0] = (uint8_t)(PACKET_PUBLISH << 4 | how->dup << 3 | how->qos << 1 | how->retain);
    if (how->qos) {
        struct frame f;
        CHECK(frame_peek(b, n, &f) == FRAME_OK);
        be16_put(b + f.header_n + 2 + p->m.topic.n, how->packet_id);
    }
    outbuf_commit(&c->out, b + n);
    count_out(sh, c, p, n, how);
    return true;
}

void conn_pubrel(struct conn *c, uint16_t packet_id, enum reason code)
{
    struct shard *sh = c->shard;
    uint8_t *b = outbuf_reserve(&c->out, &sh->outpool, ENCODE_SMALL_MAX);
    uint8_t *end =
        encode_ack(b, c->version, PACKET_PUBREL, packet_id, code,
                   code && c->problem_info ? "No message is in flight under this Packet Identifier" : NULL,
                   c->packet_size_max);
    outbuf_commit(&c->out, end);
    conn_sent(c, (uint32_t)(end - b));
}
