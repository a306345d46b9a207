/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_load.h"

#include "node/app/config_build.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *config_file_read(const char *file, size_t *n, struct config_report *report)
{
    struct stat st;
    char *text = NULL;
    size_t got = 0;
    /* Opening a FIFO must not wait for a writer. */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        config_report_add(report, CONFIG_ERROR, file, "", "cannot be read: %s", strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        config_report_add(report, CONFIG_ERROR, file, "", "cannot be read: not a file");
        goto out;
    }
    text = mem_alloc(CONFIG_FILE_BYTES_MAX + 1);
    while (got <= CONFIG_FILE_BYTES_MAX) {
        ssize_t r = read(fd, text + got, CONFIG_FILE_BYTES_MAX + 1 - got);
        if (r == 0)
            break;
        if (r > 0)
            got += (size_t)r;
        else if (errno != EINTR) {
            config_report_add(report, CONFIG_ERROR, file, "", "cannot be read: %s", strerror(errno));
            free(text);
            text = NULL;
            goto out;
        }
    }
    if (got > CONFIG_FILE_BYTES_MAX) {
        config_report_add(report, CONFIG_ERROR, file, "", "is larger than %d bytes", CONFIG_FILE_BYTES_MAX);
        free(text);
        text = NULL;
        goto out;
    }
    text[got] = 0;
out:
    if (fd >= 0)
        close(fd);
    *n = got;
    return text;
}

static void file_load(struct config_build *b)
{
    const char *file = b->source->file, *text = b->source->text;
    char *owned = NULL;
    size_t n = b->source->text_n;
    const char *slash = strrchr(file, '/');
    b->conf->file = config_arena_str(b->conf->arena, file);
    b->file_dir = b->work_dir;
    if (slash && *file == '/')
        b->file_dir = config_arena_dup(b->conf->arena, file, slash == file ? 1 : (size_t)(slash - file));
    else if (slash)
        b->file_dir = config_arena_printf(b->conf->arena, "%s/%.*s", b->work_dir, (int)(slash - file), file);
    if (!text)
        text = owned = config_file_read(file, &n, b->report);
    if (text && n > CONFIG_FILE_BYTES_MAX)
        config_report_add(b->report, CONFIG_ERROR, file, "", "is larger than %d bytes",
                          CONFIG_FILE_BYTES_MAX);
    else if (text)
        config_yaml_read(b, text, n);
    free(owned);
}

struct config *config_load(const struct config_source *source, struct config_report *report)
{
    struct config_build b;
    config_build_init(&b, source, report);
    char *cwd = getcwd(NULL, 0);
    b.work_dir = config_arena_str(b.conf->arena, cwd ? cwd : "/");
    free(cwd);
    if (source->file)
        file_load(&b);
    config_env_read(&b);
    for (size_t i = 0; i < source->pins_n; i++)
        config_build_set(&b, CONFIG_FROM_ENV, "kept", source->pins[i].path, source->pins[i].text);
    bool goes_on = source->files == CONFIG_ERRORS_IGNORED;
    /* Checks of values with each other would only repeat what is wrong with one of them. */
    if (report->errors == 0 || goes_on)
        config_resolve(&b);
    if (report->errors == 0)
        config_check(&b);
    if (report->errors == 0 || goes_on)
        return b.conf;
    config_free(b.conf);
    return NULL;
}

void config_free(struct config *conf)
{
    if (!conf)
        return;
    config_arena_free(conf->arena);
    free(conf->items);
    free(conf->listeners);
    free(conf);
}

const struct config_item *config_item_find(const struct config *conf, const char *path)
{
    for (size_t i = 0; i < conf->items_n; i++) {
        if (strcmp(conf->items[i].path, path) == 0)
            return &conf->items[i];
    }
    return NULL;
}

void config_diff(const struct config *before, const struct config *after,
                 void (*fn)(void *ctx, const struct config_item *before, const struct config_item *after),
                 void *ctx)
{
    for (size_t i = 0; i < before->items_n; i++) {
        const struct config_item *old = &before->items[i];
        const struct config_item *new = config_item_find(after, old->path);
        if (!new || strcmp(old->text, new->text) != 0)
            fn(ctx, old, new);
    }
    for (size_t i = 0; i < after->items_n; i++) {
        if (!config_item_find(before, after->items[i].path))
            fn(ctx, NULL, &after->items[i]);
    }
}
