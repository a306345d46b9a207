/* SPDX-License-Identifier: Apache-2.0 */
/* What a node tells the arbiters of client ids. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/core/pair.h"

/* Stamps that are told of the client, oldest first; how many. */
static unsigned told_take(struct pair *p, uint32_t at, uint64_t *stamps, bool *held, unsigned max)
{
    unsigned n = 0;
    struct mailbag *bag = shard_outbox_take(p->b[at]->sh, MAIL_TO_CLUSTER);
    for (uint32_t i = 0; bag && i < bag->n; i++) {
        const struct mail *m = &bag->items[i];
        if (m->kind != MAIL_HELD && m->kind != MAIL_UNHELD)
            continue;
        assert_true(n < max);
        held[n] = m->kind == MAIL_HELD;
        stamps[n++] = ((const struct held *)m->arg)->stamp;
    }
    if (bag)
        mailbag_free(bag);
    return n;
}

static void clock_back(struct pair *p, uint32_t at, uint64_t ms)
{
    p->b[at]->wall_ms -= ms;
    broker_clock_set(p->b[at]);
}

/* The end of the old session has the stamp of another node's clock, or of one that was set back since. The
 * new one's has to be newer: an arbiter may hear of both at once. */
static void a_clean_start_is_newer_than_what_it_ends(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a;
    struct connect_how how = keeper5;
    uint64_t stamps[4];
    bool held[4];
    pair_subscribed(p, H, &a, &keeper5);
    told_take(p, H, stamps, held, 4);
    client_lose(&a);
    clock_back(p, H, 3600000);
    how.clean = true;
    client_open(p->b[H], &a, &how);
    assert_int_equal(told_take(p, H, stamps, held, 4), 2);
    assert_true(!held[0] && held[1]);
    assert_true(stamps[1] > stamps[0]);
    client_lose(&a);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_start_is_newer_than_what_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
