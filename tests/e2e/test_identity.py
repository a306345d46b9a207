# SPDX-License-Identifier: Apache-2.0
"""Who a client is by what TLS has proven: names of certificates, lists of revoked ones, keys that both know."""
import os
import subprocess
import unittest

import harness
import wire
from harness import ROOT, Case, until

KEY = "0123456789abcdef0123456789abcdef"


def make_certs(folder, *options):
    subprocess.run([os.path.join(ROOT, "deploy", "make-certs"), *options, folder], check=True)


class IdentityCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.certs = harness.scratch("covey-certs-")
        make_certs(cls.certs, "--client", "alice", "--client", "bob")

    def setUp(self):
        self.needs_covey()

    def write(self, name, text, mode=0o600):
        path = os.path.join(harness.scratch(), name)
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, mode)) as file:
            file.write(text)
        return path

    def tls_node(self, options=None, settings=None, certs=None, start=True):
        certs = certs or self.certs
        ssl_options = {"certfile": f"{certs}/server.pem", "keyfile": f"{certs}/server.key", "cacertfile": f"{certs}/ca.pem",
                       "verify": "verify_peer", **(options or {})}
        node = self.node({**{f"listeners.ssl.default.ssl_options.{k}": v for k, v in ssl_options.items()}, **(settings or {})},
                         tls=True, start=start)
        return node

    def pub(self, node, *options, topic="t", certs=None):
        """mosquitto_pub, QoS 1; its exit status and what it said."""
        done = subprocess.run(["mosquitto_pub", "-h", "localhost", "-p", str(node.tls_port), "-t", topic, "-m", "hello", "-q", "1",
                               "-i", "pub", "-V", "5", *options], capture_output=True, text=True, timeout=30, check=False)
        said = done.stdout + done.stderr
        return done.returncode or int("Warning: Publish" in said), said

    def cert(self, name, certs=None):
        certs = certs or self.certs
        return "--cafile", f"{certs}/ca.pem", *(("--cert", f"{certs}/{name}.pem", "--key", f"{certs}/{name}.key") if name else ())

    def works(self, node, *options, **more):
        status, said = self.pub(node, *options, **more)
        self.assertEqual(status, 0, said)

    def fails(self, node, *options, **more):
        status, said = self.pub(node, *options, **more)
        self.assertNotEqual(status, 0, said)
        return said

    def username(self, node, client_id):
        return node.cli("ctl", "clients", "show", client_id).stdout

    def hold(self, node, name, **connect):
        client = node.client(tls=True, context=harness.tls_context(
            ca=f"{self.certs}/ca.pem", certfile=f"{self.certs}/{name}.pem", keyfile=f"{self.certs}/{name}.key"))
        self.addCleanup(client.close)
        client.connect(**connect)
        return client


class Certificates(IdentityCase):
    def test_common_name_is_the_user(self):
        node = self.tls_node({"peer_cert_as_username": "cn"})
        self.hold(node, "alice", client_id="one")
        self.assertIn("username=alice", self.username(node, "one"))
        self.hold(node, "alice", client_id="two", username="root", password=b"whatever")
        self.assertIn("username=alice", self.username(node, "two"))

    def test_distinguished_name(self):
        node = self.tls_node({"peer_cert_as_username": "dn"})
        self.hold(node, "alice", client_id="one")
        self.assertIn("username=CN=alice", self.username(node, "one"))

    def test_alternative_name(self):
        certs = harness.scratch("covey-certs-")
        make_certs(certs)
        subprocess.run(f"""cd {certs} && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout c.key -subj /CN=x -out c.csr 2>/dev/null &&
            printf 'subjectAltName=DNS:dev.example,URI:urn:dev:1\nextendedKeyUsage=clientAuth\n' > ext &&
            openssl x509 -req -in c.csr -CA ca.pem -CAkey ca.key -set_serial 7 -days 2 -extfile ext -out c.pem 2>/dev/null""",
                       shell=True, check=True)
        node = self.tls_node({"peer_cert_as_username": "san"}, certs=certs)
        client = node.client(tls=True, context=harness.tls_context(ca=f"{certs}/ca.pem", certfile=f"{certs}/c.pem",
                                                                   keyfile=f"{certs}/c.key"))
        self.addCleanup(client.close)
        client.connect(client_id="one")
        self.assertIn("username=urn:dev:1", self.username(node, "one"))

    def test_without_a_certificate_nobody_is_known(self):
        node = self.tls_node({"peer_cert_as_username": "cn"})
        self.assertIn("ot authorized", self.fails(node, *self.cert(None)))
        self.assertIn("ad user name", self.fails(node, *self.cert(None), "-u", "alice", "-P", "x").lower())
        self.works(node, *self.cert("alice"))

    def test_a_certificate_of_a_stranger_is_refused(self):
        others = harness.scratch("covey-certs-")
        make_certs(others, "--client", "alice")
        node = self.tls_node({"peer_cert_as_username": "cn"})
        self.fails(node, "--cafile", f"{self.certs}/ca.pem", "--cert", f"{others}/alice.pem", "--key", f"{others}/alice.key")

    def test_rules_know_the_certificate(self):
        rules = self.write("acl.conf", "allow cert alice publish t\nallow user alice publish u\ndeny all publish #\n")
        node = self.tls_node({"peer_cert_as_username": "disabled"}, {"authorization.file": rules, "mqtt.allow_anonymous": True})
        self.works(node, *self.cert("alice"))
        self.assertIn("ot authorized", self.fails(node, *self.cert("bob")))
        self.assertIn("ot authorized", self.fails(node, *self.cert("alice"), topic="u"))   # its user name is another thing

    def test_the_key_needs_verify_peer(self):
        node = self.tls_node({"peer_cert_as_username": "cn", "verify": "verify_none"}, start=False)
        done = node.cli("start")
        self.addCleanup(node.cli, "stop")
        self.assertEqual(done.returncode, 1)
        self.assertIn("peer_cert_as_username", done.stdout + done.stderr)


