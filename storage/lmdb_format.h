/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_LMDB_FORMAT_H
#define COVEY_STORAGE_LMDB_FORMAT_H

/* LMDB's own file layout, data version 1 (all of 0.9), as far as it is needed beside LMDB: to tell a whole
 * file from a cut or foreign one before it is mapped, to hold a record against its page, to go back to an
 * earlier transaction. Private to storage/lmdb_*.c. */

#include <stddef.h>
#include <stdint.h>

enum {
    LMDB_META_MAGIC = (int)0xBEEFC0DE,
    LMDB_META_VERSION = 1,
    LMDB_METAS = 2,      /* pages 0 and 1; transaction n writes page n % 2 */
    LMDB_DEPTH_MAX = 32, /* LMDB's cursors go no deeper */
    LMDB_PAGE_BYTES_MIN = 512,
    LMDB_PAGE_BYTES_MAX = 65536,
};

enum lmdb_page_flag { LMDB_PAGE_LEAF = 0x02, LMDB_PAGE_OVERFLOW = 0x04, LMDB_PAGE_META = 0x08 };

struct lmdb_page_head {
    size_t pgno;
    uint16_t pad;
    uint16_t flags;
    uint32_t pages; /* of an overflow page: how many belong together */
};

struct lmdb_db_head {
    uint32_t pad; /* the page size, in the first of a meta page */
    uint16_t flags;
    uint16_t depth;
    size_t branch_pages;
    size_t leaf_pages;
    size_t overflow_pages;
    size_t entries;
    size_t root; /* SIZE_MAX: empty */
};

struct lmdb_meta {
    uint32_t magic;
    uint32_t version;
    size_t address;
    size_t map_bytes;
    struct lmdb_db_head dbs[2]; /* free pages; tables */
    size_t last_pgno;
    size_t txnid;
};

struct lmdb_meta_page {
    struct lmdb_page_head head;
    struct lmdb_meta meta;
};

#endif
