/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_NOTIFY_H
#define COVEY_APP_NOTIFY_H

/* Tells the service manager how the node does: sd_notify(3), datagrams to $NOTIFY_SOCKET.
 *
 *     READY=1      clients can connect, and the node is a member of its cluster
 *     WATCHDOG=1   every loop of a worker has turned since the last time ($WATCHDOG_USEC)
 *     RELOADING=1  the configuration is being read again; READY=1 when that is over
 *     STOPPING=1   the node is going
 *
 * A thread of its own looks and tells. Nothing is told, and no thread made, where nobody listens. */

#include "node/admin/cluster_view.h"
#include "node/io/io.h"

struct notify;

/* io runs. view: NULL: the node is alone. Both outlive the notify. NULL, with which all
 * that follows does nothing: nobody listens. */
struct notify *notify_new(struct io *io, const struct cluster_view_ops *view, struct log_sink *log);
/* The node has started. Without a thread to be had (logged) it is ready at once, and there is no watchdog. */
void notify_start(struct notify *n);
/* Any thread. */
void notify_reload_begins(const struct notify *n);
void notify_reload_ends(const struct notify *n);
/* Tells that the node stops; ends the thread. NULL is fine. */
void notify_free(struct notify *n);

#endif
