/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_H
#define COVEY_APP_CONFIG_H

/* The configuration of one node: plain structs that the rest of the program reads, and where each value came
 * from. One table (config_keys.h) says which keys there are; a value is the table's default, replaced by what
 * the YAML file says, replaced by what the environment says. A loaded configuration is complete, checked and
 * never changes; a reload makes another one.
 *
 * Numbers are uint64_t within the bounds of their key, durations are milliseconds, sizes are bytes. A limit
 * that is not set is CONFIG_INFINITY, so `n < limit` needs no special case. Strings are never NULL ("" is
 * unset) and live as long as the configuration. Values that follow from others ("auto" in the file) are
 * already worked out. Relative paths in a file are taken from the folder of the file. */

#include "node/core/acl.h"
#include "node/core/settings.h"
#include "proto/base/err.h"
#include "proto/base/log.h"
#include "storage/store.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_INFINITY UINT64_MAX

enum config_listener_kind { LISTENER_TCP, LISTENER_SSL, LISTENER_WS, LISTENER_WSS, LISTENER_UNIX };
enum config_auto { CONFIG_NO, CONFIG_YES, CONFIG_AUTO };
enum config_verify { VERIFY_NONE, VERIFY_PEER };
enum config_cert_name { CERT_NAME_DISABLED, CERT_NAME_CN, CERT_NAME_DN, CERT_NAME_SAN };
enum config_log_to { LOG_TO_AUTO, LOG_TO_STDERR, LOG_TO_FILE }; /* auto: a file for a daemon only */
enum config_log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum config_discovery { DISCOVERY_STATIC, DISCOVERY_DNS };
enum config_dns_record { DNS_RECORD_A, DNS_RECORD_AAAA, DNS_RECORD_SRV };
enum config_deny { CONFIG_DENY_IGNORE, CONFIG_DENY_DISCONNECT };
enum config_barrier { BARRIER_PEERS, BARRIER_LOCAL };

/* Bits of config_ssl.versions. */
#define CONFIG_TLSV1_2 1u
#define CONFIG_TLSV1_3 2u

struct config_list {
    const char *const *v;
    size_t n;
};

/* An address to bind: always an IP address, nothing is left to resolve. */
struct config_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6; /* "[::]:1883" takes IPv4 too: bind it without IPV6_V6ONLY */
    } u;
    socklen_t len;
};

struct config_node {
    const char *name;
    const char *data_dir; /* absolute; may not exist yet */
    uint64_t workers;     /* 1.. */
    const char *ctl_socket;
    const char *pid_file;
    uint64_t shutdown_timeout_ms;
    bool core_dumps;
};

struct config_mqtt {
    uint64_t max_packet_size;
    uint64_t max_clientid_len;
    uint64_t max_topic_levels;
    uint64_t max_qos_allowed;
    uint64_t max_topic_alias;          /* that a client may use; 0: none */
    uint64_t max_topic_alias_outbound; /* that the broker uses towards a client that lets it; 0: none */
    bool retain_available;
    bool wildcard_subscription;
    bool shared_subscription;
    bool exclusive_subscription;
    enum share_strategy shared_subscription_strategy;
    bool ignore_loop_deliver;
    enum config_auto allow_anonymous;
    uint64_t idle_timeout_ms; /* from accept to a whole CONNECT */
    uint64_t max_inflight;    /* unacknowledged QoS 1 and 2 messages towards a client */
    uint64_t receive_maximum; /* the same from a client, announced in CONNACK */
    uint64_t max_awaiting_rel;
    uint64_t await_rel_timeout_ms;
    uint64_t session_expiry_interval_ms;     /* of MQTT 3.x sessions with clean session 0 */
    uint64_t max_session_expiry_interval_ms; /* of all sessions */
    uint64_t max_mqueue_len;
    uint64_t max_mqueue_bytes;
    bool mqueue_store_qos0;
    uint64_t max_subscriptions;
    bool upgrade_qos;
    uint64_t keepalive_multiplier_percent; /* 150: half as long again */
    uint64_t server_keepalive_ms;          /* 0: what the client asks for; else whole seconds up to 65535 */
    const char *response_information;
    uint64_t max_outbuf; /* bytes waiting for the socket of one client that reads slowly */
};

