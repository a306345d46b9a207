# SPDX-License-Identifier: Apache-2.0
"""Nodes that speak the protocol of the version before, and nodes that speak today's, in one cluster of real processes."""
import functools
import os
import subprocess
import unittest

from cluster import ClusterCase
from harness import Node, Port, program, until
from mqttlib import PUBLISH, V311, unique
from streams import WAIT, Numbers, Stream
from wire import *  # noqa: F403

LONG = [(SESSION_EXPIRY, 3600)]
VERSION = 2     # today's


@functools.lru_cache(None)
def speaking(version):
    """This program with another protocol between nodes."""
    folder = os.path.dirname(program())
    if not os.path.exists(os.path.join(folder, "CMakeCache.txt")):
        raise unittest.SkipTest(f"not in a build folder: {program()}")
    done = subprocess.run(["cmake", "--build", folder, "--target", f"covey-rpc{version}"], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return os.path.join(folder, f"covey-rpc{version}")


class Upgrade(ClusterCase):
    def mixed(self, *versions):
        nodes = self.cluster(len(versions), start=False)
        for node, version in zip(nodes, versions):
            node.program = None if version == VERSION else speaking(version)
        return nodes.start()

    def flows(self, nodes):
        """From each to each, with each QoS."""
        for sub in range(3):
            topic = unique()
            client = self.connected(nodes[sub])
            client.subscribe(topic, 2)
            for pub in range(3):
                for qos in (0, 1, 2):
                    self.connected(nodes[pub]).publish(topic, b"%d %d" % (pub, qos), qos)
                    self.assertEqual(client.recv_publish(topic).payload, b"%d %d" % (pub, qos))

    def test_old_and_new_are_one_broker(self):
        nodes = self.mixed(1, VERSION, VERSION)
        self.assertEqual([nodes.links(1)[nodes.name(i)]["version"] for i in (0, 2)], [1, VERSION])
        self.assertEqual([nodes.links(0)[nodes.name(i)]["version"] for i in (1, 2)], [1, 1])
        self.flows(nodes)

    def test_sessions_move_between_them(self):
        nodes, client_id, topic = self.mixed(1, VERSION, VERSION), unique("c"), unique()
        self.connected(nodes[0], client_id, LONG).subscribe(topic, 2)
        pub = self.connected(nodes[2])
        for n, i in enumerate((1, 0, 2, 0)):
            client = self.connected(nodes[i], client_id, LONG, clean=False)
            self.assertTrue(client.connack.session_present)
            client.close()
            pub.publish(topic, b"%d" % n, 2)
            client = self.connected(nodes[i], client_id, LONG, clean=False)
            self.assertEqual(client.recv_publish(topic).payload, b"%d" % n)

    def test_retained_messages(self):
        """Also those that a node missed, which only newer ones compare by digests."""
        nodes, topic = self.mixed(1, VERSION, VERSION), unique()
        for i in range(3):
            self.connected(nodes[i]).publish(f"{topic}/{i}", b"kept", 1, retain=True)
        for away in (0, 2):
            nodes[away].stop()
            self.connected(nodes[1]).publish(f"{topic}/late{away}", b"kept", 1, retain=True)
            nodes.start([away])
        wanted = {"0", "1", "2", "late0", "late2"}
        for node in nodes:
            until(lambda n=node: self.names(n, topic) == wanted, WAIT, lambda n=node: self.names(n, topic))

    def names(self, node, topic):
        with node.client() as client:
            client.connect()
            client.subscribe(f"{topic}/#", 0)
            return {p.topic.rpartition("/")[2] for p in client.barrier() if p.type == PUBLISH}

    def test_drain_of_an_old_node(self):
        """It cannot hand over sessions whose clients are away; they stay, and it says that they are left."""
        nodes = self.mixed(1, VERSION, VERSION)
        away = self.connected(nodes[0], unique("c"), LONG)
        away.disconnect()
        live = self.connected(nodes[0], version=V311)
        self.assertEqual(nodes[0].cli("ctl", "cluster", "drain", "--rate", "100").returncode, 0)
        live.expect_closed(WAIT)
        until(lambda: nodes.status(0)["drain_left"] == 1, WAIT, lambda: nodes.status(0))

    def test_one_node_after_the_other(self):
        """All three from the old version to the new one under traffic: nothing that was promised is lost, and the order
        stays. Clients of the node that is being replaced go to another one."""
        nodes, topic, client_id, numbers = self.mixed(1, 1, 1), unique(), unique("c"), Numbers()
        self.connected(nodes[1], client_id, LONG).subscribe(topic, 1)
        for i, node in enumerate(nodes):
            sub = self.connected(nodes[(i + 1) % 3], client_id, LONG, clean=False)
            self.assertTrue(sub.connack.session_present)
            stream = Stream(self.connected(nodes[(i + 2) % 3]), f"{topic}", 1, pace=0.002)
            self.addCleanup(stream.ends.set)
            until(lambda: numbers.take(sub, 0.05) or len(numbers.got) > 50, WAIT, "it does not flow")
            self.assertEqual(node.stop(), 0)
            node.program = None
            nodes.start([i])
            count = len(numbers.got)
            until(lambda: numbers.take(sub, 0.05) or len(numbers.got) > count + 50, WAIT, "it does not flow again")
            numbers.await_all(sub, stream.end().promised)
            self.assertEqual(numbers.firsts(), sorted(numbers.firsts()))
            self.assertEqual(stream.refused, {})
            numbers = Numbers()
        self.assertEqual({nodes.links(i)[nodes.name(k)]["version"] for i in range(3) for k in range(3) if i != k}, {VERSION})
        self.flows(nodes)

    def test_too_far_apart_is_refused(self):
        """Said and counted, by both, and nothing else notices."""
        nodes = self.cluster(2)
        port = Port()
        self.addCleanup(port.free)
        far = self.node({"node.name": "covey@far", "cluster.bind": f"127.0.0.1:{port.number}",
                         "cluster.static.seeds": ",".join(nodes.addresses)}, start=False)
        far.program = speaking(3)
        far.start()
        until(lambda: "no protocol version in common" in nodes[0].log(), WAIT, nodes[0].log)
        until(lambda: nodes.metric(0, "cluster.peers.refused") > 0, WAIT, "not counted")
        until(lambda: "no protocol version in common" in far.log(), WAIT, far.log)
        self.assertNotIn("covey@far", nodes.links(0))
        topic, sub = unique(), self.connected(nodes[0])
        sub.subscribe(topic, 1)
        self.connected(nodes[1]).publish(topic, b"x", 1)
        self.assertEqual(sub.recv_publish(topic).payload, b"x")
        self.connected(far)     # it serves alone


if __name__ == "__main__":
    unittest.main()
