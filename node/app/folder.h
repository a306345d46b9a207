/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_FOLDER_H
#define COVEY_APP_FOLDER_H

/* Folders that a node needs before it can start. */

#include "proto/base/err.h"

/* Makes a folder, mode 0750, and those it is in. ERR_IO, with errno: it cannot be made or is no folder. */
MUST_USE enum err folder_make(const char *path);
/* The same for the folder that a file is to be in. */
MUST_USE enum err folder_make_for(const char *file);

#endif
