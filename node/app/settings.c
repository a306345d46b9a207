/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/settings.h"

#include "node/core/client_events.h"
#include "proto/base/mem.h"

#include <string.h>

/* Limits of the cores are 0 where there is none. */
static uint32_t limit32(uint64_t v)
{
    return v >= UINT32_MAX ? 0 : (uint32_t)v;
}
static uint64_t limit64(uint64_t v)
{
    return v == CONFIG_INFINITY ? 0 : v;
}
static uint16_t clamp16(uint64_t v)
{
    return v > UINT16_MAX ? UINT16_MAX : (uint16_t)v;
}
static uint32_t clamp32(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}
static uint32_t seconds(uint64_t ms)
{
    return ms == CONFIG_INFINITY ? SECONDS_FOREVER : clamp32(ms / 1000);
}

static unsigned events_of(const struct config_sys *s)
{
    return (s->client_connected ? EVENT_CONNECTED : 0u) | (s->client_disconnected ? EVENT_DISCONNECTED : 0u) |
           (s->client_subscribed ? EVENT_SUBSCRIBED : 0u) |
           (s->client_unsubscribed ? EVENT_UNSUBSCRIBED : 0u);
}

struct settings settings_of(const struct config *conf)
{
    const struct config_mqtt *m = &conf->mqtt;
    return (struct settings){
        .listener = "",
        .anonymous_allowed = m->allow_anonymous == CONFIG_YES,
        .packet_size_max = clamp32(m->max_packet_size),
        .client_id_bytes_max = clamp16(m->max_clientid_len),
        .topic_levels_max = m->max_topic_levels == CONFIG_INFINITY ? 0 : clamp16(m->max_topic_levels),
        .qos_max = (uint8_t)m->max_qos_allowed,
        .topic_alias_max = clamp16(m->max_topic_alias),
        .topic_alias_out_max = clamp16(m->max_topic_alias_outbound),
        .retain_available = m->retain_available && conf->retainer.enable,
        .wildcard_available = m->wildcard_subscription,
        .exclusive_available = m->exclusive_subscription,
        .shared_available = m->shared_subscription,
        .ignore_loop_deliver = m->ignore_loop_deliver,
        .upgrade_qos = m->upgrade_qos,
        .queue_qos0 = m->mqueue_store_qos0,
        .share_strategy = m->shared_subscription_strategy,
        .idle_timeout_ms = clamp32(m->idle_timeout_ms),
        .inflight_max = clamp16(m->max_inflight),
        .receive_max =
            clamp16(m->receive_maximum < m->max_awaiting_rel ? m->receive_maximum : m->max_awaiting_rel),
        .await_rel_timeout_s =
            m->await_rel_timeout_ms == CONFIG_INFINITY ? 0 : seconds(m->await_rel_timeout_ms),
        .session_expiry_default_s = seconds(m->session_expiry_interval_ms),
        .session_expiry_max_s = seconds(m->max_session_expiry_interval_ms),
        .queue_len_max = limit32(m->max_mqueue_len),
        .queue_bytes_max = limit64(m->max_mqueue_bytes),
        .subscriptions_max = limit32(m->max_subscriptions),
        .keep_alive_percent = (uint32_t)m->keepalive_multiplier_percent,
        .server_keep_alive_s = clamp16(m->server_keepalive_ms / 1000),
        .outbuf_bytes_max = clamp32(m->max_outbuf),
        .response_info = m->response_information,
        .retained_payload_max = limit32(conf->retainer.max_payload_size),
        .retained_count_max = limit64(conf->retainer.max_retained_messages),
        .retained_expiry_s = conf->retainer.msg_expiry_interval_ms == CONFIG_INFINITY
                                 ? 0
                                 : seconds(conf->retainer.msg_expiry_interval_ms),
        .events = events_of(&conf->sys),
        .topic_metrics = conf->topic_metrics_topics,
        .slow_subs_ms = conf->slow_subs.enable ? clamp32(conf->slow_subs.threshold_ms) : 0,
        .slow_subs_max = clamp32(conf->slow_subs.top_k_num),
        .slow_subs_expiry_ms = conf->slow_subs.expire_interval_ms,
        .journal_bytes = conf->journal.enable ? conf->journal.size : 0,
        .rewrite_rules = conf->rewrite_rules,
        .auto_subscribe = conf->auto_subscribe_topics,
        .delayed_available = conf->delayed.enable,
        .delayed_count_max = limit64(conf->delayed.max_delayed_messages),
        .flapping_count_max = conf->flapping.enable ? clamp32(conf->flapping.max_count) : 0,
        .flapping_window_ms = clamp32(conf->flapping.window_time_ms),
        .flapping_ban_ms = conf->flapping.ban_time_ms,
        .acl_ttl_ms = clamp32(conf->authorization.cache_ttl_ms),
        .acl_disconnects = conf->authorization.deny_action == CONFIG_DENY_DISCONNECT,
        .acl_lets_unmatched = conf->authorization.no_match == ACL_ALLOW,
        .acl_by_client = (config_has_jwt(conf) && *conf->auth.jwt_acl_claim) || *conf->auth.http.url,
        .overload = {.is_on = conf->overload.enable,
                     .lag_ms = {conf->overload.max_lag_ms, conf->overload.critical_lag_ms},
                     .memory_bytes = {conf->overload.max_memory, conf->overload.critical_memory},
                     .cooldown_ms = conf->overload.cooldown_ms},
    };
}

