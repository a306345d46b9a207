# SPDX-License-Identifier: Apache-2.0
"""The admin port over TLS: the API, the dashboard, new certificates, and what is refused."""
import os
import socket
import subprocess
import unittest

import harness
from api import Api, ApiCase, first_password
from harness import ROOT, certs, tls_context, until

WAIT = 30


def make_certs(*options):
    folder = harness.scratch("covey-certs-")
    subprocess.run([os.path.join(ROOT, "deploy", "make-certs"), *options, folder], check=True)
    return folder


class Https(ApiCase):
    def settings(self, folder=None, **more):
        self.port = self.http_port()
        return {"dashboard.listeners.http.enable": False, "dashboard.listeners.https.enable": True,
                "dashboard.listeners.https.bind": f"127.0.0.1:{self.port}",
                "dashboard.listeners.https.certfile": f"{folder or certs()}/server.pem",
                "dashboard.listeners.https.keyfile": f"{folder or certs()}/server.key", **more}

    def https_node(self, folder=None, **more):
        node = self.node(self.settings(folder, **more))
        node.open = Api(self.port, context=tls_context(ca=f"{folder or certs()}/ca.pem"))
        return node

    def serial(self, ca):
        with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
            with tls_context(ca=ca).wrap_socket(plain, server_hostname="localhost") as sock:
                return sock.getpeercert()["serialNumber"]

    def curl(self, *args):
        return subprocess.run(["curl", "-sS", "--max-time", "20", *args], capture_output=True, text=True, check=False)

    def test_api_and_dashboard(self):
        node = self.https_node()
        api = node.open.logged_in("admin", first_password(node))
        self.assertEqual(api.get("/current_user").status, 200)
        described = node.open.raw("GET", "/api-docs/swagger.json")
        self.assertEqual((described.status, len(described.bytes)), (200, int(described.headers["Content-Length"])))
        self.assertGreater(len(described.bytes), 50000)
        self.assertEqual(node.open.raw("GET", "/").status, 200)
        self.assertIsNone(described.headers.get("Strict-Transport-Security"), "it would be about every port of the host")
        big = node.open.raw("POST", "/api/v5/login", b'{"username":"' + b"x" * 50000 + b'"}', {"Content-Type": "application/json"})
        self.assertEqual(big.status, 400, big)

    def test_curl(self):
        self.https_node()
        url = f"https://localhost:{self.port}/livez"
        done = self.curl("--cacert", f"{certs()}/ca.pem", url)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "ok"), done)
        self.assertEqual(self.curl(url).returncode, 60, "the authority is not known")
        old = self.curl("--cacert", f"{certs()}/ca.pem", "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", url)
        self.assertEqual((old.returncode, "alert protocol version" in old.stderr), (35, True), old)
        self.assertNotEqual(self.curl(f"http://localhost:{self.port}/livez").returncode, 0)
        self.assertEqual(self.curl("--cacert", f"{certs()}/ca.pem", "--tls-max", "1.2", url).returncode, 0)

    def test_both_ports(self):
        plain = self.http_port()
        node = self.https_node(**{"dashboard.listeners.http.enable": True, "dashboard.listeners.http.bind": f"127.0.0.1:{plain}"})
        for api in (node.open, Api(plain)):
            self.assertEqual(api.raw("GET", "/readyz").status, 200)
        token = Api(plain).logged_in("admin", first_password(node)).token
        self.assertEqual(Api(self.port, token, context=node.open.context).get("/current_user").status, 200)

    def test_new_certificates(self):
        folder = make_certs()
        node = self.https_node(folder)
        before = self.serial(f"{folder}/ca.pem")
        subprocess.run([os.path.join(ROOT, "deploy", "make-certs"), "--force", folder], check=True)
        self.assertEqual(node.cli("ctl", "pem_cache", "clean").returncode, 0)
        fresh = self.serial(f"{folder}/ca.pem")
        self.assertNotEqual(fresh, before)
        with open(f"{folder}/server.pem", "w", encoding="utf-8") as file:
            file.write("no certificate\n")
        until(lambda: "certificates" in node.cli("ctl", "alarms", "list").stdout, WAIT, "an alarm")
        self.assertIn(f"listener=https what=certificate file={folder}/server.pem", node.log())
        self.assertEqual(self.serial(f"{folder}/ca.pem"), fresh, "the old one stays")

    def test_those_who_shake_no_hands(self):
        """More of them than there may be connections hold nobody up for longer than a connection may last."""
        node = self.https_node()
        idle = [socket.create_connection(("127.0.0.1", self.port), 10) for _ in range(80)]
        idle[0].sendall(b"GET /livez HTTP/1.1\r\n\r\n" * 100)
        idle[1].sendall(os.urandom(5000))
        self.assertEqual(node.open.raw("GET", "/livez").status, 200)
        for sock in idle:
            sock.close()
        self.assertEqual(node.open.raw("GET", "/livez").status, 200)

    def fails(self, settings, *said):
        node = self.node(settings, start=False)
        done = node.cli("start")
        self.addCleanup(node.cli, "stop")
        self.assertEqual(done.returncode, 1, done)
        for text in said:
            self.assertIn(text, done.stdout + done.stderr)
        self.assertFalse(harness.accepts(node.port))

    def test_bad_files_at_start(self):
        key = "dashboard.listeners.https."
        self.fails(self.settings(**{f"{key}certfile": "/nowhere/a.pem"}), f"{key}certfile", "/nowhere/a.pem", "No such file")
        self.fails(self.settings(**{f"{key}certfile": None, f"{key}keyfile": None}), f"{key}certfile", "must be given")
        self.fails(self.settings(**{f"{key}keyfile": f"{make_certs()}/server.key"}), "server.key")
        path = os.path.join(harness.scratch(), "server.pem")
        with open(path, "w", encoding="utf-8") as file:
            file.write("hello\n")
        self.fails(self.settings(**{f"{key}certfile": path}), path)

    def test_taken_address(self):
        node = self.https_node()
        other = self.settings()
        other["dashboard.listeners.https.bind"] = f"127.0.0.1:{node.open.port}"
        self.fails(other, "https not started", "dashboard.listeners.https.bind")


if __name__ == "__main__":
    unittest.main()
