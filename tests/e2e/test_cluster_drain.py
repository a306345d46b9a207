# SPDX-License-Identifier: Apache-2.0
"""A node of a cluster of real processes is emptied before it goes."""
import time
import unittest

from cluster import ClusterCase
from harness import until
from mqttlib import CONNACK, DISCONNECT, V5, V311, unique
from streams import WAIT, Numbers, Stream
from wire import *  # noqa: F403

LONG = [(SESSION_EXPIRY, 3600)]


class Drain(ClusterCase):
    def drained(self, **settings):
        """Three nodes whose MQTT addresses the others know."""
        nodes = self.cluster(3, settings, start=False)
        for node in nodes:
            node.configure({**node.settings, "cluster.mqtt_address": f"127.0.0.1:{node.port}"})
        return nodes.start()

    def drain(self, node, *words, timeout=60):
        return node.cli("ctl", "cluster", "drain", *words, timeout=timeout)

    def test_clients_are_told_where_to_go(self):
        nodes = self.drained()
        five = self.connected(nodes[0], unique("c"), LONG)
        three = self.connected(nodes[0], unique("c"), version=V311)
        done = self.drain(nodes[0], "--rate", "100", "--wait", "20")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        told = five.expect_closed(WAIT)[-1]
        self.assertEqual((told.type, told.reason), (DISCONNECT, 0x9C))
        self.assertIn(told.prop(SERVER_REFERENCE), {f"127.0.0.1:{nodes[i].port}" for i in (1, 2)})
        self.assertEqual(three.expect_closed(WAIT), [])
        target = next(n for n in nodes if told.prop(SERVER_REFERENCE) == f"127.0.0.1:{n.port}")
        self.assertTrue(self.connected(target, five.id, LONG, clean=False).connack.session_present)
        self.refuses(nodes[0])
        self.assertEqual(self.drain(nodes[0], "--stop").returncode, 0)
        self.connected(nodes[0])

    def refuses(self, node):
        """New clients are sent away meanwhile."""
        for version, code in ((V5, 0x9C), (V311, 3)):
            client = node.client(version=version)
            self.addCleanup(client.close)
            self.assertEqual(client.connect(expect=None).reason, code)

    def test_sessions_go_with_all_they_have(self):
        nodes, ids = self.drained(), [unique("c") for _ in range(60)]
        pub = self.connected(nodes[1])
        for n, client_id in enumerate(ids):
            client = self.connected(nodes[0], client_id, LONG)
            client.subscribe(f"t/{client_id}", 1 + n % 2)
            client.disconnect()
            for k in range(10):
                pub.publish(f"t/{client_id}", b"%d" % k, 1 + n % 2)
        done = self.drain(nodes[0], "--rate", "1000", "--wait", "30")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("All clients and sessions are moved.", done.stdout)
        self.assertEqual(nodes[0].stop(), 0)
        for n, client_id in enumerate(ids):
            where = [nodes.sessions(i, client_id) for i in (1, 2)]
            self.assertEqual(sum(where), 1, client_id)
            client = self.connected(nodes[1 + n % 2], client_id, LONG, clean=False)
            self.assertTrue(client.connack.session_present)
            self.assertEqual([int(client.recv_publish(timeout=WAIT).payload) for _ in range(10)], list(range(10)))

    def test_under_traffic(self):
        """A subscriber that comes back at the node that it is told loses nothing, nor order."""
        nodes, topic, client_id, numbers = self.drained(), unique(), unique("c"), Numbers()
        sub = self.connected(nodes[0], client_id, LONG)
        sub.subscribe(topic, 2)
        stream = Stream(self.connected(nodes[1]), topic, 2, pace=0.005)
        self.addCleanup(stream.ends.set)
        until(lambda: numbers.take(sub, 0.05) or len(numbers.got) > 50, WAIT, "it does not flow")
        self.assertEqual(self.drain(nodes[0], "--rate", "50").returncode, 0)
        until(lambda: numbers.take(sub, 0.05) or sub.eof, WAIT, "it is not moved")
        reference = sub.seen[-1].prop(SERVER_REFERENCE)
        target = next(n for n in nodes if reference == f"127.0.0.1:{n.port}")
        sub = self.connected(target, client_id, LONG, clean=False)
        self.assertTrue(sub.connack.session_present)
        count = len(numbers.got)
        until(lambda: numbers.take(sub, 0.05) or len(numbers.got) > count + 50, WAIT, "it does not flow again")
        numbers.await_all(sub, stream.end().promised)
        self.assertEqual(numbers.got, list(range(stream.sent)))
        self.assertEqual(stream.refused, {})

    def test_not_faster_than_asked(self):
        nodes = self.drained()
        clients = [self.connected(nodes[0]) for _ in range(30)]
        started = time.monotonic()
        self.assertEqual(self.drain(nodes[0], "--rate", "10").returncode, 0)
        closed = set()
        while len(closed) < len(clients):
            for n, client in enumerate(clients):
                client.poll(0.001)
                if client.eof:
                    closed.add(n)
            # Ten in each second, and what a step of a tenth of it may be ahead.
            self.assertLessEqual(len(closed), 10 * (time.monotonic() - started) + 2)
            self.assertLess(time.monotonic() - started, 2 * WAIT)

    def test_nobody_to_take_over(self):
        nodes = self.drained()
        for i in (1, 2):
            nodes[i].stop()
        client = self.connected(nodes[0])
        done = self.drain(nodes[0], "--wait", "10")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("There is no other node that takes clients.", done.stdout + done.stderr)
        client.barrier()


if __name__ == "__main__":
    unittest.main()
