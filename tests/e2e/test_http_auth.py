# SPDX-License-Identifier: Apache-2.0
"""A server is asked about clients: what it is told, what its answers do, and what happens when it gives none."""
import json
import os
import socket
import unittest
import urllib.parse

import harness
import wire
from harness import Case, until
from hook_server import Server, says
from test_passwords import BCRYPT_HASH


class HttpAuth(Case):
    def setUp(self):
        self.needs_covey()

    def asked_node(self, answer, path="/auth", settings=None, start=True, **keys):
        self.server = Server(answer)
        self.addCleanup(self.server.stop)
        keys = {"url": f"http://127.0.0.1:{self.server.port}{path}", **keys}
        node = self.node({**{f"authentication.http.{k}": v for k, v in keys.items()}, **(settings or {})}, start=False)
        return node.start() if start else node

    def file(self, text):
        path = os.path.join(harness.scratch("covey-http-"), "file")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def connects(self, node, reason=0, client_id="c", username="anna", password=b"secret", version=wire.V5):
        client = node.client(version=version)
        self.addCleanup(client.close)
        client.connect(client_id=client_id, username=username, password=password, expect=reason)
        return client

    def test_allow_deny_and_ignore(self):
        node = self.asked_node(says("allow"))
        for version in (wire.V311, wire.V5):
            self.connects(node, version=version).barrier()
        self.server.answer = says("deny")
        client = self.connects(node, 0x87)
        self.assertIn("server that was asked", client.connack.prop(wire.REASON_STRING))
        self.connects(node, 5, version=wire.V311)
        self.server.answer = says("ignore")
        self.connects(node, 0x86)
        self.server.answer = lambda *_: (204, b"")
        self.connects(node)

    def test_answers_that_say_nothing_are_passed_over(self):
        node = self.asked_node(says("allow"))
        for reply in ((200, b""), (200, b"allow"), (200, b'{"result": 1}'), (404, b""), (500, b'{"result":"allow"}'), (200, b"x" * 100000)):
            self.server.answer = lambda *_, r=reply: r
            self.connects(node, 0x86)
        self.assertIn("not understood", node.log())

    def test_what_the_server_is_told(self):
        node = self.asked_node(says("allow"), headers=["Authorization: Bearer key", "X-Covey: 1"])
        self.connects(node, client_id='c"1', username='a\\n"', password='p"},"x":"'.encode())
        method, path, headers, body = self.server.asked[-1]
        self.assertEqual((method, path, headers["Authorization"], headers["X-Covey"], headers["Content-Type"]),
                         ("POST", "/auth", "Bearer key", "1", "application/json"))
        self.assertEqual(json.loads(body), {"clientid": 'c"1', "username": 'a\\n"', "password": 'p"},"x":"'})

    def test_get_with_a_query(self):
        node = self.asked_node(says("allow"), path="/a?c=${clientid}&u=${username}&p=${password}&h=${peerhost}", method="get")
        self.connects(node, client_id="x&y=z", username="ü #", password=b"a+b%")
        _, path, _, body = self.server.asked[-1]
        self.assertEqual(urllib.parse.parse_qs(path.split("?")[1]), {"c": ["x&y=z"], "u": ["ü #"], "p": ["a+b%"], "h": ["127.0.0.1"]})
        self.assertEqual(body, b"")

    def test_a_form(self):
        node = self.asked_node(says("allow"), headers=["Content-Type: application/x-www-form-urlencoded"],
                               body="username=${username}&password=${password}")
        self.connects(node, username="a&b", password=b"c=d")
        self.assertEqual(self.server.asked[-1][3], b"username=a%26b&password=c%3Dd")

    def test_answers_are_remembered(self):
        node = self.asked_node(says("allow"), cache_ttl="1h")
        for _ in range(5):
            self.connects(node)
        self.assertEqual(len(self.server.asked), 1)
        self.connects(node, password=b"other")
        self.connects(node, client_id="d")
        self.assertEqual(len(self.server.asked), 3)
        self.server.answer = says("deny")
        self.connects(node, 0x87, username="eve")
        self.connects(node, 0x87, username="eve")
        self.connects(node)
        self.assertEqual(len(self.server.asked), 4)

    def test_a_server_that_hangs_holds_up_nobody_else(self):
        node = self.asked_node(says("allow"), request_timeout="1s")
        sub, pub = self.connects(node, client_id="sub"), self.connects(node, client_id="pub")
        sub.subscribe("t")
        self.server.answer = lambda *_: None
        waiting = [socket.create_connection(("127.0.0.1", node.port), 30) for _ in range(20)]
        for i, sock in enumerate(waiting):
            self.addCleanup(sock.close)
            sock.sendall(wire.connect(f"w{i}", version=wire.V5, username="u", password=b"p"))
        for i in range(100):
            pub.publish("t", b"%d" % i)
            self.assertEqual(sub.recv_publish().payload, b"%d" % i)
        for sock in waiting:
            self.assertEqual(sock.recv(4, socket.MSG_WAITALL)[3], 0x88)

    def counter(self, node, name):
        return next(int(line.split(":")[1]) for line in node.cli("ctl", "broker", "metrics").stdout.splitlines()
                    if line.split(":")[0].strip() == "authentication.http." + name)

    def test_a_server_that_hangs_holds_up_no_password(self):
        """Passwords have threads and a queue of their own, before the server in the chain and behind it."""
        for order in (["password_file", "http"], ["http", "password_file"]):
            users = self.file(f"anna:{BCRYPT_HASH}\n")
            node = self.asked_node(lambda *_: None, pool_size=1, on_failure="ignore", request_timeout="2s", settings={
                "authentication.password_file": users, "authentication.threads": 1, "authentication.remembered_passwords": 0,
                "listeners.tcp.default.authentication": order})
            waiting = [socket.create_connection(("127.0.0.1", node.port), 60) for _ in range(8)]
            for i, sock in enumerate(waiting):
                self.addCleanup(sock.close)
                sock.sendall(wire.connect(f"w{i}", version=wire.V5, username="nobody", password=b"p"))
            until(lambda: self.server.asked, 20, "a question")
            if order[0] == "password_file":
                self.connects(node)
                self.assertEqual(len(self.server.asked), 1, "the password waited for the server")
            self.server.hangs.set()
            for sock in waiting:
                self.assertEqual(sock.recv(4, socket.MSG_WAITALL)[3], 0x86)
            if order[0] == "http":
                self.server.answer = says("ignore")
                self.connects(node)

    def test_each_outcome_is_counted(self):
        node = self.asked_node(says("allow"), cache_ttl="1h", request_timeout="1s")
        self.connects(node)
        self.connects(node)
        self.server.answer = says("deny")
        self.connects(node, 0x87, username="bob")
        self.connects(node, 0x87, username="bob")
        names = ("allow", "deny", "cache_hit", "failed", "left_alone", "queue_full")
        self.assertEqual({n: self.counter(node, n) for n in names},
                         {"allow": 1, "deny": 1, "cache_hit": 2, "failed": 0, "left_alone": 0, "queue_full": 0})
        self.server.stop()
        for i in range(6):
            self.connects(node, 0x88, username=f"u{i}")
        self.assertEqual((self.counter(node, "failed"), self.counter(node, "left_alone")), (5, 1))

    def test_answers_that_are_passed_over_are_counted(self):
        node = self.asked_node(says("ignore"))
        self.connects(node, 0x86)
        for reply in ((200, b"what?"), (200, b"{}")):
            self.server.answer = lambda *_, r=reply: r
            self.connects(node, 0x86)
        self.assertEqual((self.counter(node, "ignore"), self.counter(node, "malformed")), (1, 2))

    def test_the_rules_do_not_concern_a_superuser(self):
        rules = self.file("allow all subscribe open\ndeny all all secret\n")
        node = self.asked_node(lambda *_: (200, b'{"result": "allow", "is_superuser": true}'), settings={"authorization.file": rules},
                               cache_ttl="1h")
        for client_id in ("root", "root", "root2"):     # asked, remembered, asked
            root = node.client(version=wire.V5)
            self.addCleanup(root.close)
            root.connect(client_id=client_id, username="u", password=b"p", will=wire.Will("secret", b"gone"))
            root.subscribe("secret")
            root.publish("secret", b"x", qos=1)
            self.assertEqual(root.recv_publish().payload, b"x")
        shown = node.cli("ctl", "clients", "show", "root2").stdout
        self.assertIn("is_superuser=true", shown)
        self.server.answer = says("allow")
        anna = self.connects(node, client_id="root3")
        self.assertIn("is_superuser=false", node.cli("ctl", "clients", "show", "root3").stdout)
        anna.publish("secret", b"x", qos=1, expect=(0x87,))
        anna.subscribe("secret", expect=(0x87,))
        # a client that comes back as somebody lesser has lesser rights, in the same session
        root.close()
        again = self.connects(node, client_id="root2", password=b"another")
        again.publish("secret", b"x", qos=1, expect=(0x87,))

    def test_a_stop_does_not_wait_for_the_server(self):
        node = self.asked_node(lambda *_: None, request_timeout="60s")
        sock = socket.create_connection(("127.0.0.1", node.port), 60)
        self.addCleanup(sock.close)
        sock.sendall(wire.connect("w", version=wire.V5, username="u", password=b"p"))
        until(lambda: self.server.asked, 20, "a question")
        self.assertEqual(node.stop(20), 0)

    def test_the_breaker(self):
        node = self.asked_node(says("allow"), request_timeout="1s")
        self.server.stop()
        for _ in range(5):
            self.connects(node, 0x88)
        until(lambda: "authentication_server" in node.cli("ctl", "alarms", "list").stdout, 20, "the alarm")
        self.assertIn("left alone for a while", node.log())
        self.connects(node, 0x88)

    def test_failures_may_be_passed_over(self):
        node = self.asked_node(says("allow"), on_failure="ignore", request_timeout="1s")
        self.server.stop()
        self.connects(node, 0x86)

    def test_no_password_is_told(self):
        node = self.asked_node(says("deny"), settings={"log.level": "debug"})
        self.connects(node, 0x87, password=b"very secret")
        self.assertNotIn("very secret", node.log())

    def test_wrong_configuration_stops_the_start(self):
        for keys, said in (({"url": "ftp://x/"}, "http://"), ({"url": "http://x/?${nme}"}, "placeholder"),
                           ({"url": "http://x/${username}"}, "behind the ?"), ({"url": "http://${username}/"}, "behind the ?"),
                           ({"url": "http://x/", "headers": ["x"]}, "NAME: VALUE")):
            node = self.node({f"authentication.http.{k}": v for k, v in keys.items()}, start=False)
            done = node.cli("start")
            self.addCleanup(node.cli, "stop")
            self.assertEqual(done.returncode, 1, keys)
            self.assertIn(said, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
