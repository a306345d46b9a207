# SPDX-License-Identifier: Apache-2.0
"""The HTTP API: every call, good and bad, with real clients behind it. Each answer is checked against /api-docs as well (api.py)."""
import base64
import unittest

import wire
from api import Api, ApiCase, part
from harness import until
from mqttlib import unique

WAIT = 10


class Calls(ApiCase):
    def setUp(self):
        super().setUp()
        self.target = self.api_node()
        self.api = self.target.api

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.data


class Clients(Calls):
    def test_list_show_kick(self):
        name = unique("c")
        client = self.connected(self.target, client_id=name, connect={"username": "anna", "keep_alive": 30})
        client.subscribe("a/b", 1)
        page = self.good(self.api.get("/clients"))
        self.assertEqual(page["meta"], {"page": 1, "limit": 100, "count": 1, "hasnext": False})
        one = self.good(self.api.get(f"/clients/{name}"))
        self.assertEqual(one, page["data"][0])
        for field, value in {"clientid": name, "username": "anna", "connected": True, "proto_ver": 5, "keepalive": 30,
                             "subscriptions_cnt": 1, "ip_address": "127.0.0.1", "listener": "tcp:default",
                             "clean_start": True}.items():
            self.assertEqual(one[field], value, field)
        self.good(self.api.delete(f"/clients/{name}"), 204)
        client.expect_disconnect(0x98)
        self.refused(self.api.get(f"/clients/{name}"), 404, "CLIENTID_NOT_FOUND")
        self.refused(self.api.delete(f"/clients/{name}"), 404, "CLIENTID_NOT_FOUND")

    def test_pages_and_filters(self):
        names = sorted(unique("p") for _ in range(25))
        for i, name in enumerate(names):
            self.connected(self.target, client_id=name, connect={"username": f"user{i % 5}"})
        seen = []
        for page in range(1, 4):
            answer = self.good(self.api.get("/clients", page=page, limit=10))
            self.assertEqual((answer["meta"]["count"], answer["meta"]["hasnext"]), (25, page < 3))
            seen += [c["clientid"] for c in answer["data"]]
        self.assertEqual(sorted(seen), names)
        self.assertEqual(self.good(self.api.get("/clients", page=9, limit=10))["data"], [])
        for query, count in (({"username": "user1"}, 5), ({"like_username": "ser"}, 25), ({"clientid": names[3]}, 1),
                             ({"like_clientid": names[4]}, 1), ({"conn_state": "disconnected"}, 0), ({"proto_ver": 4}, 0),
                             ({"ip_address": "127.0.0.2"}, 0), ({"gte_connected_at": "2020-01-01T00:00:00Z"}, 25),
                             ({"lte_connected_at": "2020-01-01T00:00:00Z"}, 0), ({"clean_start": True}, 25)):
            self.assertEqual(len(self.good(self.api.get("/clients", **query))["data"]), count, query)
        self.assertEqual(set(self.good(self.api.get("/clients", fields="clientid,node"))["data"][0]), {"clientid", "node"})
        self.good(self.api.post("/clients/kickout/bulk", [*names[:5], "nobody"]), 204)
        self.assertEqual(self.good(self.api.get("/clients"))["meta"]["count"], 20)

    def test_refused(self):
        for query, field in (({"page": 0}, "page:"), ({"limit": 10001}, "limit:"), ({"page": "x"}, "page:"),
                             ({"conn_state": "asleep"}, "conn_state:"), ({"nonsense": 1}, "nonsense:"),
                             ({"gte_created_at": "yesterday"}, "gte_created_at:"), ({"proto_ver": 9}, "proto_ver:")):
            self.refused(self.api.get("/clients", **query), 400, "BAD_REQUEST", field)
        self.refused(self.api.post("/clients/kickout/bulk", {"a": 1}), 400, "BAD_REQUEST")
        self.refused(self.api.get("/clients", node="covey@nowhere"), 404, "NOT_FOUND")

    def test_names_of_all_kinds(self):
        for name in ("a/b", "a b", "ü€", "100%", "a?b#c", "..", "+"):
            client = self.connected(self.target, client_id=name)
            self.assertEqual(self.good(self.api.get(f"/clients/{part(name)}"))["clientid"], name)
            self.good(self.api.delete(f"/clients/{part(name)}"), 204)
            client.expect_disconnect(0x98)


