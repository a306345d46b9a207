# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.12 to 3.14: PINGREQ, PINGRESP, DISCONNECT."""
from errortext import check_error_text
from mqttlib import *
from suite import Case, statement, versions

# Reason codes that only a server may send, or that no DISCONNECT has.
NOT_FROM_CLIENT = (0x01, 0x02, 0x10, 0x11, 0x18, 0x19, 0x84, 0x85, 0x86, 0x88, 0x8A, 0x8C, 0x91, 0x92, 0xA3, 0xFF)
FROM_CLIENT = (0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99)

# Errors of a connected v5 client: name -> (bytes, the codes that fit).
FAULTS = {
    "second CONNECT": (connect("x"), {0x82}),
    "unknown type": (packet(0, 0), {0x81, 0x82}),
    "reserved flags": (packet(SUBSCRIBE, 0, b"\0\1\0\0\1t\0"), {0x81}),
    "QoS 3": (packet(PUBLISH, 6, b"\0\1t\0\1\0"), {0x81}),
    "cut topic": (packet(PUBLISH, 0, b"\0\5t"), {0x81}),
    "wildcard in a topic": (publish("a/+", b"x"), {0x81, 0x82, 0x90}),
    "no topic": (publish("", b"x"), {0x81, 0x82, 0x90}),
    "alias 0": (publish("t", props_=[(ALIAS, 0)]), {0x94}),
    "unknown alias": (publish("", props_=[(ALIAS, 3)]), {0x82, 0x94}),
    "subscription identifier 0": (subscribe(1, [("t", 0)], [(SUBSCRIPTION_ID, 0)]), {0x82}),
    "property twice": (publish("t", props_=[(MESSAGE_EXPIRY, 1), (MESSAGE_EXPIRY, 1)]), {0x82}),
    "no filter": (subscribe(1, []), {0x81, 0x82}),
    "CONNACK": (packet(CONNACK, 0, b"\0\0\0"), {0x81, 0x82}),
    "AUTH without method": (auth(0x19, [(AUTH_METHOD, "x")]), {0x82}),
}


class Ping(Case):
    @statement("MQTT-3.12.4-1", "MQTT3-3.12.4-1")
    @versions()
    def test_pingresp(self, v):
        """One for each PINGREQ, and nothing else."""
        for ws in (False, True):
            c = self.client(version=v, ws=ws)
            c.send(pingreq() * 50)
            for _ in range(50):
                self.assertEqual(c.recv().raw, b"\xd0\0")
            c.expect_nothing()

    @statement("MQTT-3.12.4-1", "MQTT3-3.12.4-1")
    @versions()
    def test_order_with_other_packets(self, v):
        """Answered in its place: after what was asked before, before what was asked later."""
        c, topic = self.client(version=v), unique()
        c.send(subscribe(1, [(topic, 0)], version=v), pingreq(), publish(topic, b"x", version=v), pingreq(),
               unsubscribe(2, [topic], version=v))
        self.assertEqual([c.recv().type for _ in range(5)], [SUBACK, PINGRESP, PUBLISH, PINGRESP, UNSUBACK])

    @statement("MQTT-3.12.4-1", "MQTT-4.13.1-1")
    @versions()
    def test_pingreq_with_a_body(self, v):
        self.client(version=v).send(packet(PINGREQ, 0, b"x"), pingreq()).expect_disconnect(0x81)


