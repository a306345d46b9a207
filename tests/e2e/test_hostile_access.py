# SPDX-License-Identifier: Apache-2.0
"""Hostile input for what decides who may in and do what: rights that are taken away, headers of proxies, passwords,
tokens, the HTTP API, and names that look like others."""
import contextlib
import socket
import time
import unittest

import wire
from api import PASSWORD, ApiCase
from scram import METHOD, Dialog
from test_acl import Acl
from test_jwt import JwtCase
from test_scram import ScramCase, with_data
from test_transports import NO_SUM, V2, TransportCase, summed, v1, v2
from wire import AUTH, AUTH_DATA, SESSION_EXPIRY, auth

WAIT = 20


class Rights(Acl):
    def test_row_17_rights_that_are_taken_away(self):
        """Of a publisher whose message is retained, and of a subscriber: connected, away with a queue, and with a shared one."""
        node = self.guarded("allow all all #\n")
        publisher, reader = self.connected(node, "publisher"), self.connected(node, "reader")
        away = self.connected(node, "away", [(SESSION_EXPIRY, 100)])
        for client in (reader, away):
            client.subscribe(["t/#", "open"], qos=1)
        reader.subscribe("$share/g/t/#", qos=1)
        away.close()
        publisher.publish("t/kept", b"before", 1, retain=True)
        self.assertEqual([reader.recv_publish("t/kept").payload for _ in range(2)], [b"before"] * 2)
        self.rules(node, "allow client publisher publish open\nallow client writer publish #\nallow all subscribe open\n")
        self.reload(node)
        publisher.publish("t/kept", b"after", 1, retain=True, expect=(0x87,))
        writer = self.connected(node, "writer")
        for topic in ("t/live", "open"):
            writer.publish(topic, b"x", 1)
        reader.recv_publish("open")
        reader.expect_nothing()
        reader.subscribe("t/kept", expect=[0x87])
        away = self.connected(node, "away", [(SESSION_EXPIRY, 100)], clean=False)
        away.recv_publish("open")
        away.expect_nothing()
        self.assertGreater(self.counter(node, "authorization.deny.delivery"), 0)


class Headers(TransportCase):
    def proxy_node(self, trusted="127.0.0.1"):
        return self.node({"listeners.tcp.default.proxy_protocol": True, "listeners.tcp.default.proxy_protocol_trusted": [trusted],
                          "listeners.tcp.default.proxy_protocol_timeout": "500ms"}, start=False).spawn().wait_ctl()

    def ended(self, node, data):
        with socket.create_connection(("127.0.0.1", node.port), WAIT) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(data)
                self.assertEqual(sock.recv(100), b"", data)

    def test_row_24_headers_of_proxies(self):
        """Cut at every length, with a wrong checksum, additions that point behind the end, a line that is too long."""
        node = self.proxy_node()
        hello = wire.connect("c", version=wire.V311)
        headers = (v1("192.0.2.1"), v2("192.0.2.1", tlv=b"\x04\0\x02ab"), v2("2001:db8::1"))
        for header in headers:
            for cut in range(len(header)):
                with socket.create_connection(("127.0.0.1", node.port), WAIT) as sock:
                    sock.sendall(header[:cut])
                    sock.shutdown(socket.SHUT_WR)
                    with contextlib.suppress(ConnectionResetError):
                        self.assertEqual(sock.recv(100), b"")
        good = summed(v2("192.0.2.1", tlv=NO_SUM))
        bad = good[:-1] + bytes([good[-1] ^ 1])
        for data in (bad + hello, v2("192.0.2.1", tlv=b"\x04\xff\xff") + hello, b"PROXY TCP4 " + b"1" * 96, b"PROXY " + b"x" * 10000 + b"\r\n",
                     V2 + b"\x21\x11\xff\xff" + bytes(3000), V2 + b"\x11\x11\0\x0c" + bytes(12), hello):
            self.ended(node, data)
        with socket.create_connection(("127.0.0.1", node.port), WAIT) as sock:
            sock.sendall(b"PROXY TCP4 192.")        # and then nothing
            self.assertEqual(sock.recv(100), b"")
        with socket.create_connection(("127.0.0.1", node.port), WAIT) as sock:
            sock.sendall(good + hello)
            self.assertEqual(sock.recv(4, socket.MSG_WAITALL), b"\x20\x02\0\0")
        metrics = node.cli("ctl", "broker", "metrics").stdout
        self.assertRegex(metrics, r"io\.faults\.proxy_checksum\s*: 1\b")
        self.assertRegex(metrics, r"io\.faults\.proxy_header\s*: [1-9]")

    def test_row_24_from_an_address_that_is_not_trusted(self):
        node = self.proxy_node("192.0.2.0/24")
        self.ended(node, v1("192.0.2.1") + wire.connect("c"))
        self.assertEqual(self.refusals(node, "tcp:default", "proxy"), 1)


