/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/filetext.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err open_err(void)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return ERR_NOTFOUND;
    return errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO;
}

static enum err read_all(struct filetext *t, int fd, size_t n)
{
    t->p = malloc(n + 1);
    if (!t->p)
        return ERR_NOMEM;
    while (t->n < n) {
        ssize_t r = read(fd, t->p + t->n, n - t->n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return ERR_IO;
        if (r == 0)
            break;
        t->n += (size_t)r;
    }
    t->p[t->n] = 0;
    return OK;
}

enum err filetext_read(struct filetext *out, const char *path, size_t bytes_max)
{
    struct stat st;
    enum err e = OK;
    *out = (struct filetext){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold up the start */
    if (fd < 0)
        return open_err();
    if (fstat(fd, &st) != 0)
        e = ERR_IO;
    else if (!S_ISREG(st.st_mode))
        e = ERR_INVALID;
    else if ((uint64_t)st.st_size > bytes_max)
        e = ERR_LIMIT;
    else
        e = read_all(out, fd, (size_t)st.st_size);
    out->is_public = e == OK && (st.st_mode & S_IROTH);
    close(fd);
    if (e != OK)
        filetext_fini(out);
    return e;
}

void filetext_fini(struct filetext *t)
{
    if (t->p)
        sodium_memzero(t->p, t->n);
    free(t->p);
    *t = (struct filetext){0};
}
