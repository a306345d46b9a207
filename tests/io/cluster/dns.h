/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_CLUSTER_DNS_H
#define COVEY_TESTS_CLUSTER_DNS_H

/* A name server on loopback that knows three things: node.test. is 127.0.0.21 and 127.0.0.22, v6.test. is
 * ::1, _covey._tcp.test. is node.test. at port 7001. While it is mute it answers that there is no such name.
 */

#include <stdatomic.h>
#include <pthread.h>

struct dns {
    pthread_t thread;
    int fd, stop_fd;
    char address[32]; /* "127.0.0.1:port" */
    atomic_bool is_mute;
    atomic_uint asked;
};
void dns_start(struct dns *d);
void dns_stop(struct dns *d);

#endif
