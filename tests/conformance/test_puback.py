# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.4 to 3.7: PUBACK, PUBREC, PUBREL, PUBCOMP."""
from errortext import check_error_text
from mqttlib import *
from suite import Case, statement, versions

# Topics that a server may refuse to take messages for. Which of them is its choice; that it says so in the
# acknowledgement is not.
REFUSED_TOPICS = ("$SYS/broker/uptime", "$share/group/topic", "/".join("x" * 1000))

# Every reason code that does not belong into the packet: some of other packets, some that no packet has.
NOT_OF_PUBACK = (0x01, 0x11, 0x18, 0x81, 0x82, 0x92, 0x93, 0x9A, 0xA2, 0xFF)
NOT_OF_PUBREL = (0x01, 0x10, 0x80, 0x83, 0x87, 0x91, 0x97, 0xFF)


def refused_publish(client, qos):
    """The first refusal of a PUBLISH in its acknowledgement, or None."""
    for topic in REFUSED_TOPICS:
        pid = client.pid()
        client.send(publish(topic, b"x", qos, pid))
        pkt = client.recv()
        if pkt.type not in (PUBACK, PUBREC):
            return None
        assert pkt.pid == pid and pkt.type == (PUBACK if qos == 1 else PUBREC), pkt
        if pkt.reason >= 0x80:
            return pkt
        if qos == 2:
            client.send(ack(PUBREL, pid)).expect_ack(PUBCOMP, pid)
    return None


class Publishing(Case):
    """PUBACK and PUBREC from the server."""

    def check_codes(self, qos, kind):
        topic = unique()
        c, sub = self.client(), self.client()
        lonely = c.send(publish(topic, b"1", qos, 1)).expect_ack(kind, 1, 0, 0x10)
        if qos == 2:
            c.send(ack(PUBREL, 1)).expect_ack(PUBCOMP, 1)
        sub.subscribe(topic, qos=qos)
        c.send(publish(topic, b"2", qos, 2)).expect_ack(kind, 2, 0)
        if qos == 2:
            c.send(ack(PUBREL, 2)).expect_ack(PUBCOMP, 2)
        self.assertEqual(sub.recv_publish(topic).payload, b"2")
        return lonely

    @statement("MQTT-3.4.2-1")
    def test_puback_codes(self):
        """Success with a subscriber, success or 0x10 without; the parser knows the list."""
        self.check_codes(1, PUBACK)

    @statement("MQTT-3.5.2-1")
    def test_pubrec_codes(self):
        self.check_codes(2, PUBREC)

    @statement("MQTT-3.4.2-2", "MQTT-3.4.2-3", "MQTT-3.4.2-1")
    def test_puback_error_text(self):
        if refused_publish(self.client(), 1) is None and not PRODUCT_CHECKS:
            self.skipTest("refuses no topic in PUBACK")
        check_error_text(self, lambda c: refused_publish(c, 1))

    @statement("MQTT-3.5.2-2", "MQTT-3.5.2-3", "MQTT-3.5.2-1")
    def test_pubrec_error_text(self):
        if refused_publish(self.client(), 2) is None and not PRODUCT_CHECKS:
            self.skipTest("refuses no topic in PUBREC")
        check_error_text(self, lambda c: refused_publish(c, 2))

    @statement("MQTT-3.4.2-1", "MQTT-3.5.2-1")
    def test_success_has_no_text(self):
        """Nothing to explain: the four byte form, which every version shares."""
        c, topic = self.client(), unique()
        c.subscribe(topic)
        for qos, kind in ((1, PUBACK), (2, PUBREC)):
            pkt = c.send(publish(topic, b"x", qos, qos)).take(lambda p: p.type == kind)
            self.assertEqual((pkt.reason, pkt.props), (0, []))


