/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_CORE_PAIR_TEXTS_H
#define COVEY_TEST_CORE_PAIR_TEXTS_H

/* A pair in which a session waits with messages that are told apart by their payloads. */

#include "tests/unit/core/pair.h"

/* The client is offline at the holder, with messages of QoS 2 from a third node that are named 1, 2, ... */
static inline struct pair *pair_queued(unsigned n)
{
    struct pair *p = pair_new();
    struct client a;
    p->b[A]->settings.inflight_max = p->b[H]->settings.inflight_max = 100;
    pair_subscribed(p, H, &a, &keeper5);
    client_lose(&a);
    for (unsigned i = 1; i <= n; i++) {
        char text[8];
        snprintf(text, sizeof text, "%u", i);
        pair_arrive(p, H, i, 2, text);
    }
    pair_run(p);
    return p;
}

/* Exactly these come, as new or again, and are finished. */
static inline void expect_texts(struct client *a, const char *const *texts)
{
    uint8_t flags = 0;
    unsigned n = 0;
    for (; client_has_packet(a); n++) {
        struct cursor body = expect_packet(a, 3, &flags);
        struct bytes topic;
        uint16_t id;
        assert_true(cursor_lenbytes(&body, &topic) && cursor_u16(&body, &id));
        skip_props(a, &body);
        assert_non_null(texts[n]);
        if (!bytes_eq(bytes_of(body.p, cursor_left(&body)), bytes_str(texts[n])))
            fail_msg("\"%.*s\" instead of \"%s\"", (int)cursor_left(&body), (const char *)body.p, texts[n]);
    }
    assert_null(texts[n]);
}
#define expect_texts_of(a, ...) expect_texts(a, (const char *const[]){__VA_ARGS__, NULL})

#endif
