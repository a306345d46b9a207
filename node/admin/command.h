/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_COMMAND_H
#define COVEY_ADMIN_COMMAND_H

/* The commands of `covey ctl`. A call is one request that is being answered: a command writes its text, and
 * when that may be long, leaves a producer behind that is asked for more as the reader takes it. */

#include "node/admin/admin.h"
#include "node/admin/alarms.h"
#include "node/admin/figures.h"
#include "node/admin/retained_walk.h"
#include "node/admin/text.h"
#include "proto/base/clock.h"

struct accounts;
struct admins_wait;
struct api;
struct transfer;
struct why_ask;

/* What commands work with; one for the admin thread. */
struct admin_env {
    struct admin_conf conf;
    struct figures figures;
    struct alarms alarms;
    uint64_t started_ms;               /* monotonic, of the node's start */
    struct certs *https_certs;         /* NULL: there is no HTTPS */
    struct accounts *accounts;         /* of the API; NULL: there is none */
    struct api *api;                   /* NULL: HTTP is off */
    const struct admin_reload *reload; /* the last one; NULL: there was none */
};
static inline uint64_t admin_uptime_ms(const struct admin_env *env)
{
    return mono_ms() - env->started_ms;
}

/* Where a listing stands; each uses what it needs. Begins as zeros. */
struct listing {
    uint32_t shard;
    uint32_t place;
    struct inspect_place sub_place;
    struct inspect_buf buf;
    struct retained_walk retained;
};

/* What a command of the cluster waits for. */
struct waiting {
    uint64_t until_ms; /* monotonic */
    uint64_t told_ms;
    struct net_addr addr;
};

struct call {
    struct admin_env *env;
    const char *const *words;
    uint32_t words_n;
    const char *const *args; /* the words behind the command's own */
    uint32_t args_n;
    int status;
    struct text out; /* taken and emptied by whoever sends it */
    /* Adds more to out; false: that was all. NULL: there is no more. */
    bool (*produce)(struct call *c);
    uint32_t wait_ms; /* produce has nothing now; ask it again after so long */
    struct listing listing;
    struct waiting waiting;
    struct transfer *transfer;  /* an export or import that is under way */
    struct why_ask *why;        /* a question to all nodes */
    struct admins_wait *admins; /* a change of a user that is under way */
};

/* env and the words outlive the call, which call_fini() ends. Runs the command; a producer may still change
 * the status. */
void call_init(struct call *c, struct admin_env *env, const char *const *words, uint32_t words_n);
void call_fini(struct call *c);

/* For commands: the metrics whose names begin so, sorted. */
void figures_put(struct call *c, const char *prefix);
/* For commands: "90", "90s", "5m", "2h", "7d". */
bool duration_read(const char *text, uint64_t *out_ms);
/* For commands: status 1 and a line. */
void call_fail(struct call *c, const char *line);

/* For commands: what the cluster thread knows of the others, the members by name; info->peers is the caller's
 * to free. False, said: there is nobody to ask. */
struct mesh_info;
bool cluster_info(struct call *c, struct mesh_info *info);

enum command_effect {
    COMMAND_LOOKS,
    COMMAND_CHANGES, /* logged */
    COMMAND_SECRET,  /* logged with its first argument only */
};

struct command {
    const char *group;
    const char *verb; /* NULL: none */
    const char *args; /* "<clientid>", or "" */
    const char *help;
    uint8_t args_min;
    uint8_t args_max;
    enum command_effect effect;
    void (*run)(struct call *c);
};
void transfer_free(struct transfer *t);       /* NULL is fine */
void why_ask_free(struct why_ask *a);         /* NULL is fine */
void admins_wait_free(struct admins_wait *w); /* NULL is fine */
/* The i-th of all commands, those of one group together; NULL: there are no more. */
const struct command *command_at(size_t i);
/* Its line in the help. */
void command_usage_put(struct text *out, const struct command *m);
/* Ended by one without a group. */
extern const struct command commands_node[];
extern const struct command commands_clients[];
extern const struct command commands_topics[];
extern const struct command commands_retainer[];
extern const struct command commands_listeners[];
extern const struct command commands_cluster[];
extern const struct command commands_alarms[];
extern const struct command commands_bans[];
extern const struct command commands_overload[];
extern const struct command commands_auth[];
extern const struct command commands_watch[];
extern const struct command commands_delayed[];
extern const struct command commands_acl[];
extern const struct command commands_reload[];
extern const struct command commands_trace[];
extern const struct command commands_transfer[];
extern const struct command commands_why[];
extern const struct command commands_admins[];

#endif
