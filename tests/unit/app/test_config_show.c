/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "node/app/config_show.h"
#include "node/app/config_suggest.h"
#include "tests/unit/app/config_fixture.h"

static char *explained(const struct config *conf, const char *path, enum err *e)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    *e = config_explain(conf, path, out);
    fclose(out);
    return text;
}

static void explains(const char *yaml, const char *path, const char *expected)
{
    struct fixture f;
    enum err e;
    fixture_load(&f, yaml, NULL);
    assert_non_null(f.conf);
    char *text = explained(f.conf, path, &e);
    assert_int_equal(e, OK);
    assert_string_equal(text, expected);
    free(text);
    fixture_drop(&f);
}

static void explain_tells_all_about_a_key(void **state)
{
    (void)state;
    explains("mqtt:\n  max_inflight: 7\n", "mqtt.max_inflight",
             "mqtt.max_inflight\n"
             "    QoS 1 and 2 messages on their way to one client; its Receive Maximum may make it less\n\n"
             "  value:        7\n"
             "  comes from:   /etc/x/covey.yaml:2\n"
             "  default:      32\n"
             "  allowed:      a number from 1 to 65535\n"
             "  a change:     takes effect with covey ctl reload\n"
             "  environment:  COVEY_MQTT__MAX_INFLIGHT\n");
    explains(NULL, "node.ctl_socket",
             "node.ctl_socket\n"
             "    Unix socket of the command line; auto is ctl.sock in node.data_dir\n\n"
             "  value:        /u/.local/share/covey/ctl.sock (auto)\n"
             "  comes from:   default\n"
             "  default:      auto\n"
             "  allowed:      the path of a file or folder, or auto\n"
             "  a change:     takes effect when the node is started again\n"
             "  environment:  COVEY_NODE__CTL_SOCKET\n");
}

#define BIND_MEANING \
    "    address and port to listen on; a port alone means every IPv4 address of this machine\n\n"
#define BIND_ALLOWED                                                         \
    "  allowed:      an address such as 127.0.0.1:1883, [::1]:1883, :1883\n" \
    "  a change:     takes effect when the node is started again\n"

static void explain_knows_names_of_listeners(void **state)
{
    const char *of_default = "listeners.tcp.default.bind\n" BIND_MEANING
                             "  value:        127.0.0.1:1883\n  comes from:   default\n"
                             "  default:      127.0.0.1:1883\n" BIND_ALLOWED
                             "  environment:  COVEY_LISTENERS__TCP__DEFAULT__BIND\n";
    (void)state;
    explains(NULL, "listeners.tcp.default.bind", of_default);
    explains(NULL, "listeners.tcp.<name>.bind", of_default);
    explains(NULL, "listeners.tcp.inside.bind",
             "listeners.tcp.inside.bind\n" BIND_MEANING "  value:        none, there is no such listener\n"
             "  default:      none, it must be given\n" BIND_ALLOWED
             "  environment:  COVEY_LISTENERS__TCP__INSIDE__BIND\n");
}

static void explain_lists_sections(void **state)
{
    struct fixture f;
    enum err e;
    (void)state;
    explains(NULL, "sys_topics",
             "sys_topics.sys_msg_interval: 1m  # how often counters are published under $SYS\n"
             "sys_topics.sys_heartbeat_interval: 30s  # how often uptime and time are published under $SYS\n"
             "sys_topics.sys_event_messages.client_connected: true  # publish under "
             "$SYS/brokers/NODE/clients/CLIENTID that a client has connected\n"
             "sys_topics.sys_event_messages.client_disconnected: true  # and that its connection has ended, "
             "with the "
             "reason\n"
             "sys_topics.sys_event_messages.client_subscribed: false  # and that it has subscribed\n"
             "sys_topics.sys_event_messages.client_unsubscribed: false  # and that it has unsubscribed\n");
    fixture_load(&f, NULL, NULL);
    char *text = explained(f.conf, "nothing", &e);
    assert_int_equal(e, ERR_NOTFOUND);
    assert_string_equal(text, "");
    free(text);
    fixture_drop(&f);
}

static char *shown(const struct config *conf)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    config_show(conf, out);
    fclose(out);
    return text;
}

static void same_values(const struct config *a, const struct config *b)
{
    assert_int_equal(a->items_n, b->items_n);
    for (size_t i = 0; i < a->items_n; i++) {
        assert_string_equal(a->items[i].path, b->items[i].path);
        assert_string_equal(a->items[i].text, b->items[i].text);
    }
}

/* What `config show` prints is a configuration file with the same values. */
static void shown_values_can_be_loaded(void **state)
{
    struct fixture a, b;
    (void)state;
    fixture_load(&a,
                 "mqtt:\n  response_information: \" \\\"x\\\" \\\\ # [a]\"\n  server_keepalive: 30\n"
                 "listeners:\n  tcp:\n    six:\n      bind: \"[::1]:19203\"\n      allow_anonymous: false\n"
                 "      max_conn_rate: 5/s\n",
                 NULL);
    assert_string_equal(a.said, "");
    char *text = shown(a.conf);
    assert_non_null(strstr(text, "listeners.tcp.six.bind: \"[::1]:19203\"  # /etc/x/covey.yaml:7\n"));
    assert_non_null(
        strstr(text, "mqtt.response_information: \" \\\"x\\\" \\\\ # [a]\"  # /etc/x/covey.yaml:2\n"));
    assert_non_null(strstr(text, "node.pid_file: /u/.local/share/covey/covey.pid  # default, auto\n"));
    fixture_load(&b, text, NULL);
    assert_string_equal(b.said, "");
    same_values(a.conf, b.conf);
    free(text);
    fixture_drop(&a);
    fixture_drop(&b);
}

