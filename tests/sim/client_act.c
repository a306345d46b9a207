/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/client_i.h"

#include <stdio.h>
#include <stdlib.h>

/* What a client does. */

static void do_publish(struct sim *s, struct client *c)
{
    unsigned me = client_index(s, c);
    if (s->messages_n == MESSAGES_MAX || c->open_n == OPEN_MAX || s->draining)
        return;
    struct message *m = &s->messages[s->messages_n];
    *m = (struct message){.publisher = (uint8_t)me,
                          .topic = (uint8_t)world_random(s->world, TOPICS),
                          .qos = (uint8_t)world_random(s->world, 3),
                          .breaches = world_breaches(s->world),
                          .sent_at = ++s->event};
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *r = &s->clients[i];
        for (unsigned f = 0; f < FILTERS; f++)
            m->wanted[i] |= world_is_whole(s->world) && r->persistent && m->qos && sim_matches[f][m->topic] &&
                            sub_is_promised(s, &r->subs[f]);
    }
    struct open_publish o = {.message = s->messages_n++};
    world_trace(s->world, "%s PUBLISH %u %s qos=%u", c->id, o.message, sim_topics[m->topic], m->qos);
    if (m->qos) {
        o.id = client_id_take(c);
        c->open[c->open_n++] = o;
    }
    client_publish_send(s, c, &o, false);
}

static void do_subscribe(struct sim *s, struct client *c)
{
    unsigned f = (unsigned)world_random(s->world, FILTERS);
    struct sub *sub = &c->subs[f];
    if (sub->request || s->draining)
        return;
    sub->request = client_id_take(c);
    if (sub->state == SUB_ACTIVE && world_chance(s->world, 30)) {
        sub->state = SUB_ENDING;
        /* From here on it is open whether a message still comes. */
        for (uint32_t i = 1; i < s->messages_n; i++)
            s->messages[i].wanted[client_index(s, c)] &= !sim_matches[f][s->messages[i].topic];
        wire_unsubscribe(&c->pipe->up, c->version, sub->request, sim_filters[f]);
    } else if (sub->state == SUB_NONE || sub->state == SUB_ASKED) {
        sub->state = SUB_ASKED;
        sub->qos = (uint8_t)world_random(s->world, 3);
        sub->ever = true;
        wire_subscribe(&c->pipe->up, c->version, sub->request, sim_filters[f], sub->qos);
    } else if (sub->state == SUB_ENDING) {
        wire_unsubscribe(&c->pipe->up, c->version, sub->request, sim_filters[f]);
    } else {
        sub->request = 0;
    }
    if (sub->request)
        world_trace(s->world, "%s %s %s qos=%u", c->id,
                    sub->state == SUB_ENDING ? "UNSUBSCRIBE" : "SUBSCRIBE", sim_filters[f], sub->qos);
}

void client_act(struct sim *s, struct client *c)
{
    if (!c->pipe) {
        if (world_chance(s->world, s->draining ? 100 : 10))
            client_connect(s, c, !c->returns || (!s->draining && world_chance(s->world, 3)));
        return;
    }
    if (!c->online)
        return;
    if (world_chance(s->world, 30))
        do_publish(s, c);
    if (world_chance(s->world, 5))
        do_subscribe(s, c);
    if (!s->draining && world_chance(s->world, 1)) {
        world_trace(s->world, "%s leaves", c->id);
        if (world_chance(s->world, 50))
            wire_disconnect(&c->pipe->up);
        pipe_drop(c->pipe);
        world_step(s->world);
        pipe_free(c->pipe);
        c->pipe = NULL;
        client_gone(s, c);
    }
}
