/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/app/config_fixture.h"

static void defaults_need_no_file(void **state)
{
    struct fixture f;
    (void)state;
    fixture_load(&f, NULL, NULL);
    assert_string_equal(f.said, "");
    assert_non_null(f.conf);
    const struct config *c = f.conf;
    assert_string_equal(c->node.name, "covey@127.0.0.1");
    assert_string_equal(c->node.data_dir, "/u/.local/share/covey");
    assert_string_equal(c->node.ctl_socket, "/u/.local/share/covey/ctl.sock");
    assert_string_equal(c->node.pid_file, "/u/.local/share/covey/covey.pid");
    assert_string_equal(c->log.file, "/u/.local/share/covey/log/covey.log");
    assert_true(c->node.workers >= 1);
    assert_int_equal(c->mqtt.max_packet_size, 1048576);
    assert_int_equal(c->mqtt.max_inflight, 32);
    assert_int_equal(c->mqtt.session_expiry_interval_ms, 7200000);
    assert_true(c->mqtt.max_session_expiry_interval_ms == CONFIG_INFINITY);
    assert_int_equal(c->mqtt.keepalive_multiplier_percent, 150);
    assert_int_equal(c->mqtt.shared_subscription_strategy, SHARE_ROUND_ROBIN);
    assert_true(c->retainer.max_retained_messages == CONFIG_INFINITY);
    assert_int_equal(c->storage.sync, STORE_SYNC_ALWAYS);
    assert_int_equal(c->storage.commit_interval_us, 2000);
    assert_int_equal(c->log.level, LOG_INFO);
    fixture_drop(&f);
}

static void default_listeners_are_local(void **state)
{
    static const struct {
        const char *id;
        const char *bind;
        bool enable;
    } expected[] = {{"tcp:default", "127.0.0.1:1883", true},
                    {"ssl:default", "127.0.0.1:8883", false},
                    {"ws:default", "127.0.0.1:8083", true},
                    {"wss:default", "127.0.0.1:8084", false},
                    {"unix:default", "", false}};
    struct fixture f;
    (void)state;
    fixture_load(&f, NULL, NULL);
    assert_int_equal(f.conf->listeners_n, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct config_listener *l = &f.conf->listeners[i];
        assert_string_equal(l->id, expected[i].id);
        assert_string_equal(l->bind_text, expected[i].bind);
        assert_int_equal(l->enable, expected[i].enable);
        assert_true(l->is_loopback);
        assert_true(l->allow_anonymous);
        assert_int_equal(l->max_packet_size, 1048576);
        assert_true(l->max_connections == CONFIG_INFINITY);
    }
    assert_string_equal(f.conf->listeners[2].ws.mqtt_path, "/mqtt");
    assert_int_equal(f.conf->listeners[1].ssl.versions, CONFIG_TLSV1_2 | CONFIG_TLSV1_3);
    fixture_drop(&f);
}

static void data_dir_follows_the_user(void **state)
{
    static const char *const xdg[] = {"HOME=/u", "XDG_DATA_HOME=/x", NULL};
    static const char *const none[] = {"PATH=/bin", NULL};
    struct config_source root = {.env = none, .is_root = true};
    struct config_report report;
    struct fixture f;
    (void)state;
    fixture_load(&f, NULL, xdg);
    assert_string_equal(f.conf->node.data_dir, "/x/covey");
    fixture_drop(&f);
    fixture_says(NULL, none, "node.data_dir: must be given, since the environment has no HOME\n", __LINE__);
    config_report_init(&report);
    struct config *conf = config_load(&root, &report);
    assert_string_equal(conf->node.data_dir, "/var/lib/covey");
    config_free(conf);
    config_report_fini(&report);
}

