# SPDX-License-Identifier: Apache-2.0
"""Why a message did not arrive, over the HTTP API: on one node and on three."""
import unittest

import wire
from api import ApiCase, ApiClusterCase
from harness import until

WAIT = 20


def codes(answer):
    return [f["code"] for f in answer.data["findings"]]


def events(answer, name):
    return [e for e in answer.data["events"] if e["event"] == name]


class WhyCalls(ApiCase):
    def why(self, node, **query):
        answer = node.api.get("/why", **query)
        self.assertEqual(answer.status, 200, answer)
        return answer

    def test_a_client_and_a_topic(self):
        node = self.api_node()
        answer = self.why(node, clientid="c1", topic="a/1")
        self.assertEqual((answer.data["verdict"], answer.data["code"]), ("no", "NO_SESSION"), answer)
        self.assertNotIn("client", answer.data)
        sub, pub = self.connected(node, "c1"), self.connected(node, "p")
        sub.subscribe("a/+", 1)
        answer = self.why(node, clientid="c1", topic="a/1")
        self.assertEqual((answer.data["verdict"], answer.data["code"], answer.data["params"]["qos"]), ("yes", "WOULD_ARRIVE", "1"), answer)
        self.assertEqual(answer.data["subscriptions"], [{"node": "covey@127.0.0.1", "clientid": "c1", "filter": "a/+", "qos": 1, "no_local": False}])
        pub.publish("a/1", b"secret-payload", 1)
        sub.recv_publish("a/1")
        until(lambda: self.why(node, clientid="c1", topic="a/1").data["code"] == "SENT", WAIT, "the message in the journal")
        answer = self.why(node, clientid="c1", topic="a/1")
        self.assertEqual(events(answer, "published")[0]["clientid"], "p")
        self.assertEqual(answer.data["missing"], [])
        self.assertNotIn("secret-payload", repr(answer.data))
        self.assertEqual(len(self.why(node, clientid="c1", topic="a/1", limit=1).data["events"]), 1)

    def test_a_topic(self):
        node = self.api_node()
        pub = self.connected(node, "p")
        for _ in range(3):
            pub.publish("nobody/here", b"", 1, expect=(0x10,))
        answer = self.why(node, topic="nobody/here")
        self.assertEqual((answer.data["verdict"], answer.data["code"]), ("no", "NOBODY"), answer)
        self.assertEqual([e["count"] for e in events(answer, "no_subscribers")], [3])
        self.assertIn("MATCHED_NOBODY", codes(answer))
        self.connected(node, "a").subscribe("$share/g/nobody/#", 1)
        self.connected(node, "b").subscribe("nobody/here", 0)
        pub.publish("nobody/here", b"x", 1, retain=True)
        answer = self.why(node, topic="nobody/here")
        self.assertEqual((answer.data["code"], answer.data["params"]["count"]), ("SUBSCRIBED", "2"), answer)
        self.assertEqual({(s["clientid"], s.get("group")) for s in answer.data["subscriptions"]}, {("a", "g"), ("b", None)})
        until(lambda: self.why(node, topic="nobody/here").data["topic_state"]["retained"], WAIT, "the retained message")

    def test_a_reload_turns_it_off(self):
        node = self.api_node()
        self.connected(node, "c1")
        self.assertTrue(events(self.why(node, clientid="c1"), "connected"))
        node.configure({**node.settings, "journal.enable": False})
        self.assertEqual(node.cli("ctl", "reload").returncode, 0)
        until(lambda: "JOURNAL_OFF" in codes(self.why(node, clientid="c1")), WAIT, "a journal that is off")
        answer = self.why(node, clientid="c1")
        self.assertEqual((answer.data["code"], answer.data["events"], answer.data["without_journal"]), ("CONNECTED", [], ["covey@127.0.0.1"]), answer)

    def test_refusals(self):
        node = self.api_node()
        self.refused(node.api.get("/why"), 400, "BAD_REQUEST", "clientid")
        self.refused(node.api.get("/why", topic="a/#"), 400, "BAD_REQUEST", "topic")
        self.refused(node.api.get("/why", clientid="c", limit=0), 400, "BAD_REQUEST", "limit")
        self.refused(node.api.get("/why", colour="red"), 400, "BAD_REQUEST", "colour")
        self.assertEqual(node.open.get("/why", clientid="c").status, 401)


