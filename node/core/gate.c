/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/gate.h"

#include "node/core/deliver.h"
#include "node/core/identity.h"
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

struct verdict {
    uint32_t rule; /* as acl.h counts */
    bool is_own;   /* one of the client's own */
    bool allows;
};

/* A verdict that is remembered. */
struct gate_slot {
    uint64_t ident; /* 0: empty */
    uint64_t hash;
    uint64_t until_ms;
    char *topic;
    uint32_t topic_n;
    uint8_t action;
    struct verdict verdict;
};

void gate_init(struct gate *g, struct acl *acl, uint32_t slots)
{
    uint32_t n = slots ? 1 : 0;
    while (n && n < slots)
        n *= 2;
    *g = (struct gate){.acl = acl_ref(acl), .slots_n = n};
    if (acl)
        g->pass = 1 << ROUND_SHIFT | PASS_WHOLE;
}

static void slots_drop(struct gate *g)
{
    for (uint32_t i = 0; g->slots && i < g->slots_n; i++)
        free(g->slots[i].topic);
    free(g->slots);
    g->slots = NULL;
}

void gate_fini(struct gate *g)
{
    slots_drop(g);
    acl_unref(g->acl);
}

void gate_forget(struct shard *sh)
{
    slots_drop(&sh->gate);
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

/* Takes the reference. */
static void acl_change(struct shard *sh, struct acl *acl)
{
    struct gate *g = &sh->gate;
    slots_drop(g);
    acl_unref(g->acl);
    g->acl = acl;
    uint32_t round = (uint32_t)(g->pass >> ROUND_SHIFT) + 1;
    if (round > ROUND_MAX) {
        round = 1;
        passes_drop(sh);
    }
    g->pass = (uint8_t)(round << ROUND_SHIFT | PASS_WHOLE);
}

/* There is nothing but clients' own rules. */
static void stand_in_set(struct shard *sh)
{
    struct acl_fault fault;
    acl_change(sh, acl_parse(bytes_of("", 0), ACL_ALLOW, &fault));
    sh->gate.is_stand_in = true;
}

void gate_set(struct shard *sh, struct acl *acl)
{
    struct gate *g = &sh->gate;
    if (!acl && g->has_owners) {
        stand_in_set(sh);
        return;
    }
    acl_change(sh, acl_ref(acl));
    g->is_stand_in = false;
}

/* A client has brought rules. */
static void owner_note(struct shard *sh)
{
    sh->gate.has_owners = true;
    if (!sh->gate.acl)
        stand_in_set(sh);
}

/* ---- who ------------------------------------------------------------------------------------------ */

static struct bytes cert_name_of(const struct conn *c)
{
    return c && c->identity ? c->identity->cert_name : bytes_of(NULL, 0);
}

static void ident_set(struct shard *sh, struct session *s)
{
    struct bytes cert_name = cert_name_of(s->conn);
    gate_ident_free(s->ident);
    s->ident = mem_zalloc(sizeof *s->ident + cert_name.n);
    s->ident->number = ++sh->gate.ident_next;
    s->ident->is_partial = !s->conn;
    s->ident->cert_name_n = (uint16_t)cert_name.n;
    bytes_put(s->ident->cert_name, cert_name);
    s->ident->is_superuser = s->conn && s->conn->is_superuser;
    if (s->conn) {
        s->ident->has_address = acl_address(s->conn->peer.address, s->ident->address);
        s->ident->own = acl_ref(s->conn->acl);
    }
}

void gate_ident_free(struct gate_ident *i)
{
    if (i)
        acl_unref(i->own);
    free(i);
}

void gate_on_attach(struct shard *sh, struct session *s)
{
    if (s->conn->acl)
        owner_note(sh);
    if (!sh->gate.acl) { /* what the connection before was does not count when there are rules again */
        gate_ident_free(s->ident);
        s->ident = NULL;
        return;
    }
    ident_set(sh, s);
    for (uint32_t i = 0; i < s->subs_n; i++)
        s->subs[i]->pass = 0;
}

static struct acl_client client_of(struct shard *sh, struct session *s)
{
    if (!s->ident)
        ident_set(sh, s);
    return (struct acl_client){
        .client_id = session_id(s),
        .username = s->username ? bytes_str(s->username) : bytes_of(NULL, 0),
        .address = s->ident->has_address ? s->ident->address : NULL,
        .cert_name = bytes_of(s->ident->cert_name, s->ident->cert_name_n),
        .is_partial = s->ident->is_partial,
    };
}

/* ---- whose rules ---------------------------------------------------------------------------------- */

/* rule: of the file, or of what stands in for it; own: the client's, of which none fits. */
static struct verdict verdict_of_file(const struct shard *sh, const struct acl *own, uint32_t rule)
{
    bool allows = acl_allows(sh->gate.acl, rule);
    return (struct verdict){
        .rule = rule, .allows = own && sh->gate.is_stand_in ? sh->settings->acl_lets_unmatched : allows};
}

static struct verdict verdict_of_own(const struct acl *own, uint32_t rule)
{
    return (struct verdict){.rule = rule, .is_own = true, .allows = acl_allows(own, rule)};
}

static struct verdict judge_topic(const struct shard *sh, const struct acl_client *c, const struct acl *own,
                                  enum acl_action action, struct bytes topic)
{
    if (unlikely(own != NULL)) {
        uint32_t rule = acl_on_topic(own, c, action, topic);
        if (acl_decides(own, rule))
            return verdict_of_own(own, rule);
    }
    return verdict_of_file(sh, own, acl_on_topic(sh->gate.acl, c, action, topic));
}

/* *is_whole as of acl_on_filter(). */
static struct verdict judge_filter(const struct shard *sh, const struct acl_client *c, const struct acl *own,
                                   struct bytes filter, bool *is_whole)
{
    bool is_whole_of_own = true;
    if (own) {
        uint32_t rule = acl_on_filter(own, c, filter, &is_whole_of_own);
        *is_whole = is_whole_of_own;
        if (acl_decides(own, rule))
            return verdict_of_own(own, rule);
    }
    uint32_t rule = acl_on_filter(sh->gate.acl, c, filter, is_whole);
    *is_whole &= is_whole_of_own;
    return verdict_of_file(sh, own, rule);
}

/* A client that is not there yet may have been allowed by rules of its own, which are not known. What waits
 * for it is looked at when it is there. */
static bool is_undecided(const struct shard *sh, const struct session *s)
{
    return s->ident->is_partial && sh->settings->acl_by_token;
}

/* ---- what is remembered --------------------------------------------------------------------------- */

static void slot_fill(struct shard *sh, struct gate_slot *slot, const struct gate_slot *as,
                      struct bytes topic)
{
    char *kept = topic.n <= TOPIC_KEPT_MAX ? mem_dup(topic.p, topic.n) : NULL;
    free(slot->topic);
    *slot = (struct gate_slot){0};
    if (!kept)
        return;
    *slot = *as;
    slot->topic = kept;
    slot->topic_n = topic.n;
    slot->until_ms = sh->now_ms + sh->settings->acl_ttl_ms;
}

static uint32_t slot_at(const struct gate *g, const struct gate_ident *i, enum acl_action action,
                        uint64_t hash)
{
    return (uint32_t)hash_u64(i->number, hash + action) & (g->slots_n - 1);
}

/* A verdict that was not remembered. */
static struct verdict verdict_find(struct shard *sh, struct session *s, enum acl_action action, uint64_t hash,
                                   struct bytes topic)
{
    struct gate *g = &sh->gate;
    struct acl_client c = client_of(sh, s);
    struct verdict verdict = s->ident->is_superuser ? (struct verdict){.allows = true}
                                                    : judge_topic(sh, &c, s->ident->own, action, topic);
    COUNT(sh, ACL_CACHE_MISS);
    if (!g->slots_n)
        return verdict;
    if (!g->slots)
        g->slots = mem_zalloc(g->slots_n * sizeof *g->slots);
    struct gate_slot as = {
        .ident = s->ident->number, .hash = hash, .verdict = verdict, .action = (uint8_t)action};
    slot_fill(sh, &g->slots[slot_at(g, s->ident, action, hash)], &as, topic);
    return verdict;
}

static inline struct verdict verdict_on(struct shard *sh, struct session *s, enum acl_action action,
                                        uint64_t hash, struct bytes topic)
{
    struct gate *g = &sh->gate;
    if (likely(g->slots && s->ident)) {
        const struct gate_slot *slot = &g->slots[slot_at(g, s->ident, action, hash)];
        if (likely(slot->ident == s->ident->number && slot->hash == hash && slot->action == action &&
                   sh->now_ms < slot->until_ms && bytes_eq(bytes_of(slot->topic, slot->topic_n), topic))) {
            COUNT(sh, ACL_CACHE_HIT);
            return slot->verdict;
        }
    }
    return verdict_find(sh, s, action, hash, topic);
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

/* Counts the refusal. own: the client's rules, NULL: it has none. */
static const char *refusal_why(struct shard *sh, struct acl *own, struct verdict verdict)
{
    struct acl *acl = verdict.is_own ? own : sh->gate.acl;
    acl_count_refusal(acl, verdict.rule);
    return acl_why(acl, verdict.rule);
}

static const char *refuse(struct shard *sh, const struct acl_client *c, struct acl *own, const char *what,
                          struct bytes topic, struct verdict verdict)
{
    const char *why = refusal_why(sh, own, verdict);
    if (refusal_log_is_due(sh))
        refusal_log(sh, c, what, topic, why);
    return why;
}

/* Rules are about topics as the client has them, without its mountpoint. */
static uint64_t hash_of(struct shard *sh, struct bytes topic)
{
    return hash_bytes(topic.p, topic.n, sh->node->conf.seed);
}

/* ---- questions ------------------------------------------------------------------------------------ */

const char *gate_publish(struct shard *sh, struct session *s, const struct match *match)
{
    struct bytes topic = bytes_of(match->topic, match->topic_n);
    uint64_t hash = match->hash;
    if (unlikely(s->mount != NULL)) {
        topic = mount_off(s->mount, topic);
        hash = hash_of(sh, topic);
    }
    struct verdict verdict = verdict_on(sh, s, ACL_PUBLISH, hash, topic);
    if (likely(verdict.allows))
        return NULL;
    COUNT(sh, ACL_DENIED_PUBLISH);
    const char *why = refusal_why(sh, s->ident->own, verdict);
    if (unlikely(
            refusal_log_is_due(sh))) { /* a client that is denied all the time costs no more than another */
        struct acl_client c = client_of(sh, s);
        refusal_log(sh, &c, "publish", topic, why);
    }
    return why;
}

const char *gate_subscribe(struct shard *sh, struct session *s, struct bytes filter)
{
    struct topic_filter f;
    bool is_whole;
    if (!sh->gate.acl || topic_filter_parse(filter, 0, &f) != TOPIC_OK) /* refused for its form */
        return NULL;
    struct acl_client c = client_of(sh, s);
    if (s->ident->is_superuser)
        return NULL;
    struct verdict verdict = judge_filter(sh, &c, s->ident->own, f.filter, &is_whole);
    if (verdict.allows)
        return NULL;
    COUNT(sh, ACL_DENIED_SUBSCRIBE);
    return refuse(sh, &c, s->ident->own, "subscribe", filter, verdict);
}

const char *gate_will(const struct conn *c, struct bytes client_id, struct bytes username, struct bytes topic)
{
    struct shard *sh = c->shard;
    uint8_t address[ACL_ADDRESS_N];
    if (c->acl)
        owner_note(sh);
    if (!sh->gate.acl || c->is_superuser)
        return NULL;
    struct acl_client who = {.client_id = client_id,
                             .username = username,
                             .cert_name = cert_name_of(c),
                             .address = acl_address(c->peer.address, address) ? address : NULL};
    struct verdict verdict = judge_topic(sh, &who, c->acl, ACL_PUBLISH, delayed_topic(topic, sh->wall_ms));
    if (verdict.allows)
        return NULL;
    COUNT(sh, ACL_DENIED_WILL);
    return refuse(sh, &who, c->acl, "will", topic, verdict);
}

bool gate_lets_will(struct shard *sh, struct session *s, struct bytes topic)
{
    if (!sh->gate.acl)
        return true;
    struct acl_client c = client_of(sh, s);
    if (s->ident->is_superuser)
        return true;
    topic = mount_off(s->mount, delayed_topic(topic, sh->wall_ms));
    struct verdict verdict = judge_topic(sh, &c, s->ident->own, ACL_PUBLISH, topic);
    if (verdict.allows || is_undecided(sh, s))
        return true;
    COUNT(sh, ACL_DENIED_WILL);
    refuse(sh, &c, s->ident->own, "will", topic, verdict);
    return false;
}

bool gate_lets_reach(struct shard *sh, struct session *s, struct bytes topic)
{
    if (likely(!sh->gate.acl))
        return true;
    struct bytes seen = mount_off(s->mount, topic);
    struct verdict verdict = verdict_on(sh, s, ACL_SUBSCRIBE, hash_of(sh, seen), seen);
    if (likely(verdict.allows) || is_undecided(sh, s))
        return true;
    COUNT(sh, ACL_DENIED_DELIVERY); /* not logged: nobody did wrong */
    struct acl *acl = verdict.is_own ? s->ident->own : sh->gate.acl;
    note_session(s, JOURNAL_DELIVERY_DENIED, topic, 0, acl_why(acl, verdict.rule));
    acl_count_refusal(acl, verdict.rule);
    return false;
}

bool gate_lets_pass(struct shard *sh, const struct publication *p, struct subscription *sub)
{
    struct gate *g = &sh->gate;
    if (!g->acl) /* there was one when this subscription was made */
        return true;
    if (sub->pass >> ROUND_SHIFT != g->pass >> ROUND_SHIFT) {
        bool is_whole;
        struct acl_client c = client_of(sh, sub->session);
        struct bytes filter = mount_off(sub->session->mount, route_filter(sub->route));
        struct verdict verdict = judge_filter(sh, &c, sub->session->ident->own, filter, &is_whole);
        bool all = sub->session->ident->is_superuser || (is_whole && verdict.allows);
        sub->pass = (uint8_t)((g->pass & ~PASS_BITS) | (all ? PASS_WHOLE : PASS_BY_TOPIC));
    }
    return sub->pass == g->pass || gate_lets_reach(sh, sub->session, p->m.topic);
}

const char *gate_explain(struct shard *sh, struct session *s, enum acl_action action, struct bytes topic)
{
    if (!sh->gate.acl)
        return NULL;
    struct acl_client c = client_of(sh, s);
    struct verdict verdict = judge_topic(sh, &c, s->ident->own, action, mount_off(s->mount, topic));
    if (verdict.allows || (action == ACL_SUBSCRIBE && is_undecided(sh, s)))
        return NULL;
    return acl_why(verdict.is_own ? s->ident->own : sh->gate.acl, verdict.rule);
}
