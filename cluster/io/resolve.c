/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/resolve.h"

#include "cluster/io/sockaddr.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <stdlib.h>

enum {
    HOST_MAX = 256,
    FOUND_MAX = 64, /* addresses of one name */
    SRV_MAX = 64,
    TIMEOUT_MS = 2000,
    TRIES = 2,
    RESOLVE_MS = 5000,
    RESOLVE_IDLE_MS = 60000,
};

enum source_kind { SOURCE_LITERAL, SOURCE_HOST, SOURCE_SRV };

/* One entry of the configuration and what it stands for. */
struct source {
    struct resolver *r;
    enum source_kind kind;
    int family; /* to ask for */
    uint16_t port;
    bool has_failed; /* told already */
    uint32_t pending;
    char host[HOST_MAX];
    uint32_t found_n, fresh_n;
    struct net_addr found[FOUND_MAX], fresh[FOUND_MAX];
};

struct query {
    struct source *source;
    uint16_t port;
};

struct resolver_socket {
    struct list link;
    struct resolver *r;
    ares_socket_t fd;
    struct event event;
};

struct resolver {
    struct cluster_io *c;
    struct source *sources;
    uint32_t sources_n;
    bool has_names;
    ares_channel channel; /* of the round that is under way */
    bool is_asking;
    uint32_t pending;
    uint64_t next_ms;
    struct list sockets;
};

/* ---- configuration --------------------------------------------------------------------------------- */

/* What the sockets of this node can reach. */
static int family_of(const struct cluster_io *c)
{
    if (net_addr_is_v4(&c->conf.bind))
        return AF_INET;
    return net_addr_is_any(&c->conf.bind) ? AF_UNSPEC : AF_INET6;
}

static bool seed_read(struct source *s, const char *text, uint16_t port)
{
    if (net_addr_parse(&s->found[0], text, port)) {
        s->kind = SOURCE_LITERAL;
        s->found_n = 1;
        return true;
    }
    s->kind = SOURCE_HOST;
    return host_port_split(text, port, s->host, sizeof s->host, &s->port) && !strchr(s->host, ':');
}

static bool dns_read(struct source *s, const struct cluster_io_conf *conf, uint16_t port)
{
    struct bytes name = bytes_str(conf->dns_name ? conf->dns_name : "");

    if (name.n == 0 || name.n >= sizeof s->host)
        return false;
    memcpy(s->host, name.p, name.n + 1);
    s->port = conf->dns_port ? conf->dns_port : port;
    s->kind = conf->dns == CLUSTER_DNS_SRV ? SOURCE_SRV : SOURCE_HOST;
    if (conf->dns != CLUSTER_DNS_SRV)
        s->family = conf->dns == CLUSTER_DNS_A ? AF_INET : AF_INET6;
    return true;
}

enum err resolver_new(struct resolver **out, struct cluster_io *c)
{
    const struct cluster_io_conf *conf = &c->conf;
    struct resolver *r = mem_zalloc(sizeof *r);
    const char *bad = NULL;

    r->c = c;
    list_init(&r->sockets);
    r->sources = mem_zalloc((conf->seeds_n + 1) * sizeof *r->sources);
    r->sources_n = conf->seeds_n + (conf->dns != CLUSTER_DNS_NONE);
    for (uint32_t i = 0; i < r->sources_n && !bad; i++) {
        struct source *s = &r->sources[i];
        s->r = r;
        s->family = family_of(c);
        if (i < conf->seeds_n)
            bad = seed_read(s, conf->seeds[i], c->bound.port) ? NULL : conf->seeds[i];
        else
            bad = dns_read(s, conf, c->bound.port) ? NULL : conf->dns_name ? conf->dns_name : "";
        r->has_names |= s->kind != SOURCE_LITERAL;
    }
    if (!bad && ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS) {
        *out = r;
        return OK;
    }
    LOG(c->log, LOG_ERROR, "cluster seed_malformed seed=\"%s\"", bad ? bad : "");
    free(r->sources);
    free(r);
    return ERR_INVALID;
}

bool resolver_literal(const struct resolver *r, struct net_addr *out)
{
    for (uint32_t i = 0; i < r->sources_n; i++)
        if (r->sources[i].kind == SOURCE_LITERAL) {
            *out = r->sources[i].found[0];
            return true;
        }
    return false;
}

/* ---- the sockets of a channel ---------------------------------------------------------------------- */

static void on_socket_event(evutil_socket_t fd, short what, void *arg)
{
    struct resolver_socket *s = arg;
    struct resolver *r = s->r;

    cluster_enter(r->c);
    /* May free s. */
    ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
}

static struct resolver_socket *socket_find(struct resolver *r, ares_socket_t fd)
{
    list_each(it, &r->sockets)
    {
        struct resolver_socket *s = container_of(it, struct resolver_socket, link);
        if (s->fd == fd)
            return s;
    }
    return NULL;
}

/* c-ares says what it waits for; nothing: it is about to close the socket. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct resolver_socket *s = socket_find(r, fd);
    short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

    if (s) {
        event_del(&s->event);
    } else {
        s = mem_zalloc(sizeof *s);
        s->r = r;
        s->fd = fd;
        list_push(&r->sockets, &s->link);
    }
    if (!readable && !writable) {
        list_del(&s->link);
        free(s);
        return;
    }
    event_assign(&s->event, r->c->base, fd, what, on_socket_event, s);
    event_add(&s->event, NULL);
}

static bool channel_open(struct resolver *r)
{
    struct ares_options o = {
        .timeout = TIMEOUT_MS, .tries = TRIES, .sock_state_cb = on_socket_state, .sock_state_cb_data = r};
    const char *servers = r->c->conf.dns_servers;

    if (ares_init_options(&r->channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) !=
        ARES_SUCCESS)
        return false;
    if (!servers || !servers[0] || ares_set_servers_ports_csv(r->channel, servers) == ARES_SUCCESS)
        return true;
    ares_destroy(r->channel);
    return false;
}

/* ---- a round --------------------------------------------------------------------------------------- */

