# SPDX-License-Identifier: Apache-2.0
"""Users, API keys and logins of the HTTP API are the same on all nodes: whatever is done on one holds on the others when it
is answered, and when they were away, as soon as they are back."""
import os
import subprocess
import unittest

import cluster
from api import PASSWORD, Api, ApiCase, cluster_password, first_password
from cluster import Cluster, ClusterCase
from harness import until
from netns import Bridge, inside
from test_cluster_upgrade import speaking

WAIT = 20
SUBNET = "10.79.0"


class UsersCase(ClusterCase, ApiCase):
    def nodes_with_api(self, start=True, secret=None, without_http=()):
        self.ports = [self.http_port() for _ in range(3)]
        each = {i: {"dashboard.listeners.http.bind": f"127.0.0.1:{p}", "dashboard.listeners.http.enable": i not in without_http}
                for i, p in enumerate(self.ports)}
        self.nodes = self.cluster(3, {"cluster.secret_file": secret} if secret else None, each=each, start=start)
        self.open = [Api(port) for port in self.ports]
        return self.nodes

    def begin(self, **options):
        """admin, who has chosen PASSWORD, on each node: by a login there."""
        nodes = self.nodes_with_api(**options)
        self.choose(cluster_password([n for n in nodes if self.has_api(n)]))
        at = [i for i, node in enumerate(nodes) if self.has_api(node)]
        self.comes(lambda: self.logins("admin", PASSWORD, at), [200] * len(at))
        self.admins = [self.open[i].logged_in("admin", PASSWORD) if i in at else None for i in range(3)]
        return nodes

    def has_api(self, node):
        return node.settings["dashboard.listeners.http.enable"]

    def choose(self, first, i=0, password=PASSWORD):
        answer = self.open[i].logged_in("admin", first).post("/users/admin/change_pwd", {"old_pwd": first, "new_pwd": password})
        self.assertEqual(answer.status, 204, answer)

    def user(self, i, name, password="a password", role="administrator"):
        answer = self.admins[i].post("/users", {"username": name, "password": password, "role": role})
        self.assertEqual(answer.status, 200, answer)

    def status(self, api):
        return api.get("/nodes").status

    def comes(self, ask, expected):
        """A change is at the other nodes when it is answered, unless they take more than a second for it."""
        until(lambda: ask() == expected, WAIT, lambda: f"{ask()} is not {expected}")

    def statuses(self, token, at=(0, 1, 2)):
        return [self.status(Api(self.ports[i], token)) for i in at]

    def logins(self, name, password, at=(0, 1, 2)):
        return [self.open[i].login(name, password).status for i in at]


class First(UsersCase):
    def files(self):
        return [os.path.exists(os.path.join(node.data, "admin_password")) for node in self.nodes]

    def one_password(self, secret):
        nodes = self.nodes_with_api(secret=secret)
        password = cluster_password(nodes)
        self.comes(lambda: self.logins("admin", password), [200] * 3)
        self.choose(password, 1)
        until(lambda: not any(self.files()), WAIT, self.files)
        self.comes(lambda: self.logins("admin", password), [401] * 3)
        self.comes(lambda: self.logins("admin", PASSWORD), [200] * 3)
        for node in nodes:
            self.assertNotIn(password, node.log())

    def test_three_that_start_at_once_have_one(self):
        self.one_password(cluster.secret())

    def test_on_loopback_without_a_secret(self):
        self.one_password(None)

    def test_it_is_not_made_twice(self):
        """A node without a user that joins later has those of the others, changed or not."""
        nodes = self.nodes_with_api(start=False)
        nodes.start([0, 1])
        password = cluster_password(nodes.nodes[:2])
        nodes.start([2])
        self.assertEqual(cluster_password(nodes), password)
        nodes[2].stop()
        subprocess.run(["rm", "-r", nodes[2].data], check=True)
        self.choose(password)
        os.mkdir(nodes[2].data)
        nodes.start([2])
        until(lambda: not self.files()[2], WAIT, self.files)
        self.comes(lambda: self.logins("admin", PASSWORD), [200] * 3)
        self.assertEqual([u["username"] for u in self.open[2].logged_in("admin", PASSWORD).get("/users").data], ["admin"])

    def test_the_file_comes_back(self):
        """Lost with a node's folder, or by hand, it is made again from what the others know."""
        nodes = self.nodes_with_api()
        password = cluster_password(nodes)
        nodes[1].stop()
        os.unlink(os.path.join(nodes[1].data, "admin_password"))
        nodes.start([1])
        until(lambda: self.files()[1], WAIT, self.files)
        self.assertEqual(first_password(nodes[1]), password)


