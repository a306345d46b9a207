# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 3.1: the layout of CONNECT and what a broker does with a wrong one."""
from mqttlib import *
from suite import Case, statement, versions


def full_connect(client_id, v, topic="will/topic"):
    """CONNECT that uses every field."""
    more = dict(props_=[(SESSION_EXPIRY, 5), (RECEIVE_MAX, 9), (USER_PROPERTY, ("k", "v"))]) if v == V5 else {}
    will_props = [(WILL_DELAY, 0), (CONTENT_TYPE, "text/plain")] if v == V5 else ()
    return connect(client_id, v, keep_alive=60, will=Will(topic, b"will payload", 1, False, will_props),
                   username="user", password=b"password", **more)


class FirstPacket(Case):
    @statement("MQTT-3.1.0-1", "MQTT3-3.1.0-1", "MQTT-3.14.0-1")
    @versions()
    def test_first_packet_is_connect(self, v):
        """Anything else closes the connection without an answer: not even DISCONNECT may come before CONNACK."""
        observer, topic = self.client(version=v), unique()
        observer.subscribe(topic)
        for name, data in {
            "PUBLISH": publish(topic, b"x", version=v), "PUBLISH QoS 1": publish(topic, b"x", 1, 1, version=v),
            "PUBLISH QoS 2": publish(topic, b"x", 2, 1, version=v), "PUBACK": ack(PUBACK, 1), "PUBREC": ack(PUBREC, 1),
            "PUBREL": ack(PUBREL, 1), "PUBCOMP": ack(PUBCOMP, 1), "SUBSCRIBE": subscribe(1, [(topic, 0)], version=v),
            "UNSUBSCRIBE": unsubscribe(1, [topic], version=v), "PINGREQ": pingreq(), "DISCONNECT": disconnect(),
            "AUTH": auth(0x18, [(AUTH_METHOD, "x")]), "CONNACK": b"\x20\x02\0\0", "type 0": b"\0\0",
            "HTTP": b"GET / HTTP/1.1\r\n\r\n",
        }.items():
            with self.subTest(name):
                c = self.raw(v)
                c.send(data, connect(unique(), v))
                c.expect_closed(allow=())
        observer.expect_no_more(self.client(version=v))

    @statement("MQTT-3.1.0-2", "MQTT3-3.1.0-2")
    @versions()
    def test_second_connect(self, v):
        """With the same id or another; what follows is not processed."""
        observer, topic = self.client(version=v), unique()
        observer.subscribe(topic)
        for second in (None, unique()):
            c = self.client(version=v)
            c.send(connect(second or c.id, v), publish(topic, b"x", version=v))
            c.expect_disconnect(0x82)
            self.assertEqual([p.type for p in c.seen].count(CONNACK), 1)
        observer.expect_no_more(self.client(version=v))


class ProtocolNameAndVersion(Case):
    def answer_to(self, data, v):
        """What comes until the end of the connection, as raw bytes."""
        c = self.raw(v)
        c.send(data, pingreq())
        c.sock.settimeout(c.timeout)
        answer = b""
        try:
            while more := c.sock.recv(4096):
                answer += more
                self.assertLess(len(answer), 1000)
                self.assertFalse(answer.endswith(b"\xd0\0"), f"accepted: {answer.hex()}")
        except ConnectionResetError:
            pass
        return answer

    def check_refusal(self, answer):
        """Nothing, or a CONNACK that says `unsupported protocol version` as v5 or as an earlier version."""
        if answer not in (b"", b"\x20\x02\0\x01"):
            first, body, raw, rest = split(answer)
            pkt = parse(first, body, raw, V5)
            self.assertEqual((pkt.type, pkt.reason, rest), (CONNACK, 0x84, b""))
            check_reason_string(pkt)

    @statement("MQTT-3.1.2-1", "MQTT3-3.1.2-1")
    def test_protocol_name(self):
        for name, level in (("MQTX", 5), ("MQTX", 4), ("mqtt", 5), ("mqtt", 4), ("", 5), ("MQTT ", 5), ("MQT", 4),
                            ("MQTTT", 4), ("MQISDP", 3), ("MQIsdp", 4), ("MQIsdp", 5), ("MQTT", 3), ("M" * 100, 5)):
            with self.subTest(name=name, level=level):
                self.check_refusal(self.answer_to(connect(unique(), level, name=name), level))

    @statement("MQTT-3.1.2-2", "MQTT3-3.1.2-2", "MQTT-3.14.0-1")
    def test_protocol_version(self):
        for level in (0, 1, 2, 6, 7, 127):
            for layout in VERSIONS:
                with self.subTest(level=level, layout=layout):
                    self.check_refusal(self.answer_to(connect(unique(), layout, name="MQTT", level=level), V5))
        with self.subTest("MQIsdp with a version that never was"):
            self.check_refusal(self.answer_to(connect(unique(), V31, level=2), V31))