struct settings settings_of_listener(const struct config *conf, const struct config_listener *l)
{
    struct settings s = settings_of(conf);
    s.listener = l->id;
    s.anonymous_allowed = l->allow_anonymous;
    s.vet = l->vet;
    s.mountpoint = l->mountpoint;
    s.packet_size_max = clamp32(l->max_packet_size);
    s.messages_rate_max = limit64(l->messages_rate);
    s.bytes_rate_max = limit64(l->bytes_rate);
    return s;
}

/* The names that are (or are not) TLS 1.3 suites, as OpenSSL takes them: joined by colons. */
static char *cipher_names(const struct config_list *list, bool tls13)
{
    size_t n = 1;
    for (size_t i = 0; i < list->n; i++)
        n += strlen(list->v[i]) + 1;
    char *text = mem_zalloc(n);
    char *at = text;
    for (size_t i = 0; i < list->n; i++) {
        size_t len = strlen(list->v[i]);
        if ((strncmp(list->v[i], "TLS_", 4) == 0) != tls13)
            continue;
        if (at > text)
            *at++ = ':';
        memcpy(at, list->v[i], len);
        at += len;
    }
    return text;
}

static enum io_tls_verify verify_of(const struct config_ssl *s)
{
    if (s->verify == VERIFY_NONE)
        return IO_VERIFY_NONE;
    return s->fail_if_no_peer_cert ? IO_VERIFY_REQUIRED : IO_VERIFY_OPTIONAL;
}

static enum io_cert_name cert_name_of(enum config_cert_name n)
{
    switch (n) {
    case CERT_NAME_DISABLED:
        return IO_CERT_NONE;
    case CERT_NAME_CN:
        return IO_CERT_CN;
    case CERT_NAME_DN:
        return IO_CERT_DN;
    case CERT_NAME_SAN:
        return IO_CERT_SAN;
    }
    return IO_CERT_NONE;
}

static enum io_kind kind_of(enum config_listener_kind k)
{
    switch (k) {
    case LISTENER_TCP:
        return IO_TCP;
    case LISTENER_SSL:
        return IO_SSL;
    case LISTENER_WS:
        return IO_WS;
    case LISTENER_WSS:
        return IO_WSS;
    case LISTENER_UNIX:
        return IO_UNIX;
    }
    return IO_TCP;
}

