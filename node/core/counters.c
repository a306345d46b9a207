/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/counters.h"

const char *counter_name(enum counter c)
{
    static const char *const names[COUNTERS] = {
#define X(id, name) name,
        COVEY_COUNTERS(X)
#undef X
    };
    return names[c];
}
