/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/delayed.h"
#include "node/core/gate_i.h"
#include "node/core/identity.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Whom rules are about, and what they say; nothing of it is remembered here. */

/* ---- who ------------------------------------------------------------------------------------------ */

static struct bytes cert_name_of(const struct conn *c)
{
    return c && c->identity ? c->identity->cert_name : bytes_of(NULL, 0);
}

static void ident_set(struct shard *sh, struct session *s)
{
    struct bytes cert_name = cert_name_of(s->conn);
    gate_ident_free(s->ident);
    s->ident = mem_zalloc(sizeof *s->ident + cert_name.n);
    s->ident->number = ++sh->gate.ident_next;
    s->ident->is_partial = !s->conn;
    s->ident->cert_name_n = (uint16_t)cert_name.n;
    bytes_put(s->ident->cert_name, cert_name);
    if (s->conn) {
        s->ident->is_superuser = s->conn->is_superuser;
        s->ident->has_address = acl_address(s->conn->peer.address, s->ident->address);
        s->ident->own = acl_ref(s->conn->acl);
    }
}

void gate_ident_free(struct gate_ident *i)
{
    if (i)
        acl_unref(i->own);
    free(i);
}

void gate_on_attach(struct shard *sh, struct session *s)
{
    if (s->conn->acl)
        gate_owner_note(sh);
    if (!sh->gate.acl) { /* what the connection before was does not count when there are rules again */
        gate_ident_free(s->ident);
        s->ident = NULL;
        return;
    }
    ident_set(sh, s);
    for (uint32_t i = 0; i < s->subs_n; i++)
        s->subs[i]->pass = 0;
}

struct acl_client gate_client(struct shard *sh, struct session *s)
{
    if (!s->ident)
        ident_set(sh, s);
    return (struct acl_client){
        .client_id = session_id(s),
        .username = s->username ? bytes_str(s->username) : bytes_of(NULL, 0),
        .address = s->ident->has_address ? s->ident->address : NULL,
        .cert_name = bytes_of(s->ident->cert_name, s->ident->cert_name_n),
        .is_partial = s->ident->is_partial,
    };
}

/* ---- whose rules ---------------------------------------------------------------------------------- */

/* rule: of the file, or of what stands in for it; own: the client's, of which none fits. */
static struct verdict verdict_of_file(const struct shard *sh, const struct acl *own, uint32_t rule)
{
    const struct gate *g = &sh->gate;
    bool follows_settings = g->is_stand_in && (own || g->asks.ops);
    return (struct verdict){.rule = rule,
                            .by = VERDICT_FILE,
                            .allows = follows_settings ? sh->settings->acl_lets_unmatched
                                                       : acl_allows(g->acl, rule),
                            .is_open = rule == acl_rules(g->acl)};
}

static struct verdict verdict_of_own(const struct acl *own, uint32_t rule)
{
    return (struct verdict){.rule = rule, .by = VERDICT_OWN, .allows = acl_allows(own, rule)};
}

static const struct verdict of_superuser = {.by = VERDICT_SUPERUSER, .allows = true};

static struct verdict judge_topic(const struct shard *sh, const struct acl_client *c, const struct acl *own,
                                  enum acl_action action, struct bytes topic)
{
    if (unlikely(own != NULL)) {
        uint32_t rule = acl_on_topic(own, c, action, topic);
        if (acl_decides(own, rule))
            return verdict_of_own(own, rule);
    }
    return verdict_of_file(sh, own, acl_on_topic(sh->gate.acl, c, action, topic));
}

/* *is_whole as of acl_on_filter(). */
static struct verdict judge_filter(const struct shard *sh, const struct acl_client *c, const struct acl *own,
                                   struct bytes filter, bool *is_whole)
{
    bool is_whole_of_own = true;
    if (own) {
        uint32_t rule = acl_on_filter(own, c, filter, &is_whole_of_own);
        *is_whole = is_whole_of_own;
        if (acl_decides(own, rule))
            return verdict_of_own(own, rule);
    }
    uint32_t rule = acl_on_filter(sh->gate.acl, c, filter, is_whole);
    *is_whole &= is_whole_of_own;
    return verdict_of_file(sh, own, rule);
}

struct verdict gate_judge_topic(struct shard *sh, struct session *s, enum acl_action action,
                                struct bytes topic)
{
    struct acl_client c = gate_client(sh, s);
    return s->ident->is_superuser ? of_superuser : judge_topic(sh, &c, s->ident->own, action, topic);
}

struct verdict gate_judge_filter(struct shard *sh, struct session *s, struct bytes filter, bool *is_whole)
{
    struct acl_client c = gate_client(sh, s);
    *is_whole = true;
    return s->ident->is_superuser ? of_superuser : judge_filter(sh, &c, s->ident->own, filter, is_whole);
}

/* A client that is not there yet may have been allowed by rules of its own, which are not known. What waits
 * for it is looked at when it is there. */
bool gate_is_undecided(const struct shard *sh, const struct session *s)
{
    return s->ident->is_partial && sh->settings->acl_by_client;
}

/* ---- of wills ------------------------------------------------------------------------------------- */

struct acl_client gate_client_of_connect(const struct conn *c, struct bytes client_id, struct bytes username,
                                         uint8_t address[ACL_ADDRESS_N])
{
    return (struct acl_client){.client_id = client_id,
                               .username = username,
                               .cert_name = cert_name_of(c),
                               .address = acl_address(c->peer.address, address) ? address : NULL};
}

struct verdict gate_judge_will(const struct conn *c, struct bytes client_id, struct bytes username,
                               struct bytes topic)
{
    struct shard *sh = c->shard;
    uint8_t address[ACL_ADDRESS_N];
    if (c->acl)
        gate_owner_note(sh);
    if (!sh->gate.acl || c->is_superuser)
        return of_superuser;
    struct acl_client who = gate_client_of_connect(c, client_id, username, address);
    return judge_topic(sh, &who, c->acl, ACL_PUBLISH, delayed_topic(topic, sh->wall_ms));
}
