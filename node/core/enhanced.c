/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/enhanced.h"

#include "node/core/conn_i.h"
#include "node/core/shard_i.h"
#include "node/core/vet.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <sodium.h>
#include <stdlib.h>

struct enhanced {
    struct vet_scram *state;
    struct vet_reply reply; /* the last one */
    uint64_t until_ms;      /* of re-authentication, monotonic */
    uint32_t n;
    uint8_t body[]; /* of the CONNECT; none: it is re-authentication */
};

bool enhanced_is_offered(const struct conn *c, struct bytes method)
{
    const struct vet_chain *chain = &c->settings->vet;
    bool is_offered = false;
    for (uint32_t i = 0; i < chain->n; i++)
        is_offered |= chain->step[i] == VET_PASSWORD_FILE;
    return is_offered && bytes_eq(method, bytes_str(VET_SCRAM));
}

static void enhanced_new(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct enhanced *x = mem_alloc(sizeof *x + n);
    *x = (struct enhanced){.n = n};
    bytes_put(x->body, bytes_of(body, n));
    CHECK(!c->enhanced);
    c->enhanced = x;
}

void enhanced_end(struct conn *c)
{
    struct enhanced *x = c->enhanced;
    if (!x)
        return;
    c->enhanced = NULL;
    c->shard->node->conf.vet->scram_free(x->state);
    sodium_memzero(x, sizeof *x + x->n); /* there may be a password in the CONNECT */
    free(x);
}

void enhanced_connack(const struct conn *c, struct connack *a)
{
    if (!c->is_enhanced)
        return;
    a->auth_method = bytes_str(VET_SCRAM);
    a->auth_data = bytes_of(c->enhanced->reply.data, c->enhanced->reply.n);
}

/* ---- steps ---------------------------------------------------------------------------------------- */

static bool auth_send(struct conn *c, enum reason code)
{
    struct shard *sh = c->shard;
    const struct vet_reply *r = &c->enhanced->reply;
    struct bytes method = bytes_str(VET_SCRAM), data = bytes_of(r->data, r->n);
    uint8_t *b = outbuf_reserve(&c->out, &sh->outpool, ENCODE_SMALL_MAX + method.n + data.n);
    uint8_t *end = encode_auth(b, code, method, data, NULL, c->packet_size_max);
    outbuf_commit(&c->out, end);
    if (end > b) /* else it is as if it had been sent [MQTT-3.1.2-24] */
        conn_sent(c, (uint32_t)(end - b));
    COUNT(sh, AUTH_SENT);
    return true;
}

static enum vet_verdict step(struct conn *c, struct bytes data, struct vet_answer *a)
{
    const struct vet_ops *ops = c->shard->node->conf.vet;
    struct enhanced *x = c->enhanced;
    struct vet_scram_ask q = {.data = data};
    if (c->state == CONN_OPEN)
        q.username = bytes_str(c->username);
    a->code = RC_NOT_AUTHORIZED;
    a->verdict = ops->scram(ops->ctx, &q, &x->state, &x->reply, a);
    return a->verdict;
}

/* Of the exchange that the CONNECT began. */
static bool connect_step(struct conn *c, struct bytes data)
{
    struct enhanced *x = c->enhanced;
    struct vet_answer a = {0};
    struct connect k;
    struct fault f;
    if (step(c, data, &a) == VET_CONTINUE) {
        vet_answer_fini(&a);
        return auth_send(c, RC_CONTINUE_AUTHENTICATION); /* [MQTT-4.12.0-2] */
    }
    CHECK(decode_connect(x->body, x->n, &k, &f)); /* it was good before */
    bool go_on = vet_take(c, &k, x->body, x->n, &a);
    if (c->state != CONN_NEW) /* else it waits for the cluster, and the CONNACK is still to come */
        enhanced_end(c);
    return go_on;
}

/* Of re-authentication. The user is who it was: the rights that were looked up for the name stay good. */
static bool again_step(struct conn *c, struct bytes data)
{
    struct vet_answer a = {0};
    if (step(c, data, &a) == VET_CONTINUE) {
        vet_answer_fini(&a);
        return auth_send(c, RC_CONTINUE_AUTHENTICATION);
    }
    vet_note(c, session_id(c->session), bytes_str(c->username), &a);
    vet_answer_fini(&a);
    if (a.verdict == VET_REFUSE) /* [MQTT-4.12.1-2]; a DISCONNECT has no code for wrong passwords */
        return conn_fail(c, RC_NOT_AUTHORIZED, a.text);
    auth_send(c, RC_SUCCESS);
    enhanced_end(c);
    return true;
}