class Revoked(IdentityCase):
    def test_a_revoked_certificate_is_refused(self):
        certs = harness.scratch("covey-certs-")
        make_certs(certs, "--client", "alice", "--client", "bob")
        node = self.tls_node({"peer_cert_as_username": "cn", "crlfile": f"{certs}/crl.pem"}, certs=certs)
        for name in ("alice", "bob"):
            self.works(node, *self.cert(name, certs))
        make_certs(certs, "--revoke", "bob")
        self.assertEqual(node.cli("ctl", "pem_cache", "clean").returncode, 0)
        self.works(node, *self.cert("alice", certs))
        self.fails(node, *self.cert("bob", certs))
        self.assertIn("certificate revoked", node.log())

    def test_a_list_that_cannot_be_used_raises_an_alarm(self):
        certs = harness.scratch("covey-certs-")
        make_certs(certs, "--client", "alice")
        node = self.tls_node({"crlfile": f"{certs}/crl.pem"}, certs=certs)
        with open(f"{certs}/crl.pem", "w", encoding="utf-8") as file:
            file.write("-----BEGIN X509 CRL-----\nnot one\n-----END X509 CRL-----\n")
        node.cli("ctl", "pem_cache", "clean")
        until(lambda: "certificates" in node.cli("ctl", "alarms", "list").stdout, 20, "the alarm")
        self.works(node, *self.cert("alice", certs))
        make_certs(certs)
        node.cli("ctl", "pem_cache", "clean")
        until(lambda: "certificates" not in node.cli("ctl", "alarms", "list").stdout, 20, "the end of the alarm")

    def test_a_missing_list_stops_the_start(self):
        node = self.tls_node({"crlfile": "/nowhere/crl.pem"}, start=False)
        done = node.cli("start")
        self.addCleanup(node.cli, "stop")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/crl.pem", done.stdout + done.stderr)


class Keys(IdentityCase):
    def psk_node(self, text, versions=("tlsv1.2", "tlsv1.3"), **more):
        return self.tls_node({"certfile": "", "keyfile": "", "verify": "verify_none", "cacertfile": "", "versions": list(versions),
                              "psk_file": self.write("psk", text)}, **more)

    def psk(self, identity, key=KEY):
        return "--psk", key, "--psk-identity", identity

    def test_identities_and_keys(self):
        for version in ("tlsv1.2", "tlsv1.3"):
            node = self.psk_node(f"# devices\nanna:{KEY}\n\nbob:{KEY[::-1]}\n", versions=[version])
            self.works(node, *self.psk("anna"))
            self.fails(node, *self.psk("bob"))
            self.fails(node, *self.psk("nobody"))
            reasons = {line.split("reason=")[1] for line in node.log().splitlines() if "reason=tls" in line}
            self.assertEqual(len(reasons), 1, "an unknown identity looks like a wrong key")

    def test_the_identity_is_the_user(self):
        rules = self.write("acl.conf", "allow user anna publish t\ndeny all publish #\n")
        node = self.psk_node(f"anna:{KEY}\nbob:{KEY}\n", settings={"authorization.file": rules})
        self.works(node, *self.psk("anna"))
        self.works(node, *self.psk("anna"), "-u", "bob", "-P", "x")
        self.assertIn("ot authorized", self.fails(node, *self.psk("bob")))

    def test_beside_a_certificate(self):
        node = self.tls_node({"peer_cert_as_username": "cn", "psk_file": self.write("psk", f"anna:{KEY}\n")})
        self.works(node, *self.psk("anna"))
        self.works(node, *self.cert("alice"))
        self.fails(node, *self.psk("anna", KEY[::-1]))

    def test_a_file_that_is_wrong_stops_the_start(self):
        for text, said in ((f"anna:{KEY}\nbob:xyz\n", "line 2"), (f"anna:{KEY}", "within a line"),
                           (f"anna:{KEY}\nanna:{KEY}\n", "twice"), (f"{KEY}\n", "colon"), ("\n", "no identity")):
            node = self.psk_node(text, start=False)
            done = node.cli("start")
            self.addCleanup(node.cli, "stop")
            self.assertEqual(done.returncode, 1, text)
            self.assertIn(said, done.stdout + done.stderr + node.log())

    def test_new_keys_without_a_restart(self):
        node = self.psk_node(f"anna:{KEY}\n")
        with open(node.settings["listeners.ssl.default.ssl_options.psk_file"], "w", encoding="utf-8") as file:
            file.write(f"bob:{KEY}\n")
        node.cli("ctl", "pem_cache", "clean")
        self.works(node, *self.psk("bob"))
        self.fails(node, *self.psk("anna"))

    def test_no_key_is_told(self):
        node = self.psk_node(f"anna:{KEY}\n")
        self.works(node, *self.psk("anna"))
        self.assertNotIn(KEY, node.log() + node.cli("config", "explain").stdout)


if __name__ == "__main__":
    unittest.main()
