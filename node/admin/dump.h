/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_DUMP_H
#define COVEY_ADMIN_DUMP_H

/* The file that `covey ctl export` writes and `import` reads: what a node keeps, to be taken to another one.
 *
 *     "COVEYDMP" | be32 version | entries | entry of type DUMP_END | BLAKE2b-256 of all before it
 *     entry: u8 type | be32 n | n bytes
 *
 *     RETAINED  a message record (proto/mqtt/msg.h)
 *     DELAYED   its key in STORE_DELAYED | a message record
 *     BANS      a BANS message (proto/rpc/messages.h)
 *     USER, KEY name | 0 | JSON (node/admin/api/accounts.h)
 *     END       be64 number of entries before it
 *
 * A reader refuses another version, a type that it does not know, and what does not end as it should. */

#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <sodium.h>
#include <stdio.h>

enum dump_type { DUMP_END, DUMP_RETAINED, DUMP_DELAYED, DUMP_BANS, DUMP_USER, DUMP_KEY, DUMP_TYPES };
enum { DUMP_VERSION = 1 };

struct dump_writer {
    FILE *file;
    crypto_generichash_state hash;
    uint64_t entries;
    enum err failed; /* the first one */
};

/* Makes the file, 0600. ERR_EXISTS: there is one; ERR_IO, with errno. */
MUST_USE enum err dump_create(struct dump_writer *w, const char *path);
/* An entry of two pieces, one behind the other. What fails is told by dump_finish(). */
void dump_put(struct dump_writer *w, enum dump_type type, struct bytes a, struct bytes b);
/* Ends the file and returns when it is on the disk. ERR_IO, with errno: the file is not to be used. */
MUST_USE enum err dump_finish(struct dump_writer *w);
/* Closes what was not finished. */
void dump_abandon(struct dump_writer *w);

struct dump_reader {
    FILE *file;
    crypto_generichash_state hash;
    uint64_t entries;
    uint64_t left; /* bytes of the file */
    uint8_t *entry;
    size_t entry_size;
};

/* Takes a file of so many bytes, which the reader closes. ERR_INVALID: not such a file; ERR_VERSION: of
 * another version; ERR_IO. After an error too, end with dump_close(). */
MUST_USE enum err dump_open(struct dump_reader *r, FILE *file, uint64_t bytes);
/* The next entry, a view until the next call. ERR_NOTFOUND: that was all, and it is whole. ERR_CORRUPT:
 * damaged; ERR_NOMEM. */
MUST_USE enum err dump_next(struct dump_reader *r, enum dump_type *type, struct bytes *out);
void dump_close(struct dump_reader *r);

#endif
