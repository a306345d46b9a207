/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_VET_H
#define COVEY_CORE_VET_H

/* Who may come in. A listener has a chain of methods; each says accept, refuse or next, which means that it
 * knows nothing of this client. When none knows it, a client that names nobody is anonymous, and
 * allow_anonymous decides; one that gave a name or a password is refused.
 *
 * The core knows the order of things and not the methods: it asks whoever the node was made with (vet_ops),
 * who answers at once, or later from another thread. Then the CONNECT is parked. */

#include "node/auth/hook.h"
#include "node/core/settings.h"
#include "proto/base/list.h"
#include "proto/mqtt/reason.h"

struct acl;
struct conn;
struct connect;
struct identity;
struct shard;

enum vet_verdict {
    VET_ACCEPT,
    VET_REFUSE,
    VET_NEXT,     /* nobody knows this client */
    VET_WAIT,     /* the answer comes later */
    VET_CONTINUE, /* of an exchange: the client is to say more */
};

/* The question; views that are valid during the call. */
struct vet_ask {
    const struct settings *settings;
    struct bytes client_id;
    struct bytes username;           /* p NULL: none was given */
    struct bytes password;           /* the same */
    struct bytes peerhost;           /* its address as text */
    const struct identity *identity; /* NULL: the transport knows nothing of it */
    uint32_t shard;
    uint64_t token;
};

struct vet_answer {
    uint64_t token;
    enum vet_verdict verdict;
    enum reason code;        /* with VET_REFUSE */
    const char *text;        /* for the client, may be NULL; lives as long as the program */
    const char *method;      /* "password_file"; NULL: none */
    char *username;          /* whose rights the client has, instead of the name that it gave; NULL: that one.
                                From malloc(), the receiver's */
    uint64_t until_ms;       /* wall clock: the connection ends then; 0: no such time */
    bool is_superuser;       /* with VET_ACCEPT: authorization lets it do everything */
    enum hook_outcome asked; /* of a server that was to be asked */
    struct acl *acl;         /* rules about it (acl_parse_own()); NULL: none. A reference, the receiver's */
};
/* Drops what is the receiver's. */
void vet_answer_fini(struct vet_answer *a);

/* The method of enhanced authentication (MQTT 5.0 section 4.12), under VET_PASSWORD_FILE. */
#define VET_SCRAM "SCRAM-SHA-256"
enum { VET_REPLY_MAX = 512 };

/* One step of it; views that are valid during the call. */
struct vet_scram_ask {
    struct bytes data;     /* what the client has sent; p NULL: nothing */
    struct bytes username; /* who it must be; p NULL: anybody */
};
struct vet_reply {
    uint32_t n;
    uint8_t data[VET_REPLY_MAX];
};
struct vet_scram; /* what is kept between two steps */

struct vet_ops {
    void *ctx;
    /* Any shard's thread. VET_WAIT: vet_on_answer() will be called on that shard, once; until then *is_gone,
     * which is set to 1 when nobody waits any more, is readable and writable. */
    enum vet_verdict (*ask)(void *ctx, const struct vet_ask *a, struct vet_answer *out, uint32_t **is_gone);
    /* Any shard's thread; answers at once: VET_CONTINUE or VET_ACCEPT with a reply, or VET_REFUSE.
     * out->username is set as soon as it is known. *x is NULL at the first step, and afterwards for
     * scram_free(). */
    enum vet_verdict (*scram)(void *ctx, const struct vet_scram_ask *q, struct vet_scram **x,
                              struct vet_reply *reply, struct vet_answer *out);
    void (*scram_free)(struct vet_scram *x); /* NULL is fine */
};

struct vets {
    struct list waiting; /* struct parked */
    uint64_t next;
};

/* The CONNECT was judged well formed. Goes on with connect_vetted(), or refuses, or parks it. False: the
 * connection is closing. */
bool vet_begin(struct conn *c, struct connect *k, uint8_t *body, uint32_t n);
/* The answer about a CONNECT: goes on with connect_vetted(), or refuses. k looks into body. Takes
 * what is the receiver's. False: the connection is closing. */
bool vet_take(struct conn *c, struct connect *k, uint8_t *body, uint32_t n, struct vet_answer *a);
/* Counts the answer and, when it refuses, logs it. client_id, username: as the client says. */
void vet_note(const struct conn *c, struct bytes client_id, struct bytes username,
              const struct vet_answer *a);
/* By MAIL_CALL; arg is a struct vet_answer, which stays the caller's but for what is the receiver's. */
void vet_on_answer(struct shard *sh, struct vet_answer *a);

void vets_init(struct vets *v);
void vets_fini(struct vets *v);

#endif
