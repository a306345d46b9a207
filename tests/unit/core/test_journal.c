/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal remembers, how little room it takes, and how things stand. */
#include "node/core/explain.h"
#include "node/core/journal.h"
#include "node/core/shard_i.h"
#include "tests/unit/core/broker.h"

#include <stdio.h>

enum { SIZE = 64 * 1024 };

static struct broker *broker_with(uint64_t bytes)
{
    struct broker *b = broker_new();
    b->settings.journal_bytes = bytes;
    return b;
}

/* Everything that fits, in order. */
static void read_all(struct broker *b, const char *client, const char *topic, struct inspect_buf *out)
{
    struct journal_place place = {{0}};
    struct journal_want want = {bytes_str(client), bytes_str(topic)};
    while (journal_read(b->sh, &place, &want, out) == INSPECT_MORE)
        ;
}

/* How often this has happened; the last text goes to text. */
static uint32_t happened(struct broker *b, enum journal_what what, const char *client, const char *topic,
                         char text[JOURNAL_TEXT_MAX + 1])
{
    struct inspect_buf buf = {0};
    const struct journal_record *r;
    uint32_t n = 0;
    read_all(b, client, topic, &buf);
    for (size_t at = 0; (r = inspect_next(&buf, &at));) {
        if (r->what != what)
            continue;
        n += r->count;
        if (text)
            snprintf(text, JOURNAL_TEXT_MAX + 1, "%.*s", (int)journal_text(r).n,
                     (const char *)journal_text(r).p);
    }
    inspect_buf_fini(&buf);
    return n;
}

static void put(struct broker *b, enum journal_what what, const char *client, const char *topic)
{
    journal_put(b->sh,
                &(struct journal_note){.what = what, .client = bytes_str(client), .topic = bytes_str(topic)});
}

/* ---- the ring ------------------------------------------------------------------------------------- */

static void the_oldest_go_first(void **state)
{
    struct broker *b = broker_with(SIZE);
    char id[64];
    uint32_t kept = 0;
    (void)state;
    assert_int_equal(journal_since(b->sh, JOURNAL_CLIENTS), 0);
    for (uint32_t i = 0; i < 20000; i++) {
        b->wall_ms += 1;
        broker_clock_set(b);
        snprintf(id, sizeof id, "%.*s%u", (int)(i % 37), "a-long-client-id-to-vary-the-size-with", i);
        put(b, JOURNAL_CONNECTED, id, "");
        assert_int_equal(happened(b, JOURNAL_CONNECTED, id, "", NULL), 1);
    }
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(id, sizeof id, "%.*s%u", (int)(i % 37), "a-long-client-id-to-vary-the-size-with", i);
        bool is_there = happened(b, JOURNAL_CONNECTED, id, "", NULL) == 1;
        assert_true(is_there || kept == 0); /* no gap */
        kept += is_there;
    }
    assert_in_range(kept, SIZE / 2 / 120, SIZE / 2 / sizeof(struct journal_record));
    uint64_t since = journal_since(b->sh, JOURNAL_CLIENTS);
    assert_int_equal(since, b->wall_ms - kept + 1);
    assert_int_equal(journal_since(b->sh, JOURNAL_MESSAGES), 0); /* it has a ring of its own */
    broker_free(b);
}

static void the_same_again_is_counted(void **state)
{
    struct broker *b = broker_with(SIZE);
    (void)state;
    for (int i = 0; i < 1000; i++)
        put(b, JOURNAL_QUEUE_FULL, "c", "t");
    put(b, JOURNAL_QUEUE_FULL, "c", "other");
    put(b, JOURNAL_EXPIRED, "c", "t");
    assert_int_equal(happened(b, JOURNAL_QUEUE_FULL, "c", "t", NULL), 1000);
    struct inspect_buf buf = {0};
    size_t at = 0;
    read_all(b, "c", "t", &buf);
    const struct journal_record *r = inspect_next(&buf, &at);
    assert_int_equal(r->count, 1000);
    r = inspect_next(&buf, &at);
    assert_int_equal(r->what, JOURNAL_EXPIRED);
    assert_null(inspect_next(&buf, &at));
    inspect_buf_fini(&buf);
    b->wall_ms += JOURNAL_JOIN_MS;
    broker_clock_set(b);
    put(b, JOURNAL_QUEUE_FULL, "c", "t");
    buf = (struct inspect_buf){0};
    at = 0;
    read_all(b, "c", "t", &buf);
    inspect_next(&buf, &at);
    inspect_next(&buf, &at);
    r = inspect_next(&buf, &at); /* a record of its own */
    assert_int_equal(r->count, 1);
    inspect_buf_fini(&buf);
    broker_free(b);
}

