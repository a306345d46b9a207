# SPDX-License-Identifier: Apache-2.0
"""A server is asked about clients: what it is told, what its answers do, and what happens when it gives none."""
import http.server
import json
import socket
import threading
import unittest
import urllib.parse

import wire
from harness import Case, until


class Server:
    """An HTTP server whose answers a function makes: (path, headers, body) -> (status, body), or None: it says nothing."""

    def __init__(self, answer):
        outer = self
        self.answer, self.asked, self.hangs = answer, [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.command, self.path, dict(self.headers), body))
                reply = outer.answer(self.path, self.headers, body)
                if reply is None:
                    outer.hangs.wait(60)
                    self.close_connection = True
                    return
                status, text = reply
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = handle_any

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

            def handle_error(self, *_):
                pass    # the broker has hung up

        self.server = Threads(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.hangs.set()
        self.server.shutdown()
        self.server.server_close()


def says(result):
    return lambda *_: (200, json.dumps({"result": result}).encode())


class HttpAuth(Case):
    def setUp(self):
        self.needs_covey()

    def asked_node(self, answer, path="/auth", settings=None, **keys):
        self.server = Server(answer)
        self.addCleanup(self.server.stop)
        keys = {"url": f"http://127.0.0.1:{self.server.port}{path}", **keys}
        return self.node({**{f"authentication.http.{k}": v for k, v in keys.items()}, **(settings or {})}).wait_ctl()

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
