/* SPDX-License-Identifier: Apache-2.0 */
/* A server is asked where no rule fits: what waits, in which order it goes on, and what ends meanwhile. */
#include "node/core/gate_ask.h"
#include "node/core/gate.h"
#include "tests/unit/core/broker.h"

enum { QUESTIONS_MAX = 64, IN_MAX = 4096 };

/* The server: questions as they come; answers when the test says so. */
struct server {
    struct ask_ops ops;
    struct gate_question *asked[QUESTIONS_MAX]; /* NULL: answered */
    uint32_t n;
    uint32_t room; /* how many more it takes */
};

static bool on_ask(void *ctx, struct gate_question *q)
{
    struct server *s = ctx;
    assert_true(s->n < QUESTIONS_MAX);
    if (!s->room)
        return false;
    s->room--;
    s->asked[s->n++] = q;
    return true;
}

static void answer(struct broker *b, struct server *s, uint32_t i, enum hook_outcome o)
{
    struct gate_question *q = s->asked[i];
    assert_non_null(q);
    s->asked[i] = NULL;
    q->outcome = o;
    gate_on_answer(b->sh, q);
}

static void expect_question(const struct server *s, uint32_t i, const char *action, const char *topic)
{
    assert_true(i < s->n && s->asked[i]);
    assert_true(bytes_eq(s->asked[i]->values.topic, bytes_str(topic)));
    assert_true(bytes_eq(s->asked[i]->values.action, bytes_str(action)));
}

/* rules NULL: there is no file. */
static struct broker *asking(struct server *s, const char *rules)
{
    struct broker *b = broker_new();
    struct acl_fault fault;
    *s = (struct server){.ops = {.ctx = s, .recalled_max = 100, .recall_ms = 60000, .ask = on_ask},
                         .room = QUESTIONS_MAX};
    b->settings.acl_ttl_ms = 60000;
    b->conf.asks = &s->ops;
    b->conf.acl_slots = 16;
    b->conf.acl = rules ? acl_parse(bytes_str(rules), ACL_DENY, &fault) : NULL;
    assert_true(!rules || b->conf.acl);
    node_free(b->node);
    broker_boot(b);
    return b;
}

static void end(struct broker *b, struct server *s)
{
    struct acl *acl = b->conf.acl;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->asked[i])
            gate_ask_drop(s->asked[i]);
    broker_free(b);
    acl_unref(acl);
}

/* What a client sends and the connection has not taken yet, as the I/O layer keeps it. */
struct input {
    uint8_t p[IN_MAX];
    size_t n;
};

static void feed(struct client *c, struct input *in)
{
    if (c->conn.read_paused || !in->n)
        return;
    uint8_t *copy = malloc(in->n);
    assert_non_null(copy);
    memcpy(copy, in->p, in->n);
    size_t used = conn_feed(&c->conn, copy, in->n);
    memcpy(in->p, copy + used, in->n - used);
    in->n -= used;
    free(copy);
    client_pull(c);
}

static void put_publish(struct input *in, uint8_t flags, uint16_t id, const char *topic, const char *payload)
{
    size_t n = 2 + strlen(topic) + (flags & 6 ? 2 : 0) + 1 + strlen(payload);
    uint8_t *p = in->p + in->n;
    *p++ = 0x30 | flags;
    *p++ = (uint8_t)n;
    p = put_text(p, topic);
    if (flags & 6)
        p = be16_put(p, id);
    *p++ = 0;
    in->n = (size_t)(bytes_put(p, bytes_str(payload)) - in->p);
}

static void put_subscribe(struct input *in, uint16_t id, const char *const *filters, unsigned filters_n)
{
    uint8_t *at = in->p + in->n, *p = at + 2;
    *at = 0x82;
    p = be16_put(p, id);
    *p++ = 0;
    for (unsigned i = 0; i < filters_n; i++) {
        p = put_text(p, filters[i]);
        *p++ = 0;
    }
    assert_true(p - at - 2 < 128);
    at[1] = (uint8_t)(p - at - 2);
    in->n = (size_t)(p - in->p);
}

