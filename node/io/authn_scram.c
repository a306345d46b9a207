/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn_scram.h"

#include "node/auth/scram.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { NONCE_BYTES = 18, NONCE_TEXT_N = 24 };

struct vet_scram {
    struct scram scram;
    uint32_t name_n;
    char name[]; /* ends with NUL */
};

_Static_assert((int)VET_REPLY_MAX >= (int)SCRAM_REPLY_MAX, "every reply fits");

static enum vet_verdict refuse(struct vet_answer *out, enum reason code, const char *text)
{
    out->code = code;
    out->text = text;
    return VET_REFUSE;
}

/* Read where there is no verifier, since reading takes its time too. */
static const char nobody[] =
    "$scram-sha-256$100000$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/* That of the user, or one as if there were such a user. The same is done for everybody: how long it takes
 * says nothing. */
static enum scram_user verifier_find(struct scram_verifier *out, const struct users *users,
                                     const uint8_t seed[SCRAM_KEY_N], struct bytes name)
{
    struct scram_verifier invented, real;
    const struct user *u = users_find(users, name);
    bool is_real = u && scram_verifier_is(u->hash);
    CHECK(scram_verifier_parse(&real, is_real ? u->hash : nobody)); /* it was judged when the file was read */
    scram_verifier_invent(&invented, users->has_scram_seed ? users->scram_seed : seed, name,
                          &users->scram_kinds);
    *out = is_real ? real : invented;
    return is_real ? SCRAM_USER_REAL : SCRAM_USER_INVENTED;
}

static enum vet_verdict first(const struct users *users, const uint8_t seed[SCRAM_KEY_N],
                              const struct vet_scram_ask *q, struct vet_scram **x, struct vet_reply *reply,
                              struct vet_answer *out)
{
    struct scram_first f;
    struct scram_verifier v;
    uint8_t random[NONCE_BYTES];
    char nonce[NONCE_TEXT_N + 1];
    const char *wrong = scram_first_parse(&f, q->data);
    if (wrong)
        return refuse(out, RC_NOT_AUTHORIZED, wrong);
    struct bytes name = bytes_of(f.name, f.name_n);
    out->username = mem_dup(f.name, f.name_n);
    if (q->username.p && !bytes_eq(name, q->username))
        return refuse(out, RC_NOT_AUTHORIZED, "Re-authentication must be of the same user");
    randombytes_buf(random, sizeof random);
    sodium_bin2base64(nonce, sizeof nonce, random, sizeof random, sodium_base64_VARIANT_ORIGINAL);
    enum scram_user user = verifier_find(&v, users, seed, name);
    *x = mem_alloc(sizeof **x + f.name_n + 1);
    (*x)->name_n = f.name_n;
    memcpy((*x)->name, f.name, f.name_n + 1);
    reply->n = scram_begin(&(*x)->scram, &f, &v, user, bytes_str(nonce), (char *)reply->data);
    return VET_CONTINUE;
}

static enum vet_verdict last(const struct vet_scram_ask *q, struct vet_scram *x, struct vet_reply *reply,
                             struct vet_answer *out)
{
    out->username = mem_dup(x->name, x->name_n);
    switch (scram_finish(&x->scram, q->data, (char *)reply->data, &reply->n)) {
    case SCRAM_OK:
        return VET_ACCEPT;
    case SCRAM_WRONG:
        return refuse(out, RC_BAD_USER_NAME_OR_PASSWORD, "Bad user name or password");
    case SCRAM_MALFORMED:
        break;
    }
    return refuse(out, RC_NOT_AUTHORIZED, "SCRAM: the last message is not as it should be");
}

enum vet_verdict authn_scram(const struct users *users, const uint8_t seed[SCRAM_KEY_N],
                             const struct vet_scram_ask *q, struct vet_scram **x, struct vet_reply *reply,
                             struct vet_answer *out)
{
    out->method = "scram";
    if (*x)
        return last(q, *x, reply, out);
    if (!users)
        return refuse(out, RC_BAD_AUTHENTICATION_METHOD, "There is no password file");
    return first(users, seed, q, x, reply, out);
}

void authn_scram_free(struct vet_scram *x)
{
    if (x)
        sodium_memzero(x, sizeof *x);
    free(x);
}
