/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/journal.h"

#include "node/core/deliver.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"
#include "proto/topic/topic.h"

#include <stdlib.h>

enum {
    SEEN_N = 1024,               /* a power of two */
    READ_BYTES_MAX = 256 * 1024, /* that are looked at for a piece */
    FILLER = 0xff,               /* what: nothing, up to the end of the buffer */
};

_Static_assert(sizeof(struct journal_record) + JOURNAL_CLIENT_MAX + JOURNAL_TOPIC_MAX + JOURNAL_TEXT_MAX +
                       8 <=
                   JOURNAL_BYTES_MIN / JOURNAL_RINGS,
               "any record has room in a ring");

static const struct {
    const char *name, *word, *text;
    enum journal_ring ring;
} events[JOURNAL_WHATS] = {
#define X(id, name, word, ring, text) {name, word, text, JOURNAL_##ring},
    JOURNAL_EVENTS(X)
#undef X
};

const char *journal_name(enum journal_what w)
{
    return events[w].name;
}

const char *journal_trace_word(enum journal_what w)
{
    return events[w].word;
}

const char *journal_default_text(enum journal_what w)
{
    return events[w].text;
}

/* ---- memory --------------------------------------------------------------------------------------- */

static void rings_drop(struct journal *j)
{
    for (int i = 0; i < JOURNAL_RINGS; i++)
        free(j->rings[i].p);
    memset(j->rings, 0, sizeof j->rings);
    free(j->seen);
    j->seen = NULL;
}

void journal_fini(struct journal *j)
{
    rings_drop(j);
    while (j->watches_n)
        free(j->watches[--j->watches_n]);
}

/* Other settings: what was there is forgotten. */
static void resize(struct journal *j, uint64_t bytes)
{
    rings_drop(j);
    j->bytes = bytes;
    j->cap = bytes < JOURNAL_BYTES_MIN ? 0 : 1ull << (63 - __builtin_clzll(bytes / JOURNAL_RINGS));
    memset(j->again, 0, sizeof j->again);
    if (!j->cap)
        return;
    for (int i = 0; i < JOURNAL_RINGS; i++)
        j->rings[i].p = mem_alloc(j->cap); /* pages come as they are written */
    j->seen = mem_zalloc(SEEN_N * sizeof *j->seen);
}

/* NULL: it is off. */
static inline struct journal *journal_of(struct shard *sh)
{
    struct journal *j = &sh->journal;
    if (unlikely(j->bytes != sh->settings->journal_bytes))
        resize(j, sh->settings->journal_bytes);
    return j->cap ? j : NULL;
}

/* ---- rings ---------------------------------------------------------------------------------------- */

static struct journal_record *record_at(const struct journal *j, const struct journal_bytes *r, uint64_t at)
{
    return (struct journal_record *)(void *)(r->p + (at & (j->cap - 1)));
}

/* The place of the record that stands at `at` or behind a filler there. */
static uint64_t filler_pass(const struct journal *j, const struct journal_bytes *r, uint64_t at)
{
    uint64_t left = j->cap - (at & (j->cap - 1));
    if (at < r->next && (left < sizeof(struct journal_record) || record_at(j, r, at)->what == FILLER))
        return at + left;
    return at;
}

static void make_room(const struct journal *j, struct journal_bytes *r, uint64_t size)
{
    while (r->next + size - r->first > j->cap) {
        uint64_t at = filler_pass(j, r, r->first);
        r->first = at > r->first ? at : at + record_at(j, r, at)->size;
    }
}

/* A record does not go round the end of the buffer. */
static uint64_t place_for(const struct journal *j, struct journal_bytes *r, uint64_t size)
{
    uint64_t left = j->cap - (r->next & (j->cap - 1));
    if (left < size) {
        make_room(j, r, left);
        if (left >= sizeof(struct journal_record))
            record_at(j, r, r->next)->what = FILLER;
        r->next += left;
    }
    make_room(j, r, size);
    r->next += size;
    return r->next - size;
}

static struct bytes cut(struct bytes b, size_t max)
{
    return bytes_of(b.p, b.n < max ? b.n : max);
}

