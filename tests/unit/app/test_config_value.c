/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_number.h"
#include "node/app/config_value.h"
#include "node/app/cpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ACCEPTS(key, text, number) accepts(key, text, number, __LINE__)
#define REFUSES(key, text)         refuses(key, text, __LINE__)

static struct config_value parsed(const char *path, const char *text, bool *ok)
{
    const struct config_key *key = config_key_find(path);
    struct config_arena *arena = config_arena_new();
    struct config_value v;
    assert_non_null(key);
    *ok = config_value_parse(&v, key, text, arena);
    v.s = NULL;
    v.list = (struct config_list){NULL, 0};
    config_arena_free(arena);
    return v;
}

static void accepts(const char *path, const char *text, uint64_t number, int line)
{
    bool ok;
    struct config_value v = parsed(path, text, &ok);
    if (!ok || v.u != number)
        fail_msg("line %d: %s \"%s\": %s %llu", line, path, text, ok ? "is" : "refused",
                 (unsigned long long)v.u);
}

static void refuses(const char *path, const char *text, int line)
{
    bool ok;
    parsed(path, text, &ok);
    if (ok)
        fail_msg("line %d: %s \"%s\" is accepted", line, path, text);
}

/* What config_value_text() makes of the text; into out. */
static const char *normal(const char *path, const char *text, char out[256])
{
    const struct config_key *key = config_key_find(path);
    struct config_arena *arena = config_arena_new();
    struct config_value v;
    assert_non_null(key);
    assert_true(config_value_parse(&v, key, text, arena));
    snprintf(out, 256, "%s", config_value_text(key, &v, arena));
    config_arena_free(arena);
    return out;
}

static void bools(void **state)
{
    (void)state;
    ACCEPTS("retainer.enable", "true", 1);
    ACCEPTS("retainer.enable", "on", 1);
    ACCEPTS("retainer.enable", "False", 0);
    ACCEPTS("retainer.enable", "OFF", 0);
    REFUSES("retainer.enable", "yes");
    REFUSES("retainer.enable", "1");
    REFUSES("retainer.enable", "");
    REFUSES("retainer.enable", "true ");
    REFUSES("retainer.enable", "auto");
}

static void integers(void **state)
{
    (void)state;
    ACCEPTS("mqtt.max_inflight", "1", 1);
    ACCEPTS("mqtt.max_inflight", "65535", 65535);
    REFUSES("mqtt.max_inflight", "0");
    REFUSES("mqtt.max_inflight", "65536");
    REFUSES("mqtt.max_inflight", "-1");
    REFUSES("mqtt.max_inflight", "+1");
    REFUSES("mqtt.max_inflight", " 1");
    REFUSES("mqtt.max_inflight", "1.5");
    REFUSES("mqtt.max_inflight", "0x10");
    REFUSES("mqtt.max_inflight", "18446744073709551617");
    REFUSES("mqtt.max_inflight", "infinity");
    ACCEPTS("mqtt.max_subscriptions", "infinity", CONFIG_INFINITY);
    ACCEPTS("mqtt.max_subscriptions", "0", CONFIG_INFINITY);
    ACCEPTS("mqtt.max_topic_alias", "0", 0);
    ACCEPTS("node.workers", "auto", 0);
}

static void decimals(void **state)
{
    (void)state;
    ACCEPTS("mqtt.keepalive_multiplier", "1.5", 150);
    ACCEPTS("mqtt.keepalive_multiplier", "2", 200);
    ACCEPTS("mqtt.keepalive_multiplier", "1.25", 125);
    ACCEPTS("mqtt.keepalive_multiplier", "1.05", 105);
    REFUSES("mqtt.keepalive_multiplier", "1.555");
    REFUSES("mqtt.keepalive_multiplier", "1.");
    REFUSES("mqtt.keepalive_multiplier", ".5");
    REFUSES("mqtt.keepalive_multiplier", "0.99");
    REFUSES("mqtt.keepalive_multiplier", "10.01");
}

