/* SPDX-License-Identifier: Apache-2.0 */

/* A disk that fails on demand, for tests of whole programs: LD_PRELOAD it.
 *
 *   COVEY_TEST_DISK_DIR    only files below this directory are concerned
 *   COVEY_TEST_DISK_FAULT  path of the control file; while it exists, the calls below fail as it says
 *
 * The control file holds "ERROR [WHICH]". ERROR is enospc or eio. WHICH is one of
 *   all    every write and every sync (default)
 *   write  write, writev, pwrite, pwritev
 *   sync   fdatasync, fsync
 *   meta   writes to descriptors opened with O_DSYNC, as LMDB writes its meta pages
 *   late   a write with O_DSYNC gets into the file before it fails, and from then on everything fails: the
 *          page is in the cache, could not be brought to the disk and cannot be taken back */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { CALL_WRITE, CALL_SYNC };
enum verdict { PASS, FAIL, FAIL_LATE };

static bool is_below_dir(int fd)
{
    const char *dir = getenv("COVEY_TEST_DISK_DIR");
    char link[64], path[PATH_MAX];
    if (!dir)
        return false;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return false;
    path[n] = 0;
    size_t m = strlen(dir);
    return strncmp(path, dir, m) == 0 && path[m] == '/';
}

static bool control_read(char *text, size_t size)
{
    const char *control = getenv("COVEY_TEST_DISK_FAULT");
    int fd = control ? open(control, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

static atomic_bool is_late; /* a write of "late" has been */

static bool is_hit(const char *which, enum call call, bool is_dsync)
{
    if (strcmp(which, "late") == 0)
        return atomic_load(&is_late);
    return strcmp(which, "all") == 0 || (strcmp(which, "write") == 0 && call == CALL_WRITE) ||
           (strcmp(which, "sync") == 0 && call == CALL_SYNC) ||
           (strcmp(which, "meta") == 0 && call == CALL_WRITE && is_dsync);
}

/* Sets errno when the call shall fail. */
static enum verdict judge(int fd, enum call call)
{
    char text[64], error[16] = "", which[16] = "all";
    int saved = errno;
    bool is_on = control_read(text, sizeof(text)) && sscanf(text, "%15s %15s", error, which) >= 1;
    if (!is_on)
        atomic_store(&is_late, false);
    if (!is_on || !is_below_dir(fd)) {
        errno = saved;
        return PASS;
    }
    int flags = fcntl(fd, F_GETFL);
    bool is_dsync = flags >= 0 && (flags & O_DSYNC);
    enum verdict verdict = is_hit(which, call, is_dsync) ? FAIL : PASS;
    if (strcmp(which, "late") == 0 && call == CALL_WRITE && is_dsync && !atomic_exchange(&is_late, true))
        verdict = FAIL_LATE;
    errno = verdict == PASS ? saved : strcmp(error, "enospc") == 0 ? ENOSPC : EIO;
    return verdict;
}

/* The function of that name behind this library. */
#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

#define GUARDED(call, fd, doit)                 \
    do {                                        \
        enum verdict verdict = judge(fd, call); \
        if (verdict == PASS)                    \
            return (doit);                      \
        int error = errno;                      \
        if (verdict == FAIL_LATE)               \
            (void)!(doit);                      \
        errno = error;                          \
        return -1;                              \
    } while (0)

typedef ssize_t write_fn(int, const void *, size_t);
typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
typedef ssize_t writev_fn(int, const struct iovec *, int);
typedef ssize_t pwritev_fn(int, const struct iovec *, int, off_t);
typedef int sync_fn(int);

ssize_t write(int fd, const void *buf, size_t n)
{
    GUARDED(CALL_WRITE, fd, REAL(write_fn *, "write")(fd, buf, n));
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    GUARDED(CALL_WRITE, fd, REAL(writev_fn *, "writev")(fd, iov, n));
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    GUARDED(CALL_WRITE, fd, REAL(pwrite_fn *, "pwrite")(fd, buf, n, at));
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
    GUARDED(CALL_WRITE, fd, REAL(pwrite_fn *, "pwrite64")(fd, buf, n, at));
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    GUARDED(CALL_WRITE, fd, REAL(pwritev_fn *, "pwritev")(fd, iov, n, at));
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t at)
{
    GUARDED(CALL_WRITE, fd, REAL(pwritev_fn *, "pwritev64")(fd, iov, n, at));
}

int fdatasync(int fd)
{
    GUARDED(CALL_SYNC, fd, REAL(sync_fn *, "fdatasync")(fd));
}

int fsync(int fd)
{
    GUARDED(CALL_SYNC, fd, REAL(sync_fn *, "fsync")(fd));
}