class Passwords(ScramCase):
    def test_row_25_passwords(self):
        """None, an empty one, 64 KB, with NUL, that of another user, a longer and a shorter one: all are refused alike."""
        node = self.users_node((("anna", "secret"), ("bob", "other")))
        for password in (None, b"", b"s" * 65535, b"secret\0", b"\0secret", b"secre", b"secrets", b"other", b"Secret", "ſecret".encode()):
            for version in (wire.V5, wire.V311):
                self.refused(node, 0x86 if version == wire.V5 else 4, version, username="anna", password=password)
        for username in ("anna\u200b", "Anna", "anna ", "anna:", "", "bob\nanna"):
            self.refused(node, 0x86, username=username, password=b"secret")
        self.assertGreater(self.metric(node, "authentication.failure"), 20)
        self.assertNotIn("secret", node.log())
        client = node.client()
        self.addCleanup(client.close)
        client.connect(username="anna", password=b"secret")

    def test_row_25_scram_with_another_nonce_and_replayed(self):
        node = self.users_node()
        for spoil in ("nonce", "replay"):
            client, dialog, step = self.begin(node, "anna", "secret")
            final = dialog.final(step.prop(AUTH_DATA))
            if spoil == "nonce":
                at = final.index(b"r=") + 2
                final = final[:at] + b"x" + final[at + 1:]
                client.send(auth(0x18, with_data(final))).expect_refused()
                continue
            client.send(auth(0x18, with_data(final))).recv(wire.CONNACK)
            again, _, step = self.begin(node, "anna", "secret")
            again.send(auth(0x18, with_data(final))).expect_refused()       # what was right a moment ago
        other = node.client()
        self.addCleanup(other.close)
        other.send(wire.connect("c", props_=with_data(Dialog("anna", "secret").first)))
        other.recv(AUTH)
        other.send(auth(0x18, with_data(b"c=biws,r=,p="))).expect_refused()
        self.assertEqual(METHOD, "SCRAM-SHA-256")


class Tokens(JwtCase):
    def test_row_25_tokens(self):
        """Without a signature, expired, with another key, huge, cut, with the key's text as another kind of key."""
        node = self.secret_node()
        now = int(time.time())
        good = self.token({"exp": now + 100})
        for token in (self.token({"exp": now + 100}, alg="none"), self.token({"exp": now - 100}), self.token({"nbf": now + 100}),
                      self.token({"exp": now + 100}, key=b"another secret of enough bytes"), good[:-2], good + b".x", good[:good.rindex(b".") + 1],
                      self.token({"exp": now + 100, "x": "y" * 40000}, key=b"another secret of enough bytes"), b"." * 60000, b"a.b.c"):
            self.is_refused(node, token)
        self.comes_in(node, good).barrier()