static void durations(void **state)
{
    (void)state;
    ACCEPTS("mqtt.idle_timeout", "15s", 15000);
    ACCEPTS("mqtt.idle_timeout", "500ms", 500);
    ACCEPTS("mqtt.idle_timeout", "15", 15000);
    ACCEPTS("mqtt.idle_timeout", "1m30s", 90000);
    ACCEPTS("mqtt.session_expiry_interval", "2h", 7200000);
    ACCEPTS("mqtt.session_expiry_interval", "1d", 86400000);
    ACCEPTS("mqtt.session_expiry_interval", "infinity", CONFIG_INFINITY);
    ACCEPTS("mqtt.server_keepalive", "disabled", 0);
    ACCEPTS("retainer.msg_expiry_interval", "0", CONFIG_INFINITY);
    REFUSES("retainer.msg_expiry_interval", "999ms");
    ACCEPTS("storage.sync_interval", "250", 250);
    ACCEPTS("storage.commit_interval", "500us", 500);
    ACCEPTS("storage.commit_interval", "2", 2000);
    REFUSES("mqtt.idle_timeout", "infinity");
    REFUSES("mqtt.idle_timeout", "15 s");
    REFUSES("mqtt.idle_timeout", "15x");
    REFUSES("mqtt.idle_timeout", "s");
    REFUSES("mqtt.idle_timeout", "1s1m");
    REFUSES("mqtt.idle_timeout", "1s1s");
    REFUSES("mqtt.idle_timeout", "1s5");
    REFUSES("mqtt.idle_timeout", "-1s");
    REFUSES("mqtt.idle_timeout", "99999999999999999999h");
    REFUSES("mqtt.idle_timeout", "18446744073709551615h");
    REFUSES("mqtt.idle_timeout", "150000500us");
    REFUSES("mqtt.idle_timeout", "1500us");
}

static void sizes(void **state)
{
    (void)state;
    ACCEPTS("mqtt.max_packet_size", "1MB", 1048576);
    ACCEPTS("mqtt.max_packet_size", "1mb", 1048576);
    ACCEPTS("mqtt.max_packet_size", "1MiB", 1048576);
    ACCEPTS("mqtt.max_packet_size", "64KB", 65536);
    ACCEPTS("mqtt.max_packet_size", "64KiB", 65536);
    ACCEPTS("mqtt.max_packet_size", "1000", 1000);
    ACCEPTS("mqtt.max_packet_size", "100B", 100);
    ACCEPTS("mqtt.max_packet_size", "256MB", 268435456);
    REFUSES("mqtt.max_packet_size", "257MB");
    REFUSES("mqtt.max_packet_size", "1GB");
    REFUSES("mqtt.max_packet_size", "63");
    REFUSES("mqtt.max_packet_size", "1.5MB");
    REFUSES("mqtt.max_packet_size", "MB");
    REFUSES("mqtt.max_packet_size", "18446744073709551615TB");
    ACCEPTS("mqtt.max_mqueue_bytes", "1GB", 1ull << 30);
}

static void rates(void **state)
{
    (void)state;
    ACCEPTS("listeners.tcp.default.max_conn_rate", "1000/s", 1000);
    ACCEPTS("listeners.tcp.default.max_conn_rate", "1000", 1000);
    ACCEPTS("listeners.tcp.default.max_conn_rate", "infinity", CONFIG_INFINITY);
    REFUSES("listeners.tcp.default.max_conn_rate", "1000/m");
    REFUSES("listeners.tcp.default.max_conn_rate", "0");
    ACCEPTS("listeners.tcp.default.bytes_rate", "64KB/s", 65536);
    ACCEPTS("listeners.tcp.default.bytes_rate", "64kb", 65536);
    ACCEPTS("listeners.tcp.default.bytes_rate", "infinity", CONFIG_INFINITY);
    REFUSES("listeners.tcp.default.bytes_rate", "/s");
    REFUSES("listeners.tcp.default.bytes_rate", "64KB/m");
    REFUSES("listeners.tcp.default.messages_rate", "64KB/s");
}

