/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence that follows from how things stand and what has happened, and one answer of many nodes. */
#include "node/admin/api/why.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define T1 "2026-01-31T12:00:00.000Z"
#define T2 "2026-01-31T12:00:01.000Z"
#define T3 "2026-01-31T12:00:02.000Z"

#define ONLINE  "'connected':true,'since':'" T1 "','node':'n1','matching':1"
#define OFFLINE "'connected':false,'since':'" T1 "','node':'n1','matching':1"
#define SUB1    "'subscriptions':[{'clientid':'c','filter':'t','qos':1,'no_local':false}]"
#define SUB0    "'subscriptions':[{'clientid':'c','filter':'t','qos':0,'no_local':false}]"
#define SHARED  "'subscriptions':[{'clientid':'c','filter':'t','group':'g','qos':1,'no_local':false}]"

/* JSON with ' for ". */
static json_t *read_json(const char *text)
{
    char buf[4096];
    size_t n = strlen(text);
    assert_true(n < sizeof buf);
    for (size_t i = 0; i <= n; i++)
        buf[i] = (char)(text[i] == '\'' ? '"' : text[i]);
    json_t *o = json_loads(buf, 0, NULL);
    assert_non_null(o);
    return o;
}

static void judged(const char *facts, const char *verdict, const char *code, const char *part)
{
    json_t *answer = read_json(facts);
    why_judge(answer);
    if (strcmp(json_str(answer, "code"), code) != 0 || !strstr(json_str(answer, "sentence"), part))
        fail_msg("%s: %s instead of %s: %s", json_str(answer, "code"), json_str(answer, "sentence"), code,
                 part);
    assert_string_equal(json_str(answer, "verdict"), verdict);
    assert_true(json_is_array(json_object_get(answer, "findings")));
    json_decref(answer);
}

#define OF_C    "'clientid':'c'"
#define OF_T    "'topic':'t','topic_state':"
#define OF_BOTH "'clientid':'c','topic':'t'"

static void a_client_that_is_not_there(void **state)
{
    (void)state;
    judged("{" OF_C "}", "no", "NO_SESSION", "neither a connection nor a session of c");
    judged("{" OF_C ",'missing':['n2']}", "unknown", "NOT_FOUND_SOME_MISSING", "not all have answered");
    judged("{" OF_C ",'events':[{'event':'connect_refused','clientid':'c','at':'" T1
           "','text':'Bad user name'}]}",
           "no", "REFUSED", "refused at 2026-01-31T12:00:00Z: Bad user name");
    judged("{" OF_BOTH ",'events':[{'event':'disconnected','clientid':'c','at':'" T1
           "','text':'It was kicked'},"
           "{'event':'session_ended','clientid':'c','at':'" T1 "'}]}",
           "no", "SESSION_ENDED", "It was kicked");
}

static void subscribed_or_not(void **state)
{
    (void)state;
    judged("{" OF_BOTH ",'client':{" ONLINE ",'matching':0}}", "no", "NOT_SUBSCRIBED",
           "no subscription that matches t");
    judged("{" OF_BOTH ",'client':{" ONLINE
           ",'matching':0},'events':[{'event':'subscribe_denied','clientid':'c',"
           "'topic':'t','at':'" T1 "','text':'Denied by line 3 of the ACL'}]}",
           "no", "SUBSCRIBE_REFUSED", "Denied by line 3");
    judged("{" OF_BOTH ",'client':{" ONLINE ",'matching':0},'events':[{'event':'unsubscribed','clientid':'c',"
           "'topic':'#','at':'" T1 "'}]}",
           "no", "UNSUBSCRIBED", "unsubscribed from # at");
    judged("{" OF_BOTH ",'client':{" ONLINE
           ",'may_receive':false,'receive_why':'Denied by line 1 of the ACL'}," SUB1 "}",
           "no", "DENIED", "Denied by line 1");
}

static void queues(void **state)
{
    (void)state;
    judged("{" OF_BOTH ",'client':{" OFFLINE ",'queued':5,'queue_max':5}," SUB1 "}", "no", "QUEUE_FULL",
           "5 messages");
    judged("{" OF_BOTH ",'client':{" OFFLINE ",'queued':5,'queued_bytes':500,'queue_bytes_max':550}," SUB1
           "}",
           "no", "QUEUE_BYTES_FULL", "500 bytes of at most 550");
    judged("{" OF_BOTH ",'client':{" OFFLINE "}," SUB0 "}", "no", "OFFLINE_QOS0", "QoS 0");
    judged("{" OF_BOTH ",'client':{" OFFLINE ",'keeps_qos0':true}," SUB0 "}", "later", "OFFLINE_KEPT",
           "waits");
    judged("{" OF_BOTH ",'client':{" OFFLINE ",'queued':2}," SUB1 "}", "later", "OFFLINE_KEPT", "2 now");
    judged("{" OF_BOTH ",'client':{" ONLINE ",'inflight':32,'inflight_max':32,'queued':3}," SUB1 "}", "later",
           "INFLIGHT_FULL", "32 messages");
    judged("{" OF_BOTH ",'client':{" ONLINE ",'reads_slowly':true}," SUB0 "}", "no", "READS_SLOWLY",
           "slowly");
}