static struct bytes text_of(const struct journal_note *n)
{
    const char *text = n->text ? n->text : events[n->what].text;
    return cut(bytes_str(text ? text : ""), JOURNAL_TEXT_MAX);
}

static uint64_t hash_of(const struct shard *sh, const struct journal_note *n)
{
    uint64_t h = hash_u64((uint64_t)n->what << 32 | n->detail, sh->node->conf.seed);
    if (n->text)
        h = hash_bytes(n->text, strlen(n->text), h);
    h = hash_bytes(n->topic.p, n->topic.n, h);
    return hash_bytes(n->client.p, n->client.n, h);
}

static bool is_same(const struct journal_record *r, const struct journal_note *n)
{
    return r->what == n->what && r->detail == n->detail && bytes_eq(journal_client(r), n->client) &&
           bytes_eq(journal_topic(r), n->topic) && (!n->text || bytes_eq(journal_text(r), text_of(n)));
}

/* Answers its place. */
static uint64_t record_put(struct shard *sh, struct journal_bytes *ring, const struct journal_note *n)
{
    struct journal *j = &sh->journal;
    struct bytes why = text_of(n);
    uint64_t size = (sizeof(struct journal_record) + n->client.n + n->topic.n + why.n + 7) & ~(uint64_t)7;
    uint64_t at = place_for(j, ring, size);
    struct journal_record *r = record_at(j, ring, at);
    *r = (struct journal_record){.size = size,
                                 .first_ms = sh->wall_ms,
                                 .last_ms = sh->wall_ms,
                                 .peers = n->peers,
                                 .count = 1,
                                 .detail = n->detail,
                                 .client_n = (uint16_t)n->client.n,
                                 .topic_n = (uint16_t)n->topic.n,
                                 .text_n = (uint16_t)why.n,
                                 .what = (uint8_t)n->what,
                                 .qos = (uint8_t)n->qos};
    bytes_put(bytes_put(bytes_put(r->text, n->client), n->topic), why);
    return at;
}

/* The record that may be counted up; NULL: it has been pushed out, or is too old. */
static struct journal_record *record_live(const struct shard *sh, const struct journal_bytes *ring,
                                          const struct journal_seen *seen, uint64_t hash)
{
    if (seen->hash != hash || seen->at < ring->first || seen->at >= ring->next)
        return NULL;
    struct journal_record *r = record_at(&sh->journal, ring, seen->at);
    return sh->wall_ms < r->first_ms + JOURNAL_JOIN_MS ? r : NULL;
}

static void record_count(const struct shard *sh, struct journal_record *r)
{
    r->count += r->count < UINT32_MAX;
    r->last_ms = sh->wall_ms;
}

static bool is_of_link(enum journal_what what)
{
    return what == JOURNAL_LINK_DOWN || what == JOURNAL_LINK_UP || what == JOURNAL_NODE_GIVEN_UP;
}

void journal_put(struct shard *sh, const struct journal_note *note)
{
    struct journal *j = journal_of(sh);
    if (!j)
        return;
    struct journal_note n = *note;
    n.client = cut(n.client, JOURNAL_CLIENT_MAX);
    n.topic = cut(n.topic, JOURNAL_TOPIC_MAX);
    struct journal_bytes *ring = &j->rings[events[n.what].ring];
    uint64_t hash = hash_of(sh, &n);
    struct journal_seen *seen = &j->seen[hash & (SEEN_N - 1)];
    struct journal_record *r = record_live(sh, ring, seen, hash);
    /* Of a link it is the order that tells whether it is up. */
    if (r && is_same(r, &n) && !is_of_link(n.what)) {
        record_count(sh, r);
        r->peers |= n.peers;
    } else {
        *seen = (struct journal_seen){hash, record_put(sh, ring, &n)};
    }
    j->last = seen->at;
}

void journal_put_link(struct shard *sh, enum journal_what what, uint32_t peer, const char *text)
{
    journal_put(sh,
                &(struct journal_note){.what = what, .peers = 1ull << peer, .detail = peer, .text = text});
}

