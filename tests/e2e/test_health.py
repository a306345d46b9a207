# SPDX-License-Identifier: Apache-2.0
"""Health over HTTP: what probes of Kubernetes, load balancers and scripts for EMQX ask, and what they must not be able to
do to the node."""
import http.client
import itertools
import json
import os
import resource
import socket
import time
import unittest

import harness
from harness import Case, Port, until


class Health(Case):
    def setUp(self):
        self.needs_covey()

    def port(self):
        lock = Port()
        self.addCleanup(lock.free)
        return lock.number

    def healthy(self, settings=None, **options):
        port = self.port()
        node = self.node({"dashboard.listeners.http.enable": True, "dashboard.listeners.http.bind": f"127.0.0.1:{port}",
                          **(settings or {})}, **options)
        node.http_port = port
        return node

    def ask(self, node, path, method="GET", body=None):
        conn = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=20)
        try:
            conn.request(method, path, body=body)
            answer = conn.getresponse()
            answer.text = answer.read().decode()
            return answer
        finally:
            conn.close()

    def says(self, node, path, status, text):
        answer = self.ask(node, path)
        self.assertEqual((answer.status, answer.text), (status, text))
        return answer


class Answers(Health):
    def test_live_and_ready(self):
        node = self.healthy()
        for path in ("/livez", "/readyz"):
            answer = self.says(node, path, 200, "ok\n")
            self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
            self.assertEqual(answer.headers["Cache-Control"], "no-store")
            self.assertEqual(answer.headers["Connection"], "close")

    def test_status_as_emqx_has_it(self):
        node = self.healthy()
        for path in ("/status", "/api/v5/status"):
            self.says(node, path, 200, "Node covey@127.0.0.1 is started\ncovey is running")
            answer = self.ask(node, f"{path}?format=json")
            self.assertEqual(answer.headers["Content-Type"], "application/json")
            self.assertEqual(json.loads(answer.text), {
                "node_name": "covey@127.0.0.1", "rel_vsn": harness.covey("version").stdout.split()[1],
                "broker_status": "started", "app_status": "running"})

    def test_head_has_no_body(self):
        node = self.healthy()
        answer = self.ask(node, "/status", "HEAD")
        self.assertEqual((answer.status, answer.text, answer.headers["Content-Length"]), (200, "", "48"))

    def test_what_is_not_there(self):
        node = self.healthy()
        for path in ("/livez/", "/api/v5/nothing", "/%2e%2e/livez", "/livez%00"):
            answer = self.ask(node, path)
            self.assertEqual(answer.status, 404, path)
            self.assertEqual(json.loads(answer.text)["code"], "NOT_FOUND")
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = self.ask(node, "/livez", method, body="{}")
            self.assertEqual(answer.status, 405, method)
            self.assertEqual(json.loads(answer.text)["code"], "METHOD_NOT_ALLOWED")
            self.assertEqual(answer.headers["Allow"], "GET, HEAD")

    def test_off(self):
        node = self.healthy({"dashboard.listeners.http.enable": False})
        self.assertFalse(harness.accepts(node.http_port))

    def test_an_address_that_is_taken_is_named(self):
        node = self.healthy(start=False)
        with socket.create_server(("127.0.0.1", node.http_port)):
            node.spawn()
            self.assertEqual(node.process.wait(20), 1)
        self.assertIn(f"http not started address=127.0.0.1:{node.http_port}", node.log())
        self.assertIn("dashboard.listeners.http.bind", node.log())

    def test_not_ready_while_the_disk_is_full(self):
        """A limit on the size of files is a full disk to the store; it is lifted again while the node runs."""
        node = self.healthy()
        self.says(node, "/readyz", 200, "ok\n")
        client, topics = self.connected(node), itertools.count()
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (2 << 20, resource.RLIM_INFINITY))

        def is_unready():
            client.publish(f"kept/{next(topics)}", b"x" * 500000, qos=0, retain=True)
            return self.ask(node, "/readyz").status == 503
        until(is_unready, 20, "not ready")
        self.says(node, "/livez", 200, "ok\n")
        self.assertIn("cannot be stored", self.ask(node, "/readyz").text)
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        def is_ready():
            client.publish("kept", b"x", qos=0, retain=True)
            return self.ask(node, "/readyz").status == 200
        until(is_ready, 20, "ready")


