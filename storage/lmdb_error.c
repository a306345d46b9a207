/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include <errno.h>
#include <setjmp.h>

enum err lmdb_err(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return OK;
    case MDB_NOTFOUND:
        return ERR_NOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_NOSPC;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INCOMPATIBLE:
    case LMDB_TRAPPED:
        return ERR_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return ERR_VERSION;
    case MDB_READERS_FULL:
        return ERR_LIMIT;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}

/* LMDB checks its pages with assertions and ends the process when one does not hold. Damage on a disk is no
 * reason for that: the guarded calls below are left from the assertion with longjmp. LMDB holds no lock and
 * no memory during a read, so that is safe there. The innermost guarded call of this thread; NULL outside. */
static _Thread_local jmp_buf *trap;

void lmdb_on_assert(MDB_env *env, const char *what)
{
    struct lmdb_store *s = mdb_env_get_userctx(env);
    if (s)
        LOG(s->log, LOG_ERROR, "storage damaged path=\"%s\" lmdb=\"%s\"", s->path, what);
    if (trap)
        longjmp(*trap, 1);
}

int lmdb_try_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
    jmp_buf here;
    if (setjmp(here)) {
        trap = NULL;
        return LMDB_TRAPPED;
    }
    trap = &here;
    int rc = mdb_get(txn, dbi, key, value);
    trap = NULL;
    return rc;
}

int lmdb_try_cursor_get(MDB_cursor *c, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
    jmp_buf here;
    if (setjmp(here)) {
        trap = NULL;
        return LMDB_TRAPPED;
    }
    trap = &here;
    int rc = mdb_cursor_get(c, key, value, op);
    trap = NULL;
    return rc;
}

int lmdb_try(int (*fn)(void *ctx), void *ctx)
{
    jmp_buf here;
    if (setjmp(here)) {
        trap = NULL;
        return LMDB_TRAPPED;
    }
    trap = &here;
    int rc = fn(ctx);
    trap = NULL;
    return rc;
}
