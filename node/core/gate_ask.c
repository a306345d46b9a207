/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/gate_ask.h"

#include "node/core/conn_i.h"
#include "node/core/enhanced.h"
#include "node/core/deliver.h"
#include "node/core/gate_i.h"
#include "node/core/identity.h"
#include "node/core/mount.h"
#include "node/core/parked.h"
#include "node/core/rewrite.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Of one connection at one time: a long SUBSCRIBE does not take all the threads that ask. */
enum { UNDER_WAY_MAX = 4 };

struct item {
    struct bytes topic; /* owned */
    uint64_t hash;
    uint64_t until_ms; /* how long the answer is remembered; 0: it is not */
    uint8_t kind;
    uint8_t qos;
    bool retain;
    uint8_t said; /* enum hook_outcome */
};

/* The verdicts that one packet waits for. */
struct asked {
    struct conn *conn;
    uint64_t ident;
    uint32_t round;        /* see struct asks */
    struct list under_way; /* struct gate_question */
    uint32_t under_way_n;
    struct item *items;
    uint32_t n, cap;
    uint32_t next; /* to be asked */
    uint32_t left; /* not answered yet */
    uint32_t at;   /* where the last one was found: they are looked for in their order */
};

/* ---- life ----------------------------------------------------------------------------------------- */

static void asked_free(struct asked *a)
{
    struct list *l;
    if (!a)
        return;
    while ((l = list_pop(&a->under_way))) {
        struct gate_question *q = container_of(l, struct gate_question, link);
        q->asked = NULL;
        __atomic_store_n(&q->is_gone, 1, __ATOMIC_RELAXED);
    }
    for (uint32_t i = 0; i < a->n; i++)
        free((void *)(uintptr_t)a->items[i].topic.p);
    free(a->items);
    free(a);
}

void asks_init(struct asks *a, const struct ask_ops *ops)
{
    *a = (struct asks){.ops = ops, .next = 1};
    recall_init(&a->recall, ops && ops->recall_ms ? ops->recalled_max : 0);
    list_init(&a->parked);
}

void asks_fini(struct asks *a)
{
    recall_fini(&a->recall);
    asked_free(a->ready);
    parked_free_all(&a->parked);
}

void asks_forget(struct asks *a)
{
    recall_reset(&a->recall);
}

void asks_set(struct asks *a, const struct ask_ops *ops)
{
    recall_fini(&a->recall);
    recall_init(&a->recall, ops && ops->recall_ms ? ops->recalled_max : 0);
    asked_free(a->ready);
    a->ready = NULL;
    a->ops = ops;
    a->round++;
    if (!ops)
        a->since = a->round;
}

void gate_ask_forget(struct conn *c)
{
    asked_free(c->asked);
    c->asked = NULL;
}

bool gate_ask_waits(const struct conn *c)
{
    return c->asked && c->asked->left;
}

/* ---- questions ------------------------------------------------------------------------------------ */

static void count(struct shard *sh, enum hook_outcome o)
{
    _Static_assert(C_ACL_HTTP_RECALLED - C_ACL_HTTP_ALLOW == HOOK_RECALLED - HOOK_SAID_ALLOW, "in order");
    if (o != HOOK_NOT_ASKED)
        sh->counters.v[C_ACL_HTTP_ALLOW + o - HOOK_SAID_ALLOW]++;
}

static struct gate_question *ask_new(const struct conn *c, struct bytes client_id, struct bytes username,
                                     const struct item *i)
{
    static const char *const qos_names[] = {"0", "1", "2"};
    struct bytes peerhost = bytes_str(c->peer.address);
    struct bytes cert_name = c->identity ? c->identity->cert_name : bytes_of(NULL, 0);
    size_t n = (size_t)client_id.n + username.n + peerhost.n + cert_name.n + i->topic.n;
    struct gate_question *q = mem_alloc(sizeof *q + n);
    uint8_t *at = q->data;
    *q = (struct gate_question){.shard = c->shard->number};
    list_init(&q->link);
    q->values = (struct hook_values){
        .client_id = bytes_keep(&at, client_id),
        .username = bytes_keep(&at, username),
        .peerhost = bytes_keep(&at, peerhost),
        .cert_common_name = bytes_keep(&at, cert_name),
        .topic = bytes_keep(&at, i->topic),
        .action = bytes_str(gate_kind_action(i->kind) == ACL_PUBLISH ? "publish" : "subscribe"),
        .qos = bytes_str(qos_names[i->qos]),
        .retain = bytes_str(i->retain ? "true" : "false"),
    };
    return q;
}