class ConnectFlags(Case):
    def refused(self, data, v, reasons=(0x81,)):
        c = self.raw(v)
        c.send(data, pingreq())
        c.expect_malformed(*reasons)
        c.close()

    @statement("MQTT-3.1.2-3", "MQTT3-3.1.2-3")
    @versions(V311, V5)
    def test_reserved_flag(self, v):
        self.refused(connect(unique(), v, reserved=1), v)
        self.refused(connect(unique(), v, reserved=1, will=Will("t", b"x"), username="u", password=b"p"), v)

    @statement("MQTT-3.1.2-11", "MQTT3-3.1.2-11")
    @versions(V311, V5)
    def test_will_qos_without_will(self, v):
        for qos in (1, 2, 3):
            self.refused(connect(unique(), v, flags=2 | qos << 3), v)

    @statement("MQTT-3.1.2-12", "MQTT3-3.1.2-14")
    @versions()
    def test_will_qos_3(self, v):
        for retain in (False, True):
            self.refused(connect(unique(), v, will=Will("t", b"x", 3, retain)), v)

    @statement("MQTT-3.1.2-13", "MQTT3-3.1.2-11")
    @versions(V311, V5)
    def test_will_retain_without_will(self, v):
        self.refused(connect(unique(), v, flags=2 | 0x20), v)

    @statement("MQTT-3.1.2-9", "MQTT3-3.1.2-9")
    @versions()
    def test_will_flag_without_will_fields(self, v):
        """The packet ends before, between or inside the fields that the flag promises."""
        fields = ([props()] if v == V5 else []) + [text("topic"), text("payload")]
        for count in range(len(fields)):
            self.refused(connect(unique(), v, flags=0x06, tail=b"".join(fields[:count])), v)
            self.refused(connect(unique(), v, flags=0x06, tail=b"".join(fields[:count]) + b"\0\7ab"), v)

    @statement("MQTT-3.1.2-16", "MQTT-3.1.2-18", "MQTT3-3.1.2-18..21")
    @versions(V311, V5)
    def test_fields_without_their_flags(self, v):
        for name, data in {
            "user name": connect(unique(), v, flags=2, username="user"),
            "password": connect(unique(), v, flags=2, password=b"pass"),
            "password after a user name": connect(unique(), v, flags=0x82, username="user", password=b"pass"),
            "will": connect(unique(), v, flags=2, will=Will("topic", b"payload")),
            "one byte": connect(unique(), v, tail=b"\0"),
            "a second packet inside": connect(unique(), v, tail=pingreq()),
        }.items():
            with self.subTest(name):
                self.refused(data, v)

    @statement("MQTT-3.1.2-17", "MQTT-3.1.2-19", "MQTT3-3.1.2-18..21")
    @versions(V311, V5)
    def test_flags_without_their_fields(self, v):
        for name, data in {
            "user name": connect(unique(), v, flags=0x82),
            "user name and password": connect(unique(), v, flags=0xC2),
            "password": connect(unique(), v, flags=0xC2, username="user"),
            "user name cut": connect(unique(), v, flags=0x82, tail=b"\0\5us"),
            "password cut": connect(unique(), v, flags=0xC2, username="user", tail=b"\0\5pa"),
            "after a will": connect(unique(), v, flags=0x86, will=Will("topic", b"payload")),
        }.items():
            with self.subTest(name):
                self.refused(data, v)

    @statement("DIFF-user-field-missing")
    def test_flags_without_their_fields_in_3_1(self):
        """There the remaining length takes precedence over the flags, for clients of the original MQTT 3."""
        for data in (connect(unique(), V31, flags=0x82), connect(unique(), V31, flags=0xC2),
                     connect(unique(), V31, flags=0xC2, username="user")):
            c = self.raw(V31)
            c.send(data, pingreq())
            self.assertEqual(c.recv(CONNACK).reason, 0)
            c.recv(PINGRESP)

    @statement("MQTT-3.1.2-19", "DIFF-password-without-user")
    def test_password_without_user_name(self):
        """v5 allows it, 3.1.1 forbids it."""
        self.client(password=b"secret").expect_nothing()
        for v in (V31, V311):
            c = self.raw(v)
            c.send(connect(unique(), v, password=b"secret"), pingreq())
            found = c.expect_closed(allow=(CONNACK,))
            self.assertTrue(all(p.reason in (4, 5) for p in found), found)

    @statement("MQTT-3.1.2-17", "MQTT-3.1.2-16", "MQTT-3.1.2-18", "MQTT-3.1.2-19")
    @versions()
    def test_legal_combinations(self, v):
        """All that is allowed connects: a check that refuses too much would fail here."""
        for will in (None, Will("t", b""), Will("t", b"x", 1), Will("t/u", b"x", 2)):
            for user, password in ((None, None), ("user", None), ("user", b"p"), ("", b""), ("user", b"\0\xff\xfe")):
                c = self.client(version=v, will=will, username=user, password=password)
                c.expect_nothing()
                c.disconnect()