enum config_http_method { HTTP_METHOD_GET, HTTP_METHOD_POST };
enum config_http_failure { HTTP_FAILURE_DENY, HTTP_FAILURE_IGNORE };
enum config_jwt_from { JWT_FROM_PASSWORD, JWT_FROM_USERNAME };

/* An HTTP server that is asked about clients. */
struct config_hook {
    const char *url; /* "": none is asked */
    enum config_http_method method;
    const char *body;
    struct config_list headers;
    const char *cacertfile;
    uint64_t timeout_ms;
    uint64_t pool_size;
    uint64_t cache_ms;
    enum config_http_failure failure;
};

struct config_auth {
    const char *password_file;   /* "": none */
    const char *jwt_secret_file; /* at most one of these is not "" */
    const char *jwt_public_key_file;
    const char *jwt_jwks_file;
    enum config_jwt_from jwt_from;
    struct config_list jwt_verify_claims;
    const char *jwt_username_claim;
    const char *jwt_acl_claim;
    uint64_t jwt_leeway_ms;
    struct config_hook http;
    uint64_t threads;
    uint64_t remembered;
    uint64_t argon2_memory;
    uint64_t argon2_passes;
};

struct config_authorization {
    const char *file;         /* "": none */
    enum acl_effect no_match; /* with a file: where no rule fits */
    enum config_deny deny_action;
    bool cache_enable;
    uint64_t cache_max_size; /* verdicts, of each worker */
    uint64_t cache_ttl_ms;
    struct config_hook http;
    uint64_t http_cache_max; /* answers, of each worker */
};

struct config_retainer {
    bool enable;
    uint64_t max_payload_size;
    uint64_t max_retained_messages;
    uint64_t msg_expiry_interval_ms; /* CONFIG_INFINITY: retained messages stay */
};

struct config_sys {
    uint64_t sys_msg_interval_ms;       /* 0: not published */
    uint64_t sys_heartbeat_interval_ms; /* 0: not published */
    bool client_connected;              /* events of clients to be published */
    bool client_disconnected;
    bool client_subscribed;
    bool client_unsubscribed;
};

struct config_delayed {
    bool enable;
    uint64_t max_delayed_messages;
};

struct config_flapping {
    bool enable;
    uint64_t max_count;
    uint64_t window_time_ms;
    uint64_t ban_time_ms;
};

struct config_slow_subs {
    bool enable;
    uint64_t threshold_ms;
    uint64_t top_k_num;
    uint64_t expire_interval_ms;
};

struct config_overload {
    bool enable;
    uint64_t max_lag_ms;
    uint64_t critical_lag_ms;
    uint64_t max_memory; /* 0: not known how much there is */
    uint64_t critical_memory;
    uint64_t cooldown_ms;
};

struct config_storage {
    enum store_sync sync;
    uint64_t sync_interval_ms;
    uint64_t map_size; /* 0: the store's own default */
    uint64_t commit_ops;
    uint64_t commit_interval_us;
};

struct config_log {
    enum log_level level;
    enum config_log_to to;
    const char *file;
    enum config_log_format format;
    uint64_t rotation_size;
    uint64_t rotation_count;
};

struct config_journal {
    bool enable;
    uint64_t size;
};

struct config_trace {
    uint64_t max_file_size;
};

