/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_OFFLOAD_H
#define COVEY_ADMIN_API_OFFLOAD_H

/* What would hold up the admin thread's loop, done by a thread beside it: one job after the other, such as
 * the hashing of passwords. And the way back into the loop for other threads. */

#include <stdbool.h>

struct event_base;
struct offload;

enum { OFFLOAD_JOBS_MAX = 16 };

struct offload *offload_new(struct event_base *base);
/* Carries out what waits, and what is expected; the done functions are called. NULL is fine. */
void offload_free(struct offload *o);

/* work(arg) on the thread, then done(arg) in the loop. False: too many wait, nothing is called. */
bool offload_run(struct offload *o, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/* In the loop: somebody is going to call offload_post(), once. */
void offload_expect(struct offload *o);
/* Any thread: done(arg) in the loop. */
void offload_post(struct offload *o, void (*done)(void *arg), void *arg);

#endif
