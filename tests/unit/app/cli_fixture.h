/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_APP_CLI_FIXTURE_H
#define COVEY_TESTS_APP_CLI_FIXTURE_H

/* Runs the command line in a place of its own. A test program runs itself as covey: with AS_COVEY for its
 * first argument it is the command line, with the node of fake_node.h. */

#include "node/app/pidfile.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define AS_COVEY "--as-covey"

struct place {
    char dir[64];
    char env_dir[96];
    const char *node; /* COVEY_TEST_NODE=... or NULL */
    const char *more; /* one more variable, or NULL */
    const char *input;
};

struct run {
    int status;
    char out[8192];
    char err[8192];
};

static inline void file_slurp(const char *path, char *buf, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(buf, 1, size - 1, f) : 0;
    buf[n] = 0;
    if (f)
        fclose(f);
}

static inline void path_in(const struct place *p, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", p->dir, name);
}

static inline void file_write(const struct place *p, const char *name, const char *text)
{
    char path[128];
    path_in(p, name, path);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* args: the words behind covey, separated by blanks. Output goes through files, which a daemon that keeps
 * them open does not hold up. */
static inline pid_t spawn(const struct place *p, const char *args)
{
    char words[512], self[] = "/proc/self/exe", as[] = AS_COVEY, name[] = "covey";
    char *argv[32] = {self, as, name}, *save = NULL;
    char out[128], err[128], in[128];
    int argc = 3;
    const char *env[8] = {p->env_dir, "HOME=/nonexistent", "PATH=/bin:/usr/bin", NULL};
    int env_n = 3;
    posix_spawn_file_actions_t actions;
    pid_t pid;
    snprintf(words, sizeof words, "%s", args);
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    if (p->node)
        env[env_n++] = p->node;
    if (p->more)
        env[env_n++] = p->more;
    path_in(p, "out", out);
    path_in(p, "err", err);
    path_in(p, "in", in);
    file_write(p, "in", p->input ? p->input : "");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, in, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&pid, self, &actions, NULL, argv, (char *const *)(uintptr_t)env), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static inline struct run finish(const struct place *p, pid_t pid)
{
    struct run r = {0};
    char path[128];
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    path_in(p, "out", path);
    file_slurp(path, r.out, sizeof r.out);
    path_in(p, "err", path);
    file_slurp(path, r.err, sizeof r.err);
    return r;
}

static inline struct run covey(const struct place *p, const char *args)
{
    return finish(p, spawn(p, args));
}

static inline void covey_says(const struct place *p, const char *args, int status, const char *out,
                              const char *err)
{
    struct run r = covey(p, args);
    if (r.status != status || strcmp(r.out, out) != 0 || strcmp(r.err, err) != 0)
        fail_msg("covey %s: status %d\nout: %s\nerr: %s", args, r.status, r.out, r.err);
}

static inline int place_make(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/covey-cli-XXXXXX");
    if (!p || !mkdtemp(p->dir))
        return -1;
    snprintf(p->env_dir, sizeof p->env_dir, "COVEY_NODE__DATA_DIR=%s/a/data", p->dir);
    *state = p;
    return 0;
}

static inline int entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Also ends the node of a test that failed. */
static inline int place_remove(void **state)
{
    struct place *p = *state;
    char path[128];
    pid_t pid;
    path_in(p, "a/data/covey.pid", path);
    if (pidfile_holder(path, &pid) == OK && pid > 0)
        kill(pid, SIGKILL);
    nftw(p->dir, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

#endif
