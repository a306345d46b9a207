/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/core/retained.h"
#include "proto/base/mem.h"
#include "proto/topic/topic.h"

enum { DELETES_MAX = 500 };

static void info(struct call *c)
{
    text_printf(&c->out, "Number of retained messages: %llu\n",
                (unsigned long long)store_count(c->env->conf.store, STORE_RETAINED));
}

/* Those that match the first argument, all without one: an operator wants to see those under $ too. */
static bool walk(struct call *c, bool (*fn)(void *arg, struct bytes topic, struct bytes record))
{
    return retained_walk_piece(&c->listing.retained, c->args_n ? bytes_str(c->args[0]) : bytes_of(NULL, 0),
                               fn, c);
}

static bool reader_open(struct call *c)
{
    struct topic_filter f;
    if (c->args_n && (topic_filter_parse(bytes_str(c->args[0]), 0, &f) != TOPIC_OK || f.group.n)) {
        call_fail(c, "Not a topic or topic filter.");
        return false;
    }
    if (retained_walk_begin(&c->listing.retained, c->env->conf.store) != OK) {
        call_fail(c, "The store cannot be read.");
        return false;
    }
    return true;
}

/* ---- topics --------------------------------------------------------------------------------------- */

static bool topic_put(void *arg, struct bytes topic, struct bytes record)
{
    struct call *c = arg;
    (void)record;
    text_escaped(&c->out, topic, "");
    text_add(&c->out, "\n");
    return true;
}

static bool topics_produce(struct call *c)
{
    return walk(c, topic_put);
}

static void topics(struct call *c)
{
    if (reader_open(c))
        c->produce = topics_produce;
}

/* ---- clean ---------------------------------------------------------------------------------------- */

/* Topics to delete, each behind its length, in the listing's buffer. */
static bool victim_add(void *arg, struct bytes topic, struct bytes record)
{
    struct call *c = arg;
    (void)record;
    struct inspect_buf *b = &c->listing.buf;
    uint32_t n = topic.n;
    if (b->cap - b->n < sizeof n + n) {
        b->cap = (b->cap + sizeof n + n) * 2;
        b->p = mem_realloc(b->p, b->cap);
    }
    memcpy(b->p + b->n, &n, sizeof n);
    memcpy(b->p + b->n + sizeof n, topic.p, n);
    b->n += sizeof n + n;
    return ++c->listing.count % DELETES_MAX != 0;
}

static void delete_call(struct shard *sh, void *arg)
{
    const struct inspect_buf *b = arg;
    for (size_t at = 0; at < b->n;) {
        uint32_t n;
        memcpy(&n, b->p + at, sizeof n);
        retained_delete(sh, bytes_of(b->p + at + sizeof n, n));
        at += sizeof n + n;
    }
}

static bool clean_produce(struct call *c)
{
    struct listing *l = &c->listing;
    l->buf.n = 0;
    bool more = walk(c, victim_add);
    if (l->buf.n && shard_ask_stored(c->env->conf.io, 0, delete_call, &l->buf) != RC_SUCCESS) {
        call_fail(c, "The store cannot be written.");
        return false;
    }
    if (!more)
        text_printf(&c->out, "Cleaned %llu retained messages\n", (unsigned long long)l->count);
    return more;
}

static void clean(struct call *c)
{
    if (reader_open(c))
        c->produce = clean_produce;
}

const struct command commands_retainer[] = {
    {"retainer", "info", "", "Show how many retained messages there are", 0, 0, COMMAND_LOOKS, info},
    {"retainer", "topics", "[<filter>]", "List the topics of retained messages", 0, 1, COMMAND_LOOKS, topics},
    {"retainer", "clean", "[<topic or filter>]", "Delete retained messages: all, or those that match", 0, 1,
     COMMAND_CHANGES, clean},
    {0},
};
