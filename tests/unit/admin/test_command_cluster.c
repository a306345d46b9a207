/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/cluster_text.h"
#include "node/admin/command.h"
#include "node/admin/http.h"
#include "proto/base/clock.h"
#include "tests/unit/admin/fake_mesh.h"
#include "tests/unit/admin/one_node.h"

#include <stdlib.h>

/* ---- two others: one that is well, one that died ---------------------------------------------------- */

static struct member member_make(uint8_t id, const char *name, enum member_state state, const char *why)
{
    struct member m = {.id = {{[0] = id}},
                       .epoch = 3,
                       .state = state,
                       .addr = net_addr_v4(10, 0, 0, id, 7946),
                       .since_ms = 1000,
                       .why = why};
    snprintf(m.name, sizeof m.name, "%s", name);
    return m;
}

static void fake_fill(void)
{
    fake = (struct fake){.info = {.self = member_make(1, "covey@n1", MEMBER_ALIVE, "this node"),
                                  .is_ready = true,
                                  .route_seq = 17,
                                  .routes = 5,
                                  .ids_arbitrated = 12,
                                  .peers_n = 3}};
    /* By no name in the order of the table; the last one is not known to the members. */
    fake.peers[0] =
        (struct mesh_peer_info){.member = member_make(3, "covey@n3", MEMBER_DEAD, "suspicion timed out"),
                                .linked_since_ms = 1700000001000,
                                .link_why = "silent for 1500 ms",
                                .version = 1,
                                .routes = 4,
                                .routes_acked = 9,
                                .ring_bytes = 2048,
                                .forwarded = 7,
                                .resent = 2,
                                .dropped = 1};
    fake.peers[0].member.source = (struct node_id){{2}};
    fake.peers[1] = (struct mesh_peer_info){.member = member_make(2, "covey@n2", MEMBER_ALIVE, "joined"),
                                            .is_linked = true,
                                            .linked_since_ms = 1700000000000,
                                            .version = 2,
                                            .routes = 123,
                                            .routes_complete = true,
                                            .routes_acked = 17,
                                            .forwarded = 42,
                                            .received = 43};
    fake.peers[2] = (struct mesh_peer_info){.version = 9};
}

struct ran {
    struct call call;
    char *text;
};

static struct one_node node;
static struct admin_env env;

static int run_words(struct ran *r, const char *const *words, uint32_t n)
{
    env.conf =
        (struct admin_conf){.node = node.node, .cluster = &view, .cluster_name = "covey", .drain_rate = 100};
    call_init(&r->call, &env, words, n);
    text_printf(&r->call.out, "%c", 0);
    r->text = r->call.out.p;
    return r->call.status;
}

#define RUN(r, ...)                                             \
    run_words(r, (const char *const[]){"cluster", __VA_ARGS__}, \
              (uint32_t)(sizeof((const char *const[]){"cluster", __VA_ARGS__}) / sizeof(char *)))

static void ran_says(struct ran *r, int status, int want_status, const char *want, int line)
{
    if (status != want_status || strcmp(r->text, want) != 0)
        fail_msg("line %d: status %d, said\n%s", line, status, r->text);
    call_fini(&r->call);
}
#define SAYS(status, text, ...)                           \
    do {                                                  \
        struct ran ran_;                                  \
        int status_ = RUN(&ran_, __VA_ARGS__);            \
        ran_says(&ran_, status_, status, text, __LINE__); \
    } while (0)

/* ---- tests ------------------------------------------------------------------------------------------ */

static struct cluster_report report_of(const struct mesh_info *info)
{
    return (struct cluster_report){
        .node = "covey@n1", .cluster = "covey", .info = info, .mono_ms = 61000, .wall_ms = 1700000060000};
}

static void text_is(void (*put)(struct text *, const struct cluster_report *), const struct mesh_info *info,
                    const char *want)
{
    struct cluster_report r = report_of(info);
    struct text t = {0};
    put(&t, &r);
    text_printf(&t, "%c", 0);
    assert_string_equal(t.p, want);
    text_fini(&t);
}

