/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little MQTT that a load generator speaks: 3.1.1 (version 4) and 5.0 (version 5, always without
 * properties). Written apart from the broker's codec on purpose, so that an error in one does not hide in the
 * other. Encoders write at `out`, which must have room for WIRE_OVERHEAD + the strings, and return the
 * length.
 */
#ifndef BENCH_LOAD_WIRE_H
#define BENCH_LOAD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_OVERHEAD 32

enum wire_type {
    WIRE_CONNECT = 1,
    WIRE_CONNACK = 2,
    WIRE_PUBLISH = 3,
    WIRE_PUBACK = 4,
    WIRE_PUBREC = 5,
    WIRE_PUBREL = 6,
    WIRE_PUBCOMP = 7,
    WIRE_SUBSCRIBE = 8,
    WIRE_SUBACK = 9,
    WIRE_PINGREQ = 12,
    WIRE_PINGRESP = 13,
    WIRE_DISCONNECT = 14,
};

struct wire_frame {
    const uint8_t *body;
    size_t body_len;
    size_t total; /* header and body */
    uint8_t head; /* first byte: type and flags */
};

struct wire_publish {
    const uint8_t *topic;
    const uint8_t *payload;
    uint32_t topic_len, payload_len;
    uint16_t id; /* 0 at QoS 0 */
    uint8_t qos;
    bool is_retain, is_dup;
};

/* Offsets inside an encoded PUBLISH, for templates that are patched. */
struct wire_layout {
    uint32_t len, id_at, payload_at;
};

/* Who connects. username NULL: nobody in particular. */
struct wire_who {
    const char *id, *username, *password;
};

/* A session expiry interval is sent by version 5 only when `clean` is 0. */
size_t wire_connect(uint8_t *out, uint8_t version, const struct wire_who *who, int clean,
                    uint16_t keepalive_s);
size_t wire_subscribe(uint8_t *out, uint8_t version, uint16_t id, const char *filter, uint8_t qos);
size_t wire_ack(uint8_t *out, enum wire_type type, uint16_t id);
size_t wire_empty(uint8_t *out, enum wire_type type);

/* A PUBLISH with a payload of zeros. flags: the low four bits of the first byte. */
struct wire_layout wire_publish(uint8_t *out, uint8_t version, uint8_t flags, const char *topic,
                                uint32_t payload_len);

/* 1: a whole frame; 0: more bytes are needed; -1: not MQTT. */
int wire_frame_parse(const uint8_t *p, size_t len, struct wire_frame *f);

/* 0, or -1 when the body is not a PUBLISH of that version. The views point into the frame. */
int wire_publish_parse(const struct wire_frame *f, uint8_t version, struct wire_publish *out);

static inline void wire_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline uint16_t wire_get16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

#endif
