/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/scram.h"

#include "proto/base/check.h"
#include "proto/topic/utf8.h"

#include <stdio.h>

/* ---- messages ------------------------------------------------------------------------------------- */

struct attr {
    char name;
    struct bytes value;
};

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The next one of a list with commas, which `rest` is moved behind. Nothing is empty: not the value, and not
 * what follows a comma. */
static bool attr_take(struct bytes *rest, struct attr *a)
{
    if (rest->n < 3 || !is_letter(rest->p[0]) || rest->p[1] != '=')
        return false;
    const uint8_t *comma = memchr(rest->p, ',', rest->n);
    uint32_t n = comma ? (uint32_t)(comma - rest->p) : rest->n;
    *a = (struct attr){(char)rest->p[0], bytes_of(rest->p + 2, n - 2)};
    if (n < 3 || (comma && n + 1 == rest->n))
        return false;
    *rest = comma ? bytes_of(comma + 1, rest->n - n - 1) : bytes_of(NULL, 0);
    return true;
}

static bool is_message(struct bytes m)
{
    return m.n && m.n <= SCRAM_MESSAGE_MAX && utf8_is_valid(m);
}

/* An attribute that is not known is passed over, once. *seen: the letters that have been. */
static const char *extension_check(const struct attr *a, uint64_t *seen)
{
    uint64_t bit = (uint64_t)1 << (a->name - 'A');
    if (a->name == 'm')
        return "SCRAM: an extension that is mandatory is not known";
    if (*seen & bit)
        return "SCRAM: an attribute stands there twice";
    *seen |= bit;
    return NULL;
}

static uint64_t seen_of(const char *names)
{
    uint64_t seen = 0;
    for (; *names; names++)
        seen |= (uint64_t)1 << (*names - 'A');
    return seen;
}

/* ---- client-first --------------------------------------------------------------------------------- */

