/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/gate_i.h"

#include "node/core/deliver.h"
#include "node/core/mount.h"
#include "node/core/note.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { TOPIC_KEPT_MAX = 512, LOG_EVERY_MS = 1000 };

/* A subscription's pass: in its high bits the round of rules that it was held against, in the low ones the
 * answer. */
enum {
    PASS_WHOLE = 1,
    PASS_BY_TOPIC = 2,
    PASS_BITS = 3,
    ROUND_SHIFT = 2,
    ROUND_MAX = UINT8_MAX >> ROUND_SHIFT
};

/* A verdict that is remembered. */
struct gate_slot {
    uint64_t ident; /* 0: empty */
    uint64_t hash;
    uint64_t until_ms;
    char *topic;
    uint32_t topic_n;
    uint8_t kind; /* see gate_kind() */
    struct verdict verdict;
};

/* There is nothing but clients' own rules, and the server. */
static void stand_in_set(struct gate *g)
{
    struct acl_fault fault;
    g->acl = acl_parse(bytes_of("", 0), ACL_ALLOW, &fault);
    g->is_stand_in = true;
}

static uint8_t how_mask_of(const struct ask_ops *asks)
{
    return asks && asks->tells_how ? 7 : 0;
}

void gate_init(struct gate *g, struct acl *acl, uint32_t slots, const struct ask_ops *asks)
{
    uint32_t n = slots ? 1 : 0;
    while (n && n < slots)
        n *= 2;
    *g = (struct gate){.acl = acl_ref(acl), .slots_n = n};
    asks_init(&g->asks, asks);
    g->how_mask = how_mask_of(asks);
    if (asks && !acl)
        stand_in_set(g);
    if (g->acl)
        g->pass = 1 << ROUND_SHIFT | PASS_WHOLE;
}

static void slots_drop(struct gate *g)
{
    for (uint32_t i = 0; g->slots && i < g->slots_n; i++)
        free(g->slots[i].topic);
    free(g->slots);
    g->slots = NULL;
    g->hit = NULL;
}

void gate_fini(struct gate *g)
{
    slots_drop(g);
    asks_fini(&g->asks);
    acl_unref(g->acl);
}

void gate_forget(struct shard *sh)
{
    slots_drop(&sh->gate);
    asks_forget(&sh->gate.asks);
}

/* The rounds begin anew: no subscription may still have a pass of an earlier one. */
static void passes_drop(struct shard *sh)
{
    uint32_t at = 0;
    struct session *s;
    while ((s = ptrtab_next(&sh->sessions, &at)))
        for (uint32_t i = 0; i < s->subs_n; i++)
            s->subs[i]->pass = 0;
}

void gate_set(struct shard *sh, struct acl *acl)
{
    struct gate *g = &sh->gate;
    slots_drop(g);
    acl_unref(g->acl);
    g->acl = acl_ref(acl);
    g->is_stand_in = false;
    if (!acl && (g->has_owners || g->asks.ops))
        stand_in_set(g);
    uint32_t round = (uint32_t)(g->pass >> ROUND_SHIFT) + 1;
    if (round > ROUND_MAX) {
        round = 1;
        passes_drop(sh);
    }
    g->pass = (uint8_t)(round << ROUND_SHIFT | PASS_WHOLE);
}

const struct ask_ops *gate_ask_set(struct shard *sh, const struct ask_ops *ops)
{
    struct gate *g = &sh->gate;
    const struct ask_ops *before = g->asks.ops;
    struct acl *file = g->is_stand_in ? NULL : acl_ref(g->acl);
    asks_set(&g->asks, ops);
    g->how_mask = how_mask_of(ops);
    gate_set(sh, file);
    acl_unref(file);
    return before;
}

void gate_owner_note(struct shard *sh)
{
    sh->gate.has_owners = true;
    if (!sh->gate.acl)
        gate_set(sh, NULL);
}

/* ---- what is remembered --------------------------------------------------------------------------- */

