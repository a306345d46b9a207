/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/identity.h"

#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

static bool is_name(struct bytes b)
{
    if (!b.n || b.n > IDENTITY_NAME_MAX || !utf8_is_valid(b))
        return false;
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] < 0x20 || b.p[i] == 0x7f)
            return false;
    return true;
}

static struct bytes keep(uint8_t **at, struct bytes b)
{
    if (!is_name(b))
        return bytes_of(NULL, 0);
    struct bytes copy = bytes_of(*at, b.n);
    *at = bytes_put(*at, b);
    return copy;
}

struct identity *identity_new(struct bytes cert_name, struct bytes user, bool is_psk)
{
    struct identity *i = mem_zalloc(sizeof *i + cert_name.n + user.n);
    uint8_t *at = i->text;
    i->cert_name = keep(&at, cert_name);
    i->user = keep(&at, user);
    i->is_psk = is_psk;
    return i;
}
