# SPDX-License-Identifier: Apache-2.0
"""The servers and tokens that clients are checked with, changed while the node runs and clients are being asked about."""
import os
import subprocess
import threading
import unittest

import harness
import wire
from hook_server import AskedCase, Server, says
from test_jwt import JwtCase
from test_reload_live import ReloadCase

ANSWER = {"request_timeout": "60s"}


def authn(server, **keys):
    return {"authentication.http.url": f"http://127.0.0.1:{server.port}/", **{f"authentication.http.{k}": v for k, v in keys.items()}}


class Gate:
    """An answer that waits until it is let go."""

    def __init__(self, result):
        self.go, self.result = threading.Event(), result

    def __call__(self, *_):
        self.go.wait(60)
        return says(self.result)()


class AuthnServer(ReloadCase):
    def server(self, answer):
        server = Server(answer)
        self.addCleanup(server.stop)
        if isinstance(answer, Gate):
            self.addCleanup(answer.go.set)
        return server

    def comes(self, node, reason=0, **connect):
        client = node.client()
        self.addCleanup(client.close)
        client.connect(expect=reason, **{"client_id": "c", "username": "anna", "password": b"secret", **connect})
        return client

    def begins(self, node, client_id):
        client = node.client()
        self.addCleanup(client.close)
        return client.send(wire.connect(client_id, username="anna", password=b"secret"))

    def test_another_server(self):
        """Its answers are not remembered for the next one; whoever is connected stays."""
        old, new = self.server(says("allow")), self.server(says("deny"))
        node = self.running(authn(old, cache_ttl="1h"))
        stays = self.comes(node, client_id="stays")
        for _ in range(2):
            self.comes(node)
        self.assertEqual(len(old.asked), 2)
        self.assertEqual(self.reload(node, authn(new)), ["changed authentication.http.url: (hidden) -> (hidden)"])
        self.comes(node, 0x87)
        self.assertEqual((len(old.asked), len(new.asked)), (2, 1))
        self.assertEqual(self.reload(node, authn(old)), ["changed authentication.http.url: (hidden) -> (hidden)"])
        self.comes(node)
        self.assertEqual(len(old.asked), 3)
        stays.barrier()

    def test_all_keys(self):
        server = self.server(says("allow"))
        node = self.running(authn(server))
        lines = self.reload(node, authn(server, method="get", headers=["X-Key: 1"], request_timeout="2s", pool_size=2,
                                        cache_ttl="1m", on_failure="ignore", body="${clientid}"))
        self.assertEqual(sorted(lines), [
            r'changed authentication.http.body: {\x22clientid\x22:\x22${clientid}\x22,\x22username\x22:\x22${username}\x22,'
            r"\x22password\x22:\x22${password}\x22} -> (hidden)",
            "changed authentication.http.cache_ttl: 0s -> 1m", "changed authentication.http.headers: [] -> (hidden)",
            "changed authentication.http.method: post -> get", "changed authentication.http.on_failure: refuse -> ignore",
            "changed authentication.http.pool_size: 8 -> 2", "changed authentication.http.request_timeout: 5s -> 2s"])
        self.comes(node)
        self.comes(node)
        self.assertEqual([(method, headers["X-Key"]) for method, _, headers, _ in server.asked], [("GET", "1")])

    def test_who_waits_is_answered_by_whom_it_was_asked_of(self):
        gate = Gate("allow")
        old, new = self.server(gate), self.server(says("deny"))
        node = self.running(authn(old, pool_size=2, **ANSWER))
        waiting = [self.begins(node, f"w{i}") for i in range(6)]
        harness.until(lambda: len(old.asked) == 2, 20, "two questions under way")
        self.reload(node, authn(new))
        self.comes(node, 0x87)
        gate.go.set()
        self.assertEqual([c.recv(wire.CONNACK).reason for c in waiting], [0] * 6)
        self.assertEqual((len(old.asked), len(new.asked)), (6, 1))
        self.reload(node, authn(old))    # the threads of the first one have ended, or end now
        self.comes(node)

    def test_a_server_that_hangs_is_replaced(self):
        """Nobody waits for the requests that it holds; it was left alone, the next one is not."""
        hung, new = self.server(lambda *_: None), self.server(says("allow"))
        node = self.running(authn(hung, request_timeout="100ms", pool_size=1))
        for _ in range(5):
            self.comes(node, 0x88)
        harness.until(lambda: "authentication_server" in self.alarms(node), 20, "the alarm")
        self.reload(node, authn(hung, **ANSWER))
        waiting = self.begins(node, "w")
        harness.until(lambda: len(hung.asked) == 6, 20, "a question under way: the breaker has closed")
        self.reload(node, authn(new))
        for _ in range(3):
            self.comes(node)
        harness.until(lambda: "authentication_server" not in self.alarms(node), 20, "no alarm")
        hung.stop()
        self.assertEqual(waiting.recv(wire.CONNACK).reason, 0x88)

    def test_the_node_ends_while_an_old_server_hangs(self):
        hung, new = self.server(lambda *_: None), self.server(says("allow"))
        node = self.running(authn(hung, **ANSWER))
        self.begins(node, "w")
        harness.until(lambda: hung.asked, 20, "a question under way")
        self.reload(node, authn(new))
        self.assertEqual(node.stop(), 0)

    def test_on_and_off(self):
        """Without it whoever comes from this machine is let in, as at the start."""
        server = self.server(says("deny"))
        node = self.running()
        self.connected(node)
        self.assertEqual(self.reload(node, authn(server)), ["changed authentication.http.url:  -> (hidden)"])
        self.comes(node, 0x87)
        self.comes(node, 0x87, username=None, password=None)
        self.assertEqual(self.reload(node, {"authentication.http.url": None}), ["changed authentication.http.url: (hidden) -> "])
        self.connected(node)
        self.assertEqual(len(server.asked), 2)

    def test_off_while_clients_wait(self):
        gate = Gate("deny")
        server = self.server(gate)
        node = self.running(authn(server, pool_size=1, **ANSWER))
        waiting = [self.begins(node, f"w{i}") for i in range(3)]
        harness.until(lambda: server.asked, 20, "a question under way")
        self.reload(node, {"authentication.http.url": None})
        gate.go.set()
        self.assertEqual([c.recv(wire.CONNACK).reason for c in waiting], [0x87] * 3)

    def test_a_wrong_one_is_kept_out(self):
        server = self.server(says("deny"))
        node = self.running(authn(server))
        for keys, said in (({"url": "ftp://x/"}, "authentication.http.url"), ({"url": "http://${clientid}/"}, "authentication.http.url"),
                           ({"body": "${topic}"}, "authentication.http.body"), ({"headers": ["none"]}, "authentication.http.headers"),
                           ({"ssl.cacertfile": "/nowhere/ca.pem"}, "/nowhere/ca.pem"), ({"pool_size": 0}, "authentication.http.pool_size")):
            node.configure({**authn(server), **{f"authentication.http.{k}": v for k, v in keys.items()}, **self.base(node)})
            self.assertIn(said, self.refused(node))
            self.comes(node, 0x87)
        harness.until(lambda: "configuration" in self.alarms(node), 20, "the alarm")
        node.configure({**authn(server), **self.base(node)})
        self.assertEqual(self.ctl(node, "reload").returncode, 0)
        harness.until(lambda: "configuration" not in self.alarms(node), 20, "no alarm")

    def base(self, node):
        return {k: v for k, v in node.settings.items() if not k.startswith("authentication.")}

    def test_again_and_again_under_load(self):
        """Clients come all the while; each is answered by one of the servers."""
        servers = [self.server(says("allow")), self.server(says("allow"))]
        node = self.running({"node.workers": 2, **authn(servers[0], pool_size=2)})
        stop, seen = threading.Event(), []

        def come(name):
            while not stop.is_set():
                client = node.client()
                client.send(wire.connect(name, username="anna", password=b"secret"))
                seen.append(client.recv(wire.CONNACK).reason)
                client.close()
        threads = [threading.Thread(target=come, args=(f"t{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        try:
            for i in range(1, 9):
                before = len(servers[i % 2].asked)
                self.reload(node, authn(servers[i % 2]))
                harness.until(lambda b=before, n=i % 2: len(servers[n].asked) > b, 20, "questions to the new server")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(set(seen), {0})


    def test_secrets_are_not_shown(self):
        node = self.running()
        lines = self.reload(node, {"authentication.http.url": "http://127.0.0.1:1/hush", "authentication.http.headers": '["X-Key: hush"]'})
        self.assertIn("changed authentication.http.headers: [] -> (hidden)", lines)
        self.assertNotIn("hush", node.log())

    def test_the_password_file(self):
        node = self.running()
        users = os.path.join(node.dir, "users")
        subprocess.run([harness.program(), "passwd", "create", "--file", users], check=True, env=harness.environment())
        self.connected(node)
        self.assertEqual(self.reload(node, {"authentication.password_file": users}), [f"changed authentication.password_file:  -> {users}"])
        self.comes(node, 0x86)
        self.comes(node, 0x87, username=None, password=None)
        self.reload(node, {"authentication.password_file": None})
        self.connected(node)


class AuthzServer(AskedCase):
    reload, ctl, refused, alarms = ReloadCase.reload, ReloadCase.ctl, ReloadCase.refused, ReloadCase.alarms

    def another(self, answer):
        server = Server(answer)
        self.addCleanup(server.stop)
        return server

    def url(self, server):
        return {"authorization.http.url": f"http://127.0.0.1:{server.port}/"}

    def test_another_server(self):
        """Verdicts of the first one are not remembered."""
        node = self.asked_node("allow all subscribe #\n")
        client, new = self.connected(node), self.another(says("deny"))
        for _ in range(2):
            client.publish("yes/x", qos=1)
        self.assertEqual(self.topics_asked(), ["yes/x"])
        self.assertEqual(self.reload(node, self.url(new)), ["changed authorization.http.url: (hidden) -> (hidden)"])
        client.publish("yes/x", qos=1, expect=(0x87,))
        self.assertEqual(len(new.asked), 1)
        self.assertEqual(self.topics_asked(), ["yes/x"])

    def test_what_waits_is_answered_by_whom_it_was_asked_of(self):
        """And counts for that packet alone."""
        node = self.asked_node("allow all subscribe #\n", {"node.workers": 1}, **ANSWER)
        client, new = self.connected(node), self.another(says("deny"))
        client.send(wire.publish("wait/x", b"", 1, 5) + wire.publish("wait/x", b"", 1, 6))
        self.wait_asked("wait/x")
        self.reload(node, self.url(new))
        self.connected(node).publish("yes/x", qos=1, expect=(0x87,))
        self.answers.go.set()
        self.assertIn(client.recv(wire.PUBACK).reason, (0, 0x10))
        self.assertEqual(client.recv(wire.PUBACK).reason, 0x87)
        self.assertEqual(self.topics_asked(), ["wait/x"])

    def test_a_long_subscribe(self):
        """The filters that are not asked about yet are for the new server."""
        node = self.asked_node("allow all publish #\n", {"node.workers": 1}, **ANSWER)
        client, new = self.connected(node), self.another(says("deny"))
        client.send(wire.subscribe(7, [(f"wait/{i}", 0) for i in range(10)]))
        for i in range(4):
            self.wait_asked(f"wait/{i}")
        self.reload(node, self.url(new))
        self.connected(node).subscribe("x", expect=(0x87,))
        self.answers.go.set()
        self.assertEqual(client.recv(wire.SUBACK).reasons, [0] * 4 + [0x87] * 6)

    def test_a_server_that_hangs_is_replaced(self):
        node = self.asked_node("allow all subscribe #\n", {"node.workers": 1}, pool_size=1, **ANSWER)
        waiting, client, new = self.connected(node), self.connected(node), self.another(says("allow"))
        waiting.send(wire.publish("hang/x", b"", 1, 5))
        self.wait_asked("hang/x")
        self.reload(node, self.url(new))
        client.publish("hang/x", qos=1)
        self.server.stop()
        self.assertEqual(waiting.recv(wire.PUBACK).reason, 0x87)
        self.assertEqual(node.stop(), 0)

    def test_on_and_off(self):
        node = self.node()
        client = self.connected(node)
        client.publish("no/x", qos=1)
        self.assertEqual(self.reload(node, self.keys()), ["changed authorization.http.url:  -> (hidden)"])
        client.publish("no/x", qos=1, expect=(0x87,))
        client.publish("yes/x", qos=1)
        client.subscribe("yes/#")
        self.reload(node, {"authorization.http.url": None})
        client.publish("no/x", qos=1)
        client.publish("yes/y", b"y", qos=1)
        self.assertEqual(client.recv_publish().payload, b"y")
        self.assertIn("everybody may", node.cli("ctl", "acl", "list").stdout + node.cli("ctl", "acl", "list").stderr)

    def test_off_while_packets_wait(self):
        """Then the rules alone hold for them, and what the server still says counts for nothing."""
        node = self.asked_node("allow all subscribe #\n", {"node.workers": 1}, **ANSWER)
        client, will = self.connected(node), node.client()
        self.addCleanup(will.close)
        client.send(wire.publish("wait/x", b"", 1, 5))
        will.send(wire.connect("w", will=wire.Will("wait/w", b"")))
        self.wait_asked("wait/x")
        self.wait_asked("wait/w")
        self.reload(node, {"authorization.http.url": None})
        self.connected(node).publish("yes/x", qos=1, expect=(0x87,))
        self.answers.go.set()
        self.assertEqual(client.recv(wire.PUBACK).reason, 0x87)
        self.assertEqual(will.recv(wire.CONNACK).reason, 0x87)
        self.answers.go.clear()
        self.reload(node, self.keys())
        self.answers.late = "deny"
        self.answers.go.set()
        client.publish("wait/x", qos=1, expect=(0x87,))
        client.publish("yes/x", qos=1)

    def test_a_wrong_one_is_kept_out(self):
        node = self.asked_node()
        node.configure({**node.settings, "authorization.http.body": "${password}"})
        self.assertIn("authorization.http.body", self.refused(node))
        client = self.connected(node)
        client.publish("yes/x", qos=1)
        client.publish("no/x", qos=1, expect=(0x87,))


class Tokens(JwtCase):
    reload, ctl, refused, alarms = ReloadCase.reload, ReloadCase.ctl, ReloadCase.refused, ReloadCase.alarms
    OTHER = b"another secret, as long"

    def test_another_file(self):
        node = self.secret_node()
        stays = self.comes_in(node, self.token({}))
        self.assertEqual(len(self.reload(node, {"authentication.jwt.secret_file": self.write("other", self.OTHER)})), 1)
        self.is_refused(node, self.token({}))
        self.comes_in(node, self.token({}, key=self.OTHER), client_id="d")
        del stays
        node.configure({**node.settings, "authentication.jwt.secret_file": self.write("short", "short")})
        self.assertIn("authentication", self.refused(node))
        self.comes_in(node, self.token({}, key=self.OTHER), client_id="d")
        harness.until(lambda: "password_file" in self.alarms(node), 20, "the alarm")

    def test_from_a_secret_to_a_public_key(self):
        node, pub = self.secret_node(), self.make_key("ES256", "ec")
        self.reload(node, {"authentication.jwt.secret_file": None, "authentication.jwt.public_key_file": pub})
        self.is_refused(node, self.token({}))
        self.comes_in(node, self.token({}, "ES256", "ec"))

    def test_what_is_looked_at(self):
        node = self.secret_node()
        lines = self.reload(node, {"authentication.jwt.verify_claims": ["sub=${username}"], "authentication.jwt.leeway": "1m",
                                   "authentication.jwt.username_claim": "name", "authentication.jwt.acl_claim": "rules"})
        self.assertEqual(len(lines), 4, lines)
        self.is_refused(node, self.token({"sub": "bob", "name": "n"}))
        client = self.comes_in(node, self.token({"sub": "anna", "name": "n", "rules": {"pub": ["a"]}}))
        client.publish("a", qos=1)
        client.publish("b", qos=1, expect=(0x87,))
        self.reload(node, {"authentication.jwt.from": "username", "authentication.jwt.verify_claims": None,
                           "authentication.jwt.username_claim": None})
        self.comes_in(node, b"", username=self.token({}).decode())

    def test_on_and_off(self):
        node = self.node()
        self.connected(node)
        self.reload(node, {"authentication.jwt.secret_file": self.write("secret", b"a secret that is long enough")})
        self.comes_in(node, self.token({}))
        anonymous = node.client()
        self.addCleanup(anonymous.close)
        anonymous.connect("a", expect=0x87)
        self.reload(node, {"authentication.jwt.secret_file": None})
        self.connected(node)


if __name__ == "__main__":
    unittest.main()