static void a_file_sets_values(void **state)
{
    struct fixture f;
    (void)state;
    fixture_load(&f,
                 "node:\n"
                 "  name: one@example.org\n"
                 "  data_dir: data\n"
                 "mqtt.max_inflight: 7\n"
                 "mqtt:\n"
                 "  max_packet_size: 2MB\n"
                 "  idle_timeout: \"3s\"\n"
                 "listeners:\n"
                 "  tcp.inside:\n"
                 "    bind: 127.0.0.2:1883\n"
                 "    max_packet_size: 64KB\n"
                 "    tcp_options: {nodelay: off}\n"
                 "  ws: {default: {enable: false}}\n"
                 "  ssl:\n"
                 "    default:\n"
                 "      ssl_options:\n"
                 "        ciphers:\n"
                 "          - TLS_AES_128_GCM_SHA256\n"
                 "          - ECDHE-RSA-AES128-GCM-SHA256\n"
                 "        versions: [tlsv1.3]\n"
                 "      enable: false\n",
                 NULL);
    assert_string_equal(f.said, "");
    const struct config *c = f.conf;
    assert_string_equal(c->node.name, "one@example.org");
    assert_string_equal(c->node.data_dir, "/etc/x/data");
    assert_int_equal(c->mqtt.max_inflight, 7);
    assert_int_equal(c->mqtt.idle_timeout_ms, 3000);
    assert_int_equal(c->listeners_n, 6);
    assert_int_equal(c->listeners[0].max_packet_size, 2097152);
    assert_int_equal(c->listeners[1].ssl.ciphers.n, 2);
    assert_string_equal(c->listeners[1].ssl.ciphers.v[1], "ECDHE-RSA-AES128-GCM-SHA256");
    assert_int_equal(c->listeners[1].ssl.versions, CONFIG_TLSV1_3);
    assert_false(c->listeners[2].enable);
    assert_string_equal(c->listeners[5].id, "tcp:inside");
    assert_int_equal(c->listeners[5].max_packet_size, 65536);
    assert_false(c->listeners[5].nodelay);
    assert_string_equal(config_item_find(c, "mqtt.idle_timeout")->where, "/etc/x/covey.yaml:7");
    assert_string_equal(config_item_find(c, "listeners.tcp.inside.bind")->where, "/etc/x/covey.yaml:10");
    assert_string_equal(config_item_find(c, "mqtt.max_qos_allowed")->where, "default");
    fixture_drop(&f);
}

static void every_error_is_reported(void **state)
{
    (void)state;
    SAYS("mqqt:\n"
         "  max_inflight: 3\n"
         "mqtt:\n"
         "  max_inflght: 3\n"
         "  max_inflight: many\n"
         "  max_packet_size: 1TB\n"
         "  retry_interval: 30s\n"
         "  max_qos_allowed: [1, 2]\n"
         "  idle_timeout:\n"
         "  upgrade_qos: {a: b}\n"
         "storage: fast\n"
         "listeners:\n"
         "  tcp:\n"
         "    default:\n"
         "      max_conections: 3\n"
         "    \"in side\":\n"
         "      bind: 3\n"
         "  tpc: {}\n"
         "max_inflight: 3\n"
         "zzz: 1\n",
         "covey.yaml:1: mqqt: unknown key; did you mean mqtt?\n"
         "covey.yaml:4: mqtt.max_inflght: unknown key; did you mean mqtt.max_inflight?\n"
         "covey.yaml:5: mqtt.max_inflight: \"many\" is not a number from 1 to 65535\n"
         "covey.yaml:6: mqtt.max_packet_size: \"1TB\" is not a size from 64B to 256MB such as 64KB, 1MB\n"
         "covey.yaml:7: mqtt.retry_interval: unknown key; not needed: a message is sent again only when its "
         "client connects again\n"
         "covey.yaml:8: mqtt.max_qos_allowed: this list is not a number from 0 to 2\n"
         "covey.yaml:9: mqtt.idle_timeout: has no value; expected a duration from 100ms to 1h such as 500ms, "
         "15s, 2h\n"
         "covey.yaml:10: mqtt.upgrade_qos: is no section; expected true or false\n"
         "covey.yaml:11: storage: is a section; its keys go under it, one a line, indented\n"
         "covey.yaml:15: listeners.tcp.default.max_conections: unknown key; did you mean "
         "listeners.tcp.default.max_connections?\n"
         "covey.yaml:16: listeners.tcp: \"in side\" cannot be a key: letters, digits, _ and - only\n"
         "covey.yaml:18: listeners.tpc: unknown key; did you mean listeners.tcp?\n"
         "covey.yaml:19: max_inflight: unknown key; did you mean mqtt.max_inflight?\n"
         "covey.yaml:20: zzz: unknown key; \"covey config keys\" lists those there are\n");
}

