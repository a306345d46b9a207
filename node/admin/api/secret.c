/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/secret.h"

#include "node/admin/api/api_i.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <sodium.h>
#include <stdlib.h>

static void wipe(char *p)
{
    if (p)
        sodium_memzero(p, strlen(p));
    free(p);
}

static void secret_free(void *state)
{
    struct secret *s = state;
    wipe(s->password);
    wipe(s->next);
    free(s);
}

static struct secret *secret_of(struct api_call *c)
{
    if (!c->state) {
        struct secret *s = mem_zalloc(sizeof *s);
        s->call = c;
        s->is_right = true;
        c->state = s;
        c->state_free = secret_free;
    }
    return c->state;
}

bool secret_may_try(struct api_call *c)
{
    uint64_t wait_ms = guard_wait_ms(&c->api->guard, c->who.address, mono_ms());
    if (!wait_ms)
        return true;
    c->retry_s = (uint32_t)((wait_ms + 999) / 1000);
    api_fail(c, 429, "TOO_MANY_REQUESTS", "Too many wrong passwords: try again in %u seconds.", c->retry_s);
    return false;
}

void secret_tried(struct api_call *c, bool is_right)
{
    if (is_right)
        guard_on_success(&c->api->guard, c->who.address);
    else
        guard_on_failure(&c->api->guard, c->who.address, mono_ms());
    replica_tell_try(c->api->replica, c->who.address, is_right);
}

/* On the thread beside the loop. */
static void work(void *arg)
{
    struct secret *s = arg;
    if (s->password)
        s->is_right = account_verify(s->hash[0] ? s->hash : NULL, s->password);
    if (s->is_right && s->next)
        s->is_hashed = account_hash(s->next_hash, s->next);
}

static void done(void *arg)
{
    struct secret *s = arg;
    api_call_wake(s->call);
}

void secret_run(struct api_call *c, const char *password, const char *hash, const char *next,
                bool (*step)(struct api_call *c))
{
    struct secret *s = secret_of(c);
    s->password = password ? mem_text(password) : NULL;
    s->next = next ? mem_text(next) : NULL;
    snprintf(s->hash, sizeof s->hash, "%s", hash ? hash : "");
    if (!offload_run(c->api->offload, work, done, s)) {
        c->retry_s = 1;
        api_fail(c, 503, "BUSY", "Too many passwords are being checked: try again.");
        return;
    }
    c->step = step;
    c->is_waiting = true;
}

static void on_stored(void *arg, enum err result)
{
    struct secret *s = arg;
    s->stored = result;
    api_call_wake(s->call);
}

void secret_store(struct api_call *c, enum account_kind kind, const char *name, json_t *record,
                  bool (*step)(struct api_call *c))
{
    struct secret *s = secret_of(c);
    c->step = step;
    c->is_waiting = true;
    account_put(c->api->accounts, kind, name, record, on_stored, s);
}

bool secret_is_stored(struct api_call *c)
{
    const struct secret *s = c->state;
    if (s->stored == OK)
        return true;
    api_fail(c, 503, "SERVICE_UNAVAILABLE", "It cannot be stored: %s.", err_name(s->stored));
    return false;
}
