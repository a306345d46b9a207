# SPDX-License-Identifier: Apache-2.0
"""MQTT 3.1, 3.1.1 and 5.0 packets as bytes: builders for the client side, a strict parser for the server side.

The builders put together exactly what they are told, so malformed packets are as easy as good ones: strings may
be given as bytes, property sections as raw bytes, flags and lengths can be overridden. The parser accepts only
what a server may send and raises WireError for anything else (an over-long length, a property in the wrong
packet, an unlisted reason code, reserved bits), so every test of the suite checks these along the way.
"""
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = range(1, 10)
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(10, 16)
TYPE_NAMES = ["RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
              "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"]

V31, V311, V5 = 3, 4, 5
VERSIONS = (V31, V311, V5)

# Property identifiers (MQTT 5.0, 2.2.2.2) and the kind of their values.
PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION = 0x01, 0x02, 0x03, 0x08, 0x09
SUBSCRIPTION_ID, SESSION_EXPIRY, ASSIGNED_ID, SERVER_KEEP_ALIVE = 0x0B, 0x11, 0x12, 0x13
AUTH_METHOD, AUTH_DATA, REQUEST_PROBLEM, WILL_DELAY, REQUEST_RESPONSE = 0x15, 0x16, 0x17, 0x18, 0x19
RESPONSE_INFO, SERVER_REFERENCE, REASON_STRING, RECEIVE_MAX = 0x1A, 0x1C, 0x1F, 0x21
ALIAS_MAX, ALIAS, MAX_QOS, RETAIN_AVAILABLE, USER_PROPERTY, MAX_PACKET = 0x22, 0x23, 0x24, 0x25, 0x26, 0x27
WILDCARD_AVAILABLE, SUB_ID_AVAILABLE, SHARED_AVAILABLE = 0x28, 0x29, 0x2A

_KINDS = {
    PAYLOAD_FORMAT: "u8", MESSAGE_EXPIRY: "u32", CONTENT_TYPE: "str", RESPONSE_TOPIC: "str", CORRELATION: "bin",
    SUBSCRIPTION_ID: "var", SESSION_EXPIRY: "u32", ASSIGNED_ID: "str", SERVER_KEEP_ALIVE: "u16", AUTH_METHOD: "str",
    AUTH_DATA: "bin", REQUEST_PROBLEM: "u8", WILL_DELAY: "u32", REQUEST_RESPONSE: "u8", RESPONSE_INFO: "str",
    SERVER_REFERENCE: "str", REASON_STRING: "str", RECEIVE_MAX: "u16", ALIAS_MAX: "u16", ALIAS: "u16",
    MAX_QOS: "u8", RETAIN_AVAILABLE: "u8", USER_PROPERTY: "pair", MAX_PACKET: "u32", WILDCARD_AVAILABLE: "u8",
    SUB_ID_AVAILABLE: "u8", SHARED_AVAILABLE: "u8",
}
_ACK_PROPS = {REASON_STRING, USER_PROPERTY}
# What a server may put into each packet that it sends.
_SERVER_PROPS = {
    CONNACK: {SESSION_EXPIRY, RECEIVE_MAX, MAX_QOS, RETAIN_AVAILABLE, MAX_PACKET, ASSIGNED_ID, ALIAS_MAX,
              REASON_STRING, USER_PROPERTY, WILDCARD_AVAILABLE, SUB_ID_AVAILABLE, SHARED_AVAILABLE,
              SERVER_KEEP_ALIVE, RESPONSE_INFO, SERVER_REFERENCE, AUTH_METHOD, AUTH_DATA},
    PUBLISH: {PAYLOAD_FORMAT, MESSAGE_EXPIRY, ALIAS, RESPONSE_TOPIC, CORRELATION, USER_PROPERTY, SUBSCRIPTION_ID,
              CONTENT_TYPE},
    PUBACK: _ACK_PROPS, PUBREC: _ACK_PROPS, PUBREL: _ACK_PROPS, PUBCOMP: _ACK_PROPS, SUBACK: _ACK_PROPS,
    UNSUBACK: _ACK_PROPS, DISCONNECT: _ACK_PROPS | {SERVER_REFERENCE},
    AUTH: {AUTH_METHOD, AUTH_DATA, REASON_STRING, USER_PROPERTY},
}
_PUB_REASONS = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
# Reason codes that a server may use in each packet.
SERVER_REASONS = {
    CONNACK: {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
              0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: _PUB_REASONS, PUBREC: _PUB_REASONS, PUBREL: {0x00, 0x92}, PUBCOMP: {0x00, 0x92},
    SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96,
                 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2},
    AUTH: {0x00, 0x18},
}