static void keys_are_given_once(void **state)
{
    (void)state;
    SAYS("mqtt:\n  max_inflight: 1\n  max_inflight: 1\n",
         "covey.yaml:3: mqtt.max_inflight: given twice, first in line 2\n");
    SAYS("mqtt:\n  max_inflight: 1\nnode:\nmqtt:\n  max_qos_allowed: 1\n",
         "covey.yaml:4: mqtt: given twice, first in line 1\n");
    SAYS("mqtt:\n  max_inflight: 1\nmqtt.max_inflight: 2\n",
         "covey.yaml:3: mqtt.max_inflight: given twice, first in line 2\n");
}

static void values_are_escaped_in_messages(void **state)
{
    (void)state;
    SAYS("mqtt: {max_inflight: \"a\\e[31m\\\"\\n\"}\n",
         "covey.yaml:1: mqtt.max_inflight: \"a\\x1b[31m\\x22\\x0a\" is not a number from 1 to 65535\n");
    SAYS("mqtt: {max_inflight: \"1\\0\"}\n", "covey.yaml:1: mqtt.max_inflight: holds a NUL character\n");
    SAYS("\"a\\nb\": 1\n", "covey.yaml:1: \"a\\x0ab\" cannot be a key: letters, digits, _ and - only\n");
}

static void hostile_yaml_is_refused(void **state)
{
#define NO_ANCHORS                                                                                        \
    "anchors (&), aliases (*) and tags (!) are not used in this file; quote the value if it starts with " \
    "such a character\n"
    (void)state;
    SAYS("mqtt: &a {max_inflight: 1}\n", "covey.yaml:1: mqtt: " NO_ANCHORS);
    SAYS("mqtt:\n  max_inflight: *a\n", "covey.yaml:2: mqtt.max_inflight: " NO_ANCHORS);
    SAYS("mqtt:\n  max_inflight: !!int 1\n", "covey.yaml:2: mqtt.max_inflight: " NO_ANCHORS);
    SAYS("---\nmqtt:\n---\nmqtt:\n", "covey.yaml:3: a second YAML document (\"---\"): only one is allowed\n");
    SAYS("mqtt:\n\tmax_inflight: 1\n",
         "covey.yaml:2: not valid YAML: found character that cannot start any token; indent with spaces, not "
         "tabs, and quote values that start with @, `, %, [, { or *\n");
    SAYS("- a\n- b\n", "covey.yaml:1: the file must be sections with keys, such as \"mqtt:\"\n");
    SAYS("hello\n", "covey.yaml:1: the file must be sections with keys, such as \"mqtt:\"\n");
    SAYS("? [a, b]\n: c\n", "covey.yaml:1: a key must be a word\n");
    SAYS("? {a: b}\n: c\n", "covey.yaml:1: a key must be a word\n");
    SAYS("\xff\xfe\x00", "");
    SAYS("mqtt: {max_inflight: \x01}\n",
         "covey.yaml:1: not valid YAML: control characters are not allowed\n");
    SAYS("mqtt:\n  max_inflight: \xe9xx\n", "covey.yaml:2: not valid YAML: invalid trailing UTF-8 octet\n");
}

static void deep_nesting_is_refused(void **state)
{
    char yaml[4096] = "zzz: ";
    struct fixture f;
    (void)state;
    memset(yaml + 5, '[', 2000);
    fixture_load(&f, yaml, NULL);
    assert_null(f.conf);
    assert_int_equal(f.report.n, 2);
    assert_string_equal(f.report.notes[1].message, "nested too deeply");
    fixture_drop(&f);
}

static void huge_files_are_refused(void **state)
{
    size_t n = CONFIG_FILE_BYTES_MAX + 1;
    char *text = malloc(n);
    struct config_source source = {.file = "covey.yaml", .text = text, .text_n = n, .is_root = true};
    struct config_report report;
    (void)state;
    memset(text, '#', n);
    config_report_init(&report);
    assert_null(config_load(&source, &report));
    assert_string_equal(report.notes[0].message, "is larger than 1048576 bytes");
    config_report_fini(&report);
    free(text);
}

static void errors_are_bounded(void **state)
{
    char *yaml = NULL;
    size_t n;
    struct fixture f;
    FILE *out = open_memstream(&yaml, &n);
    (void)state;
    for (int i = 0; i < 5000; i++)
        fprintf(out, "zzz%d: 1\n", i);
    fclose(out);
    fixture_load(&f, yaml, NULL);
    assert_int_equal(f.report.n, CONFIG_NOTES_MAX);
    assert_non_null(strstr(f.said, "(only the first 100 are shown)\n"));
    fixture_drop(&f);
    free(yaml);
}

