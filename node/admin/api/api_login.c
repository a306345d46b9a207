/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/api_i.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/secret.h"
#include "proto/base/clock.h"

/* Logging in and out. */

/* ---- login ---------------------------------------------------------------------------------------- */

/* The answer of a call is ready, and is given when the other nodes know what it is about. */
static bool is_told(struct api_call *c)
{
    (void)c;
    return false;
}

static void on_told(void *call)
{
    api_call_wake(call);
}

/* Answers in the same way: true, the call goes on. */
static bool token_tell(struct api_call *c, const char *token)
{
    json_t *item = token_item(c->api->tokens, token, mono_ms());
    if (!item || !replica_tell(c->api->replica, item, on_told, c))
        return false;
    c->step = is_told;
    c->is_waiting = true;
    return true;
}

static bool login_answer(struct api_call *c, const json_t *record)
{
    char token[TOKEN_TEXT_N];
    json_t *o = json_object(), *license = json_object();
    token_make(c->api->tokens, c->who.name, json_int(record, "since", 0), mono_ms(), token);
    json_put(license, "edition", json_of_str("opensource"));
    json_put(o, "token", json_of_str(token));
    json_put(o, "version", json_of_str(node_conf(c->env->conf.node)->version));
    json_put(o, "license", license);
    json_put(o, "role", json_of_str(json_str(record, "role")));
    json_put(o, "must_change_password", json_boolean(json_bool(record, "must_change", false)));
    api_reply(c, 200, o);
    return token_tell(c, token);
}

/* The password was compared; the user may have gone meanwhile, or have got another one. */
static bool login_finish(struct api_call *c)
{
    const struct secret *s = c->state;
    const json_t *record = account_find(c->api->accounts, ACCOUNT_USER, c->who.name);
    const char *hash = json_str(record, "hash");
    if (!s->is_right || !hash || strcmp(hash, s->hash) != 0) {
        secret_tried(c, false);
        api_fail(c, 401, "BAD_USERNAME_OR_PWD", "Wrong user name or password.");
        return false;
    }
    secret_tried(c, true);
    return login_answer(c, record);
}

static void login(struct api_call *c)
{
    const char *user = json_str(c->body, "username");
    const json_t *record = account_find(c->api->accounts, ACCOUNT_USER, user);
    snprintf(c->who.name, sizeof c->who.name, "%s", user);
    c->who.is_person = true;
    if (secret_may_try(c))
        secret_run(c, json_str(c->body, "password"), json_str(record, "hash"), NULL, login_finish);
}

static void logout(struct api_call *c)
{
    const char *user = json_str(c->body, "username");
    if (user && strcmp(user, c->who.name) != 0) {
        api_fail(c, 400, "BAD_REQUEST", "username: the token is of another user");
        return;
    }
    token_end(c->api->tokens, c->who.token, mono_ms());
    api_reply(c, 204, NULL);
    token_tell(c, c->who.token);
}

static void current_user(struct api_call *c)
{
    const json_t *record = account_find(c->api->accounts, ACCOUNT_USER, c->who.name);
    json_t *o = json_object();
    json_put(o, "username", json_of_str(c->who.name));
    json_put(o, "role", json_of_str(json_str(record, "role")));
    json_put(o, "must_change_password", json_boolean(c->who.must_change));
    api_reply(c, 200, o);
}

/* ---- the table ------------------------------------------------------------------------------------ */

static const struct api_shape login_body = {
    "login",
    (const struct api_field[]){
        {"username", API_STRING, API_REQUIRED, 1, ACCOUNT_NAME_MAX, NULL, NULL, "Name of the user"},
        {"password", API_STRING, API_REQUIRED, 1, 1024, NULL, NULL, "Password of the user"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};
static const struct api_shape license_shape = {
    "license",
    (const struct api_field[]){{"edition", API_STRING, API_REQUIRED, 0, 0, NULL, NULL, "Always opensource"},
                               {0}},
    API_CLOSED,
    API_ANY,
};
static const struct api_shape login_shape = {
    "session",
    (const struct api_field[]){
        {"token", API_STRING, API_REQUIRED, 0, 0, NULL, NULL, "For the header Authorization: Bearer TOKEN"},
        {"version", API_STRING, API_REQUIRED, 0, 0, NULL, NULL, "Version of the node"},
        API_HAS_OF("license", OBJECT, license_shape, "For clients that look for it"),
        API_HAS_WORD("role", "administrator|viewer", "What the user may do"),
        {"must_change_password", API_BOOL, API_REQUIRED, 0, 0, NULL, NULL,
         "Nothing else is permitted before the password is changed"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};
static const struct api_shape logout_body = {
    "logout",
    (const struct api_field[]){
        {"username", API_STRING, 0, 1, ACCOUNT_NAME_MAX, NULL, NULL, "The user that the token is of"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};
static const struct api_shape current_shape = {
    "current_user",
    (const struct api_field[]){
        {"username", API_STRING, API_REQUIRED, 0, 0, NULL, NULL, "Name of the user"},
        API_HAS_WORD("role", "administrator|viewer", "What the user may do"),
        {"must_change_password", API_BOOL, API_REQUIRED, 0, 0, NULL, NULL,
         "Nothing else is permitted before the password is changed"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};

const struct api_route api_routes_login[] = {
    {.method = API_POST,
     .path = "/login",
     .role = API_OPEN,
     .run = login,
     .body = &login_body,
     .body_form = API_ONE,
     .answer = API_ONE,
     .shape = &login_shape,
     .tag = "Login",
     .summary = "Log in: a token for further calls",
     .refusals = "401 BAD_USERNAME_OR_PWD, 429 TOO_MANY_REQUESTS, 503 BUSY"},
    {.method = API_POST,
     .path = "/logout",
     .role = API_SELF,
     .run = logout,
     .body = &logout_body,
     .body_form = API_ONE,
     .tag = "Login",
     .summary = "End the token of this request"},
    {.method = API_GET,
     .path = "/current_user",
     .role = API_SELF,
     .run = current_user,
     .answer = API_ONE,
     .shape = &current_shape,
     .tag = "Login",
     .summary = "Who has logged in"},
    {0},
};
