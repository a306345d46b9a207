# SPDX-License-Identifier: Apache-2.0
"""Disks that fill up or fail: no acknowledgement that is not true, service goes on for what needs no disk, and
storing goes on by itself when it can. And: starting does not take longer when more is stored."""
import os
import subprocess
import time
import unittest

import harness
import wire
from harness import ROOT, Case, until

SESSION = [(wire.SESSION_EXPIRY, 3600)]
UNLIMITED = {"mqtt.max_mqueue_len": 0, "mqtt.max_mqueue_bytes": 0}
PAYLOAD = b"x" * 10000
_preload = None


def preload():
    """The library that makes a disk fail (tests/io/failing_disk.c), built once."""
    global _preload
    if _preload is None:
        _preload = os.path.join(harness.scratch(), "failing_disk.so")
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", f"-I{ROOT}", "-o", _preload,
                        os.path.join(ROOT, "tests", "io", "failing_disk.c"), "-ldl"], check=True)
    return _preload


class Storage(Case):
    def setUp(self):
        self.needs_covey()

    def sleeper(self, node, topic="q/#"):
        """A session that is kept and away, so that what is published has to be stored."""
        with node.client() as client:
            client.connect("sleeper", SESSION, clean=False)
            client.subscribe(topic, qos=2, expect=[2])
            client.disconnect()

    def collect(self, node):
        """All that waits for the sleeper, in the order of arrival; what arrives twice (QoS 1) counts once."""
        client = self.connected(node, "sleeper", SESSION, clean=False)
        self.assertTrue(client.connack.session_present)
        publisher = self.connected(node)
        publisher.publish("q/end", b"end", qos=1)
        found = []
        while (packet := client.recv_publish(timeout=20)).topic != "q/end":
            found.append(int(packet.payload.split(b" ", 1)[0]))
        client.disconnect()
        return list(dict.fromkeys(found))

    def fill(self, node, kept, limit=5000):
        """Publishes numbered messages until one is refused; kept gets the numbers that were acknowledged."""
        client = self.connected(node)
        for number in range(len(kept), limit):
            ack = client.publish("q/1", b"%d " % number + PAYLOAD, qos=1, expect=range(256))
            if ack.reason >= 0x80:
                return ack
            kept.append(number)
        raise AssertionError(f"{limit} messages of {len(PAYLOAD)} bytes fit")

    def refuses_but_serves(self, node):
        """While nothing can be stored: false acknowledgements for nobody, service for who needs no disk."""
        v5, v3 = self.connected(node), self.connected(node, version=wire.V311)
        for qos in (1, 2):
            self.assertGreaterEqual(v5.publish("q/2", b"-1 " + PAYLOAD, qos=qos, expect=range(256)).reason, 0x80)
            self.assertGreaterEqual(v5.publish("r", b"r" + PAYLOAD, qos=qos, retain=True, expect=range(256)).reason, 0x80)
        # MQTT 3 has no word for no: the connection ends without an acknowledgement.
        v3.send(wire.publish("q/2", b"-1 " + PAYLOAD, 1, 1, version=wire.V311))
        v3.expect_closed(allow=())
        online, other = self.connected(node), self.connected(node, version=wire.V311)
        for qos in (0, 1, 2):
            online.subscribe("live", qos=qos)
            other.subscribe("live", qos=qos)
            v5.publish("live", PAYLOAD, qos=qos)
            for subscriber in (online, other):
                self.assertEqual(subscriber.recv_publish("live").payload, PAYLOAD)
        with node.client() as newcomer:
            newcomer.connect()
            newcomer.barrier()

    def accepts_again(self, node, kept):
        """Storing goes on by itself: publishes until one is taken again."""
        client = self.connected(node)

        def try_one():
            number = 100000 + len(kept)
            done = client.publish("q/1", b"%d " % number + PAYLOAD, qos=1, expect=range(256)).reason < 0x80
            if done:
                kept.append(number)
            return done
        until(try_one, 20, "a message is stored again")
        for _ in range(20):
            self.assertTrue(try_one())

    def survives(self, node, kept):
        """Everything acknowledged is there after a crash, in order."""
        node.kill()
        node.start()
        found = self.collect(node)
        self.assertEqual([n for n in found if n in set(kept)], kept)