/* The header and what it says of channel binding (RFC 5802 section 7, gs2-header). */
static const char *header_take(struct scram_first *f, struct bytes *rest)
{
    struct bytes m = *rest;
    if (m.n >= 2 && m.p[0] == 'p' && m.p[1] == '=')
        return "SCRAM: channel binding is not available";
    if (m.n < 3 || (m.p[0] != 'n' && m.p[0] != 'y') || m.p[1] != ',')
        return "SCRAM: the first message must begin with \"n,,\"";
    if (m.p[2] == 'a')
        return "SCRAM: an authorization identity is not available";
    if (m.p[2] != ',')
        return "SCRAM: the first message must begin with \"n,,\"";
    f->flag = (char)m.p[0];
    *rest = bytes_of(m.p + 3, m.n - 3);
    return NULL;
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, and no other one may stand there. */
static const char *name_take(struct scram_first *f, struct bytes value)
{
    f->name_n = 0;
    for (uint32_t i = 0; i < value.n; i++) {
        uint8_t c = value.p[i];
        if (c == '=') {
            struct bytes escape = bytes_of(value.p + i, value.n - i);
            if (bytes_starts(escape, bytes_of("=2C", 3)))
                c = ',';
            else if (!bytes_starts(escape, bytes_of("=3D", 3)))
                return "SCRAM: an escape in the user name is neither =2C nor =3D";
            i += 2;
        }
        if (f->name_n == SCRAM_NAME_MAX)
            return "SCRAM: the user name is too long";
        f->name[f->name_n++] = (char)c;
    }
    f->name[f->name_n] = 0;
    return NULL;
}

static bool is_nonce(struct bytes b, uint32_t max)
{
    for (uint32_t i = 0; i < b.n; i++) {
        if (b.p[i] < 0x21 || b.p[i] > 0x7e || b.p[i] == ',')
            return false;
    }
    return b.n && b.n <= max;
}

const char *scram_first_parse(struct scram_first *out, struct bytes message)
{
    struct bytes rest = message;
    struct attr a;
    uint64_t seen = seen_of("nr");
    const char *why;
    if (!is_message(message))
        return "SCRAM: the first message is empty, too long or not UTF-8";
    if ((why = header_take(out, &rest)))
        return why;
    out->bare = rest;
    if (rest.n >= 2 && rest.p[0] == 'm' && rest.p[1] == '=')
        return "SCRAM: an extension that is mandatory is not known";
    if (!attr_take(&rest, &a) || a.name != 'n')
        return "SCRAM: the user name (n=) is missing";
    if ((why = name_take(out, a.value)))
        return why;
    if (!attr_take(&rest, &a) || a.name != 'r' || !is_nonce(a.value, SCRAM_NONCE_MAX))
        return "SCRAM: the nonce (r=) is missing or not a good one";
    out->nonce = a.value;
    while (rest.n) {
        if (!attr_take(&rest, &a))
            return "SCRAM: the first message does not end as it should";
        if ((why = extension_check(&a, &seen)))
            return why;
    }
    return NULL;
}

/* ---- server-first --------------------------------------------------------------------------------- */

static void both_update(struct scram *s, struct bytes b)
{
    crypto_auth_hmacsha256_update(&s->client, b.p, b.n);
    crypto_auth_hmacsha256_update(&s->server, b.p, b.n);
}

uint32_t scram_begin(struct scram *s, const struct scram_first *first, const struct scram_verifier *v,
                     enum scram_user user, struct bytes server_nonce, char out[SCRAM_REPLY_MAX])
{
    char salt[SCRAM_SALT_MAX * 2];
    CHECK(is_nonce(server_nonce, SCRAM_SERVER_NONCE_MAX) && first->nonce.n <= SCRAM_NONCE_MAX);
    *s = (struct scram){.flag = first->flag, .is_invented = user == SCRAM_USER_INVENTED};
    memcpy(s->stored_key, v->stored_key, SCRAM_KEY_N);
    memcpy(s->nonce, first->nonce.p, first->nonce.n);
    memcpy(s->nonce + first->nonce.n, server_nonce.p, server_nonce.n);
    s->nonce_n = first->nonce.n + server_nonce.n;
    sodium_bin2base64(salt, sizeof salt, v->salt, v->salt_n, sodium_base64_VARIANT_ORIGINAL);
    int n = snprintf(out, SCRAM_REPLY_MAX, "r=%.*s,s=%s,i=%lu", (int)s->nonce_n, s->nonce, salt,
                     (unsigned long)v->iterations);
    CHECK(n > 0 && n < SCRAM_REPLY_MAX);
    /* AuthMessage grows with the messages (RFC 5802 section 3), so that none of them is kept. */
    crypto_auth_hmacsha256_init(&s->client, v->stored_key, SCRAM_KEY_N);
    crypto_auth_hmacsha256_init(&s->server, v->server_key, SCRAM_KEY_N);
    both_update(s, first->bare);
    both_update(s, bytes_of(",", 1));
    both_update(s, bytes_of(out, (size_t)n));
    both_update(s, bytes_of(",", 1));
    return (uint32_t)n;
}

/* ---- client-final --------------------------------------------------------------------------------- */

struct final {
    struct bytes without_proof; /* view */
    struct bytes header;        /* view: base64 of the header in client-first */
    struct bytes nonce;
    uint8_t proof[SCRAM_KEY_N];
};

static bool proof_take(struct final *f, struct bytes value)
{
    size_t n;
    return sodium_base642bin(f->proof, sizeof f->proof, (const char *)value.p, value.n, NULL, &n, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           n == sizeof f->proof;
}

static bool final_parse(struct final *f, struct bytes message)
{
    struct bytes rest = message;
    struct attr a = {0};
    uint64_t seen = seen_of("cr");
    if (!is_message(message) || !attr_take(&rest, &a) || a.name != 'c')
        return false;
    f->header = a.value;
    if (!attr_take(&rest, &a) || a.name != 'r')
        return false;
    f->nonce = a.value;
    while (rest.n) {
        const uint8_t *at = rest.p;
        if (!attr_take(&rest, &a) || extension_check(&a, &seen))
            return false;
        if (a.name != 'p')
            continue;
        f->without_proof = bytes_of(message.p, (size_t)(at - message.p) - 1);
        return rest.n == 0 && proof_take(f, a.value);
    }
    return false;
}

enum scram_result scram_finish(struct scram *s, struct bytes message, char out[SCRAM_REPLY_MAX],
                               uint32_t *out_n)
{
    uint8_t key[crypto_auth_hmacsha256_BYTES], hash[SCRAM_KEY_N], signature[crypto_auth_hmacsha256_BYTES];
    char text[SCRAM_KEY_N * 2];
    struct final f;
    if (!final_parse(&f, message))
        return SCRAM_MALFORMED;
    both_update(s, f.without_proof);
    crypto_auth_hmacsha256_final(&s->client, key);
    crypto_auth_hmacsha256_final(&s->server, signature);
    for (uint32_t i = 0; i < SCRAM_KEY_N; i++)
        key[i] ^= f.proof[i];
    crypto_hash_sha256(hash, key, sizeof key);
    bool is_right = sodium_memcmp(hash, s->stored_key, SCRAM_KEY_N) == 0;
    is_right &= bytes_eq(f.nonce, bytes_of(s->nonce, s->nonce_n));
    is_right &= bytes_eq(f.header, bytes_str(s->flag == 'n' ? "biws" : "eSws"));
    is_right &= !s->is_invented;
    sodium_bin2base64(text, sizeof text, signature, sizeof signature, sodium_base64_VARIANT_ORIGINAL);
    *out_n = is_right ? (uint32_t)snprintf(out, SCRAM_REPLY_MAX, "v=%s", text) : 0;
    sodium_memzero(key, sizeof key);
    return is_right ? SCRAM_OK : SCRAM_WRONG;
}
