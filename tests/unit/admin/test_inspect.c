/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/inspect.h"

#include "tests/unit/admin/one_node.h"

enum { MANY = 6000 };

static struct session *sessions[MANY];

static void make_sessions(struct one_node *n, unsigned from, unsigned to)
{
    char id[16];
    for (unsigned i = from; i < to; i++) {
        snprintf(id, sizeof id, "c%u", i);
        sessions[i] = session_make(n, 0, id);
    }
}

/* How often the client id "cN" was listed is added to seen[N]. */
static void note(const struct inspect_buf *b, uint8_t seen[MANY])
{
    const struct inspect_session *s;
    char id[16] = {0};
    for (size_t at = 0; (s = inspect_next(b, &at));) {
        assert_in_range(s->id_n, 2, 5);
        memcpy(id, inspect_session_id(s).p, s->id_n);
        id[s->id_n] = 0;
        seen[strtoul(id + 1, NULL, 10)]++;
    }
}

/* Lists to the end; returns the number of pieces. */
static unsigned list_rest(struct one_node *n, uint32_t *place, uint8_t seen[MANY])
{
    struct inspect_buf b = {0};
    struct inspect_want all = {0};
    unsigned pieces = 0;
    enum inspect result;
    do {
        b.n = 0;
        result = inspect_sessions(node_shard(n->node, 0), place, &all, &b);
        note(&b, seen);
        pieces++;
    } while (result == INSPECT_MORE);
    assert_int_equal(result, INSPECT_END);
    inspect_buf_fini(&b);
    return pieces;
}

static void list_piece(struct one_node *n, uint32_t *place, uint8_t seen[MANY])
{
    struct inspect_buf b = {0};
    struct inspect_want all = {0};
    assert_int_equal(inspect_sessions(node_shard(n->node, 0), place, &all, &b), INSPECT_MORE);
    note(&b, seen);
    inspect_buf_fini(&b);
}

static void every_session_is_listed_once_in_pieces(void **state)
{
    struct one_node n;
    uint32_t place = 0;
    uint8_t seen[MANY] = {0};
    (void)state;
    one_node_init(&n, 1);
    assert_int_equal(list_rest(&n, &place, seen), 1);
    make_sessions(&n, 0, MANY);
    place = 0;
    assert_in_range(list_rest(&n, &place, seen), MANY / (INSPECT_ITEMS_MAX + 50), 40);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(seen[i], 1);
    one_node_fini(&n);
}

static void a_table_that_grows_meanwhile_hides_none(void **state)
{
    struct one_node n;
    uint32_t place = 0;
    uint8_t seen[MANY] = {0};
    (void)state;
    one_node_init(&n, 1);
    make_sessions(&n, 0, 1200);
    list_piece(&n, &place, seen);
    make_sessions(&n, 1200, MANY);
    list_rest(&n, &place, seen);
    for (unsigned i = 0; i < 1200; i++)
        assert_int_equal(seen[i], 1);
    for (unsigned i = 1200; i < MANY; i++)
        assert_in_range(seen[i], 0, 1);
    one_node_fini(&n);
}

static void a_table_that_shrinks_meanwhile_hides_none(void **state)
{
    struct one_node n;
    uint32_t place = 0;
    uint8_t seen[MANY] = {0};
    (void)state;
    one_node_init(&n, 1);
    make_sessions(&n, 0, MANY);
    for (int i = 0; i < 4; i++)
        list_piece(&n, &place, seen);
    for (unsigned i = 300; i < MANY; i++)
        session_end(sessions[i]);
    list_rest(&n, &place, seen);
    for (unsigned i = 0; i < 300; i++)
        assert_in_range(seen[i], 1, 16);
    one_node_fini(&n);
}

/* How many records there are, of those that are wanted; some may be passed over. */
static unsigned wanted(struct one_node *n, struct inspect_want want)
{
    struct inspect_buf b = {0};
    uint32_t place = 0;
    unsigned count = 0;
    enum inspect result;
    do {
        size_t at = b.n = 0;
        result = inspect_sessions(node_shard(n->node, 0), &place, &want, &b);
        while (inspect_next(&b, &at))
            count++;
    } while (result == INSPECT_MORE);
    inspect_buf_fini(&b);
    assert_int_equal(want.skip, 0);
    return count;
}

