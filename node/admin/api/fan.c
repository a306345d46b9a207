/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/fan.h"

#include "node/admin/api/api_i.h"
#include "node/admin/api/serve.h"
#include "node/mesh/mesh.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Answers that join what many nodes say. */
struct fan {
    struct api_call *head;
    json_t *nodes; /* to be asked */
    json_t *parts;
    json_t *missing;
    uint32_t waiting;
    /* API_PAGE. Which rows of a node are wanted depends on those of the nodes before it, so they are asked
     * one after the other; but all at once for the first page, of which nothing is skipped. */
    size_t at;       /* the node whose turn it is */
    json_t *at_once; /* answers in the order of nodes; NULL: one after the other */
    json_t *rows;
    struct api_window
        window; /* what is left of it; one row more than the page, to see whether there is one */
    uint64_t count;
    bool is_counted;
    void (*done)(void *arg, const json_t *missing);
    void *arg;
};

/* One node's part under way. */
struct part {
    struct fan *fan;
    size_t at; /* in nodes */
};

/* ---- nodes ---------------------------------------------------------------------------------------- */

json_t *fan_nodes(const struct api_call *c)
{
    json_t *names = json_array();
    struct mesh_info info = {0};
    json_push(names, json_of_str(api_node_name(c)));
    if (cluster_view_info(c->env->conf.cluster, &info))
        for (uint32_t i = 0; i < info.peers_n; i++)
            if (info.peers[i].member.state != MEMBER_LEFT)
                json_push(names, json_of_str(info.peers[i].member.name));
    free(info.peers);
    return names;
}

const char *fan_node_state(const struct api_call *c, const char *node)
{
    const char *state = strcmp(node, api_node_name(c)) == 0 ? "running" : NULL;
    struct mesh_info info = {0};
    if (!state && cluster_view_info(c->env->conf.cluster, &info))
        for (uint32_t i = 0; i < info.peers_n; i++)
            if (strcmp(info.peers[i].member.name, node) == 0)
                state = info.peers[i].member.state <= MEMBER_SUSPECT ? "running" : "stopped";
    free(info.peers);
    return state;
}

/* ---- the end -------------------------------------------------------------------------------------- */

static void fan_end(struct fan *f)
{
    f->done(f->arg, f->missing);
    json_decref(f->nodes);
    json_decref(f->parts);
    json_decref(f->missing);
    json_decref(f->at_once);
    json_decref(f->rows);
    free(f);
}

json_t *fan_rows(const struct api_call *head)
{
    json_t *all = json_array();
    size_t i;
    json_t *part;
    json_array_foreach((json_t *)(uintptr_t)head->parts, i, part)
    {
        const json_t *answer = json_object_get(part, "answer");
        if (json_int(part, "status", 500) < 300)
            json_array_extend(all, (json_t *)(uintptr_t)answer);
    }
    return all;
}

/* A success over what was not found, that over a failure. */
static int worth(int64_t status)
{
    return status < 300 ? 3 : status == 404 ? 1 : 2;
}

static void parts_choose(struct api_call *head, const json_t *parts)
{
    const json_t *best = NULL;
    size_t i;
    json_t *part;
    json_array_foreach((json_t *)(uintptr_t)parts, i,
                       part) if (!best || worth(json_int(part, "status", 500)) >
                                              worth(json_int(best, "status", 500))) best = part;
    json_t *answer = json_object_get(best, "answer");
    api_reply(head, (int)json_int(best, "status", 500), json_is_null(answer) ? NULL : json_incref(answer));
}

static bool has_success(const json_t *parts)
{
    size_t i;
    json_t *part;
    json_array_foreach((json_t *)(uintptr_t)parts, i,
                       part) if (json_int(part, "status", 500) < 300) return true;
    return false;
}

/* Nobody has answered; of one node that was meant it is said why. */
static void unanswered(const struct fan *f)
{
    const char *one = json_string_value(json_array_get(f->missing, 0));
    const char *why = one ? json_str(f->head->missing_why, one) : NULL;
    if (json_array_size(f->nodes) == 1 && why && strcmp(why, "no_http") == 0)
        api_fail(f->head, 503, "NO_HTTP", "The node runs without HTTP, and answers no calls.");
    else
        api_fail(f->head, 503, "SERVICE_UNAVAILABLE", "No node has answered.");
}