static void off_and_other_sizes(void **state)
{
    struct broker *b = broker_with(0);
    (void)state;
    put(b, JOURNAL_CONNECTED, "c", "");
    assert_int_equal(happened(b, JOURNAL_CONNECTED, "c", "", NULL), 0);
    assert_int_equal(journal_watch(b->sh, bytes_str("c"), bytes_of(NULL, 0)), 0);
    b->settings.journal_bytes = SIZE;
    put(b, JOURNAL_CONNECTED, "c", "");
    assert_int_equal(happened(b, JOURNAL_CONNECTED, "c", "", NULL), 1);
    b->settings.journal_bytes = 2 * SIZE; /* begins anew */
    assert_int_equal(happened(b, JOURNAL_CONNECTED, "c", "", NULL), 0);
    b->settings.journal_bytes = 0;
    put(b, JOURNAL_CONNECTED, "c", "");
    assert_int_equal(happened(b, JOURNAL_CONNECTED, "c", "", NULL), 0);
    broker_free(b);
}

static void long_names_are_cut(void **state)
{
    struct broker *b = broker_with(SIZE);
    char id[2 * JOURNAL_CLIENT_MAX], topic[2 * JOURNAL_TOPIC_MAX];
    (void)state;
    memset(id, 'i', sizeof id - 1);
    memset(topic, 't', sizeof topic - 1);
    id[sizeof id - 1] = topic[sizeof topic - 1] = 0;
    put(b, JOURNAL_QUEUE_FULL, id, topic);
    assert_int_equal(happened(b, JOURNAL_QUEUE_FULL, id, topic, NULL), 1);
    assert_int_equal(happened(b, JOURNAL_QUEUE_FULL, "i", topic, NULL), 0);
    broker_free(b);
}

static void a_piece_is_bounded(void **state)
{
    struct broker *b = broker_with(4 << 20);
    struct journal_place place = {{0}};
    struct journal_want want = {.topic = bytes_str("t")};
    struct inspect_buf buf = {0};
    char id[32];
    uint32_t pieces = 0;
    (void)state;
    for (uint32_t i = 0; i < 30000; i++) {
        snprintf(id, sizeof id, "client-%u", i);
        put(b, JOURNAL_QUEUE_FULL, id, "t");
    }
    while (journal_read(b->sh, &place, &want, &buf) == INSPECT_MORE) {
        assert_true(buf.n <= INSPECT_BYTES_MAX + 1024);
        buf.n = 0;
        pieces++;
    }
    assert_true(pieces > 8);
    inspect_buf_fini(&buf);
    broker_free(b);
}

/* ---- events --------------------------------------------------------------------------------------- */

static void what_clients_do(void **state)
{
    struct broker *b = broker_with(SIZE);
    struct client a, again;
    char text[JOURNAL_TEXT_MAX + 1];
    (void)state;
    open_sender(b, &a, &sender5);
    client_subscribe(&a, 1, "room/+", 1);
    client_subscribe(&a, 2, "room/#/x", 1);
    assert_int_equal(happened(b, JOURNAL_CONNECTED, "sender", "", text), 1);
    assert_string_equal(text, "With a new session");
    assert_int_equal(happened(b, JOURNAL_SUBSCRIBED, "sender", "", text), 1);
    assert_string_equal(text, "Granted QoS 1");
    assert_int_equal(happened(b, JOURNAL_SUBSCRIBED, "", "room/1", NULL), 1); /* what matches */
    assert_int_equal(happened(b, JOURNAL_SUBSCRIBED, "", "other", NULL), 0);
    assert_int_equal(happened(b, JOURNAL_SUBSCRIBE_REFUSED, "sender", "", NULL), 1);
    client_open(b, &again, &sender5);
    assert_int_equal(happened(b, JOURNAL_DISCONNECTED, "sender", "", text), 1);
    assert_string_equal(text, "Another connection took over its client id");
    assert_int_equal(happened(b, JOURNAL_SESSION_ENDED, "sender", "", NULL), 1);
    client_lose(&a);
    client_send(&again, 0x30, (const uint8_t *)"\0\3a/#", (const uint8_t *)"\0\3a/#" + 5);
    assert_int_equal(happened(b, JOURNAL_FAULT, "sender", "", NULL), 1);
    client_lose(&again);
    broker_free(b);
}

