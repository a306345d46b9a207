/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_ADMIN_H
#define COVEY_ADMIN_ADMIN_H

/* The admin thread: answers `covey ctl` on a Unix socket (node/app/ctl.h has the protocol), HTTP requests for
 * the health of the node, and publishes $SYS. It asks workers by mail and never touches what is theirs. */

#include "node/admin/cluster_view.h"
#include "node/io/io.h"

struct store;
struct admin;
struct acl_file;
struct admin_reload;
struct traces;

/* One key of the configuration, as it was loaded; none of the values is a secret. */
struct admin_setting {
    const char *key, *value;
    const char *from; /* "default", "covey.yaml:12", "COVEY_NODE__NAME" */
};

/* Where HTTP is answered. */
enum { ADMIN_HTTP, ADMIN_HTTPS };
struct admin_http {
    struct sockaddr_storage addr;
    socklen_t addr_n;       /* 0: nowhere */
    const char *text;       /* the address for people */
    struct io_tls_conf tls; /* of ADMIN_HTTPS */
};

struct admin_conf {
    struct io *io; /* running; it and the others outlive the admin */
    struct node *node;
    struct writer *writer;
    struct store *store;
    const struct cluster_view_ops *cluster; /* NULL: the node is alone; else it outlives the admin */
    const char *cluster_name;
    const char *secret_file; /* of the cluster; NULL or "": none */
    uint32_t drain_rate;     /* clients a second where the command names none */
    const char *ctl_socket;
    struct acl_file *acl_file;
    struct traces *traces;
    struct admin_http http[ADMIN_HTTPS + 1];
    const char *data_dir; /* for the password of the first start */
    const char *log_file; /* NULL: the log goes elsewhere */
    const struct admin_setting *settings;
    size_t settings_n;
    uint64_t token_idle_ms; /* a login that is not used for so long ends */
    /* Reads users and rules again; ERR_INVALID: logged, the old ones stay. */
    enum err (*auth_reload)(void *ctx);
    bool (*auth_is_stale)(void *ctx);
    bool (*auth_is_down)(void *ctx);  /* the server that is asked about clients does not answer */
    bool (*authz_is_on)(void *ctx);   /* a server is asked what they may */
    bool (*authz_is_down)(void *ctx); /* it does not answer */
    void *auth_ctx;
    const struct admin_reload *(*reload)(void *ctx); /* see reload.h */
    void *reload_ctx;
    uint64_t boot_wall_ms;
    uint32_t sys_interval_ms;  /* of $SYS; 0: not published */
    uint32_t sys_heartbeat_ms; /* of its uptime and datetime; 0: not published */
    struct log_sink *log;
};

/* Opens the socket (0600; one that is left over is removed) and starts the thread. Errors are logged. */
MUST_USE enum err admin_new(struct admin **out, const struct admin_conf *conf);
/* Its thread reads the configuration again, soon. Any thread. */
void admin_reload_soon(struct admin *a);
/* Ends the thread, removes the socket. NULL is fine. Before the io stops. */
void admin_free(struct admin *a);

#endif
