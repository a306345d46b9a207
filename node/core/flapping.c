/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/flapping.h"

#include "node/core/bans.h"
#include "node/core/shard_i.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { WAYS = 4, SETS = 4096, PLACES = WAYS * SETS };

struct flap {
    uint64_t hash; /* of the client id; 0: free */
    uint64_t since_ms;
    uint32_t count;
};

/* Banned at the next tick: the end of a connection is no place to end others. */
struct flap_victim {
    struct flap_victim *next;
    uint64_t ban_ms;
    uint32_t id_n;
    uint8_t id[];
};

void flapping_fini(struct flapping *f)
{
    while (f->victims) {
        struct flap_victim *v = f->victims;
        f->victims = v->next;
        free(v);
    }
    free(f->places);
}

/* The client's place, its own or the one that matters least. */
static struct flap *place_of(struct flapping *f, uint64_t hash, uint64_t now_ms, uint32_t window_ms)
{
    struct flap *set = f->places + hash % SETS * WAYS, *least = set;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].hash && now_ms - set[i].since_ms >= window_ms)
            set[i] = (struct flap){0};
        if (set[i].hash == hash)
            return &set[i];
        if (set[i].count < least->count)
            least = &set[i];
    }
    *least = (struct flap){.hash = hash, .since_ms = now_ms};
    return least;
}

static void victim_add(struct flapping *f, struct bytes id, uint64_t ban_ms)
{
    struct flap_victim *v = mem_alloc(sizeof *v + id.n);
    *v = (struct flap_victim){.next = f->victims, .ban_ms = ban_ms, .id_n = id.n};
    bytes_put(v->id, id);
    f->victims = v;
}

void flapping_note(struct conn *c)
{
    struct shard *sh = c->shard;
    const struct settings *set = c->settings;
    struct flapping *f = &sh->flapping;
    if (set->flapping_count_max == 0)
        return;
    struct bytes id = session_id(c->session);
    uint64_t hash = hash_bytes(id.p, id.n, sh->node->conf.seed ^ 0xf1a9) | 1;
    if (!f->places)
        f->places = mem_zalloc(PLACES * sizeof *f->places);
    struct flap *p = place_of(f, hash, sh->now_ms, set->flapping_window_ms);
    if (++p->count == set->flapping_count_max) /* those behind it within the window change nothing */
        victim_add(f, id, set->flapping_ban_ms);
}

static void ban(struct shard *sh, void *arg)
{
    struct flap_victim *v = arg;
    char why[128], id[LOG_ESCAPED_MAX];
    struct rpc_ban b = {.as = BAN_CLIENT_ID,
                        .who = bytes_of(v->id, v->id_n),
                        .by = bytes_str("flapping detector"),
                        .reason = bytes_str("flapping is detected"),
                        .until_ms = sh->wall_ms + v->ban_ms};
    const struct ban *old = bans_get(&sh->bans, b.as, b.who);
    COUNT(sh, FLAPPING);
    LOG(sh->node->conf.log, LOG_WARNING, "client flapping client_id=\"%s\" banned_s=%llu",
        log_escape(id, b.who), (unsigned long long)(v->ban_ms / 1000));
    if (old && ban_is_on(&old->b, sh->wall_ms) && (!old->b.until_ms || old->b.until_ms > b.until_ms))
        ; /* it is banned for longer already */
    else if (!ban_add(sh, &b, why, sizeof why))
        LOG(sh->node->conf.log, LOG_WARNING, "client not banned client_id=\"%s\" why=\"%s\"",
            log_escape(id, b.who), why);
    free(v);
}

void flapping_tick(struct shard *sh)
{
    while (sh->flapping.victims) {
        struct flap_victim *v = sh->flapping.victims;
        sh->flapping.victims = v->next;
        if (sh->number == 0)
            ban(sh, v);
        else
            mail_push(sh, 0, &(struct mail){.kind = MAIL_CALL, .u.fn = ban, .drop = free, .arg = v});
    }
}
