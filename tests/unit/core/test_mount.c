/* SPDX-License-Identifier: Apache-2.0 */
/* Mountpoints: what clients of a listener publish and subscribe to is put under a prefix that they do not
 * see. */
#include "node/core/mount.h"
#include "node/core/gate.h"
#include "node/core/identity.h"
#include "tests/unit/core/broker.h"

static struct settings mounted;

/* From now on clients come by a listener with this mountpoint; NULL: by one without. */
static void at_listener(struct broker *b, const char *mountpoint)
{
    mounted = b->settings;
    mounted.mountpoint = mountpoint;
    b->listener = mountpoint ? &mounted : NULL;
}

static void open_new(struct broker *b, struct client *c, const struct connect_how *how)
{
    client_open(b, c, how);
    expect_connack(c, SESSION_NEW);
}

static void expect_refused(struct client *c, uint8_t code)
{
    struct cursor body = expect_packet(c, 2, NULL);
    uint8_t present = 9, got = 0;
    assert_true(cursor_u8(&body, &present) && cursor_u8(&body, &got));
    assert_int_equal(present, 0);
    assert_int_equal(got, code);
}

static void what_is_no_mountpoint(void **state)
{
    static const char *const bad[] = {"a",           "a/+/",     "#/",  "$SYS/", "$a/",
                                      "${clientid}", "${user}/", "${/", "\xff/"};
    static const char *const good[] = {
        "", "a/", "/", "a/b/", "${clientid}/", "t/${username}-${clientid}/", "${cert_common_name}/"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(mount_judge(bad[i]));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_null(mount_judge(good[i]));
}

static void on_and_off(void **state)
{
    static const struct {
        const char *topic, *whole; /* whole NULL: not mounted */
    } topics[] = {{"a", "m/a"},
                  {"/", "m//"},
                  {"", NULL},
                  {"a/$b", "m/a/$b"},
                  {"$SYS/a", NULL},
                  {"$other", NULL},
                  {"$share/g/a", NULL},
                  {"$delayed/5/a/b", "$delayed/5/m/a/b"},
                  {"$delayed/5/$a", NULL},
                  {"$delayed/x/a", NULL},
                  {"$delayed/5/", NULL}},
      filters[] = {{"#", "m/#"},
                   {"+/a", "m/+/a"},
                   {"a/#/b", NULL},
                   {"", NULL},
                   {"$SYS/#", NULL},
                   {"$SYS", NULL},
                   {"$SYSTEM/a", "m/$SYSTEM/a"},
                   {"$share/g/+/a", "$share/g/m/+/a"},
                   {"$share/g/$SYS/#", NULL},
                   {"$share/g", NULL},
                   {"$exclusive/a/b", "$exclusive/m/a/b"}};
    struct broker *b = broker_new();
    struct conn c = {0};
    enum reason code = RC_SUCCESS;
    const char *why;
    struct mount *m = mount_new(b->sh, "${clientid}/", &c, bytes_str("m"), bytes_of(NULL, 0), &code, &why);
    (void)state;
    assert_non_null(m);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        struct bytes t = bytes_str(topics[i].topic), got = mount_topic(b->sh, m, t);
        assert_true(topics[i].whole ? bytes_eq(got, bytes_str(topics[i].whole))
                                    : got.p == t.p && got.n == t.n);
    }
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct bytes t = bytes_str(filters[i].topic), got = mount_filter(b->sh, m, t);
        assert_true(filters[i].whole ? bytes_eq(got, bytes_str(filters[i].whole))
                                     : got.p == t.p && got.n == t.n);
    }
    assert_true(bytes_eq(mount_off(m, bytes_str("m/a/b")), bytes_str("a/b")));
    assert_true(bytes_eq(mount_off(m, bytes_str("m/")), bytes_str("m/"))); /* no topic is empty */
    assert_true(bytes_eq(mount_off(m, bytes_str("m")), bytes_str("m")));
    assert_true(bytes_eq(mount_off(m, bytes_str("n/a")), bytes_str("n/a")));
    assert_true(bytes_eq(mount_off(NULL, bytes_str("m/a")), bytes_str("m/a")));
    free(m);
    broker_free(b);
}

