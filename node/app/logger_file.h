/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_LOGGER_FILE_H
#define COVEY_APP_LOGGER_FILE_H

/* The file of a logger and the thread that rotates it; for logger.c. */

#include "node/app/logger.h"

/* A descriptor to append to; -1, with errno: cannot be opened. */
int logger_file_open(const char *file);
/* Takes the file that has the name now in place of the one in use, under the eyes of other threads that
 * write. A file that cannot be opened leaves the old one in use. */
void logger_file_reopen(struct logger *l);
/* Does nothing when there is no thread. */
void logger_thread_end(struct logger *l);

#endif
