/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mail/mailbox.h"

#include "proto/base/check.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum { KIND_MASK = 3 };

static uintptr_t *link_of(uintptr_t tagged)
{
    return (uintptr_t *)(tagged & ~(uintptr_t)KIND_MASK);
}

enum err mailbox_init(struct mailbox *mb)
{
    atomic_init(&mb->head, 0);
    atomic_init(&mb->asleep, 0);
    atomic_init(&mb->wakes, 0);
    mb->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return mb->eventfd < 0 ? ERR_LIMIT : OK;
}

void mailbox_fini(struct mailbox *mb)
{
    CHECK(!mailbox_has_mail(mb));
    close(mb->eventfd);
    mb->eventfd = -1;
}

void mailbox_wake(struct mailbox *mb)
{
    uint64_t one = 1;
    ssize_t n;

    atomic_fetch_add_explicit(&mb->wakes, 1, memory_order_relaxed);
    n = write(mb->eventfd, &one, sizeof one);
    CHECK(n == (ssize_t)sizeof one);
}

void mailbox_push(struct mailbox *mb, enum mailbox_kind kind, void *item)
{
    uintptr_t tagged = (uintptr_t)item | kind;
    uintptr_t *link = item;
    uintptr_t old = atomic_load_explicit(&mb->head, memory_order_relaxed);

    CHECK(((uintptr_t)item & KIND_MASK) == 0);
    /* Sequentially consistent, and so is the load of `asleep`: either this producer sees the consumer asleep,
     * or the consumer sees this item before it waits. The exchange lets one of several producers pay. */
    do {
        *link = old;
    } while (!atomic_compare_exchange_weak(&mb->head, &old, tagged));
    if (atomic_load(&mb->asleep) != 0 && atomic_exchange(&mb->asleep, 0) != 0)
        mailbox_wake(mb);
}

bool mailbox_sleep(struct mailbox *mb)
{
    atomic_store(&mb->asleep, 1);
    if (atomic_load(&mb->head) == 0)
        return true;
    mailbox_awake(mb);
    return false;
}

struct mailbox_chain mailbox_take(struct mailbox *mb)
{
    struct mailbox_chain chain = {0};
    uintptr_t at;

    if (!mailbox_has_mail(mb))
        return chain;
    at = atomic_exchange_explicit(&mb->head, 0, memory_order_acquire);
    while (at) {
        uintptr_t *link = link_of(at);
        uintptr_t older = *link;
        *link = chain.head;
        chain.head = at;
        at = older;
    }
    return chain;
}

void *mailbox_next(struct mailbox_chain *chain, enum mailbox_kind *kind)
{
    uintptr_t at = chain->head;

    if (!at)
        return NULL;
    chain->head = *link_of(at);
    *link_of(at) = 0;
    *kind = (enum mailbox_kind)(at & KIND_MASK);
    return link_of(at);
}
