/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MQTT_REASON_H
#define COVEY_MQTT_REASON_H

#include <stdbool.h>
#include <stdint.h>

/* MQTT 5.0 reason codes, section 2.4. Names follow the standard's. */
enum reason {
    RC_SUCCESS = 0x00, /* also Normal disconnection, Granted QoS 0 */
    RC_GRANTED_QOS_1 = 0x01,
    RC_GRANTED_QOS_2 = 0x02,
    RC_DISCONNECT_WITH_WILL = 0x04,
    RC_NO_MATCHING_SUBSCRIBERS = 0x10,
    RC_NO_SUBSCRIPTION_EXISTED = 0x11,
    RC_CONTINUE_AUTHENTICATION = 0x18,
    RC_REAUTHENTICATE = 0x19,
    RC_UNSPECIFIED_ERROR = 0x80,
    RC_MALFORMED_PACKET = 0x81,
    RC_PROTOCOL_ERROR = 0x82,
    RC_IMPLEMENTATION_SPECIFIC = 0x83,
    RC_UNSUPPORTED_PROTOCOL_VERSION = 0x84,
    RC_CLIENT_ID_NOT_VALID = 0x85,
    RC_BAD_USER_NAME_OR_PASSWORD = 0x86,
    RC_NOT_AUTHORIZED = 0x87,
    RC_SERVER_UNAVAILABLE = 0x88,
    RC_SERVER_BUSY = 0x89,
    RC_BANNED = 0x8A,
    RC_SERVER_SHUTTING_DOWN = 0x8B,
    RC_BAD_AUTHENTICATION_METHOD = 0x8C,
    RC_KEEP_ALIVE_TIMEOUT = 0x8D,
    RC_SESSION_TAKEN_OVER = 0x8E,
    RC_TOPIC_FILTER_INVALID = 0x8F,
    RC_TOPIC_NAME_INVALID = 0x90,
    RC_PACKET_ID_IN_USE = 0x91,
    RC_PACKET_ID_NOT_FOUND = 0x92,
    RC_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    RC_TOPIC_ALIAS_INVALID = 0x94,
    RC_PACKET_TOO_LARGE = 0x95,
    RC_MESSAGE_RATE_TOO_HIGH = 0x96,
    RC_QUOTA_EXCEEDED = 0x97,
    RC_ADMINISTRATIVE_ACTION = 0x98,
    RC_PAYLOAD_FORMAT_INVALID = 0x99,
    RC_RETAIN_NOT_SUPPORTED = 0x9A,
    RC_QOS_NOT_SUPPORTED = 0x9B,
    RC_USE_ANOTHER_SERVER = 0x9C,
    RC_SERVER_MOVED = 0x9D,
    RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E,
    RC_CONNECTION_RATE_EXCEEDED = 0x9F,
    RC_MAXIMUM_CONNECT_TIME = 0xA0,
    RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1,
    RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2,
};

/* What a packet did wrong: the code that the standard names and one sentence for the Reason String and the
 * log. `text` is static, never NULL once code is set. */
struct fault {
    enum reason code;
    const char *text;
};

/* The standard's name, "Topic Filter invalid". Never NULL. */
const char *reason_name(enum reason code);

/* The CONNACK return code of MQTT 3.1 and 3.1.1 (0..5) that fits best, or -1 where none does and the
 * connection is closed without a CONNACK [MQTT-3.2.2-6 of 3.1.1]. */
int reason_to_connack3(enum reason code);

#endif
