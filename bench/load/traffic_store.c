/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing a fixed number of messages that nobody receives yet. */
#include "bench/load/traffic.h"

#include "bench/load/clock.h"

#include <string.h>

#define TURN_NS 10000000u

/* Returns whether something could be sent, so that the loop should not sleep. */
static bool store_push(struct publisher *p, uint64_t each)
{
    const struct traffic *t = p->traffic;
    bool is_pushed = false;
    while (p->sent < each && !p->client.conn.is_blocked && p->client.conn.fd >= 0) {
        uint64_t rest = each - p->sent;
        uint32_t n = rest < t->batch ? (uint32_t)rest : t->batch;
        if (t->qos && publisher_outstanding(p) + n > t->window)
            break;
        publisher_send(p, n);
        is_pushed = true;
        if (p->sent == each)
            client_ping(&p->client);
        if (!t->qos)
            break; /* one write a turn */
    }
    return is_pushed;
}

static bool store_is_done(const struct publisher *p, uint64_t each)
{
    return p->sent == each && !publisher_outstanding(p) && !p->client.pongs_due;
}

void traffic_store(struct traffic *t, uint64_t each)
{
    struct bench *b = t->bench;
    uint64_t give_up_ns = clock_now_ns() + (uint64_t)b->opts.timeout_ms * 1000000u;
    uint32_t done = 0;
    t->is_storing = true;
    while (done < t->publisher_count && clock_now_ns() < give_up_ns && !b->verdict.closed) {
        bool is_pushed = false;
        done = 0;
        for (uint32_t i = 0; i < t->publisher_count; i++) {
            is_pushed |= store_push(&t->publishers[i], each);
            done += store_is_done(&t->publishers[i], each);
        }
        net_flush(&b->net);
        if (done < t->publisher_count)
            traffic_turn(t, is_pushed ? 0 : TURN_NS);
    }
    for (uint32_t i = 0; i < t->publisher_count; i++)
        b->verdict.missing += each - t->publishers[i].sent + publisher_outstanding(&t->publishers[i]);
    t->is_storing = false;
}
