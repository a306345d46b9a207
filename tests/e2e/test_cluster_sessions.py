# SPDX-License-Identifier: Apache-2.0
"""Sessions in a cluster of real processes: they follow their clients, and survive what happens to nodes."""
import signal
import threading
import time
import unittest

import wire
from cluster import Cluster, ClusterCase
from harness import until
from mqttlib import PUBACK, PUBLISH, PUBREC, PUBREL, V5, V311, Closed, unique
from streams import WAIT, Numbers, Stream, publish_until_promised
from wire import *  # noqa: F403

LONG = [(SESSION_EXPIRY, 3600)]


class Moves(ClusterCase):
    @classmethod
    def setUpClass(cls):
        cls.nodes = Cluster(3)
        cls.addClassCleanup(cls.nodes.remove)

    def resumed(self, node, client_id, **options):
        client = self.connected(node, client_id, LONG, clean=False, **options)
        self.assertTrue(client.connack.session_present)
        return client

    def test_queue_and_subscriptions(self):
        topic, client_id = unique(), unique("c")
        first = self.connected(self.nodes[0], client_id, LONG)
        first.subscribe([(topic + "/1", 1), (topic + "/2", 2)], expect=[1, 2], props=[(SUBSCRIPTION_ID, 9)])
        first.disconnect()
        pub = self.connected(self.nodes[1])
        for n in range(200):
            pub.publish(f"{topic}/{1 + n % 2}", b"%d" % n, 1 + n % 2)
        second = self.resumed(self.nodes[2], client_id)
        got = [second.recv_publish(timeout=WAIT) for _ in range(200)]
        self.assertEqual([int(p.payload) for p in got], list(range(200)))
        self.assertEqual({(p.qos, p.prop(SUBSCRIPTION_ID)) for p in got}, {(1, 9), (2, 9)})
        pub.publish(topic + "/1", b"live", 1)
        self.assertEqual(second.recv_publish().payload, b"live")
        self.assertEqual([self.nodes.sessions(i, client_id) for i in range(3)], [0, 0, 1])

    def test_what_is_in_flight(self):
        """Packet ids, DUP and the states of QoS 2 stay."""
        topic, client_id = unique(), unique("c")
        first = self.connected(self.nodes[0], client_id, LONG)
        first.subscribe(topic, 2)
        pub = self.connected(self.nodes[0])
        for n in range(3):
            pub.publish(topic, b"%d" % n, 2)
        zero, one, two = (first.recv_publish(ack=False) for _ in range(3))
        first.send(wire.ack(PUBREC, zero.pid))
        first.wait(PUBREL)
        first.send(wire.ack(PUBREC, one.pid))
        first.wait(PUBREL)
        first.send(wire.ack(wire.PUBCOMP, zero.pid))
        first.barrier()
        first.close()
        second = self.resumed(self.nodes[1], client_id)
        self.assertEqual(second.wait(PUBREL).pid, one.pid)
        again = second.recv_publish(ack=False)
        self.assertEqual((again.pid, again.payload, again.dup), (two.pid, b"2", True))
        second.send(wire.ack(wire.PUBCOMP, one.pid))
        second.accept(again)
        second.expect_nothing()

    def test_received_ids_of_qos_2(self):
        """The client's own half: a message that it sends again after the move is no second one."""
        topic, client_id = unique(), unique("c")
        sub = self.connected(self.nodes[2])
        sub.subscribe(topic, 2)
        first = self.connected(self.nodes[0], client_id, LONG)
        first.send(publish(topic, b"once", 2, 7)).expect_ack(PUBREC, 7)
        first.close()
        second = self.resumed(self.nodes[1], client_id)
        second.send(publish(topic, b"once", 2, 7, dup=True)).expect_ack(PUBREC, 7)
        second.send(wire.ack(PUBREL, 7)).expect_ack(wire.PUBCOMP, 7)
        self.assertEqual(sub.recv_publish(topic).payload, b"once")
        sub.expect_no_more(second, 2)

    def test_will_of_a_connection_that_moves(self):
        """Another connection ends the first one: its will is published; one that is delayed is not, since the session
        goes on [MQTT-3.1.3-9]."""
        topic, client_id = unique(), unique("c")
        watch = self.connected(self.nodes[1])
        watch.subscribe(topic + "/#", 1)
        for delay, expected in ((0, True), (30, False)):
            will = Will(f"{topic}/{delay}", b"gone", 1, props=[(WILL_DELAY, delay)])
            self.connected(self.nodes[0], client_id, LONG, connect={"will": will})
            self.resumed(self.nodes[2], client_id).disconnect()
            if expected:
                self.assertEqual(watch.recv_publish(timeout=WAIT).payload, b"gone")
            else:
                watch.expect_no_more(self.connected(self.nodes[0]), 1)

    def test_clean_start_elsewhere_discards(self):
        topic, client_id = unique(), unique("c")
        self.connected(self.nodes[0], client_id, LONG).subscribe(topic, 1)
        second = self.connected(self.nodes[1], client_id, LONG)
        self.assertFalse(second.connack.session_present)
        pub = self.connected(self.nodes[2])
        pub.publish(topic, b"x", 1, expect=[0, 0x10])
        second.expect_no_more(pub, 1)
        self.assertEqual([self.nodes.sessions(i, client_id) for i in range(3)], [0, 1, 0])

    def hop(self, qos, hops):
        """A subscriber goes from node to node while a publisher on node 1 goes on."""
        topic, client_id, numbers = unique(), unique("c"), Numbers()
        client = self.connected(self.nodes[0], client_id, LONG)
        client.subscribe(topic, qos)
        stream = Stream(self.connected(self.nodes[0]), topic, qos, pace=0.001)
        self.addCleanup(stream.ends.set)
        for n in range(1, hops + 1):
            until(lambda: numbers.take(client, 0.1) or len(numbers.got) >= n * 100, WAIT, lambda: len(numbers.got))
            if n % 2:
                client.close()      # else the old connection is still there when the new one comes
            old, client = client, self.resumed(self.nodes[n % 3], client_id)
            if not n % 2:
                old.poll(0)
        numbers.await_all(client, stream.end().promised)
        self.assertEqual(stream.refused, {})
        return numbers, stream

    def test_takeover_during_traffic_qos_1(self):
        numbers, _ = self.hop(1, 9)
        self.assertEqual(numbers.firsts(), sorted(numbers.firsts()))

    def test_takeover_during_traffic_qos_2(self):
        numbers, stream = self.hop(2, 9)
        self.assertEqual(numbers.got, list(range(stream.sent)))

    def test_two_connects_at_once(self):
        """On two nodes with one id: one stays, the other one is told."""
        for n in range(40):
            client_id, clients, errors = unique("c"), [], []

            def connect(node):
                client = node.client()
                try:
                    client.connect(client_id)
                    clients.append(client)
                except (Closed, AssertionError) as error:
                    errors.append(error)
            threads = [threading.Thread(target=connect, args=(self.nodes[(n + k) % 3],)) for k in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(WAIT)
            until(lambda: [self.nodes.sessions(i, client_id) for i in range(3)].count(1) == 1, WAIT,
                  lambda: [self.nodes.sessions(i, client_id) for i in range(3)])
            until(lambda: [c for c in clients if not alive(c)] or len(clients) < 2, WAIT, "both are connected")
            self.assertEqual(len([c for c in clients if alive(c)]), 1, errors)
            for client in clients:
                client.close()


def alive(client):
    """Whether the server still has this connection open."""
    client.poll(0.01)
    return not client.eof


class Faults(ClusterCase):
    def offline(self, node, topic, qos=1):
        client_id = unique("c")
        client = self.connected(node, client_id, LONG)
        client.subscribe(topic, qos)
        client.disconnect()
        return client_id

    def test_a_killed_node_loses_nothing_that_was_promised(self):
        """Killed under a stream to its offline session and to a connected one, back before the others give it up."""
        nodes, topic = self.cluster(3), unique()
        client_id = self.offline(nodes[2], topic)
        watch, numbers = self.connected(nodes[1]), Numbers()
        watch.subscribe(topic, 1)
        stream = Stream(self.connected(nodes[0]), topic, 1, pace=0.002)
        self.addCleanup(stream.ends.set)
        for _ in range(2):
            count = len(stream.promised)
            until(lambda: numbers.take(watch, 0.1) or len(stream.promised) >= count + 50, WAIT, "it does not flow")
            nodes[2].kill()
            nodes.start([2])
        stream.end()
        numbers.await_all(watch, stream.promised)
        back, stored = self.connected(nodes[2], client_id, LONG, clean=False), Numbers()
        self.assertTrue(back.connack.session_present)
        stored.await_all(back, stream.promised)
        self.assertEqual(stored.firsts(), sorted(stored.firsts()))

    def test_qos_2_over_kills_of_both_nodes(self):
        """Exactly once: the publisher is persistent and sends again what has no answer."""
        nodes, topic = self.cluster(3), unique()
        client_id, pub_id = self.offline(nodes[2], topic, 2), unique("p")
        sent, pub = 0, self.connected(nodes[0], pub_id, LONG)
        for round_ in range(4):
            victim = nodes[2 if round_ % 2 else 0]
            for _ in range(20):
                pub.send(publish(topic, b"%d" % sent, 2, 1 + sent))
                sent += 1
            pub.poll(0.02)
            victim.kill()
            nodes.start([nodes.nodes.index(victim)])
            pub.close()
            pub = self.connected(nodes[0], pub_id, LONG, clean=False)
            self.assertTrue(pub.connack.session_present)
            for n in range(sent - 20, sent):
                pub.send(publish(topic, b"%d" % n, 2, 1 + n, dup=True)).take(
                    lambda p, n=n: p.type == PUBREC and p.pid == 1 + n, WAIT)
            for n in range(sent - 20, sent):
                pub.send(wire.ack(PUBREL, 1 + n)).take(lambda p, n=n: p.type == wire.PUBCOMP and p.pid == 1 + n, WAIT)
        back, numbers = self.connected(nodes[2], client_id, LONG, clean=False), Numbers()
        numbers.await_all(back, set(range(sent)))
        back.barrier()
        self.assertEqual(sorted(numbers.got), list(range(sent)))

    def test_a_node_that_stalls(self):
        """Stopped for two seconds under a stream, then it goes on: nobody thought it dead, nothing is lost, and others'
        subscribers did not wait for it longer than for its answers."""
        nodes, topic = self.cluster(3), unique()
        client_id = self.offline(nodes[2], topic)
        stream = Stream(self.connected(nodes[0]), topic, 1, pace=0.01)
        self.addCleanup(stream.ends.set)
        until(lambda: len(stream.promised) >= 20, WAIT, "it does not flow")
        nodes[2].process.send_signal(signal.SIGSTOP)
        try:
            until(lambda: nodes.links(0)[nodes.name(2)]["link"] == "down", WAIT, nodes.told)
            other, live = unique(), self.connected(nodes[1])
            live.subscribe(other, 1)
            pub = self.connected(nodes[0])
            for n in range(20):
                pub.publish(other, b"%d" % n, 1)
                self.assertEqual(live.recv_publish(other).payload, b"%d" % n)
        finally:
            nodes[2].process.send_signal(signal.SIGCONT)
        nodes.await_linked()
        count = len(stream.promised)
        until(lambda: len(stream.promised) >= count + 20, WAIT, "it does not flow again")
        stream.end()
        self.assertNotIn("member down", nodes[0].log())
        back, numbers = self.connected(nodes[2], client_id, LONG, clean=False), Numbers()
        numbers.await_all(back, stream.promised)

    def test_a_dead_node_holds_nobody_up(self):
        """Publishers get their answers when it is declared dead; its clients are served elsewhere; when it is back, its
        session is merged with the one that its client has now."""
        nodes, topic = self.cluster(3), unique()
        client_id = self.offline(nodes[2], topic + "/old")
        self.connected(nodes[1]).publish(topic + "/old", b"stored", 1)
        nodes[2].kill()
        until(lambda: all(nodes.links(i)[nodes.name(2)]["state"] == "dead" for i in (0, 1)), 2 * WAIT, nodes.told)
        client = self.connected(nodes[0], client_id, LONG, clean=False)
        self.assertFalse(client.connack.session_present)
        client.subscribe(topic + "/new", 1)
        pub = self.connected(nodes[1])
        publish_until_promised(pub, topic + "/new", b"live")
        self.assertEqual(client.recv_publish().payload, b"live")
        nodes.start([2])
        self.assertEqual(client.recv_publish(topic + "/old", timeout=WAIT).payload, b"stored")
        until(lambda: [nodes.sessions(i, client_id) for i in range(3)] == [1, 0, 0], WAIT,
              lambda: [nodes.sessions(i, client_id) for i in range(3)])
        publish_until_promised(pub, topic + "/old", b"both")
        self.assertEqual(client.recv_publish().payload, b"both")


if __name__ == "__main__":
    unittest.main()