bool journal_again(struct shard *sh, uint64_t hash)
{
    const struct journal *j = &sh->journal;
    const struct journal_seen *seen = &j->again[hash & (JOURNAL_AGAIN_N - 1)];
    if (!j->cap || j->bytes != sh->settings->journal_bytes)
        return false;
    struct journal_record *r = record_live(sh, &j->rings[JOURNAL_MESSAGES], seen, hash);
    if (r)
        record_count(sh, r);
    return r != NULL;
}

void journal_remember(struct shard *sh, uint64_t hash)
{
    struct journal *j = &sh->journal;
    if (j->cap)
        j->again[hash & (JOURNAL_AGAIN_N - 1)] = (struct journal_seen){hash, j->last};
}

/* ---- looking -------------------------------------------------------------------------------------- */

static bool client_is(struct bytes wanted, struct bytes id)
{
    return bytes_eq(cut(wanted, JOURNAL_CLIENT_MAX), id);
}

/* A filter as it stood in a SUBSCRIBE matches as the plain one. */
static bool topic_fits(struct bytes wanted, enum journal_what what, struct bytes topic)
{
    struct topic_filter f;
    if (bytes_eq(cut(wanted, JOURNAL_TOPIC_MAX), topic))
        return true;
    return events[what].ring == JOURNAL_CLIENTS && topic_filter_parse(topic, 0, &f) == TOPIC_OK &&
           topic_match(f.filter, wanted);
}

/* Does it end a message before any subscriber is looked at, or tell how many it went to? */
static bool is_of_publisher(enum journal_what what)
{
    return what == JOURNAL_PUBLISH_DENIED || what == JOURNAL_PUBLISH_REFUSED ||
           what == JOURNAL_NO_SUBSCRIBERS || what == JOURNAL_OVERLOAD || what == JOURNAL_PUBLISHED ||
           what == JOURNAL_LINK_FULL || what == JOURNAL_RETAINED_REFUSED || what == JOURNAL_RETAINED;
}

bool journal_fits(const struct journal_want *want, const struct journal_record *r)
{
    if (is_of_link((enum journal_what)r->what))
        return true;
    bool is_client = want->client.n && client_is(want->client, journal_client(r));
    if (!want->topic.n)
        return is_client;
    if (!r->topic_n)
        return is_client;
    if (want->client.n && !is_client && !is_of_publisher((enum journal_what)r->what))
        return false;
    return topic_fits(want->topic, (enum journal_what)r->what, journal_topic(r));
}

static uint64_t ring_read(const struct journal *j, const struct journal_bytes *r, uint64_t at,
                          const struct journal_want *want, struct inspect_buf *out)
{
    uint64_t end;
    at = at < r->first ? r->first : at;
    end = r->next - at < READ_BYTES_MAX ? r->next : at + READ_BYTES_MAX;
    while (at < end && out->n < INSPECT_BYTES_MAX) {
        uint64_t next = filler_pass(j, r, at);
        if (next == at) {
            const struct journal_record *record = record_at(j, r, at);
            next += record->size;
            if (journal_fits(want, record))
                memcpy(inspect_record(out, record->size, 0), record, record->size);
        }
        at = next;
    }
    return at;
}

enum inspect journal_read(struct shard *sh, struct journal_place *place, const struct journal_want *want,
                          struct inspect_buf *out)
{
    struct journal *j = journal_of(sh);
    if (!j)
        return INSPECT_END;
    for (int i = 0; i < JOURNAL_RINGS; i++) {
        if (place->at[i] >= j->rings[i].next)
            continue;
        place->at[i] = ring_read(j, &j->rings[i], place->at[i], want, out);
        return INSPECT_MORE;
    }
    return INSPECT_END;
}

uint64_t journal_since(const struct shard *sh, enum journal_ring ring)
{
    const struct journal *j = &sh->journal;
    const struct journal_bytes *r = &j->rings[ring];
    uint64_t at = j->cap && r->first ? filler_pass(j, r, r->first) : 0;
    return at && at < r->next ? record_at(j, r, at)->first_ms : 0;
}
