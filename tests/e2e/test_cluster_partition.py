# SPDX-License-Identifier: Apache-2.0
"""A cluster whose network is cut, in network namespaces: for a moment, and until both sides think the other one dead."""
import time
import unittest

from cluster import Cluster, ClusterCase
from harness import until
from mqttlib import PUBLISH, unique
from netns import Bridge
from streams import WAIT, Numbers, Stream, publish_until_promised
from wire import *  # noqa: F403

LONG = [(SESSION_EXPIRY, 3600)]
SUBNET = "10.78.0"


def setUpModule():
    global bridge
    bridge = Bridge(SUBNET)


def tearDownModule():
    bridge.remove()


class Partition(ClusterCase):
    def partable(self):
        nodes = Cluster(3, {"cluster.probe_interval": "500ms"}, bridge=bridge)
        self.addCleanup(nodes.remove)
        self.addCleanup(self._show_logs, nodes)
        return nodes

    def part(self, nodes, i):
        """Node i alone, until both sides have declared the other dead."""
        nodes.cut(i)
        others = [k for k in range(3) if k != i]
        until(lambda: all(nodes.links(k)[nodes.name(i)]["state"] == "dead" for k in others) and
              all(nodes.links(i)[nodes.name(k)]["state"] == "dead" for k in others), 3 * WAIT, nodes.told)

    def heal(self, nodes, i):
        nodes.mend(i)
        nodes.await_linked(seconds=2 * WAIT)

    def retained(self, node, topic):
        client = self.connected(node)
        client.subscribe(topic, 1)
        found = {p.topic.rpartition("/")[2]: p.payload for p in client.barrier() if p.type == PUBLISH}
        client.close()
        return found

    def test_a_short_cut_loses_nothing(self):
        """Less than it takes to be declared dead: the link goes on where it was, for QoS 1 and 2 and their order."""
        nodes = self.partable()
        for qos in (1, 2):
            topic, numbers = unique(), Numbers()
            sub = self.connected(nodes[2])
            sub.subscribe(topic, qos)
            pub = self.connected(nodes[0], unique("p"), LONG)
            stream = Stream(pub, topic, qos, pace=0.01)      # what waits fits into the queue
            self.addCleanup(stream.ends.set)
            until(lambda: numbers.take(sub, 0.05) or len(numbers.got) > 50, WAIT, "it does not flow")
            nodes.cut(2)
            until(lambda: nodes.links(0)[nodes.name(2)]["link"] == "down", WAIT, nodes.told)
            nodes.mend(2)
            nodes.await_linked()
            count = len(numbers.got)
            until(lambda: numbers.take(sub, 0.05) or len(numbers.got) > count + 50, WAIT, "it does not flow again")
            numbers.await_all(sub, stream.end().promised)
            self.assertEqual(numbers.got, sorted(set(numbers.got)))
        self.assertNotIn("member down", nodes[0].log())

    def test_both_sides_go_on_and_heal(self):
        nodes, topic, client_id = self.partable(), unique(), unique("c")
        pubs = [self.connected(node) for node in nodes]
        for name in ("a", "b", "c", "d"):
            pubs[0].publish(f"{topic}/r/{name}", b"before", 1, retain=True)
        client = self.connected(nodes[2], client_id, LONG)
        client.subscribe(f"{topic}/from2", 1)
        client.disconnect()
        publish_until_promised(pubs[0], f"{topic}/from2", b"stored")
        until(lambda: self.retained(nodes[2], f"{topic}/r/#").get("d") == b"before", WAIT, "retained")
        self.part(nodes, 2)

        # Each side serves its own clients, and each side changes the retained messages.
        minority = self.connected(nodes[2], client_id, LONG, clean=False)
        self.assertTrue(minority.connack.session_present)
        self.assertEqual(minority.recv_publish().payload, b"stored")
        majority = self.connected(nodes[0], client_id, LONG, clean=False)
        self.assertFalse(majority.connack.session_present)
        majority.subscribe(f"{topic}/from0", 1)
        for i, sub, name in ((0, majority, "from0"), (2, minority, "from2")):
            publish_until_promised(pubs[i], f"{topic}/{name}", b"apart")
            self.assertEqual(sub.recv_publish().payload, b"apart")
        for i, name, payload in ((0, "a", b"side 0"), (2, "a", b"side 2"), (2, "b", b"side 2"), (0, "b", b""),
                                 (0, "c", b""), (2, "d", b"side 2")):
            pubs[i].publish(f"{topic}/r/{name}", payload, 1, retain=True, expect=range(256))
            time.sleep(0.01)    # which one is newer is told by the clock, in milliseconds
        self.heal(nodes, 2)

        # One of the two connections is ended; the session has the subscriptions of both.
        until(lambda: majority.poll(0.05) or minority.poll(0.05) or majority.eof or minority.eof, WAIT, "two connections")
        until(lambda: sum(nodes.sessions(i, client_id) for i in range(3)) == 1, WAIT, nodes.told)
        self.assertFalse(majority.eof and minority.eof)
        stays = minority if majority.eof else majority
        for i, name in ((0, "from2"), (1, "from0"), (2, "from2")):
            publish_until_promised(pubs[i], f"{topic}/{name}", b"%d" % i)
            self.assertEqual(stays.recv_publish(timeout=WAIT).payload, b"%d" % i)
        for node in nodes:
            until(lambda n=node: self.retained(n, f"{topic}/r/#") == {"a": b"side 2", "d": b"side 2"}, WAIT,
                  lambda n=node: self.retained(n, f"{topic}/r/#"))

        # And it is said.
        for i in (0, 2):
            status = nodes.status(i)
            self.assertGreaterEqual(status["partitions"], 1)
            self.assertIn("came back after", status["last_partition"])
            self.assertGreaterEqual(nodes.metric(i, "cluster.partitions"), 1)
            self.assertIn("cluster partition healed", nodes[i].log())
        self.assertGreaterEqual(sum(nodes.status(i)["sessions_merged"] for i in range(3)), 1)


if __name__ == "__main__":
    unittest.main()
