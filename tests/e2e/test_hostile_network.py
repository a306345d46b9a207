# SPDX-License-Identifier: Apache-2.0
"""The wrong protocol on the wrong port, TLS that does not get on, WebSocket frames that break RFC 6455. The number in a
test's name is the row of the list of inputs that broke brokers."""
import os
import ssl
import time
import unittest

import websocket
from harness import tls_context
from hostile import HostileCase, descriptors_wanted, reset
from mqttlib import Client, unique
from websocket import BINARY, CLOSE, CONT, PING, TEXT
from wire import *  # noqa: F403


class Ports(HostileCase):
    def setUp(self):
        self.broker = self.node({"mqtt.idle_timeout": "1s", "listeners.ssl.default.ssl_options.handshake_timeout": "1s",
                                 "listeners.wss.default.ssl_options.handshake_timeout": "1s"}, tls=True)

    def client_hello(self):
        """The first bytes of a TLS client."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        return outgoing.read()

    def test_row_22_slow_handshakes(self):
        """500 handshakes that stop: before the first byte, within the ClientHello, after it, and one byte now and then.
        They end with the time limit; a good client has its handshake meanwhile."""
        hello = self.client_hello()
        with self.attack(self.broker, 40) as watch:
            stuck = []
            for n in range(500):
                sock = self.raw_socket(self.broker, self.broker.tls_port if n % 2 else self.broker.wss_port)
                sock.sendall((b"", hello[:1], hello[:50], hello[:-1], hello)[n % 5])
                stuck.append(sock)
            started = time.monotonic()
            good = self.connected(self.broker, tls=True)
            good.expect_nothing()
            self.assertLess(time.monotonic() - started, 1)
            watch.check()
            for sock in stuck:
                self.assert_closed(sock, 5)
            self.assertLess(time.monotonic() - started, 6)
            good.expect_nothing()

    def test_row_22_tls_to_the_plain_port(self):
        with self.attack(self.broker, 5):
            for port in (self.broker.port, self.broker.ws_port):
                sock = self.raw_socket(self.broker, port)
                sock.sendall(self.client_hello())
                got = self.assert_closed(sock, 4)
                self.assertFalse(got.startswith(b"\x16"), got)

    def test_row_22_plain_to_the_tls_port(self):
        with self.attack(self.broker, 5):
            for port in (self.broker.tls_port, self.broker.wss_port):
                for data in (connect("x"), b"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(500), b"\x16\x03\x01\xff\xff" + b"x" * 1000):
                    sock = self.raw_socket(self.broker, port)
                    sock.sendall(data)
                    got = self.assert_closed(sock, 4)
                    self.assertTrue(got[:1] in (b"", b"\x15"), got)     # nothing or a TLS alert

    def test_row_22_http_to_mqtt_and_mqtt_to_websocket(self):
        with self.attack(self.broker, 5):
            for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /mqtt HTTP/1.1\r\n\r\n", b"\r\n\r\n"):
                sock = self.raw_socket(self.broker)
                sock.sendall(data)
                self.assertEqual(self.assert_closed(sock, 4), b"")
            for data in (connect("x"), pingreq(), b"\0" * 100):
                sock = self.raw_socket(self.broker, self.broker.ws_port)
                sock.sendall(data)
                got = self.assert_closed(sock, 4)
                self.assertTrue(got == b"" or got.startswith(b"HTTP/1.1 4"), got)

    def test_row_22_said_in_the_log(self):
        """One who looks for the reason finds it: a line with the peer's address for a refused handshake."""
        sock = self.raw_socket(self.broker, self.broker.tls_port)
        port = sock.getsockname()[1]
        sock.sendall(connect("x"))
        self.assert_closed(sock, 4)
        self.assertIn(f"127.0.0.1:{port}", self.broker.log())

    def test_row_22_renegotiation_and_junk_after_the_handshake(self):
        """Records that do not decrypt, in the middle of a session: that connection ends, its will is published."""
        with self.attack(self.broker, 5) as watch:
            topic = unique()
            watch.subscriber.subscribe(topic)
            good = self.connected(self.broker, tls=True, connect={"will": Will(topic, b"will")})
            os.write(good.sock.fileno(), b"\x17\x03\x03\x00\x20" + os.urandom(32))
            self.assertEqual(watch.subscriber.take(lambda p: p.type == PUBLISH and p.topic == topic).payload, b"will")


