/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cluster.h"

#include "cluster/io/sockaddr.h"
#include "node/app/config_value.h"
#include "proto/base/check.h"

static void members_conf_of(struct members_conf *out, const struct config_cluster *c)
{
    out->probe_interval_ms = (uint32_t)c->probe_interval_ms;
    out->probe_timeout_ms = (uint32_t)c->probe_timeout_ms;
    out->indirect_probes = (uint32_t)c->indirect_probes;
    out->suspicion_mult = (uint32_t)c->suspicion_multiplier;
    out->suspicion_max_mult = (uint32_t)c->suspicion_max_multiplier;
    out->gossip_interval_ms = (uint32_t)c->gossip_interval_ms;
    out->gossip_nodes = (uint32_t)c->gossip_nodes;
    out->retransmit_mult = (uint32_t)c->retransmit_multiplier;
    out->push_pull_ms = (uint32_t)c->push_pull_interval_ms;
    out->reclaim_ms = (uint32_t)c->autoclean_ms;
    out->awareness_max = (uint32_t)c->awareness_max;
}

static void mesh_conf_of(struct mesh_conf *out, const struct config *conf)
{
    const struct config_cluster *c = &conf->cluster;
    mesh_conf_default(out);
    members_conf_of(&out->members, c);
    out->name = conf->node.name;
    out->cluster = c->name;
    out->mqtt_address = c->mqtt_address;
    out->ring_bytes_max = c->ring_size;
    out->ping_ms = (uint32_t)c->ping_interval_ms;
    out->silent_ms = (uint32_t)c->silence_ms;
    out->barrier_ms = c->subscribe_barrier == BARRIER_LOCAL ? 0 : (uint32_t)c->subscribe_barrier_timeout_ms;
    out->claim_ms = (uint32_t)c->claim_timeout_ms;
    out->forward_ms = (uint32_t)c->forward_timeout_ms;
    /* Port 0: the cluster thread works it out. */
    if (*c->advertise && !net_addr_parse(&out->advertise, c->advertise, config_addr_port(&c->bind)))
        check_failed(__FILE__, __LINE__, "the configuration is checked");
}

void cluster_conf_of(struct cluster_io_conf *out, const struct config *conf)
{
    static const enum cluster_dns records[] = {CLUSTER_DNS_A, CLUSTER_DNS_AAAA, CLUSTER_DNS_SRV};
    const struct config_cluster *c = &conf->cluster;
    *out = (struct cluster_io_conf){.secret_file = c->secret_file};
    mesh_conf_of(&out->mesh, conf);
    CHECK(sockaddr_read(&out->bind, &c->bind.u.sa));
    if (c->discovery_strategy == DISCOVERY_DNS) {
        out->dns = records[c->dns_record_type];
        out->dns_name = c->dns_name;
        out->dns_servers = c->dns_servers;
    } else {
        out->seeds = c->seeds.v;
        out->seeds_n = (uint32_t)c->seeds.n;
    }
}
