/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/walk.h"

#include "node/admin/ask.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { TURN_MS = 4 /* then the others in the loop have theirs */ };

static void walk_free(void *state)
{
    struct walk *w = state;
    inspect_buf_fini(&w->buf);
    json_decref(w->rows);
    free(w);
}

void walk_page(struct api_call *c, json_t *rows, uint64_t skipped, json_t *count)
{
    json_t *o = json_object();
    json_put(o, "rows", rows);
    json_put(o, "skipped", json_of_u64(skipped));
    json_put(o, "count", count);
    api_reply(c, 200, o);
}

static void records_take(struct api_call *c, struct walk *w)
{
    size_t at = 0;
    const void *r;
    while (json_array_size(w->rows) < c->window.take && (r = inspect_next(&w->buf, &at))) {
        if (!w->kind->matches(c, r))
            continue;
        w->matched++;
        if (w->skipped < c->window.skip)
            w->skipped++;
        else
            json_push(w->rows, w->kind->row(c, r));
    }
}

/* One piece; false: the listing is at its end. */
static bool piece(struct api_call *c, struct walk *w)
{
    struct io *io = c->env->conf.io;
    w->buf.n = 0;
    shard_ask(io, w->shard, w->kind->piece, w);
    records_take(c, w);
    if (w->result == INSPECT_MORE)
        return true;
    w->shard++;
    w->place = 0;
    w->sub_place = (struct inspect_place){0};
    return !w->kind->is_of_node && w->shard < io_workers(io);
}

static bool step(struct api_call *c)
{
    struct walk *w = c->state;
    uint64_t until_ms = mono_ms() + TURN_MS;
    bool has_more = true;
    while (has_more && json_array_size(w->rows) < c->window.take && mono_ms() < until_ms)
        has_more = piece(c, w);
    if (has_more && json_array_size(w->rows) < c->window.take)
        return true;
    /* All were seen, so they are counted by the way; but not when the last row was the last that was wanted.
     */
    bool is_seen = !has_more && json_array_size(w->rows) < c->window.take;
    json_t *count = w->is_counted ? json_of_u64(w->count) : is_seen ? json_of_u64(w->matched) : json_null();
    walk_page(c, json_incref(w->rows), w->skipped, count);
    return false;
}

void walk_begin(struct api_call *c, const struct walk_kind *kind, enum walk_filter filter)
{
    struct walk *w = mem_zalloc(sizeof *w);
    w->kind = kind;
    w->rows = json_array();
    w->is_counted = filter == WALK_ALL;
    w->count = w->is_counted ? kind->count(c) : 0;
    c->state = w;
    c->state_free = walk_free;
    c->step = step;
    if (w->is_counted && c->window.skip >= w->count)
        c->window.take = 0; /* the page is behind the last row */
    if (w->is_counted && !c->window.take)
        w->skipped = w->count;
}

void walk_answer(struct api_call *c, json_t *rows)
{
    json_t *window = json_array();
    size_t i, n = json_array_size(rows);
    for (i = c->window.skip; i < n && i - c->window.skip < c->window.take; i++)
        json_push(window, json_incref(json_array_get(rows, i)));
    walk_page(c, window, c->window.skip < n ? c->window.skip : n, json_of_u64(n));
    json_decref(rows);
}

bool walk_is(const char *wanted, struct bytes text)
{
    return !wanted || bytes_eq(bytes_str(wanted), text);
}

bool walk_contains(const char *wanted, struct bytes text)
{
    return !wanted || !*wanted || (text.n && memmem(text.p, text.n, wanted, strlen(wanted)));
}