#define DROP(event, at) "{'event':'" event "','clientid':'c','topic':'t','at':'" at "','text':'Because'}"
#define LOST(event, at) "{'event':'" event "','clientid':'p','topic':'t','at':'" at "','text':'Because'}"

static void what_has_happened(void **state)
{
    (void)state;
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SUB1 "}", "yes", "WOULD_ARRIVE", "QoS 1 at most");
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SHARED "}", "perhaps", "SHARED", "one member");
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SUB1 ",'events':[" LOST("publish_denied", T1) "]}", "no",
           "DROPPED", "from p did not get through: Because");
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SUB1
           ",'events':[" LOST("no_subscribers", T1) "," DROP("too_large", T2) "]}",
           "no", "DROPPED", "at 2026-01-31T12:00:01Z a message to t did not get through");
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SUB1
           ",'events':[" DROP("too_large", T1) "," DROP("sent", T3) "]}",
           "yes", "SENT", "12:00:02Z");
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SUB1
           ",'events':[" DROP("sent", T1) "," DROP("queue_full", T2) "]}",
           "no", "DROPPED", "12:00:01Z");
}

#define LINK(event, node, peer, t) \
    "{'event':'" event "','node':'" node "','nodes':['" peer "'],'at':'" t "','text':'because'}"

/* The findings of these events, in order, as "problem CODE;note CODE;". */
static void found(const char *facts, const char *wanted)
{
    char all[256] = "";
    size_t i, n = 0;
    json_t *answer = read_json(facts), *f;
    why_judge(answer);
    json_array_foreach(json_object_get(answer, "findings"), i, f) n +=
        (size_t)snprintf(all + n, sizeof all - n, "%s %s;", json_str(f, "level"), json_str(f, "code"));
    assert_string_equal(all, wanted);
    json_decref(answer);
}

static void links_between_nodes(void **state)
{
    (void)state;
    found("{" OF_T "{},'events':[" LINK("link_up", "n2", "n1", T1) "]}", "");
    found("{" OF_T "{},'events':[" LINK("link_down", "n2", "n1", T1) "]}", "problem LINK_DOWN;");
    found("{" OF_T "{},'events':[" LINK("link_down", "n2", "n1", T1) "," LINK(
              "link_down", "n2", "n3", T1) "," LINK("link_up", "n2", "n1", T2) "]}",
          "problem LINK_DOWN;note LINK_WAS_DOWN;");
    found("{" OF_T "{},'events':[" LINK("link_down", "n2", "n1", T1) "," LINK(
              "link_up", "n2", "n1", T2) "," LINK("link_down", "n2", "n1", T3) "]}",
          "problem LINK_DOWN;");
    found("{" OF_T "{},'events':[" LINK("link_down", "n2", "n1", T1) "," LINK("link_up", "n2", "n1", T1) "]}",
          "");
    found("{" OF_T
          "{},'events':[" LINK("link_down", "n2", "n1", T1) "," LINK("link_up", "n2", "n1", T2) "," LINK(
              "link_down", "n2", "n1", T3) "," LINK("link_up", "n2", "n1", T3) "]}",
          "note LINK_WAS_DOWN;");
    /* In whichever order a node is given up and its link closed. */
    found("{" OF_T
          "{},'events':[" LINK("node_given_up", "n2", "n1", T1) "," LINK("link_down", "n2", "n1", T2) "]}",
          "problem GIVEN_UP;");
    found("{" OF_T "{},'events':[" LINK("link_down", "n2", "n1", T1) "," LINK(
              "node_given_up", "n2", "n1", T2) "," LINK("link_up", "n2", "n1", T3) "]}",
          "note LINK_WAS_DOWN;");
    /* Links to other nodes than the client's are of no interest. */
    found("{" OF_BOTH ",'client':{" ONLINE ",'expiry_interval':9}," SUB1
          ",'events':[" LINK("link_down", "n1", "n2", T1) "," LINK("link_down", "n2", "n1", T1) "]}",
          "problem LINK_DOWN;");
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SUB1
           ",'events':[" LINK("node_given_up", "n2", "n1", T1) "," LINK("link_up", "n2", "n1", T2) "]}",
           "yes", "WAS_GIVEN_UP", "at 2026-01-31T12:00:00Z n2 gave up n1, where it is (because)");
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SUB1
           ",'events':[" LINK("node_given_up", "n2", "n1", T1) ",{'event':'sent','clientid':'c','at':'" T2
                                                               "'}]}",
           "yes", "SENT", "sent to c");
    judged("{" OF_BOTH ",'client':{" ONLINE "}," SUB1
           ",'events':[" LINK("node_given_up", "n1", "n2", T1) "]}",
           "yes", "WOULD_ARRIVE", "none is known to have been lost");
}

