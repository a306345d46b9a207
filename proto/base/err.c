/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/err.h"

#include <errno.h>

const char *err_name(enum err e)
{
    switch (e) {
    case OK:
        return "ok";
    case ERR_NOMEM:
        return "out of memory";
    case ERR_NOSPC:
        return "no space";
    case ERR_IO:
        return "i/o error";
    case ERR_LOCKED:
        return "locked";
    case ERR_CORRUPT:
        return "corrupt";
    case ERR_VERSION:
        return "unknown version";
    case ERR_NOTFOUND:
        return "not found";
    case ERR_EXISTS:
        return "exists";
    case ERR_INVALID:
        return "invalid";
    case ERR_LIMIT:
        return "limit reached";
    case ERR_AGAIN:
        return "again";
    case ERR_CLOSED:
        return "closed";
    case ERR_DENIED:
        return "denied";
    }
    return "unknown";
}

enum err err_of_bind(int error)
{
    switch (error) {
    case EADDRINUSE:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return ERR_LIMIT;
    default:
        return ERR_INVALID;
    }
}
