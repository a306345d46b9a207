# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 1.5: strings, variable byte integers, user properties."""
from mqttlib import *
from suite import Case, statement, versions

ILL_FORMED = {
    "lone continuation": b"a\x80b", "never used byte": b"a\xffb", "broken sequence": b"a\xc3\x28",
    "cut off": b"a\xe2\x82", "over-long slash": b"a\xc0\xaf", "over-long, 3 bytes": b"a\xe0\x80\xaf",
    "over-long, 4 bytes": b"a\xf0\x80\x80\xaf", "surrogate D800": b"a\xed\xa0\x80", "surrogate DFFF": b"a\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80", "above 10FFFF": b"a\xf4\x90\x80\x80", "five bytes": b"\xf8\x88\x80\x80\x80",
}

# Every string that a client can send: name -> packet from the string. The first group is CONNECT, sent on a fresh
# connection, the second is sent after a successful one.
CONNECT_FIELDS = {
    "client id": lambda s, v: connect(s, v),
    "will topic": lambda s, v: connect(unique(), v, will=Will(s, b"x")),
    "user name": lambda s, v: connect(unique(), v, username=s, password=b"x"),
}
CONNECT_FIELDS_V5 = {
    "user property of CONNECT": lambda s, v: connect(unique(), props_=[(USER_PROPERTY, (b"k", s))]),
    "authentication method": lambda s, v: connect(unique(), props_=[(AUTH_METHOD, s)]),
    "content type of the will": lambda s, v: connect(unique(), will=Will("t", b"x", props=[(CONTENT_TYPE, s)])),
    "response topic of the will": lambda s, v: connect(unique(), will=Will("t", b"x", props=[(RESPONSE_TOPIC, s)])),
    "user property of the will": lambda s, v: connect(unique(), will=Will("t", props=[(USER_PROPERTY, (b"k", s))])),
}
FIELDS = {
    "topic": lambda s, v: publish(s, b"x", version=v),
    "topic at QoS 2": lambda s, v: publish(s, b"x", 2, 7, version=v),
    "filter": lambda s, v: subscribe(1, [(s, 0)], version=v),
    "second filter": lambda s, v: subscribe(1, [("ok", 0), (s, 0)], version=v),
    "filter of UNSUBSCRIBE": lambda s, v: unsubscribe(1, [s], version=v),
}
FIELDS_V5 = {
    "response topic": lambda s, v: publish("t", props_=[(RESPONSE_TOPIC, s)]),
    "content type": lambda s, v: publish("t", props_=[(CONTENT_TYPE, s)]),
    "user property of PUBLISH": lambda s, v: publish("t", props_=[(USER_PROPERTY, (b"k", s))]),
    "user property of SUBSCRIBE": lambda s, v: subscribe(1, [("t", 0)], [(USER_PROPERTY, (b"k", s))]),
    "reason string of PUBACK": lambda s, v: ack(PUBACK, 1, 0x80, [(REASON_STRING, s)]),
    "reason string of DISCONNECT": lambda s, v: disconnect(0, [(REASON_STRING, s)]),
}