static void refused_before_there_is_a_session(void **state)
{
    struct broker *b = broker_with(SIZE);
    struct client c;
    char text[JOURNAL_TEXT_MAX + 1];
    (void)state;
    b->settings.anonymous_allowed = false;
    client_open(b, &c, &sender5);
    assert_int_equal(happened(b, JOURNAL_REFUSED, "sender", "", text), 1);
    assert_non_null(strstr(text, "without authentication"));
    client_lose(&c);
    broker_free(b);
}

static void what_becomes_of_messages(void **state)
{
    struct broker *b = broker_with(SIZE);
    struct client a, s;
    (void)state;
    b->settings.queue_len_max = 1;
    open_sender(b, &s, &sender5);
    client_publish(&s, 0, 0, "t/x", "x");
    assert_int_equal(happened(b, JOURNAL_NO_SUBSCRIBERS, "sender", "", NULL), 1);
    open_subscribed(b, &a, &keeper5);
    client_lose(&a);
    client_publish(&s, 0, 0, "t/1", "x");
    assert_int_equal(happened(b, JOURNAL_OFFLINE_QOS0, "keeper", "t/1", NULL), 1);
    for (uint16_t i = 1; i <= 3; i++)
        client_publish(&s, QOS1, i, "t/2", "x");
    assert_int_equal(happened(b, JOURNAL_QUEUE_FULL, "keeper", "t/2", NULL), 2);
    assert_int_equal(happened(b, JOURNAL_QUEUE_FULL, "sender", "", NULL), 0);
    client_lose(&s);
    broker_free(b);
}