static void a_client_alone(void **state)
{
    (void)state;
    judged("{" OF_C ",'client':{" ONLINE ",'subscriptions':2}}", "yes", "CONNECTED", "connected to n1");
    judged("{" OF_C ",'client':{" OFFLINE ",'queued':7},'events':[" DROP("disconnected", T1) "]}", "no",
           "OFFLINE", "Because; its session is kept on n1, with 7");
}

static void a_topic_alone(void **state)
{
    (void)state;
    judged("{" OF_T "{}}", "no", "NOBODY", "nobody has a subscription");
    judged("{" OF_T "{},'missing':['n3']}", "unknown", "NOBODY_SOME_MISSING", "have answered");
    judged("{" OF_T "{'sessions':2}}", "later", "ONLY_OFFLINE", "2 subscriptions match t");
    judged("{" OF_T "{'sessions':2,'connected':1}}", "yes", "SUBSCRIBED",
           "1 connected subscription matches t");
    judged("{" OF_T "{'sessions':2,'connected':1},'events':[" LOST("publish_denied", T1) "]}", "no",
           "PUBLISH_REFUSED", "Because");
    judged("{" OF_T "{'members':2,'members_connected':2},'events':[" LOST("publish_denied",
                                                                          T1) "," LOST("published", T2) "]}",
           "yes", "SUBSCRIBED", "2 connected");
}

static void of_many_nodes(void **state)
{
    static const char parts[] =
        "[{'node':'n1','status':200,'answer':{'is_on':true,'watched_ms':5,'since_ms':0,'client':{'node':'n1',"
        "'connected':false,'since':'" T1
        "','matching':1},'topic':{'sessions':1,'connected':0,'retained':true},"
        "'subscriptions':[],'events':[" LOST("published", T3) "," LOST(
            "published", T1) "]}},"
                             "{'node':'n2','status':200,'answer':{'is_on':false,'watched_ms':9,'since_ms':3,'"
                             "client':{'node':'n2',"
                             "'connected':true,'since':'" T2
                             "','matching':1},'topic':{'sessions':2,'connected':2,'retained':false},"
                             "'subscriptions':[{'clientid':'c','filter':'t','qos':1}],'events':[" LOST(
                                 "published",
                                 T2) "]}},"
                                     "{'node':'n3','status':501,'answer':{'code':'NOT_SUPPORTED'}}]";
    struct why_query q = {.client = bytes_str("c"), .topic = bytes_str("t"), .events_max = 2};
    json_t *read = read_json(parts), *missing = json_pack("[s]", "n3");
    (void)state;
    json_t *answer = why_answer(&q, read, missing);
    const json_t *events = json_object_get(answer, "events"), *t = json_object_get(answer, "topic_state");
    assert_string_equal(json_str(json_object_get(answer, "client"), "node"), "n2");
    assert_int_equal(json_array_size(events), 2);
    assert_string_equal(json_str(json_array_get(events, 0), "at"), T2);
    assert_string_equal(json_str(json_array_get(events, 1), "at"), T3);
    assert_int_equal(json_int(t, "sessions", 0), 3);
    assert_true(json_bool(t, "retained", false));
    assert_int_equal(json_array_size(json_object_get(t, "nodes")), 2);
    assert_string_equal(json_str(answer, "watched_since"), "1970-01-01T00:00:00.009Z");
    assert_string_equal(json_str(answer, "complete_since"), "1970-01-01T00:00:00.003Z");
    assert_string_equal(json_string_value(json_array_get(json_object_get(answer, "without_journal"), 0)),
                        "n2");
    assert_string_equal(json_string_value(json_array_get(json_object_get(answer, "missing"), 0)), "n3");
    json_decref(answer);
    json_decref(read);
    json_decref(missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_is_not_there),
        cmocka_unit_test(subscribed_or_not),
        cmocka_unit_test(queues),
        cmocka_unit_test(what_has_happened),
        cmocka_unit_test(links_between_nodes),
        cmocka_unit_test(a_client_alone),
        cmocka_unit_test(a_topic_alone),
        cmocka_unit_test(of_many_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
