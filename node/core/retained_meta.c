/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/retained_meta.h"

#include "node/core/hlc.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/mqtt/msg.h"

#include <sodium.h>

_Static_assert((int)RETAINED_META_KEY_MAX <= (int)STORE_KEY_MAX, "the store takes the longest key");

struct bytes retained_key(uint8_t buf[RETAINED_KEY_MAX], struct bytes topic)
{
    if (topic.n <= RETAINED_PREFIX_MAX)
        return topic;
    memcpy(buf, topic.p, RETAINED_PREFIX_MAX);
    uint8_t *p = be64_put(buf + RETAINED_PREFIX_MAX, hash_bytes(topic.p, topic.n, 1));
    be64_put(p, hash_bytes(topic.p, topic.n, 2));
    return bytes_of(buf, RETAINED_KEY_MAX);
}

/* SipHash with a key that is no secret: it is wanted the same everywhere, and for good. */
static uint64_t hash_everywhere(struct bytes b)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES] = "covey retained";
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, b.p, b.n, key);
    return be64_get(out);
}

uint32_t retained_bucket(struct bytes key)
{
    return (uint32_t)(hash_everywhere(key) % RETAINED_BUCKETS);
}

struct bytes retained_meta_key(uint8_t buf[RETAINED_META_KEY_MAX], struct bytes key)
{
    CHECK(key.n > 0 && key.n <= RETAINED_KEY_MAX);
    bytes_put(be16_put(buf, (uint16_t)retained_bucket(key)), key);
    return bytes_of(buf, 2 + key.n);
}

void retained_meta_value(uint8_t out[RETAINED_META_N], const struct retained_meta *m)
{
    be64_put(be64_put(be64_put(out, m->stamp), m->node), m->fades_ms);
}

bool retained_meta_read(struct retained_meta *m, struct bytes key, struct bytes value)
{
    if (key.n <= 2 || key.n > RETAINED_META_KEY_MAX || value.n != RETAINED_META_N)
        return false;
    *m = (struct retained_meta){.key = bytes_of(key.p + 2, key.n - 2),
                                .bucket = be16_get(key.p),
                                .stamp = be64_get(value.p),
                                .node = be64_get(value.p + 8),
                                .fades_ms = be64_get(value.p + 16)};
    return m->bucket < RETAINED_BUCKETS && m->stamp < HLC_STAMP_MAX;
}

uint64_t retained_fades_ms(uint64_t stamp, struct bytes record)
{
    uint64_t expires_ms = 0;
    if (record.n && !msg_record_expiry(record, &expires_ms))
        return RETAINED_FADES_NEVER;
    uint64_t at = hlc_ms(stamp) + RETAINED_TOMBSTONE_MS;
    return expires_ms > at ? expires_ms : at;
}

uint64_t retained_digest(struct bytes key, uint64_t stamp, uint64_t node)
{
    uint8_t buf[STORE_RANK_N + RETAINED_KEY_MAX];
    be64_put(be64_put(buf, stamp), node);
    bytes_put(buf + STORE_RANK_N, key);
    return hash_everywhere(bytes_of(buf, STORE_RANK_N + key.n));
}

bool retained_is_sound(struct bytes key, uint64_t stamp, struct bytes record)
{
    uint8_t buf[RETAINED_KEY_MAX];
    if (key.n == 0 || key.n > RETAINED_KEY_MAX || stamp >= HLC_STAMP_MAX)
        return false;
    if (!record.n)
        return true;
    struct cursor c = cursor_of(record);
    struct msg *m = msg_record_take(&c);
    bool is_sound =
        m && cursor_left(&c) == 0 && m->payload_n && bytes_eq(retained_key(buf, msg_topic(m)), key);
    msg_unref(m);
    return is_sound;
}