static void the_table_says_what_the_node_believes(void **state)
{
    (void)state;
    fake_fill();
    struct mesh_info info = fake.info;
    info.peers = fake.peers;
    info.peers_n = 2;
    text_is(cluster_text_put, &info,
            "Cluster status: #{running_nodes => ['covey@n1','covey@n2'], stopped_nodes => ['covey@n3']}\n"
            "cluster     : covey\n"
            "this node   : covey@n1, alive, address 10.0.0.1:7946, id 01000000000000000000000000000000\n"
            "ready       : yes\n"
            "health      : 0 (0 is good; else this node is slow and waits longer for others)\n"
            "routes      : 5, last change 17\n"
            "client ids  : 12 looked after\n"
            "partitions  : 0, sessions merged 0\n"
            "\n"
            "node      state            since                 link  since                  v    routes  "
            "complete  "
            "    acked       ring  forwarded   received\n"
            "covey@n3  dead             2023-11-14T22:13:20Z  down  2023-11-14T22:13:21Z   1         4  no   "
            "     "
            "     9/17       2048          7          0\n"
            "  address 10.0.0.3:7946, id 03000000000000000000000000000000, dead: suspicion timed out (others "
            "say), "
            "link ended: silent for 1500 ms, resent 2, dropped 1\n"
            "covey@n2  alive            2023-11-14T22:13:20Z  up    2023-11-14T22:13:20Z   2       123  yes  "
            "     "
            "    17/17          0         42         43\n"
            "  address 10.0.0.2:7946, id 02000000000000000000000000000000, alive: joined\n");
    info.is_draining = info.self.is_draining = true;
    info.drain_left = 8;
    info.partitions = 1;
    info.merges = 3;
    info.peers_n = 0;
    snprintf(info.last_partition, sizeof info.last_partition, "covey@n2 for 40 s");
    text_is(cluster_text_put, &info,
            "Cluster status: #{running_nodes => ['covey@n1'], stopped_nodes => []}\n"
            "cluster     : covey\n"
            "this node   : covey@n1, alive, draining, address 10.0.0.1:7946, id "
            "01000000000000000000000000000000\n"
            "ready       : yes\n"
            "health      : 0 (0 is good; else this node is slow and waits longer for others)\n"
            "routes      : 5, last change 17\n"
            "client ids  : 12 looked after\n"
            "draining    : 8 left\n"
            "partitions  : 1, sessions merged 3, last: covey@n2 for 40 s\n");
}

static void json_begins_as_emqx_has_it(void **state)
{
    (void)state;
    fake_fill();
    struct mesh_info info = fake.info;
    info.peers = fake.peers;
    info.peers_n = 1;
    text_is(
        cluster_json_put, &info,
        "{\"stopped_nodes\":[\"covey@n3\"],\"running_nodes\":[\"covey@n1\"],\"cluster\":\"covey\","
        "\"ready\":true,\"health\":0,\"routes\":5,\"route_seq\":17,\"clients_arbitrated\":12,"
        "\"draining\":false,\"drain_left\":0,\"partitions\":0,\"sessions_merged\":0,\"last_partition\":\"\","
        "\"members\":[{\"name\":\"covey@n1\",\"id\":\"01000000000000000000000000000000\",\"epoch\":3,"
        "\"address\":\"10.0.0.1:7946\",\"state\":\"alive\",\"since\":\"2023-11-14T22:13:20Z\","
        "\"why\":\"this node\",\"draining\":false,\"self\":true},"
        "{\"name\":\"covey@n3\",\"id\":\"03000000000000000000000000000000\",\"epoch\":3,"
        "\"address\":\"10.0.0.3:7946\",\"state\":\"dead\",\"since\":\"2023-11-14T22:13:20Z\","
        "\"why\":\"suspicion timed out\",\"draining\":false,\"self\":false,\"link\":\"down\","
        "\"link_since\":\"2023-11-14T22:13:21Z\",\"link_ended\":\"silent for 1500 ms\",\"version\":1,"
        "\"routes\":4,\"routes_complete\":false,\"routes_acked\":9,\"ring_bytes\":2048,\"forwarded\":7,"
        "\"received\":0,\"resent\":2,\"dropped\":1}]}\n");
    text_is(cluster_json_put, NULL, "{\"stopped_nodes\":[],\"running_nodes\":[\"covey@n1\"]}\n");
    text_is(cluster_text_put, NULL,
            "Cluster status: #{running_nodes => ['covey@n1'], stopped_nodes => []}\n");
}

/* Names come from other nodes; a line stays a line and a quote closes what it opened. */
static void words_of_others_are_escaped(void **state)
{
    struct ran r;
    (void)state;
    fake_fill();
    snprintf(fake.peers[1].member.name, MEMBER_NAME_MAX, "a'] b\n\x1b[2J\xff");
    snprintf(fake.peers[1].link_why, sizeof fake.peers[1].link_why, "x\ny");
    assert_int_equal(RUN(&r, "status"), 0);
    assert_non_null(strstr(r.text, "['covey@n1','a\\x27] b\\x0a\\x1b[2J\\xff']"));
    assert_non_null(strstr(r.text, "\na']\\x20b\\x0a"));
    assert_non_null(strstr(r.text, "link ended: x\\x0ay\n"));
    for (const char *p = r.text; *p; p++)
        assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
    call_fini(&r.call);
    assert_int_equal(RUN(&r, "status", "--json"), 0);
    assert_non_null(strstr(r.text, "\"link_ended\":\"x\\u000ay\""));
    assert_ptr_equal(strchr(r.text, '\n'), r.text + strlen(r.text) - 1);
    call_fini(&r.call);
}

