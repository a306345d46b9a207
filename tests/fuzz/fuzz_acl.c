/* SPDX-License-Identifier: Apache-2.0 */
/* Rules, a client and a topic, with bytes 0xff between them, which are in no UTF-8: RULES ff ID ff USER ff
 * TOPIC. Rules that are taken are asked, and what they say has to hold together. */

#include "node/core/acl.h"
#include "proto/base/check.h"
#include "proto/topic/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct bytes part_take(struct bytes *rest)
{
    const uint8_t *end = rest->n ? memchr(rest->p, 0xff, rest->n) : NULL;
    uint32_t n = end ? (uint32_t)(end - rest->p) : rest->n;
    struct bytes part = bytes_of(rest->p, n);
    *rest = end ? bytes_of(end + 1, rest->n - n - 1) : bytes_of(rest->p + n, 0);
    return part;
}

static bool is_odd(struct bytes v)
{
    return !v.n || memchr(v.p, '/', v.n) || memchr(v.p, '+', v.n) || memchr(v.p, '#', v.n);
}

/* What a subscription brings in whole, no topic of it may be denied. */
static void ask(const struct acl *a, const struct acl_client *c, struct bytes text)
{
    struct topic_filter f;
    bool is_whole;
    if (topic_name_check(text, 0) == TOPIC_OK) {
        uint32_t v = acl_on_topic(a, c, ACL_PUBLISH, text);
        CHECK(v <= acl_rules(a));
        CHECK(acl_why(a, v) != NULL);
        if (acl_allows(a, acl_on_filter(a, c, text, &is_whole)) && is_whole)
            CHECK(acl_allows(a, acl_on_topic(a, c, ACL_SUBSCRIBE, text)));
        if (v < acl_rules(a) && acl_rule(a, v)->has_placeholder && acl_allows(a, v))
            CHECK(!is_odd(c->client_id) || !is_odd(c->username));
    }
    if (topic_filter_parse(text, 0, &f) != TOPIC_OK)
        return;
    uint32_t v = acl_on_filter(a, c, f.filter, &is_whole);
    CHECK(v <= acl_rules(a));
    if (!acl_allows(a, v) || !is_whole)
        return;
    for (uint32_t i = 0; i < acl_rules(a); i++) {
        const struct acl_rule *r = acl_rule(a, i);
        if (r->has_placeholder || topic_name_check(r->filter, 0) != TOPIC_OK ||
            !topic_match(f.filter, r->filter))
            continue;
        uint32_t on = acl_on_topic(a, c, ACL_SUBSCRIBE, r->filter);
        CHECK(acl_allows(a, on));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes rest = bytes_of(data, n);
    struct bytes rules = part_take(&rest);
    struct acl_client c = {0};
    struct acl_fault fault = {0};
    c.client_id = part_take(&rest);
    c.username = part_take(&rest);
    struct bytes topic = part_take(&rest);
    struct acl *a = acl_parse(rules, ACL_DENY, &fault);
    if (!a) {
        CHECK(fault.line > 0 && fault.what[0] != 0);
        return 0;
    }
    ask(a, &c, topic);
    c.is_partial = true;
    ask(a, &c, topic);
    acl_unref(a);
    return 0;
}
