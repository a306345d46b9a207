/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_IO_PRIVATE_H
#define COVEY_IO_IO_PRIVATE_H

/* struct io, for the files of this folder. */

#include "node/io/worker.h"

struct io {
    struct io_conf conf;
    struct log_sink *log;
    struct node *node;
    int statm_fd;            /* of /proc/self/statm; -1: none */
    _Atomic uint64_t memory; /* bytes that the process holds, as last looked at by worker 0 */
    uint32_t workers_n;
    struct worker *workers;
    uint32_t listeners_n;
    struct listener *listeners;
    pthread_mutex_t listener_lock; /* is_running and the sockets of listeners change under it */
    /* How many workers have nothing left to do while the io stops. */
    pthread_mutex_t idle_lock;
    pthread_cond_t idle_cond;
    uint32_t idle_n;
    bool is_running; /* under listener_lock */
};

/* A worker tells that it has nothing left to do. */
void io_on_idle(struct io *io);

struct listener *io_listener_find(struct io *io, const char *name); /* NULL: none */
/* Every worker takes up what listeners have now; returns when none of them is amid a turn that began before.
 */
void io_follow(struct io *io);

#endif
