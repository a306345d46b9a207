/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt/reason.h"

#include <stddef.h>

#include "proto/base/check.h"

static const struct {
    enum reason code;
    const char *name;
} reasons[] = {
    {RC_SUCCESS, "Success"},
    {RC_GRANTED_QOS_1, "Granted QoS 1"},
    {RC_GRANTED_QOS_2, "Granted QoS 2"},
    {RC_DISCONNECT_WITH_WILL, "Disconnect with Will Message"},
    {RC_NO_MATCHING_SUBSCRIBERS, "No matching subscribers"},
    {RC_NO_SUBSCRIPTION_EXISTED, "No subscription existed"},
    {RC_CONTINUE_AUTHENTICATION, "Continue authentication"},
    {RC_REAUTHENTICATE, "Re-authenticate"},
    {RC_UNSPECIFIED_ERROR, "Unspecified error"},
    {RC_MALFORMED_PACKET, "Malformed Packet"},
    {RC_PROTOCOL_ERROR, "Protocol Error"},
    {RC_IMPLEMENTATION_SPECIFIC, "Implementation specific error"},
    {RC_UNSUPPORTED_PROTOCOL_VERSION, "Unsupported Protocol Version"},
    {RC_CLIENT_ID_NOT_VALID, "Client Identifier not valid"},
    {RC_BAD_USER_NAME_OR_PASSWORD, "Bad User Name or Password"},
    {RC_NOT_AUTHORIZED, "Not authorized"},
    {RC_SERVER_UNAVAILABLE, "Server unavailable"},
    {RC_SERVER_BUSY, "Server busy"},
    {RC_BANNED, "Banned"},
    {RC_SERVER_SHUTTING_DOWN, "Server shutting down"},
    {RC_BAD_AUTHENTICATION_METHOD, "Bad authentication method"},
    {RC_KEEP_ALIVE_TIMEOUT, "Keep Alive timeout"},
    {RC_SESSION_TAKEN_OVER, "Session taken over"},
    {RC_TOPIC_FILTER_INVALID, "Topic Filter invalid"},
    {RC_TOPIC_NAME_INVALID, "Topic Name invalid"},
    {RC_PACKET_ID_IN_USE, "Packet Identifier in use"},
    {RC_PACKET_ID_NOT_FOUND, "Packet Identifier not found"},
    {RC_RECEIVE_MAXIMUM_EXCEEDED, "Receive Maximum exceeded"},
    {RC_TOPIC_ALIAS_INVALID, "Topic Alias invalid"},
    {RC_PACKET_TOO_LARGE, "Packet too large"},
    {RC_MESSAGE_RATE_TOO_HIGH, "Message rate too high"},
    {RC_QUOTA_EXCEEDED, "Quota exceeded"},
    {RC_ADMINISTRATIVE_ACTION, "Administrative action"},
    {RC_PAYLOAD_FORMAT_INVALID, "Payload format invalid"},
    {RC_RETAIN_NOT_SUPPORTED, "Retain not supported"},
    {RC_QOS_NOT_SUPPORTED, "QoS not supported"},
    {RC_USE_ANOTHER_SERVER, "Use another server"},
    {RC_SERVER_MOVED, "Server moved"},
    {RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, "Shared Subscriptions not supported"},
    {RC_CONNECTION_RATE_EXCEEDED, "Connection rate exceeded"},
    {RC_MAXIMUM_CONNECT_TIME, "Maximum connect time"},
    {RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, "Subscription Identifiers not supported"},
    {RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, "Wildcard Subscriptions not supported"},
};

const char *reason_name(enum reason code)
{
    for (size_t i = 0; i < array_len(reasons); i++) {
        if (reasons[i].code == code)
            return reasons[i].name;
    }
    return "Unknown reason code";
}

enum connack3 {
    CONNACK3_ACCEPTED = 0,
    CONNACK3_BAD_VERSION = 1,
    CONNACK3_BAD_CLIENT_ID = 2,
    CONNACK3_UNAVAILABLE = 3,
    CONNACK3_BAD_CREDENTIALS = 4,
    CONNACK3_NOT_AUTHORIZED = 5,
    CONNACK3_NONE = -1,
};

int reason_to_connack3(enum reason code)
{
    if (code == RC_SUCCESS)
        return CONNACK3_ACCEPTED;
    if (code == RC_UNSUPPORTED_PROTOCOL_VERSION)
        return CONNACK3_BAD_VERSION;
    if (code == RC_CLIENT_ID_NOT_VALID)
        return CONNACK3_BAD_CLIENT_ID;
    if (code == RC_BAD_USER_NAME_OR_PASSWORD || code == RC_BAD_AUTHENTICATION_METHOD)
        return CONNACK3_BAD_CREDENTIALS;
    if (code == RC_NOT_AUTHORIZED || code == RC_BANNED)
        return CONNACK3_NOT_AUTHORIZED;
    if (code == RC_SERVER_UNAVAILABLE || code == RC_SERVER_BUSY || code == RC_SERVER_SHUTTING_DOWN ||
        code == RC_QUOTA_EXCEEDED || code == RC_CONNECTION_RATE_EXCEEDED || code == RC_USE_ANOTHER_SERVER ||
        code == RC_SERVER_MOVED)
        return CONNACK3_UNAVAILABLE;
    return CONNACK3_NONE;
}
