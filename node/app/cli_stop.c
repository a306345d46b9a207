/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_command.h"

#include "node/app/ctl.h"
#include "node/app/pidfile.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

enum { LOOK_EVERY_MS = 50, PING_TIMEOUT_MS = 5000, STOP_GRACE_MS = 15000 };

bool cli_node_find(const struct config *conf, pid_t *pid)
{
    if (pidfile_holder(conf->node.pid_file, pid) == OK)
        return true;
    fprintf(stderr, "%s: cannot tell whether the node runs: %s\n", conf->node.pid_file, strerror(errno));
    return false;
}

void cli_say_not_responding(const struct config *conf)
{
    fprintf(stderr, "Node '%s' not responding.\n", conf->node.name);
}

/* Ends the process that holds the pid file, and waits for it. */
static int node_stop(const struct config *conf, pid_t pid)
{
    uint64_t left_ms = conf->node.shutdown_timeout_ms + STOP_GRACE_MS;
    if (kill(pid, SIGTERM) != 0 && errno != ESRCH) {
        fprintf(stderr, "cannot stop process %ld: %s\n", (long)pid, strerror(errno));
        return 1;
    }
    for (;;) {
        pid_t now;
        if (!cli_node_find(conf, &now))
            return 1;
        if (now != pid) {
            printf("ok\n");
            return 0;
        }
        if (left_ms < LOOK_EVERY_MS)
            break;
        poll(NULL, 0, LOOK_EVERY_MS);
        left_ms -= LOOK_EVERY_MS;
    }
    fprintf(stderr, "process %ld was told to stop and still runs; see %s\n", (long)pid, conf->log.file);
    return 1;
}

int cli_stop(const struct cli *cli)
{
    struct config *conf = cli_config_load(cli, CONFIG_ERRORS_IGNORED);
    pid_t pid = 0;
    int status = 1;
    if (!conf)
        return 1;
    if (cli_node_find(conf, &pid)) {
        if (pid)
            status = node_stop(conf, pid);
        else
            cli_say_not_responding(conf);
    }
    config_free(conf);
    return status;
}

/* A node that does not run is simply started; a configuration that would not start stops nothing. */
int cli_restart(const struct cli *cli)
{
    struct config *conf = cli_config_load(cli, CONFIG_FILES_CHECKED);
    pid_t pid = 0;
    if (!conf)
        return 1;
    bool is_free = cli_node_find(conf, &pid) && (pid == 0 || node_stop(conf, pid) == 0);
    config_free(conf);
    return is_free ? cli_start(cli) : 1;
}

int cli_ping(const struct cli *cli)
{
    struct config *conf = cli_config_load(cli, CONFIG_ERRORS_IGNORED);
    if (!conf)
        return 1;
    enum err e = ctl_ping(conf->node.ctl_socket, PING_TIMEOUT_MS, NULL);
    if (e == ERR_DENIED)
        fprintf(stderr, "%s: no right to talk to the node\n", conf->node.ctl_socket);
    else if (e)
        cli_say_not_responding(conf);
    config_free(conf);
    return e ? 1 : 0;
}

int cli_pid(const struct cli *cli)
{
    struct config *conf = cli_config_load(cli, CONFIG_ERRORS_IGNORED);
    pid_t pid = 0;
    if (!conf)
        return 1;
    if (cli_node_find(conf, &pid)) {
        if (pid)
            printf("%ld\n", (long)pid);
        else
            cli_say_not_responding(conf);
    }
    config_free(conf);
    return pid ? 0 : 1;
}
