# SPDX-License-Identifier: Apache-2.0
"""Users with passwords: covey passwd, who is let in and who is not, files that cannot be used."""
import os
import stat
import subprocess
import threading
import unittest

import wire
from harness import Case, environment, program

WAIT = 20
MOSQUITTO_HASH = ("$7$101$MDEyMzQ1Njc4OWFi$EO/lLlkeUgIiBaS8G8UK0ZMP1u508TA7Tl+AdJ1cEsmlbGyEPAERErpfq84j1kepISs0UzmcdL4ucgZ2uodxfQ==")
BCRYPT_HASH = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"     # both of "secret"


def passwd(*words, given="", expect=0):
    done = subprocess.run([program(), "passwd", *words], input=given, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == expect, done
    return done


class AuthCase(Case):
    def setUp(self):
        self.needs_covey()

    def users_node(self, users=(("anna", "secret"),), settings=None, start=True):
        node = self.node({}, start=False)
        node.users = os.path.join(node.dir, "users")
        passwd("create", "--file", node.users)
        # Cheap hashes: what is tested is not how dear they are.
        conf = os.path.join(node.dir, "cheap.yaml")
        with open(conf, "w", encoding="utf-8") as file:
            file.write("authentication: {argon2: {memory: 64KB, passes: 1}}\n")
        node.cheap = ("--config", conf)
        for name, password in users:
            self.add(node, name, password)
        node.configure({"authentication.password_file": node.users, **(settings or {})})
        return node.start() if start else node

    def add(self, node, name, password):
        passwd(*node.cheap, "add", "--file", node.users, name, given=password + "\n")

    def refused(self, node, reason, version=wire.V5, **connect):
        client = node.client(version=version)
        self.addCleanup(client.close)
        client.connect(expect=reason, **connect)
        client.expect_closed()

    def metric(self, node, name):
        lines = node.cli("ctl", "broker", "metrics").stdout.splitlines()
        return next(int(line.split(":")[1]) for line in lines if line.split(":")[0].strip() == name)


class Passwords(AuthCase):
    def test_who_comes_in(self):
        node = self.users_node()
        for version in (wire.V31, wire.V311, wire.V5):
            self.connected(node, connect={"username": "anna", "password": b"secret"}, version=version)
        self.refused(node, 0x86, username="anna", password=b"wrong")
        self.refused(node, 0x86, username="anna", password=b"")
        self.refused(node, 0x86, username="bob", password=b"secret")
        self.refused(node, 0x86, username="anna")
        self.refused(node, 0x87)
        self.refused(node, 4, version=wire.V311, username="anna", password=b"wrong")
        self.refused(node, 5, version=wire.V311)
        self.assertEqual(self.metric(node, "authentication.failure"), 7)
        self.assertEqual(self.metric(node, "authentication.success"), 3)
        self.assertEqual(self.metric(node, "client.refused.bad_username_or_password"), 5)
        log = node.log()
        self.assertIn('auth refused client_id="', log)
        self.assertNotIn("secret", log)
        self.assertNotIn("wrong", log)

    def test_real_clients(self):
        node = self.users_node()
        for password, code in (("secret", 0), ("wrong", 5)):
            done = subprocess.run(["mosquitto_pub", "-p", str(node.port), "-u", "anna", "-P", password, "-t", "a", "-m", "x", "-q", "1"],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(bool(done.returncode), bool(code), done)

    def test_hashes_of_others(self):
        node = self.users_node(start=False)
        with open(node.users, "a", encoding="utf-8") as file:
            file.write(f"# taken over\nmo:{MOSQUITTO_HASH}\nbea:{BCRYPT_HASH}\n")
        node.start()
        for name in ("mo", "bea", "anna"):
            self.connected(node, connect={"username": name, "password": b"secret"})
            self.refused(node, 0x86, username=name, password=b"Secret")

    def test_anonymous_beside_users(self):
        node = self.users_node(settings={"listeners.tcp.default.allow_anonymous": True})
        self.connected(node)
        self.connected(node, connect={"username": "anna", "password": b"secret"})
        self.refused(node, 0x86, username="anna", password=b"wrong")
        self.refused(node, 0x86, username="nobody", password=b"secret")

    def test_many_at_once(self):
        """First logins, more than there are threads, and the clients that are there wait for nobody."""
        node = self.users_node(users=[(f"u{i}", f"p{i}") for i in range(40)])
        there = self.connected(node, connect={"username": "u0", "password": b"p0"})
        faults = []

        def come(i):
            try:
                client = node.client()
                client.connect(username=f"u{i}", password=b"p%d" % i)
                client.close()
            except Exception as e:  # noqa: BLE001
                faults.append(e)
        threads = [threading.Thread(target=come, args=(i,)) for i in range(40)]
        for t in threads:
            t.start()
        for _ in range(20):
            there.barrier()
        for t in threads:
            t.join()
        self.assertEqual(faults, [])

    def test_gone_while_it_waits(self):
        node = self.users_node()
        for _ in range(50):
            client = node.client()
            client.send(wire.connect("x", username="anna", password=b"wrong"))
            client.reset()
        self.connected(node, connect={"username": "anna", "password": b"secret"})


class Files(AuthCase):
    def test_passwd(self):
        node = self.users_node(start=False)
        mode = stat.S_IMODE(os.stat(node.users).st_mode)
        self.assertEqual(mode, 0o600)
        with open(node.users, encoding="utf-8") as file:
            self.assertRegex(file.read(), r"^anna:\$argon2id\$v=19\$m=64,t=1,p=1\$")
        passwd("add", "--file", node.users, "a:b", given="x\n", expect=1)
        passwd("add", "--file", node.users, "bob", given="\n", expect=1)
        passwd("add", "--file", node.users, "bob", expect=1)
        passwd("delete", "--file", node.users, "bob", expect=1)
        passwd("create", "--file", node.users, expect=1)
        passwd(*node.cheap, "add", "--file", node.users, "--batch", given="bob:p:q\ncarl:r\n")
        passwd("delete", "--file", node.users, "anna")
        with open(node.users, encoding="utf-8") as file:
            self.assertEqual([line.split(":")[0] for line in file], ["bob", "carl"])
        node.start()
        self.connected(node, connect={"username": "bob", "password": b"p:q"})

    def test_a_file_that_cannot_be_used_stops_the_start(self):
        for text, where in (("anna\n", ":1"), ("# x\nanna:secret\n", ":2"), (f"anna:{BCRYPT_HASH}", ":1"),
                            (f"a:{BCRYPT_HASH}\na:{BCRYPT_HASH}\n", ":2")):
            node = self.users_node(start=False)
            with open(node.users, "w", encoding="utf-8") as file:
                file.write(text)
            node.spawn()
            self.assertNotEqual(node.process.wait(WAIT), 0)
            self.assertIn(f"{node.users}{where}", node.log())
            self.assertNotIn("secret", node.log())
        node = self.users_node(start=False)
        os.remove(node.users)
        node.spawn()
        self.assertNotEqual(node.process.wait(WAIT), 0)
        self.assertIn(node.users, node.log())

    def test_reload(self):
        node = self.users_node()
        anna = self.connected(node, connect={"username": "anna", "password": b"secret"})
        self.add(node, "bob", "two")
        self.add(node, "anna", "changed")
        self.refused(node, 0x86, username="bob", password=b"two")
        self.assertEqual(node.cli("ctl", "auth", "reload").returncode, 0)
        self.connected(node, connect={"username": "bob", "password": b"two"})
        self.refused(node, 0x86, username="anna", password=b"secret")
        self.connected(node, connect={"username": "anna", "password": b"changed"})
        with open(node.users, "a", encoding="utf-8") as file:
            file.write("half a li")
        self.assertNotEqual(node.cli("ctl", "auth", "reload").returncode, 0)
        self.connected(node, connect={"username": "bob", "password": b"two"})
        anna.barrier()


class Configuration(AuthCase):
    def test_a_method_that_is_not_configured(self):
        node = self.node({"listeners.tcp.default.authentication": "[password_file]"}, start=False)
        done = node.cli("check-config")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("password_file is not configured", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