/* Asks for as many as may be under way. */
static void asked_go_on(struct asked *a)
{
    struct conn *c = a->conn;
    struct shard *sh = c->shard;
    const struct ask_ops *ops = sh->gate.asks.ops;
    const struct session *s = c->session;
    struct bytes username = s->username ? bytes_str(s->username) : bytes_of(NULL, 0);
    for (; a->next < a->n && a->under_way_n < UNDER_WAY_MAX; a->next++) {
        struct item *i = &a->items[a->next];
        if (!ops) { /* there is no server any more: `said` stays HOOK_NOT_ASKED */
            a->left--;
            continue;
        }
        struct gate_question *q = ask_new(c, session_id(s), username, i);
        q->asked = a;
        q->item = a->next;
        list_push(&a->under_way, &q->link);
        a->under_way_n++;
        if (ops->ask(ops->ctx, q))
            continue;
        list_del(&q->link);
        a->under_way_n--;
        a->left--;
        i->said = HOOK_QUEUE_FULL;
        count(sh, HOOK_QUEUE_FULL);
        free(q);
    }
}

static void asked_add(struct asked **a, struct conn *c, const struct item *like)
{
    if (!*a) {
        *a = mem_zalloc(sizeof **a);
        (*a)->conn = c;
        (*a)->ident = c->session->ident->number;
        (*a)->round = c->shard->gate.asks.round;
        list_init(&(*a)->under_way);
    }
    if ((*a)->n == (*a)->cap) {
        (*a)->cap = (*a)->cap ? (*a)->cap * 2 : 1;
        (*a)->items = mem_realloc((*a)->items, (*a)->cap * sizeof *(*a)->items);
    }
    struct item *i = &(*a)->items[(*a)->n++];
    *i = *like;
    i->topic = bytes_of(mem_dup(like->topic.p, like->topic.n), like->topic.n);
    (*a)->left++;
}

/* True: the packet waits. */
static bool asked_begin(struct conn *c, struct asked *a)
{
    if (!a)
        return false;
    asked_go_on(a);
    if (!a->left) { /* nothing could be asked */
        asked_free(c->shard->gate.asks.ready);
        c->shard->gate.asks.ready = a;
        return false;
    }
    c->asked = a;
    conn_pace(c);
    return true;
}

/* Answers for an earlier packet go, those for this one, if any, take their place. */
static void ready_take(struct conn *c)
{
    struct asks *asks = &c->shard->gate.asks;
    CHECK(!gate_ask_waits(c));
    asked_free(asks->ready);
    asks->ready = c->asked;
    c->asked = NULL;
    if (asks->ready && asks->ready->round < asks->since) {
        asked_free(asks->ready);
        asks->ready = NULL;
    }
}

/* ---- answers -------------------------------------------------------------------------------------- */

static const struct item *ready_find(struct asked *a, uint64_t ident, uint8_t kind, uint64_t hash,
                                     struct bytes topic)
{
    if (!a || a->ident != ident)
        return NULL;
    for (uint32_t n = 0; n < a->n; n++, a->at++) {
        a->at = a->at < a->n ? a->at : 0;
        const struct item *i = &a->items[a->at];
        if (i->hash == hash && i->kind == kind && bytes_eq(i->topic, topic))
            return i;
    }
    return NULL;
}

static bool is_answered(struct shard *sh, const struct session *s, uint8_t kind, uint64_t hash,
                        struct bytes topic)
{
    struct asks *asks = &sh->gate.asks;
    return ready_find(asks->ready, s->ident->number, kind, hash, topic) ||
           recall_find(&asks->recall, s->ident->number, kind, hash, topic, sh->now_ms);
}

