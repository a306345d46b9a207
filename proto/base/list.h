/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_LIST_H
#define COVEY_BASE_LIST_H

/* Circular doubly linked list whose links live in the elements. A head and an unlinked element point at
 * themselves. The list owns nothing. */

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_push(struct list *head, struct list *e) /* at the end */
{
    e->prev = head->prev;
    e->next = head;
    head->prev->next = e;
    head->prev = e;
}
static inline void list_push_front(struct list *head, struct list *e)
{
    e->next = head->next;
    e->prev = head;
    head->next->prev = e;
    head->next = e;
}
/* Harmless on an element that is in no list. */
static inline void list_del(struct list *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    list_init(e);
}
/* The first element, taken out, or NULL. */
static inline struct list *list_pop(struct list *head)
{
    struct list *e = head->next;
    if (e == head)
        return NULL;
    list_del(e);
    return e;
}
/* Moves all of from behind the last of to; from is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* The element may be deleted inside the loop. */
#define list_each_safe(it, head)                                              \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)

#endif