class WireError(AssertionError):
    """The server sent bytes that no server may send."""


# ---------------------------------------------------------------- building

def varint(value, size=0):
    """A variable byte integer; size asks for a given (over-long) number of bytes."""
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        if value or len(out) + 1 < size:
            out.append(low | 0x80)
        else:
            out.append(low)
            return bytes(out)


def u16(value):
    return value.to_bytes(2, "big")


def u32(value):
    return value.to_bytes(4, "big")


def text(value):
    """A string (or, given bytes, possibly ill-formed) field with its two byte length."""
    data = value if isinstance(value, (bytes, bytearray)) else value.encode()
    return u16(len(data)) + bytes(data)


def prop(ident, value):
    """One property: identifier and value. A user property takes a (key, value) pair."""
    kind = _KINDS[ident]
    head = varint(ident)
    if kind == "pair":
        return head + text(value[0]) + text(value[1])
    encode = {"u8": lambda v: bytes([v]), "u16": u16, "u32": u32, "var": varint, "str": text, "bin": text}[kind]
    return head + encode(value)


def props(items=()):
    """A property section with its length, from (id, value) pairs; bytes go in as they are (no length added)."""
    if isinstance(items, (bytes, bytearray)):
        return bytes(items)
    body = b"".join(i if isinstance(i, bytes) else prop(*i) for i in items or ())
    return varint(len(body)) + body


def packet(kind, flags, body=b"", length=None, length_size=0):
    """A whole packet; length lies about the remaining length, length_size makes its encoding over-long."""
    return bytes([kind << 4 | flags]) + varint(len(body) if length is None else length, length_size) + body


@dataclass
class Will:
    topic: object
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    props: object = ()