static void parts_merge(struct fan *f)
{
    struct api_call *head = f->head;
    head->parts = f->parts;
    if (json_array_size(f->parts) == 0)
        unanswered(f);
    else if (head->route->scope != API_ALL || !has_success(f->parts))
        parts_choose(head, f->parts);
    else if (head->route->merge)
        head->route->merge(head);
    else
        api_reply(head, 200, fan_rows(head));
    head->parts = NULL;
}

/* ---- pages ---------------------------------------------------------------------------------------- */

/* Do the nodes give pieces of the page? */
static bool is_paged(const struct fan *f)
{
    return f->head->route->answer == API_PAGE && !f->head->route->merge;
}

static void page_next(struct fan *f);
static void all_end(struct fan *f);

static int64_t page_number(const struct api_call *head)
{
    return json_int(head->query, "page", 1);
}

static int64_t page_limit(const struct api_call *head)
{
    return json_int(head->query, "limit", 100);
}

/* Rows from `from` on, as many as a page has; meta gets what is said of every page. */
static json_t *page_new(const struct api_call *head, const json_t *rows, size_t from, json_t *meta)
{
    json_t *page = json_object(), *data = json_array();
    size_t limit = (size_t)page_limit(head), n = json_array_size(rows);
    for (size_t i = from; i < n && i - from < limit; i++)
        json_push(data, json_incref(json_array_get(rows, i)));
    json_put(meta, "page", json_integer(page_number(head)));
    json_put(meta, "limit", json_integer((json_int_t)limit));
    json_put(meta, "hasnext", json_boolean(n > from && n - from > limit));
    json_put(page, "data", data);
    json_put(page, "meta", meta);
    return page;
}

void fan_page(struct api_call *head, json_t *rows)
{
    json_t *meta = json_object();
    json_put(meta, "count", json_of_u64(json_array_size(rows)));
    api_reply(head, 200, page_new(head, rows, (size_t)((page_number(head) - 1) * page_limit(head)), meta));
    json_decref(rows);
}

static void page_answer(struct fan *f)
{
    json_t *meta = json_object();
    if (f->is_counted)
        json_put(meta, "count", json_of_u64(f->count));
    if (json_array_size(f->missing))
        json_put(meta, "missing", json_incref(f->missing));
    if (json_array_size(f->missing))
        json_put(meta, "missing_why", json_incref(f->head->missing_why));
    api_reply(f->head, 200, page_new(f->head, f->rows, 0, meta));
}

/* What a part of a listing answers: {"rows", "skipped", "count" (of all that match; null: not counted)}. */
static void page_take(struct fan *f, const json_t *answer)
{
    json_t *rows = json_object_get(answer, "rows"), *count = json_object_get(answer, "count");
    uint64_t skipped = (uint64_t)json_int(answer, "skipped", 0);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) if (i < f->window.take) json_push(f->rows, json_incref(row));
    f->window.skip -= skipped < f->window.skip ? skipped : f->window.skip;
    f->window.take -=
        json_array_size(rows) < f->window.take ? (uint32_t)json_array_size(rows) : f->window.take;
    if (json_is_integer(count))
        f->count += (uint64_t)json_integer_value(count);
    else
        f->is_counted = false;
}

/* ---- parts ---------------------------------------------------------------------------------------- */

static const char *part_node(const struct part *p)
{
    return json_string_value(json_array_get(p->fan->nodes, p->at));
}

static struct part *part_new(struct fan *f, size_t at)
{
    struct part *p = mem_alloc(sizeof *p);
    *p = (struct part){f, at};
    f->waiting++;
    return p;
}

static void part_take(const struct part *p, int status, json_t *answer)
{
    struct fan *f = p->fan;
    if (!status) {
        json_push(f->missing, json_of_str(part_node(p)));
    } else if (f->at_once && status == 200) {
        json_array_set(f->at_once, p->at, answer);
    } else if (is_paged(f) && status == 200) {
        page_take(f, answer);
    } else {
        json_t *o = json_object();
        json_put(o, "node", json_of_str(part_node(p)));
        json_put(o, "status", json_integer(status));
        json_put(o, "answer", answer ? json_incref(answer) : json_null());
        json_push(f->parts, o);
    }
}

/* status 0: it did not answer. */
static void part_end(struct part *p, int status, json_t *answer)
{
    struct fan *f = p->fan;
    part_take(p, status, answer);
    free(p);
    f->waiting--;
    if (is_paged(f) && !f->at_once)
        page_next(f);
    else if (!f->waiting)
        all_end(f);
}