struct config_cluster {
    bool enable;
    const char *name;
    struct config_addr bind; /* UDP and TCP */
    const char *advertise;   /* "": the cluster thread works it out from bind */
    const char *mqtt_address;
    enum config_discovery discovery_strategy;
    struct config_list seeds;
    const char *dns_name;
    enum config_dns_record dns_record_type;
    const char *dns_servers; /* "": those of the system */
    const char *secret_file; /* "": none */
    uint64_t autoclean_ms;
    uint64_t probe_interval_ms;
    uint64_t probe_timeout_ms;
    uint64_t indirect_probes;
    uint64_t suspicion_multiplier;
    uint64_t suspicion_max_multiplier;
    uint64_t gossip_interval_ms;
    uint64_t gossip_nodes;
    uint64_t retransmit_multiplier;
    uint64_t push_pull_interval_ms;
    uint64_t awareness_max;
    uint64_t ping_interval_ms;
    uint64_t silence_ms;
    uint64_t ring_size;
    enum config_barrier subscribe_barrier;
    uint64_t subscribe_barrier_timeout_ms;
    uint64_t claim_timeout_ms;
    uint64_t forward_timeout_ms;
    uint64_t drain_rate; /* clients a second */
};

struct config_http {
    bool enable;
    struct config_addr bind;
    const char *bind_text;
    const char *certfile; /* of https; "" where there is none */
    const char *keyfile;
};

/* "" as a file means that none is configured. */
struct config_ssl {
    const char *certfile;
    const char *keyfile;
    const char *cacertfile;
    uint64_t versions;          /* CONFIG_TLSV1_* */
    struct config_list ciphers; /* names starting with TLS_ are TLS 1.3 suites; empty: OpenSSL's choice */
    enum config_verify verify;
    bool fail_if_no_peer_cert;
    const char *crlfile;
    const char *psk_file;
    enum config_cert_name peer_cert_as_username;
    uint64_t handshake_timeout_ms;
};

struct config_websocket {
    const char *mqtt_path;
    uint64_t max_frame_size;
    bool fail_if_no_subprotocol;
};

struct config_listener {
    const char *name; /* "default" */
    const char *id;   /* "tcp:default" */
    enum config_listener_kind kind;
    bool enable;
    bool is_loopback;                  /* only this machine can reach it */
    bool allow_anonymous;              /* of a client that no authentication has checked */
    const char *mountpoint;            /* "": none */
    struct config_list authentication; /* names of methods, as given */
    struct vet_chain vet;
    bool nodelay;
    struct config_list access_rules;
    bool proxy_protocol;
    struct config_list proxy_protocol_trusted;
    uint64_t proxy_protocol_timeout_ms;
    struct config_addr bind;
    const char *bind_text; /* "127.0.0.1:1883", "/run/covey/mqtt.sock" */
    const char *path;      /* of unix, absolute; else NULL */
    const char *mode_text; /* of the socket's file: four octal digits */
    unsigned mode;
    const char *group;
    uint64_t max_connections;
    uint64_t max_conn_rate; /* new connections a second */
    uint64_t messages_rate; /* of each client, a second */
    uint64_t bytes_rate;    /* likewise */
    uint64_t max_packet_size;
    uint64_t backlog;
    struct config_ssl ssl;      /* ssl and wss */
    struct config_websocket ws; /* ws and wss */
};

struct config_item;

struct config {
    const char *file; /* NULL: defaults and environment only */
    struct config_node node;
    struct config_mqtt mqtt;
    struct config_auth auth;
    struct config_authorization authorization;
    struct config_retainer retainer;
    struct config_sys sys;
    struct config_delayed delayed;
    struct config_flapping flapping;
    struct config_slow_subs slow_subs;
    const char *topic_metrics_topics;  /* checked */
    const char *rewrite_rules;         /* checked */
    const char *auto_subscribe_topics; /* checked */
    struct config_overload overload;
    struct config_storage storage;
    struct config_log log;
    struct config_trace trace;
    struct config_journal journal;
    struct config_cluster cluster;
    struct config_http http;
    struct config_http https;
    uint64_t token_expired_time_ms;
    struct config_listener *listeners; /* also those that are not enabled */
    size_t listeners_n;

    /* What follows is the loader's. */
    struct config_item *items;
    size_t items_n;
    struct config_arena *arena;
};

/* "tcp", "ssl", "ws", "wss", "unix". */
const char *config_listener_kind_name(enum config_listener_kind kind);
/* Tokens are looked at: there is a file to check them with. */
bool config_has_jwt(const struct config *conf);

#endif