class WebSocket(HostileCase):
    def setUp(self):
        self.broker = self.node({"mqtt.idle_timeout": "1s"})

    def ws(self, **options):
        client = Client(port=self.broker.ws_port, ws=True, **options)
        self.addCleanup(client.close)
        return client

    def test_row_23_broken_frames(self):
        """Each ends its connection with the close code of RFC 6455: 1002 for a broken protocol, 1003 for text, 1009 for
        what is too large."""
        cases = {
            "text": (1003, lambda s: s.send_frame(TEXT, connect("x"))),
            "unmasked": (1002, lambda s: s.send_frame(BINARY, connect("x"), mask=False)),
            "long control frame": (1002, lambda s: s.send_frame(PING, b"x" * 126)),
            "control frame in parts": (1002, lambda s: s.send_frame(PING, b"x", fin=False)),
            "reserved bits": (1002, lambda s: s.send_frame(BINARY, b"x", reserved=7)),
            "unknown opcode": (1002, lambda s: s.send_frame(7, b"x")),
            "continuation of nothing": (1002, lambda s: s.send_frame(CONT, b"x")),
            "1 GB": (1009, lambda s: s.sock.sendall(b"\x82\xff" + (1 << 30).to_bytes(8, "big") + b"maskx")),
            "length with its top bit": (1002, lambda s: s.sock.sendall(b"\x82\xff" + b"\xff" * 8 + b"mask")),
            "close of one byte": (1002, lambda s: s.send_frame(CLOSE, b"x")),
            "close with a reserved code": (1002, lambda s: s.send_frame(CLOSE, (1005).to_bytes(2, "big"))),
            "close with bad UTF-8": (1000, lambda s: s.send_frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff")),
        }
        with self.attack(self.broker, 10) as watch:
            for name, (code, act) in cases.items():
                for connected in (False, True):
                    with self.subTest(name, connected=connected):
                        client = self.ws()
                        if connected:
                            client.connect()
                        act(client.sock)
                        client.expect_closed()
                        self.assertIn(client.sock.close_code, (code, 1002, 1007), name)
            watch.check()

    def test_row_23_large_frame_on_many_connections(self):
        """A frame as large as is allowed (16 MB) announced on 2,000 connections, of which nothing comes: 10 KB each."""
        descriptors_wanted(3000)
        broker = self.node({"mqtt.idle_timeout": "30s"})
        with self.attack(broker, 40) as watch:
            crowd = []
            for _ in range(2000):
                socket_ = websocket.WebSocket("127.0.0.1", broker.ws_port)
                socket_.sock.sendall(b"\x82\xff" + (16_000_000).to_bytes(8, "big") + b"mask" + b"x")
                crowd.append(socket_)
            watch.check()
            for socket_ in crowd:
                reset(socket_.sock)
            watch.check()

    def test_row_23_fragments_of_one_byte(self):
        """A packet of 20,000 bytes in as many fragments, with empty ones between."""
        with self.attack(self.broker, 10):
            client, topic = self.ws(), unique()
            client.connect()
            client.subscribe(topic)
            data = publish(topic, os.urandom(20_000))
            frames = b"".join(bytes([2 if n == 0 else 0, 0x81]) + b"\0\0\0\0" + data[n:n + 1] + b"\0\x80\0\0\0\0"
                              for n in range(len(data) - 1))
            client.sock.sock.sendall(frames + b"\x80\x81\0\0\0\0" + data[-1:])
            self.assertEqual(client.recv_publish(topic).raw, data)

    def test_row_23_ping_flood(self):
        """A million pings of a client that does not read the pongs: the broker stops reading or drops some, and does not
        pile them up."""
        with self.attack(self.broker, 20) as watch:
            client = self.ws()
            client.connect()
            ping = b"\x89\xfd\0\0\0\0" + b"x" * 125
            client.sock.sock.settimeout(0.5)
            try:
                for n in range(1000):
                    client.sock.sock.sendall(ping * 1000)
                    if n % 100 == 0:
                        watch.check()
            except (TimeoutError, ConnectionError):
                pass
            watch.check()

    def test_row_23_upgrades(self):
        """Wrong path, no subprotocol, not GET, no key, wrong version, a header that never ends, one that comes slowly."""
        with self.attack(self.broker, 10) as watch:
            for options, status in (({"path": "/other"}, (404,)), ({"path": "/mqtt/../../etc/passwd"}, (400, 404)),
                                    ({"protocols": None}, (400,)), ({"protocols": ("chat",)}, (400,))):
                with self.assertRaises(websocket.Refused) as refused:
                    websocket.WebSocket("127.0.0.1", self.broker.ws_port, **options)
                self.assertIn(refused.exception.status, status)
            head = "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n"
            key, version = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Version: 13\r\n"
            for request in (head + version + "\r\n", head + key + "\r\n", head + key + "Sec-WebSocket-Version: 8\r\n\r\n",
                            (head + key + version + "\r\n").replace("GET", "POST"), head.replace("Upgrade: websocket\r\n", "") + key + version + "\r\n",
                            head + key.replace("dGhl", "") + version + "\r\n", (head + key + version + "\r\n").replace("1.1", "1.0"),
                            head + key + version + "X: " + "y" * 1_000_000 + "\r\n\r\n", "X: y\r\n" * 200_000, "GET " + "/" * 100_000):
                with self.subTest(request=request[:60]):
                    sock = self.raw_socket(self.broker, self.broker.ws_port)
                    try:
                        sock.sendall(request.encode())
                    except OSError:
                        pass
                    got = self.assert_closed(sock, 4)
                    self.assertFalse(got.startswith(b"HTTP/1.1 101"), got)
            slow, started = self.raw_socket(self.broker, self.broker.ws_port), time.monotonic()
            slow.settimeout(0.2)
            for byte in head.encode():
                try:
                    slow.sendall(bytes([byte]))
                    if not slow.recv(100):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            self.assertLess(time.monotonic() - started, 4)
            watch.check()