static void found_add(struct source *s, const struct net_addr *a)
{
    for (uint32_t i = 0; i < s->fresh_n; i++)
        if (net_addr_eq(&s->fresh[i], a))
            return;
    if (s->fresh_n < FOUND_MAX)
        s->fresh[s->fresh_n++] = *a;
}

/* Peers that are not there yet are the usual reason: said once, until it works again. */
static void source_failed(struct source *s, int status)
{
    struct cluster_io *c = s->r->c;

    counter_add(&c->counters.resolves_failed, 1);
    LOG(c->log, s->has_failed ? LOG_DEBUG : LOG_NOTICE, "cluster resolve_failed name=%s error=\"%s\"",
        s->host, ares_strerror(status));
    s->has_failed = true;
}

static void source_done(struct source *s, int status)
{
    struct cluster_io *c = s->r->c;

    if (s->fresh_n == 0) {
        source_failed(s, status);
        return;
    }
    if (s->has_failed || s->found_n != s->fresh_n)
        LOG(c->log, LOG_INFO, "cluster resolved name=%s addresses=%u", s->host, s->fresh_n);
    counter_add(&c->counters.resolves, 1);
    s->has_failed = false;
    s->found_n = s->fresh_n;
    memcpy(s->found, s->fresh, s->fresh_n * sizeof s->found[0]);
}

static void query_done(struct query *q, int status)
{
    struct source *s = q->source;

    free(q);
    s->r->pending--;
    if (--s->pending == 0 && status != ARES_EDESTRUCTION)
        source_done(s, status);
}

static struct query *query_new(struct source *s, uint16_t port)
{
    struct query *q = mem_zalloc(sizeof *q);

    q->source = s;
    q->port = port;
    s->pending++;
    s->r->pending++;
    return q;
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
    struct query *q = arg;

    (void)timeouts;
    for (struct ares_addrinfo_node *n = res ? res->nodes : NULL; n; n = n->ai_next) {
        struct net_addr a;
        if (!sockaddr_read(&a, n->ai_addr))
            continue;
        a.port = q->port;
        found_add(q->source, &a);
    }
    ares_freeaddrinfo(res);
    query_done(q, status);
}

static void ask_addresses(struct source *s, const char *host, uint16_t port)
{
    struct ares_addrinfo_hints hints = {
        .ai_family = s->family, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};

    ares_getaddrinfo(s->r->channel, host, NULL, &hints, on_addresses, query_new(s, port));
}

static void on_services(void *arg, int status, int timeouts, unsigned char *answer, int n)
{
    struct query *q = arg;
    struct ares_srv_reply *list = NULL;
    uint32_t left = SRV_MAX;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_srv_reply(answer, n, &list);
    for (struct ares_srv_reply *srv = list; srv && left--; srv = srv->next)
        if (srv->port)
            ask_addresses(q->source, srv->host, srv->port);
    ares_free_data(list);
    query_done(q, status);
}

/* A name that stands for all nodes stands for this one too. */
static void seeds_tell(struct resolver *r)
{
    const struct net_addr *own = &r->c->conf.mesh.advertise;
    struct net_addr all[MEMBERS_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->sources_n; i++)
        for (uint32_t k = 0; k < r->sources[i].found_n && n < MEMBERS_MAX; k++)
            if (!net_addr_eq(&r->sources[i].found[k], own))
                all[n++] = r->sources[i].found[k];
    mesh_seeds_set(r->c->mesh, all, n);
}

static uint32_t interval_ms(const struct resolver *r)
{
    const struct cluster_io_conf *conf = &r->c->conf;

    if (mesh_wants_seeds(r->c->mesh))
        return conf->resolve_ms ? conf->resolve_ms : RESOLVE_MS;
    return conf->resolve_idle_ms ? conf->resolve_idle_ms : RESOLVE_IDLE_MS;
}

static void round_begin(struct resolver *r)
{
    r->next_ms = r->c->now_ms;
    r->is_asking = channel_open(r);
    if (!r->is_asking) {
        LOG(r->c->log, LOG_WARNING, "cluster resolver_unusable");
        r->next_ms += RESOLVE_IDLE_MS;
        return;
    }
    r->pending = 1; /* so that answers from /etc/hosts, which come at once, do not end the round */
    for (uint32_t i = 0; i < r->sources_n; i++) {
        struct source *s = &r->sources[i];
        s->fresh_n = 0;
        if (s->kind == SOURCE_HOST)
            ask_addresses(s, s->host, s->port);
        else if (s->kind == SOURCE_SRV)
            ares_search(r->channel, s->host, ns_c_in, ns_t_srv, on_services, query_new(s, 0));
    }
    r->pending--;
}

static void round_end(struct resolver *r)
{
    ares_destroy(r->channel);
    r->is_asking = false;
    CHECK(list_is_empty(&r->sockets) && r->pending == 0);
    r->next_ms = r->c->now_ms;
    seeds_tell(r);
}

void resolver_start(struct resolver *r)
{
    seeds_tell(r);
    if (r->has_names)
        round_begin(r);
}

void resolver_tick(struct resolver *r)
{
    if (r->is_asking) {
        if (r->pending)
            ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* its timers */
        if (r->pending == 0)
            round_end(r);
        return;
    }
    if (r->has_names && r->c->now_ms >= r->next_ms + interval_ms(r))
        round_begin(r);
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    if (r->is_asking)
        ares_destroy(r->channel);
    ares_library_cleanup();
    free(r->sources);
    free(r);
}
