/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SETTINGS_H
#define COVEY_CORE_SETTINGS_H

/* What the cores know of the configuration: plain values, already checked. One `struct settings` per listener
 * (its own limits over the node's), never changed and outliving every connection that points at it: a reload
 * makes other ones, which new connections get (shard_settings_set()). */

#include "proto/base/bytes.h"

enum share_strategy {
    SHARE_ROUND_ROBIN,
    SHARE_RANDOM,
    SHARE_STICKY,
    SHARE_HASH_CLIENTID,
    SHARE_HASH_TOPIC,
    SHARE_LOCAL,
};

enum { SECONDS_FOREVER = UINT32_MAX };

/* See overload.h: [0] busy, [1] critical. */
struct overload_limits {
    bool is_on;
    uint64_t lag_ms[2];
    uint64_t memory_bytes[2]; /* 0: no limit */
    uint64_t cooldown_ms;
};

/* The methods that check a client, in the order in which they are asked. */
enum vet_step { VET_CERTIFICATE, VET_PSK, VET_JWT, VET_PASSWORD_FILE, VET_HTTP };
enum { VET_STEPS_MAX = 8 };
struct vet_chain {
    uint8_t n; /* 0: none */
    uint8_t step[VET_STEPS_MAX];
};

struct settings {
    const char *listener;   /* "tcp:default" */
    bool anonymous_allowed; /* of a client that no method knows */
    struct vet_chain vet;
    const char *mountpoint;   /* of its clients, see mount.h; NULL or "": none */
    uint32_t packet_size_max; /* bytes after which a packet is refused, fixed header included */
    uint16_t client_id_bytes_max;
    uint16_t topic_levels_max; /* 0: no limit */
    uint8_t qos_max;
    uint16_t topic_alias_max;     /* what a client may use towards us */
    uint16_t topic_alias_out_max; /* what we use towards a client that lets us; 0: none */
    bool retain_available;
    bool wildcard_available;
    bool shared_available;
    bool exclusive_available; /* $exclusive/FILTER */
    bool ignore_loop_deliver; /* every subscription acts as if it had No Local */
    bool upgrade_qos;         /* deliver at the granted QoS even if published lower */
    bool queue_qos0;          /* keep QoS 0 for offline sessions, in memory */
    enum share_strategy share_strategy;
    uint64_t messages_rate_max;        /* PUBLISH of one client a second; 0: no limit */
    uint64_t bytes_rate_max;           /* bytes of one client a second; 0: no limit */
    uint32_t idle_timeout_ms;          /* for the CONNECT to come */
    uint16_t inflight_max;             /* towards a client; its Receive Maximum may be lower */
    uint16_t receive_max;              /* unacknowledged QoS 1 and 2 from a 5.0 client */
    uint32_t awaiting_rel_max;         /* QoS 2 ids of a 5.0 session that wait for PUBREL; 0: no limit */
    uint32_t await_rel_timeout_s;      /* 0: never */
    uint32_t session_expiry_default_s; /* of 3.x sessions without Clean Session */
    uint32_t session_expiry_max_s;
    uint32_t queue_len_max;        /* messages waiting for one session; 0: no limit */
    uint64_t queue_bytes_max;      /* 0: no limit */
    uint32_t subscriptions_max;    /* of one session; 0: no limit */
    uint32_t keep_alive_percent;   /* 150: half as long again [MQTT-3.1.2-22] */
    uint16_t server_keep_alive_s;  /* 0: the client's own */
    uint32_t outbuf_bytes_max;     /* waiting for one slow reader before QoS 0 is dropped */
    const char *response_info;     /* "" : none */
    uint32_t retained_payload_max; /* 0: no limit */
    uint64_t retained_count_max;   /* 0: no limit */
    uint32_t retained_expiry_s;    /* 0: never */
    unsigned events;               /* of clients under $SYS, the node's: bits of enum event */
    const char *topic_metrics;     /* topics, the node's; NULL or "": none */
    uint32_t slow_subs_ms;         /* to acknowledge, the node's; 0: not looked at */
    uint32_t slow_subs_max;        /* how many are listed */
    uint64_t slow_subs_expiry_ms;
    uint64_t journal_bytes;      /* of each shard, the node's, see journal.h; 0: off */
    const char *rewrite_rules;   /* the node's, see rewrite.h; NULL or "": none */
    const char *auto_subscribe;  /* the node's, see auto_subscribe.h; NULL or "": none */
    bool delayed_available;      /* $delayed/SECONDS/TOPIC */
    uint64_t delayed_count_max;  /* 0: no limit */
    uint32_t flapping_count_max; /* ends of a client's connections within a window; 0: not looked at */
    uint32_t flapping_window_ms;
    uint64_t flapping_ban_ms;
    uint32_t acl_ttl_ms;     /* how long a verdict is remembered, the node's */
    bool acl_disconnects;    /* a refused publish ends the connection, the node's */
    bool acl_lets_unmatched; /* a client with rules of its own, where none fits and there is no file */
    bool acl_by_token;       /* clients may bring rules of their own */
    struct overload_limits overload; /* the node's */
};

#endif
