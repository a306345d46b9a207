/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_command.h"

#include "node/app/console.h"
#include "node/app/ctl.h"
#include "node/app/daemon.h"
#include "node/app/folder.h"
#include "node/app/logger.h"
#include "node/app/pidfile.h"
#include "proto/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { PING_EVERY_MS = 50, PING_TIMEOUT_MS = 1000, TAIL_LINES = 15 };

/* What is the same however the node is run. */
struct launch {
    const struct config *conf;
    const char *const *env;
    cli_node_fn *node_run;
    const char *log_file; /* NULL: stderr */
    enum logger_stdio stdio;
};

static bool folder_need(enum err e, const char *what, const char *path)
{
    if (e)
        fprintf(stderr, "%s: cannot make the folder of %s: %s\n", path, what, strerror(errno));
    return e == OK;
}

/* Makes the folders; false, with a message, when that fails or a node runs already. */
static bool launch_prepare(const struct launch *l)
{
    const struct config *conf = l->conf;
    pid_t pid;
    if (!folder_need(folder_make(conf->node.data_dir), "node.data_dir", conf->node.data_dir) ||
        !folder_need(folder_make_for(conf->node.ctl_socket), "node.ctl_socket", conf->node.ctl_socket) ||
        !folder_need(folder_make_for(conf->node.pid_file), "node.pid_file", conf->node.pid_file) ||
        (l->log_file && !folder_need(folder_make_for(l->log_file), "log.file", l->log_file)))
        return false;
    if (!cli_node_find(conf, &pid))
        return false;
    if (pid)
        fprintf(stderr, "Node is already running!\n");
    return pid == 0;
}

/* Whoever knows the process id, by its file, may send SIGHUP: it waits until the node takes it. */
static void hangup_put_off(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    logger_catch_hangup();
}

/* Runs the node in this process; returns its exit status. */
static int launch_run(const struct launch *l)
{
    const struct config *conf = l->conf;
    struct logger logger;
    int pid_fd;
    hangup_put_off();
    if (logger_init(&logger, l->log_file, l->stdio, conf->log.level, conf->log.format)) {
        fprintf(stderr, "%s: cannot open the log file: %s\n", l->log_file, strerror(errno));
        return 1;
    }
    if (logger_start(&logger, conf->log.rotation_size, (uint32_t)conf->log.rotation_count)) {
        fprintf(stderr, "cannot start a thread for the log\n");
        logger_fini(&logger);
        return 1;
    }
    enum err e = pidfile_take(conf->node.pid_file, &pid_fd);
    if (e == ERR_LOCKED)
        fprintf(stderr, "Node is already running!\n");
    else if (e)
        fprintf(stderr, "%s: cannot write the pid file: %s\n", conf->node.pid_file, strerror(errno));
    int status = 1;
    if (!e) {
        status = l->node_run(conf, l->env, &logger.sink);
        pidfile_release(conf->node.pid_file, pid_fd);
    }
    logger_fini(&logger);
    return status;
}

enum start_result { START_OK, START_ENDED, START_LATE };

/* Waits until the daemon answers, ends, or time is up. */
static enum start_result daemon_await(const struct config *conf, const struct daemon_watch *watch,
                                      uint64_t wait_ms)
{
    uint64_t end = mono_ms() + wait_ms;
    do {
        pid_t pid;
        /* Only the daemon's own answer counts, not that of some other node on the same socket. In another
         * pid namespace the kernel says 0. */
        if (ctl_ping(conf->node.ctl_socket, PING_TIMEOUT_MS, &pid) == OK && (pid == watch->pid || pid == 0))
            return START_OK;
        if (daemon_has_ended(watch, PING_EVERY_MS))
            return START_ENDED;
    } while (mono_ms() < end);
    return START_LATE;
}

static long file_size(const char *file)
{
    struct stat st;
    return stat(file, &st) == 0 ? (long)st.st_size : 0;
}

static int daemon_report(const struct launch *l, const struct cli *cli, const struct daemon_watch *watch,
                         long log_from)
{
    switch (daemon_await(l->conf, watch, cli->wait_s * 1000)) {
    case START_OK:
        printf(CLI_TITLE " is started successfully!\n");
        return 0;
    case START_ENDED:
        fprintf(stderr, CLI_TITLE " failed to start. The end of %s:\n", l->log_file);
        logger_tail(l->log_file, log_from, TAIL_LINES, stderr);
        return 1;
    case START_LATE:
        fprintf(stderr, CLI_TITLE " failed to start within %lu seconds\n", cli->wait_s);
        fprintf(stderr, "It is still trying as process %ld; see %s\n", (long)watch->pid, l->log_file);
        return 1;
    }
    return 1;
}

static int daemon_launch(const struct launch *l, const struct cli *cli)
{
    struct daemon_watch watch;
    enum daemon_role role;
    struct logger probe;
    if (!launch_prepare(l))
        return 1;
    /* While there is still somebody to tell. */
    if (logger_init(&probe, l->log_file, LOGGER_STDIO_KEPT, l->conf->log.level, l->conf->log.format)) {
        fprintf(stderr, "%s: cannot open the log file: %s\n", l->log_file, strerror(errno));
        return 1;
    }
    logger_fini(&probe);
    long log_from = file_size(l->log_file);
    fflush(NULL);
    if (daemon_start(&role, &watch)) {
        fprintf(stderr, "cannot start a process: %s\n", strerror(errno));
        return 1;
    }
    if (role == DAEMON_CHILD)
        return launch_run(l);
    int status = daemon_report(l, cli, &watch, log_from);
    daemon_watch_fini(&watch);
    return status;
}

int cli_start(const struct cli *cli)
{
    struct config *conf = cli_config_load(cli, CONFIG_FILES_CHECKED);
    if (!conf)
        return 1;
    struct launch l = {conf, cli->env, cli->node_run, conf->log.file, LOGGER_STDIO_MOVED};
    int status = daemon_launch(&l, cli);
    config_free(conf);
    return status;
}

/* attend runs beside the node, if given, and is told the configuration. */
static int run_here(const struct cli *cli, bool (*attend)(const struct config *conf))
{
    struct config *conf = cli_config_load(cli, CONFIG_FILES_CHECKED);
    if (!conf)
        return EX_CONFIG; /* trying again would not help */
    struct launch l = {conf, cli->env, cli->node_run, conf->log.to == LOG_TO_FILE ? conf->log.file : NULL,
                       LOGGER_STDIO_KEPT};
    int status = 1;
    if (launch_prepare(&l) && (!attend || attend(conf)))
        status = launch_run(&l);
    config_free(conf);
    return status;
}

int cli_foreground(const struct cli *cli)
{
    return run_here(cli, NULL);
}

int cli_console(const struct cli *cli)
{
    return run_here(cli, console_start);
}
