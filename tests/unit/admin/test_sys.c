/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/sys.h"

#include "tests/unit/admin/one_node.h"

static const struct sys_figure stats[] = {{"connections.count", 3}, {"retained.count", 0}};
static const struct sys_figure metrics[] = {{"bytes.received", UINT64_MAX}, {"messages.dropped", 1}};

static struct sys_sheet *sheet_make(void)
{
    return sys_sheet_new(&(struct sys_snapshot){.name = "covey@127.0.0.1",
                                                .version = "0.1.0",
                                                .wall_ms = 1700000000123,
                                                .uptime_ms = 61000,
                                                .stats = stats,
                                                .stats_n = 2,
                                                .metrics = metrics,
                                                .metrics_n = 2});
}

static void a_sheet_names_everything(void **state)
{
    static const struct {
        const char *topic, *payload;
        unsigned part;
    } expected[] = {
        {"$SYS/brokers", "covey@127.0.0.1", SYS_REST},
        {"$SYS/brokers/covey@127.0.0.1/version", "0.1.0", SYS_REST},
        {"$SYS/brokers/covey@127.0.0.1/sysdescr", "Covey MQTT broker", SYS_REST},
        {"$SYS/brokers/covey@127.0.0.1/uptime", "1 minutes, 1 seconds", SYS_HEARTBEAT},
        {"$SYS/brokers/covey@127.0.0.1/datetime", "2023-11-14T22:13:20.123Z", SYS_HEARTBEAT},
        {"$SYS/brokers/covey@127.0.0.1/stats/connections/count", "3", SYS_REST},
        {"$SYS/brokers/covey@127.0.0.1/stats/retained/count", "0", SYS_REST},
        {"$SYS/brokers/covey@127.0.0.1/metrics/bytes/received", "18446744073709551615", SYS_REST},
        {"$SYS/brokers/covey@127.0.0.1/metrics/messages/dropped", "1", SYS_REST},
    };
    struct sys_sheet *h = sheet_make();
    (void)state;
    assert_int_equal(sys_sheet_count(h), array_len(expected));
    for (uint32_t i = 0; i < array_len(expected); i++) {
        struct sys_item item = sys_sheet_item(h, i);
        assert_int_equal(item.topic.n, strlen(expected[i].topic));
        assert_memory_equal(item.topic.p, expected[i].topic, item.topic.n);
        assert_int_equal(item.payload.n, strlen(expected[i].payload));
        assert_memory_equal(item.payload.p, expected[i].payload, item.payload.n);
        assert_int_equal(item.part, expected[i].part);
    }
    sys_sheet_free(h);
}

static void uptime_reads_well(void **state)
{
    char out[SYS_TEXT_MAX];
    (void)state;
    assert_string_equal(sys_uptime_text(out, 999), "0 seconds");
    assert_string_equal(sys_uptime_text(out, 3600000), "1 hours, 0 minutes, 0 seconds");
    assert_string_equal(sys_uptime_text(out, 90061000), "1 days, 1 hours, 1 minutes, 1 seconds");
    assert_true(strlen(sys_uptime_text(out, UINT64_MAX)) < SYS_TEXT_MAX);
    assert_true(strlen(sys_datetime_text(out, UINT64_MAX)) < SYS_TEXT_MAX);
}

static uint32_t publish(struct one_node *n, const struct sys_sheet *h, unsigned parts)
{
    uint32_t from = 0, rounds = 0;
    for (; from < sys_sheet_count(h); rounds++)
        from = sys_sheet_publish(node_shard(n->node, 0), h, parts, from);
    assert_int_equal(from, sys_sheet_count(h));
    return rounds;
}

/* A QoS 0 PUBLISH without RETAIN, as 3.1.1 has it. */
static const char uptime_packet[] = "\x30\x39\0\x23$SYS/brokers/covey@127.0.0.1/uptime1 minutes, 1 seconds";

static void subscribers_get_what_they_asked_for(void **state)
{
    struct one_node n;
    struct conn c;
    uint8_t out[4096], wanted[16];
    struct sys_sheet *h = sheet_make();
    (void)state;
    one_node_init(&n, 1);
    CONN_MAKE(&c, &n, 0, "\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01\x61");
    conn_take(&c, out, sizeof out);

    sys_sheet_wanted(node_shard(n.node, 0), h, wanted);
    for (uint32_t i = 0; i < sys_sheet_count(h); i++)
        assert_int_equal(wanted[i], 0);
    publish(&n, h, SYS_HEARTBEAT | SYS_REST);
    assert_int_equal(conn_take(&c, out, sizeof out), 0);

    subscribe_make(c.session, "#"); /* which does not match $SYS [MQTT-4.7.2-1] */
    subscribe_make(c.session, "$SYS/brokers/+/uptime")->qos = 2;
    sys_sheet_wanted(node_shard(n.node, 0), h, wanted);
    for (uint32_t i = 0; i < sys_sheet_count(h); i++)
        assert_int_equal(wanted[i], i == 3);
    publish(&n, h, SYS_REST);
    assert_int_equal(conn_take(&c, out, sizeof out), 0);
    publish(&n, h, SYS_HEARTBEAT);
    assert_int_equal(conn_take(&c, out, sizeof out), sizeof uptime_packet - 1);
    assert_memory_equal(out, uptime_packet, sizeof uptime_packet - 1);

    conn_drop(&c);
    sys_sheet_free(h);
    one_node_fini(&n);
}

static void a_crowd_of_subscribers_is_served_in_rounds(void **state)
{
    enum { CROWD = SYS_RECEIVERS_MAX };
    struct one_node n;
    char id[16];
    struct sys_sheet *h = sheet_make();
    (void)state;
    one_node_init(&n, 1);
    n.settings.queue_qos0 = true;
    for (unsigned i = 0; i < CROWD; i++) {
        snprintf(id, sizeof id, "c%u", i);
        subscribe_make(session_make(&n, 0, id), "$SYS/#");
    }
    assert_in_range(publish(&n, h, SYS_HEARTBEAT | SYS_REST), sys_sheet_count(h), sys_sheet_count(h));
    assert_int_equal(publish(&n, h, SYS_HEARTBEAT), 3);
    sys_sheet_free(h);
    one_node_fini(&n);
}

static void a_name_that_is_no_topic_publishes_nothing(void **state)
{
    struct one_node n;
    uint8_t wanted[8];
    struct sys_sheet *h = sys_sheet_new(&(struct sys_snapshot){.name = "a/#", .version = "1"});
    (void)state;
    one_node_init(&n, 1);
    subscribe_make(session_make(&n, 0, "c"), "$SYS/brokers/#");
    sys_sheet_wanted(node_shard(n.node, 0), h, wanted);
    assert_int_equal(wanted[0], 1);
    assert_int_equal(wanted[1], 0);
    publish(&n, h, SYS_HEARTBEAT | SYS_REST);
    sys_sheet_free(h);
    one_node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sheet_names_everything),
        cmocka_unit_test(uptime_reads_well),
        cmocka_unit_test(subscribers_get_what_they_asked_for),
        cmocka_unit_test(a_crowd_of_subscribers_is_served_in_rounds),
        cmocka_unit_test(a_name_that_is_no_topic_publishes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
