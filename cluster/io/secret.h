/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_SECRET_H
#define COVEY_CLUSTER_IO_SECRET_H

/* The secret that the nodes of a cluster share. A file of one to three lines, each a key of 16 characters or
 * more, which nobody but the owner may read. The first one seals; all of them open. So a key is changed
 * without stopping: add the new one as the last line on every node, then move it to the first, then take the
 * old one out. */

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/base/log.h"

#include <time.h>
#include <sys/types.h>

enum { SECRET_KEYS_MAX = 3, SECRET_KEY_N = 32, SECRET_ID_N = 8, SECRET_CHARS_MIN = 16 };

struct secret_key {
    uint8_t id[SECRET_ID_N];        /* tells the keys apart, on the wire in clear */
    uint8_t link[SECRET_KEY_N];     /* for handshakes */
    uint8_t datagram[SECRET_KEY_N]; /* for datagrams */
    uint8_t first[SECRET_KEY_N];    /* for the password of the first user, node/admin/api/first_user.h */
};
struct secret {
    uint32_t n; /* 1.. */
    struct secret_key keys[SECRET_KEYS_MAX];
};

/* From the text of a file. ERR_INVALID: no key, too many, or one too short; *line (1..) tells where. */
MUST_USE enum err secret_parse(struct secret *out, struct bytes text, unsigned *line);
/* What everybody who knows the name of the cluster can make: for nodes that only loopback reaches. */
void secret_from_name(struct secret *out, const char *cluster);
void secret_fini(struct secret *s); /* forgets the keys */
/* NULL: no key has this id. */
const struct secret_key *secret_find(const struct secret *s, const uint8_t id[SECRET_ID_N]);

/* What tells that a file is another one than before. */
struct secret_mark {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};
/* ERR_NOTFOUND: no such file; ERR_DENIED: it cannot be read, or others can read it; ERR_INVALID: as
 * secret_parse(). Logged; *out is changed on OK only, *mark (may be NULL) always. */
MUST_USE enum err secret_load(struct secret *out, const char *path, struct secret_mark *mark,
                              struct log_sink *log);
/* Has the file changed since mark was taken? */
bool secret_has_changed(const char *path, const struct secret_mark *mark);

#endif
