/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/front.h"

#include "node/admin/api/api_i.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

static bool refuse(struct api_call *c, int status, const char *code, const char *message)
{
    api_fail(c, status, code, "%s", message);
    return false;
}

/* ---- who ------------------------------------------------------------------------------------------ */

static bool is_admin(const json_t *record)
{
    const char *role = json_str(record, "role");
    return role && strcmp(role, "administrator") == 0;
}

static bool who_by_token(struct api_call *c, const char *token)
{
    struct api_who *who = &c->who;
    uint64_t now_ms = mono_ms();
    int64_t since = 0;
    const char *user = token_user(c->api->tokens, token, now_ms, &since);
    const json_t *record = user ? account_find(c->api->accounts, ACCOUNT_USER, user) : NULL;
    if (!record || json_int(record, "since", 0) != since) /* of another password */
        return refuse(c, 401, "BAD_TOKEN", "The token is wrong or has expired: log in.");
    snprintf(who->name, sizeof who->name, "%s", user);
    who->is_person = true;
    who->role = is_admin(record) ? API_PERSON : API_VIEWER;
    who->must_change = json_bool(record, "must_change", false);
    who->token = token;
    if (token_wants_telling(c->api->tokens, token, now_ms))
        replica_tell(c->api->replica, token_item(c->api->tokens, token, now_ms), NULL, NULL);
    return true;
}

static bool key_is_right(const json_t *record, const char *api_key, const char *secret)
{
    char hash[65];
    const char *id = json_str(record, "api_key"), *known = json_str(record, "hash");
    uint64_t expired_at = (uint64_t)json_int(record, "expired_at", 0);
    if (!id || !known || strcmp(id, api_key) != 0 || strlen(known) != 64)
        return false;
    account_secret_hash(hash, secret);
    return sodium_memcmp(hash, known, 64) == 0 && json_bool(record, "enable", false) &&
           (!expired_at || wall_ms() < expired_at);
}

static bool who_by_key(struct api_call *c, const char *base64)
{
    char pair[256];
    size_t n = 0;
    const char *name;
    json_t *record;
    if (sodium_base642bin((uint8_t *)pair, sizeof pair - 1, base64, strlen(base64), NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        n = 0;
    pair[n] = 0;
    char *secret = strchr(pair, ':');
    if (secret) {
        *secret++ = 0;
        json_object_foreach((json_t *)(uintptr_t)accounts_all(c->api->accounts, ACCOUNT_KEY), name, record)
        {
            if (!key_is_right(record, pair, secret))
                continue;
            snprintf(c->who.name, sizeof c->who.name, "%s", name);
            c->who.role = is_admin(record) ? API_ADMIN : API_VIEWER;
            return true;
        }
    }
    return refuse(c, 401, "BAD_API_KEY_OR_SECRET",
                  "The API key or its secret is wrong, expired or disabled.");
}

static bool who_read(struct api_call *c, const char *authorization)
{
    if (c->route->role == API_OPEN)
        return true;
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        return who_by_token(c, authorization + 7);
    if (authorization && strncasecmp(authorization, "Basic ", 6) == 0)
        return who_by_key(c, authorization + 6);
    return refuse(c, 401, "UNAUTHORIZED", "Log in, or give an API key.");
}

static bool is_permitted(struct api_call *c)
{
    const struct api_who *who = &c->who;
    enum api_role wanted = c->route->role;
    if (wanted == API_OPEN || (wanted == API_SELF && who->is_person))
        return true;
    if (wanted == API_SELF || (wanted == API_PERSON && !who->is_person))
        return refuse(c, 403, "FORBIDDEN", "This is for people who log in, not for API keys.");
    if (who->must_change)
        return refuse(c, 403, "PASSWORD_MUST_CHANGE", "Choose a new password first.");
    if (who->role < wanted)
        return refuse(c, 403, "FORBIDDEN", "Viewers change nothing.");
    return true;
}

/* ---- what ----------------------------------------------------------------------------------------- */

static bool query_part(struct api_call *c, const char *p, size_t n, struct text *why)
{
    size_t name_n = 0, value_n, unused;
    char *copy = mem_dup(p, n);
    for (size_t i = 0; i < n; i++)
        copy[i] = copy[i] == '+' ? ' ' : copy[i];
    while (name_n < n && copy[name_n] != '=')
        name_n++;
    size_t at = name_n < n ? name_n + 1 : n;
    char *name = api_decode(copy, name_n, &unused), *value = api_decode(copy + at, n - at, &value_n);
    bool is_good = name && value && api_query_add(c->route->query, c->query, name, value, why);
    if (!name || !value)
        text_add(why, "The query is not well formed.");
    free(name);
    free(value);
    free(copy);
    return is_good;
}

static bool query_read(struct api_call *c, const char *query)
{
    struct text why = {0};
    bool is_good = true;
    for (const char *p = query; *p && is_good;) {
        size_t n = strcspn(p, "&");
        is_good = n == 0 || query_part(c, p, n, &why);
        p += n + (p[n] == '&');
    }
    if (!is_good)
        api_fail(c, 400, "BAD_REQUEST", "%.*s", (int)why.n, why.p);
    text_fini(&why);
    return is_good;
}

static bool array_check(struct api_call *c, struct text *why)
{
    struct api_field items[] = {
        {.name = "body", .type = API_ARRAY, .flags = API_REQUIRED, .of = c->route->body}, {0}};
    struct api_shape shape = {.fields = items};
    json_t *o = json_object();
    json_put(o, "body", json_incref(c->body));
    bool is_good = api_shape_check(&shape, o, why);
    json_decref(o);
    return is_good;
}

static bool body_read(struct api_call *c, const struct front_request *r)
{
    json_error_t error;
    struct text why = {0};
    if (c->route->body_form == API_NOTHING)
        return r->body.n == 0 || refuse(c, 400, "BAD_REQUEST", "This call takes no body.");
    if (!r->content_type || strncasecmp(r->content_type, "application/json", 16) != 0)
        return refuse(c, 415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.");
    c->body = json_loadb((const char *)r->body.p, r->body.n, JSON_REJECT_DUPLICATES, &error);
    if (!c->body) {
        api_fail(c, 400, "BAD_REQUEST", "The body is no JSON: line %d, column %d: %s", error.line,
                 error.column, error.text);
        return false;
    }
    bool is_good = c->route->body_form == API_LIST ? array_check(c, &why)
                                                   : api_shape_check(c->route->body, c->body, &why);
    if (!is_good)
        api_fail(c, 400, "BAD_REQUEST", "%.*s", (int)why.n, why.p);
    text_fini(&why);
    return is_good;
}

/* A browser says when a request comes of a page of another site. */
static bool is_of_another_site(const struct front_request *r)
{
    return r->method != API_GET && r->fetch_site && strcmp(r->fetch_site, "same-origin") != 0 &&
           strcmp(r->fetch_site, "none") != 0;
}

bool front_read(struct api_call *c, const struct front_request *r)
{
    snprintf(c->who.address, sizeof c->who.address, "%s", r->address);
    if (is_of_another_site(r))
        return refuse(c, 403, "FORBIDDEN", "Pages of other sites change nothing.");
    return who_read(c, r->authorization) && is_permitted(c) && query_read(c, r->query) && body_read(c, r);
}
