/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_NOTIFY_H
#define COVEY_APP_NOTIFY_H

/* Tells the service manager how the node does: sd_notify(3), datagrams to $NOTIFY_SOCKET.
 *
 *     READY=1      clients can connect, and the node is a member of its cluster
 *     WATCHDOG=1   every loop of a worker has turned since the last time ($WATCHDOG_USEC)
 *     STOPPING=1   the node is going
 *
 * A thread of its own looks and tells. Nothing is told, and no thread made, where nobody listens. */

#include "node/admin/cluster_view.h"
#include "node/io/io.h"

struct notify;

/* io runs. view: NULL: the node is alone. Both outlive the notify. NULL: nobody listens, or no thread is to
 * be had (logged). */
struct notify *notify_new(struct io *io, const struct cluster_view_ops *view, struct log_sink *log);
/* Tells that the node stops; ends the thread. NULL is fine. */
void notify_free(struct notify *n);

#endif
