/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/logger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int logger_file_open(const char *file)
{
    return open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

void logger_file_reopen(struct logger *l)
{
    struct stat st;
    int fd = logger_file_open(l->file);
    if (fd < 0)
        return;
    /* dup3() puts the new file behind the old descriptor at once. */
    dup3(fd, l->fd, O_CLOEXEC);
    if (l->has_stdio) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    __atomic_store_n(&l->bytes, fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->is_cut, 0, __ATOMIC_RELAXED);
    close(fd);
}

/* ---- rotation ------------------------------------------------------------------------------------- */

/* FILE.number, or FILE itself for 0; false: the name is too long. */
static bool name_put(char out[PATH_MAX], const char *file, uint32_t number)
{
    int n = number ? snprintf(out, PATH_MAX, "%s.%u", file, number) : snprintf(out, PATH_MAX, "%s", file);
    return n > 0 && n < PATH_MAX;
}

/* From the oldest on, which is overwritten. */
static bool files_move(const struct logger *l)
{
    char from[PATH_MAX], to[PATH_MAX];
    for (uint32_t i = l->rotation_count; i > 0; i--) {
        if (!name_put(to, l->file, i) || !name_put(from, l->file, i - 1))
            return false;
        if (rename(from, to) != 0 && errno != ENOENT)
            return false;
    }
    return true;
}

/* Somebody has renamed it since it was opened. */
static bool is_other_file(const struct logger *l)
{
    struct stat named, open;
    return stat(l->file, &named) != 0 || fstat(l->fd, &open) != 0 || named.st_ino != open.st_ino ||
           named.st_dev != open.st_dev;
}

static void rotate(struct logger *l)
{
    int error = 0;
    if (!is_other_file(l) && !files_move(l))
        error = errno;
    logger_file_reopen(l);
    /* What cannot be renamed is tried again after so many bytes more. */
    if (error)
        __atomic_store_n(&l->bytes, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->is_full, 0, __ATOMIC_RELAXED);
    if (error)
        LOG(&l->sink, LOG_WARNING, "log not rotated error=\"%s\"", strerror(error));
}

/* ---- the thread ----------------------------------------------------------------------------------- */

/* Waits to be woken, or, while there are lost lines to tell of, a second. */
static void thread_wait(struct logger *l, bool is_short)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    while ((is_short ? sem_timedwait(&l->wake, &until) : sem_wait(&l->wake)) != 0 && errno == EINTR)
        ;
}

static void *thread_main(void *arg)
{
    struct logger *l = arg;
    uint64_t told = 0;
    while (!__atomic_load_n(&l->is_over, __ATOMIC_ACQUIRE)) {
        uint64_t lost = __atomic_load_n(&l->sink.lost, __ATOMIC_RELAXED);
        if (__atomic_load_n(&l->is_full, __ATOMIC_RELAXED))
            rotate(l);
        if (lost != told) {
            log_line(&l->sink, LOG_WARNING, "log lines lost count=%llu", (unsigned long long)(lost - told));
            /* That line counts itself when it is lost too. */
            uint64_t now = __atomic_load_n(&l->sink.lost, __ATOMIC_RELAXED);
            if (!__atomic_load_n(&l->sink.is_failing, __ATOMIC_RELAXED))
                told = lost;
            else
                told += now > lost;
        }
        thread_wait(l, __atomic_load_n(&l->sink.lost, __ATOMIC_RELAXED) != told);
    }
    return NULL;
}

enum err logger_start(struct logger *l, uint64_t rotation_size, uint32_t rotation_count)
{
    sigset_t all, before;
    if (sem_init(&l->wake, 0, 0) != 0)
        return ERR_LIMIT;
    l->rotation_size = l->file ? rotation_size : UINT64_MAX;
    l->rotation_count = rotation_count;
    /* Signals are for the thread that waits for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_made = pthread_create(&l->thread, NULL, thread_main, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!is_made) {
        sem_destroy(&l->wake);
        return ERR_LIMIT;
    }
    pthread_setname_np(l->thread, "log");
    l->has_thread = true;
    return OK;
}

void logger_thread_end(struct logger *l)
{
    if (!l->has_thread)
        return;
    __atomic_store_n(&l->is_over, 1, __ATOMIC_RELEASE);
    sem_post(&l->wake);
    pthread_join(l->thread, NULL);
    l->has_thread = false;
    sem_destroy(&l->wake);
}
