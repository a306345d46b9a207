/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

/* LMDB believes its pages. One that a disk has damaged ends the process by an assertion or a wild pointer,
 * and a page that the disk cannot give back by SIGBUS. A broker shall answer with an error instead, so what
 * is done inside LMDB is done between setjmp and the end of lmdb_try(), and left from there. LMDB holds no
 * lock and no memory while it reads. A writing transaction that was left cannot be ended: the caller stops
 * writing.
 *
 * A fault is taken for damage only if it is in the map, or where a NULL of LMDB's points; every other one
 * goes to the handler that was there before. */

struct guard {
    jmp_buf back;
    const struct lmdb_store *store;
};

/* Of this thread; NULL outside lmdb_try(). */
static _Thread_local struct guard *guard;

enum { SIGNALS = 2, NULL_BYTES = 4096, BESIDE_BYTES = 256 * 1024 };
static const int signals[SIGNALS] = {SIGSEGV, SIGBUS};
static struct sigaction before[SIGNALS];

static bool is_ours(const struct lmdb_store *s, const uint8_t *at)
{
    if ((uintptr_t)at < NULL_BYTES || !s->map)
        return true;
    return at >= s->map && at < s->map + s->map_bytes + BESIDE_BYTES;
}

static void pass_on(int i, siginfo_t *info, void *context)
{
    const struct sigaction *old = &before[i];
    if (old->sa_flags & SA_SIGINFO)
        old->sa_sigaction(signals[i], info, context);
    else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
        old->sa_handler(signals[i]);
    else
        sigaction(signals[i], old, NULL); /* the instruction is tried again and ends the process */
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    /* Not a fault, but sent by somebody: si_code says so. */
    bool is_fault = info->si_code > 0;
    if (guard && is_fault && is_ours(guard->store, info->si_addr)) {
        const ucontext_t *interrupted = context;
        pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, NULL); /* longjmp leaves it as it is here */
        longjmp(guard->back, sig == SIGBUS ? LMDB_UNREADABLE : LMDB_DAMAGED);
    }
    pass_on(sig == SIGBUS, info, context);
}

void lmdb_guard_install(void)
{
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction now, ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&ours.sa_mask);
        sigaction(signals[i], NULL, &now);
        if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault)
            continue;
        before[i] = now;
        sigaction(signals[i], &ours, NULL);
    }
}

void lmdb_guard_thread(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < SIGNALS; i++)
        sigaddset(&set, signals[i]);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void lmdb_on_assert(MDB_env *env, const char *what)
{
    struct lmdb_store *s = mdb_env_get_userctx(env);
    LOG(s->log, LOG_ERROR, "storage damaged path=\"%s\" lmdb=\"%s\"", s->path, what);
    if (guard)
        longjmp(guard->back, LMDB_DAMAGED);
}

int lmdb_try(const struct lmdb_store *s, int (*fn)(void *ctx), void *ctx)
{
    struct guard g = {.store = s};
    int left = setjmp(g.back);
    if (left) {
        guard = NULL;
        return left;
    }
    guard = &g;
    int rc = fn(ctx);
    guard = NULL;
    return rc;
}
