/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_ACL_H
#define COVEY_CORE_ACL_H

/* Who may publish and subscribe what: rules, one a line, and the first that fits decides.
 *
 *     allow|deny  WHO  publish|subscribe|all  [[eq] FILTER]
 *
 *     WHO     all | user NAME | client ID | address ADDRESS[/BITS] | cert NAME
 *     FILTER  a topic filter; ${clientid}, ${username} and ${cert_common_name} stand for what the client has.
 *             Without one: every topic, also those that begin with $. eq: the text as it stands.
 *
 * Words are parted by blanks; one with blanks, # or " in it may stand in "", with \" and \\ inside. A line
 * that begins with # is a comment. The last line ends with a newline: a file that was cut is not a whole one.
 *
 * A value is taken literally. One that is empty, has + # or / in it, or begins a filter with $, cannot be:
 * such a client gets nothing from a rule that allows, and a rule that denies takes all from there on.
 *
 * A rule fits a subscription when its filter covers the subscription's. What a wider subscription brings in
 * is held against the rules topic by topic when it is delivered.
 *
 * Immutable once made, but for its counts, and shared by all threads. */

#include "proto/base/bytes.h"

struct acl;

enum acl_action { ACL_PUBLISH = 1, ACL_SUBSCRIBE = 2 };
enum acl_effect { ACL_DENY, ACL_ALLOW };
enum acl_who { ACL_ALL, ACL_USER, ACL_CLIENT, ACL_CERT, ACL_ADDRESS, ACL_WHOS };

enum { ACL_FILE_BYTES_MAX = 64 << 20, ACL_ADDRESS_N = 16, ACL_WHY_N = 40 };

struct acl_rule {
    uint32_t line;
    uint8_t effect;  /* enum acl_effect */
    uint8_t who;     /* enum acl_who */
    uint8_t actions; /* enum acl_action, or both */
    uint8_t address_bits;
    uint8_t is_eq : 1;
    uint8_t has_filter : 1;
    uint8_t has_placeholder : 1;
    struct bytes name; /* of a user, client or certificate */
    struct bytes filter;
    uint32_t prefix_n;              /* bytes of filter that whatever it covers begins with */
    struct bytes text;              /* the line, as written */
    uint8_t address[ACL_ADDRESS_N]; /* of IPv6; ::ffff:A.B.C.D for IPv4 */
    char why[ACL_WHY_N];            /* "Denied by line 12 of the ACL", "Denied by rule 3 of the token" */
};

/* What rules look at. p NULL: there is none. */
struct acl_client {
    struct bytes client_id;
    struct bytes username;
    struct bytes cert_name;
    const uint8_t *address; /* ACL_ADDRESS_N bytes; NULL: not known */
    bool is_partial; /* certificate and address are not known: what denies them fits, what allows does not */
};

struct acl_fault {
    uint32_t line; /* 1.. */
    char what[160];
};

/* no_match: what holds where no rule fits. NULL: *fault says why. The caller's reference. */
struct acl *acl_parse(struct bytes text, enum acl_effect no_match, struct acl_fault *fault);
/* The same of one client's rules, which its token brings. is_whole: what none of them allows is denied; else
 * where none fits others decide. */
struct acl *acl_parse_own(struct bytes text, bool is_whole, struct acl_fault *fault);
struct acl *acl_ref(struct acl *a); /* NULL is fine; any thread */
void acl_unref(struct acl *a);      /* the same */

uint32_t acl_rules(const struct acl *a);
const struct acl_rule *acl_rule(const struct acl *a, uint32_t i); /* in the order of the file */
/* How often a rule has refused; i == acl_rules(a): no rule fitted. */
uint64_t acl_refused(const struct acl *a, uint32_t i);

/* A verdict is a rule's number, acl_rules(a) where none fits. On a topic, ACL_SUBSCRIBE asks whether the
 * client may see it: what `allow ... eq FILTER` lets it subscribe, it may see. */
uint32_t acl_on_topic(const struct acl *a, const struct acl_client *c, enum acl_action action,
                      struct bytes topic);
/* filter: without $share. *is_whole: no topic that it matches could be denied. */
uint32_t acl_on_filter(const struct acl *a, const struct acl_client *c, struct bytes filter, bool *is_whole);
bool acl_allows(const struct acl *a, uint32_t verdict);
/* False: none of a client's own rules fits, and others decide. */
bool acl_decides(const struct acl *a, uint32_t verdict);
void acl_count_refusal(struct acl *a, uint32_t verdict);
/* For a reason string; lives as long as a. */
const char *acl_why(const struct acl *a, uint32_t verdict);

/* Text of an IP address to ACL_ADDRESS_N bytes; false: it is none. */
bool acl_address(const char *text, uint8_t out[ACL_ADDRESS_N]);

#endif
