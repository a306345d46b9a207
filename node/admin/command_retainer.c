/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "proto/topic/topic.h"

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

static bool victim_add(void *arg, struct bytes topic, struct bytes record)
{
    struct call *c = arg;
    (void)record;
    return retained_walk_doom(&c->listing.retained, topic);
}

static bool clean_produce(struct call *c)
{
    struct retained_walk *w = &c->listing.retained;
    bool more = walk(c, victim_add);
    if (retained_walk_delete(w, c->env->conf.io) != RC_SUCCESS) {
        call_fail(c, "The store cannot be written.");
        return false;
    }
    if (!more)
        text_printf(&c->out, "Cleaned %llu retained messages\n", (unsigned long long)w->doomed_n);
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
