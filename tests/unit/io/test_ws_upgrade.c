/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/ws_upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define MQTT    "Sec-WebSocket-Protocol: mqtt\r\n"

static const struct io_ws_conf conf = {.path = "/mqtt", .subprotocol = IO_WS_SUBPROTOCOL_REQUIRED};
static const struct io_ws_conf lax = {.path = "/mqtt", .subprotocol = IO_WS_SUBPROTOCOL_OPTIONAL};

static enum transport_fault answer(const struct io_ws_conf *c, const char *head, char text[WS_RESPONSE_MAX])
{
    uint8_t response[WS_RESPONSE_MAX];
    size_t n = 0;
    enum transport_fault f = ws_upgrade(c, (const uint8_t *)head, strlen(head), response, &n);

    assert_true(n > 0 && n < WS_RESPONSE_MAX);
    assert_int_equal(ws_upgrade_end(response, n), n);
    memcpy(text, response, n);
    text[n] = '\0';
    return f;
}

static void expect(const struct io_ws_conf *c, const char *head, enum transport_fault f, const char *status)
{
    char text[WS_RESPONSE_MAX];

    assert_int_equal(answer(c, head, text), f);
    assert_memory_equal(text + sizeof "HTTP/1.1 " - 1, status, strlen(status));
}

static void the_example_of_rfc_6455_is_answered_as_there(void **state)
{
    char text[WS_RESPONSE_MAX];

    (void)state;
    assert_int_equal(answer(&conf, "GET /mqtt HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION MQTT "\r\n", text),
                     TRANSPORT_FAULT_NONE);
    assert_string_equal(text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                              "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
}

/* [MQTT-6.0.0-3], [MQTT-6.0.0-4] */
static void subprotocols_of_mqtt_are_taken_and_others_refused(void **state)
{
    static const char *const good[] = {"mqtt",    "MQTT",       "mqttv3.1",          "mqtt-v3", "mqtt-v3.1.1",
                                       "mqtt-v5", "chat, mqtt", "chat,mqtt-v5,mqtt", " mqtt "};
    static const char *const bad[] = {"chat", "mqttx", "mqt", "", ","};
    char head[512];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(head, sizeof head, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION "%s: %s\r\n\r\n",
                 "Sec-WebSocket-Protocol", good[i]);
        expect(&conf, head, TRANSPORT_FAULT_NONE, "101");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(head, sizeof head, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION "%s: %s\r\n\r\n",
                 "Sec-WebSocket-Protocol", bad[i]);
        expect(&conf, head, TRANSPORT_FAULT_WS_SUBPROTOCOL, "400");
        expect(&lax, head, TRANSPORT_FAULT_WS_SUBPROTOCOL, "400");
    }
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", TRANSPORT_FAULT_WS_SUBPROTOCOL, "400");
    expect(&lax, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", TRANSPORT_FAULT_NONE, "101");
}

static void the_first_known_subprotocol_is_named(void **state)
{
    char text[WS_RESPONSE_MAX];

    (void)state;
    answer(&conf,
           "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION "Sec-WebSocket-Protocol: a\r\n"
           "sec-websocket-protocol: mqtt-v5, mqtt\r\n\r\n",
           text);
    assert_non_null(strstr(text, "Sec-WebSocket-Protocol: mqtt-v5\r\n"));
}

static void requests_that_are_none_are_refused(void **state)
{
    (void)state;
    expect(&conf, "GET /other HTTP/1.1\r\n" UPGRADE KEY VERSION MQTT "\r\n", TRANSPORT_FAULT_WS_PATH, "404");
    expect(&conf, "GET /mqtt/ HTTP/1.1\r\n" UPGRADE KEY VERSION MQTT "\r\n", TRANSPORT_FAULT_WS_PATH, "404");
    expect(&conf, "GET /mqtt?token=1 HTTP/1.1\r\n" UPGRADE KEY VERSION MQTT "\r\n", TRANSPORT_FAULT_NONE,
           "101");
    expect(&conf, "POST /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION MQTT "\r\n", TRANSPORT_FAULT_WS_REQUEST,
           "405");
    expect(&conf, "GET /mqtt HTTP/1.0\r\n" UPGRADE KEY VERSION MQTT "\r\n", TRANSPORT_FAULT_WS_REQUEST,
           "400");
    expect(&conf, "GET /mqtt\r\n" UPGRADE KEY VERSION MQTT "\r\n", TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf, "\r\n", TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" KEY VERSION MQTT "\r\n", TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE VERSION MQTT "\r\n", TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY KEY VERSION MQTT "\r\n", TRANSPORT_FAULT_WS_REQUEST,
           "400");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: short==\r\n" VERSION MQTT "\r\n",
           TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf,
           "GET /mqtt HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n" VERSION MQTT
           "\r\n",
           TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY MQTT "Sec-WebSocket-Version: 8\r\n\r\n",
           TRANSPORT_FAULT_WS_VERSION, "426");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY MQTT "\r\n", TRANSPORT_FAULT_WS_VERSION, "426");
}

static void ambiguous_fields_are_refused(void **state)
{
    (void)state;
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION MQTT " folded\r\n\r\n",
           TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION MQTT "Host : x\r\n\r\n",
           TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION MQTT "no colon\r\n\r\n",
           TRANSPORT_FAULT_WS_REQUEST, "400");
    expect(&conf, "GET /mqtt HTTP/1.1\r\n" UPGRADE KEY VERSION MQTT "A: b\nC: d\r\n\r\n",
           TRANSPORT_FAULT_WS_REQUEST, "400");
}

static void the_end_of_a_head_is_its_empty_line(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nA: b\r\n\r\nrest";

    (void)state;
    for (size_t n = 0; n < sizeof head; n++)
        assert_int_equal(ws_upgrade_end((const uint8_t *)head, n), n >= 24 ? 24 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_6455_is_answered_as_there),
        cmocka_unit_test(subprotocols_of_mqtt_are_taken_and_others_refused),
        cmocka_unit_test(the_first_known_subprotocol_is_named),
        cmocka_unit_test(requests_that_are_none_are_refused),
        cmocka_unit_test(ambiguous_fields_are_refused),
        cmocka_unit_test(the_end_of_a_head_is_its_empty_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
