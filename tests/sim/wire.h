/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_SIM_WIRE_H
#define COVEY_SIM_WIRE_H

/* MQTT as the simulated clients write and read it: independent of the broker's codec, small, for 3.1.1
 * and 5.0. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wbuf {
    uint8_t *p;
    size_t n;
    size_t cap;
};
void wbuf_free(struct wbuf *b);
void wbuf_add(struct wbuf *b, const void *p, size_t n);
void wbuf_drop(struct wbuf *b, size_t n); /* from the front */

struct wire_connect {
    int version; /* 4 or 5 */
    bool clean;
    const char *id;
    uint32_t expiry_s;      /* 5.0 */
    uint16_t receive_max;   /* 5.0; 0: not said */
    const char *will_topic; /* NULL: none */
    const char *will_payload;
};
void wire_connect(struct wbuf *b, const struct wire_connect *c);
void wire_publish(struct wbuf *b, int version, const char *topic, const char *payload, unsigned qos,
                  bool retain, bool dup, uint16_t id);
void wire_ack(struct wbuf *b, unsigned type, uint16_t id);
void wire_subscribe(struct wbuf *b, int version, uint16_t id, const char *filter, unsigned qos);
void wire_unsubscribe(struct wbuf *b, int version, uint16_t id, const char *filter);
void wire_disconnect(struct wbuf *b);

/* One packet from the broker. */
struct wire_packet {
    unsigned type;
    unsigned qos;
    bool dup, retain, session_present;
    uint16_t id;
    uint8_t code; /* CONNACK, acknowledgements; of SUBACK the first */
    char topic[64];
    char payload[64];
};
/* Takes one packet off the front; false when none is whole. Aborts when the bytes are not MQTT. */
bool wire_take(struct wbuf *b, int version, struct wire_packet *p);

#endif
