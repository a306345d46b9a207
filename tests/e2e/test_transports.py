# SPDX-License-Identifier: Apache-2.0
"""How clients reach a listener: rules of addresses, and proxies that say whose connection it is."""
import os
import re
import socket
import struct
import unittest

import harness
import wire
from harness import Case

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(address, port=4711):
    family = "TCP6" if ":" in address else "TCP4"
    return f"PROXY {family} {address} {'::1' if ':' in address else '127.0.0.1'} {port} 1883\r\n".encode()


def v2(address, port=4711, tlv=b""):
    family, ip = (0x21, socket.AF_INET6) if ":" in address else (0x11, socket.AF_INET)
    body = socket.inet_pton(ip, address) * 2 + struct.pack(">HH", port, 1883) + tlv
    return V2 + bytes([0x21, family]) + struct.pack(">H", len(body)) + body


def crc32c(data):
    """Castagnoli's, as RFC 3309 has it."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def summed(header):
    """A header of version 2 whose last addition is an empty checksum, with the right one."""
    return header[:-4] + struct.pack(">I", crc32c(header))


NO_SUM = b"\x03\0\x04" + bytes(4)


class TransportCase(Case):
    def setUp(self):
        self.needs_covey()

    def refusals(self, node, listener, name):
        """What `ctl listeners` says under shutdown_count."""
        text = node.cli("ctl", "listeners").stdout
        found = re.search(rf"\b{name}=(\d+)", text[text.index(listener):].split("\n\n")[0].split("shutdown_count")[1].split("\n")[0])
        return int(found.group(1)) if found else 0


class AccessRules(TransportCase):
    def rules_node(self, *rules):
        return self.node({"listeners.tcp.default.access_rules": list(rules), "listeners.ws.default.access_rules": []})

    def test_an_address_is_refused_before_a_byte_is_read(self):
        node = self.rules_node("deny 127.0.0.1", "allow all")
        before = self.refusals(node, "tcp:default", "address")
        with socket.create_connection(("127.0.0.1", node.port), 10) as sock:
            self.assertEqual(sock.recv(1), b"")
        self.assertEqual(self.refusals(node, "tcp:default", "address"), before + 1)
        self.assertTrue(node.accepts(node.ws_port))

    def test_an_allowed_address_comes_in(self):
        node = self.rules_node("allow 127.0.0.0/8", "deny all")
        self.connected(node).barrier()

    def test_a_wrong_rule_stops_the_start(self):
        node = self.node({"listeners.tcp.default.access_rules": ["allow everybody"]}, start=False)
        done = node.cli("start")
        self.addCleanup(node.cli, "stop")
        self.assertEqual(done.returncode, 1)
        self.assertIn("allow everybody", done.stdout + done.stderr)


class ProxyProtocol(TransportCase):
    def proxy_node(self, kinds=("tcp",), trusted=("127.0.0.1",), tls=False, **settings):
        return self.node({**{f"listeners.{kind}.default.{key}": value for kind in kinds for key, value in (
            ("proxy_protocol", True), ("proxy_protocol_trusted", list(trusted)))}, **settings}, tls=tls, start=False)

    def started(self, *args, **options):
        node = self.proxy_node(*args, **options)
        node.spawn()
        return node.wait_ctl()

    def raw(self, node, data, pieces=1):
        """A connection that has sent a header and a CONNECT, and what came back."""
        sock = socket.create_connection(("127.0.0.1", node.port), 20)
        self.addCleanup(sock.close)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = -(-len(data) // pieces)
        for i in range(0, len(data), step):
            sock.sendall(data[i:i + step])
        return sock

    def address(self, node, client_id):
        return node.cli("ctl", "clients", "show", client_id).stdout

    def test_both_versions_name_the_client(self):
        node = self.started()
        for number, header in enumerate((v1("192.0.2.1"), v1("2001:db8::1"), v2("192.0.2.1"), v2("2001:db8::1"),
                                         v2("192.0.2.1", tlv=b"\x04\0\x03abc"))):
            for pieces in (1, 5, len(header) + 20):
                client_id = f"c{number}-{pieces}"
                sock = self.raw(node, header + wire.connect(client_id, version=wire.V311), pieces)
                self.assertEqual(sock.recv(4, socket.MSG_WAITALL), b"\x20\x02\0\0")
                shown = self.address(node, client_id)
                self.assertIn("2001:db8::1" if number in (1, 3) else "192.0.2.1", shown)
                self.assertIn("4711", shown)

    def test_a_checksum_is_looked_at(self):
        self.assertEqual(crc32c(b"123456789"), 0xe3069283)
        node = self.started()
        for address in ("192.0.2.1", "2001:db8::1"):
            good = summed(v2(address, tlv=b"\x04\0\x03abc" + NO_SUM))
            sock = self.raw(node, good + wire.connect("c", version=wire.V311))
            self.assertEqual(sock.recv(4, socket.MSG_WAITALL), b"\x20\x02\0\0")
            for at in (16, 28, len(good) - 1):
                bad = bytearray(good)
                bad[at] ^= 1
                self.assertEqual(self.raw(node, bytes(bad) + wire.connect("c", version=wire.V311)).recv(100), b"")
        harness.until(lambda: "reason=proxy_checksum" in node.log(), 20, node.log)
        metrics = node.cli("ctl", "broker", "metrics").stdout
        self.assertRegex(metrics, r"io\.faults\.proxy_checksum\s*: 6\b")

    def test_the_certificate_that_a_proxy_has_verified(self):
        """Rules and mountpoints see its name; one that was not verified is none."""
        name = b"\x22\0\x05alice"
        rules = os.path.join(harness.scratch(), "acl")
        with open(rules, "w", encoding="utf-8") as file:
            file.write("allow cert alice all\n")
        node = self.started(**{"authorization.file": rules})
        for client, verify, code in ((7, 0, 0), (7, 1, 0x87), (1, 0, 0x87)):
            ssl = bytes([client]) + struct.pack(">I", verify) + name
            header = v2("192.0.2.1", tlv=b"\x20" + struct.pack(">H", len(ssl)) + ssl)
            sock = self.raw(node, header + wire.connect("c", version=wire.V5))
            client = harness.Raw(sock=sock)
            client.recv(wire.CONNACK)
            client.publish("t", b"x", qos=1, expect=(code or 0x10,))

    def test_additions_that_are_cut(self):
        node = self.started()
        for tlv in (b"\x04", b"\x04\0", b"\x04\0\x09x", b"\x20\0\x02\x07\0", b"\x03\0\x03abc"):
            self.assertEqual(self.raw(node, v2("192.0.2.1", tlv=tlv) + wire.connect("c")).recv(100), b"", tlv)

    def test_the_proxy_may_speak_for_itself(self):
        node = self.started()
        for number, header in enumerate((b"PROXY UNKNOWN\r\n", V2 + b"\x20\0\0\0", V2 + b"\x21\0\0\0")):
            sock = self.raw(node, header + wire.connect(f"c{number}", version=wire.V311))
            self.assertEqual(sock.recv(4, socket.MSG_WAITALL), b"\x20\x02\0\0")
            self.assertIn("127.0.0.1", self.address(node, f"c{number}"))

    def test_without_a_header_nobody_comes_in(self):
        node = self.started()
        for data in (wire.connect("c"), b"PROXY TCP4 1.2.3.4\r\n", b"PROXY " + b"x" * 200, V2 + b"\x21\x11\xff\xff", b"GET / HTTP/1.1\r\n\r\n"):
            self.assertEqual(self.raw(node, data).recv(100), b"", data)
        self.assertIn("reason=proxy_header", node.log())

    def test_a_header_that_does_not_come(self):
        node = self.started(**{"listeners.tcp.default.proxy_protocol_timeout": "200ms"})
        self.assertEqual(self.raw(node, b"PROXY TCP4 192.").recv(100), b"")

    def test_only_trusted_proxies(self):
        node = self.started(trusted=("192.0.2.0/24",))
        with socket.create_connection(("127.0.0.1", node.port), 10) as sock:
            self.assertEqual(sock.recv(1), b"")
        self.assertEqual(self.refusals(node, "tcp:default", "proxy"), 1)

    def test_trust_must_be_said(self):
        node = self.proxy_node(trusted=())
        done = node.cli("start")
        self.addCleanup(node.cli, "stop")
        self.assertEqual(done.returncode, 1)
        self.assertIn("proxy_protocol_trusted", done.stdout + done.stderr)

    def test_bans_and_rules_see_the_client(self):
        node = self.started()
        self.assertEqual(node.cli("ctl", "ban", "add", "peerhost", "192.0.2.66").returncode, 0)
        sock = self.raw(node, v2("192.0.2.66") + wire.connect("evil", version=wire.V5))
        self.assertEqual(sock.recv(4)[3], 0x8a)
        sock = self.raw(node, v2("192.0.2.67") + wire.connect("good", version=wire.V5))
        self.assertEqual(sock.recv(4)[3], 0)

    def test_in_front_of_tls_and_websocket(self):
        node = self.started(("ssl", "wss", "ws"), tls=True)
        raw = socket.create_connection(("127.0.0.1", node.tls_port), 20)
        self.addCleanup(raw.close)
        raw.sendall(v1("192.0.2.9"))
        sock = harness.tls_context().wrap_socket(raw, server_hostname="localhost")
        sock.sendall(wire.connect("tls", version=wire.V311))
        self.assertEqual(sock.recv(4), b"\x20\x02\0\0")
        self.assertIn("192.0.2.9", self.address(node, "tls"))
        ws = socket.create_connection(("127.0.0.1", node.ws_port), 20)
        self.addCleanup(ws.close)
        ws.sendall(v2("192.0.2.10") + b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
        self.assertIn(b"101", ws.recv(1000))


if __name__ == "__main__":
    unittest.main()
