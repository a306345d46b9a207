/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* LMDB's own file layout, data version 1, as far as it is needed to tell a whole file from a cut or foreign
 * one before LMDB maps it: a page past the end of the file is a SIGBUS and a page size of 0 a SIGFPE. */
enum { META_MAGIC = (int)0xBEEFC0DE, META_VERSION = 1, PAGE_META = 0x08, METAS = 2, DEPTH_MAX = 32 };
enum { PAGE_BYTES_MIN = 512, PAGE_BYTES_MAX = 65536 };

struct page_head {
    size_t pgno;
    uint16_t pad;
    uint16_t flags;
    uint32_t pages;
};

struct db_head {
    uint32_t pad; /* the page size, in the first of a meta page */
    uint16_t flags;
    uint16_t depth;
    size_t branch_pages;
    size_t leaf_pages;
    size_t overflow_pages;
    size_t entries;
    size_t root;
};

struct meta {
    uint32_t magic;
    uint32_t version;
    size_t address;
    size_t map_bytes;
    struct db_head dbs[2];
    size_t last_pgno;
    size_t txnid;
};

struct meta_page {
    struct page_head head;
    struct meta meta;
};

static ssize_t pread_all(int fd, void *buf, size_t n, off_t at)
{
    ssize_t got;
    do
        got = pread(fd, buf, n, at);
    while (got < 0 && errno == EINTR);
    return got;
}

static enum err pwrite_all(int fd, const void *buf, size_t n, off_t at)
{
    const char *p = buf;
    while (n) {
        ssize_t done = pwrite(fd, p, n, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? lmdb_err(errno) : ERR_NOSPC;
        p += done;
        at += done;
        n -= (size_t)done;
    }
    return OK;
}

/* Why the page cannot be meta page number slot, or NULL. */
static const char *slot_fault(const struct meta_page *p, unsigned slot)
{
    size_t page_bytes = p->meta.dbs[0].pad;
    if (!(p->head.flags & PAGE_META) || p->meta.magic != (uint32_t)META_MAGIC)
        return "not a store";
    if (p->meta.version != META_VERSION)
        return "unknown LMDB format";
    if (page_bytes < PAGE_BYTES_MIN || page_bytes > PAGE_BYTES_MAX || (page_bytes & (page_bytes - 1)) != 0)
        return "impossible page size";
    if (p->head.pgno != slot || (p->meta.txnid != 0 && p->meta.txnid % METAS != slot))
        return "meta page in the wrong place";
    return NULL;
}

/* Why this cannot be the meta page in force, or NULL. The other one need not make sense: when a commit fails
 * at its meta page, LMDB leaves there the new roots with the old numbers. */
static const char *meta_fault(const struct meta *m)
{
    if (m->last_pgno < METAS - 1 || m->last_pgno > SIZE_MAX / m->dbs[0].pad - 1)
        return "impossible number of pages";
    for (unsigned i = 0; i < 2; i++) {
        const struct db_head *db = &m->dbs[i];
        bool is_empty = db->root == SIZE_MAX;
        if ((!is_empty && (db->root < METAS || db->root > m->last_pgno)) || db->depth > DEPTH_MAX)
            return "impossible root page";
    }
    return NULL;
}

static enum err metas_read(int fd, struct meta_page pages[METAS], const char **why)
{
    off_t at = 0;
    for (unsigned i = 0; i < METAS; i++) {
        ssize_t got = pread_all(fd, &pages[i], sizeof(pages[i]), at);
        if (got < 0) {
            *why = "cannot be read";
            return ERR_IO;
        }
        *why = (size_t)got < sizeof(pages[i]) ? "cut short" : slot_fault(&pages[i], i);
        if (*why)
            return ERR_CORRUPT;
        at += pages[i].meta.dbs[0].pad;
    }
    size_t a = pages[0].meta.txnid, b = pages[1].meta.txnid;
    if (pages[0].meta.dbs[0].pad != pages[1].meta.dbs[0].pad || (a > b ? a - b : b - a) > 1) {
        *why = "meta pages contradict each other";
        return ERR_CORRUPT;
    }
    return OK;
}

enum err lmdb_file_check(const char *path, struct lmdb_file_info *info, const char **why)
{
    *why = "cannot be opened";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
    struct stat st;
    struct meta_page pages[METAS];
    enum err e = fstat(fd, &st) < 0 ? ERR_IO : OK;
    if (e == OK && !S_ISREG(st.st_mode)) {
        *why = "not a file";
        e = ERR_CORRUPT;
    }
    if (e == OK)
        e = metas_read(fd, pages, why);
    close(fd);
    if (e != OK)
        return e;
    const struct meta *m = &pages[pages[0].meta.txnid < pages[1].meta.txnid].meta;
    *why = meta_fault(m);
    if (*why)
        return ERR_CORRUPT;
    info->page_bytes = m->dbs[0].pad;
    info->data_bytes = ((uint64_t)m->last_pgno + 1) * info->page_bytes;
    info->file_bytes = (uint64_t)st.st_size;
    info->txnid = m->txnid;
    if (info->file_bytes < info->data_bytes) {
        *why = "cut short";
        return ERR_CORRUPT;
    }
    return OK;
}

/* The other slot becomes a second copy of the good meta page, numbered one lower. */
static enum err slot_overwrite(int fd, size_t page_bytes, size_t txnid)
{
    struct meta_page page;
    unsigned good = txnid % METAS, bad = good ^ 1;
    if (pread_all(fd, &page, sizeof(page), (off_t)(good * page_bytes)) != (ssize_t)sizeof(page))
        return ERR_IO;
    if (slot_fault(&page, good) || meta_fault(&page.meta) || page.meta.txnid != txnid)
        return ERR_CORRUPT;
    page.head.pgno = bad;
    page.meta.txnid = txnid - 1;
    enum err e = pwrite_all(fd, &page, sizeof(page), (off_t)(bad * page_bytes));
    if (e == OK && fdatasync(fd) < 0)
        e = lmdb_err(errno);
    return e;
}

enum err lmdb_file_revert(const char *path, size_t page_bytes, size_t txnid)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    enum err e = slot_overwrite(fd, page_bytes, txnid);
    close(fd);
    return e;
}

enum err lmdb_file_rewrite(int fd, uint64_t bytes)
{
    enum { STEP = 1 << 20 };
    uint8_t *buf = malloc(STEP);
    if (!buf)
        return ERR_NOMEM;
    enum err e = OK;
    for (uint64_t at = 0; at < bytes && e == OK;) {
        size_t want = bytes - at < STEP ? (size_t)(bytes - at) : STEP;
        ssize_t got = pread_all(fd, buf, want, (off_t)at);
        if (got <= 0)
            e = ERR_IO;
        else
            e = pwrite_all(fd, buf, (size_t)got, (off_t)at);
        at += got > 0 ? (uint64_t)got : 0;
    }
    free(buf);
    return e;
}

enum err lmdb_file_probe(int fd)
{
    enum { PROBE = 64 * 1024 };
    struct stat st;
    struct rlimit limit;
    if (fstat(fd, &st) < 0 || getrlimit(RLIMIT_FSIZE, &limit) < 0)
        return ERR_IO;
    if ((uint64_t)st.st_size + PROBE > limit.rlim_cur)
        return ERR_NOSPC; /* and a signal, if it were tried */
    uint8_t *zeros = calloc(1, PROBE);
    if (!zeros)
        return ERR_NOMEM;
    enum err e = pwrite_all(fd, zeros, PROBE, st.st_size);
    free(zeros);
    if (ftruncate(fd, st.st_size) < 0)
        return ERR_IO;
    return e;
}
