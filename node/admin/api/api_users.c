/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/api_i.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/secret.h"

/* The users of the API. */

static json_t *user_of(const char *name, const json_t *record)
{
    json_t *o = json_object();
    const char *description = json_str(record, "description");
    json_put(o, "username", json_of_str(name));
    json_put(o, "role", json_of_str(json_str(record, "role")));
    json_put(o, "description", json_of_str(description ? description : ""));
    json_put(o, "backend", json_of_str("local"));
    return o;
}

static void list(struct api_call *c)
{
    json_t *all = json_array();
    const char *name;
    json_t *record;
    json_object_foreach((json_t *)(uintptr_t)accounts_all(c->api->accounts, ACCOUNT_USER), name, record)
        json_push(all, user_of(name, record));
    api_reply(c, 200, all);
}

/* The record of the user in the path; NULL: answered with 404. */
static const json_t *user_wanted(struct api_call *c)
{
    const json_t *record = account_find(c->api->accounts, ACCOUNT_USER, api_param(c, 0));
    if (!record)
        api_fail(c, 404, "USER_NOT_FOUND", "There is no user of this name.");
    return record;
}

/* ---- new ------------------------------------------------------------------------------------------ */

static bool add_stored(struct api_call *c)
{
    const char *name = json_str(c->body, "username");
    if (secret_is_stored(c))
        api_reply(c, 200, user_of(name, account_find(c->api->accounts, ACCOUNT_USER, name)));
    return false;
}

/* Whether there is one is looked at again: another call may have been faster. */
static bool is_taken(struct api_call *c)
{
    bool is = account_find(c->api->accounts, ACCOUNT_USER, json_str(c->body, "username")) != NULL;
    if (is)
        api_fail(c, 400, "ALREADY_EXISTS", "username: there is a user of this name");
    return is;
}

static bool add_hashed(struct api_call *c)
{
    const struct secret *s = c->state;
    const char *description = json_str(c->body, "description");
    if (is_taken(c))
        return false;
    if (!s->is_hashed) {
        api_fail(c, 503, "SERVICE_UNAVAILABLE", "There is no memory to hash the password.");
        return false;
    }
    json_t *record =
        account_user_new(s->next_hash, json_str(c->body, "role"), description ? description : "");
    secret_store(c, ACCOUNT_USER, json_str(c->body, "username"), record, add_stored);
    return true;
}

static void add(struct api_call *c)
{
    if (!account_name_is_good(json_str(c->body, "username")))
        api_fail(c, 400, "BAD_REQUEST", "username: may have letters, digits and the signs ._@-");
    else if (!is_taken(c))
        secret_run(c, NULL, NULL, json_str(c->body, "password"), add_hashed);
}

/* ---- change --------------------------------------------------------------------------------------- */

static bool change_stored(struct api_call *c)
{
    const json_t *record = secret_is_stored(c) ? user_wanted(c) : NULL;
    if (record)
        api_reply(c, 200, user_of(api_param(c, 0), record));
    return false;
}

static void change(struct api_call *c)
{
    const json_t *record = user_wanted(c);
    const char *role = json_str(c->body, "role"), *description = json_str(c->body, "description");
    if (!record)
        return;
    if (role && strcmp(role, "administrator") != 0 && accounts_last_admin_is(c->api->accounts, record)) {
        api_fail(c, 400, "BAD_REQUEST", "role: this is the last administrator");
        return;
    }
    json_t *next = json_copy((json_t *)(uintptr_t)record);
    if (role)
        json_put(next, "role", json_of_str(role));
    if (description)
        json_put(next, "description", json_of_str(description));
    secret_store(c, ACCOUNT_USER, api_param(c, 0), next, change_stored);
}

static bool remove_stored(struct api_call *c)
{
    if (secret_is_stored(c))
        api_reply(c, 204, NULL);
    return false;
}

static void user_remove(struct api_call *c)
{
    const json_t *record = user_wanted(c);
    if (!record)
        return;
    if (accounts_last_admin_is(c->api->accounts, record)) {
        api_fail(c, 400, "NOT_ALLOWED", "This is the last administrator.");
        return;
    }
    secret_store(c, ACCOUNT_USER, api_param(c, 0), NULL, remove_stored);
}

/* ---- password ------------------------------------------------------------------------------------- */

static bool password_stored(struct api_call *c)
{
    if (secret_is_stored(c))
        api_reply(c, 204, NULL);
    return false;
}

