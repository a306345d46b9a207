/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_WALK_H
#define COVEY_ADMIN_API_WALK_H

/* A page of a long listing: walks over what shards hold, a bounded piece at a time (inspect.h), until the
 * rows of the call's window are there. The loop goes round between the pieces. The answer is
 * {"rows": [...], "skipped": n, "count": n or null} for fan.c. */

#include "node/admin/api/call.h"
#include "node/core/inspect.h"

struct walk;

struct walk_kind {
    /* On the shard: appends a piece to w's buffer. arg is the struct walk. */
    void (*piece)(struct shard *sh, void *arg);
    bool is_of_node; /* the listing is the node's: one worker has all of it */
    /* Is the record wanted? */
    bool (*matches)(const struct api_call *c, const void *record);
    json_t *(*row)(const struct api_call *c, const void *record);
    /* How many there are when every record is wanted. */
    uint64_t (*count)(struct api_call *c);
};

/* Where a piece begins, and what it is to fill. */
struct walk {
    const struct walk_kind *kind;
    struct inspect_buf buf;
    enum inspect result;
    uint32_t shard;
    uint32_t place;
    struct inspect_place sub_place;
    struct inspect_want want; /* of sessions: what the shard itself can tell */
    bool is_counted;          /* by kind->count() */
    uint64_t count;
    uint64_t matched; /* rows and those that were skipped */
    uint64_t skipped;
    json_t *rows;
};

/* Lets the call walk; is_all: nothing is filtered out. */
enum walk_filter { WALK_ALL, WALK_SOME };
void walk_begin(struct api_call *c, const struct walk_kind *kind, enum walk_filter filter);

/* Rows of the call's window, behind those that were skipped; count NULL in JSON: not known. Takes rows and
 * count. */
void walk_page(struct api_call *c, json_t *rows, uint64_t skipped, json_t *count);
/* A listing of rows that are already there; takes rows. */
void walk_answer(struct api_call *c, json_t *rows);

/* Does text match a filter of the query? NULL: no such filter is given. */
bool walk_is(const char *wanted, struct bytes text);
bool walk_contains(const char *wanted, struct bytes text);

/* Every paging call has them. */
#define WALK_PAGE_FIELDS                                                              \
    {"page", API_INT, 0, 1, 1000000000, NULL, NULL, "Number of the page, from 1 on"}, \
    {                                                                                 \
        "limit", API_INT, 0, 1, 10000, NULL, NULL, "Rows of a page; 100 by default"   \
    }

#endif
