/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/node.h"

#include "node/core/mount.h"
#include "node/core/queue_disk.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "node/core/subscribe.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"
#include "proto/record/record.h"

#include <sodium.h>
#include <stdlib.h>

enum err node_new(struct node **out, const struct node_conf *conf)
{
    CHECK(conf->shards > 0 && conf->shards <= NODE_SHARDS_MAX);
    struct node *n = mem_zalloc(sizeof *n);
    n->conf = *conf;
    n->settings = conf->settings;
    n->tag = hash_bytes(conf->id.b, NODE_ID_N, conf->epoch);
    n->routes = routes_new(conf->seed, conf->shards, conf->defer_free);
    for (uint32_t i = 0; i < conf->shards; i++) {
        n->shards[i] = shard_new(n, i);
        enum err e = conf->store ? store_reader_new(&n->shards[i]->reader, conf->store) : OK;
        if (e != OK) {
            node_free(n);
            return e;
        }
    }
    *out = n;
    return OK;
}

void node_free(struct node *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->conf.shards; i++)
        shard_free(n->shards[i]);
    routes_free(n->routes);
    free(n);
}

const struct node_conf *node_conf(const struct node *n)
{
    return &n->conf;
}

uint64_t node_stamp(struct node *n, uint64_t wall_ms)
{
    return hlc_now(&n->hlc, wall_ms);
}

void node_stamp_see(struct node *n, uint64_t stamp)
{
    hlc_see(&n->hlc, stamp);
}

uint64_t node_tag(const struct node *n)
{
    return n->tag;
}

const struct settings *node_settings(const struct node *n)
{
    return n->settings;
}

void node_set_settings(struct node *n, const struct settings *settings)
{
    n->settings = settings;
}

struct peers *node_peers(struct node *n)
{
    return &n->peers;
}

struct routes *node_routes(struct node *n)
{
    return n->routes;
}

struct shard *node_shard(struct node *n, uint32_t number)
{
    return n->shards[number];
}

uint32_t node_home_among(const struct node *n, struct bytes client_id, uint32_t shards)
{
    uint8_t h[crypto_shorthash_BYTES];
    if (shards == 1)
        return 0;
    crypto_shorthash(h, client_id.p, client_id.n, n->conf.home_key);
    return be32_get(h) % shards;
}

uint32_t node_home(const struct node *n, struct bytes client_id)
{
    return node_home_among(n, client_id, n->conf.shards);
}

uint32_t node_home_before(const struct node *n, struct bytes client_id)
{
    return node_home_among(n, client_id, n->conf.shards_before ? n->conf.shards_before : n->conf.shards);
}

/* ---- loading -------------------------------------------------------------------------------------- */

struct loader {
    struct node *node;
    struct store_reader *sessions;
    struct store_reader *rest; /* a reader has one position, and subscriptions are read amid sessions */
    uint64_t number_max;
    uint64_t loaded;
    uint64_t damaged;
};

static void load_subs(struct loader *l, struct session *s)
{
    uint8_t buf[8];
    struct bytes key, value, prefix;
    be64_put(buf, s->number);
    prefix = bytes_of(buf, sizeof buf);
    enum err e = store_seek(l->rest, STORE_SUBS, prefix, &key, &value);
    for (; e == OK || e == ERR_CORRUPT; e = store_next(l->rest, &key, &value)) {
        struct record_sub r;
        struct topic_filter f;
        l->damaged += !key.n; /* what stood in damaged pages is not known */
        if (!bytes_starts(key, prefix))
            return;
        if (e == ERR_CORRUPT || !record_sub_read(&r, value)) {
            l->damaged++;
            continue;
        }
        f = (struct topic_filter){.group = r.group, .filter = r.filter};
        struct subscription *sub = session_sub_add(s, &f);
        sub->id = r.id;
        sub->qos = r.qos;
        sub->retain_handling = r.retain_handling;
        sub->no_local = r.no_local;
        sub->retain_as_published = r.retain_as_published;
        record_sub_fini(&r);
    }
}

