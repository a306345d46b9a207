/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/when.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

/* "+01:00", "Z": its seconds. */
static bool zone_read(const char *p, long *seconds)
{
    int sign = p[0] == '-' ? -1 : 1;
    if ((p[0] == 'Z' || p[0] == 'z') && !p[1]) {
        *seconds = 0;
        return true;
    }
    if ((p[0] != '+' && p[0] != '-') || !isdigit((unsigned char)p[1]) || !isdigit((unsigned char)p[2]) ||
        p[3] != ':' || !isdigit((unsigned char)p[4]) || !isdigit((unsigned char)p[5]) || p[6])
        return false;
    long hours = (p[1] - '0') * 10 + p[2] - '0', minutes = (p[4] - '0') * 10 + p[5] - '0';
    *seconds = sign * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

bool when_read(const char *text, uint64_t *wall_ms)
{
    struct tm tm = {0};
    long zone, ms = 0, weight = 100;
    const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!p)
        return false;
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++, weight /= 10)
            ms += (*p - '0') * weight;
    if (!zone_read(p, &zone))
        return false;
    int64_t seconds = (int64_t)timegm(&tm) - zone;
    if (seconds < 0)
        return false;
    *wall_ms = (uint64_t)seconds * 1000 + (uint64_t)ms;
    return true;
}