class FromServer(Case):
    @statement("MQTT-3.14.0-1", "MQTT-3.1.0-1")
    def test_none_before_connack(self):
        """Whatever is wrong before the CONNACK, the server does not say it with DISCONNECT."""
        first = [data for data, _ in FAULTS.values()][1:] + [
            pingreq(), disconnect(), subscribe(1, [("t", 0)]), packet(CONNECT, 1, connect("x")[2:]), b"GET / HTTP/1.1\r\n\r\n",
            connect("x", name="MQTTX"), connect("x", level=6), connect("x", reserved=1), connect(b"\xff"),
            connect("x", will=Will("a/#")), connect("x", props_=[(RECEIVE_MAX, 0)]), packet(CONNECT, 0, b"", 5, 5)]
        for data in first:
            with self.subTest(data=data[:40]):
                c = self.raw()
                c.send(data, pingreq())
                self.assertFalse([p for p in c.expect_closed(allow=(CONNACK,)) if p.reason < 0x80])

    @statement("MQTT-3.14.2-1", "MQTT-3.14.2-2", "MQTT-3.14.4-2", "MQTT-4.13.1-1", "MQTT-4.13.2-1")
    def test_codes(self):
        """Each error has its code and a text, no Session Expiry Interval (the parser refuses that), then the
        connection closes."""
        for name, (data, reasons) in FAULTS.items():
            with self.subTest(name):
                c = self.client(props=[(SESSION_EXPIRY, 60)])
                c.send(data, pingreq()).expect_disconnect(*reasons)

    @statement("MQTT-3.14.2-3", "MQTT-3.14.2-4", "MQTT-3.14.2-1")
    def test_text_gives_way_to_packet_size(self):
        for data, _ in (FAULTS["second CONNECT"], FAULTS["property twice"], FAULTS["QoS 3"]):
            def provoke(c):
                found = c.send(data).expect_closed()
                if not found and not PRODUCT_CHECKS:
                    self.skipTest("closes without DISCONNECT")
                return found[0]
            check_error_text(self, provoke, may_always_explain=True)

    @statement("MQTT-3.14.2-2", "MQTT-3.14.4-2", "MQTT-3.1.4-3")
    def test_taken_over(self):
        c = self.session(expiry=100)
        self.session(c.id, expiry=100)
        c.expect_disconnect(0x8E)

    @statement("MQTT-3.14.4-1", "MQTT-3.14.4-2", "MQTT-4.13.1-1")
    @versions()
    def test_nothing_after_it(self, v):
        """An error in the middle of a stream of messages to the client: what follows it in the same write has no
        effect and no answer (the client checks that DISCONNECT is the last packet)."""
        c, topic = self.client(version=v), unique()
        c.subscribe([topic, "other/" + topic], qos=1)
        witness = self.client()
        witness.subscribe(topic)
        c.send(publish(topic, b"before", version=v) * 20, packet(PUBLISH, 6, b"\0\1t\0\1\0"),
               publish(topic, b"after", version=v) * 20, subscribe(5, [(topic, 0)], version=v), pingreq())
        found = c.expect_closed(allow=(PUBLISH, DISCONNECT))
        self.assertFalse([p for p in found if p.type == PUBLISH and p.payload == b"after"])
        self.assertEqual([p.type for p in found if p.type == DISCONNECT], [DISCONNECT] if v == V5 else [])
        self.assertEqual([witness.recv_publish().payload for _ in range(20)], [b"before"] * 20)
        self.client().publish(topic, b"end")
        self.assertEqual(witness.recv_publish().payload, b"end")