/* What the command itself shows: sorted, without those that are not members. */
static void status_is_by_name(void **state)
{
    struct ran r;
    (void)state;
    fake_fill();
    assert_int_equal(RUN(&r, "status"), 0);
    const char *two = strstr(r.text, "\ncovey@n2 "), *three = strstr(r.text, "\ncovey@n3 ");
    assert_true(two && three && two < three);
    assert_null(strstr(r.text, " 9 "));
    call_fini(&r.call);
    SAYS(1, "Usage: cluster status [--json]\n", "status", "--xml");
    fake.is_closed = true;
    SAYS(1, "The node is stopping.\n", "status");
}

static void a_node_that_is_alone_says_so(void **state)
{
    static const char *const status[] = {"cluster", "status"}, *const leave[] = {"cluster", "leave"};
    struct call c;
    (void)state;
    env.conf = (struct admin_conf){.node = node.node, .cluster_name = "covey"};
    call_init(&c, &env, status, 2);
    assert_int_equal(c.status, 0);
    text_printf(&c.out, "%c", 0);
    assert_string_equal(c.out.p,
                        "Cluster status: #{running_nodes => ['covey@127.0.0.1'], stopped_nodes => []}\n");
    call_fini(&c);
    call_init(&c, &env, leave, 2);
    assert_int_equal(c.status, 1);
    text_printf(&c.out, "%c", 0);
    assert_string_equal(c.out.p, "This node is not part of a cluster.\n");
    call_fini(&c);
}

static void the_dead_are_forgotten_by_name_or_id(void **state)
{
    (void)state;
    fake_fill();
    SAYS(0, "ok\n", "forget", "covey@n3");
    assert_int_equal(fake.forgotten.b[0], 3);
    SAYS(0, "ok\n", "force-leave", "02000000000000000000000000000000");
    assert_int_equal(fake.forgotten.b[0], 2);
    fake.forget_result = ERR_EXISTS;
    SAYS(1, "The node is alive: stop it first, or let it leave.\n", "forget", "covey@n2");
    fake.forget_result = OK;
    fake.forgotten.b[0] = 0;
    SAYS(1, "Not Found.\n", "forget", "covey@n4");
    SAYS(1, "Not Found.\n", "forget", "00000000000000000000000000000000");
    SAYS(1, "That is this node: it can leave.\n", "forget", "covey@n1");
    memcpy(fake.peers[0].member.name, fake.peers[1].member.name, MEMBER_NAME_MAX);
    SAYS(1, "Several nodes have this name: give the id that \"cluster status\" shows.\n", "forget",
         "covey@n2");
    assert_int_equal(fake.forgotten.b[0], 0);
}

static void a_node_can_leave(void **state)
{
    (void)state;
    fake_fill();
    SAYS(0,
         "Leave the cluster successfully.\n"
         "The node serves its clients alone until it is started again.\n",
         "leave");
    assert_true(fake.has_left);
}

/* Until it says that this was all; the text of all pieces. */
static void produced(struct ran *r, int status, const char *want, int line)
{
    assert_non_null(r->call.produce);
    r->call.out.n = 0;
    while (r->call.produce(&r->call))
        assert_true(r->call.wait_ms > 0);
    text_printf(&r->call.out, "%c", 0);
    if (r->call.status != status || strncmp(r->call.out.p, want, strlen(want)) != 0)
        fail_msg("line %d: status %d, said\n%s", line, r->call.status, r->call.out.p);
    call_fini(&r->call);
}

static void joining_waits_for_an_answer(void **state)
{
    struct ran r;
    struct net_addr want = net_addr_v4(10, 0, 0, 2, 7946);
    (void)state;
    fake_fill();
    assert_int_equal(RUN(&r, "join", "10.0.0.2:7946"), 0);
    assert_true(net_addr_eq(&fake.joined, &want));
    produced(&r, 0,
             "Join the cluster successfully.\nCluster status: #{running_nodes => ['covey@n1','covey@n2']",
             __LINE__);
    assert_int_equal(RUN(&r, "join", "10.0.0.3:7946"), 0);
    r.call.waiting.until_ms = mono_ms();
    produced(&r, 1, "No node with the address 10.0.0.3:7946 has answered yet; this one goes on trying.\n",
             __LINE__);
    for (const char *const *bad = (const char *const[]){"node2:7946", "10.0.0.2", "0.0.0.0:1", "x", NULL};
         *bad; bad++)
        SAYS(1,
             "The address must be IP:PORT such as 10.0.0.1:7946; names go into cluster.static.seeds of the "
             "configuration.\n",
             "join", *bad);
}

