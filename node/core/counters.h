/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_COUNTERS_H
#define COVEY_CORE_COUNTERS_H

/* What a shard counts; plain additions by its own thread. Others read them as a copy taken on that thread.
 * The names are what ctl, $SYS and the metrics show; they follow EMQX's where one exists. Those of
 * http stand in the order of enum hook_outcome. */

#include <stdint.h>

#define COVEY_COUNTERS(X)                                           \
    X(BYTES_RECEIVED, "bytes.received")                             \
    X(BYTES_SENT, "bytes.sent")                                     \
    X(PACKETS_RECEIVED, "packets.received")                         \
    X(PACKETS_SENT, "packets.sent")                                 \
    X(CONNECT_RECEIVED, "packets.connect.received")                 \
    X(PUBLISH_RECEIVED, "packets.publish.received")                 \
    X(PUBLISH_SENT, "packets.publish.sent")                         \
    X(SUBSCRIBE_RECEIVED, "packets.subscribe.received")             \
    X(UNSUBSCRIBE_RECEIVED, "packets.unsubscribe.received")         \
    X(PINGREQ_RECEIVED, "packets.pingreq.received")                 \
    X(DISCONNECT_RECEIVED, "packets.disconnect.received")           \
    X(DISCONNECT_SENT, "packets.disconnect.sent")                   \
    X(AUTH_RECEIVED, "packets.auth.received")                       \
    X(AUTH_SENT, "packets.auth.sent")                               \
    X(MESSAGES_RECEIVED, "messages.received")                       \
    X(MESSAGES_QOS0_RECEIVED, "messages.qos0.received")             \
    X(MESSAGES_QOS1_RECEIVED, "messages.qos1.received")             \
    X(MESSAGES_QOS2_RECEIVED, "messages.qos2.received")             \
    X(MESSAGES_SENT, "messages.sent")                               \
    X(MESSAGES_QOS0_SENT, "messages.qos0.sent")                     \
    X(MESSAGES_QOS1_SENT, "messages.qos1.sent")                     \
    X(MESSAGES_QOS2_SENT, "messages.qos2.sent")                     \
    X(MESSAGES_ACKED, "messages.acked")                             \
    X(SLOW_DELIVERIES, "messages.acked.slow")                       \
    X(MESSAGES_RETAINED, "messages.retained")                       \
    X(MESSAGES_STORED, "messages.stored")                           \
    X(DROPPED_NO_SUBSCRIBERS, "messages.dropped.no_subscribers")    \
    X(DROPPED_QUEUE_FULL, "messages.dropped.queue_full")            \
    X(DROPPED_SLOW_READER, "messages.dropped.slow_reader")          \
    X(DROPPED_OFFLINE_QOS0, "messages.dropped.offline_qos0")        \
    X(DROPPED_EXPIRED, "messages.dropped.expired")                  \
    X(DROPPED_TOO_LARGE, "messages.dropped.too_large")              \
    X(DROPPED_NO_LOCAL, "messages.dropped.no_local")                \
    X(DROPPED_STORE, "messages.dropped.store_failed")               \
    X(DROPPED_DAMAGED, "messages.dropped.store_damaged")            \
    X(DROPPED_SESSION_END, "messages.dropped.session_ended")        \
    X(DROPPED_AWAIT_REL, "messages.dropped.await_pubrel_timeout")   \
    X(DROPPED_PEER_FULL, "messages.dropped.link_full")              \
    X(DROPPED_OVERLOAD, "messages.dropped.overload")                \
    X(RETAINED_REFUSED, "messages.retained.refused")                \
    X(MESSAGES_DELAYED, "messages.delayed")                         \
    X(DELAYED_REFUSED, "messages.delayed.refused")                  \
    X(REFUSED_TOPIC, "messages.refused.topic")                      \
    X(SUBSCRIBE_FILTER, "subscribe.refused.filter_invalid")         \
    X(SUBSCRIBE_NOT_AUTHORIZED, "subscribe.refused.not_authorized") \
    X(SUBSCRIBE_QUOTA, "subscribe.refused.quota_exceeded")          \
    X(SUBSCRIBE_NOT_SUPPORTED, "subscribe.refused.not_supported")   \
    X(EXCLUSIVE_REFUSED, "subscribe.refused.exclusive")             \
    X(EXCLUSIVE_LOST, "subscribe.exclusive_given_up")               \
    X(SUBSCRIBE_OTHER, "subscribe.refused.other")                   \
    X(REFUSED_AWAIT_REL, "messages.refused.awaiting_rel")           \
    X(OVERLOADS, "overload_protection.raised")                      \
    X(AUTO_SUBSCRIBE_FAILED, "auto_subscribe.failed")               \
    X(TOPICS_REWRITTEN, "messages.rewritten")                       \
    X(EVENTS_PUBLISHED, "messages.events")                          \
    X(CLIENT_CONNECTED, "client.connected")                         \
    X(CLIENT_DISCONNECTED, "client.disconnected")                   \
    X(CLIENT_REFUSED, "client.refused")                             \
    X(REFUSED_BANNED, "client.refused.banned")                      \
    X(REFUSED_NOT_AUTHORIZED, "client.refused.not_authorized")      \
    X(REFUSED_PASSWORD, "client.refused.bad_username_or_password")  \
    X(REFUSED_METHOD, "client.refused.bad_authentication_method")   \
    X(REFUSED_CLIENT_ID, "client.refused.clientid_not_valid")       \
    X(REFUSED_VERSION, "client.refused.unsupported_version")        \
    X(REFUSED_MALFORMED, "client.refused.malformed")                \
    X(REFUSED_BUSY, "client.refused.server_busy")                   \
    X(REFUSED_DRAINING, "client.refused.use_another_server")        \
    X(REFUSED_OTHER, "client.refused.other")                        \
    X(CLIENT_BANNED, "client.banned")                               \
    X(FLAPPING, "client.flapping")                                  \
    X(PACED_MESSAGES, "client.paced.messages_rate")                 \
    X(PACED_BYTES, "client.paced.bytes_rate")                       \
    X(CLIENT_FAULTS, "client.faults")                               \
    X(FAULT_MALFORMED, "client.faults.malformed")                   \
    X(FAULT_PROTOCOL, "client.faults.protocol_error")               \
    X(FAULT_TOO_LARGE, "client.faults.packet_too_large")            \
    X(FAULT_TOPIC, "client.faults.topic_invalid")                   \
    X(FAULT_ALIAS, "client.faults.topic_alias_invalid")             \
    X(FAULT_RECEIVE_MAXIMUM, "client.faults.receive_maximum")       \
    X(FAULT_NOT_SUPPORTED, "client.faults.not_supported")           \
    X(FAULT_OTHER, "client.faults.other")                           \
    X(CLIENT_KEEP_ALIVE, "client.keepalive_timeout")                \
    X(CLIENT_NO_CONNECT, "client.connect_timeout")                  \
    X(CLIENT_LOST, "client.lost")                                   \
    X(CLIENT_MOVED, "client.moved")                                 \
    X(ACL_CACHE_HIT, "authorization.cache_hit")                     \
    X(ACL_CACHE_MISS, "authorization.cache_miss")                   \
    X(ACL_DENIED_WILL, "authorization.deny.will")                   \
    X(ACL_DENIED_PUBLISH, "authorization.deny.publish")             \
    X(ACL_DENIED_SUBSCRIBE, "authorization.deny.subscribe")         \
    X(ACL_DENIED_DELIVERY, "authorization.deny.delivery")           \
    X(ACL_HTTP_ALLOW, "authorization.http.allow")                   \
    X(ACL_HTTP_DENY, "authorization.http.deny")                     \
    X(ACL_HTTP_IGNORE, "authorization.http.ignore")                 \
    X(ACL_HTTP_MALFORMED, "authorization.http.malformed")           \
    X(ACL_HTTP_FAILED, "authorization.http.failed")                 \
    X(ACL_HTTP_LEFT_ALONE, "authorization.http.left_alone")         \
    X(ACL_HTTP_QUEUE_FULL, "authorization.http.queue_full")         \
    X(ACL_HTTP_RECALLED, "authorization.http.cache_hit")            \
    X(AUTH_SUCCESS, "authentication.success")                       \
    X(AUTH_ANONYMOUS, "authentication.success.anonymous")           \
    X(AUTH_FAILURE, "authentication.failure")                       \
    X(AUTH_HTTP_ALLOW, "authentication.http.allow")                 \
    X(AUTH_HTTP_DENY, "authentication.http.deny")                   \
    X(AUTH_HTTP_IGNORE, "authentication.http.ignore")               \
    X(AUTH_HTTP_MALFORMED, "authentication.http.malformed")         \
    X(AUTH_HTTP_FAILED, "authentication.http.failed")               \
    X(AUTH_HTTP_LEFT_ALONE, "authentication.http.left_alone")       \
    X(AUTH_HTTP_QUEUE_FULL, "authentication.http.queue_full")       \
    X(AUTH_HTTP_RECALLED, "authentication.http.cache_hit")          \
    X(SESSION_CREATED, "session.created")                           \
    X(SESSION_RESUMED, "session.resumed")                           \
    X(SESSION_TAKENOVER, "session.takenover")                       \
    X(SESSION_DISCARDED, "session.discarded")                       \
    X(SESSION_TERMINATED, "session.terminated")                     \
    X(SESSION_HANDED_OVER, "session.handed_over")                   \
    X(SESSION_TAKEN_IN, "session.taken_in")                         \
    X(SESSION_MERGED, "session.merged")                             \
    X(WILL_PUBLISHED, "messages.will.published")                    \
    X(STORE_FAILURES, "storage.commit_failures")

enum counter {
#define X(id, name) C_##id,
    COVEY_COUNTERS(X)
#undef X
        COUNTERS
};

struct counters {
    uint64_t v[COUNTERS];
};

const char *counter_name(enum counter c);

#endif
