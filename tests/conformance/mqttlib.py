# SPDX-License-Identifier: Apache-2.0
"""An MQTT client for tests: it does nothing by itself, checks everything, and never waits without a deadline.

    c = Client("127.0.0.1", 1883, version=V5)       # or ws=True, or sock=anything with sendall/recv/settimeout
    c.connect("id", clean=True)                      # -> CONNACK packet, must be a success (also c.connack)
    c.subscribe("a/#", qos=1)                        # -> SUBACK; what arrives meanwhile waits in the inbox
    c.publish("a/b", b"x", qos=2)                    # whole flow -> last ack
    c.recv_publish()                                 # next PUBLISH, acknowledged by itself (ack=False: by you)
    c.send(wire.publish("a/b", qos=3))               # any bytes
    c.expect_disconnect(0x81)                        # v5: DISCONNECT with code and Reason String, then closed
    c.barrier()                                      # everything that the server sends before PINGRESP

All packet builders, constants and the parser of wire.py can be imported from here as well.
"""
import itertools
import os
import socket
import struct
import time
from collections import deque

import wire
from wire import *  # noqa: F401,F403  (the vocabulary of the tests)
from wire import (AUTH, CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, REASON_STRING,
                  SUBACK, TYPE_NAMES, UNSUBACK, V5, V31, V311, Packet, Will, WireError)
from websocket import WebSocket

TIMEOUT = float(os.environ.get("COVEY_TEST_TIMEOUT", "4"))
# That every error is told with a packet and a Reason String is a promise of Covey, not of the standard: other
# brokers are not held to it.
PRODUCT_CHECKS = os.path.basename(os.environ.get("COVEY_BIN", "covey")) != "mosquitto"

_names = itertools.count(1)


def unique(prefix="t"):
    """A topic level or client id that no other test of this run uses."""
    return f"{prefix}{os.getpid() % 100000}x{next(_names)}"


class Closed(AssertionError):
    """The connection ended where a packet was expected."""


def check_reason_string(pkt):
    """An error with a non-empty Reason String: what a user needs to find the fault."""
    if PRODUCT_CHECKS:
        assert pkt.prop(REASON_STRING), f"no Reason String in {pkt!r}"
    return pkt