class FromClient(Case):
    def watched(self, v, **will):
        """(client with a will, a subscriber of the will's topic)."""
        watcher, topic = self.client(), unique("will")
        watcher.subscribe(topic, qos=1)
        return self.client(version=v, will=Will(topic, b"will", qos=1, **will)), watcher

    def assert_no_will(self, watcher):
        """The will of a connection that is closed by now has not been published: a message that is sent on now
        comes first."""
        topic = unique("after")
        watcher.subscribe(topic, qos=1)
        self.client().publish(topic, b"x", qos=1)
        self.assertEqual(watcher.recv_publish().topic, topic)

    @statement("MQTT-3.14.4-3", "MQTT3-3.14.4-3", "MQTT-3.1.2-8", "MQTT-3.1.2-10", "MQTT3-3.1.2-8", "MQTT3-3.1.2-10")
    @versions()
    def test_normal_disconnect_deletes_the_will(self, v):
        forms = [disconnect()] + ([disconnect(0), disconnect(0, []), disconnect(0, [(REASON_STRING, "bye")])]
                                  if v == V5 else [])
        for data in forms:
            c, watcher = self.watched(v)
            c.send(data).expect_closed(allow=())
            self.assert_no_will(watcher)

    @statement("MQTT-3.14.4-3")
    def test_disconnect_with_will(self):
        """0x04, and every error code, leave the will to be published."""
        for code in (0x04, *FROM_CLIENT):
            with self.subTest(code=hex(code)):
                c, watcher = self.watched(V5)
                c.send(disconnect(code, [(REASON_STRING, "why"), (USER_PROPERTY, ("k", "v"))])).expect_closed(allow=())
                self.assertEqual(watcher.recv_publish(timeout=2).payload, b"will")

    @statement("MQTT-3.14.4-3", "MQTT3-3.14.4-3")
    @versions()
    def test_server_closes_if_the_client_does_not(self, v):
        """And pays no attention to what the client still sends."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic)
        c.send(disconnect(), pingreq(), publish(topic, b"late", version=v), subscribe(3, [("t", 0)], version=v))
        c.expect_closed(allow=())

    @statement("MQTT-3.14.2-1")
    def test_codes_that_a_client_must_not_use(self):
        for code in NOT_FROM_CLIENT:
            with self.subTest(code=hex(code)):
                c, watcher = self.watched(V5)
                c.send(disconnect(code)).expect_disconnect(0x81, 0x82)
                self.assertEqual(watcher.recv_publish(timeout=2).payload, b"will")

    @statement("MQTT-3.14.1-1", "MQTT3-3.14.1-1")
    @versions(V311, V5)
    def test_flags(self, v):
        """A DISCONNECT with flags is no DISCONNECT: the will is published."""
        for flags in range(1, 16):
            with self.subTest(version=v, flags=flags):
                c, watcher = self.watched(v)
                c.send(disconnect(flags=flags), pingreq()).expect_disconnect(0x81)
                self.assertEqual(watcher.recv_publish(timeout=2).payload, b"will")

    @statement("MQTT-3.14.2-1", "MQTT-4.13.1-1")
    def test_malformed(self):
        forms = {"cut properties": packet(DISCONNECT, 0, b"\0\5"), "property of another packet": disconnect(0, [(ALIAS, 1)]),
                 "trailing bytes": packet(DISCONNECT, 0, b"\0\0x"), "expiry twice": disconnect(0, [(SESSION_EXPIRY, 0)] * 2),
                 "server reference": disconnect(0, [(SERVER_REFERENCE, "x")])}
        for name, data in forms.items():
            with self.subTest(name):
                c, watcher = self.watched(V5)
                c.send(data).expect_disconnect(0x81, 0x82)
                self.assertEqual(watcher.recv_publish(timeout=2).payload, b"will")
        for v in (V31, V311):
            c, watcher = self.watched(v)
            c.send(packet(DISCONNECT, 0, b"\0")).expect_closed(allow=())
            self.assertEqual(watcher.recv_publish(timeout=2).payload, b"will")

    @statement("MQTT-3.14.2-1", "MQTT-4.13.1-1")
    def test_session_expiry_from_zero(self):
        """Session Expiry Interval in DISCONNECT after 0 in CONNECT is a protocol error; 0 again is not one."""
        for props_ in ([], [(SESSION_EXPIRY, 0)]):
            c = self.client(props=props_)
            c.send(disconnect(0, [(SESSION_EXPIRY, 5)])).expect_disconnect(0x82)
            self.client(props=props_).send(disconnect(0, [(SESSION_EXPIRY, 0)])).expect_closed(allow=())
        c = self.session(expiry=100)
        c.send(disconnect(0, [(SESSION_EXPIRY, 0)])).expect_closed(allow=())
        self.assertFalse(self.session(c.id).connack.session_present)
