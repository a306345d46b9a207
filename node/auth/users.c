/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/users.h"

#include "node/auth/pwhash.h"
#include "node/auth/pwtext.h"
#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

#include <stdio.h>
#include <stdlib.h>

const char *user_name_judge(struct bytes name)
{
    if (name.n == 0)
        return "a user name must not be empty";
    if (name.n > USER_NAME_MAX)
        return "a user name has at most 1024 bytes";
    if (name.p[0] == '#')
        return "a user name must not begin with #";
    if (!utf8_is_valid(name))
        return "a user name must be valid UTF-8";
    for (uint32_t i = 0; i < name.n; i++) {
        if (name.p[i] == ':' || name.p[i] < 0x20 || name.p[i] == 0x7f)
            return "a user name has no colon and no control characters";
    }
    return NULL;
}

static bool fail(struct users_fault *f, uint32_t line, const char *what)
{
    f->line = line;
    snprintf(f->what, sizeof f->what, "%s", what);
    return false;
}

static bool scram_seed_take(struct users *u, const char *text, uint32_t number, struct users_fault *f)
{
    size_t n;
    const char *end = pwtext_base64_take(text, u->scram_seed, sizeof u->scram_seed, &n);
    if (!end || *end || n != sizeof u->scram_seed)
        return fail(f, number, "not a whole " USERS_SCRAM_SEED);
    if (u->has_scram_seed)
        return fail(f, number, USERS_SCRAM_SEED " stands in the file already");
    u->has_scram_seed = true;
    return true;
}

/* line: without its newline; its bytes are u->text's. */
static bool line_take(struct users *u, char *line, size_t n, uint32_t number, struct users_fault *f)
{
    const char *colon = memchr(line, ':', n), *why;
    if (n && line[n - 1] == '\r')
        line[--n] = 0;
    if (strncmp(line, USERS_SCRAM_SEED, sizeof USERS_SCRAM_SEED - 1) == 0)
        return scram_seed_take(u, line + sizeof USERS_SCRAM_SEED - 1, number, f);
    if (n == 0 || line[0] == '#')
        return true;
    if (!colon)
        return fail(f, number, "no colon between name and hash");
    struct scram_verifier verifier;
    struct user user = {bytes_of(line, (size_t)(colon - line)), colon + 1, number};
    if ((why = user_name_judge(user.name)))
        return fail(f, number, why);
    if (strlen(user.hash) != n - user.name.n - 1)
        return fail(f, number, "a NUL byte");
    if ((why = pwhash_judge(user.hash)))
        return fail(f, number, why);
    if (scram_verifier_parse(&verifier, user.hash))
        scram_kinds_add(&u->scram_kinds, &verifier);
    u->v[u->n++] = user;
    return true;
}

static int user_cmp(const void *a, const void *b)
{
    return bytes_cmp(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static bool doubles_check(const struct users *u, struct users_fault *f)
{
    for (uint32_t i = 1; i < u->n; i++) {
        uint32_t a = u->v[i - 1].line, b = u->v[i].line;
        if (user_cmp(&u->v[i - 1], &u->v[i]) == 0)
            return fail(f, a > b ? a : b, "this name stands in the file already");
    }
    return true;
}

static bool lines_take(struct users *u, size_t text_n, struct users_fault *f)
{
    uint32_t number = 1;
    for (char *at = u->text, *end = u->text + text_n; at < end; number++) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            return fail(f, number, "the last line does not end with a newline: is the file whole?");
        *newline = 0;
        if (!line_take(u, at, (size_t)(newline - at), number, f))
            return false;
        at = newline + 1;
    }
    qsort(u->v, u->n, sizeof *u->v, user_cmp);
    return doubles_check(u, f);
}

bool users_parse(struct users *out, struct bytes text, struct users_fault *fault)
{
    size_t lines = 1;
    for (uint32_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    *out = (struct users){.text = mem_dup(text.p, text.n), .v = mem_zalloc(lines * sizeof *out->v)};
    if (lines_take(out, text.n, fault))
        return true;
    users_fini(out);
    return false;
}

void users_fini(struct users *u)
{
    free(u->text);
    free(u->v);
    *u = (struct users){0};
}

const struct user *users_find(const struct users *u, struct bytes name)
{
    uint32_t low = 0, high = u->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int d = bytes_cmp(name, u->v[mid].name);
        if (d == 0)
            return &u->v[mid];
        if (d < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}
