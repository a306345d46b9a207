/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/vet.h"

#include "node/core/acl.h"
#include "node/core/bans.h"
#include "node/core/conn_i.h"
#include "node/core/parked.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"

#include <stdlib.h>

void vet_answer_fini(struct vet_answer *a)
{
    free(a->username);
    acl_unref(a->acl);
    a->username = NULL;
    a->acl = NULL;
}

void vets_init(struct vets *v)
{
    list_init(&v->waiting);
    v->next = 1;
}

void vets_fini(struct vets *v)
{
    parked_free_all(&v->waiting);
}

static void log_refused(const struct conn *c, struct bytes client_id, struct bytes username,
                        const struct vet_answer *a)
{
    char id[LOG_ESCAPED_MAX], name[LOG_ESCAPED_MAX];
    if (a->username)
        username = bytes_str(a->username);
    LOG(c->shard->node->conf.log, LOG_INFO,
        "auth refused client_id=\"%s\" username=\"%s\" peer=%s:%u listener=%s method=%s",
        log_escape(id, client_id), log_escape(name, username), c->peer.address, c->peer.port,
        c->settings->listener, a->method ? a->method : "none");
}

static void count(struct shard *sh, const struct vet_answer *a)
{
    switch (a->verdict) {
    case VET_ACCEPT:
        COUNT(sh, AUTH_SUCCESS);
        break;
    case VET_NEXT:
        COUNT(sh, AUTH_ANONYMOUS);
        break;
    case VET_REFUSE:
        COUNT(sh, AUTH_FAILURE);
        break;
    case VET_WAIT:
    case VET_CONTINUE:
        break;
    }
}

void vet_note(const struct conn *c, struct bytes client_id, struct bytes username, const struct vet_answer *a)
{
    count(c->shard, a);
    if (a->verdict == VET_REFUSE)
        log_refused(c, client_id, username, a);
}

static void count_asked(struct shard *sh, const struct vet_answer *a)
{
    _Static_assert(C_AUTH_HTTP_RECALLED - C_AUTH_HTTP_ALLOW == HOOK_RECALLED - HOOK_SAID_ALLOW, "in order");
    if (a->asked != HOOK_NOT_ASKED)
        sh->counters.v[C_AUTH_HTTP_ALLOW + a->asked - HOOK_SAID_ALLOW]++;
}

/* Nobody knows the client: the answer becomes one that is final. */
static void answer_nobody(const struct conn *c, const struct connect *k, struct vet_answer *a)
{
    if (c->settings->vet.n && (k->has_username || k->has_password)) {
        a->verdict = VET_REFUSE;
        a->code = RC_BAD_USER_NAME_OR_PASSWORD;
        a->text = "Bad user name or password";
    } else if (!c->settings->anonymous_allowed) {
        a->verdict = VET_REFUSE;
        a->code = RC_NOT_AUTHORIZED;
        a->text = c->settings->vet.n
                      ? "This listener does not admit clients without authentication"
                      : "This listener does not admit clients without authentication, and none is configured";
    }
}

bool vet_take(struct conn *c, struct connect *k, uint8_t *body, uint32_t n, struct vet_answer *a)
{
    c->shard->connecting = k->client_id;
    if (a->verdict == VET_NEXT)
        answer_nobody(c, k, a);
    vet_note(c, k->client_id, k->username, a);
    if (a->verdict == VET_REFUSE) {
        vet_answer_fini(a);
        return connect_refuse(c, a->code, a->text);
    }
    c->username = a->username;
    c->until_ms = a->until_ms;
    c->acl = a->acl;
    c->is_superuser = a->verdict == VET_ACCEPT && a->is_superuser;
    if (c->username && ban_stops(c, k))
        return connect_refuse_banned(c);
    return connect_vetted(c, k, body, n);
}

bool vet_begin(struct conn *c, struct connect *k, uint8_t *body, uint32_t n)
{
    struct shard *sh = c->shard;
    const struct vet_ops *ops = sh->node->conf.vet;
    struct vet_answer a = {.verdict = VET_NEXT, .code = RC_NOT_AUTHORIZED};
    uint32_t *is_gone = NULL;
    if (c->settings->vet.n) {
        struct vet_ask ask = {
            .settings = c->settings,
            .client_id = k->client_id,
            .username = k->has_username ? k->username : bytes_of(NULL, 0),
            .password = k->has_password ? k->password : bytes_of(NULL, 0),
            .peerhost = bytes_str(c->peer.address),
            .identity = c->identity,
            .shard = sh->number,
            .token = sh->vets.next++,
        };
        CHECK(ops != NULL);
        a.token = ask.token;
        a.verdict = ops->ask(ops->ctx, &ask, &a, &is_gone);
    }
    count_asked(sh, &a);
    if (a.verdict != VET_WAIT)
        return vet_take(c, k, body, n, &a);
    parked_new(&sh->vets.waiting, c, a.token, body, n)->is_gone = is_gone;
    return true;
}

void vet_on_answer(struct shard *sh, struct vet_answer *a)
{
    struct connect k;
    struct fault f;
    struct parked *p = parked_take(&sh->vets.waiting, a->token);
    count_asked(sh, a);
    if (p && p->conn) {
        CHECK(decode_connect(p->body, p->n, &k, &f)); /* it was good before */
        vet_take(p->conn, &k, p->body, p->n, a);
    } else {
        vet_answer_fini(a);
    }
    parked_free(p);
}
