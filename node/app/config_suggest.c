/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_suggest.h"

#include "node/app/config_keys.h"
#include "proto/base/check.h"

#include <string.h>

struct instead {
    const char *pattern; /* it and everything under it */
    const char *text;
};

#define NO_ADDRESSES "who connects to a Unix socket has no address: mode and group say who may"
#define NO_ACCEPTORS "not needed: every worker accepts connections (node.workers)"

static const struct instead insteads[] = {
    {"mqtt.retry_interval", "not needed: a message is sent again only when its client connects again"},
    {"mqtt.keepalive_backoff", "use mqtt.keepalive_multiplier, which is twice as much"},
    {"mqtt.strict_mode", "not needed: packets are always checked strictly"},
    {"listeners.tcp.<name>.acceptors", NO_ACCEPTORS},
    {"listeners.ssl.<name>.acceptors", NO_ACCEPTORS},
    {"listeners.ws.<name>.acceptors", NO_ACCEPTORS},
    {"listeners.wss.<name>.acceptors", NO_ACCEPTORS},
    {"listeners.unix.<name>.acceptors", NO_ACCEPTORS},
    {"listeners.unix.<name>.access_rules", NO_ADDRESSES},
    {"listeners.unix.<name>.proxy_protocol", NO_ADDRESSES},
    {"listeners.unix.<name>.proxy_protocol_trusted", NO_ADDRESSES},
    {"listeners.unix.<name>.proxy_protocol_timeout", NO_ADDRESSES},
    {"listeners.unix.<name>.tcp_options.backlog", "use listeners.unix.<name>.backlog"},
    {"listeners.quic", "MQTT over QUIC is not served"},
    {"listener", "listeners are written as listeners.tcp.<name>.bind and so on"},
    {"zone", "these settings are under mqtt"},
    {"zones", "these settings are under mqtt"},
    {"broker", "these settings are under mqtt and sys_topics"},
    {"allow_anonymous", "use mqtt.allow_anonymous"},
    {"node.cookie", "not needed: there is no Erlang cookie; see cluster.secret_file"},
    {"cluster.discovery", "use cluster.discovery_strategy"},
    {"cluster.autoheal", "not needed: parts of a cluster that see each other again are one again"},
    {"cluster.etcd", "use cluster.static.seeds or cluster.dns.name"},
    {"cluster.k8s", "use cluster.dns.name with a headless service"},
    {"cluster.mcast", "use cluster.static.seeds or cluster.dns.name"},
    {"node.process_limit", "not needed: there is no Erlang virtual machine"},
    {"node.max_ports", "not needed: there is no Erlang virtual machine"},
};

const char *config_suggest_instead(const char *path)
{
    for (size_t i = 0; i < array_len(insteads); i++) {
        size_t n = strlen(insteads[i].pattern);
        bool is_under = strncmp(path, insteads[i].pattern, n) == 0 && (path[n] == 0 || path[n] == '.');
        if (is_under || config_path_matches(insteads[i].pattern, path, MATCH_WHOLE))
            return insteads[i].text;
    }
    return NULL;
}

unsigned config_suggest_distance(const char *a, const char *b, unsigned most)
{
    unsigned rows[3][CONFIG_PATH_MAX + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > CONFIG_PATH_MAX || m > CONFIG_PATH_MAX || (n > m ? n - m : m - n) > most)
        return most + 1;
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        unsigned *reused = before;
        before = above;
        above = row;
        row = reused;
    }
    return above[m];
}

/* Writes the first `parts` parts of the pattern, with the path's own words in place of <name>. */
static void pattern_fill(char out[CONFIG_PATH_MAX], const char *pattern, const char *path, size_t parts)
{
    size_t o = 0;
    for (size_t part = 0; part < parts && *pattern; part++) {
        size_t want = strcspn(pattern, "."), have = strcspn(path, ".");
        const char *from = pattern;
        size_t n = want;
        if (*pattern == '<') {
            from = config_name_is_valid(path, have) ? path : "default";
            n = from == path ? have : strlen(from);
        }
        if (o + n + 2 > CONFIG_PATH_MAX)
            break;
        if (part)
            out[o++] = '.';
        memcpy(out + o, from, n);
        o += n;
        pattern += want + (pattern[want] == '.');
        path += have + (path[have] == '.');
    }
    out[o] = 0;
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static size_t parts_count(const char *path)
{
    size_t n = 1;
    for (; *path; path++)
        n += *path == '.';
    return n;
}

const char *config_suggest(const char *path, struct config_arena *arena)
{
    char filled[CONFIG_PATH_MAX] = "", best[CONFIG_PATH_MAX] = "";
    size_t parts = parts_count(path);
    const char *last = last_part(path);
    unsigned most = (unsigned)strlen(last) / 4;
    const char *elsewhere = NULL;
    if (most == 0)
        most = 1;
    for (size_t i = 0; i < config_keys_n; i++) {
        const char *pattern = config_keys[i].path;
        pattern_fill(filled, pattern, path, parts);
        unsigned d = config_suggest_distance(path, filled, most);
        if (d <= most) {
            memcpy(best, filled, sizeof best);
            if (d <= 1)
                break;
            most = d - 1;
        }
        if (!elsewhere && strcmp(last_part(pattern), last) == 0)
            elsewhere = pattern;
    }
    if (*best)
        return config_arena_str(arena, best);
    return elsewhere;
}
