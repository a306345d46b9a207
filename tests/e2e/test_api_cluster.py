# SPDX-License-Identifier: Apache-2.0
"""The HTTP API of one node tells of all nodes, and steers them."""
import unittest

from api import PASSWORD, Api, ApiCase, cluster_password, part
from cluster import ClusterCase
from harness import until
from mqttlib import unique

WAIT = 20


class Everywhere(ClusterCase, ApiCase):
    def setUp(self):
        ApiCase.setUp(self)
        self.begin()

    def begin(self, without_http=()):
        ports = [self.http_port() for _ in range(3)]
        self.nodes = self.cluster(3, each={i: {"dashboard.listeners.http.bind": f"127.0.0.1:{p}",
                                               "dashboard.listeners.http.enable": i not in without_http} for i, p in enumerate(ports)})
        password = cluster_password([node for i, node in enumerate(self.nodes) if i not in without_http])
        self.api = Api(ports[0]).logged_in("admin", password)
        self.assertEqual(self.api.post("/users/admin/change_pwd", {"old_pwd": password, "new_pwd": PASSWORD}).status, 204)
        self.api = Api(ports[0]).logged_in("admin", PASSWORD)

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.data

    def clients(self, per=5):
        """Some on each node, of which the names sort as the nodes do."""
        names = []
        for i in range(3):
            for _ in range(per):
                names.append(unique(f"n{i}-"))
                self.connected(self.nodes[i], client_id=names[-1]).subscribe(f"on/{i}")
        return names

    def test_topics_of_all_nodes(self):
        clients = [self.connected(node) for node in self.nodes]
        names = [self.nodes.name(i) for i in range(3)]
        for i, client in enumerate(clients):
            client.subscribe("$share/g/t", 1)
            client.publish(f"$delayed/{1000 - i}/later", b"%d" % i, 1)
        group, = self.good(self.api.get("/shared_groups"))["data"]
        self.assertEqual((group["members"], group["connected"]), (3, 3))
        self.assertEqual(sorted(n["node"] for n in group["nodes"]), names)
        self.assertEqual(self.good(self.api.get("/shared_groups", node=names[1]))["data"][0]["members"], 1)
        rows = self.good(self.api.get("/mqtt/delayed/messages"))["data"]
        self.assertEqual({r["node"] for r in rows}, set(names))
        for r in rows:
            self.good(self.api.delete(f"/mqtt/delayed/messages/{part(r['node'])}/{r['msgid']}"), 204)
        self.assertEqual(self.good(self.api.get("/mqtt/delayed/messages"))["data"], [])
        self.good(self.api.post("/mqtt/topic_metrics", {"topic": "m"}))
        for client in clients:
            client.publish("m", b"", 1)
        counts = lambda: self.good(self.api.get("/mqtt/topic_metrics/m"))["metrics"]["messages.in.count"]  # noqa: E731
        until(lambda: counts() == 3, WAIT, counts)
        self.good(self.api.delete("/mqtt/topic_metrics/m"), 204)
        self.assertEqual(self.good(self.api.get("/mqtt/topic_metrics")), [])
        self.assertEqual(self.good(self.api.get("/slow_subscriptions"))["data"], [])
        self.good(self.api.delete("/slow_subscriptions"), 204)

    def test_lists_of_all_nodes(self):
        names = self.clients()
        answer = self.api.get("/clients")
        page = self.good(answer)
        self.assertEqual(sorted(c["clientid"] for c in page["data"]), sorted(names))
        self.assertEqual(page["meta"]["count"], 15)
        self.assertIsNone(answer.headers.get("Covey-Missing"))
        self.assertEqual({c["node"] for c in page["data"]}, {self.nodes.name(i) for i in range(3)})
        seen = [c["clientid"] for n in range(1, 9) for c in self.good(self.api.get("/clients", page=n, limit=2))["data"]]
        self.assertEqual(sorted(seen), sorted(names))
        of_one = self.good(self.api.get("/clients", node=self.nodes.name(2)))
        self.assertEqual({c["clientid"] for c in of_one["data"]}, set(names[10:]))
        subs = self.good(self.api.get("/subscriptions", topic="on/1"))["data"]
        self.assertEqual(len(subs), 5)
        topics = self.good(self.api.get("/topics"))["data"]
        self.assertEqual({(t["topic"], t["node"]) for t in topics}, {(f"on/{i}", self.nodes.name(i)) for i in range(3)})
        self.assertEqual(self.good(self.api.get("/stats", aggregate=True))["live_connections.count"], 15)
        self.assertEqual(len(self.good(self.api.get("/stats"))), 3)
        self.assertEqual(len(self.good(self.api.get("/nodes"))), 3)
        self.assertEqual(self.good(self.api.get(f"/nodes/{part(self.nodes.name(1))}/stats"))["live_connections.count"], 5)
        rates = lambda: self.good(self.api.get("/monitor_current"))  # noqa: E731
        until(lambda: rates()["live_connections"] == 15, WAIT, rates)
        self.assertEqual(len(self.good(self.api.get("/listeners"))[0]["node_status"]), 3)

    def test_acting_elsewhere(self):
        name = unique("far")
        far = self.connected(self.nodes[2], client_id=name)
        self.assertEqual(self.good(self.api.get(f"/clients/{name}"))["node"], self.nodes.name(2))
        self.good(self.api.post(f"/clients/{name}/subscribe", {"topic": "for/you", "qos": 1}))
        until(lambda: self.api.post("/publish", {"topic": "for/you", "payload": "hello", "qos": 1}).status == 200, WAIT, "nobody")
        self.assertEqual(far.recv_publish().payload, b"hello")
        self.assertEqual([s["topic"] for s in self.good(self.api.get(f"/clients/{name}/subscriptions"))], ["for/you"])
        self.good(self.api.delete(f"/clients/{name}"), 204)
        far.expect_disconnect(0x98)
        self.refused(self.api.get(f"/clients/{name}"), 404, "CLIENTID_NOT_FOUND")
        self.refused(self.api.delete(f"/clients/{name}"), 404, "CLIENTID_NOT_FOUND")

    def test_a_ban_is_everywhere(self):
        name = unique("bad")
        there = self.connected(self.nodes[2], client_id=name)
        ban = self.good(self.api.post("/banned", {"as": "clientid", "who": name, "reason": "too loud"}))
        self.assertEqual((ban["who"], ban["by"], ban["until"]), (name, "admin", "infinity"))
        there.expect_disconnect(0x98)
        for node in self.nodes:
            client = node.client()
            self.addCleanup(client.close)
            client.connect(name, expect=0x8a)
        found = self.good(self.api.get("/banned", who=name))["data"]
        self.assertEqual([b["reason"] for b in found], ["too loud"])
        self.assertIn(name, self.nodes[1].cli("ctl", "ban", "list").stdout)
        self.good(self.api.delete(f"/banned/clientid/{name}"), 204)
        self.refused(self.api.delete(f"/banned/clientid/{name}"), 404, "NOT_FOUND")
        until(lambda: name not in self.nodes[2].cli("ctl", "ban", "list").stdout, WAIT, "still banned")
        self.connected(self.nodes[2], client_id=name)
        for body, field in (({"who": "x"}, "as:"), ({"as": "name", "who": "x"}, "as:"), ({"as": "peerhost", "who": "x"}, "who:"),
                            ({"as": "clientid_re", "who": "("}, "who:"), ({"as": "clientid", "who": "x", "until": "soon"}, "until:")):
            self.refused(self.api.post("/banned", body), 400, "BAD_REQUEST", field)

    def test_an_answer_of_many_pieces(self):
        """More than one piece between nodes holds."""
        filters = [f"many/{i:05}/{'x' * 200}" for i in range(3000)]
        client = self.connected(self.nodes[1])
        for first in range(0, len(filters), 100):
            client.subscribe(filters[first:first + 100])
        rows = self.good(self.api.get("/subscriptions", limit=10000, node=self.nodes.name(1)))["data"]
        self.assertEqual(sorted(r["topic"] for r in rows), filters)

    def test_a_node_that_is_down(self):
        names = self.clients(2)
        self.nodes[2].kill()
        until(lambda: self.nodes.links(0)[self.nodes.name(2)]["state"] == "dead", 2 * WAIT, self.nodes.told)
        answer = self.api.get("/clients")
        self.assertEqual({c["clientid"] for c in self.good(answer)["data"]}, set(names[:4]))
        self.assertEqual(answer.headers.get("Covey-Missing"), self.nodes.name(2))
        self.assertEqual(answer.headers.get("Covey-Missing-Why"), "down")
        self.assertEqual(answer.data["meta"]["missing"], [self.nodes.name(2)])
        self.assertEqual(answer.data["meta"]["missing_why"], {self.nodes.name(2): "down"})
        self.assertEqual(len(self.good(self.api.get("/stats"))), 2)
        gone = {n["node"]: n for n in self.good(self.api.get("/nodes"))}[self.nodes.name(2)]
        self.assertEqual((gone["answered"], gone["reason"]), (False, "down"))
        self.refused(self.api.get(f"/nodes/{part(self.nodes.name(2))}"), 503, "SERVICE_UNAVAILABLE")
        alarms = lambda **q: {(a["node"], a["name"]) for a in self.good(self.api.get("/alarms", **q))["data"]}  # noqa: E731
        wanted = {(self.nodes.name(i), f"node_down/{self.nodes.name(2)}") for i in (0, 1)}
        until(lambda: wanted <= alarms(), WAIT, alarms)
        self.assertIn(f"node_down/{self.nodes.name(2)}", self.nodes[0].cli("ctl", "alarms").stdout)
        self.nodes.start([2])
        until(lambda: not alarms(), WAIT, alarms)
        until(lambda: wanted <= alarms(activated=False), WAIT, alarms)
        self.good(self.api.delete("/alarms"), 204)
        self.assertEqual(alarms(activated=False), set())

    def test_nodes_without_http(self):
        """One that runs without is something else than one that is down."""
        for node in self.nodes:
            node.stop()
        self.begin(without_http={1})
        names = self.clients(2)
        self.nodes[2].kill()
        until(lambda: self.nodes.links(0)[self.nodes.name(2)]["state"] == "dead", 2 * WAIT, self.nodes.told)
        answer = self.api.get("/clients")
        self.assertEqual({c["clientid"] for c in self.good(answer)["data"]}, set(names[:2]))
        why = dict(zip(answer.headers.get("Covey-Missing").split(", "), answer.headers.get("Covey-Missing-Why").split(", ")))
        self.assertEqual(why, {self.nodes.name(1): "no_http", self.nodes.name(2): "down"})
        self.assertEqual(answer.data["meta"]["missing_why"], why)
        told = {n["node"]: (n["node_status"], n.get("reason")) for n in self.good(self.api.get("/nodes"))}
        self.assertEqual(told[self.nodes.name(0)], ("running", None))
        self.assertEqual(told[self.nodes.name(1)], ("running", "no_http"))
        self.assertEqual(told[self.nodes.name(2)][1], "down")
        self.refused(self.api.get(f"/nodes/{part(self.nodes.name(1))}"), 503, "NO_HTTP")
        self.refused(self.api.get(f"/nodes/{part(self.nodes.name(1))}/stats"), 503, "NO_HTTP")
        self.refused(self.api.get(f"/nodes/{part(self.nodes.name(2))}"), 503, "SERVICE_UNAVAILABLE")


if __name__ == "__main__":
    unittest.main()
