/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/prompt.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

ssize_t prompt_line(FILE *f, char *buf, size_t cap)
{
    if (!fgets(buf, (int)cap, f))
        return -1;
    size_t n = strlen(buf);
    if (n && buf[n - 1] == '\n')
        buf[--n] = 0;
    else if (!feof(f))
        return -1;
    return (ssize_t)n;
}

static ssize_t ask(const char *prompt, char *buf, size_t cap)
{
    struct termios was, quiet;
    bool is_terminal = tcgetattr(STDIN_FILENO, &was) == 0;
    if (is_terminal) {
        quiet = was;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        fprintf(stderr, "%s: ", prompt);
    }
    ssize_t n = prompt_line(stdin, buf, cap);
    if (is_terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
        fprintf(stderr, "\n");
    }
    return n;
}

const char *prompt_password(char out[PROMPT_PASSWORD_MAX + 2], size_t *n)
{
    static char again[PROMPT_PASSWORD_MAX + 2];
    const char *fault = NULL;
    ssize_t got = ask("Password", out, PROMPT_PASSWORD_MAX + 2);
    if (got < 0)
        fault = "no password was given";
    else if (isatty(STDIN_FILENO) &&
             (ask("Once more", again, sizeof again) != got || strcmp(out, again) != 0))
        fault = "the two are not the same";
    sodium_memzero(again, sizeof again);
    *n = got < 0 ? 0 : (size_t)got;
    return fault;
}