static struct verdict verdict_of(const struct ask_ops *ops, enum hook_outcome said, struct verdict v)
{
    switch (said) {
    case HOOK_SAID_ALLOW:
        return (struct verdict){.by = VERDICT_SERVER, .allows = true};
    case HOOK_SAID_DENY:
        return (struct verdict){.by = VERDICT_SERVER};
    case HOOK_FAILED:
    case HOOK_LEFT_ALONE:
    case HOOK_QUEUE_FULL:
        if (!ops->failure_ignores)
            return (struct verdict){.by = VERDICT_NO_SERVER};
        break;
    case HOOK_NOT_ASKED:
    case HOOK_SAID_IGNORE:
    case HOOK_SAID_NOTHING:
    case HOOK_RECALLED:
        break;
    }
    return v;
}

struct verdict gate_asked_verdict(struct shard *sh, const struct session *s, uint8_t kind, struct bytes topic,
                                  struct verdict v, uint64_t *until_ms)
{
    struct asks *asks = &sh->gate.asks;
    uint64_t hash = gate_topic_hash(sh, topic);
    const struct item *i = ready_find(asks->ready, s->ident->number, kind, hash, topic);
    if (i) {
        *until_ms = i->until_ms;
        return verdict_of(asks->ops, (enum hook_outcome)i->said, v);
    }
    const struct recalled *r = recall_find(&asks->recall, s->ident->number, kind, hash, topic, sh->now_ms);
    if (!r)
        return v;
    count(sh, HOOK_RECALLED);
    *until_ms = r->until_ms;
    return verdict_of(asks->ops, (enum hook_outcome)r->answer, v);
}

struct verdict gate_asked_will(const struct shard *sh, enum hook_outcome said, struct verdict v)
{
    return v.is_open ? verdict_of(sh->gate.asks.ops, said, v) : v;
}

const char *gate_explain(struct shard *sh, struct session *s, enum acl_action action, struct bytes topic)
{
    if (!sh->gate.acl)
        return NULL;
    struct verdict verdict = gate_judge_topic(sh, s, action, mount_off(s->mount, topic));
    if (verdict.allows || (action == ACL_SUBSCRIBE && gate_is_undecided(sh, s)))
        return NULL;
    if (verdict.is_open && sh->gate.asks.ops && (action == ACL_PUBLISH || s->has_granted))
        return NULL; /* the server decides, or has decided */
    return gate_why(sh, s->ident->own, verdict);
}

static void answer_take(struct shard *sh, struct asked *a, const struct gate_question *q)
{
    const struct ask_ops *ops = sh->gate.asks.ops;
    struct item *i = &a->items[q->item];
    struct conn *c = a->conn;
    i->said = (uint8_t)q->outcome;
    bool is_kept =
        q->outcome == HOOK_SAID_ALLOW || q->outcome == HOOK_SAID_DENY || q->outcome == HOOK_SAID_IGNORE;
    if (is_kept && ops && ops->recall_ms && a->round == sh->gate.asks.round) {
        i->until_ms = sh->now_ms + ops->recall_ms;
        recall_put(&sh->gate.asks.recall, a->ident, i->kind, i->hash, i->topic, i->said, i->until_ms);
    }
    a->under_way_n--;
    a->left--;
    asked_go_on(a);
    if (a->left)
        return;
    c->rx_ms = sh->now_ms; /* it was silent because nobody listened */
    conn_pace(c);
}

static void will_answer_take(struct shard *sh, const struct gate_question *q)
{
    struct connect k;
    struct fault f;
    struct parked *p = parked_take(&sh->gate.asks.parked, q->token);
    if (p && p->conn) {
        CHECK(decode_connect(p->body, p->n, &k, &f)); /* it was good before */
        sh->connecting = k.client_id;
        p->conn->will_asked = (uint8_t)q->outcome;
        connect_asked(p->conn, &k, p->body, p->n);
        if (p->conn->state != CONN_NEW) /* else it waits for the cluster */
            enhanced_end(p->conn);
    }
    parked_free(p);
}

void gate_on_answer(struct shard *sh, void *arg)
{
    struct gate_question *q = arg;
    struct asked *a = q->asked;
    count(sh, q->outcome);
    list_del(&q->link);
    if (a)
        answer_take(sh, a, q);
    else if (q->token)
        will_answer_take(sh, q);
    free(q);
}

void gate_ask_drop(void *arg)
{
    struct gate_question *q = arg;
    list_del(&q->link);
    free(q);
}