class Subscriptions(Calls):
    def test_subscribe_for_a_client(self):
        name, other = unique("c"), self.connected(self.target)
        client = self.connected(self.target, client_id=name)
        done = self.good(self.api.post(f"/clients/{name}/subscribe", {"topic": "x/+", "qos": 1, "rap": 1}))
        self.assertEqual((done["topic"], done["qos"], done["rap"], done["nl"]), ("x/+", 1, 1, 0))
        self.good(self.api.post(f"/clients/{name}/subscribe/bulk", [{"topic": "y"}, {"topic": "$share/g/z", "qos": 2}]))
        other.publish("x/1", b"hello", 1)
        self.assertEqual(client.recv_publish().payload, b"hello")
        subs = self.good(self.api.get(f"/clients/{name}/subscriptions"))
        self.assertEqual({s["topic"]: s["qos"] for s in subs}, {"x/+": 1, "y": 0, "$share/g/z": 2})
        self.good(self.api.post(f"/clients/{name}/unsubscribe", {"topic": "x/+"}), 204)
        self.good(self.api.post(f"/clients/{name}/unsubscribe", {"topic": "never"}), 204)
        self.assertEqual(len(self.good(self.api.get(f"/clients/{name}/subscriptions"))), 2)

    def test_refused(self):
        name = unique("c")
        self.connected(self.target, client_id=name)
        for body, field in (({"topic": "a/#/b"}, "topic:"), ({"topic": ""}, "topic:"), ({"qos": 1}, "topic:"),
                            ({"topic": "a", "qos": 3}, "qos:"), ({"topic": "a", "qos": "1"}, "qos:"),
                            ({"topic": "a", "why": 1}, "why:"), ({"topic": 7}, "topic:")):
            self.refused(self.api.post(f"/clients/{name}/subscribe", body), 400, "BAD_REQUEST", field)
        self.refused(self.api.post(f"/clients/{unique()}/subscribe", {"topic": "a"}), 404, "CLIENTID_NOT_FOUND")
        self.refused(self.api.get(f"/clients/{unique()}/subscriptions"), 404, "CLIENTID_NOT_FOUND")
        self.refused(self.api.post(f"/clients/{unique()}/unsubscribe", {"topic": "a"}), 404, "CLIENTID_NOT_FOUND")

    def test_lists(self):
        a, b = unique("a"), unique("b")
        self.connected(self.target, client_id=a).subscribe([("m/1", 0), ("m/+", 1), ("$share/g/m/1", 2)])
        self.connected(self.target, client_id=b).subscribe("m/1", 0)
        found = lambda **query: sorted((s["clientid"], s["topic"]) for s in  # noqa: E731
                                       self.good(self.api.get("/subscriptions", **query))["data"])
        self.assertEqual(len(found()), 4)
        self.assertEqual(found(clientid=b), [(b, "m/1")])
        self.assertEqual(found(qos=1), [(a, "m/+")])
        self.assertEqual(found(topic="$share/g/m/1"), [(a, "$share/g/m/1")])
        self.assertEqual(found(share_group="g"), [(a, "$share/g/m/1")])
        self.assertEqual(len(found(match_topic="m/1")), 4)
        self.assertEqual(found(match_topic="m/2"), [(a, "m/+")])
        self.assertEqual(len(found(durable=True)), 0)
        topics = self.good(self.api.get("/topics"))["data"]
        self.assertEqual(sorted(t["topic"] for t in topics), ["$share/g/m/1", "m/+", "m/1"])
        self.assertEqual([t["topic"] for t in self.good(self.api.get("/topics", topic="m/+"))["data"]], ["m/+"])
        self.assertEqual(len(self.good(self.api.get("/topics", limit=2))["data"]), 2)
        self.refused(self.api.get("/subscriptions", qos=7), 400, "BAD_REQUEST", "qos:")