class Client:
    def __init__(self, host="127.0.0.1", port=1883, version=V5, ws=False, sock=None, timeout=TIMEOUT, **ws_options):
        self.version, self.timeout = version, timeout
        self.inbox, self.buffer, self.eof, self.seen = deque(), b"", False, []
        self.next_pid, self.aliases, self.connack, self.id = 0, {}, None, None
        if sock is None and ws:
            sock = WebSocket(host, port, timeout=timeout, **ws_options)
        elif sock is None:
            sock = socket.create_connection((host, port), timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ------------------------------------------------------------ bytes

    def send(self, *chunks):
        """Send bytes; a server that has closed already is no error here, reading will show it."""
        try:
            self.sock.settimeout(self.timeout)
            self.sock.sendall(b"".join(chunks))
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def pid(self):
        """The next packet identifier of this client."""
        self.next_pid = self.next_pid % 65535 + 1
        return self.next_pid

    def _pull(self, deadline):
        """Read once; False when the deadline passed."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(65536)
        except (socket.timeout, TimeoutError):
            return False
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            self.eof = True
            if self.buffer:
                raise WireError(f"connection closed inside a packet: {self.buffer.hex()}")
            return True
        self.buffer += data
        while (found := wire.split(self.buffer)) is not None:
            first, body, raw, self.buffer = found
            if self.seen and self.seen[-1].type == DISCONNECT:
                raise WireError("packet after DISCONNECT [MQTT-3.14.4-1]")
            pkt = wire.parse(first, body, raw, self.version)
            self.seen.append(pkt)
            self.inbox.append(pkt)
        return True

    # ------------------------------------------------------------ receiving

    def take(self, want=lambda pkt: True, timeout=None, what="a packet"):
        """The first packet that fits, from the inbox or the wire; others stay in the inbox. Fails when the
        connection ends or the time is over."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            for index, pkt in enumerate(self.inbox):
                if want(pkt):
                    del self.inbox[index]
                    return pkt
            if self.eof:
                raise Closed(f"connection closed while waiting for {what}; inbox {list(self.inbox)}")
            if not self._pull(deadline):
                raise AssertionError(f"no {what} in time; inbox {list(self.inbox)}")

    def recv(self, kind=None, timeout=None):
        """The next packet in order; with kind it must be of that type."""
        pkt = self.take(timeout=timeout, what=TYPE_NAMES[kind] if kind else "packet")
        assert kind is None or pkt.type == kind, f"expected {TYPE_NAMES[kind]}, got {pkt!r}"
        return pkt

    def wait(self, kind, timeout=None):
        """The next packet of that type; others stay in the inbox."""
        return self.take(lambda p: p.type == kind, timeout, TYPE_NAMES[kind])

    def recv_publish(self, topic=None, timeout=None, ack=True):
        """The next packet must be a PUBLISH (on that topic); its QoS flow is carried out unless ack is False.
        Topic aliases of the server are resolved: the packet's topic is always the full one."""
        pkt = self._resolve(self.recv(PUBLISH, timeout))
        assert topic is None or pkt.topic == topic, f"expected a PUBLISH on {topic!r}, got {pkt!r}"
        if ack:
            self.accept(pkt)
        return pkt

    def _resolve(self, pkt):
        alias = pkt.prop(wire.ALIAS)
        if alias and pkt.topic:
            self.aliases[alias] = pkt.topic
        elif alias:
            assert alias in self.aliases, f"unknown topic alias in {pkt!r}"
            pkt.topic = self.aliases[alias]
        return pkt

    def accept(self, pkt):
        """The receiver's part of the QoS flow for a PUBLISH, to its end."""
        if pkt.qos == 1:
            self.send(wire.ack(PUBACK, pkt.pid))
        elif pkt.qos == 2:
            self.send(wire.ack(PUBREC, pkt.pid))
            rel = self.take(lambda p: p.type == PUBREL and p.pid == pkt.pid, what=f"PUBREL {pkt.pid}")
            assert rel.reason == 0, rel
            self.send(wire.ack(PUBCOMP, pkt.pid))
        return pkt

    def expect_ack(self, kind, pid, *reasons):
        """The next packet must be this acknowledgement with one of the reasons (none given: success)."""
        pkt = self.recv(kind)
        assert pkt.pid == pid, f"wanted packet identifier {pid}: {pkt!r}"
        assert pkt.reason in (reasons or (0, 0x10)), f"wanted reason {[hex(r) for r in reasons]}: {pkt!r}"
        return pkt

    def barrier(self, timeout=None):
        """Everything that the server sent before the answer to a last request (no acknowledgement is sent). The request
        is an UNSUBSCRIBE of nothing, not a PINGREQ: acknowledgements that wait for a commit come before its UNSUBACK,
        while a PINGRESP overtakes them."""
        pid = 0xFADE
        self.send(wire.unsubscribe(pid, ["no/such/subscription"], version=self.version))
        found, deadline = [], time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            pkt = self.take(timeout=deadline - time.monotonic(), what="UNSUBACK")
            if pkt.type == UNSUBACK and pkt.pid == pid:
                return found
            found.append(pkt)

    def take_all(self):
        """After a PINGREQ of one's own: everything up to the PINGRESP or, if the server ends it, to the end."""
        found = []
        while PINGRESP not in [p.type for p in found]:
            try:
                found.append(self.take())
            except Closed:
                break
        return found

    def expect_nothing(self, ms=0):
        """Nothing arrives before a PINGRESP. This speaks for this connection only; to show that a message of
        another client is not delivered, use expect_no_more(publisher). ms adds a real wait, where only time can
        show it (no resend by timer)."""
        if ms:
            deadline = time.monotonic() + ms / 1000
            while not self.eof and self._pull(deadline):
                pass
        found = self.barrier()
        assert not found, f"unexpected {found}"

    def drain_from(self, publisher, qos=0, ack=False):
        """Everything that arrived here before a last message that publisher sends now: what the publisher sent
        before and is meant for this client is among it. Returns the packets without that last message. QoS flows
        are carried out only with ack, which is needed for more messages than the server's window holds; qos should
        be that of the messages one asks about."""
        topic = unique("barrier")
        self.subscribe(topic, qos=qos)
        publisher.publish(topic, b"barrier", qos=qos)
        found = []
        while True:
            pkt = self.take(what="barrier message")
            if pkt.type == PUBLISH and (self._resolve(pkt).topic == topic or ack):
                self.accept(pkt)
            if pkt.type == PUBLISH and pkt.topic == topic:
                self.unsubscribe(topic)
                return found
            found.append(pkt)

    def expect_no_more(self, publisher, qos=0):
        """No message that publisher has sent so far is still on the way to this client."""
        found = self.drain_from(publisher, qos)
        assert not found, f"unexpected {found}"

    # ------------------------------------------------------------ endings

    def expect_closed(self, timeout=None, allow=(DISCONNECT,)):
        """The server closes the connection; returns the packets before that, which may only be of allowed types.
        Fails at once on another packet or a CONNACK 0, so a PINGREQ sent after the bad bytes saves waiting."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            bad = [p for p in self.inbox if p.type not in allow or (p.type == CONNACK and p.reason == 0)]
            assert not bad, f"instead of closing, or before it: {bad}"
            if self.eof:
                found, self.inbox = list(self.inbox), deque()
                return found
            if not self._pull(deadline):
                raise AssertionError(f"connection still open; inbox {list(self.inbox)}")

    def expect_disconnect(self, *reasons, timeout=None, reason_string=True, allow=()):
        """The server ends the connection because of an error. v5: a DISCONNECT with one of the reasons (none given:
        any code >= 0x80) and a Reason String comes first and is returned; before v5 it just closes (returns None).
        allow: types that may come before."""
        found = [p for p in self.expect_closed(timeout, (DISCONNECT, *allow)) if p.type == DISCONNECT]
        if self.version != V5:
            return None
        if not found and not PRODUCT_CHECKS:
            return None
        assert len(found) == 1, f"closed without DISCONNECT: {found}"
        codes = reasons or {r for r in wire.SERVER_REASONS[DISCONNECT] if r >= 0x80}
        assert found[0].reason in codes, f"wanted reason {[hex(r) for r in codes]}, got {found[0]!r}"
        return check_reason_string(found[0]) if reason_string else found[0]

    def expect_refused(self, *reasons, timeout=None, reason_string=True):
        """CONNECT is refused: CONNACK with one of the reasons (none given: any failure), then closed."""
        found = self.expect_closed(timeout, (CONNACK,))
        assert len(found) == 1, f"wanted one CONNACK before the end, got {found}"
        pkt = found[0]
        assert pkt.reason in reasons if reasons else pkt.reason, f"wanted {[hex(r) for r in reasons]}, got {pkt!r}"
        assert not pkt.session_present, f"session present with an error: {pkt!r} [MQTT-3.2.2-6]"
        return check_reason_string(pkt) if self.version == V5 and reason_string else pkt

    def expect_malformed(self, *reasons, timeout=None):
        """A CONNECT that breaks the rules: v5 gets CONNACK with one of the reasons (default 0x81), earlier
        versions nothing [MQTT-3.1.4-1]; then the connection closes."""
        if self.version != V5:
            self.expect_closed(timeout, ())
            return None
        if not PRODUCT_CHECKS:
            found = self.expect_closed(timeout, (CONNACK,))
            assert all(p.reason >= 0x80 for p in found), found
            return None
        return self.expect_refused(*(reasons or (0x81,)), timeout=timeout)

    def close(self):
        """Close without DISCONNECT."""
        self.sock.close()

    def reset(self):
        """End the connection hard (RST)."""
        raw = getattr(self.sock, "sock", self.sock)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def disconnect(self, reason=None, props=None):
        """A regular DISCONNECT; returns when the server has closed."""
        self.send(wire.disconnect(reason, props))
        self.expect_closed(allow=(PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP))
        self.close()

    # ------------------------------------------------------------ requests

    def connect(self, client_id=None, props=(), expect=0, **options):
        """CONNECT and its CONNACK (options as wire.connect). expect: the reason code, None accepts any."""
        client_id = unique("c") if client_id is None else client_id
        self.send(wire.connect(client_id, version=self.version, props_=props, **options))
        pkt = self.recv(CONNACK)
        self.connack, self.id = pkt, pkt.prop(wire.ASSIGNED_ID, client_id)
        assert expect is None or pkt.reason == expect, f"wanted reason 0x{expect:02x}, got {pkt!r}"
        return pkt

    def subscribe(self, filters, qos=0, props=(), no_local=False, rap=False, retain_handling=0, expect=None):
        """SUBSCRIBE to one filter or a list of filters or (filter, options) pairs; returns the SUBACK. expect:
        the reason codes wanted (default: each one granted as asked; False: not checked)."""
        options = wire.sub_options(qos, no_local, rap, retain_handling)
        pairs = [f if isinstance(f, tuple) else (f, options)
                 for f in (filters if isinstance(filters, list) else [filters])]
        pid = self.pid()
        self.send(wire.subscribe(pid, pairs, props, self.version))
        pkt = self.wait(SUBACK)
        assert pkt.pid == pid, f"wanted packet identifier {pid}: {pkt!r}"
        want = [o & 3 for _, o in pairs] if expect is None else expect
        assert want is False or pkt.reasons == list(want), f"wanted {want}: {pkt!r}"
        return pkt

    def unsubscribe(self, filters, props=()):
        """UNSUBSCRIBE from one filter or a list; returns the UNSUBACK."""
        pid = self.pid()
        self.send(wire.unsubscribe(pid, filters if isinstance(filters, list) else [filters], props, self.version))
        pkt = self.wait(UNSUBACK)
        assert pkt.pid == pid, f"wanted packet identifier {pid}: {pkt!r}"
        return pkt

    def publish(self, topic, payload=b"", qos=0, retain=False, props=(), dup=False, pid=None, expect=(0, 0x10)):
        """PUBLISH with its whole QoS flow; returns the last acknowledgement (None for QoS 0). expect: the reason
        codes wanted in PUBACK/PUBREC. A PUBREC with an error ends the flow and is returned."""
        pid = (pid or self.pid()) if qos else None
        self.send(wire.publish(topic, payload, qos, pid, retain, dup, props, self.version))
        if qos == 0:
            return None
        kind = PUBACK if qos == 1 else PUBREC
        pkt = self.take(lambda p: p.type == kind and p.pid == pid, what=f"{TYPE_NAMES[kind]} {pid}")
        assert pkt.reason in expect, f"wanted reason {[hex(r) for r in expect]}, got {pkt!r}"
        if qos == 1 or pkt.reason >= 0x80:
            return pkt
        self.send(wire.ack(PUBREL, pid))
        pkt = self.take(lambda p: p.type == PUBCOMP and p.pid == pid, what=f"PUBCOMP {pid}")
        assert pkt.reason == 0, pkt
        return pkt
