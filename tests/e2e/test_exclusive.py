# SPDX-License-Identifier: Apache-2.0
"""$exclusive/FILTER: one client of all nodes at a time."""
import threading
import unittest

from cluster import ClusterCase
from harness import Case, until
from mqttlib import unique
from netns import Bridge
from test_bans import metric
from wire import *  # noqa: F403

WAIT = 30
ON = {"mqtt.exclusive_subscription": True}
LONG = [(SESSION_EXPIRY, 3600)]
TAKEN, LATE = 0x97, 0x83


def asked(client, topic):
    """The code of one exclusive subscription."""
    client.next_pid += 1
    client.send(subscribe(client.next_pid, [(f"$exclusive/{topic}", 1)], version=client.version))
    return client.wait(SUBACK, timeout=WAIT).reasons[0]


def gets(client, topic):
    """Where other nodes have to be asked they may be too late to answer, and the client tries again."""
    until(lambda: asked(client, topic) == 1, WAIT, "it does not get it")


class OneNode(Case):
    def setUp(self):
        self.needs_covey()

    def test_who_comes_second_is_refused(self):
        node, topic = self.node(ON), unique()
        clients = [self.connected(node) for _ in range(8)]      # on both workers
        codes = [asked(client, topic) for client in clients]
        self.assertEqual(codes, [1] + [TAKEN] * 7)
        old = self.connected(node, version=V311)
        self.assertEqual(asked(old, topic), 0x80)
        old.subscribe(topic, 1)                                  # everybody may subscribe to it as usual
        clients[1].publish(topic, b"x", 1)
        self.assertEqual([c.recv_publish(topic).payload for c in (clients[0], old)], [b"x", b"x"])
        self.assertEqual(node.cli("ctl", "exclusive", "list").stdout, f"{topic} -> {clients[0].id}\n")
        self.assertIn(f" -> topic:$exclusive/{topic} qos:1", node.cli("ctl", "subscriptions", "list").stdout)
        self.assertEqual(metric(node, "subscribe.refused.exclusive"), 8)
        clients[0].unsubscribe(f"$exclusive/{topic}")
        self.assertEqual(asked(clients[5], topic), 1)

    def test_many_at_once_on_two_workers(self):
        node = self.node(ON)
        clients = [self.connected(node) for _ in range(10)]
        for _ in range(20):
            topic = unique()
            for client in clients:
                client.next_pid += 1
                client.send(subscribe(client.next_pid, [(f"$exclusive/{topic}", 1)]))
            codes = [client.wait(SUBACK, timeout=WAIT).reasons[0] for client in clients]
            self.assertLessEqual(codes.count(1), 1, codes)

    def test_retained_and_no_local(self):
        node, topic = self.node(ON), unique()
        client = self.connected(node)
        client.publish(topic, b"old", 1, retain=True)
        client.subscribe(f"$exclusive/{topic}", 1, no_local=True)
        self.assertEqual(client.recv_publish(topic).payload, b"old")
        client.publish(topic, b"own", 1)
        self.connected(node).publish(topic, b"new", 1)
        self.assertEqual(client.recv_publish(topic).payload, b"new")

    def test_off_unless_configured(self):
        self.assertEqual(asked(self.connected(self.node()), "t"), 0x8F)


class ThreeNodes(ClusterCase):
    def setUp(self):
        self.needs_covey()

    def test_one_in_the_cluster(self):
        nodes, topic = self.cluster(3, ON), unique()
        first = self.connected(nodes[0])
        gets(first, topic)
        others = [self.connected(node) for node in nodes]
        self.assertEqual([asked(client, topic) for client in others], [TAKEN] * 3)
        others[2].publish(topic, b"x", 2)
        self.assertEqual(first.recv_publish(topic, timeout=WAIT).payload, b"x")
        first.disconnect()
        gets(others[1], topic)
        self.assertEqual(asked(others[2], topic), TAKEN)

    def test_from_all_nodes_at_once(self):
        """Never two, and one of them, unless the nodes do not answer each other in time."""
        nodes = self.cluster(3, ON)
        clients = [self.connected(node) for node in nodes for _ in range(2)]
        rounds_lost = 0
        for _ in range(15):
            topic, codes, start = unique(), [None] * len(clients), threading.Barrier(len(clients))

            def ask(i):
                start.wait(WAIT)
                codes[i] = asked(clients[i], topic)
            threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(clients))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(WAIT)
            self.assertLessEqual(codes.count(1), 1, codes)
            self.assertLessEqual(set(codes), {1, TAKEN, LATE})
            if 1 not in codes:
                rounds_lost += 1
                gets(clients[0], topic)
        self.assertLessEqual(rounds_lost, 3)

    def test_a_client_that_changes_the_node(self):
        """With a session that moves it keeps it; with one that begins anew it gets it when the nodes have heard that the
        old one is over."""
        nodes, topic, client_id = self.cluster(3, ON), unique(), unique("c")
        for i in range(12):
            client = self.connected(nodes[i % 3], client_id, LONG if i % 2 else (), clean=i % 4 < 2)
            gets(client, topic)
            other = self.connected(nodes[(i + 1) % 3])
            self.assertEqual(asked(other, topic), TAKEN, i)
            other.close()

    def test_a_dead_node_gives_it_up(self):
        nodes, topic = self.cluster(3, ON), unique()
        gets(self.connected(nodes[0]), topic)
        nodes[0].kill()
        client = self.connected(nodes[1])
        gets(client, topic)

    def test_both_sides_of_a_partition(self):
        """Each side has it; when they meet again, one of them keeps it."""
        bridge = Bridge("10.79.4")
        self.addCleanup(bridge.remove)
        nodes, topic = self.cluster(2, ON, bridge=bridge), unique()
        nodes.cut(1)
        until(lambda: all(nodes.links(i)[nodes.name(1 - i)]["state"] == "dead" for i in range(2)), 60, nodes.told)
        for node in nodes:
            gets(self.connected(node), topic)
        nodes.mend(1)
        nodes.await_linked(seconds=60)

        def holders():
            return [node.cli("ctl", "exclusive", "list").stdout.count(topic) for node in nodes]
        until(lambda: sum(holders()) == 1, 60, lambda: f"{holders()}")
        self.assertEqual(sum(metric(node, "subscribe.exclusive_given_up") for node in nodes), 1)


if __name__ == "__main__":
    unittest.main()