class Strings(Case):
    def refuse_everywhere(self, samples, v):
        """Each of the strings in each field ends the connection as malformed."""
        first = CONNECT_FIELDS | (CONNECT_FIELDS_V5 if v == V5 else {})
        if v == V31:
            del first["user name"]      # MQTT 3.1 leaves its encoding open
        for what, bad in samples.items():
            for field, build in first.items():
                with self.subTest(version=v, string=what, field=field):
                    c = self.raw(v)
                    c.send(build(bad, v), pingreq())
                    c.expect_malformed(0x81, 0x85) if field == "client id" else c.expect_malformed()
                    c.close()
            for field, build in (FIELDS | (FIELDS_V5 if v == V5 else {})).items():
                with self.subTest(version=v, string=what, field=field):
                    c = self.client(version=v)
                    c.send(build(bad, v), pingreq())
                    c.expect_disconnect(0x81)
                    c.close()

    @statement("MQTT-1.5.4-1", "MQTT3-1.5.3-1")
    @versions()
    def test_ill_formed_utf8(self, v):
        self.refuse_everywhere(ILL_FORMED, v)

    @statement("MQTT-1.5.4-2", "MQTT3-1.5.3-2")
    @versions()
    def test_null_character(self, v):
        self.refuse_everywhere({"only": b"\0", "inside": b"a\0b", "at the end": b"ab\0"}, v)

    @statement("MQTT-1.5.4-1")
    @versions()
    def test_well_formed_utf8_is_taken(self, v):
        """The neighbours of what is refused: a check that refuses too much would fail here."""
        for char in ("\u00a0", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010fffd", "\u20ac"):
            c = self.client(unique("id") + char, version=v)
            topic = unique("t") + "/" + char
            c.subscribe(topic)
            c.publish(topic, b"x")
            self.assertEqual(c.recv_publish().topic, topic)
            c.disconnect()

    @statement("MQTT-1.5.4-3", "MQTT3-1.5.3-3")
    @versions()
    def test_bom_is_data(self, v):
        c, name = self.client(version=v), unique("bom")
        for topic in (name, "\ufeff" + name, name + "\ufeff", name[:3] + "\ufeff" + name[3:]):
            c.subscribe(topic)
            for other in (name, "\ufeff" + name, name + "\ufeff"):
                c.publish(other, other.encode())
            got = [(p.topic, p.payload.decode()) for p in c.barrier()]
            self.assertEqual(got, [(topic, topic)] if topic in (name, "\ufeff" + name, name + "\ufeff") else [])
            c.unsubscribe(topic)

    @statement("MQTT-1.5.4-3")
    def test_bom_in_ids_and_properties(self):
        name = unique("bom")
        plain, marked = self.client(name), self.client("\ufeff" + name)
        plain.expect_nothing()      # not taken over: they are two ids
        marked.expect_nothing()
        plain.subscribe(name)
        values = [(USER_PROPERTY, ("\ufeffk", "\ufeffv")), (CONTENT_TYPE, "\ufefftext")]
        marked.publish(name, b"x", props=values)
        self.assertEqual(sorted(plain.recv_publish().props), sorted(values))


class VariableByteIntegers(Case):
    @statement("MQTT-1.5.5-1")
    @versions()
    def test_shortest_remaining_length(self, v):
        """Deliveries with remaining lengths around each step of the encoding; the parser of the client insists on
        the shortest form, and the bytes are what we would have sent."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic)
        base = len(publish(topic, b"", version=v)) - 2
        for length in (base, 127, 128, 129, 255, 16383, 16384, 16385, 100000):
            sent = publish(topic, b"x" * (length - base), version=v)
            c.send(sent)
            self.assertEqual(c.recv_publish().raw, sent)

    @statement("MQTT-1.5.5-1")
    def test_shortest_property_length(self):
        c, topic = self.client(), unique()
        c.subscribe(topic, props=[(SUBSCRIPTION_ID, 268435455)])
        for size in (118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16370, 16379, 16384):
            values = [(USER_PROPERTY, ("k", "v" * (size - 6)))]
            c.publish(topic, b"x", props=values)
            pkt = c.recv_publish()
            self.assertEqual(pkt.prop(USER_PROPERTY), values[0][1])
            self.assertEqual(pkt.prop(SUBSCRIPTION_ID), 268435455)

    @statement("MQTT-1.5.5-1")
    def test_overlong_forms_are_malformed(self):
        over = {
            "remaining length of PINGREQ, 2 bytes": packet(PINGREQ, 0, length_size=2),
            "remaining length of PINGREQ, 4 bytes": packet(PINGREQ, 0, length_size=4),
            "remaining length of PUBLISH": packet(PUBLISH, 0, text("t") + props() + b"x", length_size=3),
            "property length of PUBLISH": packet(PUBLISH, 0, text("t") + varint(0, 2) + b"x"),
            "property length of SUBSCRIBE": packet(SUBSCRIBE, 2, u16(1) + varint(0, 4) + text("t") + b"\0"),
            "property length of DISCONNECT": packet(DISCONNECT, 0, b"\0" + varint(0, 2)),
            "subscription identifier": subscribe(1, [("t", 0)], [b"\x0b" + varint(1, 2)]),
            "property identifier": publish("t", props_=[varint(PAYLOAD_FORMAT, 2) + b"\0"]),
        }
        for what, data in over.items():
            with self.subTest(what):
                c = self.client()
                c.send(data, pingreq())
                c.expect_disconnect(0x81)

    @statement("MQTT-1.5.5-1")
    @versions()
    def test_five_byte_remaining_length(self, v):
        """It must be seen at the fifth byte, without waiting for the packet."""
        c = self.client(version=v)
        c.send(bytes([PUBLISH << 4]) + b"\x80\x80\x80\x80\x01")
        c.expect_disconnect(0x81)
        c = self.raw(v)
        c.send(b"\x10\xff\xff\xff\xff\x7f")
        c.expect_closed(allow=())

    @statement("MQTT-1.5.5-1")
    def test_five_byte_property_length(self):
        c = self.client()
        c.send(packet(PUBLISH, 0, text("t") + b"\x80\x80\x80\x80\x00" + b"x"))
        c.expect_disconnect(0x81)


class UserProperties(Case):
    @statement("MQTT-1.5.7-1")
    def test_both_halves_are_checked(self):
        for bad in (b"a\xc3\x28", b"\xed\xa0\x80", b"nul\0"):
            for pair in ((bad, b"value"), (b"key", bad)):
                wrong = [(USER_PROPERTY, pair)]
                for name, data in {
                    "PUBLISH": publish("t", props_=wrong), "SUBSCRIBE": subscribe(1, [("t", 0)], wrong),
                    "UNSUBSCRIBE": unsubscribe(1, ["t"], wrong), "DISCONNECT": disconnect(0, wrong),
                    "PUBREL": ack(PUBREL, 1, 0, wrong), "after a good one":
                    publish("t", props_=[(USER_PROPERTY, ("good", "good")), *wrong]),
                }.items():
                    with self.subTest(packet=name, pair=pair):
                        c = self.client()
                        c.send(data, pingreq())
                        c.expect_disconnect(0x81)
                        c.close()
                with self.subTest(packet="CONNECT", pair=pair):
                    c = self.raw()
                    c.send(connect(unique(), props_=wrong))
                    c.expect_malformed()

    @statement("MQTT-1.5.7-1")
    def test_any_pairs_are_kept(self):
        """Empty halves, repeated keys and non-ASCII text are legal and arrive as they were."""
        pairs = [("", ""), ("k", ""), ("", "v"), ("k", "1"), ("k", "2"), ("schl\u00fcssel", "\U0001f426")]
        c, topic = self.client(), unique()
        c.subscribe(topic)
        c.publish(topic, props=[(USER_PROPERTY, p) for p in pairs])
        self.assertEqual(c.recv_publish().prop_all(USER_PROPERTY), pairs)

    @statement("MQTT-1.5.7-1")
    def test_half_a_pair(self):
        for name, rest in {"no value": b"\x26" + text("key"), "value cut": b"\x26" + text("key") + b"\0\5ab",
                           "key longer than the section": b"\x26\xff\xffab"}.items():
            with self.subTest(name):
                c = self.client()
                c.send(publish("t", b"payload" * 10, props_=[rest]))
                c.expect_disconnect(0x81)
