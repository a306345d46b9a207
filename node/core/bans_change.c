/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/bans.h"

#include "node/core/conn_i.h"
#include "node/core/pattern.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/mqtt/packet.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* How a change of a ban reaches the store, the shards, the other nodes and the clients that it is about. */

enum { KEY_N = 16, LIST_STEP = 500, SWEEP_EVERY_MS = 10000 };

/* ---- clients -------------------------------------------------------------------------------------- */

bool ban_stops(struct conn *c, const struct connect *k)
{
    struct shard *sh = c->shard;
    struct ban_subject s = {.client_id = k->client_id, .address = c->peer.address};
    char id[LOG_ESCAPED_MAX], who[LOG_ESCAPED_MAX];
    if (c->username) /* whoever checked it says so */
        s.username = bytes_str(c->username);
    else if (k->has_username)
        s.username = k->username;
    const struct rpc_ban *b = bans_find(&sh->bans, &s, sh->wall_ms);
    if (!b)
        return false;
    LOG(sh->node->conf.log, LOG_NOTICE, "client banned peer=%s:%u client_id=\"%s\" as=%s who=\"%s\"",
        c->peer.address, c->peer.port, log_escape(id, k->client_id), ban_as_name(b->as),
        log_escape(who, b->who));
    return true;
}

static void conn_ban(struct conn *c)
{
    conn_close(c, RC_ADMINISTRATIVE_ACTION, "Banned", CONN_END_BANNED);
}

static void conn_check(struct conn *c)
{
    struct ban_subject s = {.address = c->peer.address};
    if (c->state != CONN_OPEN || !c->session)
        return;
    s.client_id = session_id(c->session);
    if (c->username)
        s.username = bytes_str(c->username);
    if (bans_find(&c->shard->bans, &s, c->shard->wall_ms))
        conn_ban(c);
}

/* Those who are connected and would not be let in any more. */
static void enforce(struct shard *sh, const struct rpc_bans *m)
{
    bool has_others = false;
    for (uint32_t i = 0; i < m->n; i++) {
        const struct rpc_ban *b = &m->items[i];
        if (!ban_is_on(b, sh->wall_ms))
            continue;
        if (b->as != BAN_CLIENT_ID) {
            has_others = true;
            continue;
        }
        struct session *s = session_find(sh, b->who);
        if (s && s->conn)
            conn_check(s->conn);
    }
    if (!has_others)
        return;
    list_each_safe(l, &sh->conns) conn_check(container_of(l, struct conn, all_link));
}

/* ---- changes -------------------------------------------------------------------------------------- */

struct ban_mail *ban_mail_new(struct bytes body)
{
    struct ban_mail *m = mem_zalloc(sizeof *m + body.n);
    m->n = body.n;
    bytes_put(m->body, body);
    return m;
}

static struct bytes store_key(uint8_t out[KEY_N], const struct rpc_ban *b)
{
    uint8_t as = (uint8_t)b->as;
    crypto_generichash(out, KEY_N, b->who.p, b->who.n, NULL, 0);
    out[0] = as; /* one table, six kinds */
    return bytes_of(out, KEY_N);
}

/* What was decided must hold in the end: a failed commit is tried again. */
static void store_put(struct shard *sh, const struct rpc_ban *b)
{
    uint8_t key[KEY_N];
    struct rpc_buf buf = {0};
    rpc_bans_put(&buf, &(struct rpc_bans){.items = (struct rpc_ban *)(uintptr_t)b, .n = 1});
    store_batch_put(&sh->persist.ops, STORE_BANS, store_key(key, b), rpc_buf_bytes(&buf));
    store_batch_put(&sh->persist.keep, STORE_BANS, store_key(key, b), rpc_buf_bytes(&buf));
    rpc_buf_fini(&buf);
}

static void store_del(void *ctx, const struct rpc_ban *b)
{
    struct shard *sh = ctx;
    uint8_t key[KEY_N];
    store_batch_del(&sh->persist.ops, STORE_BANS, store_key(key, b));
    store_batch_del(&sh->persist.keep, STORE_BANS, store_key(key, b));
}