class Publish(Calls):
    def test_one(self):
        client = self.connected(self.target)
        client.subscribe("p/#", 2)
        answer = self.good(self.api.post("/publish", {"topic": "p/1", "payload": "hi", "qos": 1}))
        self.assertRegex(answer["id"], "^[0-9A-Fa-f]{32}$")
        self.assertEqual(client.recv_publish().payload, b"hi")
        self.good(self.api.post("/publish", {
            "topic": "p/2", "payload": base64.b64encode(b"\0\xff").decode(), "payload_encoding": "base64", "qos": 2,
            "properties": {"content_type": "text/x", "user_properties": {"k": "v"}, "message_expiry_interval": 60}}))
        got = client.recv_publish()
        self.assertEqual((got.payload, got.prop(wire.CONTENT_TYPE), got.prop(wire.USER_PROPERTY)),
                         (b"\0\xff", "text/x", ("k", "v")))

    def test_topics_that_mean_something(self):
        """Later, under another name, and to who has it alone, as for a client."""
        target = self.api_node({"rewrite.rules": "all old/# ^old/(.*)$ new/$1", "mqtt.exclusive_subscription": True})
        client = self.connected(target, client_id="c1")
        self.assertEqual(self.good(target.api.post("/clients/c1/subscribe", {"topic": "$exclusive/new/#", "qos": 1}))["topic"],
                         "$exclusive/new/#")
        self.assertEqual([s["topic"] for s in self.good(target.api.get("/subscriptions"))["data"]], ["$exclusive/new/#"])
        self.good(target.api.post("/publish", {"topic": "$delayed/1/new/later", "payload": "a", "qos": 1}))
        self.good(target.api.post("/publish", {"topic": "old/now", "payload": "b", "qos": 1}))
        got = [client.recv_publish(timeout=WAIT) for _ in range(2)]
        self.assertEqual([(p.topic, p.payload) for p in got], [("new/now", b"b"), ("new/later", b"a")])
        self.refused(target.api.post("/publish", {"topic": "$delayed/x/t", "payload": ""}), 400, "BAD_REQUEST", "topic:")
        self.refused(target.api.post("/publish", {"topic": "$exclusive/t", "payload": ""}), 400, "BAD_REQUEST", "topic:")

    def test_nobody(self):
        answer = self.api.post("/publish", {"topic": unique(), "payload": ""})
        self.assertEqual((answer.status, answer.data["reason_code"], answer.data["message"]),
                         (202, 16, "no_matching_subscribers"))

    def test_bulk(self):
        client = self.connected(self.target)
        client.subscribe("q", 1)
        answers = self.good(self.api.post("/publish/bulk", [{"topic": "q", "payload": str(i), "qos": 1} for i in range(50)]))
        self.assertEqual(len({a["id"] for a in answers}), 50)
        self.assertEqual([client.recv_publish().payload for _ in range(50)], [b"%d" % i for i in range(50)])

    def test_refused(self):
        for body, field in (({"payload": "x"}, "topic:"), ({"topic": "a/+", "payload": "x"}, "topic:"),
                            ({"topic": "$SYS/x", "payload": ""}, "topic:"), ({"topic": "a", "payload": 1}, "payload:"),
                            ({"topic": "a", "payload": "x", "qos": 3}, "qos:"), ({"topic": "a", "payload": "x", "more": 1}, "more:"),
                            ({"topic": "a", "payload": "?", "payload_encoding": "base64"}, "payload:"),
                            ({"topic": "a", "payload": "x", "payload_encoding": "hex"}, "payload_encoding:"),
                            ({"topic": "a", "payload": "x", "properties": {"message_expiry_interval": "1"}},
                             "properties.message_expiry_interval:")):
            self.refused(self.api.post("/publish", body), 400, "BAD_REQUEST", field)
        for raw in ("{", "[]", "null", '{"topic": "a", "topic": "b", "payload": ""}', "\xff", "1" * 100):
            answer = self.api.raw("POST", "/api/v5/publish", raw.encode("latin-1"), {"Content-Type": "application/json"})
            self.refused(answer, 400, "BAD_REQUEST")


