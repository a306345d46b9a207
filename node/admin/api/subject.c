/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/subject.h"

#include "proto/base/mem.h"
#include "proto/topic/topic.h"

#include <sodium.h>
#include <stdlib.h>

json_t *subject_base64(struct bytes b)
{
    size_t n = sodium_base64_encoded_len(b.n, sodium_base64_VARIANT_ORIGINAL);
    char *text = mem_alloc(n);
    sodium_bin2base64(text, n, b.p, b.n, sodium_base64_VARIANT_ORIGINAL);
    json_t *v = json_of_str(text);
    free(text);
    return v;
}

static json_t *limit_of(uint64_t max)
{
    return max ? json_of_u64(max) : json_of_str("infinity");
}

static void connection_put(json_t *o, const struct inspect_session *s)
{
    json_put(o, "connected_at", json_of_time(s->since_ms));
    json_put(o, "listener", json_of_str(s->listener ? s->listener : ""));
    json_put(o, "ip_address", json_of_str(s->address));
    json_put(o, "port", json_of_u64(s->port));
    json_put(o, "keepalive", json_of_u64(s->keep_alive_s));
    json_put(o, "is_superuser", json_boolean(s->is_superuser));
    json_put(o, "recv_pkt", json_of_u64(s->recv_packets));
    json_put(o, "recv_oct", json_of_u64(s->recv_bytes));
    json_put(o, "send_pkt", json_of_u64(s->send_packets));
    json_put(o, "send_oct", json_of_u64(s->send_bytes));
}

static void limits_put(json_t *o, const struct settings *set)
{
    json_put(o, "subscriptions_max", limit_of(set->subscriptions_max));
    json_put(o, "inflight_max", limit_of(set->inflight_max));
    json_put(o, "awaiting_rel_max", limit_of(set->awaiting_rel_max));
    json_put(o, "mqueue_max", limit_of(set->queue_len_max));
}

json_t *subject_client(const struct api_call *c, const struct inspect_session *s)
{
    json_t *o = json_object();
    json_put(o, "clientid", json_of_bytes(inspect_session_id(s)));
    json_put(o, "username", s->has_username ? json_of_bytes(inspect_session_username(s)) : json_null());
    json_put(o, "node", json_of_str(api_node_name(c)));
    json_put(o, "connected", json_boolean(s->is_connected));
    json_put(o, "created_at", json_of_time(s->created_ms));
    if (s->is_connected)
        connection_put(o, s);
    else
        json_put(o, "disconnected_at", json_of_time(s->since_ms));
    if (s->version) {
        json_put(o, "proto_name", json_of_str(s->version == 3 ? "MQIsdp" : "MQTT"));
        json_put(o, "proto_ver", json_of_u64(s->version));
    }
    json_put(o, "clean_start", json_boolean(s->clean_start));
    json_put(o, "expiry_interval", json_of_u64(s->expiry_s));
    json_put(o, "mountpoint", s->mountpoint_n ? json_of_bytes(inspect_session_mountpoint(s)) : json_null());
    json_put(o, "subscriptions_cnt", json_of_u64(s->subs_n));
    json_put(o, "inflight_cnt", json_of_u64(s->inflight));
    json_put(o, "awaiting_rel_cnt", json_of_u64(s->awaiting_rel));
    json_put(o, "mqueue_len", json_of_u64(s->queued));
    json_put(o, "mqueue_bytes", json_of_u64(s->queued_bytes));
    json_put(o, "mqueue_dropped", json_of_u64(s->dropped));
    limits_put(o, node_settings(c->env->conf.node));
    return o;
}

json_t *subject_topic(const struct inspect_sub *s)
{
    struct text t = {0};
    struct bytes group = inspect_sub_group(s), filter = inspect_sub_filter(s);
    if (!s->group_n)
        return json_of_bytes(filter);
    if (topic_group_is_exclusive(group))
        text_add(&t, "$exclusive");
    else
        text_printf(&t, "$share/%.*s", (int)group.n, (const char *)group.p);
    text_printf(&t, "/%.*s", (int)filter.n, (const char *)filter.p);
    json_t *v = json_of_bytes(bytes_of(t.p, t.n));
    text_fini(&t);
    return v;
}