/* Those of them that are news stay in m. */
static void take(struct shard *sh, struct rpc_bans *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        hlc_see(&sh->node->hlc, m->items[i].stamp);
        if (!bans_put(&sh->bans, &m->items[i], sh->wall_ms))
            continue;
        if (sh->number == 0 && sh->node->conf.store)
            store_put(sh, &m->items[i]);
        m->items[n++] = m->items[i];
    }
    m->n = n;
}

static void tell(struct shard *sh, uint32_t to, struct bytes body)
{
    mail_push(sh, to, &(struct mail){.kind = MAIL_BANS, .arg = ban_mail_new(body)});
}

enum audience { TELL_SHARDS, TELL_CLUSTER };

/* On shard 0. Enforced last, for that may end sessions and what they hold. */
static void spread(struct shard *sh, const struct rpc_bans *m, enum audience audience)
{
    struct rpc_buf buf = {0};
    if (m->n == 0)
        return;
    rpc_bans_put(&buf, m);
    for (uint32_t i = 1; i < sh->node->conf.shards; i++)
        tell(sh, i, rpc_buf_bytes(&buf));
    if (audience == TELL_CLUSTER && sh->node->conf.is_clustered)
        tell(sh, MAIL_TO_CLUSTER, rpc_buf_bytes(&buf));
    rpc_buf_fini(&buf);
    enforce(sh, m);
}

void bans_arrive(struct shard *sh, struct ban_mail *mail)
{
    struct bans *t = &sh->bans;
    struct rpc_bans m;
    if (!t->arena)
        t->arena = rpc_arena_new();
    rpc_arena_reset(t->arena);
    if (rpc_bans_read(&m, bytes_of(mail->body, mail->n), t->arena)) {
        take(sh, &m);
        if (sh->number == 0)
            spread(sh, &m, TELL_SHARDS);
        else
            enforce(sh, &m);
    }
    free(mail);
}

/* ---- by hand -------------------------------------------------------------------------------------- */

/* Writes an address in the one way in which it is compared; looks whether the rest can be what it says. */
static bool judge(struct rpc_ban *b, char text[IP_TEXT_N], char *why, size_t n)
{
    struct ip_net net;
    uint8_t ip[16];
    if (b->who.n == 0 || b->who.n > BAN_WHO_MAX || b->by.n > BAN_TEXT_MAX || b->reason.n > BAN_TEXT_MAX) {
        snprintf(why, n, "empty or too long");
        return false;
    }
    if (b->as == BAN_CLIENT_ID_RE || b->as == BAN_USERNAME_RE) {
        struct pattern *p = pattern_new(b->who, why, n);
        pattern_free(p);
        return p != NULL;
    }
    snprintf(why, n, "not an IP address, or network as 10.0.0.0/8");
    if (b->as == BAN_ADDRESS) {
        if (!ip_parse(ip, b->who))
            return false;
        b->who = bytes_str(ip_text(text, ip));
    } else if (b->as == BAN_NET) {
        if (!ip_net_parse(&net, b->who))
            return false;
        b->who = bytes_str(ip_net_text(text, &net));
    }
    return true;
}

/* Is there room for one more of the kind? */
static bool has_room(const struct bans *t, enum rpc_ban_as as)
{
    uint32_t nets = 0, patterns = 0;
    list_each_safe(l, &t->nets) nets++;
    list_each_safe(l, &t->patterns) patterns++;
    if (as == BAN_NET && nets >= BANS_NETS_MAX)
        return false;
    if ((as == BAN_CLIENT_ID_RE || as == BAN_USERNAME_RE) && patterns >= BANS_PATTERNS_MAX)
        return false;
    return t->all.n < BANS_MAX;
}

static void change(struct shard *sh, struct rpc_ban *b)
{
    struct rpc_bans m = {.items = b, .n = 1};
    b->stamp = hlc_now(&sh->node->hlc, sh->wall_ms);
    b->node = sh->node->tag;
    take(sh, &m);
    spread(sh, &m, TELL_CLUSTER);
}

bool ban_add(struct shard *sh, const struct rpc_ban *ban, char *why, size_t n)
{
    char text[IP_TEXT_N];
    struct rpc_ban b = *ban;
    CHECK(sh->number == 0);
    if (!judge(&b, text, why, n))
        return false;
    if (b.until_ms && b.until_ms <= sh->wall_ms) {
        snprintf(why, n, "it would be over already");
        return false;
    }
    if (!bans_get(&sh->bans, b.as, b.who) && !has_room(&sh->bans, b.as)) {
        snprintf(why, n, "too many of this kind");
        return false;
    }
    b.at_ms = sh->wall_ms;
    b.is_gone = false;
    change(sh, &b);
    return true;
}