static void listeners_are_bounded(void **state)
{
    char *yaml = NULL;
    size_t n;
    struct fixture f;
    FILE *out = open_memstream(&yaml, &n);
    (void)state;
    fprintf(out, "listeners:\n  tcp:\n");
    for (int i = 0; i < 60; i++)
        fprintf(out, "    l%d:\n", i);
    fclose(out);
    fixture_load(&f, yaml, NULL);
    assert_string_equal(f.report.notes[0].path, "listeners.tcp.l59");
    assert_string_equal(f.report.notes[0].message, "more than 64 listeners");
    assert_int_equal(f.report.n, 1);
    fixture_drop(&f);
    free(yaml);
}

static void empty_files_are_fine(void **state)
{
    (void)state;
    SAYS("", "");
    SAYS("# nothing\n", "");
    SAYS("---\n", "");
    SAYS("~\n", "");
    SAYS("mqtt:\nlisteners:\n  tcp:\n    default:\n", "");
    SAYS("\xef\xbb\xbfmqtt:\n", "");
    SAYS("mqtt:\r\n  max_inflight: 3\r\n", "");
}

static void missing_files_are_errors(void **state)
{
    struct config_source source = {.file = "/nonexistent/covey.yaml", .is_root = true};
    struct config_report report;
    (void)state;
    config_report_init(&report);
    assert_null(config_load(&source, &report));
    assert_string_equal(report.notes[0].where, "/nonexistent/covey.yaml");
    assert_string_equal(report.notes[0].message, "cannot be read: No such file or directory");
    config_report_fini(&report);
    source.file = "/tmp";
    config_report_init(&report);
    assert_null(config_load(&source, &report));
    assert_string_equal(report.notes[0].message, "cannot be read: not a file");
    config_report_fini(&report);
}

static void environment_overrides_the_file(void **state)
{
    static const char *const env[] = {"HOME=/u",
                                      "COVEY_MQTT__MAX_INFLIGHT=64",
                                      "COVEY_NODE__NAME=two@h",
                                      "COVEY_LISTENERS__TCP__DEFAULT__BIND=127.0.0.1:19200",
                                      "COVEY_LISTENERS__TCP__INSIDE__BIND=127.0.0.1:19201",
                                      "COVEY_LISTENERS__WS__MORE__BIND=127.0.0.1:19202",
                                      "COVEY_LISTENERS__WSS__DEFAULT__SSL_OPTIONS__VERSIONS=[tlsv1.3]",
                                      "COVEY_LISTENERS__WSS__DEFAULT__ENABLE=false",
                                      "COVEY_CONFIG=/etc/covey/covey.yaml",
                                      "COVEY_TEST_NODE=ok",
                                      "OTHER=1",
                                      NULL};
    struct fixture f;
    (void)state;
    fixture_load(&f, "mqtt:\n  max_inflight: 5\nlisteners:\n  tcp:\n    Inside:\n      bind: 19299\n", env);
    assert_string_equal(f.said, "");
    assert_int_equal(f.conf->mqtt.max_inflight, 64);
    assert_string_equal(f.conf->node.name, "two@h");
    assert_string_equal(f.conf->listeners[0].bind_text, "127.0.0.1:19200");
    assert_string_equal(f.conf->listeners[5].id, "tcp:Inside");
    assert_string_equal(f.conf->listeners[5].bind_text, "127.0.0.1:19201");
    assert_string_equal(f.conf->listeners[6].id, "ws:more");
    const struct config_item *item = config_item_find(f.conf, "mqtt.max_inflight");
    assert_int_equal(item->origin, CONFIG_FROM_ENV);
    assert_string_equal(item->where, "COVEY_MQTT__MAX_INFLIGHT");
    assert_string_equal(item->given, "64");
    fixture_drop(&f);
}

