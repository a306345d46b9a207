/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_PWTEXT_H
#define COVEY_AUTH_PWTEXT_H

/* The parts of which hashes in the password file are made, between dollar signs. Each answers the place
 * behind the part, or NULL: it is not one. */

#include "proto/base/bytes.h"

/* Base64 with + and /, with or without padding, up to the next $ or the end. out has room for cap bytes. */
const char *pwtext_base64_take(const char *at, uint8_t *out, size_t cap, size_t *n);
/* A decimal number from 1 to max. */
const char *pwtext_number_take(const char *at, unsigned long max, unsigned long *out);

#endif
