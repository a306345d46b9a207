/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/core_dumps.h"

#include <sys/prctl.h>
#include <sys/resource.h>

bool core_dumps_off(void)
{
    const struct rlimit none = {0, 0};
    /* The limit is about files only: a program that takes dumps gets them whatever it says. */
    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0;
}
