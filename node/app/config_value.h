/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_VALUE_H
#define COVEY_APP_CONFIG_VALUE_H

/* One value: from text as it stands in a file or in the environment, to the field of a struct, and back to
 * text. The key says the type, the bounds and the words that are allowed. */

#include "node/app/config_arena.h"
#include "node/app/config_keys.h"

struct config_value {
    bool is_auto;  /* "auto" was given: everything else is 0 */
    uint64_t u;    /* every type but those below */
    const char *s; /* CONFIG_STRING, CONFIG_PATH */
    struct config_addr addr;
    struct config_list list;
};

/* Strings of the value live in the arena. A list is "[a, b]" or "a, b"; a path may be relative still.
 * False when the text is not what config_value_allowed() says. */
MUST_USE bool config_value_parse(struct config_value *out, const struct config_key *key, const char *text,
                                 struct config_arena *arena);
/* What may be given for the key: "a number from 1 to 65535", "one of always, interval, off". */
const char *config_value_allowed(const struct config_key *key, struct config_arena *arena);
/* The value as one would write it: what the parser reads back to the same value. */
const char *config_value_text(const struct config_key *key, const struct config_value *v,
                              struct config_arena *arena);

/* base: the struct config or struct config_listener that the key's offset counts from. */
void config_value_store(const struct config_key *key, const struct config_value *v, void *base);
void config_value_fetch(const struct config_key *key, struct config_value *v, const void *base);

/* "127.0.0.1:1883", "[::1]:1883", ":1883" and "1883" (every IPv4 address), "*:1883", "localhost:1883". */
MUST_USE bool config_addr_parse(struct config_addr *out, const char *text);
const char *config_addr_text(const struct config_addr *addr, struct config_arena *arena);
uint16_t config_addr_port(const struct config_addr *addr);
bool config_addr_is_loopback(const struct config_addr *addr);
/* True when sockets bound to a and b would take each other's connections. */
bool config_addr_collides(const struct config_addr *a, const struct config_addr *b);

#endif