class Retained(Calls):
    def test_all(self):
        pub = self.connected(self.target)
        for n in range(30):
            pub.publish(f"r/{n:02}", b"value %d" % n, 1, retain=True)
        pub.publish("$x/y", b"1", 1, retain=True)
        page = self.good(self.api.get("/mqtt/retainer/messages", limit=10, page=2))
        self.assertEqual((len(page["data"]), page["meta"]["count"], page["meta"]["hasnext"]), (10, 31, True))
        pages = [self.good(self.api.get("/mqtt/retainer/messages", limit=10, page=n))["data"] for n in range(1, 5)]
        self.assertEqual(len({m["topic"] for p in pages for m in p}), 31)
        one = self.good(self.api.get(f"/mqtt/retainer/message/{part('r/07')}"))
        self.assertEqual((base64.b64decode(one["payload"]), one["qos"], one["payload_size"]), (b"value 7", 1, 7))
        self.refused(self.api.get("/mqtt/retainer/messages", topic="r/1+"), 400, "BAD_REQUEST", "topic:")
        self.assertEqual(len(self.good(self.api.get("/mqtt/retainer/messages", topic="r/+"))["data"]), 30)
        self.good(self.api.delete(f"/mqtt/retainer/message/{part('r/07')}"), 204)
        self.refused(self.api.get(f"/mqtt/retainer/message/{part('r/07')}"), 404, "NOT_FOUND")
        self.refused(self.api.delete(f"/mqtt/retainer/message/{part('r/07')}"), 404, "NOT_FOUND")
        self.good(self.api.delete("/mqtt/retainer/messages", topic="r/+"), 204)
        self.assertEqual([m["topic"] for m in self.good(self.api.get("/mqtt/retainer/messages"))["data"]], ["$x/y"])
        self.good(self.api.delete("/mqtt/retainer/messages"), 204)
        self.assertEqual(self.good(self.api.get("/mqtt/retainer/messages"))["meta"]["count"], 0)


class Listeners(Calls):
    def test_stop_and_start(self):
        found = {o["id"]: o for o in self.good(self.api.get("/listeners"))}
        self.assertEqual(set(found), {"tcp:default", "ws:default"})
        tcp = found["tcp:default"]
        self.assertEqual((tcp["type"], tcp["name"], tcp["bind"]), ("tcp", "default", f"127.0.0.1:{self.target.port}"))
        old = self.connected(self.target)
        self.good(self.api.post("/listeners/tcp:default/stop"), 204)
        self.good(self.api.post("/listeners/tcp:default/stop"), 204)
        self.assertFalse({o["id"]: o for o in self.good(self.api.get("/listeners"))}["tcp:default"]["status"]["running"])
        with self.assertRaises(OSError):
            self.connected(self.target)
        old.barrier()
        self.good(self.api.post("/listeners/tcp:default/start"), 204)
        self.connected(self.target)
        self.good(self.api.post("/listeners/tcp:default/restart"), 204)
        self.connected(self.target)
        self.refused(self.api.post("/listeners/tcp:nothing/stop"), 404, "NOT_FOUND")