class Everywhere(UsersCase):
    def test_logins(self):
        self.begin()
        for i in range(3):
            token = self.open[i].logged_in("admin", PASSWORD).token
            self.comes(lambda: self.statuses(token), [200] * 3)
            other = (i + 1) % 3
            self.assertEqual(Api(self.ports[other], token).post("/logout", {}).status, 204)
            self.comes(lambda: self.statuses(token), [401] * 3)
        self.assertEqual([self.status(api) for api in self.admins], [200] * 3)

    def test_users(self):
        self.begin()
        self.user(0, "ann", "her password")
        ann = self.open[1].logged_in("ann", "her password")
        self.comes(lambda: self.statuses(ann.token), [200] * 3)
        body = {"role": "viewer", "description": "Ann of plant 3"}
        self.assertEqual(self.admins[2].put("/users/ann", body).status, 200)
        for i in range(3):
            found, = [u for u in self.admins[i].get("/users").data if u["username"] == "ann"]
            self.assertEqual({k: found[k] for k in body}, body)
            self.refused(Api(self.ports[i], ann.token).post("/publish", {"topic": "t", "payload": ""}), 403, "FORBIDDEN")
        change = {"old_pwd": "her password", "new_pwd": "another password"}
        self.assertEqual(Api(self.ports[2], ann.token).post("/users/ann/change_pwd", change).status, 204)
        self.comes(lambda: self.statuses(ann.token), [401] * 3)
        self.comes(lambda: self.logins("ann", "her password"), [401] * 3)
        ann = self.open[0].logged_in("ann", "another password")
        self.refused(self.admins[1].post("/users", {"username": "ann", "password": "p" * 9, "role": "viewer"}), 400, "ALREADY_EXISTS")
        self.assertEqual(self.admins[1].delete("/users/ann").status, 204)
        self.comes(lambda: self.statuses(ann.token), [401] * 3)
        self.comes(lambda: self.logins("ann", "another password"), [401] * 3)
        self.refused(self.admins[0].delete("/users/ann"), 404, "USER_NOT_FOUND")
        self.user(2, "ann", "her password")       # another one of that name
        self.comes(lambda: self.statuses(ann.token), [401] * 3)
        self.comes(lambda: self.logins("ann", "her password"), [200] * 3)

    def test_keys(self):
        self.begin()
        made = self.admins[0].post("/api_key", {"name": "script", "role": "viewer", "desc": "for plant 3", "enable": True,
                                                "expired_at": "2099-01-01T00:00:00Z"})
        self.assertEqual(made.status, 200, made)
        key = (made.data["api_key"], made.data["api_secret"])
        statuses = lambda: [self.status(Api(port, key=key)) for port in self.ports]  # noqa: E731
        self.comes(statuses, [200] * 3)
        shown = {k: v for k, v in made.data.items() if k != "api_secret"}
        for api in self.admins:
            self.assertEqual(api.get("/api_key/script").data, shown)
        self.assertEqual(self.admins[1].put("/api_key/script", {"enable": False}).status, 200)
        self.comes(statuses, [401] * 3)
        self.assertEqual(self.admins[2].put("/api_key/script", {"enable": True}).status, 200)
        self.comes(statuses, [200] * 3)
        self.assertEqual(self.admins[1].put("/api_key/script", {"expired_at": "2001-01-01T00:00:00Z"}).status, 200)
        self.comes(statuses, [401] * 3)
        self.assertEqual(self.admins[2].delete("/api_key/script").status, 204)
        for api in self.admins:
            self.assertEqual(api.get("/api_key").data, [])

    def test_wrong_passwords_count_together(self):
        self.begin()
        answers = [self.open[i % 3].login("admin", f"guess {i}").status for i in range(15)]
        self.assertEqual(answers[:9], [401] * 9)
        until(lambda: all(429 in self.logins("admin", "guess", [i]) for i in range(3)), WAIT, answers)

    def test_a_node_without_http(self):
        """It has no part in it and holds nobody up."""
        self.begin(without_http={1})
        self.user(0, "ann", "her password")
        token = self.open[2].logged_in("ann", "her password").token
        self.comes(lambda: self.statuses(token, (0, 2)), [200] * 2)
        self.assertFalse(os.path.exists(os.path.join(self.nodes[1].data, "admin_password")))