class Hostile(Health):
    """The admin thread answers others whatever somebody does; what is not a request is refused and ended."""

    def raw(self, node, data, seconds=20):
        with socket.create_connection(("127.0.0.1", node.http_port), seconds) as sock:
            sock.sendall(data)
            got = b""
            try:
                while piece := sock.recv(65536):
                    got += piece
            except ConnectionResetError:
                pass
            return got

    def test_too_much(self):
        node = self.healthy()
        self.assertIn(b" 400 ", self.raw(node, b"GET /livez HTTP/1.1\r\nX: " + b"a" * 20000))
        self.assertIn(b" 413 ", self.raw(node, b"POST /livez HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"))
        self.assertIn(b" 400 ", self.raw(node, b"\x16\x03\x01\x00\r\n\r\n"))
        self.assertNotIn(b" 200 ", self.raw(node, b"BREW /livez HTTP/1.1\r\n\r\n"))
        self.says(node, "/livez", 200, "ok\n")

    def test_row_31_silence_and_slowness_end(self):
        node = self.healthy()
        began = time.monotonic()
        slow = socket.create_connection(("127.0.0.1", node.http_port), 5)
        self.addCleanup(slow.close)
        slow.settimeout(0.2)
        ended = False
        while not ended and time.monotonic() - began < 30:
            try:
                slow.sendall(b"G")
                ended = slow.recv(100) == b""
            except socket.timeout:
                continue
            except OSError:
                ended = True
        self.assertTrue(ended, "a byte now and then must not keep a connection for ever")
        self.assertEqual(self.raw(node, b"GET /livez HT"), b"")

    def test_many_connections(self):
        node = self.healthy()
        hogs = [socket.create_connection(("127.0.0.1", node.http_port), 5) for _ in range(100)]
        for hog in hogs:
            self.addCleanup(hog.close)
        self.assertEqual(node.cli("ping").returncode, 0)
        fds = len(os.listdir(f"/proc/{node.process.pid}/fd"))
        self.assertLess(fds, 150, "what is above the bound waits in the backlog")
        self.says(node, "/livez", 200, "ok\n")      # once the silent ones are cut


class Cluster(Health):
    def three(self):
        binds = [f"127.0.0.1:{self.port()}" for _ in range(3)]
        return [self.healthy({"node.name": f"covey@n{i + 1}", "cluster.bind": binds[i], "cluster.static.seeds": binds})
                for i in range(3)], binds

    def status(self, node):
        return json.loads(node.cli("ctl", "cluster", "status", "--json").stdout)

    def ctl(self, node, *words, code=0):
        done = node.cli("ctl", "cluster", *words)
        self.assertEqual(done.returncode, code, done)
        return done.stdout

    def test_the_life_of_a_cluster_as_it_is_seen(self):
        nodes, binds = self.three()
        names = ["covey@n1", "covey@n2", "covey@n3"]
        for node in nodes:
            until(lambda node=node: sorted(self.status(node)["running_nodes"]) == names, 20, "three nodes")
            until(lambda node=node: self.ask(node, "/readyz").status == 200, 20, "ready")
        first = self.ctl(nodes[0], "status")
        self.assertTrue(first.startswith(
            "Cluster status: #{running_nodes => ['covey@n1','covey@n2','covey@n3'], stopped_nodes => []}\n"), first)
        self.assertRegex(first, r"(?m)^covey@n2 +alive +\S+Z +up +\S+Z ")
        self.assertRegex(first, rf"(?m)^  address {binds[1]}, id [0-9a-f]{{32}}, alive: ")
        self.assertIn(f"{'cluster.messages.forwarded':<30}: 0\n", self.ctl(nodes[0], "metrics"))
        self.assertIn("Not Found.", self.ctl(nodes[0], "forget", "covey@n9", code=1))
        self.assertIn("is alive", self.ctl(nodes[0], "forget", "covey@n3", code=1))
        self.assertIn("Join the cluster successfully.\n", self.ctl(nodes[0], "join", binds[2]))

        # Draining: not ready, and said so to all; waiting for the end of it has a status.
        self.connected(nodes[0], "stays-nowhere")
        self.assertIn("All clients and sessions are moved.\n", self.ctl(nodes[0], "drain", "--wait", "20"))
        self.says(nodes[0], "/readyz", 503, "not ready: its clients are being moved to other nodes\n")
        until(lambda: "alive, draining" in self.ctl(nodes[1], "status"), 10, "draining is known")
        self.assertEqual(self.ctl(nodes[0], "drain", "--stop"), "ok\n")
        self.says(nodes[0], "/readyz", 200, "ok\n")

        # One that is killed is stopped, and can be forgotten.
        nodes[2].kill()
        until(lambda: self.status(nodes[0])["stopped_nodes"] == ["covey@n3"], 30, "its death is known")
        self.assertRegex(self.ctl(nodes[0], "status"), r"(?m)^covey@n3 +dead +\S+Z +down ")
        self.assertEqual(self.ctl(nodes[0], "force-leave", "covey@n3"), "ok\n")
        until(lambda: self.status(nodes[1])["stopped_nodes"] == [], 10, "it is forgotten by all")
        text = self.ctl(nodes[0], "join", binds[2], code=1)
        self.assertIn("has answered yet", text)

        # One that leaves is no longer ready.
        self.assertIn("Leave the cluster successfully.\n", self.ctl(nodes[0], "leave"))
        self.says(nodes[0], "/readyz", 503, "not ready: it has left the cluster\n")
        until(lambda: self.status(nodes[1])["stopped_nodes"] == ["covey@n1"], 10, "it is known that it left")


if __name__ == "__main__":
    unittest.main()
