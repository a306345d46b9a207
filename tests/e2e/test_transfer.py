# SPDX-License-Identifier: Apache-2.0
"""`covey ctl export` and `import`: what a node keeps, taken to another one; files that are damaged."""
import os
import random
import resource
import stat
import unittest

import harness
import wire
from api import PASSWORD, Api
from cluster import Cluster
from harness import Case, Port, until

WAIT = 30


class Transfer(Case):
    def setUp(self):
        self.needs_covey()
        self.folder = harness.scratch()
        self.path = os.path.join(self.folder, "node.dump")

    def started(self, settings=None, **options):
        return self.node(settings, **options)

    def ok(self, node, *words):
        done = node.cli("ctl", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def refused(self, node, *words):
        done = node.cli("ctl", *words)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stdout

    def fill(self, node):
        client = self.connected(node)
        for i in range(500):
            client.publish(f"kept/{i}", f"payload {i}".encode(), 1, retain=True)
        client.publish("kept/props", b"p", 2, retain=True,
                       props=[(wire.CONTENT_TYPE, "text/plain"), (wire.MESSAGE_EXPIRY, 3600),
                              (wire.USER_PROPERTY, ("a", "b"))])
        client.publish("$delayed/3600/later", b"in an hour", 1)
        self.ok(node, "ban", "add", "clientid", "bad", "--reason", "a reason")
        self.ok(node, "ban", "add", "peerhost_net", "192.0.2.0/24", "--for", "2h")

    def heard(self, node, topic, count):
        client = self.connected(node, timeout=WAIT)
        client.subscribe(topic, 2)
        return [client.recv_publish() for _ in range(count)]

    def with_api(self):
        lock = Port()
        self.addCleanup(lock.free)
        node = self.started({"dashboard.listeners.http.enable": True,
                             "dashboard.listeners.http.bind": f"127.0.0.1:{lock.number}"})
        node.http_port = lock.number
        return node

    @staticmethod
    def login(node, user, password):
        return Api(node.http_port).post("/login", {"username": user, "password": password})


class Whole(Transfer):
    def test_takes_everything_along(self):
        first, second = self.started(), self.started()
        self.fill(first)
        self.connected(first).publish("$delayed/8/soon", b"in a moment", 1)
        said = self.ok(first, "export", self.path)
        self.assertEqual(said, "Exported: 501 retained messages, 2 delayed messages, 2 bans, 0 users, 0 API keys\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        said = self.ok(second, "import", self.path)
        self.assertEqual(said, "Imported: 501 retained messages, 2 delayed messages, 2 bans, 0 users, 0 API keys\n")

        got = {p.topic: p for p in self.heard(second, "kept/#", 501)}
        self.assertEqual(got["kept/499"].payload, b"payload 499")
        props = dict(got["kept/props"].props)
        self.assertEqual(props[wire.CONTENT_TYPE], "text/plain")
        self.assertLessEqual(props[wire.MESSAGE_EXPIRY], 3600)
        self.assertEqual(got["kept/props"].qos, 2)
        self.assertEqual(self.ok(first, "delayed", "list").count("topic=later"), 1)
        self.assertEqual(self.ok(second, "delayed", "list").count("topic=later"), 1)
        self.assertEqual(self.heard(second, "soon", 1)[0].payload, b"in a moment")
        bans = self.ok(second, "ban", "list")
        self.assertIn("who=bad, by=ctl, reason=a reason", bans)
        self.assertIn("who=192.0.2.0/24", bans)
        # It is stored: a node that is killed has it.
        second.kill()
        second.start()
        self.assertIn("retained messages: 501", self.ok(second, "retainer", "info"))
        self.assertIn("who=bad", self.ok(second, "ban", "list"))

    def test_twice_is_once(self):
        first, second = self.started(), self.started()
        self.fill(first)
        self.ok(first, "data", "export", self.path)
        for _ in range(2):
            self.ok(second, "data", "import", self.path)
        self.assertEqual(self.ok(second, "delayed", "list").count("topic=later"), 1)
        self.assertIn("retained messages: 501", self.ok(second, "retainer", "info"))
        self.assertEqual(self.ok(second, "ban", "list").count("Banned("), 2)

    def test_users_and_keys(self):
        first, second = self.with_api(), self.with_api()
        with open(os.path.join(first.data, "admin_password"), encoding="utf-8") as file:
            password = file.read().strip()
        token = self.login(first, "admin", password).data["token"]
        api = Api(first.http_port, token)
        self.assertEqual(api.post("/users/admin/change_pwd", {"old_pwd": password, "new_pwd": PASSWORD}).status, 204)
        api = Api(first.http_port, self.login(first, "admin", PASSWORD).data["token"])
        made = api.post("/api_key", {"name": "script", "enable": True, "role": "viewer"})
        self.assertIn(made.status, (200, 201))
        key = (made.data["api_key"], made.data["api_secret"])
        self.assertIn("1 users, 1 API keys", self.ok(first, "export", self.path))
        with open(self.path, "rb") as file:
            self.assertNotIn(key[1].encode(), file.read())       # hashes only
        self.assertIn("1 users, 1 API keys", self.ok(second, "import", self.path))
        self.assertEqual(self.login(second, "admin", PASSWORD).status, 200)
        self.assertFalse(os.path.exists(os.path.join(second.data, "admin_password")))
        self.assertEqual(Api(second.http_port, key=key).get("/nodes").status, 200)

    def test_empty_and_relative(self):
        node = self.started()
        done = harness.covey("--config", node.conf, "ctl", "export", "here.dump", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "here.dump")))
        done = harness.covey("--config", node.conf, "ctl", "import", "here.dump", cwd=self.folder)
        self.assertIn("Imported: 0 retained messages", done.stdout)

    def test_large_payloads(self):
        settings = {"mqtt.max_packet_size": "4MB", "retainer.max_payload_size": "4MB"}
        first, second = self.started(settings), self.started(settings)
        client = self.connected(first)
        for i in range(5):
            client.publish(f"large/{i}", bytes([i]) * 2000000, 1, retain=True)
        self.ok(first, "export", self.path)
        self.ok(second, "import", self.path)
        got = self.heard(second, "large/#", 5)
        self.assertEqual({(p.topic, p.payload) for p in got}, {(f"large/{i}", bytes([i]) * 2000000) for i in range(5)})

    def test_limits_of_the_node_hold(self):
        first, second = self.started(), self.started({"retainer.max_retained_messages": 10})
        self.fill(first)
        self.ok(first, "export", self.path)
        self.assertRegex(self.refused(second, "import", self.path), "Refused by the limits of this node: [0-9]+\n")

    def test_what_is_over_stays_behind(self):
        first, second = self.started(), self.started()
        client = self.connected(first)
        client.publish("short", b"x", 1, retain=True, props=[(wire.MESSAGE_EXPIRY, 1)])
        self.ok(first, "export", self.path)

        def imported():
            said = self.ok(second, "import", self.path)
            return "Imported: 0 retained" in said and "Left out: 1 whose time is over" in said
        until(imported, WAIT, "a second")

    def test_reaches_the_cluster(self):
        first = self.started()
        self.fill(first)
        self.ok(first, "export", self.path)
        nodes = Cluster(2)
        self.addCleanup(nodes.remove)
        self.ok(nodes[0], "import", self.path)
        until(lambda: "messages: 501" in self.ok(nodes[1], "retainer", "info"), WAIT, "retained messages there")
        until(lambda: "who=bad" in self.ok(nodes[1], "ban", "list"), WAIT, "bans there")

    def test_clients_do_not_wait(self):
        """Traffic goes on while a large import runs."""
        first, second = self.started(), self.started()
        client = self.connected(first)
        for i in range(20000):
            client.publish(f"many/{i}", b"x" * 100, 0, retain=True)
        client.publish("many/last", b"x", 1, retain=True)      # stored behind the others
        self.ok(first, "export", self.path)
        other = self.connected(second)
        other.subscribe("t", 0)
        importing = harness.Output([harness.program(), "--config", second.conf, "ctl", "import", self.path],
                                   env=harness.environment())
        rounds = 0
        while importing.process.poll() is None:
            other.publish("t", b"x", 0)
            self.assertEqual(other.recv_publish().payload, b"x")
            rounds += 1
        importing.wait_for(lambda lines: any("20001 retained" in line for line in lines))
        self.assertGreater(rounds, 0)