void listener_conf_of(struct io_listener_conf *out, const struct config_listener *l,
                      const struct settings *settings, struct config_strings *held)
{
    held->ciphers = cipher_names(&l->ssl.ciphers, false);
    held->ciphersuites = cipher_names(&l->ssl.ciphers, true);
    *out = (struct io_listener_conf){
        .kind = kind_of(l->kind),
        .name = l->id,
        .file = {.path = l->path, .mode = l->mode, .group = l->group},
        .connections_max = limit32(l->max_connections),
        .conn_rate_max = limit32(l->max_conn_rate),
        .backlog = (int)l->backlog,
        .is_enabled = l->enable,
        .has_nagle = !l->nodelay,
        .access_rules = l->access_rules.v,
        .access_rules_n = l->access_rules.n,
        .proxies = l->proxy_protocol ? l->proxy_protocol_trusted.v : NULL,
        .proxies_n = l->proxy_protocol ? l->proxy_protocol_trusted.n : 0,
        .proxy_timeout_ms = clamp32(l->proxy_protocol_timeout_ms),
        .settings = settings,
        .tls = {.certfile = l->ssl.certfile,
                .keyfile = l->ssl.keyfile,
                .cafile = l->ssl.cacertfile,
                .crlfile = l->ssl.crlfile,
                .pskfile = l->ssl.psk_file,
                .user_from = cert_name_of(l->ssl.peer_cert_as_username),
                .versions = (l->ssl.versions & CONFIG_TLSV1_2 ? IO_TLS_1_2 : 0u) |
                            (l->ssl.versions & CONFIG_TLSV1_3 ? IO_TLS_1_3 : 0u),
                .ciphers = held->ciphers,
                .ciphersuites = held->ciphersuites,
                .verify = verify_of(&l->ssl),
                .handshake_timeout_ms = clamp32(l->ssl.handshake_timeout_ms)},
        .ws = {.path = l->ws.mqtt_path,
               .frame_bytes_max = limit64(l->ws.max_frame_size),
               .subprotocol =
                   l->ws.fail_if_no_subprotocol ? IO_WS_SUBPROTOCOL_REQUIRED : IO_WS_SUBPROTOCOL_OPTIONAL},
    };
    memcpy(&out->addr, &l->bind.u, l->bind.len);
}

static struct hook_server_conf hook_server_conf_of(const char *name, const struct config_hook *c)
{
    return (struct hook_server_conf){.name = name,
                                     .url = c->url,
                                     .body = c->body,
                                     .cafile = c->cacertfile,
                                     .headers = c->headers.v,
                                     .headers_n = c->headers.n,
                                     .is_post = c->method == HTTP_METHOD_POST,
                                     .timeout_ms = (uint32_t)c->timeout_ms};
}

struct authn_conf authn_conf_of(const struct config *conf, struct log_sink *log)
{
    const struct config_auth *c = &conf->auth;
    return (struct authn_conf){
        .password_file = c->password_file,
        .jwt = {.secret_file = c->jwt_secret_file,
                .public_key_file = c->jwt_public_key_file,
                .jwks_file = c->jwt_jwks_file,
                .claims = c->jwt_verify_claims.v,
                .claims_n = c->jwt_verify_claims.n,
                .username_claim = c->jwt_username_claim,
                .acl_claim = c->jwt_acl_claim,
                .is_in_username = c->jwt_from == JWT_FROM_USERNAME,
                .leeway_s = (uint32_t)(c->jwt_leeway_ms / 1000)},
        .http = {.server = hook_server_conf_of("auth http", &c->http),
                 .failure_ignores = c->http.failure == HTTP_FAILURE_IGNORE,
                 .cache_ms = (uint32_t)c->http.cache_ms,
                 .threads = (uint32_t)c->http.pool_size},
        .threads = (uint32_t)c->threads,
        .remembered_max = (uint32_t)c->remembered,
        .log = log,
    };
}

struct authz_conf authz_conf_of(const struct config *conf)
{
    const struct config_authorization *c = &conf->authorization;
    return (struct authz_conf){
        .server = hook_server_conf_of("acl http", &c->http),
        .failure_ignores = c->http.failure == HTTP_FAILURE_IGNORE,
        .threads = (uint32_t)c->http.pool_size,
        .recalled_max = (uint32_t)c->http_cache_max,
        .recall_ms = (uint32_t)c->http.cache_ms,
    };
}
