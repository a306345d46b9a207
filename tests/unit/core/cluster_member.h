/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_CORE_CLUSTER_MEMBER_H
#define COVEY_TEST_CORE_CLUSTER_MEMBER_H

/* A broker as a node of a cluster without a cluster thread: tests carry its retained messages to others. */

#include "tests/unit/core/broker.h"

#include "node/core/hlc.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"

enum { CHANGES_MAX = 4000 };

/* ---- a node of a cluster, and what it tells the others -------------------------------------------- */

struct told {
    struct retained_change *v[CHANGES_MAX];
    unsigned n;
};

static inline void reboot(struct broker *b)
{
    broker_power_cycle(b, store_mem_clone(b->store));
}

static inline void join(struct broker *b, uint8_t number)
{
    b->conf.is_clustered = true;
    b->conf.id.b[0] = number;
    reboot(b);
}

static inline struct broker *member_new(uint8_t number)
{
    struct broker *b = broker_new();
    join(b, number);
    return b;
}

static inline void told_take(struct broker *b, struct told *t)
{
    struct mailbag *bag = shard_outbox_take(b->sh, MAIL_TO_CLUSTER);
    for (uint32_t i = 0; bag && i < bag->n; i++) {
        if (bag->items[i].kind != MAIL_RETAINED)
            continue;
        assert_true(t->n < CHANGES_MAX);
        t->v[t->n++] = bag->items[i].arg;
    }
    free(bag);
}

static inline void told_free(struct told *t)
{
    while (t->n)
        free(t->v[--t->n]);
}

static inline void apply(struct broker *b, struct retained_change *c)
{
    struct bytes key = retained_change_key(c), record = bytes_of(retained_change_record(c), c->record_n);
    assert_true(retained_is_sound(key, c->stamp, record));
    struct mail m = retained_mail(b->node, key, c->stamp, c->node, record);
    struct mailbag *bag = NULL;
    mailbag_push(&bag, MAIL_TO_CLUSTER, &m);
    shard_on_mail(b->sh, bag);
}

/* What one publishes to a topic, "" deletes. */
static inline void publish(struct broker *b, const char *topic, const char *payload)
{
    struct publication p = {
        .m = {.topic = bytes_str(topic), .payload = bytes_str(payload), .retain = true, .qos = 0}};
    assert_true(retained_publish(b->sh, &p));
    publication_fini(b->sh, &p);
}

static inline void publish_expiring(struct broker *b, const char *topic, const char *payload,
                                    uint32_t expiry_s)
{
    struct publication p = {.m = {.topic = bytes_str(topic),
                                  .payload = bytes_str(payload),
                                  .retain = true,
                                  .has_expiry = true,
                                  .expiry_s = expiry_s}};
    assert_true(retained_publish(b->sh, &p));
    publication_fini(b->sh, &p);
}

/* ---- what is stored ------------------------------------------------------------------------------- */

static inline bool holds(struct broker *b, const char *topic, const char *payload)
{
    uint8_t buf[RETAINED_KEY_MAX];
    struct bytes record;
    struct message_in m;
    uint64_t origin;
    assert_int_equal(store_read_begin(b->sh->reader), OK);
    enum err e = store_get(b->sh->reader, STORE_RETAINED, retained_key(buf, bytes_str(topic)), &record);
    bool has = payload ? e == OK && msg_record_view(record, b->wall_ms, &m, &origin) &&
                             bytes_eq(m.payload, bytes_str(payload))
                       : e == ERR_NOTFOUND;
    store_read_end(b->sh->reader);
    return has;
}

static inline bool stamp_of(struct broker *b, const char *topic, struct retained_meta *m)
{
    uint8_t buf[RETAINED_KEY_MAX], meta[RETAINED_META_KEY_MAX];
    struct bytes key = retained_meta_key(meta, retained_key(buf, bytes_str(topic))), value;
    assert_int_equal(store_read_begin(b->sh->reader), OK);
    enum err e = store_get(b->sh->reader, STORE_RETAINED_META, key, &value);
    bool has = e == OK && retained_meta_read(m, key, value);
    m->key = bytes_of(NULL, 0);
    store_read_end(b->sh->reader);
    return has;
}

#endif