class Bad(Transfer):
    def exported(self):
        node = self.started()
        client = self.connected(node)
        for i in range(20):
            client.publish(f"kept/{i}", b"payload", 1, retain=True)
        self.ok(node, "ban", "add", "clientid", "bad")
        self.ok(node, "export", self.path)
        with open(self.path, "rb") as file:
            return node, file.read()

    def test_damage_anywhere_imports_nothing(self):
        _, good = self.exported()
        fresh = self.started()
        draw = random.Random(5)
        bad = os.path.join(self.folder, "bad.dump")
        for round_ in range(60):
            data = bytearray(good)
            if round_ % 3 == 0:
                data = data[:draw.randrange(len(data))]
            elif round_ % 3 == 1:
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            else:
                data += b"x"
            with open(bad, "wb") as file:
                file.write(data)
            self.refused(fresh, "import", bad)
        self.assertIn("retained messages: 0", self.ok(fresh, "retainer", "info"))
        self.assertEqual(self.ok(fresh, "ban", "list"), "")
        with open(bad, "wb") as file:
            file.write(good)
        self.assertIn("20 retained", self.ok(fresh, "import", bad))

    def test_reasons(self):
        node, good = self.exported()
        self.assertIn("There is such a file already", self.refused(node, "export", self.path))
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), good)
        self.assertIn("No such file", self.refused(node, "export", "/nonexistent/x"))
        self.assertIn("No such file", self.refused(node, "import", "/nonexistent/x"))
        for path in ("/dev/zero", self.folder, node.conf):
            self.assertIn("no file that covey ctl export has written", self.refused(node, "import", path))
        with open(self.path, "r+b") as file:
            file.seek(11)
            file.write(b"\x09")
        self.assertIn("a version of Covey that this one does not read", self.refused(node, "import", self.path))

    def test_a_full_disk_leaves_no_file(self):
        node = self.started()
        client = self.connected(node)
        client.publish("kept", b"x" * 500000, 1, retain=True)
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (100000, resource.RLIM_INFINITY))
        self.assertIn("File too large", self.refused(node, "export", self.path))
        self.assertFalse(os.path.exists(self.path))


if __name__ == "__main__":
    unittest.main()