static void environment_errors_name_the_variable(void **state)
{
    (void)state;
    ENV_SAYS("COVEY_MQTT__MAX_INFLIGHT: mqtt.max_inflight: \"\" is not a number from 1 to 65535\n",
             "COVEY_MQTT__MAX_INFLIGHT=");
    ENV_SAYS(
        "COVEY_MQTT__MAX_INFLGHT: mqtt.max_inflght: unknown key; did you mean COVEY_MQTT__MAX_INFLIGHT?\n",
        "COVEY_MQTT__MAX_INFLGHT=1");
    ENV_SAYS("COVEY_HOME: home: unknown key; \"covey config keys\" lists those there are\n", "COVEY_HOME=/x");
    ENV_SAYS("COVEY_NODE__NAME: node.name: \"a\\xff\" is not a text of 1 to 128 characters\n",
             "COVEY_NODE__NAME=a\xff");
}

/* Kubernetes sets these for a service named covey, and for one named covey-cluster. */
static void service_variables_are_not_ours(void **state)
{
    (void)state;
    ENV_SAYS("", "COVEY_SERVICE_HOST=10.0.0.1", "COVEY_SERVICE_PORT=1883", "COVEY_SERVICE_PORT_MQTT=1883",
             "COVEY_PORT=tcp://10.0.0.1:1883", "COVEY_PORT_1883_TCP=tcp://10.0.0.1:1883",
             "COVEY_PORT_1883_TCP_ADDR=10.0.0.1", "COVEY_PORT_1883_TCP_PORT=1883",
             "COVEY_PORT_1883_TCP_PROTO=tcp", "COVEY_CLUSTER_SERVICE_HOST=10.0.0.2");
}

struct changes {
    char text[512];
};

static void on_change(void *ctx, const struct config_item *before, const struct config_item *after)
{
    struct changes *c = ctx;
    size_t n = strlen(c->text);
    snprintf(c->text + n, sizeof c->text - n, "%s %s->%s %s\n", before ? before->path : after->path,
             before ? before->text : "", after ? after->text : "",
             (before ? before : after)->key->flags & CONFIG_F_RELOAD ? "reload" : "restart");
}

static void differences_are_found(void **state)
{
    struct fixture a, b;
    struct changes c = {""};
    (void)state;
    fixture_load(&a, "mqtt:\n  max_inflight: 5\n  idle_timeout: 60s\n", NULL);
    fixture_load(&b, "mqtt:\n  idle_timeout: 1m\nnode:\n  name: x@y\n", NULL);
    config_diff(a.conf, b.conf, on_change, &c);
    assert_string_equal(c.text, "node.name covey@127.0.0.1->x@y restart\nmqtt.max_inflight 5->32 reload\n");
    fixture_drop(&a);
    fixture_drop(&b);
}

static void pins_count_over_everything(void **state)
{
    static const char *const env[] = {"COVEY_MQTT__MAX_INFLIGHT=6", "HOME=/u", NULL};
    static const struct config_pin pins[] = {{"mqtt.max_inflight", "7"},
                                             {"listeners.tcp.Old.bind", "127.0.0.1:2000"}};
    static const char text[] = "mqtt: {max_inflight: 5}\n";
    struct config_source source = {.file = "covey.yaml",
                                   .text = text,
                                   .text_n = sizeof text - 1,
                                   .env = env,
                                   .files = CONFIG_FILES_IGNORED,
                                   .pins = pins,
                                   .pins_n = 2};
    struct config_report report;
    (void)state;
    config_report_init(&report);
    struct config *conf = config_load(&source, &report);
    assert_non_null(conf);
    assert_int_equal(conf->mqtt.max_inflight, 7);
    assert_string_equal(config_item_find(conf, "listeners.tcp.Old.bind")->text, "127.0.0.1:2000");
    config_free(conf);
    config_report_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_need_no_file),
        cmocka_unit_test(default_listeners_are_local),
        cmocka_unit_test(data_dir_follows_the_user),
        cmocka_unit_test(a_file_sets_values),
        cmocka_unit_test(every_error_is_reported),
        cmocka_unit_test(keys_are_given_once),
        cmocka_unit_test(values_are_escaped_in_messages),
        cmocka_unit_test(hostile_yaml_is_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(huge_files_are_refused),
        cmocka_unit_test(errors_are_bounded),
        cmocka_unit_test(listeners_are_bounded),
        cmocka_unit_test(empty_files_are_fine),
        cmocka_unit_test(missing_files_are_errors),
        cmocka_unit_test(environment_overrides_the_file),
        cmocka_unit_test(environment_errors_name_the_variable),
        cmocka_unit_test(service_variables_are_not_ours),
        cmocka_unit_test(differences_are_found),
        cmocka_unit_test(pins_count_over_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
