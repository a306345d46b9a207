/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/pace.h"

#include "node/core/conn_i.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

#define NS_A_MS 1000000ull
#define NS_A_S  (1000 * NS_A_MS)

void pace_init(struct conn *c)
{
    const struct settings *set = c->settings;
    if (!set->messages_rate_max && !set->bytes_rate_max)
        return;
    c->pace = mem_zalloc(sizeof *c->pace);
    c->pace->conn = c;
    list_init(&c->pace->link);
}

void pace_free(struct pace *p)
{
    if (!p)
        return;
    list_del(&p->link);
    free(p);
}

/* Moves the turn on by n of `rate` a second. How far it is ahead of what may come at once. */
static uint64_t ahead_ns(uint64_t *turn_ns, uint64_t now_ns, uint64_t n, uint64_t rate)
{
    if (!rate || !n)
        return 0;
    if (*turn_ns < now_ns)
        *turn_ns = now_ns;
    *turn_ns += n * NS_A_S / rate;
    uint64_t ahead = *turn_ns - now_ns;
    return ahead > NS_A_S ? ahead - NS_A_S : 0;
}

void pace_take(struct conn *c, size_t bytes, uint32_t messages)
{
    struct shard *sh = c->shard;
    struct pace *p = c->pace;
    uint64_t now_ns = sh->now_ms * NS_A_MS;
    uint64_t by_messages = ahead_ns(&p->message_ns, now_ns, messages, c->settings->messages_rate_max);
    uint64_t by_bytes = ahead_ns(&p->byte_ns, now_ns, bytes, c->settings->bytes_rate_max);
    uint64_t wait_ns = by_messages > by_bytes ? by_messages : by_bytes;
    if (wait_ns == 0)
        return;
    if (by_messages >= by_bytes)
        COUNT(sh, PACED_MESSAGES);
    else
        COUNT(sh, PACED_BYTES);
    p->until_ms = sh->now_ms + (wait_ns + NS_A_MS - 1) / NS_A_MS;
    list_push(&sh->paced, &p->link);
    conn_pace(c);
}

void pace_tick(struct shard *sh)
{
    list_each_safe(l, &sh->paced)
    {
        struct pace *p = container_of(l, struct pace, link);
        if (p->until_ms > sh->now_ms)
            continue;
        p->until_ms = 0;
        list_del(&p->link);
        p->conn->rx_ms = sh->now_ms; /* it was silent because nobody listened */
        conn_pace(p->conn);
    }
}
