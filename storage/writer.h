/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_WRITER_H
#define COVEY_STORAGE_WRITER_H

/* The storage thread: takes batches from any number of threads, commits all that have gathered in one
 * transaction (group commit) and reports each. When a joint commit fails, batches are tried one by one, so
 * that one that cannot be stored does not fail the others. Batches of one submitter commit in the order in
 * which they came. */

#include "proto/base/hist.h"
#include "storage/store.h"

struct writer;

/* Called on the storage thread when the batch is durable (OK) or is not in the store (error). */
typedef void writer_done_fn(void *ctx, struct store_batch *batch, enum err result);

/* Starts the thread. The store stays the caller's and outlives the writer. */
MUST_USE enum err writer_new(struct writer **out, struct store *s, const struct store_conf *conf);
/* Commits what was submitted, reports it, ends the thread. NULL is fine. */
void writer_free(struct writer *w);
/* The batch is lent until done is called. Never blocks on the disk. Any thread. */
void writer_submit(struct writer *w, struct store_batch *batch, writer_done_fn *done, void *ctx);

struct writer_stats {
    uint64_t commits;
    uint64_t commits_failed;
    uint64_t failed_in_row; /* since one succeeded */
    uint64_t ops;
    uint64_t commit_us_last;
    uint64_t commit_us_max; /* since the last call */
    struct hist_sum commits_took;
};
void writer_stats(struct writer *w, struct writer_stats *out); /* any thread */

#endif
