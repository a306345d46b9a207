# SPDX-License-Identifier: Apache-2.0
"""Traces over the HTTP API: on one node and on all of them."""
import unittest

from api import PASSWORD, Api, ApiCase, ApiClusterCase
from harness import until

WAIT = 20


class TraceCalls(ApiCase):
    def log(self, node, name, **query):
        answer = node.api.get(f"/trace/{name}/log", **query)
        self.assertEqual(answer.status, 200, answer)
        return answer.data

    def test_a_trace_from_beginning_to_end(self):
        node = self.api_node()
        made = node.api.post("/trace", {"name": "one", "type": "clientid", "clientid": "c1", "end_at": "2099-01-01T00:00:00Z"})
        self.assertEqual((made.status, made.data["status"], made.data["clientid"]), (200, "running", "c1"), made)
        client = self.connected(node, "c1")
        client.publish("a/b", b"secret payload", 1)
        self.connected(node, "c2").publish("other/topic", b"x", 1)
        until(lambda: "a/b" in self.log(node, "one", bytes=60000)["items"], WAIT, "the lines")
        self.assertNotIn("other/topic", self.log(node, "one", bytes=60000)["items"])
        self.assertNotIn("secret payload", self.log(node, "one", bytes=60000)["items"])
        row = node.api.get("/trace").data[0]
        self.assertGreater(row["log_size"]["covey@127.0.0.1"], 50)
        self.assertEqual(node.api.put("/trace/one/stop").data, {"name": "one", "enable": False})
        self.assertEqual(node.api.get("/trace").data[0]["status"], "stopped")
        self.assertEqual(node.api.delete("/trace/one").status, 204)
        self.assertEqual(node.api.get("/trace").data, [])

    def test_it_outlives_the_node(self):
        """Listed, read and deleted after a restart; what runs goes on with the same file."""
        node = self.api_node()
        for name, what in (("goes-on", {"type": "topic", "topic": "t/#"}), ("stopped", {"type": "clientid", "clientid": "c1"})):
            self.assertEqual(node.api.post("/trace", {"name": name, **what, "end_at": "2099-01-01T00:00:00Z"}).status, 200)
        self.connected(node, "c1").publish("t/first", b"x", 1)
        node.api.put("/trace/stopped/stop")
        until(lambda: "t/first" in self.log(node, "goes-on", bytes=60000)["items"], WAIT, "the lines")
        rows = {row["name"]: row for row in node.api.get("/trace").data}
        node.kill()
        node.start()
        node.api = Api(node.api.port).logged_in("admin", PASSWORD)
        again = {row["name"]: row for row in node.api.get("/trace").data}
        for name in rows:
            self.assertEqual({k: v for k, v in again[name].items() if k != "log_size"},
                             {k: v for k, v in rows[name].items() if k != "log_size"})
        self.connected(node, "c2").publish("t/second", b"x", 1)
        until(lambda: "t/second" in self.log(node, "goes-on", bytes=60000)["items"], WAIT, "the lines of the second life")
        self.assertIn("t/first", self.log(node, "goes-on", bytes=60000)["items"])
        self.assertIn("t/first", self.log(node, "stopped", bytes=60000)["items"])
        for name in rows:
            self.assertEqual(node.api.delete(f"/trace/{name}").status, 204)
        self.assertEqual(node.api.get("/trace").data, [])

    def test_pieces_are_whole_lines_and_meet(self):
        node = self.api_node()
        node.api.post("/trace", {"name": "pieces", "type": "topic", "topic": "grüezi/#", "payload_encode": "text"})
        client = self.connected(node)
        for i in range(40):
            client.publish("grüezi/wohl", f"message {i} ü".encode(), 1)
        until(lambda: "message 39" in self.log(node, "pieces", bytes=60000)["items"], WAIT, "the lines")
        whole, position, text = self.log(node, "pieces", bytes=60000), 0, ""
        while position < whole["meta"]["position"]:
            piece = self.log(node, "pieces", position=position, bytes=700)
            self.assertTrue(piece["items"].endswith("\n"))
            text, position = text + piece["items"], piece["meta"]["position"]
        self.assertEqual(text, whole["items"])
        self.assertEqual(self.log(node, "pieces", position=position)["meta"]["bytes"], 0)

    def test_refusals(self):
        node = self.api_node()
        good = {"name": "one", "type": "topic", "topic": "a/#"}
        self.assertEqual(node.api.post("/trace", good).status, 200)
        self.refused(node.api.post("/trace", good), 409, "ALREADY_EXISTS", "name")
        for change, names in (({"name": "../x"}, "name"), ({"type": "clientid"}, "clientid"), ({"topic": "a/#/b"}, "name"),
                              ({"end_at": "2001-01-01T00:00:00Z"}, "end_at"), ({"start_at": "2099-01-01T00:00:00Z"}, "start_at"),
                              ({"colour": "red"}, "colour"), ({"payload_encode": "xml"}, "payload_encode")):
            self.refused(node.api.post("/trace", {**good, "name": "two", **change}), 400, "BAD_REQUEST", names)
        for answer in (node.api.put("/trace/none/stop"), node.api.delete("/trace/none"), node.api.get("/trace/none/log")):
            self.refused(answer, 404, "NOT_FOUND")
        self.assertEqual(node.open.get("/trace").status, 401)


class TraceOfACluster(ApiClusterCase):
    def test_every_node_writes_what_it_sees(self):
        nodes, api = self.api_cluster((0, 1, 2))
        made = api.post("/trace", {"name": "all", "type": "topic", "topic": "t/#"})
        self.assertEqual((made.status, sorted(made.data["log_size"])), (200, sorted(nodes.name(i) for i in range(3))), made)
        self.connected(nodes[2]).publish("t/x", b"hello", 1)
        until(lambda: "t/x" in api.get("/trace/all/log", node=nodes.name(2), bytes=60000).data["items"], WAIT, "the line of the third")
        self.assertEqual(api.get("/trace/all/log", node="nobody@nowhere").status, 404)
        self.assertEqual(api.delete("/trace/all").status, 204)
        self.assertEqual(api.get("/trace").data, [])

    def test_a_node_without_http_is_named_as_missing(self):
        nodes, api = self.api_cluster((0,))
        answer = api.get("/clients")
        self.assertEqual((answer.status, sorted(answer.data["meta"]["missing"])), (200, [nodes.name(1), nodes.name(2)]), answer)


if __name__ == "__main__":
    unittest.main()