bool ban_del(struct shard *sh, enum rpc_ban_as as, struct bytes who)
{
    char text[IP_TEXT_N], why[128];
    struct rpc_ban b = {.as = as, .who = who, .at_ms = sh->wall_ms, .is_gone = true};
    CHECK(sh->number == 0);
    if (as == BAN_ADDRESS || as == BAN_NET)
        judge(&b, text, why, sizeof why);
    const struct ban *old = bans_get(&sh->bans, b.as, b.who);
    if (!old || !ban_is_on(&old->b, sh->wall_ms))
        return false;
    change(sh, &b);
    return true;
}

/* ---- listing -------------------------------------------------------------------------------------- */

/* A few hundred from *place on. False: that was all. */
static bool pack(struct shard *sh, uint32_t *place, struct rpc_buf *out,
                 bool (*wanted)(const struct rpc_ban *b, uint64_t wall_ms))
{
    struct rpc_ban items[LIST_STEP];
    uint32_t n = 0;
    const struct ban *e = NULL;
    while (n < LIST_STEP && (e = ptrtab_next(&sh->bans.all, place))) {
        if (!wanted || wanted(&e->b, sh->wall_ms))
            items[n++] = e->b;
    }
    rpc_bans_put(out, &(struct rpc_bans){.items = items, .n = n});
    return e != NULL;
}

bool bans_list(struct shard *sh, uint32_t *place, struct rpc_buf *out)
{
    return pack(sh, place, out, ban_is_on);
}

void bans_tell_all(struct shard *sh, void *arg)
{
    struct ban_mail *to = arg;
    struct rpc_buf buf = {0};
    uint32_t place = 0;
    bool more = true;
    while (more) {
        rpc_buf_reset(&buf);
        more = pack(sh, &place, &buf, NULL);
        struct ban_mail *m = ban_mail_new(rpc_buf_bytes(&buf));
        m->to = to->to;
        m->life = to->life;
        mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_BANS, .arg = m});
    }
    rpc_buf_fini(&buf);
    free(to);
}

/* ---- time ----------------------------------------------------------------------------------------- */

void bans_tick(struct shard *sh)
{
    struct bans *t = &sh->bans;
    if (t->all.n == 0 || sh->now_ms < t->sweep_ms)
        return;
    t->sweep_ms = sh->now_ms + SWEEP_EVERY_MS;
    bool stores = sh->number == 0 && sh->node->conf.store;
    bans_sweep(t, sh->wall_ms, stores ? store_del : NULL, sh);
}

/* ---- at the start --------------------------------------------------------------------------------- */

static void load_one(struct node *n, struct bytes value, struct rpc_arena *a)
{
    struct rpc_bans m;
    rpc_arena_reset(a);
    if (!rpc_bans_read(&m, value, a) || m.n != 1 || m.items[0].stamp >= HLC_STAMP_MAX) {
        LOG(n->conf.log, LOG_ERROR, "store damaged ban skipped");
        return;
    }
    hlc_see(&n->hlc, m.items[0].stamp);
    for (uint32_t i = 0; i < n->conf.shards; i++)
        bans_put(&n->shards[i]->bans, &m.items[0], n->conf.boot_wall_ms);
}

enum err bans_load(struct node *n)
{
    static const uint8_t first = 0;
    struct bytes key, value;
    struct store_reader *r = n->shards[0]->reader;
    enum err e = store_read_begin(r);
    if (e != OK)
        return e;
    struct rpc_arena *a = rpc_arena_new();
    e = store_seek(r, STORE_BANS, bytes_of(&first, 1), &key, &value);
    for (; (e == OK || e == ERR_CORRUPT) && key.n; e = store_next(r, &key, &value)) {
        if (e == OK)
            load_one(n, value, a);
        else
            LOG(n->conf.log, LOG_ERROR, "store damaged ban skipped");
    }
    rpc_arena_free(a);
    store_read_end(r);
    return OK;
}
