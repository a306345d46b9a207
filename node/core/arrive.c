/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/forward.h"

#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/rpc/messages.h"
#include "proto/rpc/publish_entry.h"

#include <stdlib.h>

void rxframe_unref(struct rxframe *rx)
{
    if (rx && __atomic_sub_fetch(&rx->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(rx);
}

void arrivals_free(struct arrivals *a)
{
    rxframe_unref(a->rx);
    free(a);
}

/* What the entry's publisher is told, when everything that this shard has to do is done. */
static enum reason verdict_of(const struct publication *p, const struct arrival *a)
{
    if (p->refused && !p->receivers)
        return RC_QUOTA_EXCEEDED;
    if (p->failed)
        return p->failed;
    /* The member that the sender picked is gone: it may pick another one. */
    return a->route_id != ARRIVAL_PLAIN && !p->receivers ? RC_NO_MATCHING_SUBSCRIBERS : RC_SUCCESS;
}

static void arrive_one(struct shard *sh, struct rxframe *rx, struct arrival *a)
{
    struct cursor at = cursor_of(bytes_of(rx->body + a->at, rx->body_n - a->at));
    struct publish_entry e;
    enum topic_verdict verdict;
    CHECK(publish_entry_take(&at, &e)); /* the cluster thread has read it before */
    struct publication p = {.m = {.topic = e.topic,
                                  .payload = e.payload,
                                  .props = e.props,
                                  .qos = e.qos,
                                  .retain = e.retain,
                                  .has_expiry = e.has_expiry,
                                  .expiry_s = e.expiry_s},
                            .uid = e.uid,
                            .rx = a->wants ? rx : NULL,
                            .rx_index = a->index};
    struct rpc_buf held = {0};
    enum seen_by seen = e.once ? seen_by(sh, e.uid) : SEEN_BY_NONE;
    p.seen_by_some = seen == SEEN_BY_SOME;
    p.held_by = e.once ? &held : NULL;
    if (seen == SEEN_HELD) {
        p.failed = RC_IMPLEMENTATION_SPECIFIC; /* it is to come again */
    } else if (seen == SEEN_BY_ALL) {
        persist_wait(sh, publication_wait(&p)); /* it may not be stored yet */
        persist_hurry(sh);
        pending_release(sh, p.pending, RC_SUCCESS);
    } else if (a->route_id != ARRIVAL_PLAIN) {
        share_deliver_here(sh, &p, a->route_id, a->pick);
    } else {
        p.hold = p.handoff = e.once;
        const struct match *match = subs_match(&sh->subs, e.topic, &verdict);
        if (match)
            deliver_local(sh, &p, match);
    }
    if (e.once && seen < SEEN_HELD && p.receivers)
        seen_add(sh, e.uid, p.pending ? SEEN_STORED : SEEN_NOTED, rpc_buf_bytes(&held));
    rpc_buf_fini(&held);
    enum reason code = verdict_of(&p, a);
    if (p.pending && code >= RC_UNSPECIFIED_ERROR && !p.failed)
        p.failed = (uint8_t)code;
    a->code = p.pending ? ARRIVAL_WAITS : (uint8_t)code;
    publication_fini(sh, &p);
}

void arrivals_take(struct shard *sh, struct arrivals *a)
{
    for (uint32_t i = 0; i < a->n; i++)
        arrive_one(sh, a->rx, &a->v[i]);
    if (a->wanting)
        mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_ARRIVED, .arg = a});
    else
        arrivals_free(a);
}
