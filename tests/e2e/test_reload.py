# SPDX-License-Identifier: Apache-2.0
"""The configuration is read again: what changes at once, what is named as waiting for a restart, and what changes nothing."""
import os
import signal
import unittest

import wire
from harness import Case, until


class Reload(Case):
    def setUp(self):
        self.needs_covey()

    def reload(self, node, status=0):
        done = node.cli("ctl", "reload")
        self.assertEqual(done.returncode, status, done)
        return done.stdout + done.stderr

    def changed(self, node, settings):
        node.configure({**node.settings, **settings})
        return self.reload(node)

    def alarms(self, node):
        return node.cli("ctl", "alarms", "list").stdout

    def max_packet(self, node):
        client = node.client()
        self.addCleanup(client.close)
        client.connect()
        return client.connack.prop(wire.MAX_PACKET)

    def test_a_limit_changes_for_clients_that_come(self):
        node = self.node({"mqtt.max_packet_size": "100KB"})
        old = self.connected(node)
        self.assertEqual(self.max_packet(node), 100 << 10)
        said = self.changed(node, {"mqtt.max_packet_size": "200KB"})
        self.assertIn("changed mqtt.max_packet_size: 100KB -> 200KB", said)
        self.assertIn("0 need a restart", said)
        self.assertEqual(self.max_packet(node), 200 << 10)
        old.barrier()

    def test_limits_of_the_node_and_of_a_listener(self):
        node = self.node()
        self.changed(node, {"listeners.tcp.default.max_connections": 1, "retainer.max_payload_size": "1KB"})
        client = self.connected(node)
        second = node.client()
        self.addCleanup(second.close)
        with self.assertRaises((ConnectionError, AssertionError)):
            second.connect()
        client.publish("t", b"x" * 2000, qos=1, retain=True, expect=(0x97,))
        self.changed(node, {"listeners.tcp.default.max_connections": "infinity"})
        self.connected(node).barrier()

    def test_rewrite_and_auto_subscribe(self):
        node = self.node()
        self.changed(node, {"rewrite.rules": "publish old/# ^old/(.+)$ new/$1", "auto_subscribe.topics": "new/#"})
        client = self.connected(node)
        client.publish("old/x", b"hello")
        self.assertEqual(client.take(lambda p: p.type == wire.PUBLISH).topic, "new/x")

    def test_the_log_level(self):
        node = self.node()
        self.changed(node, {"log.level": "warning"})
        self.assertIn("warning", node.cli("ctl", "log", "level").stdout)

    def test_what_needs_a_restart_is_named_until_there_is_one(self):
        node = self.node()
        for _ in range(2):
            said = self.changed(node, {"node.workers": 1, "listeners.tcp.default.tcp_options.backlog": 7, "mqtt.max_inflight": 9})
            self.assertIn("restart node.workers: 2 -> 1", said)
            self.assertIn("restart listeners.tcp.default.tcp_options.backlog: 1024 -> 7", said)
            self.assertIn("2 need a restart", said)
        self.assertIn("0 changed, 2 need a restart", said)

    def test_a_listener_that_comes_waits_for_a_restart(self):
        node = self.node()
        said = self.changed(node, {"listeners.tcp.other.bind": "127.0.0.1:1"})
        self.assertIn("restart listeners.tcp.other.bind", said)

    def test_a_file_with_an_error_changes_nothing(self):
        node = self.node({"mqtt.max_packet_size": "100KB"})
        good = dict(node.settings)
        node.configure({**good, "mqtt.max_packet_size": "200KB", "mqtt.max_inflght": 3})
        said = self.reload(node, 1)
        self.assertIn("mqtt.max_inflght", said)
        self.assertRegex(said, r"covey.yaml:\d+")
        self.assertEqual(self.max_packet(node), 100 << 10)
        until(lambda: "configuration" in self.alarms(node), 20, "the alarm")
        self.assertIn("max_inflght", node.log())
        node.configure(good)
        self.reload(node)
        until(lambda: "configuration" not in self.alarms(node), 20, "the end of the alarm")

    def test_a_file_that_is_cut_or_gone(self):
        node = self.node({"mqtt.max_packet_size": "100KB"})
        with open(node.conf, encoding="utf-8") as file:
            text = file.read()
        with open(node.conf, "w", encoding="utf-8") as file:
            file.write(text[:-20] + '"')
        self.reload(node, 1)
        os.unlink(node.conf)
        done = node.cli("ctl", "reload")
        self.assertEqual(done.returncode, 1)
        self.assertIsNone(node.process.poll())

    def test_hangup_reloads_and_reopens_the_log(self):
        node = self.node({"mqtt.max_packet_size": "100KB"})
        node.configure({"mqtt.max_packet_size": "200KB"})
        node.process.send_signal(signal.SIGHUP)
        until(lambda: "config reloaded changed=1" in node.log(), 20, "a line in the log")
        self.assertEqual(self.max_packet(node), 200 << 10)
        for _ in range(20):
            node.process.send_signal(signal.SIGHUP)
        until(lambda: node.log().count("config reloaded") >= 2, 20, "another one")
        self.connected(node).barrier()

    def test_the_environment_stays_in_force(self):
        node = self.node({"mqtt.max_packet_size": "100KB"}, env={"COVEY_MQTT__MAX_PACKET_SIZE": "300KB"})
        said = self.changed(node, {"mqtt.max_packet_size": "200KB"})
        self.assertNotIn("max_packet_size:", said)
        self.assertEqual(self.max_packet(node), 300 << 10)

    def test_while_clients_are_busy(self):
        node = self.node({"mqtt.max_inflight": 10})
        sub, pub = self.connected(node), self.connected(node)
        sub.subscribe("t", qos=1)
        for n in range(20):
            pub.send(b"".join(wire.publish("t", bytes([n, k]), 1, 1 + k) for k in range(50)))
            self.changed(node, {"mqtt.max_inflight": 10 + n % 2, "overload_protection.enable": n % 2 == 0})
            for _ in range(50):
                pub.recv(wire.PUBACK)
        got = [sub.recv_publish().payload for _ in range(1000)]
        self.assertEqual(got, [bytes([n, k]) for n in range(20) for k in range(50)])


if __name__ == "__main__":
    unittest.main()
