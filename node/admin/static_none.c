/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/static_file.h"

const struct static_file static_files[] = {{0}};
