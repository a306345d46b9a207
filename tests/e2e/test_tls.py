# SPDX-License-Identifier: Apache-2.0
"""TLS: versions, certificates of both sides, and new certificates without a restart."""
import os
import shutil
import socket
import ssl
import subprocess
import unittest

import harness
import wire
from harness import ROOT, Case, certs, tls_context, until


class Tls(Case):
    def setUp(self):
        self.needs_covey()

    def keys(self, *options):
        """A folder of its own with an authority and a server certificate."""
        folder = harness.scratch("covey-certs-")
        subprocess.run([os.path.join(ROOT, "deploy", "make-certs"), *options, folder], check=True)
        return folder

    def settings(self, folder=None, **ssl_options):
        options = {"certfile": f"{folder or certs()}/server.pem", "keyfile": f"{folder or certs()}/server.key", **ssl_options}
        return {f"listeners.{kind}.default.ssl_options.{key}": value for kind in ("ssl", "wss")
                for key, value in options.items()}

    def talks(self, node, context=None, version=wire.V5):
        """An MQTT round trip over TLS; the socket."""
        client = node.client(tls=True, context=context, version=version)
        self.addCleanup(client.close)
        client.connect()
        client.subscribe("t", qos=1)
        client.publish("t", b"x" * 70000, qos=1)
        self.assertEqual(len(client.take(lambda p: p.type == wire.PUBLISH).payload), 70000)
        return client

    def refused(self, node, context):
        """The handshake fails, or the connection ends with its first use (TLS 1.3 tells late)."""
        with self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
            with node.client(tls=True, context=context) as client:
                client.connect()


class Versions(Tls):
    def test_tls_1_2_and_1_3(self):
        node = self.node(tls=True)
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            self.assertEqual(self.talks(node, tls_context(version)).sock.version(), name)

    def test_only_the_configured_versions(self):
        node = self.node(self.settings(versions=["tlsv1.3"]), tls=True)
        self.refused(node, tls_context(ssl.TLSVersion.TLSv1_2))
        self.talks(node, tls_context(ssl.TLSVersion.TLSv1_3))

    def test_tls_1_1_is_refused(self):
        node = self.node(tls=True)
        context = tls_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertWarns(DeprecationWarning):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.refused(node, context)

    def test_configured_ciphers(self):
        node = self.node(self.settings(ciphers=["ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_CHACHA20_POLY1305_SHA256"]), tls=True)
        self.assertEqual(self.talks(node, tls_context(ssl.TLSVersion.TLSv1_2)).sock.cipher()[0],
                         "ECDHE-ECDSA-AES256-GCM-SHA384")
        self.assertEqual(self.talks(node, tls_context(ssl.TLSVersion.TLSv1_3)).sock.cipher()[0],
                         "TLS_CHACHA20_POLY1305_SHA256")

    def test_session_resumption(self):
        node = self.node(tls=True)
        context = tls_context(ssl.TLSVersion.TLSv1_2)
        session = self.talks(node, context).sock.session
        raw = socket.create_connection(("127.0.0.1", node.tls_port), 10)
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as again:
            self.assertTrue(again.session_reused)

    def test_plain_client_on_the_tls_port_and_the_other_way_round(self):
        node = self.node(tls=True)
        with socket.create_connection(("127.0.0.1", node.tls_port), 10) as plain:
            plain.sendall(wire.connect("x"))
            plain.settimeout(10)
            while plain.recv(100):
                pass
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            with socket.create_connection(("127.0.0.1", node.port), 10) as raw:
                tls_context().wrap_socket(raw, server_hostname="localhost")
        self.talks(node)


