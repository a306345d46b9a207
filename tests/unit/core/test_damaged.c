/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the store that say nonsense when a node starts: what they held is lost and counted, everything
 * else is served, and what comes later is delivered. */
#include "tests/unit/core/broker.h"

#include "node/core/session.h"
#include "node/core/shard_i.h"

#include <stdio.h>

enum { MESSAGES = 6 };

static const char *payload_of(char buf[8], uint32_t i)
{
    snprintf(buf, 8, "m%u", i);
    return buf;
}

/* A session that is away, with messages that are stored one by one. Answers its number. */
static uint64_t filled(struct broker *b)
{
    struct client keeper_, sender_;
    char text[8];
    open_subscribed(b, &keeper_, &keeper5);
    uint64_t number = session_find(b->sh, bytes_str("keeper"))->number;
    client_lose(&keeper_);
    open_sender(b, &sender_, &sender5);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        client_publish(&sender_, QOS1, (uint16_t)(i + 1), "t/x", payload_of(text, i));
        broker_commit(b);
        expect_ack(&sender_, PUBACK, (uint16_t)(i + 1), 0);
    }
    client_disconnect(&sender_);
    assert_int_equal(store_count(b->store, STORE_QUEUE), MESSAGES);
    return number;
}

/* The record now holds this; then the node starts anew. */
static void damage(struct broker *b, enum store_table t, struct bytes key, struct bytes value)
{
    struct store_batch batch;
    const struct store_batch *p = &batch;
    store_batch_init(&batch);
    store_batch_put(&batch, t, key, value);
    assert_int_equal(store_commit(b->store, &p, 1), OK);
    store_batch_fini(&batch);
    broker_power_cycle(b, store_mem_clone(b->store));
}

/* The messages but one (MESSAGES: all) come in order, and then a new one. */
static void expect_served(struct broker *b, uint32_t lost)
{
    struct client keeper_, sender_;
    char text[8];
    client_open(b, &keeper_, &keeper5);
    broker_commit(b);
    expect_connack(&keeper_, SESSION_PRESENT);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        if (i == lost)
            continue;
        uint16_t id = expect_publish(&keeper_, QOS1, "t/x", payload_of(text, i));
        client_ack(&keeper_, PUBACK << 4, id);
    }
    expect_nothing(&keeper_);
    open_sender(b, &sender_, &sender5);
    client_publish(&sender_, QOS1, 1, "t/x", "new");
    broker_commit(b);
    expect_ack(&sender_, PUBACK, 1, 0);
    uint16_t id = expect_publish(&keeper_, QOS1, "t/x", "new");
    client_ack(&keeper_, PUBACK << 4, id);
    broker_commit(b);
    assert_int_equal(session_find(b->sh, bytes_str("keeper"))->q->queued, 0);
    assert_int_equal(store_count(b->store, STORE_QUEUE), 0);
    client_disconnect(&sender_);
    client_lose(&keeper_);
}

static void without_damage_all_is_served(void **state)
{
    struct broker *b = broker_new();
    (void)state;
    filled(b);
    broker_power_cycle(b, store_mem_clone(b->store));
    expect_served(b, MESSAGES);
    assert_int_equal(broker_count(b, C_DROPPED_DAMAGED), 0);
    broker_free(b);
}

static void a_damaged_chunk_loses_its_own_messages(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct broker *b = broker_new();
        uint8_t key[16];
        be64_put(be64_put(key, filled(b)), i + 1);
        damage(b, STORE_QUEUE, bytes_of(key, sizeof key), bytes_str("nonsense"));
        expect_served(b, i);
        assert_int_equal(broker_count(b, C_DROPPED_DAMAGED), 1);
        broker_free(b);
    }
}

static void a_damaged_state_loses_no_message(void **state)
{
    struct broker *b = broker_new();
    uint8_t key[8];
    (void)state;
    be64_put(key, filled(b));
    damage(b, STORE_STATE, bytes_of(key, sizeof key), bytes_str("nonsense"));
    expect_served(b, MESSAGES);
    broker_power_cycle(b, store_mem_clone(b->store));
    broker_free(b);
}

/* The number of a session whose record is damaged is not given to a new one, which would get its
 * subscriptions. */
static void a_damaged_session_leaves_its_number_alone(void **state)
{
    struct broker *b = broker_new();
    struct client c;
    uint8_t key[8];
    (void)state;
    uint64_t number = filled(b);
    be64_put(key, number);
    damage(b, STORE_SESSIONS, bytes_of(key, sizeof key), bytes_str("nonsense"));
    client_open(b, &c, &keeper5);
    broker_commit(b);
    expect_connack(&c, SESSION_NEW);
    assert_true(session_find(b->sh, bytes_str("keeper"))->number > number);
    client_lose(&c);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_damage_all_is_served),
        cmocka_unit_test(a_damaged_chunk_loses_its_own_messages),
        cmocka_unit_test(a_damaged_state_loses_no_message),
        cmocka_unit_test(a_damaged_session_leaves_its_number_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
