# SPDX-License-Identifier: Apache-2.0
"""What one client and one listener may do at most: rates, numbers, sizes. Nothing is dropped that can be made to wait,
and what is refused is counted by its reason."""
import subprocess
import time
import unittest

from harness import Case, until
from mqttlib import unique
from test_bans import metric
from wire import *  # noqa: F403

WAIT = 30
TCP = "listeners.tcp.default."


class Rates(Case):
    def setUp(self):
        self.needs_covey()

    def check(self, settings, send, count, seconds, reason):
        """All of it comes, in order, and not sooner than the limit allows; whom the limit is not for does not wait."""
        node, topic = self.node(settings), unique()
        sub, free = self.connected(node, ws=True), self.connected(node, ws=True)
        sub.subscribe(topic, 1)
        started = time.monotonic()
        send(node, topic)
        free.publish(topic, b"free", 1)
        self.assertLess(time.monotonic(), started + WAIT)
        got = [sub.recv_publish(topic, timeout=WAIT).payload for _ in range(count + 1)]
        self.assertGreaterEqual(time.monotonic() - started, seconds)
        self.assertLess(got.index(b"free"), count, "who has no limit waited for who has one")
        got.remove(b"free")
        self.assertEqual([int(p.split(b" ")[0]) for p in got], list(range(1, count + 1)))
        self.assertGreater(metric(node, f"client.paced.{reason}"), 0)

    def flood(self, count, size=0, qos=0):
        def send(node, topic):
            client = self.connected(node)
            client.send(*[publish(topic, b"%d %s" % (i, b"x" * size), qos, pid=i if qos else None)
                          for i in range(1, count + 1)])
        return send

    def test_messages_a_second(self):
        self.check({TCP + "messages_rate": "20/s"}, self.flood(60), 60, 1.9, "messages_rate")

    def test_acknowledged_messages_a_second(self):
        self.check({TCP + "messages_rate": "20/s"}, self.flood(60, qos=1), 60, 1.9, "messages_rate")

    def test_bytes_a_second(self):
        self.check({TCP + "bytes_rate": "64KB/s"}, self.flood(100, 2000), 100, 2.0, "bytes_rate")

    def test_mosquitto_pub_is_paced(self):
        def send(node, topic):
            lines = "".join(f"{i}\n" for i in range(1, 61))
            child = subprocess.Popen(["mosquitto_pub", "-p", str(node.port), "-t", topic, "-q", "1", "-l"],
                                     stdin=subprocess.PIPE, text=True)
            self.addCleanup(child.wait, WAIT)
            child.stdin.write(lines)
            child.stdin.close()
        self.check({TCP + "messages_rate": "20/s"}, send, 60, 1.9, "messages_rate")

    def test_connections_a_second(self):
        """Those who come too fast wait; nobody is turned away."""
        node = self.node({TCP + "max_conn_rate": "10/s"})
        started = time.monotonic()
        clients = [node.client() for _ in range(15)]
        for client in clients:
            self.addCleanup(client.close)
            client.send(connect(unique()))
        for client in clients:
            client.wait(CONNACK, timeout=WAIT)
        self.assertGreaterEqual(time.monotonic() - started, 1.0)

    def test_keep_alive_while_nobody_listens(self):
        """Two seconds' worth of bytes at once: the client is not taken for dead meanwhile, nor afterwards."""
        node = self.node({TCP + "bytes_rate": "10KB/s", "mqtt.server_keepalive": "1s"})
        client = self.connected(node)
        client.publish(unique(), b"x" * 45000, 1)
        client.send(pingreq())
        client.wait(PINGRESP, timeout=WAIT)
        self.assertNotIn("keep_alive", node.log())


