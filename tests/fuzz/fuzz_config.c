/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_show.h"

#include "proto/base/check.h"

#include <stdlib.h>
#include <string.h>

/* A configuration file, and behind a line "====" variables of the environment, one a line. What loads must be
 * printed as a file that loads to the same values. */

enum { ENV_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *load(const char *text, size_t n, const char *const *env)
{
    struct config_source source = {.file = "covey.yaml",
                                   .text = text,
                                   .text_n = n,
                                   .env = env,
                                   .is_root = true,
                                   .files = CONFIG_FILES_IGNORED};
    struct config_report report;
    config_report_init(&report);
    struct config *conf = config_load(&source, &report);
    CHECK((conf == NULL) == (report.errors != 0));
    for (size_t i = 0; i < report.n; i++)
        CHECK(strpbrk(report.notes[i].message, "\n\r\x1b") == NULL);
    config_report_fini(&report);
    return conf;
}

static void shown_again(const struct config *conf)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    CHECK(out != NULL);
    config_show(conf, out);
    fclose(out);
    struct config *again = load(text, n, NULL);
    CHECK(again != NULL);
    CHECK(again->items_n == conf->items_n);
    for (size_t i = 0; i < conf->items_n; i++) {
        const struct config_item *item = config_item_find(again, conf->items[i].path);
        CHECK(item != NULL && strcmp(item->text, conf->items[i].text) == 0);
    }
    config_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *env[ENV_MAX + 1] = {NULL};
    size_t env_n = 0;
    char *text = malloc(size + 1);
    CHECK(text != NULL);
    memcpy(text, data, size);
    text[size] = 0;
    char *rest = memmem(text, size, "====\n", 5);
    size_t n = rest ? (size_t)(rest - text) : size;
    for (char *line = rest ? rest + 5 : NULL; line && *line && env_n < ENV_MAX;) {
        char *end = strchr(line, '\n');
        env[env_n++] = line;
        if (end)
            *end++ = 0;
        line = end;
    }
    struct config *conf = load(text, n, env);
    if (conf)
        shown_again(conf);
    config_free(conf);
    free(text);
    return 0;
}
