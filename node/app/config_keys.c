/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_keys.h"

#include "node/app/config_keys_hooks.h"
#include "node/app/config_keys_listeners.h"
#include "proto/base/check.h"

/* Most rows are one line of facts and one of meaning; clang-format would tear them apart. */
/* clang-format off */

static const char *const strategies[] = {"round_robin",   "random",     "sticky",
                                         "hash_clientid", "hash_topic", "local",  NULL};
static const char *const autos[] = {"false", "true", "auto", NULL};
static const char *const verifies[] = {"verify_none", "verify_peer", NULL};
static const char *const cert_names[] = {"disabled", "cn", "dn", "san", NULL};
static const char *const jwt_froms[] = {"password", "username", NULL};
static const char *const http_methods[] = {"get", "post", NULL};
static const char *const authn_failures[] = {"refuse", "ignore", NULL};
static const char *const authz_failures[] = {"deny", "ignore", NULL};
static const char *const tls_versions[] = {"tlsv1.2", "tlsv1.3", NULL};
static const char *const syncs[] = {"always", "interval", "off", NULL};
static const char *const levels[] = {"debug", "info", "notice", "warning", "error", NULL};
static const char *const log_tos[] = {"auto", "stderr", "file", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const discoveries[] = {"static", "dns", NULL};
static const char *const dns_records[] = {"a", "aaaa", "srv", NULL};
static const char *const effects[] = {"deny", "allow", NULL};
static const char *const deny_actions[] = {"ignore", "disconnect", NULL};
static const char *const barriers[] = {"peers", "local", NULL};

#define RELOAD   CONFIG_F_RELOAD
#define INF      CONFIG_F_INFINITY
#define ZERO_INF CONFIG_F_ZERO_INF
#define DISABLED CONFIG_F_DISABLED
#define AUTO     CONFIG_F_AUTO
#define SECONDS  CONFIG_F_SECONDS
#define MICROS   CONFIG_F_MICROS
#define REQUIRED CONFIG_F_REQUIRED
#define URL_PATH CONFIG_F_URL_PATH
#define BYTES    CONFIG_F_BYTES
#define SECRET   CONFIG_F_SECRET

#define MS_S   1000ull
#define MS_H   (3600 * MS_S)
#define MS_D   (24 * MS_H)
#define MS_MAX (49710 * MS_D) /* whole days: MQTT counts seconds in 32 bits */
#define KB     1024ull
#define MB     (1024 * KB)
#define GB     (1024 * MB)
#define TB     (1024 * GB)

#define KEY(path_, type_, flags_, field_, def_, min_, max_, choices_, meaning_)                              \
    {.path = path_, .type = CONFIG_##type_, .flags = flags_, .offset = offsetof(struct config, field_),      \
     .def = def_, .min = min_, .max = max_, .choices = choices_, .meaning = meaning_}
#define LKEY(path_, type_, flags_, field_, def_, min_, max_, choices_, meaning_)                             \
    {.path = path_, .type = CONFIG_##type_, .flags = flags_, .offset = offsetof(struct config_listener, field_), \
     .def = def_, .min = min_, .max = max_, .choices = choices_, .meaning = meaning_}

const struct config_key config_keys[] = {
    KEY("node.name", STRING, 0, node.name, "covey@127.0.0.1", 1, 128, NULL,
        "name of this node, as name@host"),
    KEY("node.data_dir", PATH, AUTO, node.data_dir, "auto", 0, 0, NULL,
        "folder for everything that is kept; auto is /var/lib/covey for root, else ~/.local/share/covey"),
    KEY("node.workers", INT, AUTO, node.workers, "auto", 0, 64, NULL,
        "threads that serve clients; auto or 0 is the number of processors that the node may use"),
    KEY("node.ctl_socket", PATH, AUTO, node.ctl_socket, "auto", 0, 0, NULL,
        "Unix socket of the command line; auto is ctl.sock in node.data_dir"),
    KEY("node.pid_file", PATH, AUTO, node.pid_file, "auto", 0, 0, NULL,
        "file with the process id; auto is covey.pid in node.data_dir"),
    KEY("node.shutdown_timeout", DURATION, SECONDS, node.shutdown_timeout_ms, "15s", 0, MS_H, NULL,
        "time to say goodbye to clients and to store what is on its way when the node stops"),
    KEY("node.core_dumps", BOOL, 0, node.core_dumps, "false", 0, 0, NULL,
        "leave core dumps, and let processes of the same user look into the memory, with passwords and keys in it"),

    ENABLE_KEY("listeners.tcp.<name>."),
    LISTENER_KEYS("listeners.tcp.<name>.", "127.0.0.1:1883"),
    ENABLE_SSL_KEY("listeners.ssl.<name>."),
    LISTENER_KEYS("listeners.ssl.<name>.", "127.0.0.1:8883"),
    SSL_KEYS("listeners.ssl.<name>."),
    ENABLE_KEY("listeners.ws.<name>."),
    LISTENER_KEYS("listeners.ws.<name>.", "127.0.0.1:8083"),
    WS_KEYS("listeners.ws.<name>."),
    ENABLE_SSL_KEY("listeners.wss.<name>."),
    LISTENER_KEYS("listeners.wss.<name>.", "127.0.0.1:8084"),
    SSL_KEYS("listeners.wss.<name>."),
    WS_KEYS("listeners.wss.<name>."),
    UNIX_KEYS("listeners.unix.<name>."),

    KEY("mqtt.allow_anonymous", ENUM, RELOAD, mqtt.allow_anonymous, "auto", 0, 0, autos,
        "let in clients that no authentication has checked; auto: only where just this machine can connect and no authentication is configured"),
    KEY("mqtt.max_packet_size", SIZE, RELOAD, mqtt.max_packet_size, "1MB", 64, 256 * MB, NULL,
        "largest MQTT packet from a client"),
    KEY("mqtt.max_clientid_len", INT, RELOAD, mqtt.max_clientid_len, "65535", 23, 65535, NULL,
        "longest client id in bytes"),
    KEY("mqtt.max_topic_levels", INT, RELOAD, mqtt.max_topic_levels, "128", 1, 65535, NULL,
        "most levels of a topic or a topic filter"),
    KEY("mqtt.max_qos_allowed", INT, RELOAD, mqtt.max_qos_allowed, "2", 0, 2, NULL,
        "highest QoS that a client may use"),
    KEY("mqtt.max_topic_alias", INT, RELOAD, mqtt.max_topic_alias, "65535", 0, 65535, NULL,
        "topic aliases that a client may use; 0 is none"),
    KEY("mqtt.max_topic_alias_outbound", INT, RELOAD, mqtt.max_topic_alias_outbound, "0", 0, 65535, NULL,
        "topic aliases that the broker uses towards a client that allows them; 0 is none"),
    KEY("mqtt.retain_available", BOOL, RELOAD, mqtt.retain_available, "true", 0, 0, NULL,
        "let clients publish retained messages"),
    KEY("mqtt.wildcard_subscription", BOOL, RELOAD, mqtt.wildcard_subscription, "true", 0, 0, NULL,
        "let clients subscribe with + and #"),
    KEY("mqtt.shared_subscription", BOOL, RELOAD, mqtt.shared_subscription, "true", 0, 0, NULL,
        "let clients use $share/group/filter"),
    KEY("mqtt.shared_subscription_strategy", ENUM, RELOAD, mqtt.shared_subscription_strategy, "round_robin", 0, 0,
        strategies, "which member of a group gets a message"),
    KEY("mqtt.exclusive_subscription", BOOL, RELOAD, mqtt.exclusive_subscription, "false", 0, 0, NULL,
        "let clients use $exclusive/filter, which one client of the cluster has at a time"),
    KEY("mqtt.ignore_loop_deliver", BOOL, RELOAD, mqtt.ignore_loop_deliver, "false", 0, 0, NULL,
        "never deliver a client's own messages to it, as if every subscription had No Local"),
    KEY("mqtt.idle_timeout", DURATION, RELOAD | SECONDS, mqtt.idle_timeout_ms, "15s", 100, MS_H, NULL,
        "time for a new connection to send its CONNECT packet, and for a client to finish the re-authentication (AUTH) that it has begun"),
    KEY("mqtt.max_inflight", INT, RELOAD, mqtt.max_inflight, "32", 1, 65535, NULL,
        "QoS 1 and 2 messages on their way to one client; its Receive Maximum may make it less"),
    KEY("mqtt.receive_maximum", INT, RELOAD, mqtt.receive_maximum, "100", 1, 65535, NULL,
        "QoS 1 and 2 messages that one client may have on their way to the broker (Receive Maximum)"),
    KEY("mqtt.max_awaiting_rel", INT, RELOAD | INF | ZERO_INF, mqtt.max_awaiting_rel, "100", 1, 65535, NULL,
        "QoS 2 messages of one client that wait for PUBREL"),
    KEY("mqtt.await_rel_timeout", DURATION, RELOAD | SECONDS | INF, mqtt.await_rel_timeout_ms, "300s",
        MS_S, MS_MAX, NULL, "how long a QoS 2 message id waits for its PUBREL before it is forgotten"),
    KEY("mqtt.session_expiry_interval", DURATION, RELOAD | SECONDS | INF, mqtt.session_expiry_interval_ms, "2h",
        MS_S, MS_MAX, NULL, "how long the session of an MQTT 3 client with clean session 0 outlives its connection"),
    KEY("mqtt.max_session_expiry_interval", DURATION, RELOAD | SECONDS | INF, mqtt.max_session_expiry_interval_ms,
        "infinity", 0, MS_MAX, NULL, "longest session expiry that a client gets"),
    KEY("mqtt.max_mqueue_len", INT, RELOAD | INF | ZERO_INF, mqtt.max_mqueue_len, "1000", 1, 1000000000, NULL,
        "messages that wait for one client; the oldest is dropped for a new one"),
    KEY("mqtt.max_mqueue_bytes", SIZE, RELOAD | INF | ZERO_INF, mqtt.max_mqueue_bytes, "64MB", 1, TB, NULL,
        "bytes of messages that wait for one client"),
    KEY("mqtt.mqueue_store_qos0", BOOL, RELOAD, mqtt.mqueue_store_qos0, "false", 0, 0, NULL,
        "keep QoS 0 messages too for a client that is away, in memory"),
    KEY("mqtt.max_subscriptions", INT, RELOAD | INF | ZERO_INF, mqtt.max_subscriptions, "infinity", 1, 100000000,
        NULL, "subscriptions of one client"),
    KEY("mqtt.upgrade_qos", BOOL, RELOAD, mqtt.upgrade_qos, "false", 0, 0, NULL,
        "deliver with the QoS of the subscription even when the message was published with a lower one"),
    KEY("mqtt.keepalive_multiplier", DECIMAL, RELOAD, mqtt.keepalive_multiplier_percent, "1.5", 100, 1000, NULL,
        "a client is gone when it is silent for so many keep-alive intervals; MQTT asks for 1.5"),
    KEY("mqtt.server_keepalive", DURATION, RELOAD | SECONDS | DISABLED, mqtt.server_keepalive_ms, "disabled",
        MS_S, 65535 * MS_S, NULL, "keep-alive interval that MQTT 5 clients must use instead of their own"),
    KEY("mqtt.response_information", STRING, RELOAD, mqtt.response_information, "", 0, 65535, NULL,
        "what MQTT 5 clients get that ask for response information; empty is none"),
    KEY("mqtt.max_outbuf", SIZE, RELOAD, mqtt.max_outbuf, "1MB", 4 * KB, GB, NULL,
        "bytes that wait for the socket of one client that reads slowly, before QoS 0 messages to it are dropped"),

    KEY("authentication.password_file", PATH, RELOAD, auth.password_file, "", 0, 0, NULL,
        "file with users and hashes of their passwords, see covey passwd; empty is none"),
    KEY("authentication.jwt.secret_file", PATH, RELOAD, auth.jwt_secret_file, "", 0, 0, NULL,
        "file with the secret of tokens that are signed with HS256; of the files of jwt one is given, or none"),
    KEY("authentication.jwt.public_key_file", PATH, RELOAD, auth.jwt_public_key_file, "", 0, 0, NULL,
        "PEM file with the public key, or the certificate, of tokens that are signed with RS256 or ES256"),
    KEY("authentication.jwt.jwks_file", PATH, RELOAD, auth.jwt_jwks_file, "", 0, 0, NULL,
        "file with a JSON Web Key Set; a token's kid says which of its keys"),
    KEY("authentication.jwt.from", ENUM, RELOAD, auth.jwt_from, "password", 0, 0, jwt_froms,
        "where clients put their token"),
    KEY("authentication.jwt.verify_claims", LIST, RELOAD, auth.jwt_verify_claims, "[]", 0, 16, NULL,
        "claims that a token must have, NAME=VALUE, such as sub=${username} or client=${clientid}"),
    KEY("authentication.jwt.username_claim", STRING, RELOAD, auth.jwt_username_claim, "", 0, 100, NULL,
        "claim that is the user name, whatever the client calls itself; empty: what it calls itself counts"),
    KEY("authentication.jwt.acl_claim", STRING, RELOAD, auth.jwt_acl_claim, "acl", 0, 100, NULL,
        "claim with rules about what the client may publish and subscribe, which are asked before authorization.file; empty: tokens bring no rules"),
    KEY("authentication.jwt.leeway", DURATION, RELOAD | SECONDS, auth.jwt_leeway_ms, "0s", 0, MS_H, NULL,
        "by how much clocks may differ when a token's times are looked at"),
    HOOK_KEYS("authentication.http.", auth.http,
              "URL of a server that is asked about each client, which may have ${clientid}, ${username}, ${password}, ${peerhost} and ${cert_common_name}; empty: none is",
              "{\"clientid\":\"${clientid}\",\"username\":\"${username}\",\"password\":\"${password}\"}",
              "time for the whole answer",
              "how many clients may be asked about at one time; the others wait"),
    HOOK_CACHE_KEY("authentication.http.", auth.http, "0s",
                   "for how long an answer counts for the same client with the same password; 0s: each is asked for"),
    HOOK_FAILURE_KEY("authentication.http.", auth.http, "refuse", authn_failures,
                     "what becomes of clients while the server does not answer: they are refused, or left to the next method"),
    KEY("authentication.threads", INT, 0, auth.threads, "2", 1, 64, NULL,
        "threads that check passwords and signatures; each takes a processor and the memory of a hash while it does"),
    KEY("authentication.remembered_passwords", INT, 0, auth.remembered, "65536", 0, 16777216, NULL,
        "verified passwords that are remembered, as keyed hashes in memory, so that who comes again need not wait"),
    KEY("authentication.argon2.memory", SIZE, RELOAD, auth.argon2_memory, "64MB", 64 * KB, GB, NULL,
        "memory that covey passwd makes a check of a new password take; more makes guessing dearer"),
    KEY("authentication.argon2.passes", INT, RELOAD, auth.argon2_passes, "2", 1, 64, NULL,
        "times that this memory is passed over; more makes guessing dearer, and each first login"),

    KEY("authorization.file", PATH, RELOAD, authorization.file, "", 0, 0, NULL,
        "file with the rules of who may publish and subscribe what, see docs/authorization.md; empty: everybody everything"),
    KEY("authorization.no_match", ENUM, RELOAD, authorization.no_match, "deny", 0, 0, effects,
        "what holds where no rule of the file fits"),
    KEY("authorization.deny_action", ENUM, RELOAD, authorization.deny_action, "ignore", 0, 0, deny_actions,
        "what becomes of a client that publishes what it may not: the message is dropped, or the connection ends"),
    KEY("authorization.cache.enable", BOOL, 0, authorization.cache_enable, "true", 0, 0, NULL,
        "remember verdicts on topics"),
    KEY("authorization.cache.max_size", INT, 0, authorization.cache_max_size, "32768", 1, 16777216, NULL,
        "verdicts that each worker remembers, rounded up to a power of two"),
    KEY("authorization.cache.ttl", DURATION, RELOAD, authorization.cache_ttl_ms, "1m", 1, MS_D, NULL,
        "for how long"),
    HOOK_KEYS("authorization.http.", authorization.http,
              "URL of a server that is asked what no rule decides, which may have ${clientid}, ${username}, ${peerhost}, ${cert_common_name}, ${topic}, ${action}, ${qos} and ${retain}; empty: none is",
              "{\"clientid\":\"${clientid}\",\"username\":\"${username}\",\"topic\":\"${topic}\",\"action\":\"${action}\"}",
              "time for the whole answer, waiting for a free thread included; so long at most a client is not read",
              "how many questions may be asked at one time; the others wait"),
    HOOK_CACHE_KEY("authorization.http.", authorization.http, "1m",
                   "for how long an answer counts for the same connection and topic; 0s: the server is asked about each packet"),
    KEY("authorization.http.cache_max_size", INT, RELOAD, authorization.http_cache_max, "32768", 1, 16777216, NULL,
        "answers that each worker remembers"),
    HOOK_FAILURE_KEY("authorization.http.", authorization.http, "deny", authz_failures,
                     "what holds while the server does not answer: it is denied, or authorization.no_match holds"),

    KEY("retainer.enable", BOOL, RELOAD, retainer.enable, "true", 0, 0, NULL,
        "keep retained messages"),
    KEY("retainer.max_payload_size", SIZE, RELOAD | INF | ZERO_INF, retainer.max_payload_size, "1MB", 1, 256 * MB,
        NULL, "largest payload that is retained"),
    KEY("retainer.max_retained_messages", INT, RELOAD | INF | ZERO_INF, retainer.max_retained_messages, "0", 1,
        UINT32_MAX, NULL, "how many messages are retained"),
    KEY("retainer.msg_expiry_interval", DURATION, RELOAD | SECONDS | INF | ZERO_INF, retainer.msg_expiry_interval_ms,
        "0", MS_S, MS_MAX, NULL, "how long a message is retained that has no expiry of its own"),

    KEY("delayed.enable", BOOL, RELOAD, delayed.enable, "true", 0, 0, NULL,
        "publish messages to $delayed/SECONDS/TOPIC after so many seconds"),
    KEY("delayed.max_delayed_messages", INT, RELOAD | INF | ZERO_INF, delayed.max_delayed_messages, "0", 1,
        UINT32_MAX, NULL, "how many of them may wait on this node"),

    KEY("rewrite.rules", STRING, RELOAD, rewrite_rules, "", 0, 65535, NULL,
        "topics that stand for others, as \"publish|subscribe|all FILTER EXPRESSION TOPIC; ..\"; empty is none"),
    KEY("auto_subscribe.topics", STRING, RELOAD, auto_subscribe_topics, "", 0, 65535, NULL,
        "what every client is subscribed to, as \"FILTER qos=1 nl=0 rap=0 rh=0; ..\", with ${clientid} and ${username}"),

    KEY("topic_metrics.topics", STRING, RELOAD, topic_metrics_topics, "", 0, 65535, NULL,
        "topics whose messages are counted one by one, separated by semicolons"),
    KEY("slow_subs.enable", BOOL, RELOAD, slow_subs.enable, "false", 0, 0, NULL,
        "list clients that take long to acknowledge"),
    KEY("slow_subs.threshold", DURATION, RELOAD, slow_subs.threshold_ms, "500ms", 1, MS_D, NULL,
        "from when the node took a message until PUBACK or PUBREC: what is longer is slow"),
    KEY("slow_subs.top_k_num", INT, RELOAD, slow_subs.top_k_num, "10", 1, 500, NULL,
        "how many pairs of client and topic are listed"),
    KEY("slow_subs.expire_interval", DURATION, RELOAD | SECONDS, slow_subs.expire_interval_ms, "300s", MS_S, MS_D, NULL,
        "how long one is listed after the last slow message"),

    KEY("flapping_detect.enable", BOOL, RELOAD, flapping.enable, "false", 0, 0, NULL,
        "ban clients that connect and disconnect all the time"),
    KEY("flapping_detect.max_count", INT, RELOAD, flapping.max_count, "15", 2, 1000000, NULL,
        "so many ends of connections of one client within window_time are too many"),
    KEY("flapping_detect.window_time", DURATION, RELOAD | SECONDS, flapping.window_time_ms, "1m", MS_S, MS_D, NULL,
        "the time in which they are counted"),
    KEY("flapping_detect.ban_time", DURATION, RELOAD | SECONDS, flapping.ban_time_ms, "5m", MS_S, 365 * MS_D, NULL,
        "how long the client is banned then"),

    KEY("overload_protection.enable", BOOL, RELOAD, overload.enable, "false", 0, 0, NULL,
        "refuse new clients, and then drop QoS 0, rather than do everything late"),
    KEY("overload_protection.max_lag", DURATION, RELOAD, overload.max_lag_ms, "500ms", 10, MS_H, NULL,
        "a worker whose events wait so long refuses new clients"),
    KEY("overload_protection.critical_lag", DURATION, RELOAD, overload.critical_lag_ms, "2s", 10, MS_H, NULL,
        "one whose events wait so long drops QoS 0 messages of its clients as well"),
    KEY("overload_protection.max_memory", SIZE, RELOAD | AUTO, overload.max_memory, "auto", MB, 64 * TB, NULL,
        "memory of the process at which new clients are refused; auto is 80 % of what it may use"),
    KEY("overload_protection.critical_memory", SIZE, RELOAD | AUTO, overload.critical_memory, "auto", MB, 64 * TB,
        NULL, "memory at which QoS 0 messages are dropped as well; auto is 90 % of what it may use"),
    KEY("overload_protection.cooldown", DURATION, RELOAD | SECONDS, overload.cooldown_ms, "5s", 0, MS_H, NULL,
        "how long everything must be well below a limit before what it stopped goes on"),

    KEY("sys_topics.sys_msg_interval", DURATION, RELOAD | SECONDS | DISABLED, sys.sys_msg_interval_ms, "1m", MS_S,
        MS_D, NULL, "how often counters are published under $SYS"),
    KEY("sys_topics.sys_heartbeat_interval", DURATION, RELOAD | SECONDS | DISABLED, sys.sys_heartbeat_interval_ms,
        "30s", MS_S, MS_D, NULL, "how often uptime and time are published under $SYS"),

    KEY("sys_topics.sys_event_messages.client_connected", BOOL, RELOAD, sys.client_connected, "true", 0, 0, NULL,
        "publish under $SYS/brokers/NODE/clients/CLIENTID that a client has connected"),
    KEY("sys_topics.sys_event_messages.client_disconnected", BOOL, RELOAD, sys.client_disconnected, "true", 0, 0, NULL,
        "and that its connection has ended, with the reason"),
    KEY("sys_topics.sys_event_messages.client_subscribed", BOOL, RELOAD, sys.client_subscribed, "false", 0, 0, NULL,
        "and that it has subscribed"),
    KEY("sys_topics.sys_event_messages.client_unsubscribed", BOOL, RELOAD, sys.client_unsubscribed, "false", 0, 0, NULL,
        "and that it has unsubscribed"),

    KEY("storage.sync", ENUM, 0, storage.sync, "always", 0, 0, syncs,
        "when the disk is made to keep what was written: before it is acknowledged, at intervals, or never"),
    KEY("storage.sync_interval", DURATION, 0, storage.sync_interval_ms, "1s", 1, MS_H, NULL,
        "with storage.sync interval: what a loss of power may cost"),
    KEY("storage.map_size", SIZE, AUTO, storage.map_size, "auto", MB, 64 * TB, NULL,
        "the most that the store may grow to; auto is the store's own choice"),
    KEY("storage.commit_ops", INT, 0, storage.commit_ops, "256", 1, 65536, NULL,
        "operations that gather before a commit starts"),
    KEY("storage.commit_interval", DURATION, MICROS, storage.commit_interval_us, "2ms", 0, 1000000, NULL,
        "how long operations gather before a commit starts, while others are on their way"),

    KEY("cluster.enable", BOOL, AUTO, cluster.enable, "auto", 0, 0, NULL,
        "be one of several nodes; auto is true when seeds, a DNS name or cluster.bind are given"),
    KEY("cluster.name", STRING, 0, cluster.name, "covey", 1, 63, NULL,
        "name of the cluster; nodes that use another one are refused"),
    KEY("cluster.bind", ADDR, 0, cluster.bind, "127.0.0.1:7946", 1, 65535, NULL,
        "address and port for the other nodes, UDP and TCP"),
    KEY("cluster.advertise", STRING, AUTO, cluster.advertise, "auto", 0, 64, NULL,
        "IP address and port at which other nodes reach this one; auto is cluster.bind, or what the system sends from"),
    KEY("cluster.mqtt_address", STRING, 0, cluster.mqtt_address, "", 0, 255, NULL,
        "host and port that MQTT 5 clients are sent to when they are to move to this node; empty is none"),
    KEY("cluster.discovery_strategy", ENUM, 0, cluster.discovery_strategy, "static", 0, 0, discoveries,
        "how other nodes are found: by cluster.static.seeds or by cluster.dns.name"),
    KEY("cluster.static.seeds", LIST, 0, cluster.seeds, "[]", 0, 64, NULL,
        "nodes to ask for all others, as host:port; this node itself may be among them"),
    KEY("cluster.dns.name", STRING, 0, cluster.dns_name, "", 0, 255, NULL,
        "name whose records are the nodes"),
    KEY("cluster.dns.record_type", ENUM, 0, cluster.dns_record_type, "a", 0, 0, dns_records,
        "records to ask for; a and aaaa give addresses with the port of cluster.bind, srv hosts and ports"),
    KEY("cluster.dns.servers", STRING, 0, cluster.dns_servers, "", 0, 1024, NULL,
        "name servers as 10.0.0.10:53,10.0.0.11:53; empty is those of the system"),
    KEY("cluster.secret_file", PATH, 0, cluster.secret_file, "", 0, 0, NULL,
        "file with the secret that all nodes share, readable by its owner only; needed unless bound to loopback"),
    KEY("cluster.autoclean", DURATION, SECONDS, cluster.autoclean_ms, "24h", 60 * MS_S, 49 * MS_D, NULL,
        "when a dead node is taken out of the cluster; until then it is expected back"),
    KEY("cluster.probe_interval", DURATION, 0, cluster.probe_interval_ms, "1s", 50, 60 * MS_S, NULL,
        "each node probes one other so often; shorter finds dead nodes sooner and takes stalls for deaths"),
    KEY("cluster.probe_timeout", DURATION, 0, cluster.probe_timeout_ms, "400ms", 10, 60 * MS_S, NULL,
        "wait for the answer before others are asked to probe; raise it above the usual round trip"),
    KEY("cluster.indirect_probes", INT, 0, cluster.indirect_probes, "3", 0, 16, NULL,
        "how many others are asked to probe; more tells a lost packet from a dead node"),
    KEY("cluster.suspicion_multiplier", INT, 0, cluster.suspicion_multiplier, "4", 1, 100, NULL,
        "suspect is dead after at least this x max(1, log10 N) x probe_interval; more forgives longer stalls"),
    KEY("cluster.suspicion_max_multiplier", INT, 0, cluster.suspicion_max_multiplier, "6", 1, 100, NULL,
        "and after at most this x that time, less with each further node that suspects it; more forgives more"),
    KEY("cluster.gossip_interval", DURATION, 0, cluster.gossip_interval_ms, "200ms", 10, 10 * MS_S, NULL,
        "news of members is told so often; shorter spreads it faster and sends more packets"),
    KEY("cluster.gossip_nodes", INT, 0, cluster.gossip_nodes, "3", 1, 16, NULL,
        "to so many others each time; more spreads it faster and sends more packets"),
    KEY("cluster.retransmit_multiplier", INT, 0, cluster.retransmit_multiplier, "4", 1, 32, NULL,
        "each piece of news is told this x ceil(log10(N + 1)) times; more where packets get lost"),
    KEY("cluster.push_pull_interval", DURATION, 0, cluster.push_pull_interval_ms, "30s", MS_S, MS_H, NULL,
        "two nodes compare all they know of members so often; shorter mends what gossip missed sooner"),
    KEY("cluster.awareness_max", INT, 0, cluster.awareness_max, "8", 1, 32, NULL,
        "a node that is slow itself waits up to this x longer for the others; 1 never does"),
    KEY("cluster.ping_interval", DURATION, 0, cluster.ping_interval_ms, "500ms", 20, 60 * MS_S, NULL,
        "an idle link to another node is pinged so often"),
    KEY("cluster.silence", DURATION, 0, cluster.silence_ms, "1400ms", 50, 10 * 60 * MS_S, NULL,
        "a link that is silent so long is broken and made anew; more than 2 x ping_interval"),
    KEY("cluster.ring_size", SIZE, 0, cluster.ring_size, "64MB", MB, 16 * GB, NULL,
        "bytes kept for one other node until it has them; about rate x size of messages x the outage to bridge"),
    KEY("cluster.subscribe_barrier", ENUM, 0, cluster.subscribe_barrier, "peers", 0, 0, barriers,
        "SUBACK waits until the other nodes know the subscription (peers) or does not wait (local)"),
    KEY("cluster.subscribe_barrier_timeout", DURATION, 0, cluster.subscribe_barrier_timeout_ms, "250ms", 1,
        60 * MS_S, NULL, "at most so long; more than the round trip between nodes"),
    KEY("cluster.claim_timeout", DURATION, 0, cluster.claim_timeout_ms, "500ms", 10, 60 * MS_S, NULL,
        "CONNECT waits so long for the node that has the client's session; more prefers the session, less the client"),
    KEY("cluster.forward_timeout", DURATION, 0, cluster.forward_timeout_ms, "5s", 100, 10 * 60 * MS_S, NULL,
        "PUBACK and PUBREC wait so long for the nodes of the subscribers; less than the clients' patience"),
    KEY("cluster.drain_rate", RATE, 0, cluster.drain_rate, "100/s", 1, 1000000, NULL,
        "clients that a drain moves away in a second; N of them take N / this seconds"),

    KEY("dashboard.listeners.http.enable", BOOL, 0, http.enable, "true", 0, 0, NULL,
        "whether to answer HTTP: the dashboard, its API below /api/v5, /livez, /readyz and /status"),
    KEY("dashboard.listeners.http.bind", ADDR, 0, http.bind, "127.0.0.1:18083", 1, 65535, NULL,
        "address and port for HTTP; whoever can reach it sees health and version, and may try passwords"),
    KEY("dashboard.listeners.https.enable", BOOL, 0, https.enable, "false", 0, 0, NULL,
        "whether to answer HTTPS: the same over TLS 1.2 and 1.3"),
    KEY("dashboard.listeners.https.bind", ADDR, 0, https.bind, "127.0.0.1:18084", 1, 65535, NULL,
        "address and port for HTTPS"),
    KEY("dashboard.listeners.https.certfile", PATH, 0, https.certfile, "", 0, 0, NULL,
        "PEM file of the certificate for HTTPS, then its chain; taken anew when it changes"),
    KEY("dashboard.listeners.https.keyfile", PATH, 0, https.keyfile, "", 0, 0, NULL,
        "PEM file of its private key, without a passphrase"),
    KEY("dashboard.token_expired_time", DURATION, 0, token_expired_time_ms, "60m", 60 * MS_S, 24 * MS_H, NULL,
        "a login to dashboard or API that is not used for so long ends; at the latest after a day"),

    KEY("trace.max_file_size", SIZE, 0, trace.max_file_size, "64MB", 4 * KB, TB, NULL,
        "a trace ends when its file, NAME.log in the folder trace of node.data_dir, has this size"),

    KEY("journal.enable", BOOL, RELOAD, journal.enable, "true", 0, 0, NULL,
        "remember what happened lately to clients and messages, for covey ctl why"),
    KEY("journal.size", SIZE, RELOAD, journal.size, "2MB", 16 * KB, GB, NULL,
        "memory of each worker for that, about 100 bytes an event; a power of two counts; when it changes, all go"),

    KEY("log.level", ENUM, RELOAD, log.level, "info", 0, 0, levels,
        "what is logged: this level and those above it"),
    KEY("log.to", ENUM, 0, log.to, "auto", 0, 0, log_tos,
        "where the log goes; auto is the file for a node that runs in the background, else stderr"),
    KEY("log.file", PATH, AUTO, log.file, "auto", 0, 0, NULL,
        "the log file; auto is log/covey.log in node.data_dir"),
    KEY("log.format", ENUM, RELOAD, log.format, "text", 0, 0, log_formats,
        "one line of text or one JSON object an event"),
    KEY("log.rotation.size", SIZE, INF, log.rotation_size, "50MB", KB, TB, NULL,
        "size at which the log file becomes FILE.1, and a new one begins; infinity is never"),
    KEY("log.rotation.count", INT, 0, log.rotation_count, "10", 1, 1000, NULL,
        "old log files that are kept, FILE.1 being the youngest"),
};
const size_t config_keys_n = array_len(config_keys);
/* clang-format on */

#define NAME_MARK "<name>"

bool config_name_is_valid(const char *name, size_t n)
{
    if (n == 0 || n > CONFIG_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '-';
        if (!ok)
            return false;
    }
    return true;
}

bool config_path_matches(const char *pattern, const char *path, enum config_match how)
{
    for (;;) {
        size_t want = strcspn(pattern, "."), have = strcspn(path, ".");
        bool is_name = want == sizeof NAME_MARK - 1 && memcmp(pattern, NAME_MARK, want) == 0;
        if (is_name ? !config_name_is_valid(path, have) : want != have || memcmp(pattern, path, want) != 0)
            return false;
        pattern += want;
        path += have;
        if (*path == 0)
            return how == MATCH_WHOLE ? *pattern == 0 : *pattern != 0;
        if (*pattern == 0)
            return false;
        pattern++;
        path++;
    }
}

const struct config_key *config_key_find(const char *path)
{
    for (size_t i = 0; i < config_keys_n; i++) {
        if (config_path_matches(config_keys[i].path, path, MATCH_WHOLE))
            return &config_keys[i];
    }
    return NULL;
}

bool config_key_is_section(const char *path)
{
    if (*path == 0)
        return true;
    for (size_t i = 0; i < config_keys_n; i++) {
        if (config_path_matches(config_keys[i].path, path, MATCH_PREFIX))
            return true;
    }
    return false;
}

bool config_key_is_named(const struct config_key *key)
{
    return strstr(key->path, NAME_MARK) != NULL;
}

bool config_key_has_default(const struct config_key *key, const char *path)
{
    return !(key->flags & CONFIG_F_REQUIRED) || strstr(path, ".default.") != NULL;
}

static const char *const kinds[] = {"tcp", "ssl", "ws", "wss", "unix"};

const char *config_listener_kind_name(enum config_listener_kind kind)
{
    return kinds[kind];
}

enum config_listener_kind config_key_kind(const struct config_key *key)
{
    const char *kind = key->path + sizeof "listeners." - 1;
    for (size_t i = 0; i < array_len(kinds); i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(kind, kinds[i], n) == 0 && kind[n] == '.')
            return (enum config_listener_kind)i;
    }
    check_failed(__FILE__, __LINE__, "a key with a name is a listener's");
}
