# SPDX-License-Identifier: Apache-2.0
"""Who may not come in: bans by hand and by flapping detection, on one node and on all nodes of a cluster."""
import socket
import time
import unittest

from cluster import ClusterCase
from harness import Case, until
from mqttlib import unique
from wire import *  # noqa: F403

BANNED, ADMINISTRATIVE = 0x8A, 0x98
WAIT = 20


def is_refused(node, client_id, version=V5, **options):
    with node.client(version=version) as client:
        return client.connect(client_id, expect=None, **options).reason == (BANNED if version == V5 else 5)


def figure(node, table, name):
    lines = node.cli("ctl", "broker", table).stdout.splitlines()
    return next(int(line.split(":")[1]) for line in lines if line.split(":")[0].strip() == name)


def metric(node, name):
    return figure(node, "metrics", name)


def stat(node, name):
    return figure(node, "stats", name)


class Banning(Case):
    def ban(self, node, *words, status=0):
        done = node.cli("ctl", "ban", *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout


class OneNode(Banning):
    def setUp(self):
        self.needs_covey()

    def test_refused_with_the_code_of_each_version(self):
        node, client_id = self.node(), unique("c")
        self.assertEqual(self.ban(node, "add", "clientid", client_id), "ok\n")
        for version in (V31, V311):
            with node.client(version=version) as client:
                client.connect(client_id, expect=5)
                client.expect_closed()
        with node.client() as client:
            client.send(connect(client_id))
            client.expect_refused(BANNED)
        self.connected(node, client_id + "x")
        self.assertEqual(metric(node, "client.refused.banned"), 3)
        self.assertIn('client banned peer=127.0.0.1', node.log())
        self.assertEqual(self.ban(node, "del", "clientid", client_id), "ok\n")
        self.connected(node, client_id)

    def test_each_kind_ends_connections_and_keeps_out(self):
        """Of two clients that differ in what is banned, the one goes and the other stays."""
        node = self.node()
        for kind, who, banned, other in (
                ("clientid", "c1", dict(client_id="c1"), dict(client_id="c2")),
                ("username", "u1", dict(username="u1"), dict(username="u2")),
                ("clientid_re", "^bot-[0-9]+$", dict(client_id="bot-7"), dict(client_id="bot-x")),
                ("username_re", "(?i)GUEST", dict(username="a guest"), dict(username="ghost"))):
            with self.subTest(kind):
                def options(of):
                    return of.get("client_id") or unique("c"), {k: v for k, v in of.items() if k != "client_id"}
                clients = []
                for of in (banned, other):
                    name, more = options(of)
                    clients.append(self.connected(node, name, connect=more))
                self.ban(node, "add", kind, who)
                clients[0].expect_disconnect(ADMINISTRATIVE)
                clients[1].barrier()
                name, more = options(banned)
                self.assertTrue(is_refused(node, name, **more))
                name, more = options(other)
                self.assertFalse(is_refused(node, name, **more))
                self.ban(node, "del", kind, who)
                name, more = options(banned)
                self.assertFalse(is_refused(node, name, **more))

    def test_addresses_and_networks(self):
        node = self.node()

        def refused(source):
            sock = socket.create_connection(("127.0.0.1", node.port), 10, (source, 0))
            with node.client(sock=sock) as client:
                return client.connect(expect=None).reason == BANNED
        self.ban(node, "add", "peerhost", "127.0.0.9")
        self.ban(node, "add", "peerhost_net", "127.9.255.255/16")
        self.assertEqual([refused(a) for a in ("127.0.0.9", "127.0.0.8", "127.9.1.2", "127.10.0.1")],
                         [True, False, True, False])
        self.assertIn("as=peerhost_net, who=127.9.0.0/16,", self.ban(node, "list"))
        self.ban(node, "del", "peerhost_net", "127.9.0.0/16")
        self.assertFalse(refused("127.9.1.2"))

    def test_an_end_and_a_list(self):
        node = self.node()
        self.ban(node, "add", "clientid", "a, (b)\n", "--for", "1h", "--reason", "too loud")
        self.ban(node, "add", "username", "soon", "--for", "1s")
        out = self.ban(node, "list")
        self.assertIn("Banned(as=clientid, who=a\\x2c \\x28b\\x29\\x0a, by=ctl, reason=too loud, at=20", out)
        self.assertTrue(is_refused(node, unique("c"), username="soon") or time.sleep(1))
        until(lambda: not is_refused(node, unique("c"), username="soon"), WAIT, "the ban does not end")
        self.assertEqual(self.ban(node, "list").count("Banned("), 1)

    def test_what_is_no_ban_is_said(self):
        node = self.node()
        for words in (("add", "clientid_re", "("), ("add", "peerhost", "10.0.0"), ("add", "peerhost_net", "10.0.0.0/33"),
                      ("add", "nobody", "x"), ("add", "clientid", "x", "--for", "soon"),
                      ("add", "clientid", "x", "--for"), ("del", "clientid", "x"), ("add", "clientid")):
            with self.subTest(words):
                self.assertTrue(self.ban(node, *words, status=1))
        self.assertEqual(self.ban(node, "list"), "")

    def test_it_is_kept_over_kill(self):
        node = self.node()
        self.ban(node, "add", "clientid_re", "^x")
        self.ban(node, "add", "clientid", "y" * 60000)
        self.ban(node, "add", "clientid", "z")
        self.ban(node, "del", "clientid", "z")
        node.kill()
        node.start()
        self.assertTrue(is_refused(node, "xx") and is_refused(node, "y" * 60000))
        self.assertFalse(is_refused(node, "z"))
        self.assertEqual(self.ban(node, "list").count("Banned("), 2)


class Flapping(Banning):
    """Row 21 of the hostile inputs: one client id again and again."""

    def setUp(self):
        self.needs_covey()

    def test_same_client_id_from_two_connections(self):
        node = self.node({"flapping_detect.enable": True, "flapping_detect.max_count": 10,
                          "flapping_detect.ban_time": "1h"})
        other = self.connected(node)
        reasons = []
        deadline = time.monotonic() + WAIT
        client = None
        while BANNED not in reasons:
            self.assertLess(time.monotonic(), deadline, reasons)
            last, client = client, node.client()
            self.addCleanup(client.close)
            reasons.append(client.connect("flip", expect=None).reason)
            if last and reasons[-1] == 0:       # takeover each time
                last.expect_disconnect(0x8E, ADMINISTRATIVE, reason_string=False)
        self.assertGreater(len(reasons), 10)
        self.assertIn("by=flapping detector, reason=flapping is detected", self.ban(node, "list"))
        self.assertEqual(metric(node, "client.flapping"), 1)
        other.barrier()
        self.ban(node, "del", "clientid", "flip")
        self.connected(node, "flip")

    def test_off_by_default(self):
        node = self.node()
        for _ in range(40):
            with node.client() as client:
                client.connect("flip")
        self.assertEqual(self.ban(node, "list"), "")

    def test_a_thousand_takeovers_leave_nothing_behind(self):
        node = self.node()
        clients = [node.client(), node.client()]
        for n in range(1000):
            clients[n % 2].close()
            clients[n % 2] = node.client()
            clients[n % 2].connect("flip")
        clients[1].barrier()
        until(lambda: stat(node, "connections.count") == 1, WAIT,
              lambda: node.cli("ctl", "broker", "stats").stdout)
        self.assertEqual(stat(node, "sessions.count"), 1)
        for client in clients:
            client.close()


class ThreeNodes(Banning, ClusterCase):
    def seconds_to_node_3(self, nodes, client_id):
        """From when the ban is in force on node 1."""
        self.ban(nodes[0], "add", "clientid", client_id)
        start = time.monotonic()
        until(lambda: is_refused(nodes[2], client_id), WAIT, "node 3 lets it in")
        return time.monotonic() - start

    def test_banned_on_one_node_refused_by_another_within_a_second(self):
        nodes = self.cluster(3)
        here, there = self.connected(nodes[2], "c1"), self.connected(nodes[1], "c2", connect={"username": "u"})
        self.ban(nodes[0], "add", "clientid", "c1")
        until(lambda: is_refused(nodes[2], "c1"), WAIT, "node 3 lets it in")
        here.expect_disconnect(ADMINISTRATIVE, 0x8E)
        self.ban(nodes[0], "add", "username", "u")
        there.expect_disconnect(ADMINISTRATIVE)
        self.assertTrue(all(is_refused(node, "c1") for node in nodes))
        self.assertLess(min(self.seconds_to_node_3(nodes, f"fast{n}") for n in range(5)), 1)
        self.ban(nodes[1], "del", "clientid", "c1")     # by another node
        for node in nodes:
            until(lambda n=node: not is_refused(n, "c1"), 10, "it is still out")

    def test_a_node_that_was_away_learns_and_does_not_bring_back(self):
        nodes = self.cluster(3)
        self.ban(nodes[0], "add", "clientid", "lifted")
        for n in range(3):
            until(lambda n=n: is_refused(nodes[n], "lifted"), WAIT, "node lets it in")
        nodes[2].kill()
        self.ban(nodes[1], "del", "clientid", "lifted")
        self.ban(nodes[1], "add", "clientid_re", "^new")
        nodes.start([2])
        until(lambda: is_refused(nodes[2], "new1"), WAIT, "the node that was away lets it in")
        until(lambda: not is_refused(nodes[2], "lifted"), WAIT, "the old ban is still there")
        for node in nodes:
            self.assertEqual(self.ban(node, "list").count("Banned("), 1)

    def test_all_of_them_after_all_were_stopped(self):
        nodes = self.cluster(3)
        for n in range(1200):
            if n % 400 == 0:
                self.ban(nodes[n // 400], "add", "clientid", f"c{n}")
        for node in nodes:
            until(lambda n=node: all(is_refused(n, f"c{i}") for i in (0, 400, 800)), WAIT, "not all are there")
        for node in nodes:
            node.stop()
        nodes.start()
        for node in nodes:
            self.assertTrue(all(is_refused(node, f"c{i}") for i in (0, 400, 800)))


if __name__ == "__main__":
    unittest.main()