def connect(client_id="", version=V5, clean=True, keep_alive=0, props_=(), will=None, username=None, password=None,
            name=None, level=None, flags=None, reserved=0, tail=b"", header_flags=0):
    """CONNECT. flags replaces the connect flags byte, tail is appended to the payload."""
    byte = reserved | (2 if clean else 0)
    if will:
        byte |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
    byte |= (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = text(name if name is not None else ("MQIsdp" if version == V31 else "MQTT"))
    body += bytes([version if level is None else level, byte if flags is None else flags]) + u16(keep_alive)
    body += props(props_) if version == V5 else b""
    body += text(client_id)
    if will:
        body += (props(will.props) if version == V5 else b"") + text(will.topic) + text(will.payload)
    body += text(username) if username is not None else b""
    body += text(password) if password is not None else b""
    return packet(CONNECT, header_flags, body + tail)


def publish(topic, payload=b"", qos=0, pid=None, retain=False, dup=False, props_=(), version=V5):
    payload = payload.encode() if isinstance(payload, str) else payload
    body = text(topic) + (u16(pid) if pid is not None else b"")
    body += props(props_) if version == V5 else b""
    return packet(PUBLISH, (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + payload)


def sub_options(qos=0, no_local=False, rap=False, retain_handling=0):
    return qos | (4 if no_local else 0) | (8 if rap else 0) | retain_handling << 4


def subscribe(pid, filters, props_=(), version=V5, flags=2):
    """filters: (filter, options byte) pairs."""
    body = u16(pid) + (props(props_) if version == V5 else b"")
    return packet(SUBSCRIBE, flags, body + b"".join(text(f) + bytes([o]) for f, o in filters))


def unsubscribe(pid, filters, props_=(), version=V5, flags=2):
    body = u16(pid) + (props(props_) if version == V5 else b"")
    return packet(UNSUBSCRIBE, flags, body + b"".join(text(f) for f in filters))


def ack(kind, pid, reason=None, props_=None, flags=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP; without reason in the short form that all versions share."""
    body = u16(pid) + (b"" if reason is None else bytes([reason])) + (b"" if props_ is None else props(props_))
    return packet(kind, (2 if kind == PUBREL else 0) if flags is None else flags, body)


def disconnect(reason=None, props_=None, flags=0):
    body = (b"" if reason is None else bytes([reason])) + (b"" if props_ is None else props(props_))
    return packet(DISCONNECT, flags, body)


def auth(reason=0x18, props_=(), flags=0):
    return packet(AUTH, flags, bytes([reason]) + props(props_))


def pingreq(flags=0):
    return packet(PINGREQ, flags)


# ---------------------------------------------------------------- parsing

@dataclass
class Packet:
    """One packet from the server. reason is 0 where the short form leaves it out; props keeps the order."""
    type: int
    flags: int = 0
    raw: bytes = b""
    pid: int = None
    reason: int = None
    reasons: list = None
    props: list = field(default_factory=list)
    topic: str = None
    payload: bytes = None
    session_present: bool = None
    ack_flags: int = None

    @property
    def name(self):
        return TYPE_NAMES[self.type]

    @property
    def qos(self):
        return self.flags >> 1 & 3

    @property
    def dup(self):
        return bool(self.flags & 8)

    @property
    def retain(self):
        return bool(self.flags & 1)

    def prop(self, ident, default=None):
        """The first value of a property, or default."""
        return next((v for i, v in self.props if i == ident), default)

    def prop_all(self, ident):
        """All values of a property in order (user properties, subscription identifiers)."""
        return [v for i, v in self.props if i == ident]

    def __repr__(self):
        parts = [self.name]
        if self.type == PUBLISH:
            shown = self.payload if len(self.payload) <= 40 else self.payload[:40] + b"..."
            parts += [f"{self.topic!r} qos={self.qos} dup={self.dup:d} retain={self.retain:d} {shown!r}"]
        parts += [f"pid={self.pid}"] if self.pid is not None else []
        parts += [f"reason=0x{self.reason:02x}"] if self.reason is not None else []
        parts += [f"reasons={[hex(r) for r in self.reasons]}"] if self.reasons is not None else []
        parts += [f"session_present={self.session_present:d}"] if self.session_present is not None else []
        parts += ["props={" + ", ".join(f"0x{i:02x}: {v!r}" for i, v in self.props) + "}"] if self.props else []
        return "<" + " ".join(parts) + ">"


class Cursor:
    """Reads fields from bytes; WireError when they do not suffice."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left():
            raise WireError(f"field of {count} bytes, {self.left()} left in {self.data.hex()}")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                break
            shift += 7
            if shift > 21:
                raise WireError("variable byte integer longer than 4 bytes")
        if byte == 0 and shift:
            raise WireError("variable byte integer not in its shortest form [MQTT-1.5.5-1]")
        return value

    def text(self):
        data = self.take(self.number(2))
        try:
            value = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError(f"ill-formed UTF-8 from server: {data!r} [MQTT-1.5.4-1]") from error
        if "\0" in value:
            raise WireError("U+0000 in a string from the server [MQTT-1.5.4-2]")
        return value

    def props(self, kind):
        end = self.varint()
        end += self.at
        found = []
        if end > len(self.data):
            raise WireError("property length beyond the end of the packet")
        while self.at < end:
            ident = self.varint()
            if ident not in _SERVER_PROPS[kind]:
                raise WireError(f"property 0x{ident:02x} in {TYPE_NAMES[kind]}")
            if ident not in (USER_PROPERTY, SUBSCRIPTION_ID) and any(i == ident for i, _ in found):
                raise WireError(f"property 0x{ident:02x} twice in {TYPE_NAMES[kind]}")
            how = _KINDS[ident]
            if how == "pair":
                value = (self.text(), self.text())
            elif how in ("u8", "u16", "u32"):
                value = self.number({"u8": 1, "u16": 2, "u32": 4}[how])
            else:
                value = self.varint() if how == "var" else self.text() if how == "str" else self.take(self.number(2))
            found.append((ident, value))
        if self.at != end:
            raise WireError(f"property section of {TYPE_NAMES[kind]} ends inside a property")
        return found


def split(data):
    """(first byte, body, whole packet, rest) of the first complete packet in data, or None when there is none."""
    if len(data) < 2:
        return None
    size = 1
    while data[size] & 0x80:
        size += 1
        if size > 4:
            raise WireError("remaining length longer than 4 bytes")
        if size >= len(data):
            return None
    cursor = Cursor(bytes(data[1:size + 1]))
    length = cursor.varint()
    end = size + 1 + length
    if len(data) < end:
        return None
    return data[0], bytes(data[size + 1:end]), bytes(data[:end]), data[end:]


def parse(first, body, raw, version):
    """A Packet from one packet of the server."""
    kind, flags = first >> 4, first & 15
    if kind not in (CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH):
        raise WireError(f"server sent {TYPE_NAMES[kind]}")
    if kind in (DISCONNECT, AUTH) and version != V5:
        raise WireError(f"server sent {TYPE_NAMES[kind]} to an MQTT {version} client")
    if kind != PUBLISH and flags != (2 if kind == PUBREL else 0):
        raise WireError(f"{TYPE_NAMES[kind]} with flags {flags:04b} [MQTT-2.1.3-1]")
    out, cursor, v5 = Packet(kind, flags, raw), Cursor(body), version == V5
    if kind == CONNACK:
        out.ack_flags, out.reason = cursor.number(1), cursor.number(1)
        if out.ack_flags & 0xFE:
            raise WireError(f"CONNACK flags {out.ack_flags:08b} [MQTT-3.2.2-1]")
        out.session_present = bool(out.ack_flags & 1)
        out.props = cursor.props(kind) if v5 else []
    elif kind == PUBLISH:
        _parse_publish(out, cursor, v5)
    elif kind in (SUBACK, UNSUBACK):
        out.pid = cursor.number(2)
        out.props = cursor.props(kind) if v5 else []
        out.reasons = list(cursor.take(cursor.left())) if v5 or kind == SUBACK else []
    elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT, AUTH):
        out.pid = None if kind in (DISCONNECT, AUTH) else cursor.number(2)
        out.reason = cursor.number(1) if v5 and cursor.left() else 0
        out.props = cursor.props(kind) if v5 and cursor.left() else []
    if cursor.left():
        raise WireError(f"{cursor.left()} bytes too many in {out!r}")
    _check_reasons(out, version)
    return out


def _parse_publish(out, cursor, v5):
    if out.qos == 3 or (out.qos == 0 and out.dup):
        raise WireError(f"PUBLISH with flags {out.flags:04b} [MQTT-3.3.1-2], [MQTT-3.3.1-4]")
    out.topic = cursor.text()
    if out.qos:
        out.pid = cursor.number(2)
        if out.pid == 0:
            raise WireError("PUBLISH with packet identifier 0 [MQTT-2.2.1-4]")
    out.props = cursor.props(PUBLISH) if v5 else []
    if any(c in out.topic for c in "+#"):
        raise WireError(f"wildcard in topic name {out.topic!r} [MQTT-3.3.2-2]")
    if not out.topic and not out.prop(ALIAS):
        raise WireError("PUBLISH with neither topic nor alias")
    if out.prop(ALIAS) == 0:
        raise WireError("topic alias 0 [MQTT-3.3.2-8]")
    out.payload = cursor.take(cursor.left())


def _check_reasons(out, version):
    if version == V5:
        codes, allowed = out.reasons if out.reasons is not None else [out.reason], SERVER_REASONS.get(out.type)
    elif out.type == CONNACK:
        codes, allowed = [out.reason], {0, 1, 2, 3, 4, 5}
    else:
        codes, allowed = out.reasons or [], {0, 1, 2} | ({0x80} if version == V311 else set())
    if allowed is not None and not set(codes) <= allowed:
        raise WireError(f"reason code that is not listed for {out.name}: {out!r}")