static void words(void **state)
{
    (void)state;
    ACCEPTS("storage.sync", "interval", STORE_SYNC_INTERVAL);
    ACCEPTS("log.level", "error", LOG_ERROR);
    ACCEPTS("mqtt.shared_subscription_strategy", "local", SHARE_LOCAL);
    ACCEPTS("mqtt.shared_subscription_strategy", "round_robin", SHARE_ROUND_ROBIN);
    ACCEPTS("listeners.ssl.default.ssl_options.verify", "verify_peer", VERIFY_PEER);
    REFUSES("storage.sync", "ALWAYS");
    REFUSES("storage.sync", "");
    ACCEPTS("listeners.ssl.x.ssl_options.versions", "[tlsv1.3]", CONFIG_TLSV1_3);
    ACCEPTS("listeners.ssl.x.ssl_options.versions", "tlsv1.3, tlsv1.2", CONFIG_TLSV1_2 | CONFIG_TLSV1_3);
    REFUSES("listeners.ssl.x.ssl_options.versions", "[]");
    REFUSES("listeners.ssl.x.ssl_options.versions", "[tlsv1.1]");
    REFUSES("listeners.ssl.x.ssl_options.versions", "[tlsv1.3");
    REFUSES("listeners.ssl.x.ssl_options.versions", "tlsv1.3,");
    REFUSES("cluster.static.seeds", "[a:1");
    REFUSES("cluster.static.seeds", "a:1]");
    REFUSES("cluster.static.seeds", "[[a:1]");
    REFUSES("cluster.static.seeds", "[::1]7946");
    REFUSES("cluster.static.seeds", "[[::1]:1]:1, b");
    REFUSES("cluster.static.seeds", "[[:[:1]:1]");
}

static void strings(void **state)
{
    bool ok;
    char long_text[200];
    (void)state;
    memset(long_text, 'x', sizeof long_text);
    long_text[129] = 0;
    REFUSES("node.name", long_text);
    long_text[128] = 0;
    parsed("node.name", long_text, &ok);
    assert_true(ok);
    REFUSES("node.name", "");
    REFUSES("node.name", "a\nb");
    REFUSES("node.name", "a\x7f");
    REFUSES("node.name", "caf\xe9");
    parsed("mqtt.response_information", "", &ok);
    assert_true(ok);
    parsed("listeners.ws.default.websocket.mqtt_path", "/mqtt/v5", &ok);
    assert_true(ok);
    REFUSES("listeners.ws.default.websocket.mqtt_path", "mqtt");
    REFUSES("listeners.ws.default.websocket.mqtt_path", "/mqtt?x");
}

static void texts_are_normal(void **state)
{
    char out[256];
    (void)state;
    assert_string_equal(normal("mqtt.idle_timeout", "90", out), "90s");
    assert_string_equal(normal("mqtt.idle_timeout", "120s", out), "2m");
    assert_string_equal(normal("storage.commit_interval", "0", out), "0s");
    assert_string_equal(normal("mqtt.max_packet_size", "1024", out), "1KB");
    assert_string_equal(normal("mqtt.max_packet_size", "1025", out), "1025B");
    assert_string_equal(normal("mqtt.keepalive_multiplier", "1.50", out), "1.5");
    assert_string_equal(normal("mqtt.keepalive_multiplier", "1.05", out), "1.05");
    assert_string_equal(normal("listeners.tcp.x.max_conn_rate", "7", out), "7/s");
    assert_string_equal(normal("listeners.tcp.x.bytes_rate", "1048576", out), "1MB/s");
    assert_string_equal(normal("listeners.ssl.x.ssl_options.ciphers", " a,b , c", out), "[a, b, c]");
    assert_string_equal(normal("listeners.ssl.x.ssl_options.versions", "tlsv1.3, tlsv1.2", out),
                        "[tlsv1.2, tlsv1.3]");
    assert_string_equal(normal("mqtt.max_mqueue_len", "0", out), "infinity");
    assert_string_equal(normal("node.workers", "AUTO", out), "auto");
}

