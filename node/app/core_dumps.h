/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CORE_DUMPS_H
#define COVEY_APP_CORE_DUMPS_H

#include <stdbool.h>

/* From now on the memory of this process is nobody's to read but root's: it leaves no core dump, neither as a
 * file nor to a program that takes them, and processes of the same user cannot look into it. False with
 * errno: the system does not allow it. */
bool core_dumps_off(void);

#endif
