/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/retained_walk.h"

#include "node/admin/ask.h"
#include "node/core/retained.h"
#include "proto/mqtt/msg.h"
#include "proto/topic/topic.h"

enum { STEPS_MAX = 2000, DELETES_MAX = 500 };

enum err retained_walk_begin(struct retained_walk *w, struct store *store)
{
    *w = (struct retained_walk){0};
    return store_reader_new(&w->reader, store);
}

void retained_walk_end(struct retained_walk *w)
{
    store_reader_free(w->reader);
    w->reader = NULL;
    text_fini(&w->doomed);
}

bool retained_walk_piece(struct retained_walk *w, struct bytes filter,
                         bool (*fn)(void *arg, struct bytes topic, struct bytes record), void *arg)
{
    static const uint8_t first = 0;
    struct bytes key, record, topic, from = w->key_n ? bytes_of(w->key, w->key_n) : bytes_of(&first, 1);
    if (store_read_begin(w->reader) != OK)
        return false;
    bool more = false;
    unsigned steps = 0;
    enum err e = store_seek(w->reader, STORE_RETAINED, from, &key, &record);
    for (; e == OK || e == ERR_CORRUPT; e = store_next(w->reader, &key, &record)) {
        if (w->key_n && bytes_cmp(key, bytes_of(w->key, w->key_n)) <= 0)
            continue;
        more = steps++ == STEPS_MAX;
        if (more)
            break;
        memcpy(w->key, key.p, key.n);
        w->key_n = key.n;
        if (e != OK || !msg_record_topic(record, &topic))
            continue;
        more = (!filter.p || topic_match(filter, topic)) && !fn(arg, topic, record);
        if (more)
            break;
    }
    store_read_end(w->reader);
    return more;
}

bool retained_walk_doom(struct retained_walk *w, struct bytes topic)
{
    uint32_t n = topic.n;
    text_append(&w->doomed, bytes_of(&n, sizeof n));
    text_append(&w->doomed, topic);
    return ++w->doomed_n % DELETES_MAX != 0;
}

static void delete_call(struct shard *sh, void *arg)
{
    const struct text *t = arg;
    for (size_t at = 0; at < t->n;) {
        uint32_t n;
        memcpy(&n, t->p + at, sizeof n);
        retained_delete(sh, bytes_of(t->p + at + sizeof n, n));
        at += sizeof n + n;
    }
}

enum reason retained_walk_delete(struct retained_walk *w, struct io *io)
{
    enum reason code = w->doomed.n ? shard_ask_stored(io, 0, delete_call, &w->doomed) : RC_SUCCESS;
    w->doomed.n = 0;
    return code;
}