json_t *subject_subscription(const struct api_call *c, const struct inspect_sub *s)
{
    json_t *o = json_object();
    json_put(o, "node", json_of_str(api_node_name(c)));
    json_put(o, "clientid", json_of_bytes(inspect_sub_client_id(s)));
    json_put(o, "topic", subject_topic(s));
    json_put(o, "qos", json_of_u64(s->qos));
    json_put(o, "nl", json_of_u64(s->no_local));
    json_put(o, "rap", json_of_u64(s->retain_as_published));
    json_put(o, "rh", json_of_u64(s->retain_handling));
    json_put(o, "durable", json_boolean(s->is_durable));
    return o;
}

const struct api_shape subject_client_shape = {
    "client",
    (const struct api_field[]){
        API_MAY("clientid", STRING, "Client identifier"),
        {"username", API_STRING, API_NULLABLE, 0, 0, NULL, NULL, "User name, where it gave one"},
        API_MAY("node", STRING, "The node that has it"),
        API_MAY("connected", BOOL, "Whether there is a connection"),
        API_MAY("connected_at", TIME, "Since when there is"),
        API_MAY("disconnected_at", TIME, "Since when there is none"),
        API_MAY("created_at", TIME, "When the session began"),
        API_MAY("listener", STRING, "Where it came in, as tcp:default"),
        API_MAY("ip_address", STRING, "Its address"),
        API_MAY("port", INT, "Its port"),
        API_MAY("proto_name", STRING, "MQTT, or MQIsdp"),
        API_MAY("proto_ver", INT, "3: MQTT 3.1, 4: 3.1.1, 5: 5.0"),
        API_MAY("keepalive", INT, "Seconds"),
        API_MAY("clean_start", BOOL, "Whether it asked for a new session"),
        API_MAY("is_superuser", BOOL, "Whether authorization lets it do everything; while it is connected"),
        API_MAY("expiry_interval", INT, "Seconds that the session outlives its connection"),
        {"mountpoint", API_STRING, API_NULLABLE, 0, 0, NULL, NULL,
         "What its topics begin with, unseen by it"},
        API_MAY("subscriptions_cnt", INT, "Subscriptions"),
        API_MAY("subscriptions_max", STRING_OR_INT, "Most there may be"),
        API_MAY("inflight_cnt", INT, "Messages sent and not acknowledged"),
        API_MAY("inflight_max", STRING_OR_INT, "Most there may be"),
        API_MAY("awaiting_rel_cnt", INT, "QoS 2 messages received and not released"),
        API_MAY("awaiting_rel_max", STRING_OR_INT, "Most there may be"),
        API_MAY("mqueue_len", INT, "Messages that wait"),
        API_MAY("mqueue_bytes", INT, "Their bytes"),
        API_MAY("mqueue_max", STRING_OR_INT, "Most there may be"),
        API_MAY("mqueue_dropped", INT, "Messages that found the queue full"),
        API_MAY("recv_pkt", INT, "Packets from it in this connection"),
        API_MAY("recv_oct", INT, "Bytes from it in this connection"),
        API_MAY("send_pkt", INT, "Packets to it in this connection"),
        API_MAY("send_oct", INT, "Bytes to it in this connection"),
        {0},
    },
    API_CLOSED,
    API_ANY,
};

const struct api_shape subject_subscription_shape = {
    "subscription",
    (const struct api_field[]){
        API_HAS("node", STRING, "The node that has the client"),
        API_HAS("clientid", STRING, "Client identifier"),
        API_HAS("topic", STRING, "Topic filter"),
        API_HAS("qos", INT, "Highest QoS that it is sent"),
        API_HAS("nl", INT, "No Local"),
        API_HAS("rap", INT, "Retain As Published"),
        API_HAS("rh", INT, "Retain Handling"),
        API_HAS("durable", BOOL, "Whether it outlives the connection"),
        {0},
    },
    API_CLOSED,
    API_ANY,
};