class Upgrade(UsersCase):
    def test_an_old_node(self):
        """It has users of its own, until it is a new one."""
        nodes = self.nodes_with_api(start=False)
        nodes[0].program = speaking(1)
        nodes.start()
        old = first_password(nodes[0])
        self.choose(cluster_password(nodes.nodes[1:]), 1)
        self.comes(lambda: self.logins("admin", PASSWORD), [401, 200, 200])
        self.comes(lambda: self.logins("admin", old), [200, 401, 401])
        admin = self.open[1].logged_in("admin", PASSWORD)
        self.comes(lambda: self.statuses(admin.token), [401, 200, 200])
        self.choose(old, 0, "of the old node")
        self.admins = [None, admin, None]
        self.user(1, "ann", "a password")
        nodes[0].stop()
        nodes[0].program = None
        nodes.start([0])
        until(lambda: self.logins("ann", "a password") == [200] * 3, WAIT, "not upgraded")
        until(lambda: self.logins("admin", "of the old node") == [200] * 3, WAIT, "the last one who chose a password")
        self.comes(lambda: self.logins("admin", PASSWORD), [401] * 3)


class Away(UsersCase):
    def test_a_node_that_was_away(self):
        """What was deleted meanwhile stays so, also when the node with the older table is the one that was up last."""
        nodes = self.begin()
        for name in ("stays", "goes", "changes"):
            self.user(0, name, "a password")
        out, lasting = (self.open[0].logged_in("stays", "a password").token for _ in range(2))
        nodes[2].kill()
        until(lambda: nodes.links(0)[nodes.name(2)]["link"] == "down", WAIT, nodes.told)
        self.assertEqual(self.admins[0].delete("/users/goes").status, 204)
        self.user(1, "comes", "a password")
        change = {"old_pwd": "a password", "new_pwd": "another password"}
        self.assertEqual(self.admins[0].post("/users/changes/change_pwd", change).status, 204)
        self.assertEqual(Api(self.ports[0], out).post("/logout", {}).status, 204)
        nodes.start([2])
        self.holds(lasting, out)
        for node in nodes:
            node.kill()
        nodes.start()
        self.holds()

    def holds(self, lasting=None, out=None):
        names = ["admin", "changes", "comes", "stays"]
        def found():
            apis = [api.login("admin", PASSWORD) for api in self.open]
            return [sorted(u["username"] for u in Api(p, a.data["token"]).get("/users").data) for p, a in zip(self.ports, apis)]
        until(lambda: found() == [names] * 3, WAIT, found)
        for name, password in (("stays", "a password"), ("comes", "a password"), ("changes", "another password")):
            self.assertEqual(self.logins(name, password), [200] * 3, name)
        self.comes(lambda: self.logins("goes", "a password") + self.logins("changes", "a password"), [401] * 6)
        if lasting:
            until(lambda: self.statuses(lasting) == [200] * 3, WAIT, "a login that a node missed")
            self.comes(lambda: self.statuses(out), [401] * 3)

    def test_with_an_older_table(self):
        """A node that alone starts from a copy made before users were deleted, and others come to it."""
        nodes = self.begin()
        self.user(0, "goes", "a password")
        nodes[2].stop()
        self.assertEqual(self.admins[0].delete("/users/goes").status, 204)
        for node in nodes.nodes[:2]:
            node.stop()
        nodes[2].start()
        self.comes(lambda: self.logins("goes", "a password", [2]), [200])     # it cannot know
        nodes.start([0, 1])
        until(lambda: self.logins("goes", "a password") == [401] * 3, WAIT, "the deleted user is back")


