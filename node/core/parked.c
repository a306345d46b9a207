/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/parked.h"

#include "node/core/conn_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <sodium.h>
#include <stdlib.h>

struct parked *parked_new(struct list *waiting, struct conn *c, uint64_t token, const uint8_t *body,
                          uint32_t n)
{
    struct parked *p = mem_alloc(sizeof *p + n);
    CHECK(!c->parked);
    *p = (struct parked){.conn = c, .token = token, .n = n};
    memcpy(p->body, body, n);
    list_push(waiting, &p->link);
    c->parked = p;
    conn_pace(c);
    return p;
}

/* The answers come about in the order of the questions. */
struct parked *parked_take(struct list *waiting, uint64_t token)
{
    list_each(l, waiting)
    {
        struct parked *p = container_of(l, struct parked, link);
        if (p->token != token)
            continue;
        list_del(&p->link);
        if (p->conn) {
            p->conn->parked = NULL;
            conn_pace(p->conn);
        }
        return p;
    }
    return NULL;
}

struct bytes parked_client(const struct parked *p)
{
    return connect_client((uint8_t *)(uintptr_t)p->body, p->n);
}

void parked_forget(struct conn *c)
{
    struct parked *p = c->parked;
    if (!p)
        return;
    if (p->is_gone)
        __atomic_store_n(p->is_gone, 1, __ATOMIC_RELAXED);
    p->conn = NULL;
    c->parked = NULL;
}

void parked_free(struct parked *p)
{
    if (p)
        sodium_memzero(p->body, p->n);
    free(p);
}

void parked_free_all(struct list *waiting)
{
    struct list *l;
    while ((l = list_pop(waiting)))
        parked_free(container_of(l, struct parked, link));
}
