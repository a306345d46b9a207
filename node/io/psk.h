/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_PSK_H
#define COVEY_IO_PSK_H

/* Keys that clients and the node both know (RFC 4279; TLS 1.3: RFC 8446 4.2.11), from a file with one
 * IDENTITY:KEY a line, the key in hexadecimal digits. Empty lines, and lines that begin with #, are passed
 * over. */

#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { PSK_KEY_MIN = 8, PSK_KEY_MAX = 64, PSK_IDENTITY_MAX = 128 }; /* bytes */

struct psks;

/* ERR_INVALID: it cannot be read, or a line is wrong; fault (of n bytes) says which and why. */
MUST_USE enum err psks_read(struct psks **out, const char *path, char *fault, size_t n);
void psks_free(struct psks *p); /* NULL is fine; keys are wiped */

/* The key of an identity, into key; how many bytes. One that is not in the file gets a key that nobody knows,
 * so that it looks like a wrong key. 0: no key fits, or the identity is none (such as a session ticket). */
unsigned psk_find(const struct psks *p, struct bytes identity, unsigned char *key, unsigned cap,
                  bool *is_known);

#endif
