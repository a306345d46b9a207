/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_SIM_CLIENT_I_H
#define COVEY_SIM_CLIENT_I_H

/* The inside of the simulated clients, for the files that make them up. */

#include "tests/sim/client.h"

enum {
    CONNECT = 1,
    CONNACK,
    PUBLISH,
    PUBACK,
    PUBREC,
    PUBREL,
    PUBCOMP,
    SUBSCRIBE,
    SUBACK,
    UNSUBSCRIBE,
    UNSUBACK
};
enum { MESSAGES_MAX = 20000, DRAIN_STEPS = 20000 };

/* A message and what became of it. Sequence numbers of events order everything that clients saw. */
struct message {
    uint8_t publisher, topic, qos;
    bool acked;
    uint64_t breaches; /* of the world when it was sent */
    bool resent;       /* by its publisher: it may come after younger ones, and more than once with QoS 1 */
    uint64_t sent_at;
    bool wanted[CLIENTS]; /* promised to this client once it is acked */
    bool strays[CLIENTS]; /* it may come to a node that the client's session has left, see client_move() */
    bool got_qos2[CLIENTS];
    uint16_t got[CLIENTS]; /* deliveries within the client's present session */
};

/* A subscription as the client knows it. */
struct sub {
    enum { SUB_NONE, SUB_ASKED, SUB_ACTIVE, SUB_ENDING } state;
    uint8_t qos;
    uint16_t request;
    bool ever;         /* within this session */
    bool stays;        /* its client has used no other node since its SUBACK */
    uint64_t breaches; /* of the world at its SUBACK */
    uint64_t ended_at; /* its UNSUBACK came */
};

struct open_publish {
    uint16_t id; /* 0: free */
    uint32_t message;
    bool released;
};

struct client {
    char id[8];
    int version;
    bool returns;    /* asks for its session when it comes again */
    bool persistent; /* its session outlives the present connection */
    bool online, must_be_present;
    uint64_t present_breaches; /* of the world when its presence was promised */
    struct pipe_end *pipe;
    uint32_t node; /* of the pipe, or the last one */
    struct sub subs[FILTERS];
    struct open_publish open[OPEN_MAX];
    uint32_t open_n;
    uint16_t next_id;
    bool rx2[65536];
    uint32_t last[CLIENTS][TOPICS][3][3]; /* newest message of a publisher, topic, QoS, delivered QoS */
};

struct sim {
    struct world *world;
    struct client clients[CLIENTS];
    struct message *messages;
    uint32_t messages_n;
    uint64_t event;
    uint64_t acked, delivered;
    bool draining, sticky;
    bool faulty; /* commits fail: what is refused and sent again comes late */
    char verdict[200];
};

extern const char *const sim_topics[TOPICS];
extern const char *const sim_filters[FILTERS];
/* Which topics a filter matches, written down by hand. */
extern const bool sim_matches[FILTERS][TOPICS];

/* ---- client.c ------------------------------------------------------------------------------------- */
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *s, const char *fmt, ...);
unsigned client_index(const struct sim *s, const struct client *c);
uint16_t client_id_take(struct client *c);
/* A store that cannot write may hold up the move of a session for longer than a CONNECT waits: then there are
 * two for a while, which are merged. */
bool sim_may_part(const struct sim *s);

/* Is it to get what is published now? After a breach a client that moves may come to a session of its that is
 * not merged yet with the one that has the subscription. */
static inline bool sub_is_promised(const struct sim *s, const struct sub *sub)
{
    return sub->state == SUB_ACTIVE && sub->qos && (sub->stays || sub->breaches == world_breaches(s->world));
}

/* ---- client_session.c ----------------------------------------------------------------------------- */
void client_on_connack(struct sim *s, struct client *c, const struct wire_packet *k);
void client_connect(struct sim *s, struct client *c, bool clean);
void client_gone(struct sim *s, struct client *c);
void client_publish_send(struct sim *s, struct client *c, struct open_publish *o, bool dup);

/* ---- client_read.c -------------------------------------------------------------------------------- */
void client_read(struct sim *s, struct client *c);

/* ---- client_act.c --------------------------------------------------------------------------------- */
void client_act(struct sim *s, struct client *c);

#endif
