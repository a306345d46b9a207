# SPDX-License-Identifier: Apache-2.0
"""MQTT 3.1.1 and 3.1, byte for byte: whole conversations written down by hand, and what is different where MQTT 5.0
would put properties and reason codes. The other files run their tests with these versions too; this one does not rely
on the builders and the parser that all versions share."""
import socket

from mqttlib import *
from suite import Case, statement, versions


class Bytes(Case):
    def talk(self, *steps):
        """steps: bytes to send and the exact bytes wanted in turn; None wants the end of the connection."""
        sock = socket.create_connection(("127.0.0.1", self.broker.port), 5)
        self.addCleanup(sock.close)
        for index, step in enumerate(steps):
            if index % 2 == 0:
                sock.sendall(step)
                continue
            got = b""
            while step is None or len(got) < len(step):
                try:
                    more = sock.recv(1 if step is None else len(step) - len(got))
                except ConnectionResetError:
                    more = b""
                if not more:
                    break
                got += more
            self.assertEqual(got, step or b"", f"step {index}")
        return sock

    CONNECT4 = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
    CONNECT3 = b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01q"

    @statement("MQTT3-3.1.4-4", "MQTT3-3.2.0-1", "MQTT3-3.12.4-1", "MQTT3-3.8.4-1..6", "MQTT3-3.10.4-1..6", "MQTT3-3.14.4-3",
               "MQTT3-3.3.4-1", "MQTT3-2.3.1-6", "MQTT3-2.3.1-7", "MQTT3-2.2.2-1")
    def test_a_whole_life(self):
        """CONNECT, SUBSCRIBE, PUBLISH of each QoS, UNSUBSCRIBE, PINGREQ, DISCONNECT: every answer to the byte."""
        for connect_ in (self.CONNECT4, self.CONNECT3):
            self.talk(
                connect_, b"\x20\x02\x00\x00",
                b"\x82\x0c\x00\x0a\x00\x03v/b\x01\x00\x01w\x02", b"\x90\x04\x00\x0a\x01\x02",
                b"\x30\x06\x00\x03v/bA", b"\x30\x06\x00\x03v/bA",
                b"\x32\x06\x00\x02no\x00\x07", b"\x40\x02\x00\x07",
                b"\x34\x06\x00\x02no\x12\x34", b"\x50\x02\x12\x34",
                b"\x62\x02\x12\x34", b"\x70\x02\x12\x34",
                b"\xa2\x07\x00\x0b\x00\x03v/b", b"\xb0\x02\x00\x0b",
                b"\xc0\x00", b"\xd0\x00",
                b"\xe0\x00", None)

    @statement("MQTT3-3.1.2-2", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5", "MQTT3-3.1.4-5")
    def test_unsupported_level(self):
        """CONNACK 1 and the end; the rest is not looked at."""
        for level in (0, 1, 2, 6, 7, 0x7F, 0x86, 255):
            data = b"\x10\x0c\x00\x04MQTT" + bytes([level]) + b"\x02\x00\x3c\x00\x00"
            got = self.read_to_end(self.talk(data + b"\xc0\x00"))
            # A level above 5 may be answered in the form of 5.0: 0x84 instead of 1.
            self.assertTrue(got in (b"", b"\x20\x02\x00\x01") or (level > 5 and got[:1] == b"\x20" and got[2:4] == b"\0\x84"), got)

    @statement("MQTT3-3.1.2-1")
    def test_names_and_levels_that_do_not_belong_together(self):
        for name, level in (("MQIsdp", 4), ("MQIsdp", 5), ("MQTT", 3), ("mqtt", 4), ("MQTT\0", 4), ("", 4), ("MQIsdP", 3)):
            with self.subTest(name=name, level=level):
                c = self.raw(V311)
                c.send(connect(unique(), V311, name=name, level=level), pingreq())
                self.assertNotEqual(self.read_to_end(c.sock)[:4], b"\x20\x02\0\0")

    def read_to_end(self, sock):
        sock.settimeout(5)
        got = b""
        try:
            while more := sock.recv(100):
                got += more
        except ConnectionResetError:
            pass
        return got

    @statement("MQTT3-3.1.2-22", "MQTT3-3.1.4-1", "MQTT3-3.1.2-18..21")
    @versions(V31, V311)
    def test_password_flag_without_user_name_flag(self, v):
        """3.1.1 forbids it and wants no CONNACK for a packet that breaks the rules; 3.1 says that the flags must be
        right but not what happens, so a refusal will do."""
        c = self.raw(v)
        c.send(connect(unique(), v, password=b"secret"), pingreq())
        found = c.expect_closed(allow=() if v == V311 and PRODUCT_CHECKS else (CONNACK,))
        self.assertTrue(all(p.reason for p in found), found)

    @statement("MQTT3-4.8.0-1", "MQTT3-2.2.2-2")
    @versions(V31, V311)
    def test_no_reason_codes_in_acknowledgements(self, v):
        """PUBACK and its kin have two bytes, DISCONNECT has none, there is no AUTH."""
        for data in (b"\x40\x03\0\1\0", b"\x50\x03\0\1\0", b"\x62\x04\0\1\0\0", b"\x70\x03\0\1\x92", b"\xe0\x01\0", b"\xe0\x02\0\0",
                     b"\xf0\x00", b"\xf0\x02\x18\x00"):
            with self.subTest(version=v, data=data):
                self.client(version=v).send(data, pingreq()).expect_closed(allow=())

    @statement("MQTT3-3.3.4-1", "MQTT3-3.3.2-1..3")
    @versions(V31, V311)
    def test_no_properties_in_publish(self, v):
        """What would be properties in 5.0 is payload here, in both directions."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic)
        for payload in (b"", b"\0", b"\x05\x02\0\0\0\1x", b"\xff\xff\xff\xff", bytes(range(256))):
            c.publish(topic, payload)
            self.assertEqual(c.recv_publish(topic).raw, publish(topic, payload, version=v))


class Mixed(Case):
    """A message from a client of one version to a client of another."""

    @statement("MQTT3-3.3.1-1..3", "MQTT3-3.3.4-1", "MQTT3-2.3.1-5")
    def test_every_pair_of_versions(self):
        """Properties end at the older version; everything else arrives unchanged."""
        sent = [(CONTENT_TYPE, "text"), (USER_PROPERTY, ("a", "b")), (RESPONSE_TOPIC, "r"), (CORRELATION, b"\0\1"), (PAYLOAD_FORMAT, 0)]
        for from_ in VERSIONS:
            for to in VERSIONS:
                for qos in (0, 1, 2):
                    pub, sub, topic = self.client(version=from_), self.client(version=to), unique()
                    sub.subscribe(topic, qos=qos)
                    pub.publish(topic, b"\0payload\xff", qos=qos, props=sent if from_ == V5 else ())
                    pkt = sub.recv_publish(topic)
                    self.assertEqual((pkt.payload, pkt.qos, pkt.retain), (b"\0payload\xff", qos, False))
                    self.assertEqual(sorted(map(repr, pkt.props)), sorted(map(repr, sent)) if from_ == to == V5 else [])

    @statement("MQTT3-3.3.1-8", "MQTT3-3.3.1-6", "MQTT3-3.1.2-7")
    def test_retained_for_every_version(self):
        """Stored by one version, read by another, after the session that stored it is gone."""
        for from_ in VERSIONS:
            topic = unique()
            pub = self.client(version=from_, clean=True)
            pub.publish(topic, b"kept", qos=2, retain=True)
            pub.disconnect()
            for to in VERSIONS:
                c = self.client(version=to)
                c.subscribe(topic, qos=1)
                pkt = c.recv_publish(topic)
                self.assertEqual((pkt.payload, pkt.qos, pkt.retain), (b"kept", 1, True))
            c.publish(topic, retain=True)

    @statement("MQTT3-3.1.2-4", "MQTT3-3.1.3-1..4", "MQTT3-4.1.0-1,2")
    def test_session_goes_on_in_another_version(self):
        """A client that is updated: the session made by one version is resumed by another."""
        for from_ in VERSIONS:
            for to in VERSIONS:
                c, topic = self.session(version=from_), unique()
                c.subscribe(topic, qos=2)
                c.disconnect()
                self.client().publish(topic, b"x", qos=2, props=[(USER_PROPERTY, ("k", "v"))])
                again = self.session(c.id, version=to)
                self.assertEqual(again.connack.session_present, to != V31)
                self.assertEqual(again.recv_publish(topic).payload, b"x")
                again.disconnect()


class Limits(Case):
    settings = {"qos_max": 1, "retain_available": False, "packet_size_max": 2000}

    @statement("MQTT3-3.2.2-6", "MQTT3-3.1.4-5")
    @versions(V31, V311)
    def test_refusals_without_a_code(self, v):
        """A will that the server does not support: none of the codes 1 to 5 says so, so the connection closes without a
        CONNACK."""
        for will in (Will("t", b"x", qos=2), Will("t", b"x", retain=True), Will("t", b"x" * 2000)):
            c = self.raw(v)
            c.send(connect(unique(), v, will=will), pingreq()).expect_closed(allow=())

    @statement("MQTT3-4.8.0-2", "MQTT3-3.3.5-2")
    @versions(V31, V311)
    def test_what_is_not_supported(self, v):
        """QoS 2 and retained messages, which these versions cannot be told about: the connection closes, or the message
        is acknowledged and treated as far as the server can; it is never a PUBACK for QoS 2."""
        for data in (publish("t", b"x", 2, 1, version=v), publish("t", b"x", 1, 1, True, version=v), publish("t", b"x" * 2000, version=v)):
            c = self.client(version=v)
            c.send(data, pingreq())
            try:
                pkt = c.recv()
            except Closed:
                continue
            self.assertEqual(pkt.type, PUBREC if data[0] >> 1 & 3 == 2 else PUBACK)
