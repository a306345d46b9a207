/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/folder.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static enum err one_make(const char *path)
{
    struct stat st;
    if (mkdir(path, 0750) == 0)
        return OK;
    int e = errno;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return OK;
    errno = e == EEXIST ? ENOTDIR : e;
    return ERR_IO;
}

static enum err all_make(const char *path, size_t n)
{
    char part[PATH_MAX];
    if (n >= sizeof part) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    for (size_t i = 1; i <= n; i++) {
        if (i < n && path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        enum err e = one_make(part);
        if (e)
            return e;
    }
    return OK;
}

enum err folder_make(const char *path)
{
    return all_make(path, strlen(path));
}

enum err folder_make_for(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash && slash != file ? all_make(file, (size_t)(slash - file)) : OK;
}
