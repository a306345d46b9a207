/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_GATE_H
#define COVEY_CORE_GATE_H

/* A shard's use of the ACL (acl.h): what it asks before a client may publish, subscribe or be delivered a
 * message, and the verdicts on topics that it remembers. Where no rule fits a server may decide
 * (gate_ask.h). Without an ACL it lets everything pass; with a server there always is one.
 *
 * A client may have brought rules of its own (conn.acl). They are asked first, and the file where none of
 * them fits. The first such client makes a shard without a file ask as well: an ACL that allows everything
 * stands in for it. */

#include "node/core/acl.h"
#include "node/core/gate_ask.h"
#include "node/core/subs.h"

struct conn;
struct publication;
struct session;
struct shard;

/* What rules look at of a session besides its client id and user name. Of each life of a connection. */
struct gate_ident {
    uint64_t number; /* on this shard, never used again */
    uint8_t address[ACL_ADDRESS_N];
    bool has_address;
    bool is_superuser; /* no rule concerns it */
    uint16_t cert_name_n;
    bool is_partial; /* the session has not been connected since the node started, or was on another one */
    struct acl *own; /* NULL: the client brought no rules; a reference */
    uint8_t cert_name[];
};

struct gate_slot;

struct gate {
    struct acl *acl;  /* NULL: none */
    bool is_stand_in; /* acl is one, there is no file */
    bool has_owners;  /* a client has had rules of its own */
    uint8_t pass;     /* what a subscription's has to be for all its messages to pass; 0: no ACL */
    uint8_t how_mask; /* see gate_kind() */
    uint32_t slots_n; /* a power of two, or 0: nothing is remembered */
    struct gate_slot *slots;
    const struct gate_slot *hit; /* of the publish that is being looked at, see gate_remembers(); or NULL */
    uint64_t ident_next;
    uint64_t logged_ms; /* when the last refusal was logged */
    uint64_t unlogged;  /* since */
    struct asks asks;
};

/* acl: NULL: none. slots: how many verdicts are remembered. asks: NULL: no server is asked. */
void gate_init(struct gate *g, struct acl *acl, uint32_t slots, const struct ask_ops *asks);
void gate_fini(struct gate *g);
/* Takes other rules, NULL: none; what is remembered is forgotten. */
void gate_set(struct shard *sh, struct acl *acl);
/* Another server that is asked, or NULL: none; what is remembered is forgotten. The ops from before, which
 * are used no more. See asks_set(). */
const struct ask_ops *gate_ask_set(struct shard *sh, const struct ask_ops *ops);
/* Forgets what is remembered. */
void gate_forget(struct shard *sh);

/* Each answers NULL: yes; else the reason string, which names the rule and lives until the shard's next turn.
 * Refusals are counted and logged. */
const char *gate_publish(struct shard *sh, struct session *s, const struct match *match, unsigned qos,
                         bool retain);
/* *is_granted: the server has allowed it, no rule. */
const char *gate_subscribe(struct shard *sh, struct session *s, struct bytes filter, unsigned qos,
                           bool *is_granted);
/* The will of a client that is not yet let in; *is_granted as above. */
const char *gate_will(const struct conn *c, struct bytes client_id, struct bytes username, struct bytes topic,
                      bool *is_granted);
/* May the session still publish its will? */
bool gate_lets_will(struct shard *sh, struct session *s, struct bytes topic);

/* May this message reach the subscriber? Ask when sub->pass is not gate.pass. */
bool gate_lets_pass(struct shard *sh, const struct publication *p, struct subscription *sub);
/* May the session see this topic, whichever subscription it came by? */
bool gate_lets_reach(struct shard *sh, struct session *s, struct bytes topic);

/* For who asks why: would the client be allowed it? NULL: yes; else the reason, which lives as long as these
 * rules do. Nothing is counted or remembered. */
const char *gate_explain(struct shard *sh, struct session *s, enum acl_action action, struct bytes topic);

/* The session has this connection now: its rights are looked at anew. */
void gate_on_attach(struct shard *sh, struct session *s);
void gate_ident_free(struct gate_ident *i); /* NULL is fine */

#endif
