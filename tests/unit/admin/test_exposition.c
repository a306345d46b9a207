/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/exposition.h"
#include "node/core/counters.h"
#include "node/mesh/mesh.h"

#include "tests/unit/admin/one_node.h"

static void figures_become_families(void **state)
{
    static const struct sys_figure v[] = {
        {"sessions.count", 7},
        {"messages.qos0.received", 3},
        {"storage.commit_us.max", 1500},
        {"messages.received", 5},
        {"messages.dropped.queue_full", 1},
        {"messages.qos1.received", 2},
        {"no.such.figure", 1},
        {"messages.dropped", 1},
    };
    (void)state;
    struct text out = {0};
    exposition_figures(&out, v, array_len(v));
    assert_string_equal(
        out.p, "# HELP covey_sessions Sessions, also of clients that are away.\n"
               "# TYPE covey_sessions gauge\n"
               "covey_sessions 7\n"
               "# HELP covey_store_commit_max_seconds How long the longest commit since the start took.\n"
               "# TYPE covey_store_commit_max_seconds gauge\n"
               "covey_store_commit_max_seconds 0.0015\n"
               "# HELP covey_messages_received_total PUBLISH packets from clients.\n"
               "# TYPE covey_messages_received_total counter\n"
               "covey_messages_received_total{qos=\"0\"} 3\n"
               "covey_messages_received_total{qos=\"1\"} 2\n"
               "# HELP covey_messages_dropped_total Messages that did not reach somebody, by why.\n"
               "# TYPE covey_messages_dropped_total counter\n"
               "covey_messages_dropped_total{reason=\"queue_full\"} 1\n");
    text_fini(&out);
}

static void labels_are_escaped(void **state)
{
    (void)state;
    struct text out = {0};
    exposition_label(&out, "a\"b\\c");
    text_append(&out, bytes_of("", 1));
    assert_string_equal(out.p, "a\\\"b\\\\c");
    text_fini(&out);
}

static void every_counter_has_a_family(void **state)
{
    const char *label;
    size_t n;
    (void)state;
    for (int i = 0; i < COUNTERS; i++)
        if (!family_of(counter_name((enum counter)i), &label, &n))
            fail_msg("%s has none", counter_name((enum counter)i));
    for (int i = 0; i < MESH_COUNTERS_N; i++)
        if (!family_of(mesh_counter_name((enum mesh_counter)i), &label, &n))
            fail_msg("%s has none", mesh_counter_name((enum mesh_counter)i));
}

/* Each is told once, with words, and a label where there are values for it. */
static void families_are_whole(void **state)
{
    (void)state;
    for (const struct family *f = families; f->figures; f++) {
        if (!f->name)
            continue;
        assert_non_null(f->help);
        assert_int_equal(strchr(f->figures, '*') != NULL, f->label != NULL);
        for (const struct family *g = f + 1; g->figures; g++)
            assert_true(!g->name || strcmp(f->name, g->name) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_become_families),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(every_counter_has_a_family),
        cmocka_unit_test(families_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
