# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 6 and RFC 6455: MQTT over WebSocket; chapter 4.2: the transports."""
import os
import ssl
import subprocess
import time

import websocket
from mqttlib import *
from suite import Case, statement, versions
from websocket import BINARY, CLOSE, CONT, PING, PONG, TEXT


class Frames(Case):
    def assert_closed_with(self, c, *codes):
        """The server closes; if it sends a close frame, as it should, with one of the codes."""
        c.expect_closed(allow=(DISCONNECT,))
        if PRODUCT_CHECKS:
            self.assertIn(c.sock.close_code, codes)
        else:
            self.assertIn(c.sock.close_code, (None, 1000, *codes))

    @statement("MQTT-6.0.0-1", "MQTT3-6.0.0-1..4")
    @versions()
    def test_text_frames(self, v):
        """Before CONNECT, as CONNECT, and later: the connection closes, the text is not taken as MQTT."""
        for name in ("first", "later", "continued"):
            with self.subTest(version=v, when=name):
                c = self.raw(v, ws=True)
                if name == "first":
                    c.sock.send_frame(TEXT, connect(unique(), v))
                elif name == "later":
                    c.connect()
                    c.sock.send_frame(TEXT, pingreq())
                else:
                    c.connect()
                    c.sock.send_frame(TEXT, pingreq()[:1], fin=False)
                    c.sock.send_frame(CONT, pingreq()[1:])
                self.assert_closed_with(c, 1002, 1003)

    @statement("MQTT-6.0.0-1", "MQTT3-6.0.0-1..4")
    @versions()
    def test_server_sends_binary_frames(self, v):
        """Every kind of packet (the client refuses text frames itself)."""
        c, topic = self.client(version=v, ws=True), unique()
        c.subscribe(topic, qos=2)
        for qos in (0, 1, 2):
            c.publish(topic, b"x" * 200, qos=qos)
            c.accept(c.wait(PUBLISH))
        c.unsubscribe(topic)
        c.expect_nothing()
        self.assertEqual(set(c.sock.frames) - {CONT}, {BINARY})
        c.disconnect()
        self.assertIn(c.sock.close_code, (1000, 1005, None))

    @statement("MQTT-6.0.0-2", "MQTT3-6.0.0-1..4")
    @versions()
    def test_one_byte_a_frame(self, v):
        c, topic = self.raw(v, ws=True), unique()
        for byte in connect(unique(), v) + subscribe(1, [(topic, 1)], version=v) + publish(topic, b"hello", 1, 2, version=v):
            c.sock.sendall(bytes([byte]))
        self.assertEqual(c.recv(CONNACK).reason, 0)
        self.assertEqual({p.type for p in c.barrier()}, {SUBACK, PUBACK, PUBLISH})

    @statement("MQTT-6.0.0-2", "MQTT3-6.0.0-1..4")
    @versions()
    def test_many_packets_in_a_frame(self, v):
        """CONNECT and all that follows in one frame; then a frame that begins and ends inside packets."""
        c, topic = self.raw(v, ws=True), unique()
        data = subscribe(1, [(topic, 0)], version=v) + publish(topic, b"y" * 300, version=v) * 50
        c.sock.sendall(connect(unique(), v) + data[:-100])
        self.assertEqual(c.recv(CONNACK).reason, 0)
        c.sock.sendall(data[-100:] + pingreq()[:1])
        c.sock.sendall(pingreq()[1:])
        found = []
        while (pkt := c.recv()).type != PINGRESP:
            found.append(pkt)
        self.assertEqual([p.type for p in found], [SUBACK] + [PUBLISH] * 50)

    @statement("MQTT-6.0.0-2", "MQTT3-6.0.0-1..4")
    def test_fragments_with_pings_between(self):
        """A message in fragments of any size, with control frames between them, empty frames included."""
        c, topic = self.client(ws=True), unique()
        c.subscribe(topic)
        data = publish(topic, os.urandom(5000))
        for size in (1, 7, 125, 126, 4000):
            parts = [data[i:i + size] for i in range(0, len(data), size)][:300]
            parts.append(data[sum(map(len, parts)):])
            for index, part in enumerate(parts):
                c.sock.send_frame(CONT if index else BINARY, part, fin=index == len(parts) - 1)
                if index % 50 == 1:
                    c.sock.send_frame(PING, b"are you there")
                    c.sock.send_frame(PONG, b"unasked")
            self.assertEqual(c.recv_publish(topic).raw, data)
        c.sock.sendall(b"")
        c.expect_nothing()
        self.assertIn(PONG, c.sock.frames)

    @statement("MQTT-6.0.0-2", "MQTT3-6.0.0-1..4")
    @versions()
    def test_every_length_form(self, v):
        """Frames of 125, 126, 65535, 65536 and more bytes in both directions."""
        c, topic = self.client(version=v, ws=True), unique()
        c.subscribe(topic)
        for size in (100, 125, 126, 127, 65535, 65536, 200000):
            data = publish(topic, b"z" * size, version=v)
            c.send(data)
            self.assertEqual(c.recv_publish(topic).raw, data)

    @statement("MQTT-6.0.0-1", "MQTT-4.13.1-1")
    def test_breaking_rfc_6455(self):
        """An unmasked frame, reserved bits, unknown opcodes, control frames too long or in fragments, a continuation of
        nothing, a message begun inside another: 1002."""
        bad = {
            "unmasked": lambda s: s.send_frame(BINARY, pingreq(), mask=False),
            "reserved bit": lambda s: s.send_frame(BINARY, pingreq(), reserved=4),
            "opcode 3": lambda s: s.send_frame(3, pingreq()), "opcode 11": lambda s: s.send_frame(11, b""),
            "long ping": lambda s: s.send_frame(PING, b"x" * 126),
            "ping in fragments": lambda s: s.send_frame(PING, b"x", fin=False),
            "continuation of nothing": lambda s: s.send_frame(CONT, pingreq()),
            "message in a message": lambda s: (s.send_frame(BINARY, b"\xc0", fin=False), s.send_frame(BINARY, b"\0")),
        }
        for name, act in bad.items():
            with self.subTest(name):
                c = self.client(ws=True)
                act(c.sock)
                self.assert_closed_with(c, 1002)

    @statement("MQTT-6.0.0-1")
    def test_close_frame(self):
        """The server answers it and closes; without DISCONNECT before it the will is published."""
        watcher, topic = self.client(), unique()
        watcher.subscribe(topic)
        c = self.client(ws=True, will=Will(topic, b"will"))
        c.sock.send_frame(CLOSE, (1000).to_bytes(2, "big"))
        c.expect_closed(allow=())
        self.assertIn(c.sock.close_code, (1000, 1005, None) if not PRODUCT_CHECKS else (1000,))
        self.assertEqual(watcher.recv_publish(topic).payload, b"will")


