# SPDX-License-Identifier: Apache-2.0
"""Messages between the nodes of a cluster of real processes."""
import unittest

import wire
from cluster import Cluster, ClusterCase
from harness import until
from mqttlib import PUBLISH, V5, V311, unique
from streams import WAIT, Numbers, Stream
from wire import *  # noqa: F403

PAIRS = [(sub, pub) for sub in range(3) for pub in range(3) if sub != pub]


class Messages(ClusterCase):
    @classmethod
    def setUpClass(cls):
        cls.nodes = Cluster(3)
        cls.addClassCleanup(cls.nodes.remove)

    def test_every_node_hears_every_node(self):
        for version in (V311, V5):
            for qos in (0, 1, 2):
                for sub, pub in PAIRS:
                    with self.subTest(version=version, qos=qos, sub=sub, pub=pub):
                        topic = unique()
                        s = self.connected(self.nodes[sub], version=version)
                        p = self.connected(self.nodes[pub], version=version)
                        s.subscribe(topic, qos)
                        p.publish(topic, b"x", qos)
                        self.assertEqual(s.recv_publish(topic).qos, qos)

    def test_properties_travel(self):
        topic = unique()
        sub, pub = self.connected(self.nodes[0]), self.connected(self.nodes[2])
        sub.subscribe(topic, 1, props=[(SUBSCRIPTION_ID, 77)], rap=True)
        props = [(PAYLOAD_FORMAT, 1), (MESSAGE_EXPIRY, 1000), (CONTENT_TYPE, "text/plain"), (RESPONSE_TOPIC, "answer"),
                 (CORRELATION, b"\x00\x01"), (USER_PROPERTY, ("a", "1")), (USER_PROPERTY, ("a", "2"))]
        pub.send(publish(topic, "grüße".encode(), 1, pub.pid(), retain=True, props_=props))
        got = sub.recv_publish(topic)
        self.assertEqual(got.payload, "grüße".encode())
        self.assertTrue(got.retain)
        self.assertEqual([p for p in got.props if p[0] == USER_PROPERTY],
                         [(USER_PROPERTY, ("a", "1")), (USER_PROPERTY, ("a", "2"))])
        for ident, value in props[:1] + props[2:5]:
            self.assertEqual(got.prop(ident), value)
        self.assertEqual(got.prop(SUBSCRIPTION_ID), 77)
        self.assertTrue(990 <= got.prop(MESSAGE_EXPIRY) <= 1000)
        pub.publish(topic, b"", retain=True)

    def test_no_local_is_of_one_client(self):
        topic = unique()
        one, other = self.connected(self.nodes[0]), self.connected(self.nodes[1])
        one.subscribe(topic, 1, no_local=True)
        other.subscribe(topic, 1)
        one.publish(topic, b"mine", 1)
        self.assertEqual(other.recv_publish(topic).payload, b"mine")
        other.publish(topic, b"theirs", 1)
        self.assertEqual(one.recv_publish(topic).payload, b"theirs")

    def test_overlapping_filters_give_one_copy(self):
        topic = unique()
        sub, pub = self.connected(self.nodes[1]), self.connected(self.nodes[0])
        sub.subscribe([(topic + "/#", 0), (topic + "/+", 2), (topic + "/a", 1)], expect=[0, 2, 1])
        pub.publish(topic + "/a", b"x", 2)
        self.assertEqual(sub.recv_publish().qos, 2)
        sub.expect_no_more(pub, 2)

    def test_order_of_a_publisher(self):
        for qos in (0, 1, 2):
            with self.subTest(qos=qos):
                topic = unique()
                sub, pub = self.connected(self.nodes[2]), self.connected(self.nodes[0])
                sub.subscribe(topic, qos)
                if qos:
                    stream, numbers = Stream(pub, topic, qos, pace=0), Numbers()
                    while len(stream.promised) < 2000 and not stream.error:
                        numbers.take(sub, 0.1)
                    numbers.await_all(sub, stream.end().promised)
                    got = numbers.got
                else:
                    for first in range(0, 2000, 100):
                        pub.send(b"".join(publish(topic, b"%d" % n) for n in range(first, first + 100)))
                    got = [int(sub.recv_publish(topic, timeout=WAIT).payload) for _ in range(2000)]
                self.assertEqual(got, sorted(set(got)))
                self.assertGreaterEqual(len(got), 2000)

    def test_only_to_nodes_with_a_match(self):
        topic = unique()
        sub, pub = self.connected(self.nodes[1]), self.connected(self.nodes[0])
        sub.subscribe(topic, 1)
        before = self.nodes.metric(2, "cluster.messages.received")
        for _ in range(100):
            pub.publish(topic, b"x", 1)
        for _ in range(100):
            sub.recv_publish(topic)
        self.assertEqual(self.nodes.metric(2, "cluster.messages.received"), before)
        self.assertGreaterEqual(self.nodes.metric(1, "cluster.messages.received"), 100)

    def test_a_suback_is_a_promise(self):
        """Whoever publishes after it, on whichever node, reaches the subscriber."""
        subs = [self.connected(node) for node in self.nodes]
        pubs = [self.connected(node) for node in self.nodes]
        for n in range(300):
            topic = unique()
            sub, pub = subs[n % 3], pubs[(n + 1 + n // 3 % 2) % 3]
            sub.subscribe(topic, n % 3)
            pub.publish(topic, b"%d" % n, n % 3)
            self.assertEqual(sub.recv_publish(topic).payload, b"%d" % n)
            sub.unsubscribe(topic)

    def test_routes_of_all_nodes_are_listed(self):
        base = unique()
        subs = [self.connected(node) for node in self.nodes]
        for i, sub in enumerate(subs):
            sub.subscribe([(f"{base}/all", 1), (f"{base}/{i}/#", 0)], expect=[1, 0])
        subs[1].subscribe(f"$share/g/{base}/all")
        names = [self.nodes.name(i) for i in range(3)]
        wanted = sorted([f"{base}/all -> {name}" for name in names] + [f"{base}/{i}/# -> {names[i]}" for i in range(3)] +
                        [f"$share/g/{base}/all -> {names[1]}"])
        for node in self.nodes:
            listed = [line for line in node.cli("ctl", "routes", "list").stdout.splitlines() if base in line]
            self.assertEqual(sorted(listed), wanted)
        shown = self.nodes[2].cli("ctl", "topics", "show", f"{base}/0/#")
        self.assertEqual(shown.stdout, f"{base}/0/# -> {names[0]}\n")
        self.assertNotEqual(self.nodes[2].cli("ctl", "routes", "show", f"{base}/9/#").returncode, 0)

    def test_an_unsuback_is_the_end(self):
        topic = unique()
        sub, pub = self.connected(self.nodes[0]), self.connected(self.nodes[1])
        sub.subscribe(topic, 1)
        sub.unsubscribe(topic)
        pub.publish(topic, b"x", 1, expect=[0, 0x10])
        sub.expect_no_more(pub, 1)

    def test_large_payloads(self):
        topic = unique()
        sub, pub = self.connected(self.nodes[0]), self.connected(self.nodes[1])
        sub.subscribe(topic, 2)
        for size in (60000, 65536, 1000000):
            for qos in (0, 1, 2):
                pub.publish(topic, bytes([qos]) * size, qos)
                self.assertEqual(sub.recv_publish(topic, timeout=WAIT).payload, bytes([qos]) * size)

    def test_many_topics_at_once(self):
        """Frames with entries for different shards and clients."""
        subs = [self.connected(self.nodes[1 + n % 2], version=V311) for n in range(8)]
        base = unique()
        for n, sub in enumerate(subs):
            sub.subscribe(f"{base}/{n}/+", n % 3)
        pub = self.connected(self.nodes[0])
        for n in range(400):
            pub.send(publish(f"{base}/{n % 8}/{n}", b"%d" % n, 0))
        for n, sub in enumerate(subs):
            got = [int(sub.recv_publish(timeout=WAIT).payload) for _ in range(50)]
            self.assertEqual(got, list(range(n, 400, 8)))


class Joining(ClusterCase):
    def test_a_node_that_comes_later_knows_all_subscriptions(self):
        nodes = self.cluster(3, start=False)
        nodes.start([0, 1])
        sub, base = self.connected(nodes[0]), unique()
        for first in range(0, 10000, 100):
            sub.subscribe([(f"{base}/{n}", 0) for n in range(first, first + 100)])
        sub.subscribe(base + "/+/deep", 1)
        nodes.start([2])
        self.assertGreaterEqual(nodes.links(2)[nodes.name(0)]["routes"], 10001)
        pub = self.connected(nodes[2])
        for n in (0, 4999, 9999):
            pub.publish(f"{base}/{n}", b"x", 0)
            self.assertEqual(sub.recv_publish().topic, f"{base}/{n}")
        pub.publish(base + "/7/deep", b"x", 1)
        self.assertEqual(sub.recv_publish().topic, base + "/7/deep")

    def test_one_leaves_in_order_and_comes_back(self):
        nodes = self.cluster(3)
        topic = unique()
        sub = self.connected(nodes[0])
        sub.subscribe(topic, 1)
        self.assertEqual(nodes[2].stop(), 0)
        until(lambda: nodes.links(0)[nodes.name(2)]["state"] == "left", WAIT, nodes.told)
        self.connected(nodes[1]).publish(topic, b"without", 1)
        self.assertEqual(sub.recv_publish(topic).payload, b"without")
        nodes.start([2])
        self.connected(nodes[2]).publish(topic, b"with", 1)
        self.assertEqual(sub.recv_publish(topic).payload, b"with")


if __name__ == "__main__":
    unittest.main()
