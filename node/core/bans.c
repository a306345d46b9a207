/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/bans.h"

#include "node/core/hlc.h"
#include "node/core/pattern.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { TOMBSTONE_MS = 24 * 3600 * 1000, SWEEP_STEP = 256 };

static const char *const as_names[BAN_AS_END] = {
    [BAN_CLIENT_ID] = "clientid", [BAN_USERNAME] = "username",        [BAN_ADDRESS] = "peerhost",
    [BAN_NET] = "peerhost_net",   [BAN_CLIENT_ID_RE] = "clientid_re", [BAN_USERNAME_RE] = "username_re",
};

const char *ban_as_name(enum rpc_ban_as as)
{
    return as_names[as];
}

bool ban_as_parse(enum rpc_ban_as *out, const char *name)
{
    for (int as = BAN_CLIENT_ID; as < BAN_AS_END; as++) {
        if (strcmp(as_names[as], name) == 0) {
            *out = (enum rpc_ban_as)as;
            return true;
        }
    }
    return false;
}

void bans_init(struct bans *t, uint64_t seed)
{
    *t = (struct bans){.seed = seed};
    ptrtab_init(&t->all, offsetof(struct ban, hash), NULL);
    list_init(&t->nets);
    list_init(&t->patterns);
}

static void ban_free(struct ban *e)
{
    list_del(&e->link);
    pattern_free(e->pattern);
    free(e);
}

void bans_fini(struct bans *t)
{
    uint32_t at = 0;
    struct ban *e;
    while ((e = ptrtab_next(&t->all, &at)))
        ban_free(e);
    ptrtab_fini(&t->all);
    rpc_arena_free(t->arena);
}

/* ---- the table ------------------------------------------------------------------------------------ */

static uint32_t hash_of(const struct bans *t, enum rpc_ban_as as, struct bytes who)
{
    return (uint32_t)hash_bytes(who.p, who.n, t->seed + (uint64_t)as);
}

static struct ban *find(const struct bans *t, enum rpc_ban_as as, struct bytes who)
{
    uint32_t h = hash_of(t, as, who), at = 0;
    struct ptrslots *slots = ptrtab_slots(&t->all);
    struct ban *e;
    while ((e = ptrslots_probe(slots, h, &at))) {
        if (e->b.as == as && bytes_eq(e->b.who, who))
            return e;
    }
    return NULL;
}

const struct ban *bans_get(const struct bans *t, enum rpc_ban_as as, struct bytes who)
{
    return find(t, as, who);
}

static struct bytes text_take(uint8_t **at, struct bytes b)
{
    struct bytes view = bytes_of(*at, b.n);
    *at = bytes_put(*at, b);
    return view;
}

static struct ban *ban_new(const struct bans *t, const struct rpc_ban *b)
{
    struct ban *e = mem_zalloc(sizeof *e + b->who.n + b->by.n + b->reason.n);
    uint8_t *at = e->text;
    e->b = *b;
    e->b.who = text_take(&at, b->who);
    e->b.by = text_take(&at, b->by);
    e->b.reason = text_take(&at, b->reason);
    e->hash = hash_of(t, b->as, b->who);
    list_init(&e->link);
    return e;
}

/* What a CONNECT is held against one by one. What cannot be read was made by a node that could. */
static void ban_list(struct bans *t, struct ban *e)
{
    char why[128];
    bool is_net = e->b.as == BAN_NET;
    if (e->b.is_gone)
        return;
    if (is_net && ip_net_parse(&e->net, e->b.who))
        list_push(&t->nets, &e->link);
    if (e->b.as == BAN_CLIENT_ID_RE || e->b.as == BAN_USERNAME_RE) {
        e->pattern = pattern_new(e->b.who, why, sizeof why);
        if (e->pattern)
            list_push(&t->patterns, &e->link);
    }
}

static uint64_t fades_ms(const struct rpc_ban *b)
{
    uint64_t tomb_ms = hlc_ms(b->stamp) + TOMBSTONE_MS;
    if (!b->is_gone && b->until_ms == 0)
        return UINT64_MAX;
    return !b->is_gone && b->until_ms > tomb_ms ? b->until_ms : tomb_ms;
}

static bool is_newer(const struct rpc_ban *a, const struct rpc_ban *b)
{
    return a->stamp != b->stamp ? a->stamp > b->stamp : a->node > b->node;
}

bool bans_put(struct bans *t, const struct rpc_ban *b, uint64_t wall_ms)
{
    struct ban *old = find(t, b->as, b->who);
    if (fades_ms(b) <= wall_ms || (old && !is_newer(b, &old->b)))
        return false;
    struct ban *e = ban_new(t, b);
    if (old) {
        ptrtab_del(&t->all, old);
        ban_free(old);
    }
    ptrtab_add(&t->all, e);
    ban_list(t, e);
    return true;
}

void bans_sweep(struct bans *t, uint64_t wall_ms, void (*on_drop)(void *ctx, const struct rpc_ban *b),
                void *ctx)
{
    struct ban *faded[SWEEP_STEP], *e;
    uint32_t n = 0, at = 0;
    while (n < SWEEP_STEP && (e = ptrtab_next(&t->all, &at))) {
        if (fades_ms(&e->b) <= wall_ms)
            faded[n++] = e;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (on_drop)
            on_drop(ctx, &faded[i]->b);
        ptrtab_del(&t->all, faded[i]);
        ban_free(faded[i]);
    }
}

/* ---- asking --------------------------------------------------------------------------------------- */

static const struct rpc_ban *exact_find(const struct bans *t, enum rpc_ban_as as, struct bytes who,
                                        uint64_t wall_ms)
{
    const struct ban *e = who.n ? find(t, as, who) : NULL;
    return e && ban_is_on(&e->b, wall_ms) ? &e->b : NULL;
}

static const struct rpc_ban *address_find(const struct bans *t, const char *address, uint64_t wall_ms)
{
    uint8_t ip[16];
    char text[IP_TEXT_N];
    if (!ip_parse(ip, bytes_str(address)))
        return NULL;
    const struct rpc_ban *b = exact_find(t, BAN_ADDRESS, bytes_str(ip_text(text, ip)), wall_ms);
    list_each_safe(l, &t->nets)
    {
        const struct ban *e = container_of(l, struct ban, link);
        if (!b && ban_is_on(&e->b, wall_ms) && ip_net_has(&e->net, ip))
            b = &e->b;
    }
    return b;
}

static const struct rpc_ban *pattern_ban_find(const struct bans *t, const struct ban_subject *s,
                                              uint64_t wall_ms)
{
    list_each_safe(l, &t->patterns)
    {
        const struct ban *e = container_of(l, struct ban, link);
        struct bytes name = e->b.as == BAN_CLIENT_ID_RE ? s->client_id : s->username;
        if (name.n && ban_is_on(&e->b, wall_ms) && pattern_find(e->pattern, name) != PATTERN_NO)
            return &e->b;
    }
    return NULL;
}

const struct rpc_ban *bans_find(const struct bans *t, const struct ban_subject *s, uint64_t wall_ms)
{
    if (t->all.n == 0)
        return NULL;
    const struct rpc_ban *b = exact_find(t, BAN_CLIENT_ID, s->client_id, wall_ms);
    if (!b)
        b = exact_find(t, BAN_USERNAME, s->username, wall_ms);
    if (!b)
        b = address_find(t, s->address, wall_ms);
    return b ? b : pattern_ban_find(t, s, wall_ms);
}