class Numbers(Case):
    def setUp(self):
        self.needs_covey()

    def counted(self, node, name, count=1):
        until(lambda: metric(node, name) >= count, WAIT, lambda: f"{name}: {metric(node, name)}")
        self.assertEqual(metric(node, name), count, name)

    def test_refusals_of_connect(self):
        node = self.node({"mqtt.max_clientid_len": 23, "mqtt.max_packet_size": "1KB"})
        with node.client() as client:
            client.connect("x" * 24, expect=0x85)
        with node.client() as client:
            client.connect(unique(), [(AUTH_METHOD, "SOMETHING")], expect=0x8C)
        with node.client() as client:
            client.send(connect(unique(), version=7))
            client.expect_closed(allow=(CONNACK,))
        for name in ("clientid_not_valid", "bad_authentication_method", "unsupported_version"):
            self.counted(node, f"client.refused.{name}")
        self.counted(node, "client.refused", 3)

    def test_refusals_of_packets(self):
        node = self.node({"mqtt.max_packet_size": "1KB", "mqtt.max_topic_levels": 4, "mqtt.receive_maximum": 2,
                          "mqtt.max_topic_alias": 2, "mqtt.max_qos_allowed": 1})
        for packets, code, name in (
                ([publish("t", b"x" * 2000)], 0x95, "packet_too_large"),
                ([publish("a/b/c/d/e", b"")], 0x90, "topic_invalid"),
                ([publish("t", b"", props_=[(ALIAS, 3)])], 0x94, "topic_alias_invalid"),
                ([publish("t", b"", 2, pid=1)], 0x9B, "not_supported"),
                ([b"\xf1\x00"], None, "malformed"),
                ([connect(unique())], 0x82, "protocol_error")):
            with self.subTest(name):
                client = self.connected(node)
                client.send(*packets)
                client.expect_disconnect(*[code] if code else [])
                self.counted(node, f"client.faults.{name}")

    def test_subscriptions_and_their_filters(self):
        node = self.node({"mqtt.max_subscriptions": 2, "mqtt.max_topic_levels": 4, "mqtt.shared_subscription": False})
        client = self.connected(node)
        client.subscribe(["a", "b"])
        client.subscribe("a", 1)                      # not another one
        client.subscribe("c", expect=[0x97])
        client.subscribe("a/b/c/d/#", expect=[0x8F])
        client.subscribe("$share/g/t", expect=[0x9E])
        client.unsubscribe("b")
        client.subscribe("c")
        for name in ("quota_exceeded", "filter_invalid", "not_supported"):
            self.counted(node, f"subscribe.refused.{name}")

    def test_queue_by_number_and_bytes(self):
        for settings, count in (({"mqtt.max_mqueue_len": 3}, 3), ({"mqtt.max_mqueue_bytes": "10KB"}, 2)):
            with self.subTest(settings):
                node, topic, client_id = self.node(settings), unique(), unique("c")
                sub, pub = self.connected(node, client_id, [(SESSION_EXPIRY, 100)]), self.connected(node)
                sub.subscribe(topic, 1)
                sub.disconnect()
                for i in range(5):
                    pub.publish(topic, b"%d" % i + b"x" * 4000, 1, expect=[0 if i < count else 0x97])
                self.counted(node, "messages.dropped.queue_full", 5 - count)
                sub = self.connected(node, client_id, clean=False)
                self.assertEqual([sub.recv_publish(topic).payload[:1] for _ in range(count)],
                                 [b"%d" % i for i in range(count)])
                sub.expect_no_more(pub)

    def test_connections_of_a_listener(self):
        node = self.node({TCP + "max_connections": 2, TCP + "max_conn_rate": "1000/s"})
        first, _ = self.connected(node), self.connected(node)
        with node.client() as client:
            client.expect_closed(timeout=WAIT)
        self.assertIn("connections_max=", node.cli("ctl", "listeners").stdout)
        first.disconnect()
        until(lambda: "current_conn    : 1" in node.cli("ctl", "listeners").stdout, WAIT, "one connection")
        self.connected(node)


if __name__ == "__main__":
    unittest.main()