static bool password_hashed(struct api_call *c)
{
    const struct secret *s = c->state;
    const json_t *record = user_wanted(c);
    if (!record)
        return false;
    if (!s->is_right || strcmp(json_str(record, "hash"), s->hash) != 0) {
        secret_tried(c, false);
        api_fail(c, 400, "ERROR_PWD_NOT_MATCH", "old_pwd: the old password is wrong");
        return false;
    }
    if (!s->is_hashed) {
        api_fail(c, 503, "SERVICE_UNAVAILABLE", "There is no memory to hash the password.");
        return false;
    }
    json_t *next = json_copy((json_t *)(uintptr_t)record);
    json_put(next, "hash", json_of_str(s->next_hash));
    json_put(next, "must_change", json_false());
    secret_store(c, ACCOUNT_USER, api_param(c, 0), next, password_stored);
    return true;
}

static void password_change(struct api_call *c)
{
    const char *old = json_str(c->body, "old_pwd"), *next = json_str(c->body, "new_pwd");
    bool is_own = strcmp(c->who.name, api_param(c, 0)) == 0;
    if (!is_own && (c->who.role < API_ADMIN || c->who.must_change)) {
        api_fail(c, 403, "FORBIDDEN", "This is for the user, or an administrator.");
        return;
    }
    const json_t *record = user_wanted(c);
    if (!record || !secret_may_try(c))
        return;
    if (strcmp(old, next) == 0)
        api_fail(c, 400, "BAD_REQUEST", "new_pwd: is the old password");
    else
        secret_run(c, old, json_str(record, "hash"), next, password_hashed);
}

/* ---- the table ------------------------------------------------------------------------------------ */

#define ROLES "administrator|viewer"

static const struct api_shape user_shape = {
    "user",
    (const struct api_field[]){
        {"username", API_STRING, API_REQUIRED, 0, 0, NULL, NULL, "Name of the user"},
        {"role", API_STRING, API_REQUIRED, 0, 0, ROLES, NULL, "What the user may do"},
        {"description", API_STRING, API_REQUIRED, 0, 0, NULL, NULL, "For people"},
        {"backend", API_STRING, API_REQUIRED, 0, 0, NULL, NULL, "Where the user is known: local"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};
static const struct api_shape user_new_body = {
    "user_new",
    (const struct api_field[]){
        {"username", API_STRING, API_REQUIRED, 1, ACCOUNT_NAME_MAX, NULL, NULL, "Letters, digits, and ._@-"},
        {"password", API_STRING, API_REQUIRED, ACCOUNT_PASSWORD_MIN, ACCOUNT_PASSWORD_MAX, NULL, NULL,
         "Password"},
        {"role", API_STRING, API_REQUIRED, 0, 0, ROLES, NULL, "What the user may do"},
        {"description", API_STRING, 0, 0, 1024, NULL, NULL, "For people"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};
static const struct api_shape user_change_body = {
    "user_change",
    (const struct api_field[]){
        {"role", API_STRING, 0, 0, 0, ROLES, NULL, "What the user may do"},
        {"description", API_STRING, 0, 0, 1024, NULL, NULL, "For people"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};
static const struct api_shape password_body = {
    "password_change",
    (const struct api_field[]){
        {"old_pwd", API_STRING, API_REQUIRED, 1, 1024, NULL, NULL, "The password until now"},
        {"new_pwd", API_STRING, API_REQUIRED, ACCOUNT_PASSWORD_MIN, ACCOUNT_PASSWORD_MAX, NULL, NULL,
         "The password from now on"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};

const struct api_route api_routes_users[] = {
    {.method = API_GET,
     .path = "/users",
     .role = API_PERSON,
     .run = list,
     .answer = API_LIST,
     .shape = &user_shape,
     .tag = "Users",
     .summary = "All users of the API"},
    {.method = API_POST,
     .path = "/users",
     .role = API_PERSON,
     .run = add,
     .body = &user_new_body,
     .body_form = API_ONE,
     .answer = API_ONE,
     .shape = &user_shape,
     .tag = "Users",
     .summary = "Add a user",
     .refusals = "400 ALREADY_EXISTS, 503 BUSY"},
    {.method = API_PUT,
     .path = "/users/{username}",
     .role = API_PERSON,
     .run = change,
     .body = &user_change_body,
     .body_form = API_ONE,
     .answer = API_ONE,
     .shape = &user_shape,
     .tag = "Users",
     .summary = "Change role or description of a user",
     .refusals = "404 USER_NOT_FOUND"},
    {.method = API_DELETE,
     .path = "/users/{username}",
     .role = API_PERSON,
     .run = user_remove,
     .tag = "Users",
     .summary = "Delete a user, whose tokens end",
     .refusals = "400 NOT_ALLOWED, 404 USER_NOT_FOUND"},
    {.method = API_POST,
     .path = "/users/{username}/change_pwd",
     .role = API_SELF,
     .run = password_change,
     .body = &password_body,
     .body_form = API_ONE,
     .tag = "Users",
     .summary = "Change the password of a user, whose tokens end",
     .refusals = "400 ERROR_PWD_NOT_MATCH, 404 USER_NOT_FOUND, 429 TOO_MANY_REQUESTS, 503 BUSY"},
    {0},
};