static void on_here(struct api_call *c, void *arg)
{
    struct part *p = arg;
    p->fan->head->retry_s = c->retry_s;
    p->fan->head->who = c->who; /* a login tells who it is */
    part_end(p, c->status, c->answer);
    api_call_free(c);
}

static void missing_note(const struct part *p, const char *why)
{
    json_put(p->fan->head->missing_why, part_node(p), json_of_str(why));
}

static void on_peer(void *arg, enum err e, struct bytes answer)
{
    struct part *p = arg;
    int status = 0;
    json_t *value = e == OK ? serve_answer_read(answer, &status) : NULL;
    const char *state = status ? NULL : fan_node_state(p->fan->head, part_node(p));
    if (!status)
        missing_note(p, e == OK && !answer.n                     ? "no_http"
                        : state && strcmp(state, "running") == 0 ? "no_answer"
                                                                 : "down");
    part_end(p, status, value);
    json_decref(value);
}

static void part_run(struct fan *f, size_t at)
{
    struct api *a = f->head->api;
    struct part *p = part_new(f, at);
    const char *node = part_node(p);
    if (strcmp(node, api_node_name(f->head)) == 0) {
        struct api_call *c = api_call_copy(f->head);
        c->window = f->window;
        api_call_run(c, on_here, p);
    } else if (!a->peers) {
        missing_note(p, "no_answer");
        part_end(p, 0, NULL);
    } else {
        size_t n;
        char *request = serve_request_write(f->head, &f->window, &n);
        a->peers->ask(a->peers->ctx, node, bytes_of(request, n), on_peer, p);
        free(request);
    }
}

/* ---- starting ------------------------------------------------------------------------------------- */

static void page_end(struct fan *f)
{
    if (json_array_size(f->parts) > 0)
        parts_choose(f->head, f->parts);
    else
        page_answer(f);
    fan_end(f);
}

static void page_next(struct fan *f)
{
    bool is_failed = json_array_size(f->parts) > 0;
    bool is_full = !f->window.take && !f->is_counted;
    if (f->at < json_array_size(f->nodes) && !is_full && !is_failed)
        part_run(f, f->at++);
    else
        page_end(f);
}

static void all_end(struct fan *f)
{
    size_t i;
    json_t *answer;
    if (!f->at_once) {
        parts_merge(f);
        fan_end(f);
        return;
    }
    json_array_foreach(f->at_once, i, answer) if (!json_is_null(answer)) page_take(f, answer);
    page_end(f);
}

static void all_begin(struct fan *f)
{
    f->waiting++; /* so that it does not end before all are asked */
    for (size_t i = 0; i < json_array_size(f->nodes); i++)
        part_run(f, i);
    if (--f->waiting == 0)
        all_end(f);
}

static void page_begin(struct fan *f)
{
    uint64_t page = (uint64_t)page_number(f->head), limit = (uint64_t)page_limit(f->head);
    f->rows = json_array();
    f->is_counted = true;
    f->window = (struct api_window){.skip = (page - 1) * limit, .take = (uint32_t)limit + 1};
    if (page > 1) {
        page_next(f);
        return;
    }
    f->at_once = json_array();
    for (size_t i = 0; i < json_array_size(f->nodes); i++)
        json_push(f->at_once, json_null());
    all_begin(f);
}

/* The one node that is asked, or NULL: all of them. */
static const char *node_wanted(const struct api_call *head)
{
    if (head->route->scope == API_HERE)
        return api_node_name(head);
    if (head->route->scope == API_NODE)
        return api_param(head, 0);
    return json_str(head->query, "node");
}

void fan_run(struct api_call *head, void (*done)(void *arg, const json_t *missing), void *arg)
{
    const char *one = node_wanted(head);
    struct fan *f = mem_zalloc(sizeof *f);
    *f = (struct fan){.head = head, .done = done, .arg = arg, .parts = json_array(), .missing = json_array()};
    if (one && !fan_node_state(head, one)) {
        api_fail(head, 404, "NOT_FOUND", "There is no node of this name.");
        fan_end(f);
        return;
    }
    f->nodes = one ? json_array() : fan_nodes(head);
    if (one)
        json_push(f->nodes, json_of_str(one));
    if (is_paged(f))
        page_begin(f);
    else
        all_begin(f);
}