class Upgrade(Case):
    def upgrade(self, **options):
        socket_ = websocket.WebSocket("127.0.0.1", self.broker.ws_port, **options)
        self.addCleanup(socket_.close)
        return socket_

    @statement("MQTT-6.0.0-3", "MQTT3-6.0.0-1..4")
    def test_subprotocol_is_required(self):
        """None offered, or only others: refused before MQTT begins."""
        for offer in (None, ("chat",), ("mqttX", "xmqtt", "mqt"), ("MQTT2", "chat")):
            with self.subTest(offer=offer):
                try:
                    found = self.upgrade(protocols=offer)
                except websocket.Refused as refused:
                    self.assertIn(refused.status, (400, 403, 404, 426, None))
                    continue
                self.assertIsNone(found.protocol)
                c = Client(sock=found, timeout=2)
                c.send(connect(unique())).expect_closed(allow=())

    @statement("MQTT-6.0.0-4", "MQTT3-6.0.0-1..4")
    @versions()
    def test_server_selects_mqtt(self, v):
        """Among others, in any place; with mqttv3.1 for MQTT 3.1."""
        name = "mqttv3.1" if v == V31 else "mqtt"
        for offer in ((name,), ("chat", name), (name, "chat"), ("a", "b", name, "c")):
            with self.subTest(version=v, offer=offer):
                found = self.upgrade(protocols=offer)
                self.assertEqual(found.protocol, name)
                c = Client(sock=found, version=v)
                c.connect()
                c.expect_nothing()

    @statement("MQTT-6.0.0-4")
    def test_offer_in_several_headers(self):
        found = self.upgrade(protocols=None, headers=("Sec-WebSocket-Protocol: chat", "sec-websocket-protocol:mqtt"))
        self.assertEqual(found.protocol, "mqtt")

    @statement("MQTT-6.0.0-3", "MQTT-6.0.0-4")
    def test_no_extension_is_selected(self):
        """Compression is offered by every browser; frames may only be compressed once the server agreed."""
        found = self.upgrade(headers=("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",))
        if "sec-websocket-extensions" not in found.headers:
            c = Client(sock=found)
            c.connect()
            c.sock.send_frame(BINARY, pingreq(), reserved=4)
            c.expect_closed()

    @statement("MQTT-6.0.0-1", "MQTT-3.1.0-1")
    def test_mqtt_without_upgrade(self):
        """Plain MQTT on the WebSocket port is closed, not answered as MQTT."""
        c = Client(port=self.broker.ws_port, timeout=10)
        self.addCleanup(c.close)
        c.sock.sendall(connect(unique()) + b"\r\n\r\n")
        deadline, data = time.monotonic() + 10, b""
        c.sock.settimeout(10)
        while time.monotonic() < deadline:
            try:
                more = c.sock.recv(4096)
            except ConnectionResetError:
                more = b""
            if not more:
                break
            data += more
        self.assertTrue(not data or data.startswith(b"HTTP/1."), data)