static void draining_has_a_rate_and_an_end(void **state)
{
    struct ran r;
    (void)state;
    fake_fill();
    SAYS(0, "Moving 100 clients a second to the other nodes.\n", "drain");
    assert_int_equal(fake.drain_rate, 100);
    SAYS(0, "Moving 7 clients a second to the other nodes.\n", "drain", "--rate", "7");
    assert_int_equal(fake.drain_rate, 7);
    SAYS(0, "ok\n", "drain", "--stop");
    assert_int_equal(fake.drain_rate, 0);
    static const char usage[] =
        "Usage: cluster drain [--rate CLIENTS_PER_SECOND] [--wait SECONDS] | --stop\n";
    SAYS(1, usage, "drain", "--rate", "0");
    SAYS(1, usage, "drain", "--rate", "-1");
    SAYS(1, usage, "drain", "--rate", "7x");
    SAYS(1, usage, "drain", "--rate");
    SAYS(1, usage, "drain", "--stop", "--rate", "7");
    SAYS(1, usage, "drain", "now");
    assert_int_equal(fake.drain_rate, 0);
    assert_int_equal(RUN(&r, "drain", "--rate", "5", "--wait", "60"), 0);
    produced(&r, 0, "All clients and sessions are moved.\n", __LINE__);
    fake.info.drain_left = 9;
    assert_int_equal(RUN(&r, "drain", "--wait", "60"), 0);
    r.call.waiting.until_ms = mono_ms();
    produced(&r, 1, "The time is over; left=9\n", __LINE__);
    assert_int_equal(RUN(&r, "drain", "--wait", "60"), 0);
    fake.info.is_draining = false;
    produced(&r, 1, "The drain was stopped.\n", __LINE__);
    assert_int_equal(RUN(&r, "drain", "--wait", "60"), 0);
    fake.peers[1].member.is_draining = true;
    produced(&r, 1, "There is no other node that takes clients.\n", __LINE__);
}

/* ---- readiness ---------------------------------------------------------------------------------------- */

static void readiness_is(int status, const char *want, int line)
{
    const struct http_route *r = http_routes_health;
    struct http_answer a = {.status = 200};
    while (strcmp(r->path, "/readyz") != 0)
        r++;
    env.conf = (struct admin_conf){.node = node.node, .cluster = &view, .cluster_name = "covey"};
    r->run(&env, "", &a);
    text_printf(&a.body, "%c", 0);
    if (a.status != status || strcmp(a.body.p, want) != 0)
        fail_msg("line %d: %d %s", line, a.status, a.body.p);
    text_fini(&a.body);
}

static void readiness_says_why_not(void **state)
{
    (void)state;
    fake_fill();
    readiness_is(200, "ok\n", __LINE__);
    fake.info.is_draining = true;
    readiness_is(503, "not ready: its clients are being moved to other nodes\n", __LINE__);
    fake.info.is_ready = false;
    readiness_is(503,
                 "not ready: its clients are being moved to other nodes; no other node has answered yet\n",
                 __LINE__);
    fake.info.is_draining = false;
    readiness_is(503, "not ready: no other node has answered yet\n", __LINE__);
    fake.peers[1].routes_complete = false;
    readiness_is(503, "not ready: the subscriptions are not complete yet of covey@n2\n", __LINE__);
    fake.info.self.state = MEMBER_LEFT;
    readiness_is(503, "not ready: it has left the cluster\n", __LINE__);
    fake.is_closed = true;
    readiness_is(503, "not ready: the node is stopping\n", __LINE__);
}

static void queries_are_read(void **state)
{
    (void)state;
    assert_true(http_query_is("format=json", "format", "json"));
    assert_true(http_query_is("a=1&format=json&b", "format", "json"));
    assert_false(http_query_is("", "format", "json"));
    assert_false(http_query_is("format=jsonx", "format", "json"));
    assert_false(http_query_is("xformat=json", "format", "json"));
    assert_false(http_query_is("format", "format", "json"));
}

static int set_up(void **state)
{
    (void)state;
    one_node_init(&node, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    one_node_fini(&node);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_says_what_the_node_believes),
        cmocka_unit_test(json_begins_as_emqx_has_it),
        cmocka_unit_test(words_of_others_are_escaped),
        cmocka_unit_test(status_is_by_name),
        cmocka_unit_test(a_node_that_is_alone_says_so),
        cmocka_unit_test(the_dead_are_forgotten_by_name_or_id),
        cmocka_unit_test(a_node_can_leave),
        cmocka_unit_test(joining_waits_for_an_answer),
        cmocka_unit_test(draining_has_a_rate_and_an_end),
        cmocka_unit_test(readiness_says_why_not),
        cmocka_unit_test(queries_are_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
