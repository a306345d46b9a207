/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_ACL_I_H
#define COVEY_CORE_ACL_I_H

#include "node/core/acl.h"

struct acl_count {
    uint64_t refused; /* atomic */
};

struct acl {
    uint32_t refs; /* atomic */
    enum acl_effect no_match;
    bool is_own;     /* a client's: it came with it */
    bool is_partial; /* where no rule fits, it says nothing */
    char *text;      /* what the rules' views look into */
    char *unquoted;  /* words without their quotes */
    struct acl_rule *rules;
    uint32_t n;
    uint32_t *order; /* n numbers of rules, by who, name and number; then those about certificates */
    uint32_t starts[ACL_WHOS + 1]; /* where each who begins in order */
    uint32_t certs_end;            /* from n on: rules about certificates in the order of the file */
    struct acl_count *counts;      /* n + 1 */
};

/* Does what the rule says about topics fit this topic, or cover this filter? */
bool acl_covers(const struct acl_rule *r, const struct acl_client *c, struct bytes filter);
/* May who is allowed this by the rule see the topic? */
bool acl_shows(const struct acl_rule *r, const struct acl_client *c, struct bytes topic);
/* Is there a topic that both match? May say yes where there is none. */
bool acl_meets(const struct acl_rule *r, const struct acl_client *c, struct bytes filter);

#endif
