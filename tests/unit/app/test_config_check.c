/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/app/config_fixture.h"

#include <stdio.h>
#include <unistd.h>

static void listeners_do_not_collide(void **state)
{
    (void)state;
    SAYS("listeners:\n  ws:\n    default:\n      bind: 127.0.0.1:1883\n",
         "covey.yaml:4: listeners.ws.default.bind: 127.0.0.1:1883 is taken by the listener tcp:default on "
         "127.0.0.1:1883\n");
    SAYS("listeners:\n  ws:\n    default:\n      bind: 127.0.0.1:1883\n      enable: false\n", "");
    SAYS("listeners:\n  tcp:\n    inside:\n      tcp_options:\n        nodelay: true\n",
         "listeners.tcp.inside.bind: must be given: the address that the listener listens on\n");
    SAYS("listeners:\n  tcp: {default: {enable: off}}\n  ws: {default: {enable: off}}\n",
         "warning: listeners: none is enabled: nobody can connect\n");
}

static void anonymous_clients_stay_on_this_machine(void **state)
{
    struct fixture f;
    (void)state;
    SAYS("listeners:\n  tcp:\n    default:\n      bind: 1883\n",
         "covey.yaml:4: warning: listeners.tcp.default.bind: can be reached from other machines, and no "
         "authentication is configured: clients are refused; see allow_anonymous\n");
    SAYS("mqtt:\n  allow_anonymous: true\nlisteners:\n  tcp:\n    default:\n      bind: 1883\n",
         "warning: listeners.tcp.default.allow_anonymous: anybody who can reach the listener may publish and "
         "subscribe\n");
    fixture_load(
        &f, "mqtt:\n  allow_anonymous: false\nlisteners:\n  ws:\n    default:\n      allow_anonymous: on\n",
        NULL);
    assert_false(f.conf->listeners[0].allow_anonymous);
    assert_true(f.conf->listeners[2].allow_anonymous);
    fixture_drop(&f);
    fixture_load(&f, "listeners:\n  tcp:\n    default:\n      bind: 1883\n", NULL);
    assert_false(f.conf->listeners[0].allow_anonymous);
    fixture_drop(&f);
}

static void tls_needs_its_files(void **state)
{
    (void)state;
    SAYS("listeners:\n  ssl:\n    default:\n      enable: true\n",
         "listeners.ssl.default.ssl_options.certfile: must be given, or psk_file, since the listener is "
         "enabled\n");
    SAYS("listeners:\n  ssl:\n    default:\n      bind: 127.0.0.1:9\n",
         "warning: listeners.ssl.default.enable: the listener is not enabled, since neither "
         "ssl_options.certfile nor psk_file is given\n");
    SAYS("listeners:\n  ssl:\n    default:\n      ssl_options:\n        certfile: cert.pem\n        verify: "
         "verify_peer\n",
         "listeners.ssl.default.ssl_options.keyfile: must be given with ssl_options.certfile\n"
         "covey.yaml:5: listeners.ssl.default.ssl_options.certfile: cannot read /etc/x/cert.pem: No such "
         "file or "
         "directory\n"
         "listeners.ssl.default.ssl_options.cacertfile: must be given with ssl_options.verify verify_peer\n");
    SAYS("listeners.wss.default.ssl_options:\n  certfile: /tmp\n  keyfile: /dev/null\n"
         "  fail_if_no_peer_cert: true\n",
         "covey.yaml:2: listeners.wss.default.ssl_options.certfile: cannot read /tmp: not a file\n"
         "covey.yaml:3: listeners.wss.default.ssl_options.keyfile: cannot read /dev/null: not a file\n"
         "covey.yaml:4: listeners.wss.default.ssl_options.fail_if_no_peer_cert: needs ssl_options.verify "
         "verify_peer\n");
}

static void https_needs_its_files_and_an_address_of_its_own(void **state)
{
    (void)state;
    SAYS("dashboard.listeners.https.certfile: nowhere.pem\n", "");
    SAYS("dashboard.listeners.https.enable: true\n",
         "dashboard.listeners.https.certfile: must be given, since the listener is enabled\n");
    SAYS("dashboard.listeners.https:\n  enable: true\n  bind: 127.0.0.1:18083\n  certfile: /tmp\n",
         "covey.yaml:3: dashboard.listeners.https.bind: 127.0.0.1:18083 is taken by the listener "
         "dashboard.listeners.http on 127.0.0.1:18083\n"
         "dashboard.listeners.https.keyfile: must be given with certfile\n"
         "covey.yaml:4: dashboard.listeners.https.certfile: cannot read /tmp: not a file\n");
    SAYS("dashboard.listeners:\n  http:\n    enable: false\n  https:\n    enable: true\n    bind: :1883\n"
         "    certfile: /nowhere/c\n    keyfile: /nowhere/k\n",
         "covey.yaml:6: dashboard.listeners.https.bind: 0.0.0.0:1883 is taken by the listener tcp:default on "
         "127.0.0.1:1883\n"
         "covey.yaml:7: dashboard.listeners.https.certfile: cannot read /nowhere/c: No such file or "
         "directory\n"
         "covey.yaml:8: dashboard.listeners.https.keyfile: cannot read /nowhere/k: No such file or "
         "directory\n");
}