static void only_the_wanted_sessions_are_copied(void **state)
{
    struct one_node n;
    struct conn c;
    (void)state;
    one_node_init(&n, 1);
    make_sessions(&n, 0, 1200);
    CONN_MAKE(&c, &n, 0, "\x10\x15\0\x04MQTT\x05\x82\0\x3c\0\0\x03\x61,b\0\x03\x62ob");
    assert_int_equal(wanted(&n, (struct inspect_want){0}), 1201);
    assert_int_equal(wanted(&n, (struct inspect_want){.skip = 1000}), 201);
    assert_int_equal(wanted(&n, (struct inspect_want){.like_id = bytes_str("119")}),
                     12); /* 119, 1119, 1190 to 1199 */
    assert_int_equal(wanted(&n, (struct inspect_want){.like_id = bytes_str("119"), .skip = 4}), 8);
    assert_int_equal(wanted(&n, (struct inspect_want){.like_id = bytes_str("zz")}), 0);
    assert_int_equal(wanted(&n, (struct inspect_want){.like_username = bytes_str("ob")}), 1);
    assert_int_equal(wanted(&n, (struct inspect_want){.like_username = bytes_str("x")}), 0);
    assert_int_equal(wanted(&n, (struct inspect_want){.is_connected = true}), 1);
    assert_int_equal(wanted(&n, (struct inspect_want){.is_offline = true}), 1200);
    conn_drop(&c);
    one_node_fini(&n);
}

static void a_connection_is_shown_with_its_session(void **state)
{
    struct one_node n;
    struct conn c;
    struct inspect_buf b = {0};
    size_t at = 0;
    (void)state;
    one_node_init(&n, 1);
    struct shard *sh = node_shard(n.node, 0);
    CONN_MAKE(&c, &n, 0, "\x10\x15\0\x04MQTT\x05\x82\0\x3c\0\0\x03\x61,b\0\x03\x62ob");
    assert_int_equal(inspect_session(sh, bytes_str("a,b"), &b), INSPECT_END);
    const struct inspect_session *s = inspect_next(&b, &at);
    assert_non_null(s);
    assert_true(bytes_eq(inspect_session_id(s), bytes_str("a,b")));
    assert_true(s->has_username);
    assert_true(bytes_eq(inspect_session_username(s), bytes_str("bob")));
    assert_true(s->is_connected && s->clean_start);
    assert_int_equal(s->keep_alive_s, 60);
    assert_int_equal(s->version, 5);
    assert_string_equal(s->address, "127.0.0.1");
    assert_int_equal(s->port, 4711);
    assert_string_equal(s->listener, "tcp:default");
    assert_int_equal(s->created_ms, WALL_MS);
    assert_int_equal(s->recv_packets, 1);
    assert_null(inspect_next(&b, &at));
    assert_int_equal(inspect_session(sh, bytes_str("a"), &b), INSPECT_NONE);

    struct inspect_totals t = {0};
    inspect_totals_add(sh, &t);
    assert_int_equal(t.online, 1);
    assert_int_equal(t.connections, 1);
    assert_int_equal(t.sessions, 1);
    assert_int_equal(t.counters.v[C_CONNECT_RECEIVED], 1);
    conn_drop(&c);
    inspect_buf_fini(&b);
    one_node_fini(&n);
}

/* ---- subscriptions -------------------------------------------------------------------------------- */

static void every_subscription_is_listed_once(void **state)
{
    struct one_node n;
    struct inspect_buf b = {0};
    struct inspect_place place = {0};
    const struct inspect_sub *s;
    enum inspect result;
    unsigned listed = 0, pieces = 0, shared = 0;
    char filter[32];
    (void)state;
    one_node_init(&n, 1);
    make_sessions(&n, 0, 1500);
    for (unsigned i = 0; i < 1500; i++) {
        subscribe_make(sessions[i], "all/#");
        snprintf(filter, sizeof filter, "own/%u", i);
        subscribe_make(sessions[i], filter)->qos = 2;
    }
    subscribe_make(sessions[7], "$share/g/all/#");
    do {
        b.n = 0;
        result = inspect_subs(node_shard(n.node, 0), &place, &b);
        for (size_t at = 0; (s = inspect_next(&b, &at)); listed++) {
            assert_true(inspect_sub_client_id(s).p[0] == 'c');
            assert_int_equal(s->qos, bytes_starts(inspect_sub_filter(s), bytes_str("own/")) ? 2 : 0);
            if (!s->group_n)
                continue;
            shared++;
            assert_true(bytes_eq(inspect_sub_group(s), bytes_str("g")));
            assert_true(bytes_eq(inspect_sub_filter(s), bytes_str("all/#")));
            assert_true(bytes_eq(inspect_sub_client_id(s), bytes_str("c7")));
        }
        pieces++;
    } while (result == INSPECT_MORE);
    assert_int_equal(listed, 3001);
    assert_int_equal(shared, 1);
    assert_int_equal(pieces, 7);

    uint32_t at_sub = 0;
    b.n = 0;
    assert_int_equal(inspect_session_subs(node_shard(n.node, 0), bytes_str("c7"), &at_sub, &b), INSPECT_END);
    assert_int_equal(at_sub, 3);
    assert_int_equal(inspect_session_subs(node_shard(n.node, 0), bytes_str("x"), &at_sub, &b), INSPECT_NONE);
    inspect_buf_fini(&b);
    one_node_fini(&n);
}

