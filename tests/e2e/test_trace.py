# SPDX-License-Identifier: Apache-2.0
"""Traces of a client, a topic and an address: what stands in the file, what never does, and how they end."""
import os
import re
import threading
import unittest

import wire
from harness import Case, until

WAIT = 20


class Trace(Case):
    def setUp(self):
        self.needs_covey()

    def traced(self, *words, settings=None, status=0):
        node = self.node(settings)
        self.start(node, *words)
        return node

    def start(self, node, *words, status=0):
        done = node.cli("ctl", "trace", "start", *words)
        self.assertEqual(done.returncode, status, done)
        return done.stdout.strip()

    def text(self, node, name="t"):
        with open(os.path.join(node.data, "trace", f"{name}.log"), encoding="utf-8") as file:
            return file.read()

    def stopped(self, node, name="t"):
        """The file of a trace that has ended: all that happened before is in it."""
        self.assertEqual(node.cli("ctl", "trace", "stop", name).stdout, "ok\n")
        return self.text(node, name)

    def has(self, text, *wanted):
        """Lines with these parts, in this order."""
        lines = iter(text.splitlines())
        for parts in wanted:
            found = next((line for line in lines if all(p in line for p in parts)), None)
            self.assertIsNotNone(found, f"{parts} in:\n{text}")

    def test_a_client(self):
        for version in (wire.V311, wire.V5):
            with self.subTest(version=version):
                node = self.traced("client", "c1", "--to", "t")
                other = self.connected(node, client_id="other")
                client = self.connected(node, client_id="c1", version=version, connect={"username": "anna", "password": b"hush-hush"})
                client.subscribe([("a/b", 1), ("a/+", 2)], expect=[1, 2])
                client.publish("a/b", b"confidential", qos=2)
                client.accept(client.recv_publish("a/b", ack=False))
                other.publish("elsewhere", b"x", qos=1)
                client.send(wire.pingreq())
                client.recv(wire.PINGRESP)
                client.disconnect()
                client.expect_closed()
                text = self.stopped(node)
                self.has(text, ["received CONNECT", 'client_id="c1"', 'username="anna"', "has_password=1"], ["sent CONNACK", "code=0x00"],
                         ["c1@127.0.0.1:", "received SUBSCRIBE", 'topic="a/b" qos=1 topic="a/+" qos=2'], ["sent SUBACK", "code=0x01 code=0x02"],
                         ["received PUBLISH", 'topic="a/b"', "qos=2", "bytes=12"], ["sent PUBLISH", 'topic="a/b"'], ["received PINGREQ"],
                         ["sent PINGRESP"], ["received DISCONNECT"], ["ended", "client"])
                for secret in ("hush", "confidential", "other@", "elsewhere"):
                    self.assertNotIn(secret, text)

    def test_one_that_is_there_already(self):
        node = self.node()
        client = self.connected(node, client_id="c1")
        self.start(node, "client", "c1", "--to", "t", "--payload", "text")
        self.start(node, "client", "c1", "--to", "h", "--payload", "hex")
        client.publish("x", b'say "hi"\n', qos=1)
        self.has(self.stopped(node), ["received PUBLISH", r'payload="say \x22hi\x22\x0a"'], ["sent PUBACK"])
        self.has(self.stopped(node, "h"), ["received PUBLISH", "payload=7361792022686922" "0a"])
        client.publish("later", b"", qos=1)
        self.assertNotIn("later", self.text(node))

    def test_a_topic(self):
        node = self.traced("topic", "room/+/temp", "--to", "t")
        sub, pub = self.connected(node, client_id="sub"), self.connected(node, client_id="pub")
        sub.subscribe("room/#", qos=1)
        pub.publish("room/1/temp", b"20", qos=1)
        pub.publish("room/1/door", b"open", qos=1)
        pub.publish("room/2/temp", b"", qos=0)
        for topic in ("room/1/temp", "room/1/door", "room/2/temp"):
            sub.recv_publish(topic)
        text = self.stopped(node)
        self.has(text, ["pub@", "received PUBLISH", 'topic="room/1/temp"'], ["pub@", "received", "room/2"])
        self.has(text, ["sub@", "sent PUBLISH", 'topic="room/1/temp"'], ["sub@", "sent", "room/2"])
        self.assertNotIn("door", text)

    def test_an_address(self):
        node = self.traced("ip_address", "127.0.0.1", "--to", "t")
        self.connected(node, client_id="anyone").expect_nothing()
        self.start(node, "ip_address", "192.0.2.1", "--to", "none")
        self.connected(node, client_id="more").expect_nothing()
        self.has(self.stopped(node), ["CONNECT", "anyone"], ["CONNECT", "more"])
        self.assertEqual(self.stopped(node, "none"), "")

    def test_refusals_and_drops(self):
        rules = os.path.join(self.node(start=False).dir, "acl")
        with open(rules, "w", encoding="utf-8") as file:
            file.write("deny all all secret\nallow all all\n")
        node = self.traced("client", "c1", "--to", "t", settings={"authorization.file": rules, "mqtt.max_packet_size": "1KB"})
        client = self.connected(node, client_id="c1")
        client.publish("secret", qos=1, expect=(0x87,))
        client.subscribe("secret", expect=[0x87])
        client.publish("nobody", qos=1)
        client.send(wire.publish("big", b"x" * 2000, 0, None, False, False, (), wire.V5))
        client.expect_disconnect(0x95)
        bad = node.client()
        self.addCleanup(bad.close)
        node.cli("ctl", "ban", "add", "clientid", "c1")
        bad.connect("c1", expect=0x8A)
        text = self.stopped(node)
        self.has(text, ["denied", 'topic="secret"', "why="], ["sent PUBACK", "code=0x87"], ["denied", 'topic="secret"'], ["sent SUBACK", "code=0x87"],
                 ["dropped", 'topic="nobody"'], ["fault", "Maximum Packet Size"], ["ended", "fault"], ["received CONNECT"], ["refused", "banned"])

    def test_a_queue_that_is_full(self):
        node = self.traced("client", "away", "--to", "t", settings={"mqtt.max_mqueue_len": 1})
        away = self.connected(node, client_id="away", props=[(wire.SESSION_EXPIRY, 100)])
        away.subscribe("q", qos=1)
        away.disconnect()
        away.expect_closed()
        pub = self.connected(node)
        for _ in range(3):
            pub.publish("q", b"", qos=1, expect=(0, 0x10, 0x97))
        self.assertIn("dropped", self.stopped(node))

    def test_how_they_end(self):
        node = self.traced("client", "c1", "--to", "t", "--duration", "1s", settings={"trace.max_file_size": "4KB"})
        until(lambda: "status=stopped" in node.cli("ctl", "trace", "list").stdout, WAIT, "the end of its time")
        self.start(node, "client", "c1", "--to", "full")
        client = self.connected(node, client_id="c1")
        for _ in range(200):
            client.publish("x", b"", qos=1)
        until(lambda: "the file is full" in node.cli("ctl", "trace", "list").stdout, WAIT, "the end of its file")
        self.assertLessEqual(len(self.text(node, "full")), 4096)
        for name in ("t", "full"):
            self.assertEqual(node.cli("ctl", "trace", "delete", name).stdout, "ok\n")
        self.assertEqual(node.cli("ctl", "trace", "list").stdout, "")
        self.assertEqual(os.listdir(os.path.join(node.data, "trace")), [])

    def test_what_cannot_be(self):
        node = self.traced("client", "c1", "--to", "t")
        for words in (("client", "c1", "--to", "t"), ("client", "c1", "--to", "../t"), ("client", "", "--to", "u"), ("topic", "a/#/b"),
                      ("client", "c1", "--payload", "all"), ("user", "c1"), ("client", "c1", "--duration", "8d")):
            with self.subTest(words=words):
                self.start(node, *words, status=1)
        for i in range(29):
            self.start(node, "client", f"c{i}", "--to", f"n{i}")
        self.start(node, "client", "one-more", status=1)
        for words in (("stop", "nothing"), ("delete", "nothing"), ("delete", "../../covey")):
            self.assertEqual(node.cli("ctl", "trace", *words).returncode, 1)

    def kept(self, node, name):
        return os.path.join(node.data, "trace", f"{name}.trace")

    def end_comes(self, node, name):
        """While the node is down, the time of this trace passes."""
        with open(self.kept(node, name), encoding="utf-8") as file:
            text = file.read()
        with open(self.kept(node, name), "w", encoding="utf-8") as file:
            file.write(re.sub("end_ms=.*", "end_ms=1", text))

    def statuses(self, node):
        found = re.findall("name=([^,]*), status=([a-z]*)", node.cli("ctl", "trace", "list").stdout)
        return dict(found)

    def test_restarts(self):
        """What has not reached its time goes on, from the first CONNECT; what has ended stays to be read."""
        node = self.traced("client", "c1", "--to", "on", "--payload", "text", "--duration", "1h")
        self.start(node, "topic", "grüezi/#", "--to", "topics")
        self.start(node, "ip_address", "127.0.0.1", "--to", "stopped")
        self.start(node, "client", "c1", "--to", "over")
        self.stopped(node, "stopped")
        for life, end in enumerate((node.stop, node.kill, None)):
            client = self.connected(node, client_id="c1")
            client.publish(f"grüezi/{life}", b"content", qos=1)
            for name in ("on", "topics"):
                until(lambda f=name, n=life: f'topic="grüezi/{n}"' in self.text(node, f), WAIT, name)
            if end:
                end()
                self.end_comes(node, "over")
                node.start()
                self.assertEqual(self.statuses(node), {"on": "running", "topics": "running", "stopped": "stopped", "over": "stopped"})
        life = [["received CONNECT", 'client_id="c1"'], ["received PUBLISH", 'topic="grüezi/', 'payload="content"']]
        self.has(self.stopped(node, "on"), *life, ["has started again"], *life, ["has started again"], *life)
        self.assertNotIn("payload", self.stopped(node, "topics"))
        self.assertNotIn("grüezi/1", self.text(node, "stopped") + self.text(node, "over"))
        for name in ("on", "topics", "stopped", "over"):
            self.assertEqual(node.cli("ctl", "trace", "delete", name).stdout, "ok\n")
        self.assertEqual(os.listdir(os.path.join(node.data, "trace")), [])
        node.kill()
        node.start()
        self.assertEqual(self.statuses(node), {})

    def test_what_a_crash_has_left(self):
        """A line that was cut, a file that was not finished, one that is damaged, a full one."""
        node = self.traced("client", "c1", "--to", "cut", settings={"trace.max_file_size": "4KB"})
        for name in ("damaged", "full", "gone"):
            self.start(node, "client", "c1", "--to", name)
        node.kill()
        with open(os.path.join(node.data, "trace", "cut.log"), "a", encoding="utf-8") as file:
            file.write("2026-11-27T10:00:00.416Z half a li")
        with open(os.path.join(node.data, "trace", "full.log"), "a", encoding="utf-8") as file:
            file.write("x" * 4095 + "\n")
        os.unlink(os.path.join(node.data, "trace", "gone.log"))
        with open(self.kept(node, "cut") + ".new", "w", encoding="utf-8") as file:
            file.write("running=")
        with open(self.kept(node, "damaged"), "w", encoding="utf-8") as file:
            file.write("running=1\nby=7\n")
        node.start()
        until(lambda: self.statuses(node) == {"cut": "running", "full": "stopped", "gone": "running"}, WAIT, lambda: self.statuses(node))
        self.assertIn("trace not resumed", node.log())
        self.assertIn('ended="the file is full"', node.cli("ctl", "trace", "list").stdout)
        self.assertRegex(self.stopped(node, "cut"), r"half a li\n20[^\n]*has started again\n")
        self.assertIn("has started again", self.stopped(node, "gone"))
        for name in ("cut", "damaged", "full", "gone"):
            self.assertEqual(node.cli("ctl", "trace", "delete", name).stdout, "ok\n")
        self.assertEqual(os.listdir(os.path.join(node.data, "trace")), [])

    def test_the_bound_holds_over_restarts(self):
        node = self.node()
        for i in range(30):
            self.start(node, "client", f"c{i}", "--to", f"n{i}")
        node.kill()
        node.start()
        self.assertEqual(len(self.statuses(node)), 30)
        self.start(node, "client", "one-more", status=1)
        self.start(node, "client", "c1", "--to", "n1", status=1)

    def test_more_than_can_be_written(self):
        """Events are lost and counted rather than messages held up."""
        node = self.traced("topic", "#", "--to", "t", "--payload", "hex", settings={"node.workers": 1})
        client = self.connected(node)
        for _ in range(40):
            client.send(b"".join(wire.publish("t", bytes(1024), 0, None, False, False, (), wire.V5) for _ in range(100)))
        client.barrier()
        text = self.stopped(node)
        lines = text.splitlines()
        missing = sum(int(line.split("- ")[1].split()[0]) for line in lines if "events are missing" in line)
        written = sum("events are missing" not in line for line in lines)
        # Each message is received and dropped; the barrier's UNSUBSCRIBE is about a topic too.
        self.assertEqual(written + missing, 8001, f"{written} and {missing}")

    def test_starting_and_stopping_under_traffic(self):
        node = self.node()
        stop, faults = threading.Event(), []

        def talk(number):
            try:
                while not stop.is_set():
                    with node.client() as client:
                        client.connect(f"c{number}")
                        client.publish("t", b"x", qos=1)
            except Exception as fault:      # pylint: disable=broad-except
                faults.append(fault)
        threads = [threading.Thread(target=talk, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for i in range(10):
            self.start(node, "client", f"c{i % 3}", "--to", "t")
            self.start(node, "topic", "t", "--to", "u")
            self.assertEqual(node.cli("ctl", "trace", "delete", "t").stdout, "ok\n")
            self.assertEqual(node.cli("ctl", "trace", "delete", "u").stdout, "ok\n")
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])


if __name__ == "__main__":
    unittest.main()
