# SPDX-License-Identifier: Apache-2.0
"""The world around the broker is hostile: configuration and certificates that are missing or broken, no descriptors, no
disk, a read-only or damaged data directory, a second broker on it. The number in a test's name is the row of the list
of inputs that broke brokers."""
import contextlib
import hashlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
import unittest

import harness
from harness import certs, scratch, until
from hostile import HostileCase, Watch, cpu_seconds
from mqttlib import unique
from wire import *  # noqa: F403


class Configuration(HostileCase):
    """Row 26: it fails closed, says why, names file and line, and does not hang."""

    def fails(self, node, *words):
        """The node does not start; each of the words is in what it says."""
        node.spawn()
        code = node.process.wait(10)
        self.assertNotEqual(code, 0)
        self.assertGreater(code, 0, f"died of signal {-code}:\n{node.log()}")
        for word in words:
            self.assertIn(word, node.log())
        self.assertFalse(harness.accepts(node.port))

    def with_text(self, text_):
        node = self.node(start=False)
        with open(node.conf, "wb") as file:
            file.write(text_ if isinstance(text_, bytes) else text_.encode())
        return node

    def good(self):
        node = self.node(start=False)
        with open(node.conf, encoding="utf-8") as file:
            return file.read()

    def test_row_26_missing(self):
        node = self.node(start=False)
        os.remove(node.conf)
        self.fails(node, node.conf)

    def test_row_26_a_directory(self):
        node = self.node(start=False)
        os.remove(node.conf)
        os.mkdir(node.conf)
        self.fails(node, node.conf)

    def test_row_26_syntax(self):
        """Errors of YAML and of keys and values, each at a known line."""
        head = "node:\n  data_dir: /nonexistent/never/made\n"
        for line, text_ in ((3, head + "listeners: [tcp\n"), (3, head + "  bad indent: : :\n"), (3, head + "\tmqtt: {}\n"),
                            (4, head + "mqtt:\n  max_qos_alowed: 1\n"), (4, head + "mqtt:\n  max_qos_allowed: 3\n"),
                            (4, head + "mqtt:\n  max_packet_size: many\n"), (4, head + "mqtt:\n  retain_available: perhaps\n"),
                            (4, head + "mqtt:\n  max_packet_size: -1\n"), (4, head + "mqtt:\n  max_inflight: 99999999999999999999\n"),
                            (3, head + "no_such_section: 1\n"), (3, head + "mqtt: 5\n"), (5, head + "mqtt:\n  max_inflight: 5\n  max_inflight: 6\n")):
            with self.subTest(text=text_[len(head):]):
                node = self.with_text(text_)
                self.fails(node, node.conf + f":{line}")

    def test_row_26_half_written(self):
        """The file cut at any byte: it is refused, or what is left is a valid file; never a crash, never a hang."""
        text_ = self.good()
        for cut in range(1, len(text_), 7):
            node = self.with_text(text_[:cut])
            done = node.cli("check-config", timeout=10)
            self.assertIn(done.returncode, (0, 1, 2), done)
            if done.returncode:
                self.assertTrue(done.stderr.strip() or done.stdout.strip(), f"silent about {text_[:cut]!r}")
            node.remove()

    def test_row_26_noise(self):
        """Bytes that are no text, and YAML's own traps: anchors that grow, deep nesting, endless keys."""
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12))
        for text_ in (os.urandom(2000), b"\xff\xfe" + b"a\0:\0", b"\0" * 100, bomb, "[" * 100_000, "{a: " * 50_000, "a" * 1_000_000 + ": 1\n", "- 1\n- 2\n",
                      "--- 1\n--- 2\n", "node: !!python/object/apply:os.system ['true']\n"):
            with self.subTest(text=text_[:40]):
                self.fails(self.with_text(text_))

    def test_row_26_certificates(self):
        """Missing, unreadable as PEM, cut, with another's key, key and certificate exchanged; each names the file."""
        folder = scratch("covey-broken-certs-")
        for name in ("server.pem", "server.key", "alice.pem", "alice.key"):
            shutil.copy(os.path.join(certs(), name), folder)
        with open(f"{folder}/server.pem", encoding="ascii") as file:
            pem = file.read()
        for name, content in (("cut.pem", pem[:len(pem) // 2]), ("empty.pem", ""), ("noise.pem", "not a certificate\n"),
                              ("flipped.pem", pem[:300] + ("A" if pem[300] != "A" else "B") + pem[301:])):
            with open(f"{folder}/{name}", "w", encoding="ascii") as file:
                file.write(content)
        for cert, key, named in (("missing.pem", "server.key", "missing.pem"), ("server.pem", "missing.key", "missing.key"),
                                 ("cut.pem", "server.key", "cut.pem"), ("empty.pem", "server.key", "empty.pem"), ("noise.pem", "server.key", "noise.pem"),
                                 ("server.pem", "alice.key", ".key"), ("server.key", "server.pem", "server."), (".", "server.key", folder)):
            with self.subTest(cert=cert, key=key):
                node = self.node({"listeners.ssl.default.ssl_options.certfile": os.path.join(folder, cert),
                                  "listeners.ssl.default.ssl_options.keyfile": os.path.join(folder, key)}, tls=True, start=False)
                self.fails(node, named)

    def test_row_26_while_running(self):
        """The files break under a running node: it goes on with what it has, also when told to read them again."""
        node = self.node(tls=True)
        watch = Watch(self, node)
        with open(node.conf, "w", encoding="utf-8") as file:
            file.write("mqtt: [broken\n")
        done = node.cli("ctl", "conf", "reload")
        self.assertNotEqual(done.returncode, 0, done)
        node.process.send_signal(signal.SIGHUP)
        watch.check()
        self.connected(node, tls=True).expect_nothing()
        time.sleep(0.2)     # SIGHUP has no answer that could be waited for
        watch.check()

    def test_row_26_address_in_use(self):
        """Another program on the port: the node says which address and does not start half."""
        other, node = self.node(), self.node(start=False)
        node.configure({"listeners.tcp.default.bind": f"127.0.0.1:{other.port}"})
        with harness.socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            node.configure({"listeners.tcp.default.bind": "127.0.0.1:%d" % taken.getsockname()[1]})
            self.fails(node, "127.0.0.1:%d" % taken.getsockname()[1])


class Descriptors(HostileCase):
    def test_row_27_no_descriptors_left(self):
        """200 allowed, 400 wanted: those who are connected are served, the others are closed or wait, the processor is
        left alone, and when some leave, others come in without a restart."""
        node = self.node(start=False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))     # a child inherits it
        try:
            node.spawn()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        subprocess.run(["prlimit", "--pid", str(node.process.pid), "--nofile=200:200"], check=True)
        node.wait_ready()
        watch = Watch(self, node)
        crowd = [self.raw_socket(node) for _ in range(400)]
        for sock in crowd:
            try:
                sock.sendall(connect(unique()))
            except OSError:
                pass
        for _ in range(5):
            watch.check()
        before, started = cpu_seconds(node), time.monotonic()
        time.sleep(1)
        self.assertLess((cpu_seconds(node) - before) / (time.monotonic() - started), 0.3, "busy with accepting what it cannot")
        watch.check()
        for sock in crowd:
            sock.close()

        def gets_in():
            client = node.client()
            client.timeout = 2
            try:
                client.connect()
                return True
            except (AssertionError, OSError):
                return False
            finally:
                client.close()
        until(gets_in, 5, "nobody gets in though descriptors are free again")
        watch.check()


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "mounts a small disk: needs root")
class Disk(HostileCase):
    """Row 27 on a file system of its own, which can be full or read-only."""

    def disk(self, size):
        folder = scratch("covey-disk-")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "covey-test", folder], capture_output=True, text=True, check=False)
        if done.returncode:
            self.skipTest(done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        return folder

    def remount(self, folder, options):
        done = subprocess.run(["mount", "-o", "remount," + options, folder], capture_output=True, text=True, check=False)
        return done.returncode == 0

    def try_publish(self, client, topic, payload):
        """True when the message was acknowledged as taken; False when the broker refused it, in any truthful way."""
        try:
            return client.publish(topic, payload, qos=1, expect=set(range(256))).reason < 0x80
        except AssertionError:
            return None     # the connection was closed, or nothing came: no promise

    def fill(self, node, folder, size):
        """Publishes for a session that is away until the disk takes no more: (the session's client, accepted numbers)."""
        sub = self.connected(node, "away", [(SESSION_EXPIRY, 3600)], clean=False)
        sub.subscribe("fill", qos=1)
        sub.disconnect()
        pub, accepted, refused = self.connected(node), [], 0
        pub.timeout = 3
        for n in range(20_000):
            taken = self.try_publish(pub, "fill", b"%06d" % n + b"x" * size)
            if taken:
                accepted.append(n)
                refused = 0
            else:
                refused += 1
                if taken is None:
                    pub.close()
                    pub = self.connected(node)
                    pub.timeout = 3
            if refused >= 5:
                return accepted
        self.fail("the disk never became full")

    SETTINGS = {"mqtt.max_mqueue_len": 0, "mqtt.max_mqueue_bytes": 0}

    def collect(self, node, accepted):
        sub = self.connected(node, "away", [(SESSION_EXPIRY, 3600)], clean=False)
        self.assertTrue(sub.connack.session_present)
        sub.timeout = 20
        found = []
        while not found or found[-1] < accepted[-1]:
            found.append(int(sub.recv_publish("fill").payload[:6]))
        missing = set(accepted) - set(found)
        self.assertFalse(missing, f"acknowledged and missing: {sorted(missing)[:10]}")
        self.assertEqual(found, sorted(set(found)))
        return sub

    def settings(self):
        found = dict(self.SETTINGS)
        if harness.covey("config", "explain", "mqtt.max_mqueue_len").stdout.find("infinity") >= 0:
            found = {key: "infinity" for key in found}
        return found

    def test_row_27_disk_full(self):
        """Acknowledged is what is stored. What needs no disk goes on. With room again, it stores again by itself; after
        kill -9 in that state nothing that was acknowledged is missing."""
        folder = self.disk("12m")
        node = self.node(self.settings(), data=folder + "/data")
        watch = Watch(self, node)
        accepted = self.fill(node, folder, 4000)
        self.assertGreater(len(accepted), 100)
        for _ in range(3):
            watch.check()       # nobody's session is stored for this one
        self.connected(node).expect_nothing()
        self.assertTrue(self.remount(folder, "size=100m"))
        pub = self.connected(node)

        def stores():
            return self.try_publish(pub, "fill", b"%06d" % 999_999)
        until(stores, 10, "with room again it does not store again")
        node.kill()
        node.start()
        self.collect(node, accepted + [999_999])

    def test_row_27_killed_with_a_full_disk(self):
        """kill -9 while full: it starts again on the full disk, or says that it cannot, and with room it has everything."""
        folder = self.disk("8m")
        node = self.node(self.settings(), data=folder + "/data")
        accepted = self.fill(node, folder, 4000)
        node.kill()
        try:
            node.start()
        except RuntimeError as refused:
            self.assertRegex(str(refused), "(?i)space|full|disk")
            self.assertTrue(self.remount(folder, "size=100m"))
            node.start()
        self.collect(node, accepted)

    def test_row_27_read_only_data_directory(self):
        """Refused, with the directory named; writable again, it starts. (A running node holds its files open, and Linux
        then refuses to make the file system read-only; failing writes are the full disk above and the store's own tests.)"""
        folder = self.disk("50m")
        os.mkdir(folder + "/data")
        self.assertTrue(self.remount(folder, "ro"))
        nodes = [self.node(data=name, start=False) for name in (folder + "/data", folder + "/not/yet/made")]
        for node in nodes:
            node.spawn()
            self.assertGreater(node.process.wait(10), 0)
            self.assertIn(folder, node.log())
        self.assertTrue(self.remount(folder, "rw"))
        for node in nodes:
            node.start()
            Watch(self, node).check()


class Damage(HostileCase):
    """Row 27: the store's files are cut or have bits flipped while the node is down. Each payload carries its own hash:
    what is damaged may be missing, it is never served, and the node says so or does not start."""

    COUNT = 300

    def filled(self):
        """A stopped node with retained messages and queued ones: (node, path of the data file)."""
        node = self.node()
        sub = self.connected(node, "away", [(SESSION_EXPIRY, 3600)], clean=False)
        sub.subscribe("queue/#", qos=1)
        sub.disconnect()
        pub = self.connected(node)
        for n in range(self.COUNT):
            body = b"%d" % n + random.Random(n).randbytes(500 + 13 * (n % 70))
            for kind in ("queue", "keep"):
                pub.publish(f"{kind}/{n}", hashlib.sha256(f"{kind}/{n}".encode() + body).digest() + body, qos=1, retain=kind == "keep")
        node.stop()
        files = [os.path.join(d, f) for d, _, names in os.walk(node.data) for f in names]
        return node, max(files, key=os.path.getsize)

    def serve(self, node):
        """Starts the node on what is there. Returns the number of messages that it still has, or None when it refuses to
        start; each of them is checked."""
        said = len(node.log())
        try:
            node.start()
        except RuntimeError as refused:
            self.assertGreater(node.process.returncode, 0, f"died: {refused}")
            self.assertIn(node.data, node.log())
            return None
        keeper, pub, found = self.connected(node), self.connected(node), set()
        keeper.subscribe(["keep/#", "queue/end"], qos=0, expect=False)
        sub = self.connected(node, "away", [(SESSION_EXPIRY, 3600)], clean=False)
        if not sub.connack.session_present:
            sub.subscribe("queue/#", qos=1)
        # What is stored comes before what is new. Where damage keeps the last message from being stored or routed, a
        # second of silence has to do.
        end = pub.publish("queue/end", hashlib.sha256(b"queue/end").digest(), qos=1, expect=set(range(256))).reason == 0
        for client in (sub, keeper):
            while "queue/end" not in found:
                try:
                    pkt = client.recv_publish(timeout=8 if end else 0.3)
                except AssertionError:
                    if end:
                        raise
                    break
                digest, body = pkt.payload[:32], pkt.payload[32:]
                self.assertEqual(digest, hashlib.sha256(pkt.topic.encode() + body).digest(), f"served damaged: {pkt!r}")
                found.add(pkt.topic)
            found.discard("queue/end")
        Watch(self, node).check()
        if len(found) < 2 * self.COUNT:
            self.assertIn("damaged", node.log()[said:], f"silent about {2 * self.COUNT - len(found)} that are missing")
        return len(found)

    @contextlib.contextmanager
    def restored(self, node, kept):
        """Afterwards the data are as they were kept."""
        try:
            yield
        finally:
            node.kill()
            shutil.rmtree(node.data)
            shutil.copytree(kept, node.data)

    def keep(self, node):
        kept = scratch("covey-kept-") + "/data"
        shutil.copytree(node.data, kept)
        return kept

    def test_row_27_undamaged(self):
        """The other tests mean something only if nothing is missing without damage."""
        node, _ = self.filled()
        self.assertEqual(self.serve(node), 2 * self.COUNT)

    def test_row_27_cut_file(self):
        node, path = self.filled()
        kept, size = self.keep(node), os.path.getsize(path)
        for length in (0, 1, 100, 4096, 8192, size // 4, size // 2, size - 4096, size - 1):
            with self.subTest(bytes=length, of=size), self.restored(node, kept):
                os.truncate(path, length)
                found = self.serve(node)
                print(f"    cut to {length} of {size}: {'refused' if found is None else f'{found} messages'}")
                if length < 8192:
                    self.assertIsNone(found, "an empty or headless store was taken for a good one")

    def test_row_27_flipped_bits(self):
        """A bit here and there, a page of zeros, a page of noise, two pages exchanged; fixed seed."""
        node, path = self.filled()
        kept, size, rng = self.keep(node), os.path.getsize(path), random.Random(27)
        results = []
        for turn in range(24):
            with self.subTest(turn=turn), self.restored(node, kept):
                with open(path, "r+b") as file:
                    for _ in range((1, 5, 50)[turn % 3]):
                        at = rng.randrange(8192, size)
                        file.seek(at)
                        old = file.read(1)[0]
                        page = at // 4096 * 4096
                        if turn % 4 == 0:
                            file.seek(at)
                            file.write(bytes([old ^ 1 << rng.randrange(8)]))
                        else:
                            file.seek(page)
                            file.write((b"\0" * 4096, rng.randbytes(4096), b"\xff" * 4096)[turn % 3])
                results.append(self.serve(node))
        print(f"    messages served: {results}")

    def test_row_27_damaged_beginning(self):
        """The two pages that say where everything is: one of them may be lost, the other one is used or the node refuses."""
        node, path = self.filled()
        kept = self.keep(node)
        for pages in ((0,), (1,), (0, 1)):
            with self.subTest(pages=pages), self.restored(node, kept):
                with open(path, "r+b") as file:
                    for page in pages:
                        file.seek(page * 4096)
                        file.write(os.urandom(4096))
                found = self.serve(node)
                if len(pages) == 2:
                    self.assertIsNone(found)


class Lock(HostileCase):
    def test_row_28_two_brokers_on_one_directory(self):
        """The second one says so and ends; the first one has not noticed; when the first is killed, the second may start."""
        first = self.node()
        watch = Watch(self, first)
        second = self.node(data=first.data, start=False)
        for _ in range(3):
            second.spawn()
            self.assertGreater(second.process.wait(10), 0)
            self.assertRegex(second.log(), re.escape(first.data) + "|(?i:already running)")
            watch.check()
        self.assertEqual(second.cli("ping").returncode == 0, first.cli("ping").returncode == 0)
        first.kill()
        second.start()
        Watch(self, second).check()

    def test_row_28_through_another_name(self):
        """The same directory through a symbolic link and with the first broker stopped by SIGSTOP: still one owner."""
        first = self.node()
        link = scratch("covey-link-") + "/data"
        os.symlink(first.data, link)
        second = self.node(data=link, start=False)
        first.process.send_signal(signal.SIGSTOP)
        try:
            second.spawn()
            self.assertGreater(second.process.wait(10), 0)
        finally:
            first.process.send_signal(signal.SIGCONT)
        Watch(self, first).check()