static void names_that_make_none(void **state)
{
    static const struct {
        const char *template, *id, *user, *cert;
        enum reason code;
    } rows[] = {{"${clientid}/", "a/b", "u", "c", RC_CLIENT_ID_NOT_VALID},
                {"${clientid}/", "+", "u", "c", RC_CLIENT_ID_NOT_VALID},
                {"%c/", "a/b", "u", "c", RC_CLIENT_ID_NOT_VALID},
                {"${clientid}/", "$SYS", "u", "c", RC_CLIENT_ID_NOT_VALID},
                {"x/${clientid}/", "$SYS", "u", "c", RC_SUCCESS},
                {"${username}/", "i", "", "c", RC_BAD_USER_NAME_OR_PASSWORD},
                {"${username}/", "i", "#", "c", RC_BAD_USER_NAME_OR_PASSWORD},
                {"%u/", "i", "a/b", "c", RC_BAD_USER_NAME_OR_PASSWORD},
                {"${cert_common_name}/", "i", "u", "", RC_NOT_AUTHORIZED},
                {"${cert_common_name}/", "i", "u", "a/b", RC_NOT_AUTHORIZED},
                {"${cert_common_name}/${username}/${clientid}/", "i", "u", "c", RC_SUCCESS}};
    struct broker *b = broker_new();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct identity who = {.cert_name = bytes_str(rows[i].cert)};
        struct conn c = {.identity = &who};
        enum reason code = RC_SUCCESS;
        const char *why = NULL;
        struct mount *m = mount_new(b->sh, rows[i].template, &c, bytes_str(rows[i].id),
                                    bytes_str(rows[i].user), &code, &why);
        assert_int_equal(code, rows[i].code);
        assert_int_equal(m != NULL, code == RC_SUCCESS);
        assert_int_equal(why == NULL, code == RC_SUCCESS);
        free(m);
    }
    broker_free(b);
}

static void clients_of_one_mountpoint_see_each_other_only(void **state)
{
    struct broker *b = broker_new();
    struct client a, c, other, all;
    (void)state;
    open_new(b, &all, &(struct connect_how){.id = "all", .version = V311, .clean = true});
    client_subscribe(&all, 1, "#", 0);
    expect_suback(&all, 1, 0);
    at_listener(b, "one/");
    open_new(b, &a, &(struct connect_how){.id = "a", .version = V5, .clean = true});
    open_new(b, &c, &(struct connect_how){.id = "c", .version = V311, .clean = true});
    at_listener(b, "two/");
    open_new(b, &other, &(struct connect_how){.id = "o", .version = V5, .clean = true});
    client_subscribe(&a, 1, "t/+", 2);
    client_subscribe(&c, 1, "#", 1);
    client_subscribe(&other, 1, "#", 2);
    expect_suback(&a, 1, 2);
    expect_suback(&c, 1, 1);
    expect_suback(&other, 1, 2);
    client_publish(&c, 0, 0, "t/0", "zero");
    client_publish(&c, QOS1, 2, "t/1", "one");
    expect_publish(&a, 0, "t/0", "zero");
    expect_publish(&c, 0, "t/0", "zero");
    expect_publish(&a, QOS1, "t/1", "one");
    expect_publish(&c, QOS1, "t/1", "one");
    expect_ack(&c, PUBACK, 2, 0);
    expect_publish(&all, 0, "one/t/0", "zero");
    expect_publish(&all, 0, "one/t/1", "one");
    client_publish(&all, 0, 0, "two/x", "hello");
    expect_publish(&all, 0, "two/x", "hello");
    expect_publish(&other, 0, "x", "hello");
    client_publish(&all, 0, 0, "t/0", "to nobody");
    expect_nothing(&other);
    expect_nothing(&a);
    client_lose(&a);
    client_lose(&c);
    client_lose(&other);
    client_lose(&all);
    broker_free(b);
}

static void a_will_and_what_is_retained(void **state)
{
    struct broker *b = broker_new();
    struct client w, s, late;
    (void)state;
    open_new(b, &s, &(struct connect_how){.id = "s", .version = V311, .clean = true});
    client_subscribe(&s, 1, "#", 0);
    expect_suback(&s, 1, 0);
    b->settings.delayed_available = true;
    at_listener(b, "m/${clientid}/");
    open_new(b, &w, &(struct connect_how){.id = "w", .version = V311, .clean = true, .will_topic = "gone"});
    client_publish(&w, RETAIN, 0, "kept", "here");
    broker_commit(b);
    client_lose(&w);
    expect_publish(&s, 0, "m/w/kept", "here");
    expect_publish(&s, 0, "m/w/gone", "bye");
    open_new(b, &late, &(struct connect_how){.id = "w", .version = V5, .clean = true});
    client_subscribe(&late, 1, "+", 0);
    expect_suback(&late, 1, 0);
    expect_publish(&late, RETAIN, "kept", "here");
    client_lose(&late);
    client_lose(&s);
    broker_free(b);
}

