/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/psk.h"

#include "node/io/filetext.h"
#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 64 << 20 };

struct psk {
    struct bytes identity; /* a view of the text */
    uint8_t key[PSK_KEY_MAX];
    uint32_t key_n;
    uint32_t line;
};

struct psks {
    struct filetext text;
    struct psk *v; /* by identity */
    size_t n, cap;
    uint8_t secret[crypto_generichash_KEYBYTES]; /* of the keys that nobody knows */
};

/* ---- the file ------------------------------------------------------------------------------------- */

static const char *identity_judge(struct bytes b)
{
    if (!b.n)
        return "the identity is empty";
    if (b.n > PSK_IDENTITY_MAX)
        return "the identity is longer than 128 bytes";
    if (!utf8_is_valid(b))
        return "the identity is not UTF-8";
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] < 0x20 || b.p[i] == 0x7f)
            return "the identity has a control character";
    return NULL;
}

static const char *line_take(struct psks *p, struct bytes line, uint32_t number)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    if (!colon)
        return "there is no colon: IDENTITY:KEY is wanted";
    struct psk k = {.identity = bytes_of(line.p, (size_t)(colon - line.p)), .line = number};
    const char *hex = (const char *)colon + 1, *fault = identity_judge(k.identity);
    size_t hex_n = line.n - k.identity.n - 1, n = 0;
    if (fault)
        return fault;
    if (hex_n % 2 || hex_n > 2 * PSK_KEY_MAX || hex_n < 2 * PSK_KEY_MIN ||
        sodium_hex2bin(k.key, sizeof k.key, hex, hex_n, NULL, &n, NULL) != 0 || n != hex_n / 2)
        return "the key must be 16 to 128 hexadecimal digits, two for each byte";
    k.key_n = (uint32_t)n;
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->v = mem_realloc(p->v, p->cap * sizeof *p->v);
    }
    p->v[p->n++] = k;
    return NULL;
}

static int by_identity(const void *a, const void *b)
{
    const struct psk *x = a, *y = b;
    return bytes_cmp(x->identity, y->identity);
}

/* Every line ends with a newline, the last one too: a file that was cut is not taken for a whole one. */
static const char *lines_take(struct psks *p, uint32_t *line)
{
    const char *fault = NULL, *at = p->text.p, *end = at + p->text.n;
    for (*line = 1; at < end && !fault; ++*line) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            return "the file ends within a line";
        struct bytes b = bytes_of((const uint8_t *)at, (size_t)(stop - at));
        if (b.n && b.p[0] != '#' && (fault = line_take(p, b, *line)))
            return fault;
        at = stop + 1;
    }
    if (p->n)
        qsort(p->v, p->n, sizeof *p->v, by_identity);
    for (size_t i = 1; i < p->n; i++) {
        *line = p->v[i].line > p->v[i - 1].line ? p->v[i].line : p->v[i - 1].line;
        if (bytes_eq(p->v[i].identity, p->v[i - 1].identity))
            return "the identity is there twice";
    }
    return p->n ? NULL : "there is no identity in it";
}

enum err psks_read(struct psks **out, const char *path, char *fault, size_t n)
{
    struct psks *p = mem_zalloc(sizeof *p);
    uint32_t line = 0;
    enum err e = filetext_read(&p->text, path, FILE_BYTES_MAX);
    const char *what = e != OK             ? err_name(e)
                       : p->text.is_public ? "everybody can read it"
                                           : lines_take(p, &line);
    randombytes_buf(p->secret, sizeof p->secret);
    if (what) {
        snprintf(fault, n, line ? "%s (line %u)" : "%s", what, line);
        psks_free(p);
        return ERR_INVALID;
    }
    *out = p;
    return OK;
}

void psks_free(struct psks *p)
{
    if (!p)
        return;
    if (p->v)
        sodium_memzero(p->v, p->cap * sizeof *p->v);
    free(p->v);
    filetext_fini(&p->text);
    sodium_memzero(p->secret, sizeof p->secret);
    free(p);
}

/* ---- a handshake ---------------------------------------------------------------------------------- */

unsigned psk_find(const struct psks *p, struct bytes identity, unsigned char *key, unsigned cap,
                  bool *is_known)
{
    struct psk wanted = {.identity = identity};
    *is_known = false;
    if (identity_judge(identity))
        return 0;
    const struct psk *k = bsearch(&wanted, p->v, p->n, sizeof *p->v, by_identity);
    if (k && k->key_n <= cap) {
        memcpy(key, k->key, k->key_n);
        *is_known = true;
        return k->key_n;
    }
    if (cap < 32)
        return 0;
    crypto_generichash(key, 32, identity.p, identity.n, p->secret, sizeof p->secret);
    return 32;
}
