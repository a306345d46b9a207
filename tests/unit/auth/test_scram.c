/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

/* The example of RFC 7677 section 3: user "user", password "pencil". */
#define SALT          "W22ZaJ0SNY7soEsUEjb6gQ=="
#define CLIENT_NONCE  "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE  "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCES        CLIENT_NONCE SERVER_NONCE
#define CLIENT_FIRST  "n,,n=user,r=" CLIENT_NONCE
#define SERVER_FIRST  "r=" NONCES ",s=" SALT ",i=4096"
#define WITHOUT_PROOF "c=biws,r=" NONCES
#define PROOF         "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define CLIENT_FINAL  WITHOUT_PROOF ",p=" PROOF
#define SERVER_FINAL  "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct scram_verifier pencil(void)
{
    struct scram_verifier v = {.iterations = 4096};
    size_t n;
    assert_int_equal(sodium_base642bin(v.salt, sizeof v.salt, SALT, strlen(SALT), NULL, &n, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    v.salt_n = (uint8_t)n;
    assert_true(scram_verifier_make(&v, bytes_str("pencil")));
    return v;
}

static void begin_as(struct scram *s, const char *first, enum scram_user user)
{
    struct scram_first f;
    struct scram_verifier v = pencil();
    char out[SCRAM_REPLY_MAX];
    assert_null(scram_first_parse(&f, bytes_str(first)));
    uint32_t n = scram_begin(s, &f, &v, user, bytes_str(SERVER_NONCE), out);
    assert_int_equal(n, strlen(SERVER_FIRST));
    assert_memory_equal(out, SERVER_FIRST, n);
}

static enum scram_result finish(struct scram *s, const char *message)
{
    char out[SCRAM_REPLY_MAX];
    uint32_t n = 0;
    enum scram_result r = scram_finish(s, bytes_str(message), out, &n);
    if (r == SCRAM_OK) {
        assert_int_equal(n, strlen(SERVER_FINAL));
        assert_memory_equal(out, SERVER_FINAL, n);
    } else {
        assert_int_equal(n, 0);
    }
    return r;
}

static void the_example_of_the_standard(void **state)
{
    struct scram s;
    (void)state;
    begin_as(&s, CLIENT_FIRST, SCRAM_USER_REAL);
    assert_int_equal(finish(&s, CLIENT_FINAL), SCRAM_OK);
}

/* It is signed like the rest, and passed over. */
static void extensions_are_taken(void **state)
{
    char out[SCRAM_REPLY_MAX];
    uint32_t n;
    struct scram s;
    (void)state;
    begin_as(&s, CLIENT_FIRST, SCRAM_USER_REAL);
    assert_int_equal(
        scram_finish(&s, bytes_str(WITHOUT_PROOF ",x=1,p=IhwEOhboL25RstTdvZrPEOlE5bjYNyL1Go4fmyTI92U="), out,
                     &n),
        SCRAM_OK);
}

static void an_invented_user_is_refused_with_the_right_proof(void **state)
{
    struct scram s;
    (void)state;
    begin_as(&s, CLIENT_FIRST, SCRAM_USER_INVENTED);
    assert_int_equal(finish(&s, CLIENT_FINAL), SCRAM_WRONG);
}

/* A header of "y,," is taken, and has to be repeated. */
static void the_header_counts(void **state)
{
    struct scram s;
    (void)state;
    begin_as(&s, "y,,n=user,r=" CLIENT_NONCE, SCRAM_USER_REAL);
    assert_int_equal(finish(&s, CLIENT_FINAL), SCRAM_WRONG);
    /* The proof for "c=eSws", made by Python's hmac. */
    begin_as(&s, "y,,n=user,r=" CLIENT_NONCE, SCRAM_USER_REAL);
    char out[SCRAM_REPLY_MAX];
    uint32_t n;
    const char *message = "c=eSws,r=" NONCES ",p=FoqiHTtQEDE8lz1CdaEe3tK4mS+iMDTl77SPyDS53DY=";
    assert_int_equal(scram_finish(&s, bytes_str(message), out, &n), SCRAM_OK);
}

static void other_proofs_are_wrong(void **state)
{
    static const char *const wrong[] = {
        WITHOUT_PROOF ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", /* another first byte */
        WITHOUT_PROOF ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVU=", /* another last bit */
        WITHOUT_PROOF ",x=1,p=" PROOF,                                   /* signed without it */
        "c=eSws,r=" NONCES ",p=" PROOF,                                  /* another header */
        "c=biws,r=" NONCES "0,p=" PROOF,                                 /* another nonce */
        "c=biws,r=" CLIENT_NONCE ",p=" PROOF,                            /* the client's part alone */
        "c=biws,r=" SERVER_NONCE ",p=" PROOF,                            /* the server's */
        /* Proofs that are right for what they stand behind, which is wrong; made by Python's hmac. */
        "c=biws,r=" CLIENT_NONCE ",p=O9uzSubb+3i48FupGqpwHCRwCzqSP7Ka+/+aEQLF0vQ=",
        "c=biws,r=" NONCES "0,p=vM1Xo9azlpkS//5wxIg4DcDxnY0wk2ow/j4WB1jCcgw=",
        "c=eSws,r=" NONCES ",p=FoqiHTtQEDE8lz1CdaEe3tK4mS+iMDTl77SPyDS53DY=",
        "c=cD10bHMtdW5pcXVlLCw=,r=" NONCES ",p=KBn7j9058eQUfiGU/0AOS8alKLZBOcemxbV9tlxIaME=",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct scram s;
        begin_as(&s, CLIENT_FIRST, SCRAM_USER_REAL);
        if (finish(&s, wrong[i]) != SCRAM_WRONG)
            fail_msg("not wrong: %s", wrong[i]);
    }
}

static void last_messages_that_are_none(void **state)
{
    static const char *const malformed[] = {
        "",
        ",",
        "c",
        "c=",
        "c=biws",
        "c=biws,",
        "r=" NONCES ",c=biws,p=" PROOF, /* another order */
        "c=biws,p=" PROOF,              /* no nonce */
        WITHOUT_PROOF,                  /* no proof */
        WITHOUT_PROOF ",",
        WITHOUT_PROOF ",p=",
        WITHOUT_PROOF ",p=" PROOF ",",
        WITHOUT_PROOF ",p=" PROOF ",x=1", /* the proof is not the last */
        WITHOUT_PROOF ",p=" PROOF ",p=" PROOF,
        WITHOUT_PROOF ",c=biws,p=" PROOF, /* twice */
        WITHOUT_PROOF ",r=" NONCES ",p=" PROOF,
        WITHOUT_PROOF ",x=1,x=1,p=" PROOF,
        WITHOUT_PROOF ",m=1,p=" PROOF, /* mandatory */
        "m=1," CLIENT_FINAL,
        WITHOUT_PROOF ",1=1,p=" PROOF, /* no letter */
        WITHOUT_PROOF ",x,p=" PROOF,
        WITHOUT_PROOF ",,p=" PROOF,
        WITHOUT_PROOF ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ",  /* no padding */
        WITHOUT_PROOF ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7Ando==", /* 31 bytes */
        WITHOUT_PROOF ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQAAAA=",
        WITHOUT_PROOF ",p=dHzbZapWIk4jUhN-Ute9ytag9zjfMHgsqmmiz7AndVQ=", /* base64url */
        WITHOUT_PROOF ",x=\xff,p=" PROOF,                                /* no UTF-8 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct scram s;
        begin_as(&s, CLIENT_FIRST, SCRAM_USER_REAL);
        if (finish(&s, malformed[i]) != SCRAM_MALFORMED)
            fail_msg("not malformed: %s", malformed[i]);
    }
}

static void first_messages_that_are_none(void **state)
{
    static const struct {
        const char *message, *why;
    } rows[] = {
        {"", "empty"},
        {"n", "begin"},
        {"n,", "begin"},
        {"n,,", "user name"},
        {"x,,n=user,r=abc", "begin"},
        {"n=user,r=abc", "begin"},
        {"p=tls-exporter,,n=user,r=abc", "channel binding"},
        {"p=,,n=user,r=abc", "channel binding"},
        {"n,a=other,n=user,r=abc", "authorization identity"},
        {"n,x,n=user,r=abc", "begin"},
        {"n,,m=x,n=user,r=abc", "mandatory"},
        {"n,,n=user,r=abc,m=x", "mandatory"},
        {"n,,n=user", "nonce"},
        {"n,,r=abc", "user name"},
        {"n,,r=abc,n=user", "user name"},
        {"n,,n=,r=abc", "user name"},
        {"n,,n=user,r=", "nonce"},
        {"n,,n=user,r=a c", "nonce"},
        {"n,,n=user,r=a\x7f", "nonce"},
        {"n,,n=user,r=\xc3\xa4", "nonce"},
        {"n,,n=us=er,r=abc", "=2C nor =3D"},
        {"n,,n=user=,r=abc", "=2C nor =3D"},
        {"n,,n=user=2,r=abc", "=2C nor =3D"},
        {"n,,n=user=2c,r=abc", "=2C nor =3D"},
        {"n,,n=\xff,r=abc", "UTF-8"},
        {"n,,n=user,r=abc,", "nonce"},
        {"n,,n=user,r=abc,x", "end"},
        {"n,,n=user,r=abc,x=", "end"},
        {"n,,n=user,r=abc,=1", "end"},
        {"n,,n=user,r=abc,n=x", "twice"},
        {"n,,n=user,r=abc,r=x", "twice"},
        {"n,,n=user,r=abc,x=1,x=1", "twice"},
    };
    struct scram_first f;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *why = scram_first_parse(&f, bytes_str(rows[i].message));
        if (!why || !strstr(why, rows[i].why))
            fail_msg("%s: %s", rows[i].message, why ? why : "taken");
    }
    assert_non_null(scram_first_parse(&f, bytes_of(NULL, 0)));
    assert_non_null(scram_first_parse(&f, bytes_of("n,,n=us\0er,r=abc", 16)));
}

static void first_messages_are_read(void **state)
{
    struct scram_first f;
    (void)state;
    assert_null(scram_first_parse(&f, bytes_str("y,,n=a=2Cb=3D,r=x,a=b,Z=c=d")));
    assert_int_equal(f.flag, 'y');
    assert_string_equal(f.name, "a,b=");
    assert_int_equal(f.name_n, 4);
    assert_true(bytes_eq(f.nonce, bytes_str("x")));
    assert_true(bytes_eq(f.bare, bytes_str("n=a=2Cb=3D,r=x,a=b,Z=c=d")));
    assert_null(scram_first_parse(&f, bytes_str("n,,n=z\xc3\xb6\xc3\xa9,r=!~")));
    assert_string_equal(f.name, "z\xc3\xb6\xc3\xa9");
}

static const char *first_of_sizes(size_t name_n, size_t nonce_n, size_t extension_n)
{
    static char text[2 * SCRAM_MESSAGE_MAX];
    struct scram_first f;
    size_t n;
    memcpy(text, "n,,n=", 5);
    n = 5;
    memset(text + n, 'a', name_n);
    n += name_n;
    memcpy(text + n, ",r=", 3);
    n += 3;
    memset(text + n, 'b', nonce_n);
    n += nonce_n;
    memcpy(text + n, ",x=", 3);
    n += 3;
    memset(text + n, 'c', extension_n);
    n += extension_n;
    return scram_first_parse(&f, bytes_of(text, n));
}

static void sizes_have_limits(void **state)
{
    (void)state;
    assert_null(first_of_sizes(SCRAM_NAME_MAX, SCRAM_NONCE_MAX, 1));
    assert_non_null(first_of_sizes(SCRAM_NAME_MAX + 1, SCRAM_NONCE_MAX, 1));
    assert_non_null(first_of_sizes(SCRAM_NAME_MAX, SCRAM_NONCE_MAX + 1, 1));
    assert_null(first_of_sizes(1, 1, SCRAM_MESSAGE_MAX - 13));
    assert_non_null(first_of_sizes(1, 1, SCRAM_MESSAGE_MAX - 12));
}

static void the_largest_reply_fits(void **state)
{
    char nonce[SCRAM_NONCE_MAX + 1], server[SCRAM_SERVER_NONCE_MAX + 1], out[SCRAM_REPLY_MAX], first[512];
    struct scram_verifier v = {.iterations = SCRAM_ITERATIONS_MAX, .salt_n = SCRAM_SALT_MAX};
    struct scram_first f;
    struct scram s;
    (void)state;
    memset(nonce, 'a', SCRAM_NONCE_MAX);
    nonce[SCRAM_NONCE_MAX] = 0;
    memset(server, 'b', SCRAM_SERVER_NONCE_MAX);
    server[SCRAM_SERVER_NONCE_MAX] = 0;
    snprintf(first, sizeof first, "n,,n=a,r=%s", nonce);
    assert_null(scram_first_parse(&f, bytes_str(first)));
    uint32_t n = scram_begin(&s, &f, &v, SCRAM_USER_REAL, bytes_str(server), out);
    assert_in_range(n, SCRAM_NONCE_MAX + SCRAM_SERVER_NONCE_MAX, SCRAM_REPLY_MAX - 1);
}

/* ---- verifiers ------------------------------------------------------------------------------------ */

#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void verifiers_are_written_and_read(void **state)
{
    struct scram_verifier v = pencil(), again;
    char text[SCRAM_VERIFIER_TEXT_MAX + 1];
    (void)state;
    scram_verifier_write(&v, text);
    assert_string_equal(text, "$scram-sha-256$4096$" SALT "$" STORED "$" SERVER);
    assert_true(scram_verifier_is(text));
    assert_null(scram_verifier_judge(text));
    assert_true(scram_verifier_parse(&again, text));
    assert_memory_equal(&v, &again, sizeof v);
    assert_true(scram_verifier_fits(text, bytes_str("pencil")));
    assert_false(scram_verifier_fits(text, bytes_str("pencil2")));
    assert_false(scram_verifier_fits(text, bytes_str("penci")));
    assert_false(scram_verifier_fits(text, bytes_of(NULL, 0)));
}

static void verifiers_that_are_none(void **state)
{
    static const char *const wrong[] = {
        "$scram-sha-256$",
        "$scram-sha-256$4096",
        "$scram-sha-256$4096$" SALT,
        "$scram-sha-256$4096$" SALT "$" STORED,
        "$scram-sha-256$4096$" SALT "$" STORED "$",
        "$scram-sha-256$4096$" SALT "$" STORED "$" SERVER "$",
        "$scram-sha-256$4096$" SALT "$" STORED "$" SERVER "x",
        "$scram-sha-256$$" SALT "$" STORED "$" SERVER,
        "$scram-sha-256$-4096$" SALT "$" STORED "$" SERVER,
        "$scram-sha-256$4095$" SALT "$" STORED "$" SERVER,
        "$scram-sha-256$1000001$" SALT "$" STORED "$" SERVER,
        "$scram-sha-256$99999999999$" SALT "$" STORED "$" SERVER,
        "$scram-sha-256$4096$$" STORED "$" SERVER,
        "$scram-sha-256$4096$MDEyMzQ1Ng==$" STORED "$" SERVER, /* 7 bytes of salt */
        "$scram-sha-256$4096$!!$" STORED "$" SERVER,
        "$scram-sha-256$4096$" SALT "$MDEyMzQ1Ng==$" SERVER,
        "$scram-sha-256$4096$" SALT "$" STORED "$MDEyMzQ1Ng==",
    };
    struct scram_verifier v;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (!scram_verifier_judge(wrong[i]) || scram_verifier_parse(&v, wrong[i]))
            fail_msg("taken: %s", wrong[i]);
        assert_false(scram_verifier_fits(wrong[i], bytes_str("pencil")));
    }
    assert_false(scram_verifier_is("$scram-sha-1$4096$"));
    assert_false(scram_verifier_parse(&v, "$2b$04$abc"));
}

/* ---- users that are not there --------------------------------------------------------------------- */

static const uint8_t secret[SCRAM_KEY_N] = "the secret of this test, 32 byte";

static struct scram_verifier invented(const char *name, const struct scram_kinds *kinds)
{
    struct scram_verifier v;
    memset(&v, 0, sizeof v);
    scram_verifier_invent(&v, secret, bytes_str(name), kinds);
    return v;
}

static void inventions_are_steady(void **state)
{
    struct scram_kinds none = {0};
    struct scram_verifier a = invented("anna", &none), again = invented("anna", &none),
                          b = invented("bob", &none);
    uint8_t other[SCRAM_KEY_N] = {1};
    (void)state;
    assert_int_equal(a.iterations, SCRAM_ITERATIONS);
    assert_int_equal(a.salt_n, SCRAM_SALT_N);
    assert_memory_equal(&a, &again, sizeof a);
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_N);
    assert_memory_not_equal(a.stored_key, b.stored_key, SCRAM_KEY_N);
    scram_verifier_invent(&b, other, bytes_str("anna"), &none);
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_N);
}

/* With the kinds that occur; a further one takes its share and leaves the others as they were. */
static void inventions_have_the_kinds_that_occur(void **state)
{
    struct scram_kinds kinds = {0};
    struct scram_verifier v = {.iterations = 5000, .salt_n = 24};
    unsigned fresh = 0, kept = 0;
    char name[16];
    (void)state;
    scram_kinds_add(&kinds, &v);
    scram_kinds_add(&kinds, &v);
    assert_int_equal(kinds.n, 1);
    struct scram_kinds more = kinds;
    v.iterations = 6000;
    scram_kinds_add(&more, &v);
    assert_int_equal(more.n, 2);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "user%u", i);
        struct scram_verifier before = invented(name, &kinds), after = invented(name, &more);
        assert_int_equal(before.iterations, 5000);
        assert_int_equal(before.salt_n, 24);
        bool is_same = memcmp(&before, &after, sizeof before) == 0;
        kept += is_same;
        fresh += after.iterations == 6000;
        assert_int_equal(is_same, after.iterations == 5000);
        if (!is_same)
            assert_memory_not_equal(before.salt, after.salt, 24);
    }
    assert_in_range(fresh, 60, 140);
    assert_int_equal(fresh + kept, 200);
    for (v.iterations = 10000; v.iterations < 10020; v.iterations++)
        scram_kinds_add(&more, &v);
    assert_int_equal(more.n, SCRAM_KINDS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_standard),
        cmocka_unit_test(extensions_are_taken),
        cmocka_unit_test(an_invented_user_is_refused_with_the_right_proof),
        cmocka_unit_test(the_header_counts),
        cmocka_unit_test(other_proofs_are_wrong),
        cmocka_unit_test(last_messages_that_are_none),
        cmocka_unit_test(first_messages_that_are_none),
        cmocka_unit_test(first_messages_are_read),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(the_largest_reply_fits),
        cmocka_unit_test(verifiers_are_written_and_read),
        cmocka_unit_test(verifiers_that_are_none),
        cmocka_unit_test(inventions_are_steady),
        cmocka_unit_test(inventions_have_the_kinds_that_occur),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