class Transports(Case):
    """MQTT-4.2-1 cannot be tested beyond this: the transports are ordered streams of bytes, whatever the pieces are."""

    def tls_listener(self):
        """A broker with a TLS listener on a certificate made for this test; its port."""
        import broker
        port = broker.Port()
        self.addCleanup(port.free)
        folder = self.enterContext(__import__("tempfile").TemporaryDirectory())
        key, cert = folder + "/key.pem", folder + "/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                        "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                       check=True, capture_output=True)
        self.own_broker({"listeners.ssl.default.enable": True, "listeners.ssl.default.bind": f"127.0.0.1:{port.number}",
                         "listeners.ssl.default.ssl_options.certfile": cert, "listeners.ssl.default.ssl_options.keyfile": key})
        return port.number, ssl.create_default_context(cafile=cert)

    def conversation(self, c):
        """A stream of packets with every length form, written in pieces that have nothing to do with packets."""
        topic, payloads = unique(), [os.urandom(n) for n in (0, 1, 100, 127, 128, 16383, 16384, 100000)]
        stream = connect(unique(), c.version) + subscribe(1, [(topic, 0)], version=c.version)
        stream += b"".join(publish(topic, p, version=c.version) for p in payloads) + pingreq()
        at, step = 0, 1
        while at < len(stream):
            c.send(stream[at:at + step])
            at, step = at + step, step * 3 % 7919
        self.assertEqual(c.recv(CONNACK).reason, 0)
        c.recv(SUBACK)
        self.assertEqual([c.recv_publish(topic).payload for _ in payloads], payloads)
        c.recv(PINGRESP)

    @statement("MQTT-4.2-1")
    @versions()
    def test_tcp_and_websocket(self, v):
        for ws in (False, True):
            self.conversation(self.raw(v, ws=ws))

    @statement("MQTT-4.2-1")
    def test_tls(self):
        port, context = self.tls_listener()
        for v in VERSIONS:
            plain = __import__("socket").create_connection(("127.0.0.1", port), 5)
            c = Client(sock=context.wrap_socket(plain, server_hostname="127.0.0.1"), version=v)
            self.addCleanup(c.close)
            self.conversation(c)