static uint32_t slot_at(const struct gate *g, const struct gate_ident *i, uint8_t kind, uint64_t hash)
{
    return (uint32_t)hash_u64(i->number, hash + kind) & (g->slots_n - 1);
}

static void slot_fill(struct gate_slot *slot, const struct gate_slot *as, struct bytes topic)
{
    char *kept = topic.n <= TOPIC_KEPT_MAX ? mem_dup(topic.p, topic.n) : NULL;
    free(slot->topic);
    *slot = (struct gate_slot){0};
    if (!kept)
        return;
    *slot = *as;
    slot->topic = kept;
    slot->topic_n = topic.n;
}

static inline const struct gate_slot *slot_find(const struct shard *sh, const struct session *s, uint8_t kind,
                                                uint64_t hash, struct bytes topic)
{
    const struct gate *g = &sh->gate;
    if (unlikely(!g->slots || !s->ident))
        return NULL;
    const struct gate_slot *slot = &g->slots[slot_at(g, s->ident, kind, hash)];
    return likely(slot->ident == s->ident->number && slot->hash == hash && slot->kind == kind &&
                  sh->now_ms < slot->until_ms && bytes_eq(bytes_of(slot->topic, slot->topic_n), topic))
               ? slot
               : NULL;
}

bool gate_remembers(struct shard *sh, const struct session *s, uint8_t kind, uint64_t match_hash,
                    struct bytes topic)
{
    sh->gate.hit = slot_find(sh, s, kind, match_hash, topic);
    return sh->gate.hit != NULL;
}

/* The topic is not compared once more: of this hash it was the one that was just found. */
static inline const struct gate_slot *hit_take(struct gate *g, const struct session *s, uint8_t kind,
                                               uint64_t hash)
{
    const struct gate_slot *hit = g->hit;
    g->hit = NULL;
    return hit && hit->ident == s->ident->number && hit->hash == hash && hit->kind == kind ? hit : NULL;
}

/* A verdict that was not remembered. */
static struct verdict verdict_find(struct shard *sh, struct session *s, uint8_t kind, uint64_t hash,
                                   struct bytes topic)
{
    struct gate *g = &sh->gate;
    uint64_t until_ms = sh->now_ms + sh->settings->acl_ttl_ms;
    struct verdict verdict = gate_judge_topic(sh, s, gate_kind_action(kind), topic);
    if (unlikely(g->asks.ops != NULL) && verdict.is_open && gate_kind_action(kind) == ACL_PUBLISH)
        verdict = gate_asked_verdict(sh, s, kind, topic, verdict, &until_ms);
    COUNT(sh, ACL_CACHE_MISS);
    if (!g->slots_n)
        return verdict;
    if (!g->slots)
        g->slots = mem_zalloc(g->slots_n * sizeof *g->slots);
    struct gate_slot as = {
        .ident = s->ident->number, .hash = hash, .until_ms = until_ms, .verdict = verdict, .kind = kind};
    slot_fill(&g->slots[slot_at(g, s->ident, kind, hash)], &as, topic);
    return verdict;
}

static inline struct verdict verdict_on(struct shard *sh, struct session *s, uint8_t kind, uint64_t hash,
                                        struct bytes topic)
{
    const struct gate_slot *slot = slot_find(sh, s, kind, hash, topic);
    if (unlikely(!slot))
        return verdict_find(sh, s, kind, hash, topic);
    COUNT(sh, ACL_CACHE_HIT);
    return slot->verdict;
}

/* ---- refusals ------------------------------------------------------------------------------------- */

/* One line a second at most: who is refused chooses how often. */
static bool refusal_log_is_due(struct shard *sh)
{
    struct gate *g = &sh->gate;
    if (!g->logged_ms || sh->now_ms >= g->logged_ms + LOG_EVERY_MS)
        return true;
    g->unlogged++;
    return false;
}

