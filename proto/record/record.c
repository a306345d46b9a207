/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/record/record.h"

#include "proto/base/mem.h"
#include "proto/record/record.pb-c.h"

#include <stdlib.h>

static ProtobufCBinaryData data_of(struct bytes b)
{
    return (ProtobufCBinaryData){.len = b.n, .data = (uint8_t *)(uintptr_t)b.p};
}

static struct bytes bytes_from(ProtobufCBinaryData d)
{
    return bytes_of(d.data, d.len);
}

/* The message for r; the will's record is in *will, the caller's to free. */
static Covey__Record__Session session_message(const struct record_session *r, uint8_t **will)
{
    Covey__Record__Session m = COVEY__RECORD__SESSION__INIT;
    m.client_id = data_of(r->client_id);
    m.username = data_of(r->username);
    m.expiry_s = r->expiry_s;
    m.version = r->version;
    m.created_ms = r->created_ms;
    m.offline_since_ms = r->offline_since_ms;
    m.will_delay_s = r->will_delay_s;
    m.mountpoint = data_of(r->mountpoint);
    *will = NULL;
    if (r->will) {
        *will = mem_alloc(msg_record_size(r->will));
        m.will = data_of(bytes_of(*will, (size_t)(msg_record_put(*will, r->will) - *will)));
    }
    return m;
}

uint32_t record_session_size(const struct record_session *r)
{
    uint8_t *will;
    Covey__Record__Session m = session_message(r, &will);
    uint32_t n = (uint32_t)covey__record__session__get_packed_size(&m);
    free(will);
    return n;
}

void record_session_put(uint8_t *p, const struct record_session *r)
{
    uint8_t *will;
    Covey__Record__Session m = session_message(r, &will);
    covey__record__session__pack(&m, p);
    free(will);
}

bool record_session_read(struct record_session *r, struct bytes b)
{
    Covey__Record__Session *m = covey__record__session__unpack(NULL, b.n, b.p);
    if (!m)
        return false;
    *r = (struct record_session){
        .client_id = bytes_from(m->client_id),
        .username = bytes_from(m->username),
        .expiry_s = m->expiry_s,
        .version = m->version,
        .created_ms = m->created_ms,
        .offline_since_ms = m->offline_since_ms,
        .will_delay_s = m->will_delay_s,
        .mountpoint = bytes_from(m->mountpoint),
        .held = m,
    };
    struct cursor c = cursor_of(bytes_from(m->will));
    bool good = r->client_id.n > 0 && r->client_id.n <= UINT16_MAX;
    if (good && m->will.len) {
        r->will = msg_record_take(&c);
        good = r->will != NULL;
    }
    if (!good)
        record_session_fini(r);
    return good;
}

void record_session_fini(struct record_session *r)
{
    covey__record__session__free_unpacked(r->held, NULL);
    r->held = NULL;
}

static Covey__Record__Subscription sub_message(const struct record_sub *r)
{
    Covey__Record__Subscription m = COVEY__RECORD__SUBSCRIPTION__INIT;
    m.filter = data_of(r->filter);
    m.group = data_of(r->group);
    m.id = r->id;
    m.options = (uint32_t)(r->qos | r->no_local << 2 | r->retain_as_published << 3 | r->retain_handling << 4);
    return m;
}

uint32_t record_sub_size(const struct record_sub *r)
{
    Covey__Record__Subscription m = sub_message(r);
    return (uint32_t)covey__record__subscription__get_packed_size(&m);
}

void record_sub_put(uint8_t *p, const struct record_sub *r)
{
    Covey__Record__Subscription m = sub_message(r);
    covey__record__subscription__pack(&m, p);
}

bool record_sub_read(struct record_sub *r, struct bytes b)
{
    Covey__Record__Subscription *m = covey__record__subscription__unpack(NULL, b.n, b.p);
    if (!m)
        return false;
    *r = (struct record_sub){
        .filter = bytes_from(m->filter),
        .group = bytes_from(m->group),
        .id = m->id,
        .qos = m->options & 3,
        .no_local = m->options >> 2 & 1,
        .retain_as_published = m->options >> 3 & 1,
        .retain_handling = m->options >> 4 & 3,
        .held = m,
    };
    if (r->qos < 3 && r->filter.n && (size_t)r->filter.n + r->group.n <= UINT16_MAX)
        return true;
    record_sub_fini(r);
    return false;
}

void record_sub_fini(struct record_sub *r)
{
    covey__record__subscription__free_unpacked(r->held, NULL);
    r->held = NULL;
}
