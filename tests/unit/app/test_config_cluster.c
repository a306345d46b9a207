/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/app/config_fixture.h"

#include "node/app/cluster.h"
#include "node/app/config_show.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMED "node:\n  name: covey@n1\n"

static void seeds_are(const char *yaml, const char *env, const char *const *want, size_t n)
{
    const char *vars[] = {"HOME=/u", "COVEY_NODE__NAME=covey@n1", env, NULL};
    struct fixture f;
    fixture_load(&f, yaml, vars);
    assert_string_equal(f.said, "");
    assert_true(f.conf->cluster.enable);
    assert_int_equal(f.conf->cluster.seeds.n, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(f.conf->cluster.seeds.v[i], want[i]);
    fixture_drop(&f);
}

static void seeds_are_written_as_one_likes(void **state)
{
    static const char *const two[] = {"127.0.0.1:7946", "127.0.0.1:7947"};
    static const char *const six[] = {"[::1]:7946", "localhost:7947"};
    (void)state;
    seeds_are(NULL, "COVEY_CLUSTER__STATIC__SEEDS=127.0.0.1:7946,127.0.0.1:7947", two, 2);
    seeds_are(NULL, "COVEY_CLUSTER__STATIC__SEEDS=[127.0.0.1:7946, 127.0.0.1:7947]", two, 2);
    seeds_are("cluster:\n  static:\n    seeds: [127.0.0.1:7946,127.0.0.1:7947]\n", NULL, two, 2);
    seeds_are("cluster:\n  static:\n    seeds: 127.0.0.1:7946, 127.0.0.1:7947\n", NULL, two, 2);
    seeds_are("cluster:\n  static:\n    seeds:\n      - 127.0.0.1:7946\n      - 127.0.0.1:7947\n", NULL, two,
              2);
    seeds_are(NULL, "COVEY_CLUSTER__STATIC__SEEDS=[::1]:7946,localhost:7947", six, 2);
    seeds_are(NULL, "COVEY_CLUSTER__STATIC__SEEDS=[[::1]:7946,localhost:7947]", six, 2);
    seeds_are(NULL, "COVEY_CLUSTER__STATIC__SEEDS=[[::1]:7946]", six, 1);
    seeds_are("cluster:\n  static:\n    seeds: [\"[::1]:7946\", localhost:7947]\n", NULL, six, 2);
}

static void seeds_that_cannot_be_are_refused(void **state)
{
    (void)state;
    SAYS(NAMED "cluster:\n  static:\n    seeds: [a b:1, \"x:y\"]\n",
         "covey.yaml:5: cluster.static.seeds: \"a b:1\" is not host:port such as 10.0.0.1:7946\n"
         "covey.yaml:5: cluster.static.seeds: \"x:y\" is not host:port such as 10.0.0.1:7946\n");
    SAYS(NAMED "cluster:\n  static:\n    seeds: covey@node1:7946\n",
         "covey.yaml:5: cluster.static.seeds: \"covey@node1:7946\" is not host:port such as 10.0.0.1:7946\n");
    SAYS(NAMED "cluster:\n  static:\n    seeds: \"[127.0.0.1:7946\"\n",
         "covey.yaml:5: cluster.static.seeds: \"[127.0.0.1:7946\" is not a list of at most 64 words such as "
         "[a, b]\n");
    SAYS(NAMED "cluster:\n  static:\n    seeds: 10.0.0.2:7946\n",
         "warning: cluster.bind: only this machine can reach it, but 10.0.0.2:7946 is another one\n");
}

/* What `config show` prints is read back, also where YAML would read brackets in its own way. */
static void seeds_that_are_shown_can_be_loaded(void **state)
{
    static const char *const env[] = {"HOME=/u", "COVEY_NODE__NAME=covey@n1",
                                      "COVEY_CLUSTER__STATIC__SEEDS=[::1]:7946,a:1", NULL};
    struct fixture a, b;
    char *text = NULL;
    size_t n;
    (void)state;
    fixture_load(&a, NULL, env);
    FILE *out = open_memstream(&text, &n);
    config_show(a.conf, out);
    fclose(out);
    assert_non_null(
        strstr(text, "cluster.static.seeds: \"[[::1]:7946, a:1]\"  # COVEY_CLUSTER__STATIC__SEEDS\n"));
    assert_non_null(strstr(text, "cluster.advertise: auto  # default, auto\n"));
    fixture_load(&b, text, NULL);
    assert_string_equal(b.said, "");
    assert_int_equal(b.conf->cluster.seeds.n, 2);
    assert_string_equal(b.conf->cluster.seeds.v[0], "[::1]:7946");
    free(text);
    fixture_drop(&a);
    fixture_drop(&b);
}

static void is_clustered(const char *yaml, bool expected, int line)
{
    struct fixture f;
    fixture_load(&f, yaml, NULL);
    if (!f.conf || f.conf->cluster.enable != expected)
        fail_msg("line %d: %s", line, f.said);
    fixture_drop(&f);
}

static void what_makes_a_node_one_of_several(void **state)
{
    (void)state;
    is_clustered(NULL, false, __LINE__);
    is_clustered("cluster:\n  bind: 127.0.0.1:7946\n", true, __LINE__);
    is_clustered("cluster:\n  static:\n    seeds: 127.0.0.1:1\n", true, __LINE__);
    is_clustered("cluster:\n  discovery_strategy: dns\n  dns:\n    name: covey.internal\n", true, __LINE__);
    is_clustered("cluster:\n  name: other\n", false, __LINE__);
    is_clustered("cluster:\n  enable: true\n", true, __LINE__);
    is_clustered("cluster:\n  enable: false\n  bind: 127.0.0.1:7946\n", false, __LINE__);
    SAYS("cluster:\n  bind: 127.0.0.1:7946\n",
         "warning: node.name: is not given: nodes of one name are hard to tell apart\n");
    /* Whatever stands there does not count where it is off. */
    SAYS("cluster:\n  enable: false\n  bind: 0.0.0.0:7946\n  probe_timeout: 5s\n", "");
}

static void others_need_the_secret(void **state)
{
    char dir[] = "/tmp/covey-test-XXXXXX", path[64], yaml[256], said[256];
    (void)state;
    SAYS(NAMED "cluster:\n  bind: 0.0.0.0:7946\n",
         "cluster.secret_file: must be given, since others can reach cluster.bind; make one and copy it to "
         "every node: head -c 32 /dev/urandom | base64 > FILE; chmod 600 FILE\n");
    SAYS(NAMED "cluster:\n  bind: 0.0.0.0:7946\n  secret_file: none\n",
         "covey.yaml:5: cluster.secret_file: cannot read /etc/x/none: No such file or directory\n");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/secret", dir);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fclose(f);
    snprintf(yaml, sizeof yaml, NAMED "cluster:\n  bind: 0.0.0.0:7946\n  secret_file: %s\n", path);
    assert_int_equal(chmod(path, 0640), 0);
    snprintf(said, sizeof said,
             "covey.yaml:5: cluster.secret_file: others than its owner can use it: chmod 600 %s\n", path);
    SAYS(yaml, said);
    assert_int_equal(chmod(path, 0600), 0);
    SAYS(yaml, "");
    unlink(path);
    rmdir(dir);
}

static void addresses_are_checked(void **state)
{
    (void)state;
    SAYS(NAMED "cluster:\n  bind: 127.0.0.1:1883\n",
         "covey.yaml:4: cluster.bind: 127.0.0.1:1883 is taken by the listener tcp:default\n");
    SAYS(NAMED "cluster:\n  bind: 127.0.0.1:18083\n",
         "covey.yaml:4: cluster.bind: 127.0.0.1:18083 is taken by the listener dashboard.listeners.http\n");
    SAYS(NAMED "cluster:\n  bind: 127.0.0.1:18084\ndashboard.listeners.https:\n  enable: true\n"
               "  certfile: /dev/null\n  keyfile: /dev/null\n",
         "covey.yaml:4: cluster.bind: 127.0.0.1:18084 is taken by the listener dashboard.listeners.https\n"
         "covey.yaml:7: dashboard.listeners.https.certfile: cannot read /dev/null: not a file\n"
         "covey.yaml:8: dashboard.listeners.https.keyfile: cannot read /dev/null: not a file\n");
    SAYS(
        "dashboard:\n  listeners:\n    http:\n      bind: 127.0.0.1:1883\n",
        "covey.yaml:4: dashboard.listeners.http.bind: 127.0.0.1:1883 is taken by the listener tcp:default on "
        "127.0.0.1:1883\n");
    SAYS("dashboard:\n  listeners:\n    http:\n      bind: 127.0.0.1:1883\n      enable: false\n", "");
    SAYS(NAMED "cluster:\n  enable: true\n  advertise: 0.0.0.0:7946\n",
         "covey.yaml:5: cluster.advertise: must be the IP address and port of this machine, as other nodes "
         "reach it\n");
    SAYS(NAMED "cluster:\n  enable: true\n  advertise: node1:7946\n",
         "covey.yaml:5: cluster.advertise: must be the IP address and port of this machine, as other nodes "
         "reach it\n");
    SAYS(NAMED
         "cluster:\n  enable: true\n  advertise: 10.0.0.1:7946\n  mqtt_address: \"mqtt.example:1883\"\n",
         "");
    SAYS(NAMED "cluster:\n  enable: true\n  mqtt_address: \"a b\"\n",
         "covey.yaml:5: cluster.mqtt_address: must be host:port\n");
}

static void discovery_is_of_one_kind(void **state)
{
    (void)state;
    SAYS(NAMED "cluster:\n  enable: true\n  discovery_strategy: dns\n",
         "cluster.dns.name: must be given with cluster.discovery_strategy dns\n");
    SAYS(
        NAMED "cluster:\n  enable: true\n  dns:\n    name: x\n",
        "covey.yaml:6: warning: cluster.dns.name: is not used, since cluster.discovery_strategy is static\n");
    SAYS(NAMED "cluster:\n  discovery_strategy: dns\n  dns: {name: x}\n  static: {seeds: 127.0.0.1:1}\n",
         "covey.yaml:6: warning: cluster.static.seeds: are not used, since cluster.discovery_strategy is "
         "dns\n");
    SAYS("cluster:\n  discovery_strategy: k8s\n",
         "covey.yaml:2: cluster.discovery_strategy: \"k8s\" is not one of static, dns\n");
    SAYS("cluster:\n  autoheal: true\n",
         "covey.yaml:2: cluster.autoheal: unknown key; not needed: parts of a cluster that see each other "
         "again are one again\n");
}

static void times_fit_together(void **state)
{
    (void)state;
    SAYS(NAMED "cluster:\n  enable: true\n  probe_timeout: 1s\n",
         "covey.yaml:5: cluster.probe_timeout: must be less than cluster.probe_interval\n");
    SAYS(NAMED "cluster:\n  enable: true\n  silence: 1s\n",
         "covey.yaml:5: cluster.silence: must be more than twice cluster.ping_interval\n");
    SAYS(NAMED "cluster:\n  enable: true\n  silence: 1001ms\n", "");
}

static void the_mesh_gets_what_is_configured(void **state)
{
    struct cluster_io_conf cc;
    struct fixture f;
    (void)state;
    fixture_load(&f,
                 NAMED "cluster:\n  name: c\n  bind: \"[::1]:7000\"\n  advertise: \"[::1]:7001\"\n"
                       "  mqtt_address: m:1\n  static: {seeds: \"a:1,b:2\"}\n  autoclean: 1h\n"
                       "  probe_interval: 2s\n  probe_timeout: 500ms\n  indirect_probes: 4\n"
                       "  suspicion_multiplier: 5\n  suspicion_max_multiplier: 7\n  gossip_interval: 100ms\n"
                       "  gossip_nodes: 2\n  retransmit_multiplier: 3\n  push_pull_interval: 40s\n"
                       "  awareness_max: 9\n  ping_interval: 300ms\n  silence: 2s\n  ring_size: 32MB\n"
                       "  subscribe_barrier_timeout: 100ms\n  claim_timeout: 200ms\n  forward_timeout: 3s\n"
                       "  drain_rate: 7/s\n",
                 NULL);
    assert_string_equal(f.said, "");
    cluster_conf_of(&cc, f.conf);
    struct net_addr want = {.ip = {[15] = 1}, .port = 7000};
    assert_true(net_addr_eq(&cc.bind, &want));
    want.port = 7001;
    assert_true(net_addr_eq(&cc.mesh.advertise, &want));
    assert_string_equal(cc.mesh.name, "covey@n1");
    assert_string_equal(cc.mesh.cluster, "c");
    assert_string_equal(cc.mesh.mqtt_address, "m:1");
    assert_int_equal(cc.seeds_n, 2);
    assert_string_equal(cc.seeds[1], "b:2");
    assert_int_equal(cc.dns, CLUSTER_DNS_NONE);
    const struct members_conf *m = &cc.mesh.members;
    assert_int_equal(m->reclaim_ms, 3600000);
    assert_int_equal(m->probe_interval_ms, 2000);
    assert_int_equal(m->probe_timeout_ms, 500);
    assert_int_equal(m->indirect_probes, 4);
    assert_int_equal(m->suspicion_mult, 5);
    assert_int_equal(m->suspicion_max_mult, 7);
    assert_int_equal(m->gossip_interval_ms, 100);
    assert_int_equal(m->gossip_nodes, 2);
    assert_int_equal(m->retransmit_mult, 3);
    assert_int_equal(m->push_pull_ms, 40000);
    assert_int_equal(m->awareness_max, 9);
    assert_int_equal(cc.mesh.ping_ms, 300);
    assert_int_equal(cc.mesh.silent_ms, 2000);
    assert_int_equal(cc.mesh.ring_bytes_max, 32u << 20);
    assert_int_equal(cc.mesh.barrier_ms, 100);
    assert_int_equal(cc.mesh.claim_ms, 200);
    assert_int_equal(cc.mesh.forward_ms, 3000);
    assert_int_equal(f.conf->cluster.drain_rate, 7);
    fixture_drop(&f);
}

/* The defaults that the table names are those of the parts themselves. */
static void the_defaults_are_those_of_the_parts(void **state)
{
    struct members_conf members;
    struct mesh_conf mesh;
    struct cluster_io_conf cc;
    struct fixture f;
    (void)state;
    members_conf_default(&members);
    mesh_conf_default(&mesh);
    fixture_load(&f, "cluster:\n  enable: true\n", NULL);
    cluster_conf_of(&cc, f.conf);
    assert_memory_equal(&cc.mesh.members, &members, sizeof members);
    assert_int_equal(cc.mesh.ping_ms, mesh.ping_ms);
    assert_int_equal(cc.mesh.silent_ms, mesh.silent_ms);
    assert_int_equal(cc.mesh.barrier_ms, mesh.barrier_ms);
    assert_int_equal(cc.mesh.claim_ms, mesh.claim_ms);
    assert_int_equal(cc.mesh.forward_ms, mesh.forward_ms);
    assert_int_equal(cc.mesh.ring_bytes_max, mesh.ring_bytes_max);
    assert_int_equal(cc.mesh.advertise.port, 0);
    assert_true(cc.mesh.frame_bytes_max > 256u << 20);
    fixture_drop(&f);
    fixture_load(&f, "cluster:\n  enable: true\n  subscribe_barrier: local\n", NULL);
    cluster_conf_of(&cc, f.conf);
    assert_int_equal(cc.mesh.barrier_ms, 0);
    fixture_drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_are_written_as_one_likes),
        cmocka_unit_test(seeds_that_cannot_be_are_refused),
        cmocka_unit_test(seeds_that_are_shown_can_be_loaded),
        cmocka_unit_test(what_makes_a_node_one_of_several),
        cmocka_unit_test(others_need_the_secret),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(discovery_is_of_one_kind),
        cmocka_unit_test(times_fit_together),
        cmocka_unit_test(the_mesh_gets_what_is_configured),
        cmocka_unit_test(the_defaults_are_those_of_the_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
