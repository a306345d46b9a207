/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_APP_CONFIG_FIXTURE_H
#define COVEY_TESTS_APP_CONFIG_FIXTURE_H

/* Loads a configuration from text and compares everything that is said about it. */

#include "node/app/config_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct config_report report;
    struct config *conf;
    char *said; /* the report as printed */
};

/* env ends with NULL; it may be NULL. The file is named covey.yaml. */
static inline void fixture_load(struct fixture *f, const char *yaml, const char *const *env)
{
    static const char *const home[] = {"HOME=/u", NULL};
    struct config_source source = {.file = yaml ? "/etc/x/covey.yaml" : NULL,
                                   .text = yaml,
                                   .text_n = yaml ? strlen(yaml) : 0,
                                   .env = env ? env : home,
                                   .files = CONFIG_FILES_CHECKED};
    size_t n;
    f->said = NULL;
    config_report_init(&f->report);
    f->conf = config_load(&source, &f->report);
    FILE *out = open_memstream(&f->said, &n);
    assert_non_null(out);
    config_report_print(&f->report, out);
    fclose(out);
}

static inline void fixture_drop(struct fixture *f)
{
    config_free(f->conf);
    config_report_fini(&f->report);
    free(f->said);
}

/* What is expected has no folder before the file's name. */
static inline void fixture_says(const char *yaml, const char *const *env, const char *expected, int line)
{
    struct fixture f;
    char *to, *from;
    fixture_load(&f, yaml, env);
    for (to = from = f.said; *from;) {
        if (strncmp(from, "/etc/x/covey.yaml", 17) == 0)
            from += 7;
        *to++ = *from++;
    }
    *to = 0;
    if (strcmp(f.said, expected) != 0)
        fail_msg("line %d: said\n%s\ninstead of\n%s", line, f.said, expected);
    assert_int_equal(f.conf == NULL, f.report.errors != 0);
    fixture_drop(&f);
}

#define SAYS(yaml, expected) fixture_says(yaml, NULL, expected, __LINE__)
#define ENV_SAYS(expected, ...) \
    fixture_says(NULL, (const char *const[]){"HOME=/u", __VA_ARGS__, NULL}, expected, __LINE__)

#endif
