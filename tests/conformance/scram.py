# SPDX-License-Identifier: Apache-2.0
"""SCRAM-SHA-256 (RFC 5802, RFC 7677) for clients."""
import base64
import hashlib
import hmac
import os

METHOD = "SCRAM-SHA-256"


class Dialog:
    """The client's side of SCRAM-SHA-256."""

    def __init__(self, user, password):
        self.password, self.nonce = password, base64.b64encode(os.urandom(18)).decode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.first_bare = f"n={name},r={self.nonce}"
        self.first = ("n,," + self.first_bare).encode()

    def final(self, server_first):
        fields = dict(part.split("=", 1) for part in server_first.decode().split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce), "server's nonce"
        assert int(fields["i"]) >= 4096, "iterations"
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        without_proof = "c=biws,r=" + fields["r"]
        signed = ",".join((self.first_bare, server_first.decode(), without_proof)).encode()

        def sign(key, data):
            return hmac.digest(key, data, "sha256")
        client_key = sign(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(client_key, sign(hashlib.sha256(client_key).digest(), signed)))
        self.server_final = b"v=" + base64.b64encode(sign(sign(salted, b"Server Key"), signed))
        return (without_proof + ",p=" + base64.b64encode(proof).decode()).encode()
