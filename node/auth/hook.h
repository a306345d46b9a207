/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_HOOK_H
#define COVEY_AUTH_HOOK_H

/* Asking an HTTP server whether a client may come in (authn), or publish or subscribe something (authz): what
 * it is asked, what its answer means, and when it is left in peace. No I/O. */

#include "proto/base/bytes.h"

enum hook_use { HOOK_AUTHN, HOOK_AUTHZ };

/* What stands for a placeholder of the same name. p NULL: none. */
struct hook_values {
    struct bytes client_id, username, peerhost, cert_common_name;
    struct bytes password;                   /* HOOK_AUTHN only */
    struct bytes topic, action, qos, retain; /* HOOK_AUTHZ only */
};

/* How what stands for a placeholder is written, so that it is a value and nothing else. */
enum hook_encoding {
    HOOK_URL,  /* percent-encoded, for URLs and forms */
    HOOK_JSON, /* what may stand between the quotes of a string */
};

/* What is wrong with a template; NULL: nothing. It may have ${clientid}, ${username}, ${peerhost} and
 * ${cert_common_name}, and by its use ${password}, or ${topic}, ${action}, ${qos} and ${retain}. */
const char *hook_template_judge(const char *template, enum hook_use use);
/* Of a URL as well: what a client sends may only be in its query, for elsewhere it would choose whom or what
 * is asked. */
const char *hook_url_judge(const char *url, enum hook_use use);
/* What is wrong with a header; NULL: nothing. */
const char *hook_header_judge(const char *header);
/* From malloc(), ends with NUL; what a client does not have is empty. It may hold a password: wipe it. */
char *hook_fill(const char *template, enum hook_encoding encoding, const struct hook_values *v);

enum hook_answer {
    HOOK_ALLOW,
    HOOK_DENY,
    HOOK_IGNORE, /* it has nothing to say about this */
};
struct hook_reply {
    enum hook_answer answer;
    bool is_malformed; /* a 200 that says none of these; answer is HOOK_IGNORE */
    bool is_superuser; /* with HOOK_ALLOW: rules of authorization do not concern the client */
};
/* As EMQX takes them: 200 with {"result": "allow" | "deny" | "ignore", "is_superuser": true | false}, 204
 * allows, all others ignore. */
struct hook_reply hook_reply_read(long status, struct bytes body);

/* What became of one question, for those who count. */
enum hook_outcome {
    HOOK_NOT_ASKED,
    HOOK_SAID_ALLOW,
    HOOK_SAID_DENY,
    HOOK_SAID_IGNORE,
    HOOK_SAID_NOTHING, /* malformed, which counts as ignore */
    HOOK_FAILED,       /* no answer, or none in time */
    HOOK_LEFT_ALONE,   /* not asked: the breaker is open */
    HOOK_QUEUE_FULL,   /* not asked: too many wait, or this one has waited too long */
    HOOK_RECALLED,     /* not asked: an earlier answer is remembered */
};
enum hook_outcome hook_outcome_of(const struct hook_reply *r);

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