static char *default_file(void)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    config_default_show(out);
    fclose(out);
    return text;
}

/* Takes the "#" off the lines that are keys: "  #max_inflight: 32", but not "  # a number". */
static void keys_uncomment(char *text)
{
    char *to = text;
    bool is_indent = true;
    for (char *from = text; *from; from++) {
        bool is_key_mark = is_indent && *from == '#' && from[1] != ' ';
        if (!is_key_mark)
            *to++ = *from;
        if (*from == '\n')
            is_indent = true;
        else if (*from != ' ')
            is_indent = false;
    }
    *to = 0;
}

static size_t occurrences(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
        n++;
    return n;
}

static void the_default_file_is_the_defaults(void **state)
{
    struct fixture plain, file, loaded;
    char *text = default_file();
    (void)state;
    fixture_load(&plain, NULL, NULL);
    fixture_load(&file, text, NULL);
    assert_string_equal(file.said, "");
    same_values(plain.conf, file.conf);
    keys_uncomment(text);
    /* The file now names the TLS listeners without giving them a certificate; nothing else is said. */
    fixture_load(&loaded, text, NULL);
    assert_int_equal(loaded.report.errors, 0);
    assert_int_equal(loaded.report.n, 2);
    assert_int_equal(occurrences(loaded.said, "the listener is not enabled"), 2);
    /* And an address for other nodes is given, which is what makes the node one of several. */
    assert_true(loaded.conf->cluster.enable);
    for (size_t i = 0; i < plain.conf->items_n; i++) {
        const struct config_item *have = &loaded.conf->items[i];
        if (strcmp(have->path, "cluster.enable") != 0)
            assert_string_equal(plain.conf->items[i].text, have->text);
    }
    for (size_t i = 0; i < loaded.conf->items_n; i++)
        assert_int_equal(loaded.conf->items[i].origin, CONFIG_FROM_FILE);
    fixture_drop(&plain);
    fixture_drop(&file);
    fixture_drop(&loaded);
    free(text);
}

/* deploy/covey.yaml is what `covey config default` prints. */
static void the_example_file_is_the_default_file(void **state)
{
    char *text = default_file(), *have = NULL;
    size_t have_n = 0;
    (void)state;
    FILE *f = fopen(COVEY_SOURCE_DIR "/deploy/covey.yaml", "re");
    assert_non_null(f);
    assert_true(getdelim(&have, &have_n, 0, f) > 0);
    fclose(f);
    assert_string_equal(have, text);
    free(have);
    free(text);
}

static void keys_are_listed(void **state)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    (void)state;
    config_keys_show(out);
    fclose(out);
    assert_int_equal(occurrences(text, "\n"), config_keys_n);
    assert_non_null(strstr(text, "listeners.tcp.<name>.bind: 127.0.0.1:1883  # address and port"));
    assert_non_null(strstr(text, "mqtt.max_inflight: 32  # QoS 1 and 2"));
    free(text);
}

static void near_keys_are_suggested(void **state)
{
    static const char *const cases[][2] = {
        {"mqtt.max_inflght", "mqtt.max_inflight"},
        {"mqtt.maxinflight", "mqtt.max_inflight"},
        {"mqtt.max_qos_alowed", "mqtt.max_qos_allowed"},
        {"mqqt", "mqtt"},
        {"listeners.tcp.a.bnid", "listeners.tcp.a.bind"},
        {"listeners.tpc.a.bind", "listeners.tcp.a.bind"},
        {"listener.tcp.a.bind", "listeners.tcp.a.bind"},
        {"storage.sync_interval_ms", "storage.sync_interval"},
        {"certfile", "listeners.ssl.<name>.ssl_options.certfile"},
        {"max_inflight", "mqtt.max_inflight"},
        {"x", NULL},
        {"", NULL},
    };
    struct config_arena *arena = config_arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = config_suggest(cases[i][0], arena);
        if (!cases[i][1] && got)
            fail_msg("%s suggests %s", cases[i][0], got);
        if (cases[i][1])
            assert_string_equal(got ? got : "nothing", cases[i][1]);
    }
    assert_string_equal(config_suggest_instead("zone.external.idle_timeout"),
                        "these settings are under mqtt");
    assert_null(config_suggest_instead("zonex"));
    config_arena_free(arena);
}

static void distance_is_that_of_edits(void **state)
{
    (void)state;
    assert_int_equal(config_suggest_distance("abc", "abc", 3), 0);
    assert_int_equal(config_suggest_distance("abc", "acb", 3), 1);
    assert_int_equal(config_suggest_distance("abc", "ab", 3), 1);
    assert_int_equal(config_suggest_distance("abc", "xbcy", 3), 2);
    assert_int_equal(config_suggest_distance("", "abc", 3), 3);
    assert_int_equal(config_suggest_distance("abcdef", "a", 3), 4);
}

/* The table itself. */
static void every_key_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_keys_n; i++) {
        const struct config_key *key = &config_keys[i];
        assert_true(strlen(key->meaning) > 8 && key->meaning[strlen(key->meaning) - 1] != '.');
        assert_non_null(key->def);
        assert_int_equal(key->type == CONFIG_ENUM || key->type == CONFIG_SET, key->choices != NULL);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(key->path, config_keys[j].path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explain_tells_all_about_a_key),
        cmocka_unit_test(explain_knows_names_of_listeners),
        cmocka_unit_test(explain_lists_sections),
        cmocka_unit_test(shown_values_can_be_loaded),
        cmocka_unit_test(the_default_file_is_the_defaults),
        cmocka_unit_test(the_example_file_is_the_default_file),
        cmocka_unit_test(keys_are_listed),
        cmocka_unit_test(near_keys_are_suggested),
        cmocka_unit_test(distance_is_that_of_edits),
        cmocka_unit_test(every_key_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