class Partition(UsersCase):
    @classmethod
    def setUpClass(cls):
        cls.bridge = Bridge(SUBNET)
        cls.addClassCleanup(cls.bridge.remove)

    def at(self, i, call):
        return inside(self.nodes[i].space, lambda: call(Api(18083)))

    def logins(self, name, password, at=(0, 1, 2)):
        return [self.at(i, lambda api: api.login(name, password).status) for i in at]

    def begin(self):
        self.nodes = Cluster(3, {"cluster.probe_interval": "500ms", "dashboard.listeners.http.enable": True,
                                 "dashboard.listeners.http.bind": "127.0.0.1:18083"}, bridge=self.bridge)
        self.addCleanup(self.nodes.remove)
        self.addCleanup(self._show_logs, self.nodes)
        first = cluster_password(self.nodes)
        body = {"old_pwd": first, "new_pwd": PASSWORD}
        self.assertEqual(self.at(0, lambda api: api.logged_in("admin", first).post("/users/admin/change_pwd", body).status), 204)
        return self.nodes

    def call(self, i, name, password, method, path, body=None):
        status = self.at(i, lambda api: api.logged_in(name, password).call(method, path, body).status)
        self.assertIn(status, (200, 204), path)

    def cut(self):
        """The third one from the others."""
        nodes = self.nodes
        nodes.cut(2)
        until(lambda: nodes.links(0)[nodes.name(2)]["link"] == "down" and nodes.links(2)[nodes.name(0)]["link"] == "down", 3 * WAIT,
              nodes.told)

    def mend(self):
        self.nodes.mend(2)
        self.nodes.await_linked(seconds=2 * WAIT)

    def test_two_administrators_delete_each_other(self):
        """Who was deleted last is taken back, everywhere, and stays."""
        nodes = self.begin()
        for name in ("ann", "bob"):
            self.call(0, "admin", PASSWORD, "POST", "/users", {"username": name, "password": "a password", "role": "administrator"})
        self.comes(lambda: self.logins("ann", "a password") + self.logins("bob", "a password"), [200] * 6)
        self.call(0, "ann", "a password", "DELETE", "/users/admin")
        self.cut()
        self.call(0, "ann", "a password", "DELETE", "/users/bob")
        self.call(2, "bob", "a password", "DELETE", "/users/ann")
        self.assertEqual(self.logins("ann", "a password") + self.logins("bob", "a password"), [200, 200, 401, 401, 401, 200])
        self.mend()
        self.comes(lambda: self.logins("ann", "a password"), [200] * 3)
        self.comes(lambda: self.logins("bob", "a password"), [401] * 3)
        self.assertIn("last administrator taken back name=ann", nodes[2].log())
        nodes[1].kill()
        nodes.start([1])
        self.comes(lambda: self.logins("ann", "a password"), [200] * 3)
        refused = self.at(1, lambda api: api.logged_in("ann", "a password").delete("/users/ann"))
        self.refused(refused, 400, "NOT_ALLOWED")
        self.call(1, "ann", "a password", "POST", "/users", {"username": "carl", "password": "a password", "role": "administrator"})
        self.comes(lambda: self.logins("ann", "a password") + self.logins("carl", "a password"), [200] * 6)
        listed = lambda i: self.at(i, lambda api: sorted(u["username"] for u in api.logged_in("carl", "a password").get("/users").data))  # noqa: E731
        self.comes(lambda: [listed(i) for i in range(3)], [["ann", "carl"]] * 3)

    def test_both_sides_go_on(self):
        self.begin()
        user = {"password": "a password", "role": "viewer"}
        as_admin = lambda i, *words: self.call(i, "admin", PASSWORD, *words)  # noqa: E731
        for name in ("both", "goes"):
            as_admin(0, "POST", "/users", {"username": name, **user})
        self.cut()
        as_admin(0, "POST", "/users", {"username": "here", **user})
        as_admin(2, "POST", "/users", {"username": "there", **user})
        as_admin(0, "DELETE", "/users/goes")
        as_admin(0, "POST", "/users/both/change_pwd", {"old_pwd": "a password", "new_pwd": "the former"})
        as_admin(2, "POST", "/users/both/change_pwd", {"old_pwd": "a password", "new_pwd": "the latter"})
        self.comes(lambda: self.logins("there", "a password", [0, 1]), [401] * 2)
        self.mend()
        for name, password, status in (("here", "a password", 200), ("there", "a password", 200), ("goes", "a password", 401),
                                       ("both", "the latter", 200), ("both", "the former", 401)):
            until(lambda n=name, p=password, s=status: self.logins(n, p) == [s] * 3, WAIT, name)


if __name__ == "__main__":
    unittest.main()
