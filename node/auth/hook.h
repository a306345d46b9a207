/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_HOOK_H
#define COVEY_AUTH_HOOK_H

/* Asking an HTTP server about a client: what it is asked, what its answer means, and when it is left in
 * peace. No I/O. */

#include "proto/base/bytes.h"

struct hook_client {
    struct bytes client_id, username, password, peerhost, cert_common_name; /* p NULL: none */
};

/* How what stands for a placeholder is written, so that it is a value and nothing else. */
enum hook_encoding {
    HOOK_URL,  /* percent-encoded, for URLs and forms */
    HOOK_JSON, /* what may stand between the quotes of a string */
};

/* What is wrong with a template; NULL: nothing. It may have ${clientid}, ${username}, ${password},
 * ${peerhost} and
 * ${cert_common_name}. */
const char *hook_template_judge(const char *template);
/* Of a URL as well: what a client sends may only be in its query, for elsewhere it would choose whom or what
 * is asked. */
const char *hook_url_judge(const char *url);
/* From malloc(), ends with NUL; what a client does not have is empty. It may hold a password: wipe it. */
char *hook_fill(const char *template, enum hook_encoding encoding, const struct hook_client *c);

enum hook_answer {
    HOOK_ALLOW,
    HOOK_DENY,
    HOOK_IGNORE, /* it does not know this client */
};
/* As EMQX takes them: 200 with {"result": "allow" | "deny" | "ignore"}, 204 allows, all others ignore.
 * *is_malformed: a 200 that says none of these. */
enum hook_answer hook_answer_read(long status, struct bytes body, bool *is_malformed);

/* After FAILURES in a row the server is not asked for OPEN_MS; then one question goes through, and decides.
 */
enum { BREAKER_FAILURES = 5, BREAKER_OPEN_MS = 5000 };
struct breaker {
    uint32_t failures; /* in a row */
    uint64_t open_until_ms;
    bool is_probing;
};
/* *is_probe is for breaker_note(): of an open breaker only the probe counts, not what was asked before it
 * opened. */
bool breaker_lets(struct breaker *b, uint64_t now_ms, bool *is_probe);
void breaker_note(struct breaker *b, bool has_answered, bool is_probe, uint64_t now_ms);
bool breaker_is_open(const struct breaker *b);

#endif
