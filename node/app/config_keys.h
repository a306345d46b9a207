/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_KEYS_H
#define COVEY_APP_CONFIG_KEYS_H

/* The one table of configuration keys. It drives the file parser, the environment overrides, check-config,
 * explain, the example file, the management API and the manual: what is not in it does not exist.
 *
 * A path is written with dots. Its part "<name>" stands for a name that the user chooses: one row serves
 * listeners.tcp.default.bind and listeners.tcp.inside.bind. */

#include "node/app/config.h"

enum config_type {
    CONFIG_BOOL,     /* bool: true, false, on, off */
    CONFIG_INT,      /* uint64_t */
    CONFIG_DECIMAL,  /* uint64_t, hundredths: "1.5" is 150 */
    CONFIG_DURATION, /* uint64_t, milliseconds, or microseconds with CONFIG_F_MICROS */
    CONFIG_SIZE,     /* uint64_t, bytes */
    CONFIG_RATE,     /* uint64_t, a second */
    CONFIG_ENUM,     /* an enum (int): the place of the word in choices */
    CONFIG_SET,      /* uint64_t: a bit for each word of choices that the list holds */
    CONFIG_STRING,   /* const char * */
    CONFIG_PATH,     /* const char *, absolute or "" */
    CONFIG_ADDR,     /* struct config_addr */
    CONFIG_LIST,     /* struct config_list */
};

enum config_flag {
    CONFIG_F_RELOAD = 1u << 0,   /* changes while the node runs, see reload.h */
    CONFIG_F_INFINITY = 1u << 1, /* "infinity" is allowed: CONFIG_INFINITY */
    CONFIG_F_ZERO_INF = 1u << 2, /* 0 means infinity */
    CONFIG_F_DISABLED = 1u << 3, /* "disabled" is allowed: 0 */
    CONFIG_F_AUTO = 1u << 4,     /* "auto" is allowed: worked out from other values */
    CONFIG_F_SECONDS = 1u << 5,  /* a duration's plain number is seconds; otherwise milliseconds */
    CONFIG_F_MICROS = 1u << 6,
    CONFIG_F_REQUIRED = 1u << 7, /* of a listener that is not named default: there is no default */
    CONFIG_F_URL_PATH = 1u << 8, /* a string that starts with "/" */
    CONFIG_F_BYTES = 1u << 9,    /* a rate of bytes: "1MB/s" */
    CONFIG_F_SECRET = 1u << 12,  /* may hold a secret: reports and the API do not show it */
};

struct config_key {
    const char *path;
    enum config_type type;
    uint32_t flags;
    size_t offset;   /* in struct config, or in struct config_listener when the path has <name> */
    const char *def; /* the default as one would write it in the file */
    uint64_t min, max;
    const char *const *choices; /* ends with NULL */
    const char *meaning;        /* one line, no full stop */
};

extern const struct config_key config_keys[];
extern const size_t config_keys_n;

enum { CONFIG_NAME_MAX = 64, CONFIG_PATH_MAX = 192, CONFIG_ENV_MAX = 256 };

/* The row of a path as a user writes it, with any valid name in place of <name>; NULL when there is none. */
const struct config_key *config_key_find(const char *path);
/* True when keys stand under this path: "mqtt", "listeners.tcp.default". "" is the root. */
bool config_key_is_section(const char *path);
/* True when the path of the row has <name>: the key of a listener, of config_key_kind(). */
bool config_key_is_named(const struct config_key *key);
enum config_listener_kind config_key_kind(const struct config_key *key);

/* False for what must be given: the address of a listener that is not named default. */
bool config_key_has_default(const struct config_key *key, const char *path);
/* The variable that overrides the key at path: "COVEY_NODE__NAME". Returns out. */
const char *config_env_name(char out[CONFIG_ENV_MAX], const char *path);

/* Letters, digits, "_" and "-", at most CONFIG_NAME_MAX. */
bool config_name_is_valid(const char *name, size_t n);
/* MATCH_WHOLE: path is what the pattern says. MATCH_PREFIX: the pattern goes on below path. */
enum config_match { MATCH_WHOLE, MATCH_PREFIX };
bool config_path_matches(const char *pattern, const char *path, enum config_match how);

#endif