class Http(ApiCase):
    def test_row_31_requests(self):
        """Paths that climb, headers and bodies that are too large or never come, bad JSON, wrong types, other sites."""
        node = self.api_node()
        for path in ("/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../etc/passwd", "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
                     "/api/v5/../../etc/passwd", "//etc/passwd", "/api/v5/clients/..%2f..%2fetc"):
            answer = node.api.raw("GET", path)
            self.assertNotIn(b"root:", answer.bytes, path)
        kind = {"Content-Type": "application/json"}
        self.assertIn(node.open.raw("GET", "/api/v5/status", headers={"X": "y" * 200000}).status, (400, 431))
        with contextlib.suppress(OSError):      # it may be cut before it is whole
            self.assertIn(node.open.raw("POST", "/api/v5/login", b"x" * (64 << 20), kind).status, (400, 413))
        for body in ("{", "[]", "[" * 100000, '{"username":1,"password":2}', '{"username":"a"}', '"', "\0", '{"username":"\\ud800","password":"x"}'):
            self.assertEqual(node.open.raw("POST", "/api/v5/login", body, kind).status, 400, body[:40])
        for site in ("cross-site", "same-site"):
            self.refused(node.api.raw("DELETE", "/api/v5/clients/nobody", headers={"Sec-Fetch-Site": site}), 403, "FORBIDDEN")
        slow = [socket.create_connection(("127.0.0.1", node.http_port), WAIT) for _ in range(50)]
        for sock in slow:
            self.addCleanup(sock.close)
            sock.sendall(b"GET /api/v5/nodes HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        self.assertEqual(node.api.get("/nodes").status, 200)        # those who never finish hold up nobody

    def test_row_31_names_of_clients_are_data(self):
        """Script in a client id and a topic: JSON that no browser takes for a page, and pages that run no inline script."""
        node = self.api_node()
        evil = "<script>alert(1)</script>\"'&"
        client = self.connected(node, evil)
        client.subscribe(evil)
        for path in ("/clients", "/subscriptions", "/topics"):
            answer = node.api.get(path)
            self.assertIn(evil, str(answer.data).replace("\\'", "'"))
            self.assertIn("application/json", answer.headers["Content-Type"])
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")

    def test_row_31_the_token_of_a_user_who_is_deleted(self):
        node = self.api_node()
        made = node.api.post("/users", {"username": "eve", "password": PASSWORD + "2", "role": "administrator"})
        self.assertIn(made.status, (200, 201), made)
        eve = node.open.logged_in("eve", PASSWORD + "2")
        self.assertEqual(eve.get("/nodes").status, 200)
        self.assertEqual(node.api.delete("/users/eve").status, 204)
        self.assertEqual(eve.get("/nodes").status, 401)


class LookAlikes(Acl):
    def test_row_32_homoglyphs(self):
        """Names that look alike are different names: with Cyrillic, full-width and composed letters, and with what is not
        seen. None takes over another's session, has its rights, or is told apart only by luck in lists."""
        names = ["admin", "\u0430dmin", "\uff41dmin", "adm\u0131n", "admin\u0301", "\u00e1dmin", "a\u0301dmin", "admin\u200b", "ad\u00admin"]
        node = self.guarded('allow client "admin" all secret\nallow all all open/#\n')
        clients = [self.connected(node, name) for name in names]
        for client in clients:
            client.barrier()                # nobody was taken over
        clients[0].subscribe("secret", qos=1)
        for client in clients[1:]:
            client.subscribe("secret", qos=1, expect=[0x87])
            client.publish("secret", b"x", 1, expect=(0x87,))
        for index, (client, name) in enumerate(zip(clients, names)):
            client.subscribe(f"open/{name}", qos=1)
            client.publish(f"open/{name}", b"%d" % index, 1)
            self.assertEqual(client.recv_publish().payload, b"%d" % index)
            client.expect_nothing()
        listed = node.cli("ctl", "clients", "list").stdout.splitlines()
        self.assertEqual(len(set(listed)), len(names), listed)
        self.assertFalse([line for line in listed if "\u200b" in line], "what is not seen is written out")


if __name__ == "__main__":
    unittest.main()
