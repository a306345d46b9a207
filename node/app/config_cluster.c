/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_build.h"

#include "cluster/io/sockaddr.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { HOST_MAX = 256 };

static struct config_item *item_of(struct config_build *b, const char *path)
{
    return config_build_item(b, path);
}

static bool is_given(struct config_build *b, const char *path)
{
    return item_of(b, path)->origin != CONFIG_FROM_DEFAULT;
}

void config_cluster_resolve(struct config_build *b)
{
    struct config_cluster *c = &b->conf->cluster;
    if (item_of(b, "cluster.enable")->is_auto)
        c->enable = c->seeds.n > 0 || *c->dns_name || is_given(b, "cluster.bind");
}

/* An address, or a name that DNS can have, with a port. */
static bool is_host_port(const char *text, uint16_t port_default)
{
    static const char host_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    struct net_addr a;
    char host[HOST_MAX];
    uint16_t port;
    if (net_addr_parse(&a, text, port_default))
        return true;
    return host_port_split(text, port_default, host, sizeof host, &port) && !strchr(host, ':') &&
           host[strspn(host, host_chars)] == 0;
}

static void error(struct config_build *b, const char *path, const char *message)
{
    config_build_note(b, CONFIG_ERROR, item_of(b, path), message);
}

static void warning(struct config_build *b, const char *path, const char *message)
{
    config_build_note(b, CONFIG_WARNING, item_of(b, path), message);
}

/* Whoever reads it is a node. */
static void secret_check(struct config_build *b)
{
    const char *file = b->conf->cluster.secret_file;
    struct stat st;
    if (*file == 0 && !config_addr_is_loopback(&b->conf->cluster.bind))
        error(b, "cluster.secret_file",
              "must be given, since others can reach cluster.bind; make one and copy it to every node: "
              "head -c 32 /dev/urandom | base64 > FILE; chmod 600 FILE");
    config_build_file_check(b, item_of(b, "cluster.secret_file"));
    if (*file && b->source->files == CONFIG_FILES_CHECKED && stat(file, &st) == 0 && S_ISREG(st.st_mode) &&
        (st.st_mode & 077))
        error(b, "cluster.secret_file",
              config_arena_printf(b->report->arena, "others than its owner can use it: chmod 600 %s", file));
}

/* Listeners of MQTT and HTTP are TCP, and so are the links between nodes. */
static void bind_check(struct config_build *b)
{
    const struct config *conf = b->conf;
    const struct config_addr *bind = &conf->cluster.bind;
    const char *other = NULL;
    for (size_t i = 0; i < conf->listeners_n; i++) {
        const struct config_listener *l = &conf->listeners[i];
        if (l->enable && l->bind.len && config_addr_collides(&l->bind, bind))
            other = l->id;
    }
    if (conf->http.enable && config_addr_collides(&conf->http.bind, bind))
        other = "dashboard.listeners.http";
    if (conf->https.enable && config_addr_collides(&conf->https.bind, bind))
        other = "dashboard.listeners.https";
    if (other)
        error(b, "cluster.bind",
              config_arena_printf(b->report->arena, "%s is taken by the listener %s",
                                  config_addr_text(bind, b->report->arena), other));
}

static void address_check(struct config_build *b)
{
    const struct config_cluster *c = &b->conf->cluster;
    uint16_t port = config_addr_port(&c->bind);
    struct net_addr a;
    if (!is_given(b, "node.name"))
        warning(b, "node.name", "is not given: nodes of one name are hard to tell apart");
    if (*c->advertise && (!net_addr_parse(&a, c->advertise, port) || net_addr_is_any(&a)))
        error(b, "cluster.advertise",
              "must be the IP address and port of this machine, as other nodes reach it");
    if (*c->mqtt_address && !is_host_port(c->mqtt_address, 0))
        error(b, "cluster.mqtt_address", "must be host:port");
}

static void seeds_check(struct config_build *b)
{
    const struct config_cluster *c = &b->conf->cluster;
    bool is_local = config_addr_is_loopback(&c->bind);
    const char *elsewhere = NULL;
    for (size_t i = 0; i < c->seeds.n; i++) {
        struct net_addr a;
        const char *seed = c->seeds.v[i];
        if (!is_host_port(seed, config_addr_port(&c->bind)))
            error(
                b, "cluster.static.seeds",
                config_arena_printf(b->report->arena, "\"%s\" is not host:port such as 10.0.0.1:7946", seed));
        else if (net_addr_parse(&a, seed, 1) && !net_addr_is_loopback(&a))
            elsewhere = seed;
    }
    if (is_local && elsewhere)
        warning(b, "cluster.bind",
                config_arena_printf(b->report->arena, "only this machine can reach it, but %s is another one",
                                    elsewhere));
}

static void discovery_check(struct config_build *b)
{
    const struct config_cluster *c = &b->conf->cluster;
    seeds_check(b);
    if (c->discovery_strategy == DISCOVERY_DNS && *c->dns_name == 0)
        error(b, "cluster.dns.name", "must be given with cluster.discovery_strategy dns");
    if (c->discovery_strategy == DISCOVERY_STATIC && *c->dns_name)
        warning(b, "cluster.dns.name", "is not used, since cluster.discovery_strategy is static");
    if (c->discovery_strategy == DISCOVERY_DNS && c->seeds.n)
        warning(b, "cluster.static.seeds", "are not used, since cluster.discovery_strategy is dns");
}

static void times_check(struct config_build *b)
{
    const struct config_cluster *c = &b->conf->cluster;
    if (c->probe_timeout_ms >= c->probe_interval_ms)
        error(b, "cluster.probe_timeout", "must be less than cluster.probe_interval");
    if (c->silence_ms <= 2 * c->ping_interval_ms)
        error(b, "cluster.silence", "must be more than twice cluster.ping_interval");
}

void config_cluster_check(struct config_build *b)
{
    if (!b->conf->cluster.enable)
        return;
    secret_check(b);
    bind_check(b);
    address_check(b);
    discovery_check(b);
    times_check(b);
}
