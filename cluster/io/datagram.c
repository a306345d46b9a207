/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/datagram.h"

#include "proto/base/check.h"

#include <sodium.h>

enum { VERSION = 1, AT_ID = 1, AT_NONCE = AT_ID + SECRET_ID_N, TAG_N = 16 };
_Static_assert(DATAGRAM_NONCE_N == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(TAG_N == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");

/* ---- replay ---------------------------------------------------------------------------------------- */

/* The sender's place; a new one, or that of the one unused longest, begins anew. */
static struct replay_sender *sender_get(struct replay *r, const struct node_id *id)
{
    struct replay_sender *oldest = &r->senders[0];

    for (uint32_t i = 0; i < r->n; i++) {
        struct replay_sender *s = &r->senders[i];
        if (node_id_eq(&s->id, id))
            return s;
        if (s->used < oldest->used)
            oldest = s;
    }
    if (r->n < REPLAY_SENDERS_MAX)
        oldest = &r->senders[r->n++];
    *oldest = (struct replay_sender){.id = *id};
    return oldest;
}

bool replay_note(struct replay *r, const struct node_id *sender, uint64_t epoch, uint64_t counter)
{
    struct replay_sender *s = sender_get(r, sender);
    uint64_t behind;

    s->used = ++r->clock;
    if (epoch < s->epoch || counter == 0)
        return false;
    if (epoch > s->epoch) {
        s->epoch = epoch;
        s->top = s->seen = 0;
    }
    if (counter > s->top) {
        uint64_t step = counter - s->top;
        s->seen = step < REPLAY_WINDOW ? s->seen << step | 1 : 1;
        s->top = counter;
        return true;
    }
    behind = s->top - counter;
    if (behind >= REPLAY_WINDOW || s->seen >> behind & 1)
        return false;
    s->seen |= 1ull << behind;
    return true;
}

/* ---- sealing --------------------------------------------------------------------------------------- */

uint32_t datagram_seal(uint8_t out[DATAGRAM_MAX], const struct secret *s,
                       const uint8_t nonce[DATAGRAM_NONCE_N], const struct datagram_head *head,
                       struct bytes body)
{
    const struct secret_key *key = &s->keys[0];
    uint8_t *inner = out + DATAGRAM_HEAD_N;
    uint8_t *p;
    unsigned long long sealed_n;

    CHECK(body.n <= DATAGRAM_MAX - DATAGRAM_OVERHEAD_N);
    out[0] = VERSION;
    memcpy(out + AT_ID, key->id, SECRET_ID_N);
    memcpy(out + AT_NONCE, nonce, DATAGRAM_NONCE_N);
    p = bytes_put(inner, node_id_bytes(&head->sender));
    p = bytes_put(be64_put(be64_put(p, head->epoch), head->counter), body);
    crypto_aead_xchacha20poly1305_ietf_encrypt(inner, &sealed_n, inner, (size_t)(p - inner), out, AT_NONCE,
                                               NULL, nonce, key->datagram);
    return DATAGRAM_HEAD_N + (uint32_t)sealed_n;
}

enum datagram_result datagram_open(const struct secret *s, uint8_t *b, uint32_t n, struct datagram_head *head,
                                   struct bytes *body)
{
    const struct secret_key *key;
    uint8_t *inner = b + DATAGRAM_HEAD_N;
    struct cursor c;
    struct bytes id;

    if (n < DATAGRAM_OVERHEAD_N || n > DATAGRAM_MAX || b[0] != VERSION)
        return DATAGRAM_MALFORMED;
    key = secret_find(s, b + AT_ID);
    if (!key)
        return DATAGRAM_KEY;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(inner, NULL, NULL, inner, n - DATAGRAM_HEAD_N, b, AT_NONCE,
                                                   b + AT_NONCE, key->datagram) != 0)
        return DATAGRAM_FORGED;
    c = cursor_of(bytes_of(inner, n - DATAGRAM_HEAD_N - TAG_N));
    CHECK(cursor_bytes(&c, NODE_ID_N, &id) && node_id_read(&head->sender, id) &&
          cursor_u64(&c, &head->epoch) && cursor_u64(&c, &head->counter));
    *body = bytes_of(c.p, cursor_left(&c));
    return DATAGRAM_OK;
}
