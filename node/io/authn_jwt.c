/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn_jwt.h"

#include "node/auth/users.h"
#include "node/core/acl.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

const char *authn_jwt_claim_judge(const char *claim)
{
    const char *equals = strchr(claim, '=');
    if (!equals || equals == claim)
        return "must be NAME=VALUE, such as sub=${username}";
    const char *dollar = strstr(equals, "${");
    if (dollar && strcmp(equals + 1, "${clientid}") != 0 && strcmp(equals + 1, "${username}") != 0)
        return "has ${clientid} or ${username} as its whole value, or none of them";
    return NULL;
}

void authn_jwt_conf_copy(struct authn_jwt_conf *out, const struct authn_jwt_conf *conf)
{
    const char **claims = conf->claims_n ? mem_zalloc(conf->claims_n * sizeof *claims) : NULL;
    for (size_t i = 0; i < conf->claims_n; i++)
        claims[i] = mem_text(conf->claims[i]);
    *out = *conf;
    out->secret_file = out->public_key_file = out->jwks_file = NULL;
    out->claims = claims;
    out->username_claim = mem_text(conf->username_claim);
    out->acl_claim = mem_text(conf->acl_claim);
}

void authn_jwt_conf_fini(struct authn_jwt_conf *copy)
{
    for (size_t i = 0; i < copy->claims_n; i++)
        free((void *)(uintptr_t)copy->claims[i]);
    free((void *)(uintptr_t)copy->claims);
    free((void *)(uintptr_t)copy->username_claim);
    free((void *)(uintptr_t)copy->acl_claim);
}

static struct bytes value_of(const char *value, const struct vet_ask *q)
{
    if (strcmp(value, "${clientid}") == 0)
        return q->client_id;
    return strcmp(value, "${username}") == 0 ? q->username : bytes_str(value);
}

/* An empty value, or a client that has none, fits nothing. */
static bool claims_fit(const struct authn_jwt_conf *conf, const struct jwt *t, const struct vet_ask *q)
{
    char name[128];
    for (size_t i = 0; i < conf->claims_n; i++) {
        const char *equals = strchr(conf->claims[i], '=');
        size_t n = (size_t)(equals - conf->claims[i]);
        struct bytes wanted = value_of(equals + 1, q);
        if (n >= sizeof name || !wanted.n)
            return false;
        memcpy(name, conf->claims[i], n);
        name[n] = 0;
        if (!bytes_eq(jwt_claim(t, name), wanted))
            return false;
    }
    return true;
}

static enum vet_verdict refuse(struct vet_answer *out, const char *text)
{
    out->code = RC_BAD_USER_NAME_OR_PASSWORD;
    out->text = text;
    return VET_REFUSE;
}

/* False: *why. A token whose rules are not understood is not let in with fewer. */
static bool rules_take(const struct authn_jwt_conf *conf, const struct jwt *t, struct vet_answer *out,
                       const char **why)
{
    struct acl_fault fault;
    char *text = NULL;
    bool is_whole;
    if (*conf->acl_claim && !jwt_acl(t, conf->acl_claim, &text, &is_whole, why))
        return false;
    if (!text)
        return true;
    out->acl = acl_parse_own(bytes_str(text), is_whole, &fault);
    free(text);
    *why = "The ACL of the token has a topic that is no topic filter";
    return out->acl != NULL;
}

static enum vet_verdict token_use(const struct authn_jwt_conf *conf, const struct jwt *t,
                                  const struct vet_ask *q, struct vet_answer *out)
{
    const char *why;
    if (!claims_fit(conf, t, q))
        return refuse(out, "A claim of the token is not this client's");
    if (*conf->username_claim) {
        struct bytes name = jwt_claim(t, conf->username_claim);
        if (user_name_judge(name))
            return refuse(out, "The token names no user");
        out->username = mem_dup(name.p, name.n);
    }
    if (!rules_take(conf, t, out, &why))
        return refuse(out, why);
    out->until_ms = t->exp_s ? (t->exp_s + conf->leeway_s) * 1000 : 0;
    return VET_ACCEPT;
}

enum vet_verdict authn_jwt(const struct authn_jwt_conf *conf, const struct jwt_keys *keys, uint64_t now_s,
                           const struct vet_ask *q, struct vet_answer *out)
{
    struct jwt t;
    enum jwt_result r =
        jwt_check(keys, conf->is_in_username ? q->username : q->password, now_s, conf->leeway_s, &t);
    if (r == JWT_NONE)
        return VET_NEXT;
    if (r != JWT_OK)
        return refuse(out, jwt_result_text(r));
    enum vet_verdict v = token_use(conf, &t, q, out);
    jwt_fini(&t);
    return v;
}