static void open_client(struct broker *b, struct client *c, const struct connect_how *how)
{
    client_open(b, c, how);
    expect_connack(c, SESSION_NEW);
}

static void expect_codes(struct client *c, uint16_t id, const uint8_t *codes, unsigned n)
{
    struct cursor body = expect_packet(c, 9, NULL);
    uint16_t got_id = 0;
    assert_true(cursor_u16(&body, &got_id));
    assert_int_equal(got_id, id);
    skip_props(c, &body);
    assert_int_equal(cursor_left(&body), n);
    assert_memory_equal(body.p, codes, n);
}

static void packets_wait_in_order(void **state)
{
    struct server s;
    struct client c, other;
    struct input in = {.n = 0};
    struct broker *b = asking(&s, "allow all publish open\nallow all subscribe #\n");
    (void)state;
    open_client(b, &other, &(struct connect_how){.id = "other", .version = V5, .clean = true});
    client_subscribe(&other, 1, "#", 0);
    expect_suback(&other, 1, 0);
    open_client(b, &c, &sender5);
    put_publish(&in, 0, 0, "open", "1");
    put_publish(&in, QOS1, 7, "a", "2");
    put_publish(&in, QOS1, 8, "b", "3");
    put_publish(&in, 0, 0, "a", "4");
    put_publish(&in, QOS2, 9, "open", "5");
    feed(&c, &in);
    assert_true(c.conn.read_paused);
    expect_publish(&other, 0, "open", "1");
    expect_nothing(&other);
    assert_int_equal(s.n, 1);
    expect_question(&s, 0, "publish", "a");
    assert_int_equal(broker_count(b, C_MESSAGES_RECEIVED), 1);
    client_publish(&other, 0, 0, "open", "others do not wait");
    expect_publish(&other, 0, "open", "others do not wait");
    answer(b, &s, 0, HOOK_SAID_ALLOW);
    assert_false(c.conn.read_paused);
    feed(&c, &in);
    expect_publish(&other, 0, "a", "2");
    expect_ack(&c, PUBACK, 7, 0);
    expect_question(&s, 1, "publish", "b");
    answer(b, &s, 1, HOOK_SAID_DENY);
    feed(&c, &in);
    expect_ack(&c, PUBACK, 8, 0x87);
    expect_publish(&other, 0, "a", "4"); /* remembered */
    expect_publish(&other, 0, "open", "5");
    expect_ack(&c, PUBREC, 9, 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(broker_count(b, C_MESSAGES_RECEIVED), 6);
    assert_int_equal(broker_count(b, C_PUBLISH_RECEIVED), 6);
    assert_int_equal(c.conn.recv_packets, 6); /* with CONNECT */
    assert_int_equal(broker_count(b, C_ACL_HTTP_ALLOW), 1);
    assert_int_equal(broker_count(b, C_ACL_HTTP_DENY), 1);
    client_lose(&c);
    client_lose(&other);
    end(b, &s);
}

static void answers_last_as_long_as_they_may(void **state)
{
    struct server s;
    struct client c;
    struct input in = {.n = 0};
    struct broker *b = asking(&s, NULL);
    (void)state;
    open_client(b, &c, &sender5);
    for (unsigned i = 0; i < 3; i++) {
        put_publish(&in, QOS1, 5, "a", "x");
        feed(&c, &in);
        assert_int_equal(s.n, i + 1);
        answer(b, &s, i, i == 1 ? HOOK_SAID_NOTHING : HOOK_SAID_IGNORE); /* the second is not remembered */
        feed(&c, &in);
        expect_ack(&c, PUBACK, 5, 0x87); /* no rule, no word of the server, no_match */
        if (i == 1)
            continue;
        put_publish(&in, QOS1, 6, "a", "x");
        feed(&c, &in);
        expect_ack(&c, PUBACK, 6, 0x87);
        broker_wait(b, 60000);
    }
    client_lose(&c);
    end(b, &s);
}

static void filters_of_one_subscribe(void **state)
{
    enum { N = 11 };
    static const char *const filters[N] = {"a", "open/#", "b",      "no", "a", "$share/g/c",
                                           "d", "e",      "bad/#/", "f",  "g"};
    static const uint8_t codes[N] = {0, 0, 0x87, 0x87, 0, 0, 0, 0, 0x8f, 0, 0x87};
    struct server s;
    struct client c;
    struct input in = {.n = 0};
    struct broker *b = asking(&s, "allow all subscribe open/#\ndeny all subscribe no\n");
    (void)state;
    open_client(b, &c, &sender5);
    put_subscribe(&in, 3, filters, N);
    feed(&c, &in);
    assert_true(c.conn.read_paused);
    assert_int_equal(s.n, 4); /* no more are under way at one time */
    expect_question(&s, 0, "subscribe", "a");
    expect_question(&s, 1, "subscribe", "b");
    expect_question(&s, 3, "subscribe", "c");
    answer(b, &s, 3, HOOK_SAID_ALLOW);
    answer(b, &s, 1, HOOK_SAID_DENY);
    answer(b, &s, 0, HOOK_SAID_ALLOW);
    answer(b, &s, 2, HOOK_SAID_ALLOW);
    assert_int_equal(s.n, 8);
    expect_question(&s, 7, "subscribe", "g");
    s.room = 0;
    for (uint32_t i = 4; i < 7; i++)
        answer(b, &s, i, HOOK_SAID_ALLOW);
    assert_true(c.conn.read_paused);
    answer(b, &s, 7, HOOK_FAILED);
    feed(&c, &in);
    expect_codes(&c, 3, codes, N);
    client_lose(&c);
    end(b, &s);
}

static void nothing_can_be_asked(void **state)
{
    struct server s;
    struct client c;
    struct input in = {.n = 0};
    struct broker *b = asking(&s, NULL);
    (void)state;
    s.room = 0;
    open_client(b, &c, &sender5);
    put_publish(&in, QOS1, 5, "a", "x");
    feed(&c, &in);
    expect_ack(&c, PUBACK, 5, 0x87);
    s.ops.failure_ignores = true;
    b->settings.acl_lets_unmatched = true;
    put_publish(&in, QOS1, 6, "a", "x");
    feed(&c, &in);
    expect_ack(&c, PUBACK, 6, 0x10);
    assert_int_equal(broker_count(b, C_ACL_HTTP_QUEUE_FULL), 2);
    client_lose(&c);
    client_open(b, &c, &(struct connect_how){.id = "w", .version = V5, .clean = true, .will_topic = "a"});
    expect_connack(&c, SESSION_NEW);
    client_lose(&c);
    end(b, &s);
}

/* The connection ends in each way while it waits, and the answer comes afterwards. */
static void who_is_gone(void **state)
{
    struct server s;
    struct client c, next;
    struct input in = {.n = 0};
    struct broker *b = asking(&s, "allow all subscribe #\n");
    (void)state;
    open_client(b, &c, &sender5);
    put_publish(&in, 0, 0, "a", "x");
    feed(&c, &in);
    client_lose(&c);
    assert_int_equal(s.asked[0]->is_gone, 1);
    answer(b, &s, 0, HOOK_SAID_ALLOW);
    in.n = 0;
    open_client(b, &c, &sender5);
    put_publish(&in, QOS1, 4, "a", "x");
    feed(&c, &in);
    client_open(b, &next, &sender5); /* takes the session */
    expect_connack(&next, SESSION_NEW);
    expect_disconnect(&c, 0x8e);
    assert_int_equal(s.asked[1]->is_gone, 1);
    client_lose(&c);
    in.n = 0;
    put_publish(&in, QOS1, 5, "a", "x"); /* asks for itself */
    feed(&next, &in);
    answer(b, &s, 1, HOOK_SAID_ALLOW);
    assert_true(next.conn.read_paused);
    expect_question(&s, 2, "publish", "a");
    answer(b, &s, 2, HOOK_SAID_DENY);
    feed(&next, &in);
    expect_ack(&next, PUBACK, 5, 0x87);
    put_publish(&in, 0, 0, "b", "x"); /* the node ends while it waits */
    feed(&next, &in);
    client_lose(&next);
    end(b, &s);
}

static void rules_that_change_meanwhile(void **state)
{
    struct server s;
    struct client c;
    struct input in = {.n = 0};
    struct acl_fault fault;
    struct broker *b = asking(&s, NULL);
    (void)state;
    open_client(b, &c, &sender5);
    put_publish(&in, QOS1, 4, "a", "x");
    feed(&c, &in);
    struct acl *acl = acl_parse(bytes_str("deny all publish a\n"), ACL_DENY, &fault);
    gate_set(b->sh, acl);
    acl_unref(acl);
    answer(b, &s, 0, HOOK_SAID_ALLOW);
    feed(&c, &in);
    expect_ack(&c, PUBACK, 4, 0x87);
    gate_set(b->sh, NULL); /* the server still decides */
    put_publish(&in, QOS1, 5, "a", "x");
    feed(&c, &in);
    expect_ack(&c, PUBACK, 5, 0x10); /* what it said is remembered */
    gate_forget(b->sh);
    put_publish(&in, QOS1, 6, "a", "x");
    feed(&c, &in);
    assert_int_equal(s.n, 2);
    gate_forget(b->sh); /* what is under way still counts */
    answer(b, &s, 1, HOOK_SAID_ALLOW);
    feed(&c, &in);
    expect_ack(&c, PUBACK, 6, 0x10);
    client_lose(&c);
    end(b, &s);
}

static void wills(void **state)
{
    struct server s;
    struct client c, watcher;
    struct connect_how how = {.id = "w", .version = V5, .clean = true, .will_topic = "a"};
    struct broker *b = asking(&s, "allow all subscribe #\n");
    (void)state;
    open_client(b, &watcher, &sender5);
    client_subscribe(&watcher, 1, "#", 0);
    expect_suback(&watcher, 1, 0);
    client_open(b, &c, &how);
    assert_true(c.conn.read_paused);
    expect_nothing(&c);
    expect_question(&s, 0, "publish", "a");
    answer(b, &s, 0, HOOK_SAID_ALLOW);
    expect_connack(&c, SESSION_NEW);
    client_lose(&c);
    expect_publish(&watcher, 0, "a", "bye");
    client_open(b, &c, &how);
    answer(b, &s, 1, HOOK_SAID_DENY);
    assert_int_equal(c.conn.end, CONN_END_REFUSED);
    client_lose(&c);
    client_open(b, &c, &how);
    client_lose(&c); /* gone while it waits */
    assert_int_equal(s.asked[2]->is_gone, 1);
    answer(b, &s, 2, HOOK_SAID_ALLOW);
    client_open(b, &c, &how); /* takes too long */
    broker_wait(b, 16000);
    assert_int_equal(c.conn.end, CONN_END_REFUSED);
    client_lose(&c);
    expect_nothing(&watcher);
    client_lose(&watcher);
    end(b, &s);
}

static void grants_count_where_no_rule_fits(void **state)
{
    struct server s;
    struct client c, pub;
    struct input in = {.n = 0};
    static const char *const filters[] = {"t/#"};
    struct broker *b = asking(&s, "allow all publish #\ndeny all subscribe t/no\n");
    (void)state;
    client_open(b, &c, &keeper5);
    expect_connack(&c, SESSION_NEW);
    put_subscribe(&in, 3, filters, 1);
    feed(&c, &in);
    answer(b, &s, 0, HOOK_SAID_ALLOW);
    feed(&c, &in);
    broker_commit(b);
    expect_suback(&c, 3, 0);
    client_lose(&c);
    broker_commit(b);
    broker_power_cycle(b, store_mem_clone(b->store));
    client_open(b, &c, &keeper5);
    expect_connack(&c, SESSION_PRESENT);
    open_client(b, &pub, &sender5);
    client_publish(&pub, 0, 0, "t/yes", "1");
    client_publish(&pub, 0, 0, "t/no", "2");
    client_publish(&pub, 0, 0, "t/yes", "3");
    expect_publish(&c, 0, "t/yes", "1");
    expect_publish(&c, 0, "t/yes", "3");
    expect_nothing(&c);
    assert_int_equal(s.n, 1);
    client_lose(&c);
    client_lose(&pub);
    end(b, &s);
}

/* The first server's answer is for the packet that waits, the next packet is the second's. */
static void another_server_meanwhile(void **state)
{
    struct server s;
    struct client c;
    struct input in = {.n = 0};
    struct broker *b = asking(&s, NULL);
    struct ask_ops second = s.ops;
    (void)state;
    open_client(b, &c, &sender5);
    put_publish(&in, QOS1, 1, "a", "x");
    feed(&c, &in);
    answer(b, &s, 0, HOOK_SAID_ALLOW);
    put_publish(&in, QOS1, 2, "b", "x");
    put_publish(&in, QOS1, 3, "b", "x");
    put_publish(&in, QOS1, 4, "a", "x");
    feed(&c, &in);
    expect_ack(&c, PUBACK, 1, 0x10);
    expect_question(&s, 1, "publish", "b");
    assert_ptr_equal(gate_ask_set(b->sh, &second), &s.ops);
    answer(b, &s, 1, HOOK_SAID_ALLOW);
    feed(&c, &in);
    expect_ack(&c, PUBACK, 2, 0x10);
    expect_question(&s, 2, "publish", "b"); /* neither the table nor the cache has kept it */
    answer(b, &s, 2, HOOK_SAID_DENY);
    feed(&c, &in);
    expect_ack(&c, PUBACK, 3, 0x87);
    expect_question(&s, 3, "publish", "a"); /* what was remembered is forgotten */
    answer(b, &s, 3, HOOK_SAID_DENY);
    feed(&c, &in);
    expect_ack(&c, PUBACK, 4, 0x87);
    client_lose(&c);
    end(b, &s);
}

/* A shard that has asked nobody asks from now on, and no more; answers that come later are for no packet. */
static void on_and_off(void **state)
{
    static const char *const filters[] = {"a", "b", "c", "d", "e"};
    static const uint8_t codes[] = {0x87, 0x87, 0x87, 0x87, 0x87};
    struct server s;
    struct client c;
    struct input in = {.n = 0};
    struct broker *b = asking(&s, "deny all publish no\n");
    (void)state;
    open_client(b, &c, &sender5);
    assert_ptr_equal(gate_ask_set(b->sh, NULL), &s.ops);
    assert_null(gate_ask_set(b->sh, &s.ops));
    put_publish(&in, QOS1, 2, "a", "x");
    feed(&c, &in);
    expect_question(&s, 0, "publish", "a");
    answer(b, &s, 0, HOOK_SAID_ALLOW); /* and before the packet is fed again: */
    gate_ask_set(b->sh, NULL);
    feed(&c, &in);
    expect_ack(&c, PUBACK, 2, 0x87);
    gate_ask_set(b->sh, &s.ops);
    put_publish(&in, QOS1, 3, "a", "x");
    feed(&c, &in);
    expect_question(&s, 1, "publish", "a");
    answer(b, &s, 1, HOOK_SAID_ALLOW);
    feed(&c, &in);
    expect_ack(&c, PUBACK, 3, 0x10);
    put_subscribe(&in, 4, filters, 5);
    feed(&c, &in);
    assert_int_equal(s.n, 6); /* four of five */
    gate_ask_set(b->sh, NULL);
    for (uint32_t i = 2; i < 6; i++)
        answer(b, &s, i, HOOK_SAID_ALLOW);
    feed(&c, &in);
    expect_codes(&c, 4, codes, 5);
    client_lose(&c);
    end(b, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_wait_in_order),
        cmocka_unit_test(answers_last_as_long_as_they_may),
        cmocka_unit_test(filters_of_one_subscribe),
        cmocka_unit_test(nothing_can_be_asked),
        cmocka_unit_test(who_is_gone),
        cmocka_unit_test(rules_that_change_meanwhile),
        cmocka_unit_test(wills),
        cmocka_unit_test(grants_count_where_no_rule_fits),
        cmocka_unit_test(another_server_meanwhile),
        cmocka_unit_test(on_and_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
