/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/api_i.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/secret.h"
#include "node/admin/api/when.h"
#include "proto/base/clock.h"

#include <sodium.h>

/* API keys: for programs. The secret is told once; what is kept is its hash. */

enum { KEY_ID_N = 8, KEY_SECRET_N = 32, KEYS_MAX = 100 };

static json_t *key_of(const char *name, const json_t *record)
{
    json_t *o = json_object();
    uint64_t until = (uint64_t)json_int(record, "expired_at", 0);
    json_put(o, "name", json_of_str(name));
    json_put(o, "api_key", json_of_str(json_str(record, "api_key")));
    json_put(o, "role", json_of_str(json_str(record, "role")));
    json_put(o, "desc", json_of_str(json_str(record, "desc")));
    json_put(o, "enable", json_boolean(json_bool(record, "enable", false)));
    json_put(o, "expired_at", until ? json_of_time(until) : json_of_str("infinity"));
    json_put(o, "expired", json_boolean(until && until <= wall_ms()));
    json_put(o, "created_at", json_of_time((uint64_t)json_int(record, "created_at", 0)));
    return o;
}

static void list(struct api_call *c)
{
    json_t *all = json_array();
    const char *name;
    json_t *record;
    json_object_foreach((json_t *)(uintptr_t)accounts_all(c->api->accounts, ACCOUNT_KEY), name, record)
        json_push(all, key_of(name, record));
    api_reply(c, 200, all);
}

static const json_t *key_wanted(struct api_call *c)
{
    const json_t *record = account_find(c->api->accounts, ACCOUNT_KEY, api_param(c, 0));
    if (!record)
        api_fail(c, 404, "NOT_FOUND", "There is no API key of this name.");
    return record;
}

static void show(struct api_call *c)
{
    const json_t *record = key_wanted(c);
    if (record)
        api_reply(c, 200, key_of(api_param(c, 0), record));
}

/* What the body says, into the record. */
static bool fields_take(struct api_call *c, json_t *record)
{
    static const char *const names[] = {"desc", "role", "enable"};
    const json_t *until = json_object_get(c->body, "expired_at");
    uint64_t until_ms = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *v = json_object_get(c->body, names[i]);
        if (v)
            json_put(record, names[i], json_incref(v));
    }
    if (!until)
        return true;
    if (json_is_string(until) && strcmp(json_string_value(until), "infinity") != 0 &&
        !when_read(json_string_value(until), &until_ms)) {
        api_fail(c, 400, "BAD_REQUEST", "expired_at: must be infinity or a time as 2026-01-31T12:00:00Z");
        return false;
    }
    json_put(record, "expired_at", json_of_u64(until_ms));
    return true;
}

static void random_hex(char *out, size_t n)
{
    uint8_t random[KEY_SECRET_N];
    randombytes_buf(random, n);
    sodium_bin2hex(out, 2 * n + 1, random, n);
}

/* ---- new ------------------------------------------------------------------------------------------ */

/* The answer is ready, with the secret that nothing else keeps; it is given when the key is stored. */
static bool add_stored(struct api_call *c)
{
    json_t *answer = json_incref(c->answer);
    c->status = 0;
    if (secret_is_stored(c))
        api_reply(c, 200, json_incref(answer));
    json_decref(answer);
    return false;
}

static void add(struct api_call *c)
{
    const char *name = json_str(c->body, "name");
    char id[2 * KEY_ID_N + 1], secret[2 * KEY_SECRET_N + 1], hash[65];
    if (account_find(c->api->accounts, ACCOUNT_KEY, name)) {
        api_fail(c, 400, "ALREADY_EXISTS", "name: there is a key of this name");
        return;
    }
    if (json_object_size(accounts_all(c->api->accounts, ACCOUNT_KEY)) >= KEYS_MAX) {
        api_fail(c, 400, "BAD_REQUEST", "There are %d keys already.", KEYS_MAX);
        return;
    }
    random_hex(id, KEY_ID_N);
    random_hex(secret, KEY_SECRET_N);
    account_secret_hash(hash, secret);
    json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:b, s:i}", "api_key", id, "hash", hash, "role",
                               "administrator", "desc", "", "enable", 1, "expired_at", 0);
    json_put(record, "created_at", json_of_u64(wall_ms()));
    if (!fields_take(c, record)) {
        json_decref(record);
        return;
    }
    json_t *answer = key_of(name, record);
    json_put(answer, "api_secret", json_of_str(secret));
    api_reply(c, 200, answer);
    secret_store(c, ACCOUNT_KEY, name, record, add_stored);
}

