/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PIDSET_H
#define COVEY_CORE_PIDSET_H

/* The packet ids of QoS 2 messages received and not yet released [MQTT-4.3.3-10], with the time each came.
 * Those of earlier connections are old: the Receive Maximum is about what came by the present one
 * [MQTT-3.3.4-7]. Open addressing; memory follows the number of ids. */

#include <stdbool.h>
#include <stdint.h>

struct pidset {
    uint32_t n;
    uint32_t old_n;
    uint32_t mask;
    struct pidset_item {
        uint16_t id; /* 0: free */
        bool is_old;
        uint32_t since_s;
    } * v;
};

struct pidset *pidset_new(void);
void pidset_free(struct pidset *s); /* NULL is fine */
/* False: it is in already. */
bool pidset_add(struct pidset *s, uint16_t id, uint32_t now_s);
bool pidset_has(const struct pidset *s, uint16_t id); /* s may be NULL */
bool pidset_del(struct pidset *s, uint16_t id);       /* s may be NULL */
/* Another connection begins: all are old. s may be NULL. */
void pidset_age(struct pidset *s);
/* It came once more, by the present connection. */
void pidset_renew(struct pidset *s, uint16_t id);
/* How many came by the present connection; s may be NULL. */
static inline uint32_t pidset_fresh(const struct pidset *s)
{
    return s ? s->n - s->old_n : 0;
}
/* An id that came before `since_s`, or 0. */
uint16_t pidset_older(const struct pidset *s, uint32_t since_s);

#endif
