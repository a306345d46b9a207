# SPDX-License-Identifier: Apache-2.0
"""Mosquitto at the edge, with a bridge to Covey: how small gateways usually reach a larger broker."""
import os
import shutil
import subprocess
import tempfile
import unittest

import wire
from harness import Case, Port, Raw, accepts, die_with_parent, until

WAIT = 20
STATE = "$SYS/broker/connection/edge/state"


class Edge:
    """A Mosquitto with one bridge. lines: of its `connection` section."""

    def __init__(self, port, *lines):
        self.lock = Port()
        self.port = self.lock.number
        self.dir = tempfile.mkdtemp(prefix="covey-e2e-")
        conf = os.path.join(self.dir, "mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write("\n".join(["user root", "allow_anonymous true", f"listener {self.port} 127.0.0.1", "connection uplink",
                                  f"address 127.0.0.1:{port}", "remote_clientid edge", "restart_timeout 1", "max_queued_messages 0",
                                  *lines, ""]))
        self.log_path = os.path.join(self.dir, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(["mosquitto", "-c", conf, "-v"], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            preexec_fn=die_with_parent)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self):
        self.process.kill()
        self.process.wait(WAIT)
        self.lock.free()
        shutil.rmtree(self.dir, ignore_errors=True)


@unittest.skipUnless(shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin"), "there is no mosquitto")
class Bridge(Case):
    VERSIONS = ("mqttv31", "mqttv311", "mqttv50")

    def edge(self, node, version, *lines):
        edge = Edge(node.port, f"bridge_protocol_version {version}", *lines)
        self.addCleanup(edge.end)
        until(lambda: accepts(edge.port), WAIT, edge.log)
        return edge

    def await_state(self, watcher, state):
        while True:
            got = watcher.recv_publish()
            if got.topic == STATE and got.payload == state:
                return

    def client_of(self, port, client_id):
        client = Raw(port=port, version=wire.V311)
        self.addCleanup(client.close)
        client.connect(client_id)
        return client

    def test_both_ways_without_echoes(self):
        """`topic # both`: every message once on each side, in every version, and the state of the bridge."""
        for version in self.VERSIONS:
            with self.subTest(version):
                node = self.node()
                watcher, here = self.connected(node), self.connected(node)
                watcher.subscribe(STATE, qos=1)
                here.subscribe("m/#", qos=1)
                edge = self.edge(node, version, "topic # both 1")
                self.await_state(watcher, b"1")
                there = self.client_of(edge.port, "there")
                there.subscribe("m/#", qos=1)
                for i in range(10):
                    there.publish(f"m/edge/{i}", b"x", qos=1)
                    here.publish(f"m/core/{i}", b"x", qos=1)
                there.publish("m/end", b"x", qos=1)
                want = sorted([f"m/edge/{i}" for i in range(10)] + [f"m/core/{i}" for i in range(10)] + ["m/end"])
                # What came over to Covey last is behind every echo of what went over before.
                for client in (here, there):
                    got = sorted(client.recv_publish().topic for _ in want)
                    self.assertEqual(got, want)
                here.publish("m/last", b"x", qos=1)
                for client in (here, there):
                    self.assertEqual(client.recv_publish().topic, "m/last")
                edge.process.kill()
                self.await_state(watcher, b"0")     # its will

    def test_a_dead_link_loses_nothing(self):
        """cleansession false, QoS 1 both ways: kill -9 of the broker, and what both sides sent meanwhile arrives."""
        node = self.node()
        edge = self.edge(node, "mqttv311", "topic up/# out 1", "topic down/# in 1", "cleansession false")
        there = self.client_of(edge.port, "there")
        there.subscribe("down/#", qos=1)
        here = self.connected(node, "here", [(0x11, 3600)])
        here.subscribe("up/#", qos=1)
        there.publish("up/0", b"x", qos=1)
        self.assertEqual(here.recv_publish().topic, "up/0")
        here.close()
        node.kill()
        for i in range(1, 20):
            there.publish(f"up/{i}", b"x", qos=1)
        node.start()
        here = self.connected(node, "here", [(0x11, 3600)], clean=False)
        missing = {f"up/{i}" for i in range(1, 20)}
        while missing:      # QoS 1: up/0 may come again
            missing.discard(here.recv_publish(timeout=WAIT).topic)
        edge.process.kill()
        until(lambda: "connected=false" in node.cli("ctl", "clients", "show", "edge").stdout, WAIT, "the edge away")
        for i in range(5):
            here.publish(f"down/{i}", b"x", qos=1)
        node.stop()
        edge = self.edge(node, "mqttv311", "topic up/# out 1", "topic down/# in 1", "cleansession false")
        there = self.client_of(edge.port, "there")
        there.subscribe("down/#", qos=1)
        node.start()
        self.assertEqual([there.recv_publish(timeout=WAIT).topic for _ in range(5)], [f"down/{i}" for i in range(5)])

    def test_a_prefix_and_retained_messages(self):
        """Remapped topics; RETAIN survives the way, as try_private asks for."""
        node = self.node()
        edge = self.edge(node, "mqttv311", "topic # both 1 local/ plant/7/")
        until(lambda: "connected=true" in node.cli("ctl", "clients", "show", "edge").stdout, WAIT, edge.log)
        there, here = self.client_of(edge.port, "there"), self.connected(node)
        here.subscribe("plant/#", qos=1)
        there.publish("local/speed", b"3", qos=1, retain=True)
        self.assertEqual(here.recv_publish().topic, "plant/7/speed")
        late = self.connected(node)
        late.subscribe("plant/#", qos=1)
        got = late.recv_publish()
        self.assertEqual((got.topic, got.payload, got.retain), ("plant/7/speed", b"3", True))
        here.publish("plant/7/limit", b"9", qos=1, retain=True)
        late_there = self.client_of(edge.port, "late")

        def has_come():
            late_there.subscribe("local/limit", qos=1)
            return [p for p in late_there.barrier() if p.retain]
        self.assertEqual(until(has_come, WAIT, edge.log)[0].payload, b"9")


if __name__ == "__main__":
    unittest.main()
