# SPDX-License-Identifier: Apache-2.0
"""`covey ctl admins`: users of the dashboard from the shell, for who has lost a password."""
import subprocess
import unittest

import harness
from api import PASSWORD, Api, ApiCase
from cluster import ClusterCase
from harness import until


class Admins(ApiCase):
    def ctl(self, node, *words, typed="", status=0):
        done = subprocess.run([harness.program(), "--config", node.conf, "ctl", "admins", *words], input=typed, text=True, capture_output=True,
                              timeout=60, check=False, env=harness.environment())
        self.assertEqual(done.returncode, status, done)
        return done.stdout + done.stderr

    def setUp(self):
        self.needs_covey()
        self.port = self.http_port()
        self.broker = self.node({"dashboard.listeners.http.enable": True, "dashboard.listeners.http.bind": f"127.0.0.1:{self.port}"})
        self.api = Api(self.port)

    def logs_in(self, name, password):
        return self.api.login(name, password).status

    def test_a_lost_password(self):
        self.assertEqual(self.ctl(self.broker, "list"), "admin role=administrator must_change=true\n")
        self.assertEqual(self.ctl(self.broker, "passwd", "admin", typed=PASSWORD + "\n"), "ok\n")
        self.assertEqual(self.ctl(self.broker, "list"), "admin role=administrator\n")
        admin = self.api.logged_in("admin", PASSWORD)
        self.assertEqual(admin.get("/nodes").status, 200)
        self.assertEqual(self.ctl(self.broker, "passwd", "admin", "another password"), "ok\n")
        self.assertEqual(admin.get("/nodes").status, 401)
        self.assertEqual([self.logs_in("admin", p) for p in (PASSWORD, "another password")], [401, 200])

    def test_add_and_del(self):
        self.assertEqual(self.ctl(self.broker, "add", "ann", typed=PASSWORD + "\n"), "ok\n")
        self.assertEqual(self.ctl(self.broker, "add", "bob", PASSWORD, "", "viewer"), "ok\n")
        self.assertEqual(self.ctl(self.broker, "add", "eve", "-", "of plant 3", typed=PASSWORD + "\n"), "ok\n")
        ann = self.api.logged_in("ann", PASSWORD)
        found = {u["username"]: (u["role"], u["description"]) for u in ann.get("/users").data}
        self.assertEqual({n: found[n] for n in ("ann", "bob", "eve")},
                         {"ann": ("administrator", ""), "bob": ("viewer", ""), "eve": ("administrator", "of plant 3")})
        self.assertEqual(self.api.logged_in("bob", PASSWORD).post("/publish", {"topic": "t", "payload": ""}).status, 403)
        self.assertEqual(self.ctl(self.broker, "del", "bob"), "ok\n")
        self.assertEqual(self.logs_in("bob", PASSWORD), 401)

    def test_what_is_refused(self):
        for words, said in ((("passwd", "nobody", PASSWORD), "no user of this name"), (("add", "admin", PASSWORD), "is a user of this name"),
                            (("add", "a/b", PASSWORD), "letters, digits"), (("add", "ann", "short"), "8 to 128"),
                            (("add", "ann", PASSWORD, "x", "king"), "administrator or viewer"), (("del", "admin"), "last administrator"),
                            (("del", "nobody"), "no user of this name"), (("passwd", "admin", PASSWORD, "x"), "too many words")):
            with self.subTest(words=words):
                self.assertIn(said, self.ctl(self.broker, *words, status=1))
        self.assertIn("no password", self.ctl(self.broker, "passwd", "admin", status=1))
        self.assertEqual(self.ctl(self.broker, "list"), "admin role=administrator must_change=true\n")

    def test_without_http(self):
        node = self.node()
        self.assertIn("no HTTP API", self.ctl(node, "list", status=1))
        self.assertIn("no HTTP API", self.ctl(node, "passwd", "admin", PASSWORD, status=1))

    def test_no_secret_is_logged(self):
        self.ctl(self.broker, "passwd", "admin", PASSWORD)
        until(lambda: 'ctl run command="admins passwd admin"' in self.broker.log(), 20, self.broker.log)
        for secret in (PASSWORD, "argon2"):
            self.assertNotIn(secret, self.broker.log())


class Cluster(ClusterCase, ApiCase):
    def test_on_all_nodes(self):
        ports = [self.http_port() for _ in range(2)]
        each = {i: {"dashboard.listeners.http.bind": f"127.0.0.1:{p}", "dashboard.listeners.http.enable": True} for i, p in enumerate(ports)}
        nodes = self.cluster(2, each=each)
        self.assertEqual(nodes[0].cli("ctl", "admins", "add", "ann", PASSWORD).stdout, "ok\n")
        until(lambda: Api(ports[1]).login("ann", PASSWORD).status == 200, 20, "the other node does not know her")


if __name__ == "__main__":
    unittest.main()
