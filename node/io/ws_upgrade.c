/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/ws_upgrade.h"

#include "proto/base/check.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>

enum { KEY_CHARS = 24 /* base64 of 16 bytes */, ACCEPT_CHARS = 28 };

/* What the client asks for. Views into the head. */
struct request {
    struct bytes method;
    struct bytes path; /* without the query */
    bool is_http_1_1;
    bool has_upgrade;
    bool has_connection;
    bool has_version;
    unsigned versions_n;
    struct bytes key;
    unsigned keys_n;
    struct bytes subprotocol; /* the first one offered that is MQTT's */
    bool has_offer;
};

size_t ws_upgrade_end(const uint8_t *p, size_t n)
{
    const uint8_t *e = memmem(p, n, "\r\n\r\n", 4);
    return e ? (size_t)(e - p) + 4 : 0;
}

/* ---- words ----------------------------------------------------------------------------------------- */

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool is_word(struct bytes a, const char *word)
{
    size_t n = strlen(word);

    if (a.n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (lower(a.p[i]) != lower((uint8_t)word[i]))
            return false;
    return true;
}

static struct bytes trim(struct bytes b)
{
    while (b.n && (b.p[0] == ' ' || b.p[0] == '\t')) {
        b.p++;
        b.n--;
    }
    while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
        b.n--;
    return b;
}

/* Cuts what stands before `at` off *rest; without `at` that is all of it. */
static struct bytes cut(struct bytes *rest, char at)
{
    const uint8_t *p = rest->n ? memchr(rest->p, at, rest->n) : NULL;
    struct bytes head = *rest;

    if (!p) {
        *rest = (struct bytes){NULL, 0};
        return head;
    }
    head.n = (uint32_t)(p - rest->p);
    *rest = bytes_of(p + 1, rest->n - head.n - 1);
    return head;
}

static bool list_has(struct bytes list, const char *word)
{
    while (list.n)
        if (is_word(trim(cut(&list, ',')), word))
            return true;
    return false;
}

/* ---- the head -------------------------------------------------------------------------------------- */

static bool is_mqtt(struct bytes subprotocol)
{
    /* "mqtt" is the standard's [MQTT-6.0.0-3], "mqttv3.1" that of 3.1; the others are what clients of EMQX
     * ask for. */
    static const char *const known[] = {"mqtt", "mqttv3.1", "mqtt-v3", "mqtt-v3.1.1", "mqtt-v5"};

    for (size_t i = 0; i < array_len(known); i++)
        if (is_word(subprotocol, known[i]))
            return true;
    return false;
}

static void on_subprotocols(struct request *r, struct bytes list)
{
    r->has_offer = true;
    while (list.n) {
        struct bytes one = trim(cut(&list, ','));
        if (!r->subprotocol.n && is_mqtt(one))
            r->subprotocol = one;
    }
}

static void on_field(struct request *r, struct bytes name, struct bytes value)
{
    if (is_word(name, "upgrade")) {
        r->has_upgrade |= list_has(value, "websocket");
    } else if (is_word(name, "connection")) {
        r->has_connection |= list_has(value, "upgrade");
    } else if (is_word(name, "sec-websocket-version")) {
        r->versions_n++;
        r->has_version = is_word(value, "13");
    } else if (is_word(name, "sec-websocket-key")) {
        r->keys_n++;
        r->key = value;
    } else if (is_word(name, "sec-websocket-protocol")) {
        on_subprotocols(r, value);
    }
}

static bool is_clean(struct bytes line)
{
    for (uint32_t i = 0; i < line.n; i++)
        if ((line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
            return false;
    return true;
}

/* One line without its end; false behind the last one. */
static bool take_line(struct bytes *rest, struct bytes *line)
{
    const uint8_t *p = rest->n ? memmem(rest->p, rest->n, "\r\n", 2) : NULL;

    if (!p)
        return false;
    *line = bytes_of(rest->p, (size_t)(p - rest->p));
    *rest = bytes_of(p + 2, rest->n - line->n - 2);
    return true;
}

static bool request_line(struct request *r, struct bytes line)
{
    struct bytes target;

    r->method = cut(&line, ' ');
    target = cut(&line, ' ');
    r->is_http_1_1 = bytes_eq(line, bytes_str("HTTP/1.1"));
    r->path = cut(&target, '?');
    return r->method.n > 0 && r->path.n > 0 && bytes_starts(line, bytes_str("HTTP/"));
}

static bool request_parse(struct request *r, struct bytes head)
{
    struct bytes line;

    *r = (struct request){0};
    if (!take_line(&head, &line) || !is_clean(line) || !request_line(r, line))
        return false;
    while (take_line(&head, &line) && line.n) {
        struct bytes value = line;
        struct bytes name = cut(&value, ':');
        /* No colon, no name, or a space before it: such lines make two servers see two requests. */
        if (!is_clean(line) || name.n == line.n || name.n == 0 || trim(name).n != name.n)
            return false;
        on_field(r, name, trim(value));
    }
    return true;
}

static bool is_key(struct bytes key)
{
    uint8_t raw[KEY_CHARS];

    return key.n == KEY_CHARS && key.p[22] == '=' && key.p[23] == '=' && key.p[21] != '=' &&
           EVP_DecodeBlock(raw, key.p, KEY_CHARS) == 18;
}

/* ---- the response ---------------------------------------------------------------------------------- */

static size_t refuse(uint8_t response[WS_RESPONSE_MAX], const char *status, const char *fields)
{
    int n = snprintf((char *)response, WS_RESPONSE_MAX,
                     "HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: 0\r\n\r\n", status, fields);
    CHECK(n > 0 && n < WS_RESPONSE_MAX);
    return (size_t)n;
}

size_t ws_upgrade_too_long(uint8_t response[WS_RESPONSE_MAX])
{
    return refuse(response, "431 Request Header Fields Too Large", "");
}

static size_t welcome(uint8_t response[WS_RESPONSE_MAX], const struct request *r)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[KEY_CHARS + sizeof guid];
    uint8_t hash[SHA_DIGEST_LENGTH];
    uint8_t accepted[ACCEPT_CHARS + 1];
    int n;

    memcpy(text, r->key.p, KEY_CHARS);
    memcpy(text + KEY_CHARS, guid, sizeof guid);
    SHA1(text, KEY_CHARS + sizeof guid - 1, hash);
    EVP_EncodeBlock(accepted, hash, sizeof hash);
    n = snprintf((char *)response, WS_RESPONSE_MAX,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n%s%.*s%s\r\n",
                 (const char *)accepted, r->subprotocol.n ? "Sec-WebSocket-Protocol: " : "",
                 (int)r->subprotocol.n, r->subprotocol.n ? (const char *)r->subprotocol.p : "",
                 r->subprotocol.n ? "\r\n" : "");
    CHECK(n > 0 && n < WS_RESPONSE_MAX);
    return (size_t)n;
}

enum transport_fault ws_upgrade(const struct io_ws_conf *conf, const uint8_t *head, size_t head_n,
                                uint8_t response[WS_RESPONSE_MAX], size_t *n)
{
    struct request r;

    if (!request_parse(&r, bytes_of(head, head_n)) || !r.is_http_1_1) {
        *n = refuse(response, "400 Bad Request", "");
        return TRANSPORT_FAULT_WS_REQUEST;
    }
    if (!bytes_eq(r.method, bytes_str("GET"))) {
        *n = refuse(response, "405 Method Not Allowed", "Allow: GET\r\n");
        return TRANSPORT_FAULT_WS_REQUEST;
    }
    if (!bytes_eq(r.path, bytes_str(conf->path))) {
        *n = refuse(response, "404 Not Found", "");
        return TRANSPORT_FAULT_WS_PATH;
    }
    if (!r.has_upgrade || !r.has_connection || r.keys_n != 1 || !is_key(r.key)) {
        *n = refuse(response, "400 Bad Request", "");
        return TRANSPORT_FAULT_WS_REQUEST;
    }
    if (r.versions_n != 1 || !r.has_version) {
        *n = refuse(response, "426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        return TRANSPORT_FAULT_WS_VERSION;
    }
    if (!r.subprotocol.n && (r.has_offer || conf->subprotocol == IO_WS_SUBPROTOCOL_REQUIRED)) {
        *n = refuse(response, "400 Bad Request", "");
        return TRANSPORT_FAULT_WS_SUBPROTOCOL;
    }
    *n = welcome(response, &r);
    return TRANSPORT_FAULT_NONE;
}