static void again_begin(struct conn *c)
{
    enhanced_new(c, NULL, 0);
    c->enhanced->until_ms = c->shard->now_ms + c->settings->idle_timeout_ms;
    conn_timer_set(c, c->keep_alive_ms ? c->rx_ms + c->keep_alive_ms : 0);
}

uint64_t enhanced_until(const struct conn *c)
{
    return c->enhanced ? c->enhanced->until_ms : 0;
}

bool enhanced_on_timer(struct conn *c)
{
    static const struct vet_answer late = {.verdict = VET_REFUSE,
                                           .code = RC_NOT_AUTHORIZED,
                                           .text = "The re-authentication was not finished in time",
                                           .method = "scram"};
    struct shard *sh = c->shard;
    uint64_t until_ms = enhanced_until(c);
    if (!until_ms || sh->now_ms < until_ms)
        return true;
    if (c->read_paused || sh->now_ms < sh->patience_ms) { /* the client may have gone on, unheard */
        c->enhanced->until_ms = sh->now_ms + c->settings->idle_timeout_ms;
        return true;
    }
    vet_note(c, session_id(c->session), bytes_str(c->username), &late);
    return conn_fail(c, late.code, late.text);
}

bool enhanced_begin(struct conn *c, const struct connect *k, const uint8_t *body, uint32_t n)
{
    c->is_enhanced = 1;
    enhanced_new(c, body, n);
    return connect_step(c, k->auth_data);
}

/* ---- packets -------------------------------------------------------------------------------------- */

/* What is wrong with an AUTH of whoever has named the method; NULL: nothing. */
static const char *auth_judge(const struct conn *c, const struct auth *a)
{
    if (!bytes_eq(a->method, bytes_str(VET_SCRAM))) /* [MQTT-4.12.0-5, MQTT-4.12.1-1] */
        return "AUTH with another Authentication Method than CONNECT";
    if (c->enhanced && a->code != RC_CONTINUE_AUTHENTICATION) /* [MQTT-4.12.0-3] */
        return "An AUTH that answers must have the code Continue authentication";
    if (!c->enhanced && a->code != RC_REAUTHENTICATE)
        return "An AUTH that begins must have the code Re-authenticate";
    return NULL;
}

bool enhanced_on_packet(struct conn *c, const struct frame *f, const uint8_t *body)
{
    struct auth a;
    struct disconnect d;
    struct fault fault;
    c->shard->connecting = connect_client(c->enhanced->body, c->enhanced->n);
    if (!frame_check(f->first, c->version, &fault))
        return connect_refuse(c, fault.code, fault.text);
    switch (f->first >> 4) {
    case PACKET_AUTH: {
        COUNT(c->shard, AUTH_RECEIVED);
        if (!decode_auth(body, f->body_n, &a, &fault))
            return connect_refuse(c, fault.code, fault.text);
        const char *wrong = auth_judge(c, &a);
        return wrong ? connect_refuse(c, RC_PROTOCOL_ERROR, wrong) : connect_step(c, a.data);
    }
    case PACKET_DISCONNECT:
        COUNT(c->shard, DISCONNECT_RECEIVED);
        if (!decode_disconnect(body, f->body_n, c->version, &d, &fault))
            return connect_refuse(c, fault.code, fault.text);
        conn_on_lost(c, CONN_END_CLIENT);
        return false;
    }
    return connect_refuse(c, RC_PROTOCOL_ERROR,
                          "Only AUTH and DISCONNECT may come before the CONNACK"); /* [MQTT-3.1.2-30] */
}

bool on_auth(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct auth a;
    struct fault f;
    if (!decode_auth(body, n, &a, &f))
        return conn_fault(c, &f);
    if (!c->is_enhanced)
        return conn_fail(c, RC_PROTOCOL_ERROR,
                         "AUTH without an Authentication Method in CONNECT"); /* [MQTT-4.12.0-7] */
    const char *wrong = auth_judge(c, &a);
    if (wrong)
        return conn_fail(c, RC_PROTOCOL_ERROR, wrong);
    if (!c->enhanced)
        again_begin(c);
    return again_step(c, a.data);
}