static void a_certificate_enables_the_listener(void **state)
{
    char dir[] = "/tmp/covey-test-XXXXXX", cert[64], line[128];
    const char *env[] = {"HOME=/u", line, "COVEY_LISTENERS__SSL__DEFAULT__SSL_OPTIONS__KEYFILE=/dev/null",
                         NULL};
    struct config_source source = {.env = env, .files = CONFIG_FILES_IGNORED};
    struct config_report report;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(line, sizeof line, "COVEY_LISTENERS__SSL__DEFAULT__SSL_OPTIONS__CERTFILE=%s", cert);
    config_report_init(&report);
    struct config *conf = config_load(&source, &report);
    assert_non_null(conf);
    assert_true(conf->listeners[1].enable);
    assert_string_equal(conf->listeners[1].ssl.certfile, cert);
    config_free(conf);
    config_report_fini(&report);
    rmdir(dir);
}

static void values_are_checked_with_each_other(void **state)
{
    (void)state;
    SAYS("node:\n  name: covey\n",
         "covey.yaml:2: node.name: must be name@host without blanks, quotes, /, + or #\n");
    SAYS("node:\n  name: a/b@c\n",
         "covey.yaml:2: node.name: must be name@host without blanks, quotes, /, + or #\n");
    SAYS("node:\n  data_dir: "
         "/a123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
         "5678901234567890\n",
         "node.ctl_socket: the path of a socket has at most 107 bytes: "
         "/a1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
         "890/"
         "ctl.sock\n");
    SAYS("mqtt:\n  receive_maximum: 200\n  server_keepalive: 1500ms\n  keepalive_multiplier: 1.2\n",
         "covey.yaml:2: warning: mqtt.receive_maximum: is more than mqtt.max_awaiting_rel; the lower of the "
         "two is in "
         "force\n"
         "covey.yaml:3: mqtt.server_keepalive: must be whole seconds\n"
         "covey.yaml:4: warning: mqtt.keepalive_multiplier: is less than the 1.5 that MQTT lets clients rely "
         "on\n");
    SAYS(
        "listeners.ws.default.websocket.max_frame_size: 1KB\n",
        "covey.yaml:1: warning: listeners.ws.default.websocket.max_frame_size: is less than max_packet_size: "
        "clients must split large packets into several frames\n");
}

static void unix_listeners(void **state)
{
    struct fixture f;
    (void)state;
    fixture_load(&f, "listeners.unix.local:\n  bind: m.sock\n  mode: 0666\n  group: root\n", NULL);
    const struct config_listener *l = &f.conf->listeners[f.conf->listeners_n - 1];
    assert_string_equal(f.said, "");
    assert_string_equal(l->id, "unix:local");
    assert_string_equal(l->path, "/etc/x/m.sock");
    assert_int_equal(l->mode, 0666);
    assert_true(l->enable && l->is_loopback && l->allow_anonymous);
    fixture_drop(&f);
    SAYS("listeners.unix.a:\n  bind: /run/m\n  mode: 666\n  group: of nobody\n",
         "covey.yaml:3: listeners.unix.a.mode: must be an octal number of four digits such as 0660\n"
         "covey.yaml:4: listeners.unix.a.group: there is no group of nobody\n");
    SAYS("listeners.unix.a:\n  bind: /run/m\nlisteners.unix.b:\n  bind: /run/m\n",
         "covey.yaml:4: listeners.unix.b.bind: /run/m is taken by the listener unix:a\n");
    SAYS("node.ctl_socket: /run/m\nlisteners.unix.a:\n  bind: /run/m\n",
         "covey.yaml:3: listeners.unix.a.bind: /run/m is taken by node.ctl_socket\n");
    SAYS("listeners.unix.a:\n  enable: true\n",
         "listeners.unix.a.bind: must be given: the address that the listener listens on\n");
    SAYS("listeners.unix.a:\n  bind: "
         "/12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "90"
         "1234567\n",
         "covey.yaml:2: listeners.unix.a.bind: the path of a socket has at most 107 bytes: "
         "/12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "90"
         "1234567\n");
    SAYS("listeners.unix.a:\n  bind: /run/m\n  proxy_protocol: true\n  access_rules: [deny all]\n",
         "covey.yaml:3: listeners.unix.a.proxy_protocol: unknown key; who connects to a Unix socket has no "
         "address: mode and group say who may\n"
         "covey.yaml:4: listeners.unix.a.access_rules: unknown key; who connects to a Unix socket has no "
         "address: mode and group say who may\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_do_not_collide),
        cmocka_unit_test(anonymous_clients_stay_on_this_machine),
        cmocka_unit_test(tls_needs_its_files),
        cmocka_unit_test(https_needs_its_files_and_an_address_of_its_own),
        cmocka_unit_test(a_certificate_enables_the_listener),
        cmocka_unit_test(values_are_checked_with_each_other),
        cmocka_unit_test(unix_listeners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
