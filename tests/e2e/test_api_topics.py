# SPDX-License-Identifier: Apache-2.0
"""Calls of the HTTP API about what topics can do beyond MQTT: delayed, rewritten, looked at, slow, shared."""
import base64
import time
import unittest

from api import ApiCase, part
from harness import until
from mqttlib import unique

WAIT = 20
LONG = [(17, 3600)]


class TopicCalls(ApiCase):
    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.data

    def test_delayed(self):
        target = self.api_node({"delayed.max_delayed_messages": 50})
        api, client = target.api, self.connected(target)
        self.assertEqual(self.good(api.get("/mqtt/delayed")), {"enable": True, "max_delayed_messages": 50})
        for i in range(5):
            client.publish(f"$delayed/{1000 + i}/later/{i % 2}", b"\0%d" % i, 1, retain=i == 4)
        page = self.good(api.get("/mqtt/delayed/messages", limit=3))
        self.assertEqual(page["meta"], {"page": 1, "limit": 3, "count": 5, "hasnext": True})
        rest = self.good(api.get("/mqtt/delayed/messages", limit=3, page=2))
        rows = page["data"] + rest["data"]
        self.assertEqual([(r["topic"], r["retain"]) for r in rows],
                         [(f"later/{i % 2}", i == 4) for i in range(5)])
        self.assertEqual((rest["meta"]["hasnext"], len({r["msgid"] for r in rows})), (False, 5))
        self.assertEqual(len(self.good(api.get("/mqtt/delayed/messages", topic="later/1"))["data"]), 2)
        path = f"/mqtt/delayed/messages/{part(rows[3]['node'])}/{rows[3]['msgid']}"
        one = self.good(api.get(path))
        self.assertEqual((one["topic"], base64.b64decode(one["payload"]), one["qos"], one["payload_size"]), ("later/1", b"\x003", 1, 2))
        self.assertIn(one["delayed_remaining"], range(900, 1004))
        self.good(api.delete(path), 204)
        self.refused(api.delete(path), 404, "NOT_FOUND")
        self.refused(api.get(path), 404, "NOT_FOUND")
        self.refused(api.get(f"/mqtt/delayed/messages/{part(rows[3]['node'])}/nonsense"), 404, "NOT_FOUND")
        self.refused(api.get("/mqtt/delayed/messages/covey@nowhere/00"), 404, "NOT_FOUND")
        self.refused(api.get("/mqtt/delayed/messages", limit=0), 400, "BAD_REQUEST", "limit:")
        self.assertEqual(self.good(api.get("/mqtt/delayed/messages"))["meta"]["count"], 4)

    def test_rules_of_the_configuration(self):
        target = self.api_node({"rewrite.rules": "all old/# ^old/(.+)$ new/$1; publish a b c",
                                "auto_subscribe.topics": "of/${clientid}/# qos=1 nl=1; all rh=2 rap=1"})
        self.assertEqual(self.good(target.api.get("/mqtt/topic_rewrite")), [
            {"action": "all", "source_topic": "old/#", "re": "^old/(.+)$", "dest_topic": "new/$1"},
            {"action": "publish", "source_topic": "a", "re": "b", "dest_topic": "c"}])
        self.assertEqual(self.good(target.api.get("/mqtt/auto_subscribe")), [
            {"topic": "of/${clientid}/#", "qos": 1, "nl": 1, "rap": 0, "rh": 0},
            {"topic": "all", "qos": 0, "nl": 0, "rap": 1, "rh": 2}])
        bare = self.api_node()
        self.assertEqual(self.good(bare.api.get("/mqtt/topic_rewrite")), [])
        self.assertEqual(self.good(bare.api.get("/mqtt/auto_subscribe")), [])

    def test_topic_metrics(self):
        target = self.api_node({"topic_metrics.topics": "a/1"})
        api, client = target.api, self.connected(target)
        client.subscribe("a/#", 1)
        made = self.good(api.post("/mqtt/topic_metrics", {"topic": "a/2"}))
        self.assertEqual((made["topic"], made["metrics"]["messages.in.count"]), ("a/2", 0))
        for topic, qos in (("a/1", 1), ("a/2", 2), ("a/2", 0), ("a/3", 1)):
            client.publish(topic, b"x", qos)
            client.recv_publish(topic, timeout=WAIT)
        rows = self.good(api.get("/mqtt/topic_metrics"))
        self.assertEqual([(r["topic"], r["metrics"]["messages.in.count"], r["metrics"]["messages.out.count"],
                           r["metrics"]["messages.qos2.in.count"]) for r in rows], [("a/1", 1, 1, 0), ("a/2", 2, 2, 1)])
        self.assertEqual(self.good(api.get(f"/mqtt/topic_metrics/{part('a/2')}")), rows[1])
        self.good(api.put("/mqtt/topic_metrics", {"topic": "a/2", "action": "reset"}), 204)
        self.assertEqual(self.good(api.get(f"/mqtt/topic_metrics/{part('a/2')}"))["metrics"]["messages.in.count"], 0)
        self.good(api.delete(f"/mqtt/topic_metrics/{part('a/1')}"), 204)
        self.refused(api.delete(f"/mqtt/topic_metrics/{part('a/1')}"), 404, "TOPIC_NOT_FOUND")
        self.refused(api.get("/mqtt/topic_metrics/never"), 404, "TOPIC_NOT_FOUND")
        self.refused(api.put("/mqtt/topic_metrics", {"topic": "never", "action": "reset"}), 404, "TOPIC_NOT_FOUND")
        self.refused(api.put("/mqtt/topic_metrics", {"topic": "a/2", "action": "stop"}), 400, "BAD_REQUEST", "action:")
        self.refused(api.post("/mqtt/topic_metrics", {"topic": "a/2"}), 400, "ALREADY_EXISTS", "topic:")
        self.refused(api.post("/mqtt/topic_metrics", {"topic": "a/+"}), 400, "BAD_REQUEST", "topic:")
        self.refused(api.post("/mqtt/topic_metrics", {}), 400, "BAD_REQUEST", "topic:")

    def test_slow_subscriptions(self):
        target = self.api_node({"slow_subs.enable": True, "slow_subs.threshold": "100ms", "slow_subs.top_k_num": 3})
        api, pub, slow = target.api, self.connected(target), self.connected(target, client_id="tortoise")
        self.assertEqual(self.good(api.get("/slow_subscriptions/settings")),
                         {"enable": True, "threshold": 100, "expire_interval": 300, "top_k_num": 3})
        slow.subscribe("s", 1)
        pub.publish("s", b"x", 1)
        got = slow.recv_publish("s", ack=False)
        self.assertEqual(self.good(api.get("/slow_subscriptions"))["data"], [])
        time.sleep(0.2)     # it is slow
        slow.accept(got)
        until(lambda: self.good(api.get("/slow_subscriptions"))["data"], WAIT, "it is listed")
        row = self.good(api.get("/slow_subscriptions"))["data"][0]
        self.assertEqual((row["clientid"], row["topic"]), ("tortoise", "s"))
        self.assertGreaterEqual(row["timespan"], 100)
        self.good(api.delete("/slow_subscriptions"), 204)
        self.assertEqual(self.good(api.get("/slow_subscriptions")),
                         {"data": [], "meta": {"page": 1, "limit": 100, "count": 0, "hasnext": False}})

    def test_shared_groups(self):
        target = self.api_node({"mqtt.shared_subscription_strategy": "sticky", "mqtt.exclusive_subscription": True})
        api, gone = target.api, unique("g")
        members = [self.connected(target) for _ in range(3)]
        for member in members:
            member.subscribe(["$share/g/a/#", "plain"], 1)
        members[0].subscribe(["$share/h/a/#", "$exclusive/e"], 1)
        offline = self.connected(target, client_id=gone, props=LONG)
        offline.subscribe("$share/g/a/#", 1)
        offline.disconnect()
        until(lambda: not self.good(api.get(f"/clients/{gone}"))["connected"], WAIT, "it is offline")
        name = self.good(api.get("/nodes"))[0]["node"]
        page = self.good(api.get("/shared_groups"))
        rows = {r["topic"]: r for r in page["data"]}
        self.assertEqual((page["meta"]["count"], sorted(rows)), (2, ["$share/g/a/#", "$share/h/a/#"]))
        self.assertEqual(rows["$share/g/a/#"], {"topic": "$share/g/a/#", "group": "g", "filter": "a/#", "strategy": "sticky", "members": 4,
                                                "connected": 3, "nodes": [{"node": name, "members": 4, "connected": 3}]})
        self.assertEqual([r["group"] for r in self.good(api.get("/shared_groups", group="h"))["data"]], ["h"])
        self.assertEqual(self.good(api.get("/shared_groups", like_topic="b"))["data"], [])
        self.assertEqual(len(self.good(api.get("/shared_groups", limit=1, page=2))["data"]), 1)
        self.assertEqual(len(self.good(api.get("/subscriptions", topic="$share/g/a/#"))["data"]), 4)


if __name__ == "__main__":
    unittest.main()