class DiskFull(Storage):
    def mounted(self, size):
        folder = harness.scratch("covey-tmpfs-")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "covey-test", folder], capture_output=True,
                              text=True, check=False)
        if done.returncode:
            self.skipTest(f"needs to mount a tmpfs: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        return folder

    def test_disk_fills_up_and_is_freed(self):
        folder, kept = self.mounted("24m"), []
        ballast = os.path.join(folder, "ballast")
        with open(ballast, "wb") as file:
            file.write(bytes(4 << 20))
        node = self.node(UNLIMITED, data=os.path.join(folder, "data"))
        self.sleeper(node)
        self.fill(node, kept)
        self.assertGreater(len(kept), 50)
        self.refuses_but_serves(node)
        os.remove(ballast)
        self.accepts_again(node, kept)
        self.survives(node, kept)

    def test_reading_makes_room_on_a_full_disk(self):
        """Deleting needs a little room itself: a full disk must not be a trap."""
        folder, kept = self.mounted("16m"), []
        node = self.node(UNLIMITED, data=os.path.join(folder, "data"))
        self.sleeper(node)
        self.fill(node, kept)
        client = self.connected(node, "sleeper", SESSION, clean=False)
        found = []
        while len(found) < len(kept):
            packet = client.recv_publish(timeout=20)
            found.append(int(packet.payload.split(b" ", 1)[0]))
        self.assertEqual(found[:len(kept)], kept)
        client.disconnect()
        more = []
        until(lambda: self.try_fill(node, more), 20, "room after reading")
        self.assertGreater(len(more), 0)

    def try_fill(self, node, kept):
        client = self.connected(node)
        for number in range(20):
            if client.publish("q/1", b"%d " % number + PAYLOAD, qos=1, expect=range(256)).reason >= 0x80:
                return False
            kept.append(number)
        return True

    def test_survives_kill_9_with_a_full_disk(self):
        folder, kept = self.mounted("16m"), []
        node = self.node(UNLIMITED, data=os.path.join(folder, "data"))
        self.sleeper(node)
        self.fill(node, kept)
        node.kill()
        node.start()
        client = self.connected(node, "sleeper", SESSION, clean=False)
        self.assertTrue(client.connack.session_present)
        found = [int(client.recv_publish(timeout=20).payload.split(b" ", 1)[0]) for _ in kept]
        self.assertEqual(found, kept)

    def test_store_reaches_its_own_limit(self):
        """storage.map_size: the same behaviour as with a full disk; reading makes room."""
        kept = []
        node = self.node({**UNLIMITED, "storage.map_size": "8MB"})
        self.sleeper(node)
        self.fill(node, kept)
        self.assertGreater(len(kept), 50)
        self.refuses_but_serves(node)
        self.assertEqual(self.collect_some(node, len(kept)), kept)
        again = []
        self.accepts_again(node, again)
        self.survives(node, again)

    def collect_some(self, node, count):
        client = self.connected(node, "sleeper", SESSION, clean=False)
        found = []
        while len(found) < count:
            found.append(int(client.recv_publish(timeout=20).payload.split(b" ", 1)[0]))
        client.disconnect()
        return found


class DiskFails(Storage):
    """Calls that fail as a broken disk makes them."""

    def broken(self):
        folder = harness.scratch()
        data = os.path.join(folder, "data")
        self.fault = os.path.join(folder, "fault")
        return self.node(UNLIMITED, data=data, env={"LD_PRELOAD": preload(), "COVEY_TEST_DISK_DIR": data,
                                                    "COVEY_TEST_DISK_FAULT": self.fault})

    def set_fault(self, text):
        with open(self.fault + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.fault + ".new", self.fault)

    def check(self, text):
        node, kept = self.broken(), []
        self.sleeper(node)
        client = self.connected(node)
        for number in range(50):
            client.publish("q/1", b"%d " % number + PAYLOAD, qos=1)
            kept.append(number)
        self.set_fault(text)
        self.refuses_but_serves(node)
        os.remove(self.fault)
        self.accepts_again(node, kept)
        self.survives(node, kept)

    def test_write_says_no_space(self):
        self.check("enospc write")

    def test_write_fails(self):
        self.check("eio write")

    def test_sync_fails(self):
        self.check("eio sync")

    def test_meta_page_fails(self):
        self.check("eio meta")

    def test_crash_while_the_disk_fails(self):
        """What was refused may be there or not; what was acknowledged is."""
        node, kept = self.broken(), []
        self.sleeper(node)
        client = self.connected(node)
        for number in range(50):
            client.publish("q/1", b"%d " % number + PAYLOAD, qos=1)
            kept.append(number)
        self.set_fault("eio sync")
        for number in range(50, 60):
            if client.publish("q/1", b"%d " % number + PAYLOAD, qos=1, expect=range(256)).reason < 0x80:
                kept.append(number)
        self.assertEqual(len(kept), 50, "acknowledged although fdatasync had failed")
        node.kill()
        os.remove(self.fault)
        self.survives(node, kept)


class Start(Storage):
    MESSAGES, SESSIONS = 10000, 20
    SETTINGS = {**UNLIMITED, "mqtt.receive_maximum": 65535, "storage.sync": "off", "log.level": "warning"}

    def stored(self, node):
        """MESSAGES for each of SESSIONS that are away."""
        for number in range(self.SESSIONS):
            with node.client() as client:
                client.connect(f"sleeper{number}", SESSION, clean=False)
                client.subscribe("q/#", qos=1)
                client.disconnect()
        client = self.connected(node, version=wire.V311)
        window = 500
        for first in range(0, self.MESSAGES, window):
            client.send(*(wire.publish("q/1", b"%d" % n, 1, n + 1, version=wire.V311) for n in range(first, first + window)))
            for _ in range(window):
                client.wait(wire.PUBACK, timeout=60)
            client.seen.clear()
        node.stop()

    def seconds(self, node):
        """From the start of the process until a session that was kept is connected; the best of five."""
        best = 1e9
        for _ in range(5):
            began = time.monotonic()
            node.start()
            with node.client() as client:
                client.connect("sleeper0", SESSION, clean=False)
                best = min(best, time.monotonic() - began)
            node.kill()
        return best

    def test_start_does_not_take_longer_with_200000_messages(self):
        empty, full = self.node(self.SETTINGS), self.node(self.SETTINGS)
        empty.stop()
        self.stored(full)
        without, with_messages = self.seconds(empty), self.seconds(full)
        print(f"start: {without * 1000:.0f} ms with nothing, {with_messages * 1000:.0f} ms with "
              f"{self.MESSAGES * self.SESSIONS} messages", flush=True)
        self.assertLess(with_messages, without + 0.1)
        full.start()
        client = self.connected(full, "sleeper7", SESSION, clean=False)
        self.assertEqual([client.recv_publish().payload for _ in range(100)], [b"%d" % n for n in range(100)])


if __name__ == "__main__":
    unittest.main()