class ClientCertificates(Tls):
    def alice(self):
        return tls_context(certfile=f"{certs()}/alice.pem", keyfile=f"{certs()}/alice.key")

    def test_demanded(self):
        node = self.node(self.settings(verify="verify_peer", fail_if_no_peer_cert=True, cacertfile=f"{certs()}/ca.pem"),
                         tls=True)
        self.talks(node, self.alice())
        self.refused(node, tls_context())

    def test_of_a_stranger(self):
        node = self.node(self.settings(verify="verify_peer", cacertfile=f"{certs()}/ca.pem"), tls=True)
        other = self.keys("--client", "mallory")
        self.refused(node, tls_context(certfile=f"{other}/mallory.pem", keyfile=f"{other}/mallory.key"))
        self.talks(node, tls_context())
        self.talks(node, self.alice())


class NewCertificates(Tls):
    def serial(self, node, ca):
        with node.tls_socket(tls_context(ca=ca)) as sock:
            return sock.getpeercert()["serialNumber"]

    def test_changed_files_are_taken_and_nobody_is_dropped(self):
        folder = self.keys()
        node = self.node(self.settings(folder), tls=True)
        ca = f"{folder}/both.pem"
        shutil.copy(f"{folder}/ca.pem", ca)
        old_client = self.talks(node, tls_context(ca=ca))
        first = self.serial(node, ca)
        subprocess.run([os.path.join(ROOT, "deploy", "make-certs"), "--force", folder], check=True)
        with open(f"{folder}/ca.pem", encoding="utf-8") as new, open(ca, "a", encoding="utf-8") as both:
            both.write(new.read())
        until(lambda: self.serial(node, ca) != first, 30, "the new certificate in new connections")
        old_client.barrier()
        old_client.publish("t", b"still here", qos=1)
        self.assertEqual(old_client.take(lambda p: p.type == wire.PUBLISH).payload, b"still here")

    def test_operator_can_ask_for_it_at_once(self):
        folder = self.keys()
        node = self.node(self.settings(folder), tls=True)
        before = self.serial(node, f"{folder}/ca.pem")
        subprocess.run([os.path.join(ROOT, "deploy", "make-certs"), "--force", folder], check=True)
        self.assertEqual(node.cli("ctl", "pem_cache", "clean").returncode, 0)
        self.assertNotEqual(self.serial(node, f"{folder}/ca.pem"), before)

    def test_bad_files_keep_the_old_certificate(self):
        folder = self.keys()
        node = self.node(self.settings(folder), tls=True)
        before = self.serial(node, f"{folder}/ca.pem")
        with open(f"{folder}/server.pem", "w", encoding="utf-8") as file:
            file.write("-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n")
        until(lambda: "certificate_kept" in node.log(), 30, "a log line about the bad file")
        self.assertIn(f"{folder}/server.pem", node.log())
        self.assertEqual(self.serial(node, f"{folder}/ca.pem"), before)


class AtStart(Tls):
    def fails(self, settings, *said):
        node = self.node(settings, tls=True, start=False)
        done = node.cli("start")
        self.addCleanup(node.cli, "stop")
        self.assertEqual(done.returncode, 1, done)
        for text in said:
            self.assertIn(text, done.stdout + done.stderr)
        self.assertFalse(harness.accepts(node.port), "a node that cannot keep its word about TLS does not start")

    def test_missing_certificate(self):
        self.fails(self.settings(certfile="/nowhere/server.pem"), "/nowhere/server.pem", "No such file")

    def test_missing_key(self):
        self.fails(self.settings(keyfile="/nowhere/server.key"), "/nowhere/server.key", "No such file")

    def test_file_that_is_no_certificate(self):
        path = os.path.join(harness.scratch(), "server.pem")
        with open(path, "w", encoding="utf-8") as file:
            file.write("hello\n")
        self.fails(self.settings(certfile=path), path)

    def test_key_of_another_certificate(self):
        self.fails(self.settings(keyfile=f"{self.keys()}/server.key"), "server.key")

    def test_no_certificate_for_a_tls_listener(self):
        settings = {"listeners.ssl.default.ssl_options.certfile": None, "listeners.ssl.default.ssl_options.keyfile": None,
                    "listeners.ssl.default.enable": True}
        self.fails(settings, "listeners.ssl.default", "certfile")


if __name__ == "__main__":
    unittest.main()