class WhyOfACluster(ApiClusterCase):
    def await_code(self, api, code, **query):
        until(lambda: api.get("/why", **query).data["code"] == code, WAIT, code)
        return api.get("/why", **query)

    def test_the_way_through_the_cluster(self):
        nodes, api = self.api_cluster()
        sub, pub = self.connected(nodes[1], "sub"), self.connected(nodes[2], "pub")
        sub.subscribe("w/+", 1)
        answer = self.await_code(api, "WOULD_ARRIVE", clientid="sub", topic="w/1")
        self.assertEqual(answer.data["client"]["node"], nodes.name(1))
        pub.publish("w/1", b"", 1)
        sub.recv_publish("w/1")
        answer = self.await_code(api, "SENT", clientid="sub", topic="w/1")
        published = events(answer, "published")[0]
        self.assertEqual((published["clientid"], published["node"], published["nodes"]), ("pub", nodes.name(2), [nodes.name(1)]))
        self.assertEqual(events(answer, "sent")[0]["node"], nodes.name(1))
        answer = api.get("/why", topic="w/1")
        self.assertEqual((answer.data["code"], answer.data["topic_state"]["nodes"]), ("SUBSCRIBED", [nodes.name(1)]), answer)
        done = nodes[0].cli("ctl", "why", "client", "sub", "topic", "w/1")
        self.assertTrue(done.stdout.startswith("Yes: messages to w/1 are sent to sub"), done)
        self.assertIn(f"nodes={nodes.name(1)}", done.stdout)

    def test_a_client_that_moves(self):
        nodes, api = self.api_cluster()
        props = [(wire.SESSION_EXPIRY, 100)]
        self.connected(nodes[1], "m", props=props).subscribe("m/1", 1)
        self.connected(nodes[2], "m", props=props, clean=False)
        until(lambda: (api.get("/why", clientid="m").data.get("client") or {}).get("node") == nodes.name(2), WAIT, "the session on the third")
        answer = api.get("/why", clientid="m")
        self.assertEqual({e["node"] for e in events(answer, "connected")}, {nodes.name(1), nodes.name(2)})
        self.assertEqual([e["node"] for e in events(answer, "session_moved")], [nodes.name(1)])

    def test_a_link_that_was_down(self):
        """What waited, what was given up, and that it is over: from the nodes that were on the other side."""
        nodes, api = self.api_cluster()
        node, peer = nodes.name(0), nodes.name(2)
        props = [(wire.SESSION_EXPIRY, 1000)]
        self.connected(nodes[2], "c", props=props).subscribe("d/1", 1)
        self.await_code(api, "WOULD_ARRIVE", clientid="c", topic="d/1")
        nodes[2].kill()
        finding = lambda code: [f for f in api.get("/why", topic="d/1").data["findings"] if f["code"] == code  # noqa: E731
                                and (f["params"]["node"], f["params"]["peer"]) == (node, peer)]
        until(lambda: finding("LINK_DOWN") or finding("GIVEN_UP"), WAIT, lambda: api.get("/why", topic="d/1"))
        until(lambda: finding("GIVEN_UP"), 3 * WAIT, lambda: api.get("/why", topic="d/1"))
        self.assertEqual(finding("GIVEN_UP")[0]["level"], "problem")
        self.assertIn(f"{node} gave up {peer} (", nodes[0].cli("ctl", "why", "topic", "d/1").stdout)
        nodes.start([2])
        self.connected(nodes[2], "c", props=props, clean=False)
        answer = self.await_code(api, "WAS_GIVEN_UP", clientid="c", topic="d/1")
        self.assertEqual((answer.data["verdict"], answer.data["params"]["peer"]), ("yes", peer), answer)
        until(lambda: finding("LINK_WAS_DOWN"), WAIT, lambda: api.get("/why", topic="d/1"))
        # Each node notes its own link, so the other one may be a moment later.
        until(lambda: "LINK_DOWN" not in codes(api.get("/why", topic="d/1")), WAIT, lambda: api.get("/why", topic="d/1"))
        self.connected(nodes[0], "p").publish("d/1", b"x", 1)
        self.await_code(api, "SENT", clientid="c", topic="d/1")

    def test_nodes_that_are_down_are_named(self):
        nodes, api = self.api_cluster((0, 2))
        self.connected(nodes[2], "c").subscribe("d/1", 1)
        self.await_code(api, "WOULD_ARRIVE", clientid="c", topic="d/1")
        nodes[2].kill()
        answer = self.await_code(api, "NOT_FOUND_SOME_MISSING", clientid="c", topic="d/1")
        self.assertEqual((answer.data["verdict"], sorted(answer.data["missing"])), ("unknown", [nodes.name(1), nodes.name(2)]), answer)
        self.assertIn("NODE_MISSING", codes(answer))
        until(lambda: "Unknown: " in nodes[0].cli("ctl", "why", "client", "c", "topic", "d/1").stdout, WAIT, "ctl says so")
        done = nodes[1].cli("ctl", "why", "client", "c")
        self.assertIn(f"! The node {nodes.name(0)} has not answered", done.stdout, "without HTTP a node asks nobody")


if __name__ == "__main__":
    unittest.main()
