/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_MEM_TREE_H
#define COVEY_STORAGE_MEM_TREE_H

/* An ordered map that is never changed once it is shared: a treap of counted nodes. Each change makes new
 * nodes along one path and shares the rest, so a snapshot is one reference to a root. A tree is NULL when it
 * is empty. Reference counts are atomic; trees may be read and let go from any thread. */

#include "proto/base/bytes.h"

#include <stdatomic.h>

struct mem_record {
    struct bytes key;
    struct bytes value;
};
struct mem_tree;

struct mem_tree *mem_tree_ref(struct mem_tree *t); /* NULL is fine; returns t */
void mem_tree_unref(struct mem_tree *t);           /* NULL is fine */
uint64_t mem_tree_count(const struct mem_tree *t); /* records */
uint64_t mem_tree_bytes(const struct mem_tree *t); /* of keys and values */

/* The changes take the caller's reference of t and return one of the new tree. */
struct mem_tree *mem_tree_put(struct mem_tree *t, struct bytes key, struct bytes value);
/* Removes the keys with from <= key < to; to.p NULL: up to the end. */
struct mem_tree *mem_tree_del_range(struct mem_tree *t, struct bytes from, struct bytes to);

/* Views that live as long as t. find: the record of key, seek: the first with key >= from, after: the first
 * with key > from; NULL when there is none. */
const struct mem_record *mem_tree_find(const struct mem_tree *t, struct bytes key);
const struct mem_record *mem_tree_seek(const struct mem_tree *t, struct bytes from);
const struct mem_record *mem_tree_after(const struct mem_tree *t, struct bytes from);

#endif