static void a_will_that_cannot_be(void **state)
{
    static const char *const bad[] = {"$SYS/x", "$own/x", "$delayed/5/$x", "$delayed/x"};
    struct broker *b = broker_new();
    struct client w;
    (void)state;
    at_listener(b, "m/");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        client_open(b, &w,
                    &(struct connect_how){.id = "w", .version = V5, .clean = true, .will_topic = bad[i]});
        expect_refused(&w, RC_TOPIC_NAME_INVALID);
        client_lose(&w);
    }
    broker_free(b);
}

static void reserved_topics(void **state)
{
    struct broker *b = broker_new();
    struct client a, s;
    (void)state;
    open_new(b, &s, &(struct connect_how){.id = "s", .version = V311, .clean = true});
    client_subscribe(&s, 1, "$own/#", 0);
    expect_suback(&s, 1, 0);
    client_publish(&s, 0, 0, "$own/x", "free"); /* where there is no mountpoint */
    expect_publish(&s, 0, "$own/x", "free");
    at_listener(b, "m/");
    open_new(b, &a, &(struct connect_how){.id = "a", .version = V5, .clean = true});
    client_publish(&a, QOS1, 1, "$own/x", "out");
    expect_ack(&a, PUBACK, 1, RC_TOPIC_NAME_INVALID);
    client_publish(&a, QOS1, 2, "$SYS/x", "out");
    expect_ack(&a, PUBACK, 2, RC_TOPIC_NAME_INVALID);
    client_publish(&a, QOS1, 3, "$delayed/5/$own/x", "out");
    expect_ack(&a, PUBACK, 3, RC_TOPIC_NAME_INVALID);
    expect_nothing(&s);
    client_subscribe(&a, 4, "$SYS/x", 0);
    expect_suback(&a, 4, 0);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

static void limits_are_of_the_whole_topic(void **state)
{
    struct broker *b = broker_new();
    struct client a;
    (void)state;
    b->settings.topic_levels_max = 4;
    at_listener(b, "m/n/");
    open_new(b, &a, &(struct connect_how){.id = "a", .version = V5, .clean = true});
    client_subscribe(&a, 1, "a/b", 0);
    expect_suback(&a, 1, 0);
    client_subscribe(&a, 2, "a/b/c", 0);
    expect_suback(&a, 2, RC_TOPIC_FILTER_INVALID);
    client_publish(&a, QOS1, 3, "a/b", "x");
    expect_publish(&a, 0, "a/b", "x");
    expect_ack(&a, PUBACK, 3, 0);
    client_publish(&a, QOS1, 4, "a/b/c", "x");
    expect_disconnect(&a, RC_TOPIC_NAME_INVALID);
    client_lose(&a);
    broker_free(b);
}

static void nothing_is_not_a_topic(void **state)
{
    struct broker *b = broker_new();
    struct client a;
    (void)state;
    at_listener(b, "m/");
    open_new(b, &a, &(struct connect_how){.id = "a", .version = V311, .clean = true});
    client_publish(&a, 0, 0, "", "x");
    assert_int_equal(a.conn.state, CONN_CLOSING);
    client_lose(&a);
    broker_free(b);
}

/* A session keeps what it has subscribed where it was subscribed, and its client sees the whole topic then.
 */
static void a_session_at_another_listener(void **state)
{
    struct broker *b = broker_new();
    struct client a, s;
    (void)state;
    open_new(b, &s, &sender);
    at_listener(b, "one/");
    open_new(b, &a, &keeper);
    client_subscribe(&a, 1, "t", 1);
    broker_commit(b);
    expect_suback(&a, 1, 1);
    client_disconnect(&a);
    broker_commit(b);
    client_publish(&s, QOS1, 1, "one/t", "while away");
    broker_commit(b);
    expect_ack(&s, PUBACK, 1, 0);
    at_listener(b, "two/");
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    expect_publish(&a, QOS1, "one/t", "while away");
    client_subscribe(&a, 2, "t", 1);
    broker_commit(b);
    expect_suback(&a, 2, 1);
    client_publish(&s, 0, 0, "one/t", "1");
    client_publish(&s, 0, 0, "two/t", "2");
    expect_publish(&a, 0, "one/t", "1");
    expect_publish(&a, 0, "t", "2");
    client_lose(&a);
    at_listener(b, "one/");
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    broker_commit(b);
    client_publish(&s, 0, 0, "two/t", "2");
    expect_publish(&a, QOS1 | DUP, "t", "while away");
    expect_publish(&a, 0, "two/t", "2");
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

static struct acl *acl_of(const char *text)
{
    struct acl_fault fault;
    struct acl *a = acl_parse(bytes_str(text), ACL_DENY, &fault);
    assert_non_null(a);
    return a;
}

/* Rules are about topics as the client has them; also while it is away, and after a restart. */
static void rules_do_not_see_it(void **state)
{
    struct broker *b = broker_new();
    struct client a, s;
    struct acl *acl =
        acl_of("allow client keeper all t/#\nallow client keeper publish will\nallow client sender all\n"
               "allow client w all w\n");
    (void)state;
    gate_set(b->sh, acl);
    open_new(b, &s, &sender);
    at_listener(b, "m/");
    open_new(b, &a, &keeper);
    client_subscribe(&a, 1, "t/+", 1);
    client_subscribe(&a, 2, "x/+", 1);
    broker_commit(b);
    expect_suback(&a, 1, 1);
    expect_suback(&a, 2, 0x80);
    client_publish(&a, QOS1, 3, "t/x", "mine");
    broker_commit(b);
    client_ack(&a, 0x40, expect_publish(&a, QOS1, "t/x", "mine"));
    expect_ack(&a, PUBACK, 3, 0);
    client_disconnect(&a);
    broker_commit(b);
    client_publish(&s, QOS1, 1, "m/t/x", "one");
    broker_commit(b);
    expect_ack(&s, PUBACK, 1, 0);
    client_lose(&s);
    broker_power_cycle(b, store_mem_clone(b->store));
    gate_set(b->sh, acl);
    at_listener(b, NULL);
    open_new(b, &s, &sender);
    client_publish(&s, QOS1, 2, "m/t/x", "two");
    broker_commit(b);
    expect_ack(&s, PUBACK, 2, 0);
    assert_int_equal(broker_count(b, C_ACL_DENIED_DELIVERY), 0);
    at_listener(b, "m/");
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    broker_commit(b);
    expect_publish(&a, QOS1, "t/x", "one");
    expect_publish(&a, QOS1, "t/x", "two");
    client_lose(&a);
    client_lose(&s);
    acl_unref(acl);
    broker_free(b);
}

static void rules_and_wills(void **state)
{
    struct broker *b = broker_new();
    struct client w, s;
    struct acl *acl = acl_of("allow client sender all\nallow client w publish gone\n");
    (void)state;
    gate_set(b->sh, acl);
    open_new(b, &s, &sender);
    client_subscribe(&s, 1, "m/#", 0);
    expect_suback(&s, 1, 0);
    at_listener(b, "m/");
    open_new(b, &w, &(struct connect_how){.id = "w", .version = V311, .clean = true, .will_topic = "gone"});
    client_lose(&w);
    expect_publish(&s, 0, "m/gone", "bye");
    client_open(b, &w,
                &(struct connect_how){.id = "w", .version = V5, .clean = true, .will_topic = "m/gone"});
    expect_refused(&w, RC_NOT_AUTHORIZED);
    client_lose(&w);
    client_lose(&s);
    acl_unref(acl);
    broker_free(b);
}

static void rules_for_topics_come_first(void **state)
{
    struct broker *b = broker_new();
    struct client a, s;
    (void)state;
    b->settings.rewrite_rules = "all old/# ^old/(.*)$ new/$1; all m/# ^m/(.*)$ wrong/$1";
    b->settings.auto_subscribe = "auto/${clientid}";
    broker_power_cycle(b, store_mem_clone(b->store));
    open_new(b, &s, &sender);
    at_listener(b, "m/");
    open_new(b, &a, &(struct connect_how){.id = "a", .version = V5, .clean = true, .will_topic = "old/will"});
    client_subscribe(&a, 1, "old/+", 0);
    expect_suback(&a, 1, 0);
    client_publish(&a, 0, 0, "old/x", "1");
    expect_publish(&a, 0, "new/x", "1");
    client_publish(&s, 0, 0, "auto/a", "not under m");
    expect_nothing(&a);
    client_publish(&a, 0, 0, "auto/a", "under m");
    expect_publish(&a, 0, "auto/a", "under m");
    client_subscribe(&s, 2, "+/new/will", 0); /* rules would change m/new/will */
    expect_suback(&s, 2, 0);
    client_lose(&a);
    expect_publish(&s, 0, "m/new/will", "bye");
    client_lose(&s);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_mountpoint),
        cmocka_unit_test(on_and_off),
        cmocka_unit_test(names_that_make_none),
        cmocka_unit_test(clients_of_one_mountpoint_see_each_other_only),
        cmocka_unit_test(a_will_and_what_is_retained),
        cmocka_unit_test(a_will_that_cannot_be),
        cmocka_unit_test(reserved_topics),
        cmocka_unit_test(limits_are_of_the_whole_topic),
        cmocka_unit_test(nothing_is_not_a_topic),
        cmocka_unit_test(a_session_at_another_listener),
        cmocka_unit_test(rules_do_not_see_it),
        cmocka_unit_test(rules_and_wills),
        cmocka_unit_test(rules_for_topics_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