static void a_session_with_many_is_listed_in_pieces(void **state)
{
    struct one_node n;
    struct inspect_buf b = {0};
    char filter[32];
    uint32_t place = 0;
    unsigned pieces = 1, listed = 0;
    (void)state;
    one_node_init(&n, 1);
    make_sessions(&n, 0, 1);
    for (unsigned i = 0; i < 1201; i++) {
        snprintf(filter, sizeof filter, "own/%u", i);
        subscribe_make(sessions[0], filter);
    }
    while (inspect_session_subs(node_shard(n.node, 0), bytes_str("c0"), &place, &b) == INSPECT_MORE)
        pieces++;
    for (size_t at = 0; inspect_next(&b, &at);)
        listed++;
    assert_int_equal(pieces, 3);
    assert_int_equal(listed, 1201);
    inspect_buf_fini(&b);
    one_node_fini(&n);
}

static unsigned topics_of(struct one_node *n, uint32_t shard, const char *what)
{
    struct inspect_buf b = {0};
    uint32_t place = 0;
    unsigned found = 0;
    assert_int_equal(inspect_topics(node_shard(n->node, shard), &place, &b), INSPECT_END);
    const struct inspect_sub *s;
    for (size_t at = 0; (s = inspect_next(&b, &at));)
        found += bytes_eq(inspect_sub_filter(s), bytes_str(what));
    inspect_buf_fini(&b);
    return found;
}

static void a_topic_is_listed_once_for_a_node(void **state)
{
    struct one_node n;
    struct inspect_buf b = {0};
    (void)state;
    one_node_init(&n, 2);
    struct session *here = session_make(&n, 0, "here"), *there = session_make(&n, 1, "there");
    subscribe_make(here, "both");
    subscribe_make(there, "both");
    subscribe_make(there, "there/+");
    subscribe_make(there, "$share/g/only/shared");
    for (uint32_t shard = 0; shard < 2; shard++) { /* any shard lists those of the node */
        assert_int_equal(topics_of(&n, shard, "both"), 1);
        assert_int_equal(topics_of(&n, shard, "there/+"), 1);
        assert_int_equal(topics_of(&n, shard, "only/shared"), 1);
    }

    struct shard *sh = node_shard(n.node, 0);
    assert_int_equal(inspect_topic(sh, bytes_str("there/+"), &b), INSPECT_END);
    assert_int_equal(inspect_topic(sh, bytes_str("there/x"), &b), INSPECT_NONE);
    assert_int_equal(inspect_topic(sh, bytes_str("a/#/b"), &b), INSPECT_NONE);
    b.n = 0;
    assert_int_equal(inspect_topic(sh, bytes_str("only/shared"), &b), INSPECT_END);
    size_t at = 0;
    const struct inspect_sub *s = inspect_next(&b, &at);
    assert_true(s && bytes_eq(inspect_sub_group(s), bytes_str("g")));
    assert_null(inspect_next(&b, &at));
    assert_int_equal(inspect_topic(sh, bytes_str("$share/g/only/shared"), &b), INSPECT_END);
    assert_int_equal(inspect_topic(sh, bytes_str("$share/h/only/shared"), &b), INSPECT_NONE);
    inspect_buf_fini(&b);
    one_node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_session_is_listed_once_in_pieces),
        cmocka_unit_test(a_table_that_grows_meanwhile_hides_none),
        cmocka_unit_test(a_table_that_shrinks_meanwhile_hides_none),
        cmocka_unit_test(only_the_wanted_sessions_are_copied),
        cmocka_unit_test(a_connection_is_shown_with_its_session),
        cmocka_unit_test(every_subscription_is_listed_once),
        cmocka_unit_test(a_session_with_many_is_listed_in_pieces),
        cmocka_unit_test(a_topic_is_listed_once_for_a_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
