/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include "storage/lmdb_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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
static const char *slot_fault(const struct lmdb_meta_page *p, unsigned slot)
{
    size_t page_bytes = p->meta.dbs[0].pad;
    if (!(p->head.flags & LMDB_PAGE_META) || p->meta.magic != (uint32_t)LMDB_META_MAGIC)
        return "not a store";
    if (p->meta.version != LMDB_META_VERSION)
        return "unknown LMDB format";
    if (page_bytes < LMDB_PAGE_BYTES_MIN || page_bytes > LMDB_PAGE_BYTES_MAX ||
        (page_bytes & (page_bytes - 1)) != 0)
        return "impossible page size";
    if (p->head.pgno != slot || (p->meta.txnid != 0 && p->meta.txnid % LMDB_METAS != slot))
        return "meta page in the wrong place";
    return NULL;
}

/* Why this cannot be the meta page in force, or NULL. The other one need not make sense: when a commit fails
 * at its meta page, LMDB leaves there the new roots with the old numbers. */
static const char *meta_fault(const struct lmdb_meta *m)
{
    if (m->last_pgno < LMDB_METAS - 1 || m->last_pgno > SIZE_MAX / m->dbs[0].pad - 1)
        return "impossible number of pages";
    for (unsigned i = 0; i < 2; i++) {
        const struct lmdb_db_head *db = &m->dbs[i];
        bool is_empty = db->root == SIZE_MAX;
        if ((!is_empty && (db->root < LMDB_METAS || db->root > m->last_pgno)) || db->depth > LMDB_DEPTH_MAX)
            return "impossible root page";
    }
    return NULL;
}

static enum err metas_read(int fd, struct lmdb_meta_page pages[LMDB_METAS], const char **why)
{
    off_t at = 0;
    for (unsigned i = 0; i < LMDB_METAS; i++) {
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
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        *why = strerror(errno);
        return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
    }
    struct stat st;
    struct lmdb_meta_page pages[LMDB_METAS];
    enum err e = OK;
    if (fstat(fd, &st) < 0) {
        *why = strerror(errno);
        e = ERR_IO;
    } else if (!S_ISREG(st.st_mode)) {
        *why = "not a file";
        e = ERR_CORRUPT;
    }
    if (e == OK)
        e = metas_read(fd, pages, why);
    close(fd);
    if (e != OK)
        return e;
    const struct lmdb_meta *m = &pages[pages[0].meta.txnid < pages[1].meta.txnid].meta;
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

enum err lmdb_file_meta_get(int fd, size_t page_bytes, size_t txnid, struct lmdb_meta_page *page)
{
    unsigned slot = txnid % LMDB_METAS;
    if (pread_all(fd, page, sizeof(*page), (off_t)(slot * page_bytes)) != (ssize_t)sizeof(*page))
        return ERR_IO;
    if (slot_fault(page, slot) || meta_fault(&page->meta) || page->meta.txnid != txnid)
        return ERR_CORRUPT;
    return OK;
}

enum err lmdb_file_meta_set(int fd, const struct lmdb_meta_page *page)
{
    struct lmdb_meta_page copy = *page, other = *page;
    size_t page_bytes = page->meta.dbs[0].pad;
    other.meta.txnid--;
    copy.head.pgno = copy.meta.txnid % LMDB_METAS;
    other.head.pgno = other.meta.txnid % LMDB_METAS;
    enum err e = pwrite_all(fd, &other, sizeof(other), (off_t)(other.head.pgno * page_bytes));
    if (e == OK)
        e = pwrite_all(fd, &copy, sizeof(copy), (off_t)(copy.head.pgno * page_bytes));
    if (e == OK && fdatasync(fd) < 0)
        e = lmdb_err(errno);
    return e;
}

enum err lmdb_file_revert(const char *path, size_t page_bytes, size_t txnid)
{
    struct lmdb_meta_page page;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    enum err e = lmdb_file_meta_get(fd, page_bytes, txnid, &page);
    if (e == OK)
        e = lmdb_file_meta_set(fd, &page);
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