static void load_state(struct loader *l, struct session *s)
{
    uint8_t key[8];
    struct bytes value;
    be64_put(key, s->number);
    enum err e = store_get(l->rest, STORE_STATE, bytes_of(key, sizeof key), &value);
    if (e == ERR_NOTFOUND || (e == OK && queue_load_state(s, value)))
        return;
    l->damaged++;
    queue_recover(s, l->rest);
}

static void load_session(struct loader *l, uint64_t number, const struct record_session *r)
{
    struct shard *sh = l->node->shards[node_home(l->node, r->client_id)];
    struct session *older = session_find(sh, r->client_id);
    if (older) { /* its end was not stored in time: the newer one counts */
        will_drop(older);
        session_end(older);
    }
    struct session *s = session_new(sh, r->client_id, number);
    s->expiry_s = r->expiry_s;
    s->version = (uint8_t)r->version;
    s->created_ms = r->created_ms;
    s->is_recorded = 1;
    /* One that was online when the node ended counts from now. */
    s->since_ms = r->offline_since_ms ? r->offline_since_ms : sh->wall_ms;
    s->stamp = s->since_ms << 16;
    if (r->username.n)
        s->username = mem_dup(r->username.p, r->username.n);
    s->mount = mount_of(r->mountpoint);
    if (r->will) {
        s->will = mem_alloc(sizeof *s->will);
        *s->will = (struct will){msg_ref(r->will), r->will_delay_s};
    }
    load_subs(l, s);
    load_state(l, s);
    session_timer_start(s);
    l->loaded++;
}

/* False: pages of the table are damaged. Which sessions there were cannot be told, and a new one might get
 * the number, and with it the subscriptions, of one that cannot be read. */
static bool load_all(struct loader *l)
{
    static const uint8_t first = 0;
    struct bytes key, value;
    enum err e = store_seek(l->sessions, STORE_SESSIONS, bytes_of(&first, 1), &key, &value);
    for (; e == OK || e == ERR_CORRUPT; e = store_next(l->sessions, &key, &value)) {
        struct record_session r;
        if (!key.n)
            return false;
        uint64_t number = key.n == 8 ? be64_get(key.p) : 0;
        l->number_max = number > l->number_max ? number : l->number_max;
        if (!number || e == ERR_CORRUPT || !record_session_read(&r, value)) {
            l->damaged++;
            continue;
        }
        load_session(l, number, &r);
        msg_unref(r.will);
        record_session_fini(&r);
    }
    return e == ERR_NOTFOUND;
}

enum err node_load(struct node *n)
{
    struct loader l = {.node = n};
    enum err e = store_reader_new(&l.sessions, n->conf.store);
    if (e == OK)
        e = store_reader_new(&l.rest, n->conf.store);
    if (e == OK)
        e = store_read_begin(l.sessions);
    if (e == OK) {
        e = store_read_begin(l.rest);
        if (e == OK) {
            if (!load_all(&l))
                e = ERR_CORRUPT;
            store_read_end(l.rest);
        }
        store_read_end(l.sessions);
    }
    store_reader_free(l.sessions);
    store_reader_free(l.rest);
    for (uint32_t i = 0; i < n->conf.shards; i++)
        n->shards[i]->session_next = l.number_max / NODE_SHARDS_MAX + 1;
    if (l.damaged)
        LOG(n->conf.log, LOG_ERROR, "store damaged records skipped=%llu", (unsigned long long)l.damaged);
    if (e == ERR_CORRUPT)
        LOG(n->conf.log, LOG_ERROR, "store damaged: which sessions there are cannot be read");
    LOG(n->conf.log, LOG_INFO, "store loaded sessions=%llu", (unsigned long long)l.loaded);
    if (e == OK)
        e = bans_load(n);
    delayed_load(n);
    if (e == OK)
        e = retained_load(n);
    return e == OK ? handoff_load(n) : e;
}