static void refusal_log(struct shard *sh, const struct acl_client *c, const char *what, struct bytes topic,
                        const char *why)
{
    char id[LOG_ESCAPED_MAX], user[LOG_ESCAPED_MAX], on[LOG_ESCAPED_MAX];
    struct gate *g = &sh->gate;
    LOG(sh->node->conf.log, LOG_NOTICE,
        "acl refused action=%s client=\"%s\" username=\"%s\" topic=\"%s\" why=\"%s\" unlogged_before=%llu",
        what, log_escape(id, c->client_id), log_escape(user, c->username), log_escape(on, topic), why,
        (unsigned long long)g->unlogged);
    g->logged_ms = sh->now_ms;
    g->unlogged = 0;
}

const char *gate_why(const struct shard *sh, const struct acl *own, struct verdict verdict)
{
    if (verdict.by == VERDICT_SERVER)
        return "Denied by the authorization server";
    if (verdict.by == VERDICT_NO_SERVER)
        return "Denied: the authorization server does not answer";
    return acl_why(verdict.by == VERDICT_OWN ? own : sh->gate.acl, verdict.rule);
}

static const char *refusal_why(struct shard *sh, struct acl *own, struct verdict verdict)
{
    if (verdict.by == VERDICT_FILE || verdict.by == VERDICT_OWN)
        acl_count_refusal(verdict.by == VERDICT_OWN ? own : sh->gate.acl, verdict.rule);
    return gate_why(sh, own, verdict);
}

static const char *refuse(struct shard *sh, const struct acl_client *c, struct acl *own, const char *what,
                          struct bytes topic, struct verdict verdict)
{
    const char *why = refusal_why(sh, own, verdict);
    if (refusal_log_is_due(sh))
        refusal_log(sh, c, what, topic, why);
    return why;
}

uint64_t gate_topic_hash(const struct shard *sh, struct bytes topic)
{
    return hash_bytes(topic.p, topic.n, sh->node->conf.seed);
}

struct bytes gate_topic(struct shard *sh, const struct session *s, struct bytes topic, uint64_t *hash)
{
    struct bytes own = mount_off(s->mount, topic);
    if (own.p != topic.p)
        *hash = gate_topic_hash(sh, own);
    return own;
}

/* ---- questions ------------------------------------------------------------------------------------ */

const char *gate_publish(struct shard *sh, struct session *s, const struct match *match, unsigned qos,
                         bool retain)
{
    struct bytes topic = bytes_of(match->topic, match->topic_n);
    uint64_t hash = match->hash;
    if (unlikely(s->mount != NULL))
        topic = gate_topic(sh, s, topic, &hash);
    uint8_t kind = gate_kind(&sh->gate, ACL_PUBLISH, qos, retain);
    const struct gate_slot *hit = sh->gate.hit ? hit_take(&sh->gate, s, kind, hash) : NULL;
    struct verdict verdict = hit ? hit->verdict : verdict_on(sh, s, kind, hash, topic);
    sh->counters.v[C_ACL_CACHE_HIT] += hit != NULL;
    if (likely(verdict.allows))
        return NULL;
    COUNT(sh, ACL_DENIED_PUBLISH);
    const char *why = refusal_why(sh, s->ident->own, verdict);
    if (unlikely(
            refusal_log_is_due(sh))) { /* a client that is denied all the time costs no more than another */
        struct acl_client c = gate_client(sh, s);
        refusal_log(sh, &c, "publish", topic, why);
    }
    return why;
}

const char *gate_subscribe(struct shard *sh, struct session *s, struct bytes filter, unsigned qos,
                           bool *is_granted)
{
    struct topic_filter f;
    bool is_whole;
    uint64_t until_ms;
    *is_granted = false;
    if (!sh->gate.acl || topic_filter_parse(filter, 0, &f) != TOPIC_OK) /* refused for its form */
        return NULL;
    struct verdict verdict = gate_judge_filter(sh, s, f.filter, &is_whole);
    if (unlikely(sh->gate.asks.ops != NULL) && verdict.is_open) {
        uint8_t kind = gate_kind(&sh->gate, ACL_SUBSCRIBE, qos, false);
        verdict = gate_asked_verdict(sh, s, kind, f.filter, verdict, &until_ms);
        *is_granted = verdict.by == VERDICT_SERVER && verdict.allows;
    }
    if (verdict.allows)
        return NULL;
    COUNT(sh, ACL_DENIED_SUBSCRIBE);
    struct acl_client c = gate_client(sh, s);
    return refuse(sh, &c, s->ident->own, "subscribe", filter, verdict);
}

