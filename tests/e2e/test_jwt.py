# SPDX-License-Identifier: Apache-2.0
"""Clients with tokens: what signs them, what they must say, how long they last."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
import unittest

import harness
import wire
from harness import Case

SECRET = b"a secret that is long enough"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout


def raw_of_der(der):
    """r and s of 32 bytes each, out of what openssl writes."""
    parts, at = [], 2
    for _ in range(2):
        n = der[at + 1]
        parts.append(int.from_bytes(der[at + 2:at + 2 + n], "big").to_bytes(32, "big"))
        at += 2 + n
    return b"".join(parts)


class JwtCase(Case):
    def setUp(self):
        self.needs_covey()
        self.folder = harness.scratch()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def make_key(self, alg, name):
        kind = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if alg == "RS256" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("genpkey", "-algorithm", *kind, "-out", self.path(name))
        openssl("pkey", "-in", self.path(name), "-pubout", "-out", self.path(name + ".pub"))
        return self.path(name + ".pub")

    def token(self, claims, alg="HS256", key=SECRET, **header):
        body = b64(json.dumps({"alg": alg, "typ": "JWT", **header}).encode()) + "." + b64(json.dumps(claims).encode())
        if alg == "HS256":
            sig = hmac.new(key, body.encode(), hashlib.sha256).digest()
        elif alg == "none":
            sig = b"x"
        else:
            sig = openssl("dgst", "-sha256", "-sign", self.path(key), data=body.encode())
            sig = raw_of_der(sig) if alg == "ES256" else sig
        return f"{body}.{b64(sig)}".encode()

    def jwt_node(self, start=True, **keys):
        settings = {f"authentication.jwt.{k}": v for k, v in keys.items() if k != "settings"}
        node = self.node({**settings, **keys.get("settings", {})}, start=start)
        return node

    def secret_node(self, **keys):
        return self.jwt_node(secret_file=self.write("secret", SECRET + b"\n"), **keys)

    def comes_in(self, node, token, client_id="c", username="anna", **options):
        client = node.client(**options)
        self.addCleanup(client.close)
        client.connect(client_id=client_id, username=username, password=token)
        return client

    def is_refused(self, node, token, client_id="c", username="anna", reason=0x86, said=None):
        client = node.client()
        self.addCleanup(client.close)
        client.connect(client_id=client_id, username=username, password=token, expect=reason)
        client.expect_closed()
        if said:
            self.assertIn(said, client.connack.prop(wire.REASON_STRING))


class Signatures(JwtCase):
    def test_hs256(self):
        node = self.secret_node()
        for version in (wire.V311, wire.V5):
            self.comes_in(node, self.token({"sub": "anna"}), version=version).barrier()
        self.is_refused(node, self.token({}, key=b"another secret, as long"), said="Bad token")

    def test_rs256_and_es256(self):
        for alg in ("RS256", "ES256"):
            node = self.jwt_node(public_key_file=self.make_key(alg, alg))
            self.comes_in(node, self.token({}, alg, alg)).barrier()
            self.make_key(alg, "other")
            self.is_refused(node, self.token({}, alg, "other"))

    def test_the_key_says_the_algorithm_and_not_the_token(self):
        public = self.make_key("RS256", "rsa")
        node = self.jwt_node(public_key_file=public)
        with open(public, "rb") as file:
            text = file.read()
        for key in (text, text.strip()):
            self.is_refused(node, self.token({}, "HS256", key))
        self.is_refused(node, self.token({}, "none"))
        header = {"crit": ["exp"]}
        self.is_refused(node, self.token({}, "RS256", "rsa", **header))

    def test_a_key_set(self):
        self.make_key("RS256", "rsa")
        self.make_key("ES256", "ec")
        modulus = bytes.fromhex(openssl("rsa", "-in", self.path("rsa"), "-noout", "-modulus").decode().strip().split("=")[1])
        point = openssl("pkey", "-in", self.path("ec"), "-pubout", "-outform", "DER")[-64:]
        keys = [{"kty": "RSA", "kid": "one", "n": b64(modulus), "e": "AQAB", "use": "sig"},
                {"kty": "EC", "kid": "two", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])},
                {"kty": "oct", "kid": "three", "k": b64(SECRET), "alg": "HS256"}, {"kty": "OKP", "kid": "four"}]
        node = self.jwt_node(jwks_file=self.write("jwks", json.dumps({"keys": keys})))
        self.comes_in(node, self.token({}, "RS256", "rsa", kid="one"))
        self.comes_in(node, self.token({}, "ES256", "ec", kid="two"))
        self.comes_in(node, self.token({}, "HS256", SECRET, kid="three"))
        self.is_refused(node, self.token({}, "HS256", SECRET, kid="five"))
        self.is_refused(node, self.token({}, "ES256", "ec", kid="one"))

    def test_what_is_no_token_is_for_the_next_method(self):
        users = self.path("users")
        subprocess.run([harness.program(), "passwd", "create", "--file", users, "bob"], input="secret\n", text=True, check=True,
                       env=harness.environment({"COVEY_AUTHENTICATION__ARGON2__MEMORY": "64KB"}), stdout=subprocess.DEVNULL)
        node = self.secret_node(settings={"authentication.password_file": users})
        self.comes_in(node, b"secret", username="bob")
        self.comes_in(node, self.token({}), username="anna")
        for text in (b"a.b", b"a.b.c", b"....", b"wrong", b""):
            self.is_refused(node, text)

    def test_malformed_tokens(self):
        node = self.secret_node()
        good = self.token({"sub": "x"}).decode()
        head, body, sig = good.split(".")
        for text in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{sig}.x", f"{head}=.{body}.{sig}", f"{head}.{body}.{sig[:-2]}",
                     f"{head}.{b64(b'[1]')}.{sig}", "x" * 60000, f"{b64(b'{}')}.{body}.{sig}", f"{b64(b'[]')}.{body}.{sig}"):
            self.is_refused(node, text.encode())
        self.comes_in(node, good.encode()).barrier()


class Claims(JwtCase):
    def test_times(self):
        node = self.secret_node()
        now = int(time.time())
        self.comes_in(node, self.token({"exp": now + 1000, "nbf": now - 10, "iat": now - 10}))
        self.is_refused(node, self.token({"exp": now - 10}), said="expired")
        self.is_refused(node, self.token({"nbf": now + 1000}), said="not valid yet")
        self.is_refused(node, self.token({"iat": now + 1000}), said="not valid yet")
        for value in ("tomorrow", -1, [], None, 1e300):
            self.is_refused(node, self.token({"exp": value}), said="Bad token")

    def test_leeway(self):
        node = self.secret_node(leeway="1h")
        self.comes_in(node, self.token({"exp": int(time.time()) - 10}))

    def test_the_connection_ends_with_its_token(self):
        node = self.secret_node()
        client = self.comes_in(node, self.token({"exp": int(time.time()) + 2}))
        old = self.comes_in(node, self.token({"exp": int(time.time()) + 2}), client_id="d", version=wire.V311)
        forever = self.comes_in(node, self.token({}), client_id="e")
        self.assertEqual(client.take(lambda p: p.type == wire.DISCONNECT).reason, 0xa0)
        old.expect_closed()
        forever.barrier()

    def test_claims_that_must_be_there(self):
        node = self.secret_node(verify_claims=["client=${clientid}", "sub=${username}", "iss=us"])
        good = {"client": "c", "sub": "anna", "iss": "us"}
        self.comes_in(node, self.token(good))
        for name, value in (("client", "d"), ("sub", "bob"), ("iss", "them"), ("iss", 7), ("client", "")):
            self.is_refused(node, self.token({**good, name: value}), said="not this client's")
        self.is_refused(node, self.token(good), client_id="d")

    def test_a_claim_is_the_user(self):
        node = self.secret_node(username_claim="sub")
        self.comes_in(node, self.token({"sub": "bob"}), client_id="one", username="root")
        self.assertIn("username=bob", node.cli("ctl", "clients", "show", "one").stdout)
        self.is_refused(node, self.token({}), said="names no user")
        self.assertEqual(node.cli("ctl", "ban", "add", "username", "bob").stdout, "ok\n")
        self.is_refused(node, self.token({"sub": "bob"}), client_id="one", username="root", reason=0x8A)
        self.comes_in(node, self.token({"sub": "carl"}), client_id="two", username="root")

    def test_in_the_user_name(self):
        node = self.secret_node(**{"from": "username", "username_claim": "sub"})
        client = node.client()
        self.addCleanup(client.close)
        client.connect(client_id="one", username=self.token({"sub": "bob"}).decode())
        self.assertIn("username=bob", node.cli("ctl", "clients", "show", "one").stdout)


class Files(JwtCase):
    def test_what_stops_the_start(self):
        small = self.path("small")
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", small)
        openssl("pkey", "-in", small, "-pubout", "-out", small + ".pub")
        for keys, said in (({"secret_file": self.write("short", "short")}, "16 bytes"), ({"public_key_file": self.write("bad", "x")}, "PEM"),
                           ({"public_key_file": small + ".pub"}, "2048 bits"), ({"jwks_file": self.write("empty", '{"keys": []}')}, "no key"),
                           ({"jwks_file": self.write("none", "{")}, "no JSON"), ({"secret_file": "/nowhere/secret"}, "/nowhere/secret"),
                           ({"secret_file": self.path("short"), "jwks_file": self.path("none")}, "one file too many"),
                           ({"secret_file": self.path("short"), "verify_claims": ["sub"]}, "NAME=VALUE")):
            node = self.jwt_node(start=False, **keys)
            done = node.cli("start")
            self.addCleanup(node.cli, "stop")
            self.assertEqual(done.returncode, 1, keys)
            self.assertIn(said, done.stdout + done.stderr + node.log(), keys)

    def test_new_keys_without_a_restart(self):
        node = self.secret_node()
        self.write("secret", b"another secret, as long")
        self.assertEqual(node.cli("ctl", "reload").returncode, 0)
        self.comes_in(node, self.token({}, key=b"another secret, as long"))
        self.is_refused(node, self.token({}))
        self.write("secret", b"short")
        node.cli("ctl", "auth", "reload")
        harness.until(lambda: "password_file" in node.cli("ctl", "alarms", "list").stdout, 20, "the alarm")
        self.comes_in(node, self.token({}, key=b"another secret, as long"))

    def test_no_token_is_told(self):
        node = self.secret_node(settings={"log.level": "debug"})
        token = self.token({"sub": "anna"})
        self.comes_in(node, token)
        self.is_refused(node, token + b"x")
        self.assertNotIn(token.decode(), node.log())


if __name__ == "__main__":
    unittest.main()
