/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/client.h"

/* Faults of a cluster, at random: nodes that die and come back at once, later or with another address, that
 * stand still, whose clock jumps; connections that break; ways that are cut in one direction or both; loss
 * and delay. */

static bool is_last_up(struct world *w, uint32_t node)
{
    for (uint32_t i = 0; i < world_nodes(w); i++)
        if (i != node && world_is_up(w, i))
            return false;
    return true;
}

static void node_away_or_back(struct sim *s, uint32_t node)
{
    struct world *w = sim_world(s);
    if (!world_is_up(w, node)) {
        world_up(w, node, world_chance(w, 50) ? WORLD_SAME_ADDRESS : WORLD_OTHER_ADDRESS);
        return;
    }
    if (is_last_up(w, node))
        return;
    sim_read_all(s);
    world_down(w, node);
    sim_read_all(s);
}

/* One node from the others, in one direction or both. */
static void partition(struct world *w, uint32_t node)
{
    bool out = world_chance(w, 70), in = !out || world_chance(w, 70);
    for (uint32_t i = 0; i < world_nodes(w); i++) {
        if (i == node)
            continue;
        if (out)
            world_cut(w, node, i);
        if (in)
            world_cut(w, i, node);
    }
}

void sim_trouble(struct sim *s)
{
    struct world *w = sim_world(s);
    uint32_t nodes = world_nodes(w), a = (uint32_t)world_random(w, nodes);
    uint32_t b = (a + 1 + (uint32_t)world_random(w, nodes - 1)) % nodes;
    switch (world_random(w, 9)) {
    case 0:
    case 1:
        node_away_or_back(s, a);
        break;
    case 2:
        partition(w, a);
        break;
    case 3:
    case 4:
        world_heal(w);
        break;
    case 5:
        world_break(w, a, b);
        break;
    case 6:
        world_stall(w, a, (uint32_t)world_random(w, 3000));
        break;
    case 7:
        world_clock_jump(w, a, (int64_t)world_random(w, 7200000) - 3600000);
        break;
    default:
        world_network(w, (unsigned)world_random(w, 10), (uint32_t)world_random(w, 40));
    }
}

void sim_trouble_end(struct sim *s)
{
    struct world *w = sim_world(s);
    world_heal(w);
    world_network(w, 0, 3);
    for (uint32_t i = 0; i < world_nodes(w); i++)
        if (!world_is_up(w, i))
            world_up(w, i, WORLD_SAME_ADDRESS);
}