const char *gate_will(const struct conn *c, struct bytes client_id, struct bytes username, struct bytes topic,
                      bool *is_granted)
{
    struct shard *sh = c->shard;
    uint8_t address[ACL_ADDRESS_N];
    struct verdict verdict = gate_judge_will(c, client_id, username, topic);
    if (sh->gate.asks.ops)
        verdict = gate_asked_will(sh, (enum hook_outcome)c->will_asked, verdict);
    *is_granted = verdict.by == VERDICT_SERVER && verdict.allows;
    if (verdict.allows)
        return NULL;
    COUNT(sh, ACL_DENIED_WILL);
    struct acl_client who = gate_client_of_connect(c, client_id, username, address);
    return refuse(sh, &who, c->acl, "will", topic, verdict);
}

bool gate_lets_will(struct shard *sh, struct session *s, struct bytes topic)
{
    if (!sh->gate.acl)
        return true;
    topic = mount_off(s->mount, delayed_topic(topic, sh->wall_ms));
    struct verdict verdict = gate_judge_topic(sh, s, ACL_PUBLISH, topic);
    if (verdict.allows || gate_is_undecided(sh, s) ||
        (verdict.is_open && sh->gate.asks.ops && s->will_granted))
        return true;
    COUNT(sh, ACL_DENIED_WILL);
    struct acl_client c = gate_client(sh, s);
    refuse(sh, &c, s->ident->own, "will", topic, verdict);
    return false;
}

/* is_granted: the server has allowed the subscription by which it comes. */
static bool lets_reach(struct shard *sh, struct session *s, struct bytes topic, bool is_granted)
{
    struct bytes seen = mount_off(s->mount, topic);
    struct verdict verdict = verdict_on(sh, s, ACL_SUBSCRIBE, gate_topic_hash(sh, seen), seen);
    if (likely(verdict.allows) || (verdict.is_open && is_granted) || gate_is_undecided(sh, s))
        return true;
    COUNT(sh, ACL_DENIED_DELIVERY); /* not logged: nobody did wrong */
    struct acl *acl = verdict.by == VERDICT_OWN ? s->ident->own : sh->gate.acl;
    note_session(s, JOURNAL_DELIVERY_DENIED, topic, 0, acl_why(acl, verdict.rule));
    acl_count_refusal(acl, verdict.rule);
    return false;
}

bool gate_lets_reach(struct shard *sh, struct session *s, struct bytes topic)
{
    return likely(!sh->gate.acl) || lets_reach(sh, s, topic, sh->gate.asks.ops && s->has_granted);
}

bool gate_lets_pass(struct shard *sh, const struct publication *p, struct subscription *sub)
{
    struct gate *g = &sh->gate;
    if (!g->acl) /* there was one when this subscription was made */
        return true;
    bool is_granted = g->asks.ops && sub->is_granted;
    if (sub->pass >> ROUND_SHIFT != g->pass >> ROUND_SHIFT) {
        bool is_whole;
        struct bytes filter = mount_off(sub->session->mount, route_filter(sub->route));
        struct verdict verdict = gate_judge_filter(sh, sub->session, filter, &is_whole);
        bool all = is_whole && (verdict.allows || (verdict.is_open && is_granted));
        sub->pass = (uint8_t)((g->pass & ~PASS_BITS) | (all ? PASS_WHOLE : PASS_BY_TOPIC));
    }
    return sub->pass == g->pass || lets_reach(sh, sub->session, p->m.topic, is_granted);
}
