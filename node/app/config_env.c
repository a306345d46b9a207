/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_build.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define PREFIX "COVEY_"

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t m = strlen(end);
    return n >= m && memcmp(s + n - m, end, m) == 0;
}

/* Kubernetes and Docker describe services to containers in variables named after the service: for one named
 * covey or covey-anything they look like ours. No key has such a name, since keys have "__" in them. */
static bool is_service_variable(const char *name, size_t n)
{
    static const char *const ends[] = {"_SERVICE_HOST", "_SERVICE_PORT", "_PORT",      "_TCP",
                                       "_UDP",          "_SCTP",         "_TCP_ADDR",  "_UDP_ADDR",
                                       "_TCP_PORT",     "_UDP_PORT",     "_TCP_PROTO", "_UDP_PROTO"};
    if (memmem(name, n, "__", 2))
        return false;
    if (memmem(name, n, "_SERVICE_PORT_", 14))
        return true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (ends_with(name, n, ends[i]))
            return true;
    }
    return false;
}

static bool is_ours(const char *name, size_t n)
{
    if (n <= sizeof PREFIX - 1 || strncmp(name, PREFIX, sizeof PREFIX - 1) != 0)
        return false;
    if (n == strlen("COVEY_CONFIG") && memcmp(name, "COVEY_CONFIG", n) == 0)
        return false;
    return strncmp(name, "COVEY_TEST_", strlen("COVEY_TEST_")) != 0 && !is_service_variable(name, n);
}

const char *config_env_name(char out[CONFIG_ENV_MAX], const char *path)
{
    size_t o = sizeof PREFIX - 1;
    memcpy(out, PREFIX, o);
    for (; *path && o + 3 < CONFIG_ENV_MAX; path++) {
        if (*path == '.')
            out[o++] = '_';
        out[o++] = *path == '.' ? '_' : (char)toupper((unsigned char)*path);
    }
    out[o] = 0;
    return out;
}

/* COVEY_MQTT__MAX_INFLIGHT -> mqtt.max_inflight; false when it is too long. */
static bool path_of(char out[CONFIG_PATH_MAX], const char *name, size_t n)
{
    size_t o = 0;
    for (size_t i = sizeof PREFIX - 1; i < n; i++) {
        if (o + 1 >= CONFIG_PATH_MAX)
            return false;
        if (name[i] == '_' && i + 1 < n && name[i + 1] == '_') {
            out[o++] = '.';
            i++;
        } else {
            out[o++] = (char)tolower((unsigned char)name[i]);
        }
    }
    out[o] = 0;
    return true;
}

/* Names of variables have no case to speak of: a listener of the file is found under any. */
static const char *path_existing(struct config_build *b, const char *path)
{
    for (size_t i = 0; i < b->conf->items_n; i++) {
        if (strcasecmp(b->conf->items[i].path, path) == 0)
            return b->conf->items[i].path;
    }
    return path;
}

void config_env_read(struct config_build *b)
{
    char path[CONFIG_PATH_MAX], escaped[LOG_ESCAPED_MAX];
    for (const char *const *env = b->source->env; env && *env; env++) {
        const char *eq = strchr(*env, '=');
        if (!eq || !is_ours(*env, (size_t)(eq - *env)))
            continue;
        log_escape(escaped, bytes_of(*env, (size_t)(eq - *env)));
        if (!path_of(path, *env, (size_t)(eq - *env)))
            config_report_add(b->report, CONFIG_ERROR, escaped, "", "unknown variable");
        else if (!config_key_find(path))
            config_build_unknown(b, CONFIG_FROM_ENV, escaped, path);
        else
            config_build_set(b, CONFIG_FROM_ENV, escaped, path_existing(b, path), eq + 1);
    }
}