class Layout(Case):
    @statement("MQTT-3.1.4-1", "MQTT-3.1.3-3", "MQTT3-3.1.4-1", "MQTT-3.1.2-9")
    @versions(V311, V5)
    def test_truncated_anywhere(self, v):
        """A CONNECT with every field, ending one byte earlier each time (with a fitting remaining length)."""
        body = split(full_connect(unique(), v))[1]
        for size in range(len(body)):
            with self.subTest(bytes=size):
                c = self.raw(v)
                c.send(packet(CONNECT, 0, body[:size]), pingreq())
                found = c.expect_closed(allow=(CONNACK,) if v == V5 else ())
                self.assertTrue(all(p.reason == 0x81 for p in found), found)
                c.close()

    @statement("MQTT-3.1.3-3", "MQTT3-3.1.3-1..4")
    @versions()
    def test_client_id_field_is_required(self, v):
        """Without it the packet is malformed, even with Clean Start and no other payload."""
        head = split(connect("", v))[1][:-2]
        c = self.raw(v)
        c.send(packet(CONNECT, 0, head), pingreq())
        c.expect_malformed()

    @statement("MQTT-3.1.3-1", "MQTT3-3.1.3-1..4")
    @versions()
    def test_payload_order(self, v):
        """Each field is found where the standard puts it: the id by a takeover, the will by its publication."""
        watcher, topic, ident = self.client(version=v), unique("will"), unique()
        watcher.subscribe(topic, qos=1)
        c = self.raw(v)
        c.send(full_connect(ident, v, topic))
        self.assertEqual(c.recv(CONNACK).reason, 0)
        other = self.client(ident, version=v)
        c.expect_closed()
        got = watcher.recv_publish(topic)
        self.assertEqual((got.payload, got.qos, got.retain), (b"will payload", 1, False))
        self.assertEqual(got.props, [(CONTENT_TYPE, "text/plain")] if v == V5 else [])
        watcher.expect_no_more(other)

    @statement("MQTT-3.1.3-1", "MQTT-3.1.4-1")
    @versions()
    def test_split_and_joined_delivery(self, v):
        """CONNECT byte by byte, and CONNECT with the next packets in one segment."""
        c = self.raw(v)
        for byte in full_connect(unique(), v):
            c.send(bytes([byte]))
        self.assertEqual(c.recv(CONNACK).reason, 0)
        c = self.raw(v)
        c.send(full_connect(unique(), v), subscribe(1, [("t", 0)], version=v), pingreq())
        self.assertEqual(c.recv().type, CONNACK)
        self.assertEqual({c.recv().type, c.recv().type}, {SUBACK, PINGRESP})

    @statement("MQTT-3.1.4-1")
    def test_properties(self):
        """Wrong, repeated and misplaced properties of CONNECT and of the will."""
        wrong = {
            "session expiry twice": [(SESSION_EXPIRY, 1), (SESSION_EXPIRY, 1)],
            "receive maximum twice": [(RECEIVE_MAX, 1), (RECEIVE_MAX, 1)], "receive maximum 0": [(RECEIVE_MAX, 0)],
            "maximum packet size 0": [(MAX_PACKET, 0)], "maximum packet size twice": [(MAX_PACKET, 99), (MAX_PACKET, 99)],
            "topic alias maximum twice": [(ALIAS_MAX, 1), (ALIAS_MAX, 1)],
            "request response information 2": [(REQUEST_RESPONSE, 2)],
            "request response information twice": [(REQUEST_RESPONSE, 0)] * 2,
            "request problem information 2": [(REQUEST_PROBLEM, 2)],
            "request problem information twice": [(REQUEST_PROBLEM, 1)] * 2,
            "authentication data without method": [(AUTH_DATA, b"x")],
            "topic alias": [(ALIAS, 1)], "reason string": [(REASON_STRING, "x")], "server keep alive": [(SERVER_KEEP_ALIVE, 5)],
            "subscription identifier": [(SUBSCRIPTION_ID, 1)], "will delay outside the will": [(WILL_DELAY, 1)],
            "unknown identifier 0x7f": [b"\x7f\0"], "identifier 0": [b"\0\0"], "cut": [b"\x11\0\0"],
        }
        wrong_will = {
            "will delay twice": [(WILL_DELAY, 1)] * 2, "payload format 2": [(PAYLOAD_FORMAT, 2)],
            "payload format twice": [(PAYLOAD_FORMAT, 1)] * 2, "message expiry twice": [(MESSAGE_EXPIRY, 1)] * 2,
            "content type twice": [(CONTENT_TYPE, "x")] * 2, "response topic twice": [(RESPONSE_TOPIC, "x")] * 2,
            "correlation data twice": [(CORRELATION, b"x")] * 2, "topic alias": [(ALIAS, 1)],
            "session expiry in the will": [(SESSION_EXPIRY, 1)], "subscription identifier": [(SUBSCRIPTION_ID, 1)],
            "unknown identifier": [b"\x7f\0"], "response topic with a wildcard": [(RESPONSE_TOPIC, "a/#")],
        }
        packets = {k: connect(unique(), props_=p) for k, p in wrong.items()}
        packets |= {f"will: {k}": connect(unique(), will=Will("t", b"x", props=p)) for k, p in wrong_will.items()}
        for name, data in packets.items():
            with self.subTest(name):
                c = self.raw()
                c.send(data, pingreq())
                c.expect_malformed(0x81, 0x82)
                c.close()

    @statement("MQTT-3.1.3-4", "MQTT-3.1.3-11", "MQTT-3.1.3-12", "MQTT3-3.1.3-10,11", "MQTT3-3.1.3-1..4")
    @versions(V311, V5)
    def test_strings_are_utf8(self, v):
        for bad in (b"a\xff", b"\xed\xa0\x80", b"a\0b"):
            for name, data, reasons in (
                ("client id", connect(bad, v), (0x81, 0x85)),
                ("will topic", connect(unique(), v, will=Will(bad, b"x")), (0x81,)),
                ("user name", connect(unique(), v, username=bad, password=b"x"), (0x81,)),
            ):
                with self.subTest(field=name, string=bad):
                    c = self.raw(v)
                    c.send(data, pingreq())
                    c.expect_malformed(*reasons)

    @statement("MQTT-3.1.3-11", "MQTT-3.1.4-1")
    @versions()
    def test_will_topic_is_a_topic_name(self, v):
        """No wildcards and at least one character."""
        for topic in ("a/+", "#", "a/#/b", "+", ""):
            with self.subTest(topic=topic):
                c = self.raw(v)
                c.send(connect(unique(), v, will=Will(topic, b"x")), pingreq())
                c.expect_malformed(0x81, 0x82, 0x90)
