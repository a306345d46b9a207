# SPDX-License-Identifier: Apache-2.0
"""What comes to the cluster port of real processes from those who do not belong there, and from a peer that stops: refused
and counted, and clients notice nothing. What a peer with the secret can do wrong is in tests/io/cluster and the fuzz targets."""
import contextlib
import os
import random
import signal
import socket
import struct
import threading
import unittest

from cluster import Cluster, ClusterCase, secret
from harness import Port, until
from mqttlib import unique
from streams import WAIT
from wire import *  # noqa: F403

RSS_GROWTH_MAX = 32 << 20


def rss(node):
    with open(f"/proc/{node.process.pid}/smaps_rollup", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Rss:"))


class BadPeers(ClusterCase):
    @classmethod
    def setUpClass(cls):
        cls.nodes = Cluster(3, {"cluster.secret_file": secret()})
        cls.addClassCleanup(cls.nodes.remove)

    def setUp(self):
        self.target = self.nodes[0]
        host, _, port = self.nodes.addresses[0].rpartition(":")
        self.address = (host, int(port))

    def tcp(self, data=b""):
        sock = socket.create_connection(self.address, 10)
        self.addCleanup(sock.close)
        with contextlib.suppress(OSError):
            sock.sendall(data)
        return sock

    def assert_ended(self, sock, seconds=15):
        sock.settimeout(seconds)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass

    def faults(self):
        lines = self.target.cli("ctl", "cluster", "metrics").stdout.splitlines()
        found = [line.split(":") for line in lines if line.startswith("cluster.io.faults.")]
        return {name.strip().rpartition(".")[2]: int(value) for name, value in found}

    @contextlib.contextmanager
    def unnoticed(self, *counters):
        """Clients of all nodes talk on meanwhile, links stay up, memory stays, and the counters have grown after it."""
        before, memory, log = self.faults(), rss(self.target), len(self.target.log())
        ends, wrong = threading.Event(), []
        topic = unique()
        sub, pub = self.connected(self.nodes[0]), self.connected(self.nodes[1])
        sub.subscribe(topic, 1)

        def talk():
            number = 0
            try:
                while not ends.is_set():
                    number += 1
                    pub.publish(topic, b"%d" % number, 1)
                    if int(sub.recv_publish(topic).payload) != number:
                        raise AssertionError("out of order")
            except BaseException as error:
                wrong.append(error)
        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield
            for name in counters:
                until(lambda n=name: self.faults()[n] > before[n], WAIT, lambda n=name: (n, before, self.faults()))
        finally:
            ends.set()
            thread.join(60)
        self.assertEqual(wrong, [])
        self.assertTrue(self.target.is_alive())
        self.assertTrue(self.nodes.is_linked(0), self.nodes.told())
        self.assertNotIn("link down", self.target.log()[log:])
        self.assertLess(rss(self.target) - memory, RSS_GROWTH_MAX)

    def test_row_30_noise_on_the_port(self):
        noise = random.Random(1)
        with self.unnoticed("handshake_malformed"):
            for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00" + bytes(512), noise.randbytes(100000),
                         b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00", bytes(1000)):
                self.assert_ended(self.tcp(data))

    def test_row_30_two_gigabytes_announced(self):
        with self.unnoticed():
            for _ in range(20):
                self.assert_ended(self.tcp(struct.pack(">I", 0x7fffffff) + bytes(1000)))

    def test_row_30_half_open_connections(self):
        """More than may wait at once; the good ones get on, and the others are ended in time."""
        with self.unnoticed("half_open_source_max"):
            socks = [self.tcp() for _ in range(300)]
            for sock in socks:
                self.assert_ended(sock)

    def test_row_30_datagrams_of_strangers(self):
        noise = random.Random(2)
        with self.unnoticed("datagram_malformed", "datagram_key"), \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for n in range(20000):
                size = (0, 1, 23, 24, 40, 100, 1232, 1400)[n % 8]
                with contextlib.suppress(OSError):
                    sock.sendto(noise.randbytes(size), self.address)

    def stranger(self, nodes, settings):
        """A node that wants in."""
        port = Port()
        self.addCleanup(port.free)
        return self.node({"node.name": "covey@stranger", "cluster.bind": f"127.0.0.1:{port.number}",
                          "cluster.static.seeds": ",".join(nodes.addresses), **settings})

    def other_secret(self):
        path = os.path.join(self.nodes[0].dir, "other")
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write("quite another secret\n")
        return path

    def test_row_30_a_node_with_another_secret(self):
        with self.unnoticed("handshake_key"):
            far = self.stranger(self.nodes, {"cluster.secret_file": self.other_secret()})
            until(lambda: self.faults()["handshake_key"] > 0, WAIT, self.faults)
            self.assertNotIn("covey@stranger", self.nodes.links(0))
            self.connected(far)

    def test_row_30_a_node_without_a_secret(self):
        with self.unnoticed("handshake_key"):
            self.stranger(self.nodes, {})
            until(lambda: self.faults()["handshake_key"] > 0, WAIT, self.faults)
            self.assertNotIn("covey@stranger", self.nodes.links(0))

    def test_row_30_a_node_of_another_cluster(self):
        refused = self.nodes.metric(0, "cluster.peers.refused")
        with self.unnoticed():
            self.stranger(self.nodes, {"cluster.secret_file": secret(), "cluster.name": "elsewhere"})
            until(lambda: self.nodes.metric(0, "cluster.peers.refused") > refused, WAIT, "not counted")
            self.assertIn("it belongs to another cluster", self.target.log())
            self.assertNotIn("covey@stranger", self.nodes.links(0))


class Recorded(ClusterCase):
    def test_row_30_what_was_recorded_is_of_no_use(self):
        """A connection and datagrams between two nodes, played again to a third party's profit: through a relay that keeps
        all that it carries."""
        nodes = self.cluster(2, {"cluster.secret_file": secret()}, start=False)
        host, _, port = nodes.addresses[0].rpartition(":")
        kept, ends = [], threading.Event()
        relay = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(relay.close)

        def carry(source, sink, keep):
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    if keep:
                        kept.append(data)
                    sink.sendall(data)

        def run():
            with contextlib.suppress(OSError):
                while not ends.is_set():
                    client, _ = relay.accept()
                    server = socket.create_connection((host, int(port)), 10)
                    for pair in ((client, server, True), (server, client, False)):
                        threading.Thread(target=carry, args=pair, daemon=True).start()
        threading.Thread(target=run, daemon=True).start()
        nodes[1].configure({**nodes[1].settings,
                            "cluster.static.seeds": f"127.0.0.1:{relay.getsockname()[1]}"})
        nodes[0].configure({**nodes[0].settings, "cluster.static.seeds": nodes.addresses[0]})
        nodes.start([0])                # for the relay dials it
        nodes.start([1])
        until(lambda: kept, WAIT, "nothing went through the relay")
        recorded = b"".join(kept)
        nodes[1].kill()
        until(lambda: nodes.links(0)[nodes.name(1)]["link"] == "down", WAIT, nodes.told)
        for size in (len(recorded), 60, len(recorded) // 2):
            sock = socket.create_connection((host, int(port)), 10)
            with contextlib.suppress(OSError):
                sock.sendall(recorded[:size])
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(15)
                while sock.recv(65536):
                    pass
            sock.close()
        self.assertEqual(nodes.links(0)[nodes.name(1)]["link"], "down")
        ends.set()
        faults = nodes[0].cli("ctl", "cluster", "metrics").stdout
        counted = [int(line.split(":")[1]) for line in faults.splitlines() if line.startswith("cluster.io.faults.handshake")]
        self.assertGreater(sum(counted), 0, faults)
        self.connected(nodes[0])


class Stopped(ClusterCase):
    def test_row_30_a_peer_that_stops_reading(self):
        """Under a flood to its subscribers: memory stays within the ring, and others' subscribers wait for nothing."""
        nodes, topic = self.cluster(3, {"cluster.ring_size": "4MB"}), unique()
        far, near = self.connected(nodes[2]), self.connected(nodes[1])
        far.subscribe(topic + "/far", 0)
        near.subscribe(topic + "/near", 1)
        pub, other = self.connected(nodes[0]), self.connected(nodes[0])
        memory = rss(nodes[0])
        nodes[2].process.send_signal(signal.SIGSTOP)
        try:
            flood = b"".join(publish(topic + "/far", bytes(1000), 0) for _ in range(100))
            for n in range(400):        # 40 MB
                pub.send(flood)
                if n % 10 == 0:
                    other.publish(topic + "/near", b"%d" % n, 1)
                    self.assertEqual(near.recv_publish().payload, b"%d" % n)
            self.assertLess(rss(nodes[0]) - memory, RSS_GROWTH_MAX)
        finally:
            nodes[2].process.send_signal(signal.SIGCONT)
        nodes.await_linked()
        metrics = nodes[0].cli("ctl", "broker", "metrics").stdout
        self.assertGreater(sum(int(line.split(":")[1]) for line in metrics.splitlines() if "link_full" in line), 0, metrics)
        other.publish(topic + "/near", b"after", 1)
        self.assertEqual(near.recv_publish().payload, b"after")


if __name__ == "__main__":
    unittest.main()