class Receiving(Case):
    """PUBACK, PUBREC and PUBCOMP from the client, PUBREL from the server."""

    def delivered(self, qos, version=V5):
        """A client with one unacknowledged message: (client, the PUBLISH)."""
        c, topic = self.client(version=version), unique()
        c.subscribe(topic, qos=qos)
        self.client().publish(topic, b"x", qos=qos)
        return c, c.recv_publish(topic, ack=False)

    @statement("MQTT-3.4.2-1")
    def test_unlisted_code_in_puback(self):
        for code in NOT_OF_PUBACK:
            with self.subTest(code=hex(code)):
                c, pkt = self.delivered(1)
                c.send(ack(PUBACK, pkt.pid, code), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.5.2-1")
    def test_unlisted_code_in_pubrec(self):
        for code in NOT_OF_PUBACK:
            with self.subTest(code=hex(code)):
                c, pkt = self.delivered(2)
                c.send(ack(PUBREC, pkt.pid, code), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.7.2-1")
    def test_unlisted_code_in_pubcomp(self):
        for code in NOT_OF_PUBREL:
            with self.subTest(code=hex(code)):
                c, pkt = self.delivered(2)
                c.send(ack(PUBREC, pkt.pid)).expect_ack(PUBREL, pkt.pid)
                c.send(ack(PUBCOMP, pkt.pid, code), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.6.2-1")
    def test_unlisted_code_in_pubrel(self):
        for code in NOT_OF_PUBREL:
            with self.subTest(code=hex(code)):
                c = self.client()
                c.send(publish(unique(), b"x", 2, 1)).expect_ack(PUBREC, 1)
                c.send(ack(PUBREL, 1, code), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.6.2-1", "MQTT-3.7.2-1")
    def test_every_listed_code_is_taken(self):
        """And so are properties with them. A server that closed here would refuse what the standard allows."""
        texts = [(REASON_STRING, "because"), (USER_PROPERTY, ("k", "v")), (USER_PROPERTY, ("k", "w"))]
        for code in (0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99):
            c, pkt = self.delivered(1)
            c.send(ack(PUBACK, pkt.pid, code, texts)).expect_nothing()
            c, pkt = self.delivered(2)
            c.send(ack(PUBREC, pkt.pid, code, texts))
            if code < 0x80:
                c.expect_ack(PUBREL, pkt.pid, 0)
                c.send(ack(PUBCOMP, pkt.pid, 0, texts))
            c.expect_nothing()
        c = self.client()
        for code in (0x00, 0x92):   # 0x92: the client has forgotten it; the server must be done with it too
            c.send(publish(unique(), b"x", 2, 1)).expect_ack(PUBREC, 1)
            c.send(ack(PUBREL, 1, code, texts)).expect_ack(PUBCOMP, 1, 0, 0x92)
        c, pkt = self.delivered(2)
        c.send(ack(PUBREC, pkt.pid)).expect_ack(PUBREL, pkt.pid)
        c.send(ack(PUBCOMP, pkt.pid, 0x92)).expect_nothing()

    @statement("MQTT-3.6.1-1", "MQTT3-3.6.1-1", "MQTT-2.1.3-1", "MQTT3-2.2.2-2")
    @versions(V311, V5)
    def test_pubrel_flags(self, v):
        """Only 0010."""
        for flags in set(range(16)) - {2}:
            with self.subTest(version=v, flags=flags):
                c = self.client(version=v)
                c.send(publish(unique(), b"x", 2, 1, version=v)).expect_ack(PUBREC, 1)
                c.send(ack(PUBREL, 1, flags=flags), pingreq()).expect_disconnect(0x81)

    @statement("MQTT-3.6.2-1", "MQTT-3.6.2-2", "MQTT-3.6.2-3")
    def test_pubrel_for_unknown_id(self):
        """PUBREC for what was never sent: PUBREL 0x92."""
        def provoke(c):
            return c.send(ack(PUBREC, 4711)).expect_ack(PUBREL, 4711, 0x92)
        check_error_text(self, provoke)

    @statement("MQTT-3.7.2-1", "MQTT-3.7.2-2", "MQTT-3.7.2-3", "MQTT-4.3.3-11")
    def test_pubcomp_for_unknown_id(self):
        """PUBREL for what was never received: PUBCOMP 0x92."""
        def provoke(c):
            return c.send(ack(PUBREL, 4711)).expect_ack(PUBCOMP, 4711, 0x92)
        check_error_text(self, provoke)

    @statement("MQTT-3.6.2-1", "MQTT-3.7.2-1")
    def test_normal_pubrel_and_pubcomp_are_bare(self):
        c, pkt = self.delivered(2)
        rel = c.send(ack(PUBREC, pkt.pid)).expect_ack(PUBREL, pkt.pid, 0)
        self.assertEqual(rel.props, [])
        c.send(ack(PUBCOMP, pkt.pid)).expect_nothing()
        c.send(publish(unique(), b"x", 2, 9)).expect_ack(PUBREC, 9)
        comp = c.send(ack(PUBREL, 9)).expect_ack(PUBCOMP, 9, 0)
        self.assertEqual(comp.props, [])


class WrongIds(Case):
    @statement("MQTT-2.2.1-5", "MQTT3-2.3.1-6")
    @versions()
    def test_acks_that_nobody_waits_for(self, v):
        """They do no harm: the connection stays, and messages in flight stay what they are."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic, qos=2)
        self.client().publish(topic, b"one", qos=1)
        one = c.recv_publish(topic, ack=False)
        for kind in (PUBACK, PUBCOMP):
            c.send(ack(kind, 60000)).expect_nothing()
        c.send(ack(PUBACK, one.pid), ack(PUBACK, one.pid), ack(PUBACK, one.pid)).expect_nothing()
        self.client().publish(topic, b"two", qos=2)
        self.assertEqual(c.recv_publish(topic).payload, b"two")

    @statement("MQTT-4.3.2-3", "MQTT-4.3.3-3", "MQTT-4.3.3-5", "MQTT3-4.3.1-1..4.3.3-2")
    @versions()
    def test_acks_of_the_wrong_kind(self, v):
        """PUBACK or PUBCOMP for a QoS 2 message, PUBREC or PUBCOMP for one of QoS 1: the server may end the
        connection for it or pay no attention, but the message is not taken as delivered."""
        for qos, kind in ((2, PUBACK), (2, PUBCOMP), (1, PUBCOMP), (1, PUBREC)):
            with self.subTest(version=v, qos=qos, kind=TYPE_NAMES[kind]):
                c, topic = self.session(version=v), unique()
                c.subscribe(topic, qos=2)
                self.client().publish(topic, b"x", qos=qos)
                pkt = c.recv_publish(topic, ack=False)
                c.send(ack(kind, pkt.pid), pingreq())
                try:
                    c.wait(PINGRESP)
                except Closed:
                    self.assertTrue(all(p.reason == 0x82 for p in c.inbox), c.inbox)
                again = self.session(c.id, version=v)
                self.assertEqual(again.connack.session_present, v != V31)
                resent = again.recv_publish(topic, ack=False)
                self.assertEqual((resent.pid, resent.dup, resent.qos), (pkt.pid, True, qos))
                again.accept(resent)
                again.expect_nothing()

    @statement("MQTT-2.2.1-3", "MQTT3-2.3.1-1")
    @versions()
    def test_id_zero_in_acks(self, v):
        for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            with self.subTest(version=v, packet=TYPE_NAMES[kind]):
                c = self.client(version=v)
                c.send(ack(kind, 0), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-2.2.1-5")
    @versions()
    def test_truncated_acks(self, v):
        for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            for body in (b"", b"\0"):
                with self.subTest(version=v, packet=TYPE_NAMES[kind], body=body):
                    c = self.client(version=v)
                    c.send(packet(kind, 2 if kind == PUBREL else 0, body), pingreq()).expect_disconnect(0x81)