/* ---- change --------------------------------------------------------------------------------------- */

static bool change_stored(struct api_call *c)
{
    const json_t *record = secret_is_stored(c) ? key_wanted(c) : NULL;
    if (record)
        api_reply(c, 200, key_of(api_param(c, 0), record));
    return false;
}

static void change(struct api_call *c)
{
    const json_t *record = key_wanted(c);
    if (!record)
        return;
    json_t *next = json_copy((json_t *)(uintptr_t)record);
    if (fields_take(c, next))
        secret_store(c, ACCOUNT_KEY, api_param(c, 0), next, change_stored);
    else
        json_decref(next);
}

static bool remove_stored(struct api_call *c)
{
    if (secret_is_stored(c))
        api_reply(c, 204, NULL);
    return false;
}

static void key_remove(struct api_call *c)
{
    if (key_wanted(c))
        secret_store(c, ACCOUNT_KEY, api_param(c, 0), NULL, remove_stored);
}

/* ---- the table ------------------------------------------------------------------------------------ */

#define ROLES "administrator|viewer"

API_SHAPE(key_shape, "api_key", API_HAS("name", STRING, "Name of the key"),
          API_HAS("api_key", STRING, "What stands before the colon in HTTP Basic"),
          API_MAY("api_secret", STRING, "What stands behind it; only in the answer that makes the key"),
          API_HAS("role", STRING, "What it may do: administrator or viewer"),
          API_HAS("desc", STRING, "For people"), API_HAS("enable", BOOL, "Whether it is taken"),
          API_HAS("expired_at", STRING, "A time, or infinity"),
          API_HAS("expired", BOOL, "Whether that time is over"),
          API_HAS("created_at", TIME, "When it was made"));

#define CHANGEABLE                                                                              \
    {"desc", API_STRING, 0, 0, 1024, NULL, NULL, "For people"},                                 \
        {"role", API_STRING, 0, 0, 0, ROLES, NULL, "What it may do; administrator by default"}, \
        API_MAY("enable", BOOL, "Whether it is taken"),                                         \
    {                                                                                           \
        "expired_at", API_STRING, API_NULLABLE, 0, 0, NULL, NULL,                               \
            "A time, or infinity, which is the default"                                         \
    }
API_SHAPE(key_new_body, "api_key_new",
          {"name", API_STRING, API_REQUIRED, 1, ACCOUNT_NAME_MAX, NULL, NULL, "Name of the key"}, CHANGEABLE);
API_SHAPE(key_change_body, "api_key_change", CHANGEABLE);

const struct api_route api_routes_keys[] = {
    {.method = API_GET,
     .path = "/api_key",
     .role = API_PERSON,
     .run = list,
     .answer = API_LIST,
     .shape = &key_shape,
     .tag = "API keys",
     .summary = "All API keys, without their secrets"},
    {.method = API_POST,
     .path = "/api_key",
     .role = API_PERSON,
     .run = add,
     .body = &key_new_body,
     .body_form = API_ONE,
     .answer = API_ONE,
     .shape = &key_shape,
     .tag = "API keys",
     .summary = "Make an API key; its secret is in this answer only",
     .refusals = "400 ALREADY_EXISTS"},
    {.method = API_GET,
     .path = "/api_key/{name}",
     .role = API_PERSON,
     .run = show,
     .answer = API_ONE,
     .shape = &key_shape,
     .tag = "API keys",
     .summary = "One API key, without its secret",
     .refusals = "404 NOT_FOUND"},
    {.method = API_PUT,
     .path = "/api_key/{name}",
     .role = API_PERSON,
     .run = change,
     .body = &key_change_body,
     .body_form = API_ONE,
     .answer = API_ONE,
     .shape = &key_shape,
     .tag = "API keys",
     .summary = "Change an API key, or switch it off",
     .refusals = "404 NOT_FOUND"},
    {.method = API_DELETE,
     .path = "/api_key/{name}",
     .role = API_PERSON,
     .run = key_remove,
     .tag = "API keys",
     .summary = "Delete an API key",
     .refusals = "404 NOT_FOUND"},
    {0},
};
