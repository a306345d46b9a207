/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says what the rest is: a first message; a last message; a verifier; both messages, with a
 * newline between them. */

#include "node/auth/scram.h"
#include "proto/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char nonce[] = "0123456789abcdef";

static struct scram_verifier verifier(void)
{
    static struct scram_verifier v;
    if (!v.iterations) {
        v = (struct scram_verifier){.iterations = SCRAM_ITERATIONS_MIN, .salt_n = SCRAM_SALT_N};
        CHECK(sodium_init() >= 0 && scram_verifier_make(&v, bytes_str("pencil")));
    }
    return v;
}

static bool begin(struct scram *s, struct bytes message)
{
    struct scram_first f;
    struct scram_verifier v = verifier();
    char out[SCRAM_REPLY_MAX];
    if (scram_first_parse(&f, message))
        return false;
    CHECK(f.name_n && f.name_n <= SCRAM_NAME_MAX && strlen(f.name) == f.name_n);
    CHECK(f.nonce.n && f.nonce.n <= SCRAM_NONCE_MAX && (f.flag == 'n' || f.flag == 'y'));
    CHECK(f.bare.p + f.bare.n == message.p + message.n);
    uint32_t n = scram_begin(s, &f, &v, SCRAM_USER_REAL, bytes_str(nonce), out);
    CHECK(n < SCRAM_REPLY_MAX && strlen(out) == n);
    return true;
}

/* Nobody guesses a proof. */
static void finish(struct scram *s, struct bytes message)
{
    char out[SCRAM_REPLY_MAX];
    uint32_t n;
    CHECK(scram_finish(s, message, out, &n) != SCRAM_OK);
}

static void check_verifier(struct bytes text)
{
    char copy[SCRAM_VERIFIER_TEXT_MAX + 1], again[SCRAM_VERIFIER_TEXT_MAX + 1];
    struct scram_verifier v, w;
    size_t n = text.n < sizeof copy - 1 ? text.n : sizeof copy - 1;
    bytes_put((uint8_t *)copy, bytes_of(text.p, n));
    copy[n] = 0;
    CHECK(!scram_verifier_judge(copy) == scram_verifier_parse(&v, copy));
    if (!scram_verifier_parse(&v, copy))
        return;
    scram_verifier_write(&v, again);
    CHECK(scram_verifier_parse(&w, again) && memcmp(&v, &w, sizeof v) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct scram s;
    if (!n)
        return 0;
    struct bytes rest = bytes_of(data + 1, n - 1);
    const uint8_t *newline = memchr(rest.p, '\n', rest.n);
    switch (data[0] % 4) {
    case 0:
        begin(&s, rest);
        break;
    case 1:
        if (begin(&s, bytes_str("n,,n=user,r=abc")))
            finish(&s, rest);
        break;
    case 2:
        check_verifier(rest);
        break;
    case 3:
        if (newline && begin(&s, bytes_of(rest.p, (size_t)(newline - rest.p))))
            finish(&s, bytes_of(newline + 1, (size_t)(rest.p + rest.n - newline) - 1));
        break;
    }
    return 0;
}
