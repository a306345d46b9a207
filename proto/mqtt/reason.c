/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt/reason.h"

const char *reason_name(enum reason code)
{
    switch (code) {
    case RC_SUCCESS:
        return "Success";
    case RC_GRANTED_QOS_1:
        return "Granted QoS 1";
    case RC_GRANTED_QOS_2:
        return "Granted QoS 2";
    case RC_DISCONNECT_WITH_WILL:
        return "Disconnect with Will Message";
    case RC_NO_MATCHING_SUBSCRIBERS:
        return "No matching subscribers";
    case RC_NO_SUBSCRIPTION_EXISTED:
        return "No subscription existed";
    case RC_CONTINUE_AUTHENTICATION:
        return "Continue authentication";
    case RC_REAUTHENTICATE:
        return "Re-authenticate";
    case RC_UNSPECIFIED_ERROR:
        return "Unspecified error";
    case RC_MALFORMED_PACKET:
        return "Malformed Packet";
    case RC_PROTOCOL_ERROR:
        return "Protocol Error";
    case RC_IMPLEMENTATION_SPECIFIC:
        return "Implementation specific error";
    case RC_UNSUPPORTED_PROTOCOL_VERSION:
        return "Unsupported Protocol Version";
    case RC_CLIENT_ID_NOT_VALID:
        return "Client Identifier not valid";
    case RC_BAD_USER_NAME_OR_PASSWORD:
        return "Bad User Name or Password";
    case RC_NOT_AUTHORIZED:
        return "Not authorized";
    case RC_SERVER_UNAVAILABLE:
        return "Server unavailable";
    case RC_SERVER_BUSY:
        return "Server busy";
    case RC_BANNED:
        return "Banned";
    case RC_SERVER_SHUTTING_DOWN:
        return "Server shutting down";
    case RC_BAD_AUTHENTICATION_METHOD:
        return "Bad authentication method";
    case RC_KEEP_ALIVE_TIMEOUT:
        return "Keep Alive timeout";
    case RC_SESSION_TAKEN_OVER:
        return "Session taken over";
    case RC_TOPIC_FILTER_INVALID:
        return "Topic Filter invalid";
    case RC_TOPIC_NAME_INVALID:
        return "Topic Name invalid";
    case RC_PACKET_ID_IN_USE:
        return "Packet Identifier in use";
    case RC_PACKET_ID_NOT_FOUND:
        return "Packet Identifier not found";
    case RC_RECEIVE_MAXIMUM_EXCEEDED:
        return "Receive Maximum exceeded";
    case RC_TOPIC_ALIAS_INVALID:
        return "Topic Alias invalid";
    case RC_PACKET_TOO_LARGE:
        return "Packet too large";
    case RC_MESSAGE_RATE_TOO_HIGH:
        return "Message rate too high";
    case RC_QUOTA_EXCEEDED:
        return "Quota exceeded";
    case RC_ADMINISTRATIVE_ACTION:
        return "Administrative action";
    case RC_PAYLOAD_FORMAT_INVALID:
        return "Payload format invalid";
    case RC_RETAIN_NOT_SUPPORTED:
        return "Retain not supported";
    case RC_QOS_NOT_SUPPORTED:
        return "QoS not supported";
    case RC_USE_ANOTHER_SERVER:
        return "Use another server";
    case RC_SERVER_MOVED:
        return "Server moved";
    case RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED:
        return "Shared Subscriptions not supported";
    case RC_CONNECTION_RATE_EXCEEDED:
        return "Connection rate exceeded";
    case RC_MAXIMUM_CONNECT_TIME:
        return "Maximum connect time";
    case RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED:
        return "Subscription Identifiers not supported";
    case RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED:
        return "Wildcard Subscriptions not supported";
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