/* ---- packets -------------------------------------------------------------------------------------- */

static bool publish_is_open(struct shard *sh, struct session *s, uint8_t kind, uint64_t match_hash,
                            struct bytes topic)
{
    return !gate_remembers(sh, s, kind, match_hash, topic) &&
           gate_judge_topic(sh, s, ACL_PUBLISH, topic).is_open &&
           !is_answered(sh, s, kind, gate_topic_hash(sh, topic), topic);
}

bool gate_ask_publish(struct conn *c, const struct publish *p, const struct match **match)
{
    struct shard *sh = c->shard;
    const struct match *m = *match;
    struct asked *a = NULL;
    enum topic_verdict verdict;
    if (unlikely(c->asked || sh->gate.asks.ready))
        ready_take(c);
    struct bytes topic = p->m.topic;
    if (unlikely(m->special == TOPIC_DELAYED)) {
        topic = delayed_topic(topic, sh->wall_ms);
        if (topic.p == p->m.topic.p)
            return false; /* refused for its form */
        m = subs_match(&sh->subs, topic, &verdict);
        *match = NULL;
    }
    uint8_t kind = gate_kind(&sh->gate, ACL_PUBLISH, p->m.qos, p->m.retain);
    uint64_t hash = m ? m->hash : 0;
    topic = gate_topic(sh, c->session, topic, &hash);
    if (m && m->special != TOPIC_DELAYED && !match_is_reserved(m, c) &&
        publish_is_open(sh, c->session, kind, hash, topic))
        asked_add(&a, c,
                  &(struct item){.topic = topic,
                                 .hash = gate_topic_hash(sh, topic),
                                 .kind = kind,
                                 .qos = (uint8_t)p->m.qos,
                                 .retain = p->m.retain});
    if (!*match)
        *match = subs_match(&sh->subs, p->m.topic, &verdict);
    return asked_begin(c, a);
}

bool gate_ask_subscribe(struct conn *c, const struct subscribe *sub)
{
    struct shard *sh = c->shard;
    struct subscribe at = *sub;
    struct subscribe_item item;
    struct asked *a = NULL;
    bool is_whole;
    ready_take(c);
    while (subscribe_next(&at, c->version, &item)) {
        struct topic_filter f;
        if (sh->rewrite)
            item.filter = rewrite_of(c->session, REWRITE_SUBSCRIBE, item.filter);
        if (topic_filter_parse(item.filter, 0, &f) != TOPIC_OK)
            continue;
        uint8_t kind = gate_kind(&sh->gate, ACL_SUBSCRIBE, item.qos, false);
        uint64_t hash = gate_topic_hash(sh, f.filter);
        if (gate_judge_filter(sh, c->session, f.filter, &is_whole).is_open &&
            !is_answered(sh, c->session, kind, hash, f.filter))
            asked_add(&a, c, &(struct item){.topic = f.filter, .hash = hash, .kind = kind, .qos = item.qos});
    }
    return asked_begin(c, a);
}

bool gate_ask_will(struct conn *c, const struct connect *k, struct bytes username, const uint8_t *body,
                   uint32_t n)
{
    struct shard *sh = c->shard;
    struct asks *asks = &sh->gate.asks;
    struct bytes topic = k->will.topic;
    if (sh->rewrite)
        topic = rewrite_topic(sh->rewrite, REWRITE_PUBLISH, topic, k->client_id, username);
    struct item i = {.topic = delayed_topic(topic, sh->wall_ms),
                     .kind = gate_kind(&sh->gate, ACL_PUBLISH, k->will.qos, k->will.retain),
                     .qos = (uint8_t)k->will.qos,
                     .retain = k->will.retain};
    if (!gate_judge_will(c, k->client_id, username, topic).is_open)
        return false;
    struct gate_question *q = ask_new(c, k->client_id, username, &i);
    q->token = asks->next++;
    uint64_t token = q->token;
    uint32_t *is_gone = &q->is_gone;
    if (!asks->ops->ask(asks->ops->ctx, q)) {
        count(sh, HOOK_QUEUE_FULL);
        c->will_asked = HOOK_QUEUE_FULL;
        free(q);
        return false;
    }
    parked_new(&asks->parked, c, token, body, n)->is_gone = is_gone;
    return true;
}
