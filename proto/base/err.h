/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_ERR_H
#define COVEY_BASE_ERR_H

/* The one error enum. OK is 0; what returns it must be looked at. It tells what went wrong in the world
 * (disk, memory, network) or in a value given; a peer's protocol fault is a reason code instead
 * (proto/mqtt/reason.h), and a bug is a CHECK. */
enum err {
    OK = 0,
    ERR_NOMEM,    /* memory could not be had */
    ERR_NOSPC,    /* disk full, or the store's map may not grow */
    ERR_IO,       /* read, write or fdatasync failed */
    ERR_LOCKED,   /* another process uses the data directory */
    ERR_CORRUPT,  /* stored bytes do not make sense */
    ERR_VERSION,  /* written by a version that this one does not read */
    ERR_NOTFOUND, /* no such thing */
    ERR_EXISTS,   /* it is there already */
    ERR_INVALID,  /* a value out of its bounds or malformed */
    ERR_LIMIT,    /* a configured limit is reached */
    ERR_AGAIN,    /* not now; an event will tell when */
    ERR_CLOSED,   /* the other side is gone */
    ERR_DENIED,   /* not permitted */
};

#define MUST_USE __attribute__((warn_unused_result))

/* A short lower-case word for logs: "ok", "no space". Never NULL. */
const char *err_name(enum err e);

/* Of the errno that socket(), bind() or listen() left: ERR_EXISTS for an address in use, ERR_DENIED,
 * ERR_LIMIT without descriptors or memory, else ERR_INVALID. */
enum err err_of_bind(int error);

#endif
