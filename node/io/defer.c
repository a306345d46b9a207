/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/io.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <urcu-qsbr.h>
#include <urcu-call-rcu.h>

#ifdef __SANITIZE_THREAD__
/* Grace periods are ordered inside liburcu, which is not instrumented: ThreadSanitizer cannot see that what
 * is freed here is out of everybody's reach. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liburcu-qsbr.so\nrace:deferred_run\n";
}
#endif

struct deferred {
    struct rcu_head head;
    void *p;
};

static void deferred_run(struct rcu_head *head)
{
    struct deferred *d = container_of(head, struct deferred, head);

    free(d->p);
    free(d);
}

void io_defer_free(void *p)
{
    struct deferred *d;

    if (!p)
        return;
    d = mem_alloc(sizeof *d);
    d->p = p;
    call_rcu(&d->head, deferred_run);
}

void io_defer_barrier(void)
{
    rcu_barrier();
}
