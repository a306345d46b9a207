/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_GATE_ASK_H
#define COVEY_CORE_GATE_ASK_H

/* The gate where no rule fits: a server is asked (decision 0025). The core knows no server but whoever the
 * node was made with (ask_ops), who answers later from another thread.
 *
 * A PUBLISH or SUBSCRIBE for which a verdict is missing is not worked off: its connection is not read any
 * more (conn_pace()), the packet stays the I/O layer's, and is fed again when all answers are there. So order
 * is kept, and who asks too much is held back. A CONNECT with a will is parked (parked.h).
 *
 *     conn->asked:  NULL --a verdict is missing--> WAITING --the last answer--> READY --packet fed--> NULL */

#include "node/auth/hook.h"
#include "node/core/recall.h"

struct asked;
struct conn;
struct connect;
struct match;
struct publish;
struct session;
struct shard;
struct subscribe;

/* One question; from malloc(), with what it looks at behind it. Whoever answers owns it until then, and
 * touches only what follows `shard`. */
struct gate_question {
    struct list link;    /* of asked: */
    struct asked *asked; /* whose packet waits; NULL: nobody's any more, or it is about a will */
    uint32_t item;       /* which of its verdicts */
    uint64_t token;      /* of a parked CONNECT */
    uint32_t shard;
    uint32_t is_gone; /* atomic; set: nobody waits, it need not be asked */
    enum hook_outcome outcome;
    struct hook_values values;
    uint8_t data[];
};

struct ask_ops {
    void *ctx;
    uint32_t recalled_max; /* answers that a shard remembers */
    uint32_t recall_ms;    /* for how long; 0: none is */
    bool tells_how;        /* answers may differ by QoS and retain */
    bool failure_ignores;  /* no answer: as if it had nothing to say; else it is denied */
    /* Any shard's thread. Takes q and gives it to gate_on_answer() on its shard, once. False: too many wait,
     * q stays the caller's. */
    bool (*ask)(void *ctx, struct gate_question *q);
};

/* What a shard knows of answers. */
struct asks {
    const struct ask_ops *ops; /* NULL: no server is asked */
    struct recall recall;
    struct asked *ready; /* answers for the packet that is being worked off; NULL: none */
    struct list parked;  /* CONNECTs whose will is asked about */
    uint64_t next;
    uint32_t round; /* of ops: what was asked in an earlier one is not remembered */
    uint32_t since; /* a round; answers to what was asked before are of no use */
};

void asks_init(struct asks *a, const struct ask_ops *ops);
void asks_fini(struct asks *a);
void asks_forget(struct asks *a);
/* Another server, or NULL: none, which gate_ask_set() says. Answers that are still to come from the one
 * before count for the packets that wait for them; with no server these go by the rules alone. */
void asks_set(struct asks *a, const struct ask_ops *ops);

/* True: verdicts are missing and asked for, the packet is to be fed again, and nothing is to be done with it
 * now. Only with ops. *match is of p's topic, before and afterwards. */
bool gate_ask_publish(struct conn *c, const struct publish *p, const struct match **match);
bool gate_ask_subscribe(struct conn *c, const struct subscribe *sub);
/* True: the CONNECT is parked, and goes on with connect_asked(). Else c->will_asked is what came of it. */
bool gate_ask_will(struct conn *c, const struct connect *k, struct bytes username, const uint8_t *body,
                   uint32_t n);
/* The connection ends. */
void gate_ask_forget(struct conn *c);
/* Its packet waits for verdicts. */
bool gate_ask_waits(const struct conn *c);

/* By MAIL_CALL on q->shard; arg is a struct gate_question, freed here. */
void gate_on_answer(struct shard *sh, void *arg);
/* Nobody will read the answer. */
void gate_ask_drop(void *arg);

#endif