static void addresses(void **state)
{
    const char *path = "listeners.tcp.x.bind";
    char out[256];
    (void)state;
    assert_string_equal(normal(path, "127.0.0.1:1883", out), "127.0.0.1:1883");
    assert_string_equal(normal(path, "1883", out), "0.0.0.0:1883");
    assert_string_equal(normal(path, ":1883", out), "0.0.0.0:1883");
    assert_string_equal(normal(path, "*:1883", out), "0.0.0.0:1883");
    assert_string_equal(normal(path, "localhost:1883", out), "127.0.0.1:1883");
    assert_string_equal(normal(path, "[::1]:1883", out), "[::1]:1883");
    assert_string_equal(normal(path, "[0:0::0]:1883", out), "[::]:1883");
    REFUSES(path, "");
    REFUSES(path, "127.0.0.1");
    REFUSES(path, "127.0.0.1:");
    REFUSES(path, "127.0.0.1:0");
    REFUSES(path, "127.0.0.1:65536");
    REFUSES(path, "127.0.0.1:18x");
    REFUSES(path, "127.0.0:1883");
    REFUSES(path, "::1:1883");
    REFUSES(path, "[127.0.0.1]:1883");
    REFUSES(path, "[::1:1883");
    REFUSES(path, "example.org:1883");
    REFUSES(path, "[]:1883");
    REFUSES(path, "1111111111111111111111111111111111111111111111111111:1883");
}

static struct config_addr addr(const char *text)
{
    struct config_addr a;
    assert_true(config_addr_parse(&a, text));
    return a;
}

static bool collides(const char *x, const char *y)
{
    struct config_addr a = addr(x), b = addr(y);
    assert_int_equal(config_addr_collides(&a, &b), config_addr_collides(&b, &a));
    return config_addr_collides(&a, &b);
}

static void addresses_collide(void **state)
{
    (void)state;
    assert_true(collides("127.0.0.1:1", "127.0.0.1:1"));
    assert_true(collides("127.0.0.1:1", ":1"));
    assert_true(collides("[::]:1", "127.0.0.1:1"));
    assert_true(collides("[::]:1", "[::1]:1"));
    assert_false(collides("[::1]:1", "127.0.0.1:1"));
    assert_false(collides("[::1]:1", ":1"));
    assert_false(collides("127.0.0.1:1", "127.0.0.2:1"));
    assert_false(collides("127.0.0.1:1", "127.0.0.1:2"));
}

static void loopback_is_known(void **state)
{
    static const char *const yes[] = {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"};
    static const char *const no[] = {":1", "10.0.0.1:1", "[::]:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        struct config_addr a = addr(yes[i]);
        assert_true(config_addr_is_loopback(&a));
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        struct config_addr a = addr(no[i]);
        assert_false(config_addr_is_loopback(&a));
    }
}

/* Every printed number is read back to itself. */
static void numbers_survive(void **state)
{
    static const uint64_t numbers[] = {0,    1,          59,          60,         999,        1000,
                                       1024, 3600000000, 86400000000, 1ull << 40, 12345678901};
    char out[CONFIG_NUMBER_MAX];
    uint64_t back;
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_true(config_number_duration(config_number_put_duration(out, numbers[i]), 1000000, &back));
        assert_true(back == numbers[i]);
        assert_true(config_number_size(config_number_put_size(out, numbers[i]), &back));
        assert_true(back == numbers[i]);
        assert_true(config_number_decimal(config_number_put_decimal(out, numbers[i]), &back));
        assert_true(back == numbers[i]);
    }
}

static void quota_limits_workers(void **state)
{
    (void)state;
    assert_int_equal(cpus_of_quota("max 100000\n"), 0);
    assert_int_equal(cpus_of_quota("200000 100000\n"), 2);
    assert_int_equal(cpus_of_quota("50000 100000\n"), 1);
    assert_int_equal(cpus_of_quota("250000 100000\n"), 3);
    assert_int_equal(cpus_of_quota(""), 0);
    assert_int_equal(cpus_of_quota("1 0"), 0);
    assert_in_range(cpus_usable(), 1, CPUS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bools),
        cmocka_unit_test(integers),
        cmocka_unit_test(decimals),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(rates),
        cmocka_unit_test(words),
        cmocka_unit_test(strings),
        cmocka_unit_test(texts_are_normal),
        cmocka_unit_test(addresses),
        cmocka_unit_test(addresses_collide),
        cmocka_unit_test(loopback_is_known),
        cmocka_unit_test(numbers_survive),
        cmocka_unit_test(quota_limits_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
