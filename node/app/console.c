/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/console.h"

#include "node/app/ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PING_EVERY_MS = 50, PING_TIMEOUT_MS = 1000, CALL_TIMEOUT_MS = 60000 };

size_t console_split(char *line, const char *words[CONSOLE_WORDS_MAX])
{
    size_t n = 0;
    char *to = line;
    for (;;) {
        while (*line == ' ' || *line == '\t' || *line == '\n')
            line++;
        if (*line == 0)
            return n;
        if (n == CONSOLE_WORDS_MAX)
            return 0;
        words[n++] = to;
        bool is_quoted = false;
        for (; *line && (is_quoted || !strchr(" \t\n", *line)); line++) {
            if (*line == '"')
                is_quoted = !is_quoted;
            else
                *to++ = *line;
        }
        if (is_quoted)
            return 0;
        /* The word has left its quotes or is followed by a blank or the end: there is room for its NUL. */
        if (*line)
            line++;
        *to++ = 0;
    }
}

static void line_run(const struct config *conf, char *line)
{
    const char *words[CONSOLE_WORDS_MAX];
    int status;
    size_t n = console_split(line, words);
    if (n == 0)
        return;
    enum err e = ctl_call(conf->node.ctl_socket, words, n, CALL_TIMEOUT_MS, stdout, &status);
    if (e)
        printf("no answer: %s\n", err_name(e));
}

static bool is_exit(const char *line)
{
    return strcmp(line, "exit\n") == 0 || strcmp(line, "quit\n") == 0 || strcmp(line, "q().\n") == 0;
}

static void prompt_run(const struct config *conf, pid_t node)
{
    char *line = NULL;
    size_t size = 0;
    while (getppid() == node && ctl_ping(conf->node.ctl_socket, PING_TIMEOUT_MS, NULL))
        poll(NULL, 0, PING_EVERY_MS);
    printf("\"help\" lists the commands, \"exit\" stops the node.\n");
    for (;;) {
        printf("covey> ");
        fflush(stdout);
        if (getline(&line, &size, stdin) < 0 || is_exit(line))
            break;
        line_run(conf, line);
    }
    free(line);
    if (getppid() == node)
        kill(node, SIGTERM);
}

bool console_start(const struct config *conf)
{
    pid_t node = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        fprintf(stderr, "cannot start a process: %s\n", strerror(errno));
    if (pid != 0)
        return pid > 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prompt_run(conf, node);
    _exit(0);
}
