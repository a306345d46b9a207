/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_HISTOGRAMS_H
#define COVEY_ADMIN_HISTOGRAMS_H

/* How long things take, as histograms in the text format of Prometheus; seconds. */

#include "node/admin/command.h"

void histograms_put(struct text *out, struct admin_env *env);

#endif
