/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_command.h"

#include "proto/base/check.h"

#include <string.h>

static const char *const check_aliases[] = {"check_config", "check_conf", NULL};

const struct cli_command cli_commands[] = {
    {"start", NULL, "", "start the node in the background",
     "Waits until clients can connect. The log goes to log.file, which is <data_dir>/log/covey.log unless it "
     "is "
     "set.\n\nExamples:\n"
     "  covey start\n"
     "  covey --config ./covey.yaml start --wait 60\n"
     "  COVEY_LISTENERS__TCP__DEFAULT__BIND=:1883 covey start",
     0, CLI_WAIT, cli_start},
    {"stop", NULL, "", "stop the node",
     "Prints \"ok\" when its process has ended. Clients are told, what is on its way is "
     "stored.\n\nExamples:\n"
     "  covey stop\n"
     "  covey --config ./covey.yaml stop",
     0, 0, cli_stop},
    {"restart", NULL, "", "stop the node and start it again",
     "A configuration with errors leaves the running node alone.\n\nExamples:\n"
     "  covey restart",
     0, CLI_WAIT, cli_restart},
    {"foreground", NULL, "", "run the node in this process, log to stderr",
     "What systemd and containers run. Ends with SIGTERM or Ctrl-C.\n\nExamples:\n"
     "  covey foreground\n"
     "  COVEY_NODE__DATA_DIR=/tmp/covey COVEY_LOG__LEVEL=debug covey foreground",
     0, 0, cli_foreground},
    {"console", NULL, "", "the same with a prompt for \"ctl\" commands",
     "The end of the input stops the node.\n\nExamples:\n"
     "  covey console\n"
     "  covey> clients list",
     0, 0, cli_console},
    {"ping", NULL, "", "exit with 0 silently if the node is running",
     "Asks the node itself: 0 means that clients can connect.\n\nExamples:\n"
     "  until covey ping 2>/dev/null; do sleep 1; done",
     0, 0, cli_ping},
    {"pid", NULL, "", "print the process id of the running node",
     "Examples:\n"
     "  covey pid\n"
     "  kill -HUP $(covey pid)    # after the log file was renamed: opens a new one",
     0, 0, cli_pid},
    {"check-config", check_aliases, "[FILE]", "check the configuration, change nothing",
     "Prints every error with its line. The environment counts too. The exit status is 0 when a node would "
     "start.\n\nExamples:\n"
     "  covey check-config\n"
     "  covey check-config ./covey.yaml",
     1, 0, cli_check_config},
    {"config", NULL, "show | explain [KEY] | keys | default", "show and explain the configuration",
     "show     every value in force and where it came from\n"
     "explain  all about one key, or the keys of a section\n"
     "keys     every key there is, with its default\n"
     "default  a configuration file with everything in it, commented out\n\nExamples:\n"
     "  covey config show\n"
     "  covey config explain mqtt.max_inflight\n"
     "  covey config explain listeners.tcp.default\n"
     "  covey config default > covey.yaml",
     2, 0, cli_config},
    {"passwd", NULL, "create | add | delete [--file FILE] [--scram [--iterations N]] [USER | --batch]",
     "add, change or delete users of the password file",
     "Asks for the password, or reads it from standard input when that is no terminal. FILE is "
     "authentication.password_file unless it is given; it is replaced as a whole, with mode 0600. The node "
     "takes it up with \"covey ctl auth reload\".\n\n"
     "create     begin a new file, empty or with this user\n"
     "add        add the user, or change the password\n"
     "delete     take the user out\n"
     "--batch    read lines USER:PASSWORD from standard input\n"
     "--scram    store what SCRAM-SHA-256 needs, instead of an Argon2id hash; the plain password still "
     "works\n"
     "--iterations N\n"
     "           of SCRAM-SHA-256, 4096 to 1000000; the client has to do them (100000 unless given)\n"
     "\nExamples:\n"
     "  covey passwd create --file /etc/covey/users alice\n"
     "  covey passwd delete bob\n"
     "  covey passwd add --scram --iterations 20000 sensor\n"
     "  covey passwd add --batch < list",
     0, CLI_WORDS, cli_passwd},
    {"ctl", NULL, "COMMAND [ARGUMENT...]", "ask or tell the running node something",
     "Talks to the node over node.ctl_socket. The node knows the commands: \"covey ctl help\".\n\nExamples:\n"
     "  covey ctl help\n"
     "  covey ctl status\n"
     "  covey ctl clients list\n"
     "  covey ctl clients kick sensor-17",
     0, CLI_WORDS, cli_ctl},
    {"completion", NULL, "bash | zsh | fish", "print what a shell needs to complete words",
     "The script knows all commands, those of \"ctl\" too. Packages install it.\n\nExamples:\n"
     "  source <(covey completion bash)\n"
     "  covey completion zsh > \"${fpath[1]}/_covey\"\n"
     "  covey completion fish > ~/.config/fish/completions/covey.fish",
     1, 0, cli_completion},
    {"man", NULL, "covey | covey-ctl | covey.yaml", "print a page of the manual",
     "In the format of man(1); packages install the pages.\n\nExamples:\n"
     "  covey man covey.yaml | man -l -",
     1, 0, cli_man},
    {"version", NULL, "", "print the version",
     "Examples:\n"
     "  covey version",
     0, 0, cli_version},
    {"help", NULL, "[COMMAND]", "say more about a command",
     "Examples:\n"
     "  covey help start",
     1, 0, cli_help},
};
const size_t cli_commands_n = array_len(cli_commands);

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *c = &cli_commands[i];
        if (strcmp(c->name, name) == 0)
            return c;
        for (const char *const *alias = c->aliases; alias && *alias; alias++) {
            if (strcmp(*alias, name) == 0)
                return c;
        }
    }
    return NULL;
}
