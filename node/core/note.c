/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/note.h"

#include "node/core/deliver.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"

static const char *text_of(enum journal_what what, const char *text)
{
    return text ? text : journal_default_text(what);
}

/* One that is refused has no session; whose CONNECT it is has just been noted. */
static struct bytes client_of(const struct conn *c, enum journal_what what)
{
    if (c->session)
        return session_id(c->session);
    return what == JOURNAL_REFUSED ? c->shard->connecting : bytes_of(NULL, 0);
}

void note_conn(struct conn *c, enum journal_what what, struct bytes topic, uint32_t detail, const char *text)
{
    struct shard *sh = c->shard;
    const char *word = journal_trace_word(what);
    if (client_of(c, what).n || topic.n)
        journal_put(
            sh,
            &(struct journal_note){
                .what = what, .client = client_of(c, what), .topic = topic, .detail = detail, .text = text});
    if (unlikely(sh->tracer.on) && word)
        trace_note(c, word, topic, text_of(what, text));
}

void note_session(struct session *s, enum journal_what what, struct bytes topic, uint32_t detail,
                  const char *text)
{
    struct shard *sh = s->shard;
    const char *word = journal_trace_word(what);
    journal_put(sh,
                &(struct journal_note){
                    .what = what, .client = session_id(s), .topic = topic, .detail = detail, .text = text});
    if (unlikely(sh->tracer.on) && word)
        trace_session_note(s, word, topic, text_of(what, text));
}

void note_message(struct shard *sh, const struct publication *p, enum journal_what what, const char *text)
{
    struct bytes none = bytes_of(NULL, 0);
    if (p->conn)
        note_conn(p->conn, what, p->m.topic, 0, text);
    else if (!bytes_starts(p->m.topic, bytes_str("$SYS/")))
        journal_put(sh,
                    &(struct journal_note){
                        .what = what, .client = none, .topic = p->m.topic, .qos = p->m.qos, .text = text});
}
