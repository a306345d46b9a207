# SPDX-License-Identifier: Apache-2.0
"""A node that has more to do than it can: what it gives up first, and that it comes back."""
import os
import signal
import time
import unittest

from harness import Case, until
from mqttlib import unique
from test_bans import metric, stat
from wire import *  # noqa: F403

WAIT = 30
ON = {"overload_protection.enable": True, "overload_protection.max_lag": "1h", "overload_protection.critical_lag": "1h"}
BUSY = 0x89


def resident(node):
    with open(f"/proc/{node.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Overload(Case):
    def setUp(self):
        self.needs_covey()

    def refused(self, node):
        """Is somebody new refused, with the code for it?"""
        with node.client() as client:
            return client.connect(unique("c"), expect=None).reason == BUSY

    def test_a_late_loop_refuses_new_clients_and_recovers(self):
        node = self.node({**ON, "overload_protection.max_lag": "200ms", "overload_protection.cooldown": "3s"})
        sub, topic = self.connected(node), unique()
        sub.subscribe(topic)
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        node.process.send_signal(signal.SIGCONT)
        until(lambda: self.refused(node), WAIT, "nobody is refused")
        sub.publish(topic, b"x")
        sub.recv_publish(topic, timeout=WAIT)
        until(lambda: not self.refused(node), WAIT, "it does not recover")
        self.assertGreaterEqual(metric(node, "overload_protection.raised"), 1)
        self.assertGreaterEqual(metric(node, "client.refused.server_busy"), 1)
        self.assertIn("worker load worker=", node.log())

    def test_memory_refuses_then_sheds(self):
        node = self.node(ON)
        start = resident(node)
        node.stop()
        node.configure({**ON, "overload_protection.max_memory": start + (48 << 20), "mqtt.max_mqueue_len": 0,
                        "overload_protection.critical_memory": start + (96 << 20), "mqtt.max_mqueue_bytes": 0,
                        "mqtt.mqueue_store_qos0": True})
        node.start()
        sub, pub, client_id = self.connected(node), self.connected(node), unique("c")
        with node.client() as away:
            away.connect(client_id, [(SESSION_EXPIRY, 3600)])
            away.subscribe("fill")
            away.disconnect()
        sub.subscribe("t", 1)
        self.assertFalse(self.refused(node))

        def fill(level):
            pub.publish("fill", b"x" * 500000)
            time.sleep(0.01)
            return stat(node, "overload_protection.level") >= level
        until(lambda: fill(1), WAIT, lambda: node.cli("ctl", "olp", "status").stdout)
        if stat(node, "overload_protection.level") == 1:
            until(lambda: self.refused(node), WAIT, "nobody is refused")
            pub.publish("t", b"still")
            sub.recv_publish("t", timeout=WAIT)
        until(lambda: fill(2), WAIT, lambda: node.cli("ctl", "olp", "status").stdout)
        until(lambda: node.cli("ctl", "olp").stdout.count("level=critical") == 2, WAIT, "both workers")
        pub.publish("t", b"shed")
        pub.publish("t", b"kept", 1)
        self.assertEqual(sub.recv_publish("t", timeout=WAIT).payload, b"kept")
        self.assertGreaterEqual(metric(node, "messages.dropped.overload"), 1)
        with node.client() as client:
            client.expect_closed(timeout=WAIT)
        self.assertIn("overload=", node.cli("ctl", "listeners").stdout)

    def test_off_by_default(self):
        node = self.node()
        self.assertEqual(node.cli("ctl", "olp", "status").stdout, "Overload protection is disabled\n")


if __name__ == "__main__":
    unittest.main()
