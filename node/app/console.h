/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONSOLE_H
#define COVEY_APP_CONSOLE_H

/* The prompt of `covey console`: lines typed there are sent to the node as `covey ctl` would send them. */

#include "node/app/config.h"

#include <stdio.h>

/* Forks a process that runs the prompt on stdin and stdout while this one goes on to be the node. The end of
 * the input, "exit" and "quit" stop the node with SIGTERM; the end of the node stops the prompt. False, with
 * a message, when no process can be made. */
bool console_start(const struct config *conf);

enum { CONSOLE_WORDS_MAX = 64 };
/* Splits a line at blanks, in place; "..." keeps blanks in a word. Returns the number of words, or 0 when
 * there are too many or a quote is not closed. words point into line. */
size_t console_split(char *line, const char *words[CONSOLE_WORDS_MAX]);

#endif