class Figures(Calls):
    def test_nodes_and_cluster(self):
        client = self.connected(self.target)
        nodes = self.good(self.api.get("/nodes"))
        self.assertEqual(len(nodes), 1)
        node = nodes[0]
        self.assertEqual((node["node_status"], node["live_connections"], node["workers"]), ("running", 1, 2))
        self.assertEqual(self.good(self.api.get(f"/nodes/{part(node['node'])}"))["node"], node["node"])
        self.refused(self.api.get("/nodes/covey@nowhere"), 404, "NOT_FOUND")
        self.assertEqual(self.good(self.api.get("/cluster"))["nodes"], [node["node"]])
        client.disconnect()

    def test_stats_and_metrics(self):
        client = self.connected(self.target)
        client.subscribe("s/1")
        client.publish("s/1", b"x", 1)
        stats = self.good(self.api.get("/stats"))
        self.assertEqual((stats[0]["live_connections.count"], stats[0]["subscriptions.count"]), (1, 1))
        self.assertEqual(self.good(self.api.get("/stats", aggregate=True))["subscriptions.count"], 1)
        metrics = self.good(self.api.get("/metrics"))[0]
        self.assertGreater(metrics["messages.qos1.received"], 0)
        self.assertGreater(metrics["bytes.received"], 0)
        name = part(self.good(self.api.get("/nodes"))[0]["node"])
        self.assertEqual(self.good(self.api.get(f"/nodes/{name}/stats"))["subscriptions.count"], 1)
        self.assertGreater(self.good(self.api.get(f"/nodes/{name}/metrics"))["bytes.sent"], 0)
        self.refused(self.api.get("/stats", aggregate="maybe"), 400, "BAD_REQUEST", "aggregate:")

    def test_rates(self):
        client = self.connected(self.target)
        until(lambda: (client.publish("s", b"x", 1), self.good(self.api.get("/monitor_current"))["received_msg_rate"])[1] > 0,
              WAIT, "no rate")
        self.assertEqual(self.good(self.api.get("/monitor_current"))["live_connections"], 1)
        name = part(self.good(self.api.get("/nodes"))[0]["node"])
        self.good(self.api.get(f"/monitor_current/nodes/{name}"))
        until(lambda: self.good(self.api.get("/monitor", latest=60)), 15, "no samples")
        self.good(self.api.get(f"/monitor/nodes/{name}", latest=60))

    def test_status(self):
        for path in ("/status", "/api/v5/status"):
            answer = Api(self.target.http_port).raw("GET", path)
            self.assertEqual(answer.status, 200, path)
            self.assertIn(b"is started", answer.bytes)


class Conditions(Calls):
    def test_configuration(self):
        found = {s["key"]: s for s in self.good(self.api.get("/configs"))}
        self.assertEqual((found["node.workers"]["value"], found["mqtt.max_inflight"]["from"]), ("2", "default"))
        self.assertIn("covey.yaml:", found["node.workers"]["from"])

    def test_no_alarms(self):
        self.assertEqual(self.good(self.api.get("/alarms"))["data"], [])
        self.assertEqual(self.good(self.api.get("/alarms", activated=False))["data"], [])
        self.good(self.api.delete("/alarms"), 204)
        self.assertEqual(self.target.cli("ctl", "alarms").stdout, "")


class People(Calls):
    def test_users(self):
        made = self.good(self.api.post("/users", {"username": "vera", "password": "looks-at-it", "role": "viewer"}))
        self.assertEqual((made["username"], made["role"]), ("vera", "viewer"))
        self.refused(self.api.post("/users", {"username": "vera", "password": "looks-at-it", "role": "viewer"}), 400, "ALREADY_EXISTS")
        vera = self.target.open.logged_in("vera", "looks-at-it")
        self.good(vera.get("/clients"))
        for answer in (vera.delete("/clients/x"), vera.post("/publish", {"topic": "a", "payload": ""}), vera.get("/users")):
            self.assertEqual(answer.status, 403, answer)
        self.assertEqual({u["username"] for u in self.good(self.api.get("/users"))}, {"admin", "vera"})
        self.good(self.api.put("/users/vera", {"role": "administrator", "description": "now more"}))
        self.good(self.api.delete("/users/vera"), 204)
        self.refused(vera.get("/clients"), 401, "BAD_TOKEN")
        self.refused(self.api.delete("/users/vera"), 404, "USER_NOT_FOUND")

    def test_keys(self):
        made = self.good(self.api.post("/api_key", {"name": "ci", "desc": "for scripts", "enable": True}))
        key = Api(self.target.http_port, key=(made["api_key"], made["api_secret"]))
        self.good(key.get("/clients"))
        self.refused(Api(self.target.http_port, key=(made["api_key"], "wrong")).get("/clients"), 401, "BAD_API_KEY_OR_SECRET")
        listed = self.good(self.api.get("/api_key"))
        self.assertEqual([k["name"] for k in listed], ["ci"])
        self.assertNotIn("api_secret", listed[0])
        self.assertEqual(key.get("/users").status, 403)
        self.good(self.api.put("/api_key/ci", {"enable": False}))
        self.assertEqual(key.get("/clients").status, 401)
        self.good(self.api.delete("/api_key/ci"), 204)
        self.refused(self.api.get("/api_key/ci"), 404, "NOT_FOUND")


if __name__ == "__main__":
    unittest.main()
