/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include "proto/base/check.h"
#include "proto/base/clock.h"

#include <errno.h>

/* LMDB 0.9.24 takes a commit back cleanly when its pages or their fdatasync fail: the meta page still names
 * the old tree, and the pages are free. When the meta page itself cannot be written, it marks the environment
 * as broken for good, for readers too. Then nothing helps but a new environment on the file, after the meta
 * page that may or may not have got there is overwritten: without that a power cut could bring back a
 * transaction whose pages have been used again. */

void lmdb_down_check(struct lmdb_store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc == MDB_SUCCESS)
        mdb_txn_abort(txn);
    if (rc != MDB_PANIC)
        return;
    LOG(s->log, LOG_ERROR, "storage down reason=\"meta page not written\"");
    atomic_store(&s->is_down, true);
    s->recover_at_us = 0;
}

static bool has_busy_reader(struct lmdb_store *s)
{
    for (struct list *l = s->readers.next; l != &s->readers; l = l->next) {
        if (atomic_load(&container_of(l, struct lmdb_reader, in_store)->is_busy))
            return true;
    }
    return false;
}

/* Ends the environment when no reader has a snapshot open. */
static bool env_end(struct lmdb_store *s)
{
    pthread_mutex_lock(&s->readers_lock);
    bool is_idle = !has_busy_reader(s);
    for (struct list *l = s->readers.next; is_idle && l != &s->readers; l = l->next)
        lmdb_reader_drop(container_of(l, struct lmdb_reader, in_store));
    pthread_mutex_unlock(&s->readers_lock);
    if (is_idle)
        lmdb_env_down(s);
    return is_idle;
}

enum err lmdb_recover(struct lmdb_store *s)
{
    if (!atomic_load(&s->is_down))
        return OK;
    uint64_t now = clock_us(CLOCK_MONOTONIC);
    if (now < s->recover_at_us || (s->env && !env_end(s)))
        return ERR_IO;
    s->recover_at_us = now + s->recover_interval_us;
    size_t txnid = s->txnid;
    enum err e = lmdb_file_revert(s->path, s->page_bytes, txnid);
    if (e == OK)
        e = lmdb_env_up(s);
    if (e == OK && s->txnid != txnid) {
        lmdb_env_down(s);
        s->txnid = txnid;
        e = ERR_IO;
    }
    if (e != OK)
        return e;
    LOG(s->log, LOG_NOTICE, "storage up txn=%zu", txnid);
    atomic_store(&s->is_down, false);
    return OK;
}
