/* SPDX-License-Identifier: Apache-2.0 */
/* Re-authentication has an end: the time that a CONNECT has. */
#include "node/core/vet.h"
#include "tests/unit/core/broker.h"

enum { IDLE_MS = 15000, AUTH_CONTINUE = 0x18, AUTH_AGAIN = 0x19 };

/* An exchange of two steps that anybody passes; a client that says "x" in the second does not. */
struct vet_scram {
    uint8_t nothing;
};

static enum vet_verdict on_scram(void *ctx, const struct vet_scram_ask *q, struct vet_scram **x,
                                 struct vet_reply *reply, struct vet_answer *out)
{
    (void)ctx;
    reply->n = 0;
    out->username = strdup("u");
    if (!*x) {
        *x = malloc(sizeof **x);
        assert_non_null(*x);
        return VET_CONTINUE;
    }
    out->code = RC_NOT_AUTHORIZED;
    return q->data.n ? VET_REFUSE : VET_ACCEPT;
}

static void on_scram_free(struct vet_scram *x)
{
    free(x);
}

static const struct vet_ops ops = {.scram = on_scram, .scram_free = on_scram_free};

static void auth_send(struct client *c, uint8_t code)
{
    uint8_t body[64], *p = body;
    *p++ = code;
    *p++ = 3 + sizeof VET_SCRAM - 1;
    *p++ = 0x15;
    p = put_text(p, VET_SCRAM);
    client_send(c, 0xf0, body, p);
}

static void expect_auth(struct client *c, uint8_t code)
{
    struct cursor body = expect_packet(c, 15, NULL);
    uint8_t got = 0;
    if (cursor_left(&body))
        assert_true(cursor_u8(&body, &got));
    assert_int_equal(got, code);
}

static void in(struct broker *b, struct client *c)
{
    struct conn_peer peer = {"127.0.0.1", 5};
    uint8_t buf[PACKET_MAX];
    *c = (struct client){.broker = b, .version = V5, .out = malloc(CLIENT_OUT_MAX)};
    assert_non_null(c->out);
    conn_init(&c->conn, b->sh, &b->settings, &peer);
    uint8_t *p = put_text(buf, "MQTT");
    *p++ = V5;
    *p++ = 2;
    p = be16_put(p, 0);
    *p++ = 3 + sizeof VET_SCRAM - 1;
    *p++ = 0x15;
    p = put_text(p, VET_SCRAM);
    p = put_text(p, "c");
    client_send(c, 0x10, buf, p);
    expect_auth(c, AUTH_CONTINUE);
    auth_send(c, AUTH_CONTINUE);
    expect_connack(c, SESSION_NEW);
}

static struct broker *vetting(void)
{
    struct broker *b = broker_new();
    b->settings.vet = (struct vet_chain){.n = 1, .step = {VET_PASSWORD_FILE}};
    b->conf.vet = &ops;
    node_free(b->node);
    broker_boot(b);
    return b;
}

static void one_that_is_not_finished(void **state)
{
    struct broker *b = vetting();
    struct client c;
    (void)state;
    in(b, &c);
    auth_send(&c, AUTH_AGAIN);
    expect_auth(&c, AUTH_CONTINUE);
    broker_wait(b, IDLE_MS - 1000);
    client_pull(&c);
    assert_int_equal(c.conn.state, CONN_OPEN);
    broker_wait(b, 1000);
    client_pull(&c);
    expect_disconnect(&c, 0x87);
    client_lose(&c);
    broker_free(b);
}

/* Its time is its own: another one later has it again. */
static void one_that_is_finished(void **state)
{
    struct broker *b = vetting();
    struct client c;
    (void)state;
    in(b, &c);
    for (unsigned i = 0; i < 3; i++) {
        auth_send(&c, AUTH_AGAIN);
        expect_auth(&c, AUTH_CONTINUE);
        broker_wait(b, IDLE_MS - 1000);
        auth_send(&c, AUTH_CONTINUE);
        expect_auth(&c, 0);
    }
    broker_wait(b, 10 * IDLE_MS);
    client_pull(&c);
    expect_nothing(&c);
    assert_int_equal(c.conn.state, CONN_OPEN);
    client_lose(&c);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_not_finished),
        cmocka_unit_test(one_that_is_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