static void what_waited_too_long(void **state)
{
    struct broker *b = broker_with(SIZE);
    struct client a, s;
    uint8_t buf[PACKET_MAX];
    (void)state;
    open_subscribed(b, &a, &keeper5);
    client_lose(&a);
    open_sender(b, &s, &sender5);
    uint8_t *p = be16_put(put_text(buf, "t/old"), 1);
    *p++ = 5;
    *p++ = 0x02; /* Message Expiry Interval */
    p = be32_put(p, 1);
    client_send(&s, 0x30 | QOS1, buf, p);
    broker_commit(b);
    broker_wait(b, 3000);
    client_open(b, &a, &keeper5);
    broker_commit(b);
    assert_int_equal(happened(b, JOURNAL_EXPIRED, "keeper", "t/old", NULL), 1);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

static void watched_messages_only(void **state)
{
    struct broker *b = broker_with(SIZE);
    struct client a, s;
    (void)state;
    open_subscribed(b, &a, &keeper5);
    open_sender(b, &s, &sender5);
    client_publish(&s, 0, 0, "t/1", "x");
    assert_int_equal(happened(b, JOURNAL_PUBLISHED, "sender", "", NULL), 0);
    assert_int_equal(happened(b, JOURNAL_SENT, "keeper", "", NULL), 0);
    assert_int_equal(journal_watch(b->sh, bytes_of(NULL, 0), bytes_str("t/1")), b->wall_ms);
    client_publish(&s, 0, 0, "t/1", "x");
    client_publish(&s, 0, 0, "t/2", "x");
    assert_int_equal(happened(b, JOURNAL_PUBLISHED, "sender", "", NULL), 1);
    assert_int_equal(happened(b, JOURNAL_SENT, "keeper", "", NULL), 1);
    broker_wait(b, JOURNAL_WATCH_MS - 1000);
    assert_true(journal_watch(b->sh, bytes_of(NULL, 0), bytes_str("t/1")) < b->wall_ms); /* renewed */
    broker_wait(b, JOURNAL_WATCH_MS + 1000);
    client_publish(&s, 0, 0, "t/1", "x");
    assert_int_equal(happened(b, JOURNAL_SENT, "keeper", "", NULL), 1);
    assert_int_equal(b->sh->tracer.on, 0); /* the hot path is as it was */
    for (int i = 0; i < 3 * JOURNAL_WATCHES_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "c%d", i);
        assert_int_equal(journal_watch(b->sh, bytes_str(id), bytes_of(NULL, 0)), b->wall_ms);
    }
    assert_int_equal(b->sh->journal.watches_n, JOURNAL_WATCHES_MAX);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

/* ---- how things stand ----------------------------------------------------------------------------- */

static struct explain_client explained(struct broker *b, const char *client, const char *topic)
{
    struct explain_client e;
    struct inspect_buf subs = {0};
    explain_client(b->sh, bytes_str(client), bytes_str(topic), &e, &subs);
    inspect_buf_fini(&subs);
    return e;
}

static void near_misses(void **state)
{
    static const struct {
        const char *filter, *topic;
        enum explain_near near;
    } rows[] = {{"Room/+", "room/1", NEAR_CASE},   {"/room/1", "room/1", NEAR_SLASH},
                {"room/1/", "room/1", NEAR_SLASH}, {"+/x", "$SYS/x", NEAR_DOLLAR},
                {"#", "$SYS/x", NEAR_DOLLAR},      {"room/2", "room/1", NEAR_NONE}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct broker *b = broker_with(SIZE);
        struct client a;
        open_sender(b, &a, &sender5);
        client_subscribe(&a, 1, rows[i].filter, 1);
        struct explain_client e = explained(b, "sender", rows[i].topic);
        assert_true(e.is_there && e.is_connected && e.matching_n == 0);
        assert_int_equal(e.near, rows[i].near);
        client_lose(&a);
        broker_free(b);
    }
}

static void a_session_and_its_topic(void **state)
{
    struct broker *b = broker_with(SIZE);
    struct client a, s;
    struct explain_topic t = {0};
    struct inspect_buf subs = {0};
    (void)state;
    assert_false(explained(b, "keeper", "t/1").is_there);
    open_subscribed(b, &a, &keeper5);
    open_sender(b, &s, &sender5);
    struct explain_client e = explained(b, "keeper", "t/1");
    assert_true(e.is_connected && e.matching_n == 1 && e.may_receive && e.may_publish);
    explain_topic(b->sh, bytes_str("t/1"), &t, &subs);
    assert_true(t.sessions == 1 && t.connected == 1 && t.listed == 1 && t.members == 0);
    client_lose(&a);
    client_publish(&s, QOS1 | RETAIN, 1, "t/1", "x");
    broker_commit(b);
    e = explained(b, "keeper", "t/1");
    assert_true(!e.is_connected && e.queued == 1 && e.expiry_s == 100);
    assert_true(explain_retained(b->sh, bytes_str("t/1")));
    assert_false(explain_retained(b->sh, bytes_str("t/2")));
    inspect_buf_fini(&subs);
    client_lose(&s);
    broker_free(b);
}

static void links_are_about_everybody(void **state)
{
    struct broker *b = broker_with(SIZE);
    char text[JOURNAL_TEXT_MAX + 1];
    (void)state;
    journal_put_link(b->sh, JOURNAL_LINK_DOWN, 3, "silent");
    journal_put_link(b->sh, JOURNAL_LINK_DOWN, 3, "silent");
    journal_put_link(b->sh, JOURNAL_LINK_DOWN, 4, "silent");
    journal_put_link(b->sh, JOURNAL_LINK_UP, 3, NULL);
    assert_int_equal(happened(b, JOURNAL_LINK_DOWN, "c", "", text), 3);
    assert_string_equal(text, "silent");
    assert_int_equal(happened(b, JOURNAL_LINK_DOWN, "c", "a/b", NULL), 3);
    assert_int_equal(happened(b, JOURNAL_LINK_UP, "", "a/b", text), 1);
    assert_string_equal(text, journal_default_text(JOURNAL_LINK_UP));
    struct inspect_buf buf = {0};
    const struct journal_record *r;
    uint64_t peers = 0;
    uint32_t n = 0;
    read_all(b, "c", "", &buf);
    for (size_t at = 0; (r = inspect_next(&buf, &at)); n++)
        peers |= r->peers;
    assert_int_equal(n, 4); /* a record for each event, so that they are in order */
    assert_int_equal(peers, 1 << 3 | 1 << 4);
    inspect_buf_fini(&buf);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(the_same_again_is_counted),
        cmocka_unit_test(off_and_other_sizes),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(a_piece_is_bounded),
        cmocka_unit_test(what_clients_do),
        cmocka_unit_test(refused_before_there_is_a_session),
        cmocka_unit_test(what_becomes_of_messages),
        cmocka_unit_test(what_waited_too_long),
        cmocka_unit_test(watched_messages_only),
        cmocka_unit_test(links_are_about_everybody),
        cmocka_unit_test(near_misses),
        cmocka_unit_test(a_session_and_its_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
