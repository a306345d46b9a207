# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 3.2: CONNACK, and what it announces."""
from mqttlib import *
from suite import Case, statement, versions


class Connack(Case):
    @statement("MQTT-3.1.4-5", "MQTT-3.2.2-1", "MQTT-3.2.2-2", "MQTT3-3.1.4-4", "MQTT3-3.2.0-1")
    @versions()
    def test_success(self, v):
        """Code 0 and, in the versions without properties, exactly four bytes."""
        c = self.client(version=v)
        self.assertEqual((c.connack.reason, c.connack.ack_flags), (0, 0))
        self.assertEqual(c.connack.raw[:1] + c.connack.raw[2:4], b"\x20\0\0")
        if v != V5:
            self.assertEqual(c.connack.raw, b"\x20\x02\0\0")

    @statement("MQTT-3.2.2-1", "MQTT-3.2.2-3", "MQTT3-3.2.2-1..3", "DIFF-session-present")
    @versions()
    def test_flags_of_a_resumed_session(self, v):
        """Only bit 0 is ever set, and in 3.1 not even that."""
        first = self.session(version=v)
        first.disconnect()
        self.assertEqual(self.session(first.id, v).connack.raw[2], 0 if v == V31 else 1)

    @statement("MQTT-3.2.0-1", "MQTT3-3.2.0-1")
    @versions()
    def test_connack_comes_first(self, v):
        """Also when messages are waiting in the session and requests come in the same segment."""
        c, pub, topic = self.session(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=1)
        c.disconnect()
        for n in range(5):
            pub.publish(topic, b"%d" % n, qos=1)
        again = self.raw(v)
        again.send(connect(c.id, v, clean=False, props_=[(SESSION_EXPIRY, 300)]), pingreq(),
                   publish(topic, b"own", 1, 9, version=v))
        self.assertEqual(again.recv().type, CONNACK)
        self.assertEqual([again.wait(PUBLISH).payload for _ in range(6)], [b"0", b"1", b"2", b"3", b"4", b"own"])

    @statement("MQTT-3.2.0-2", "MQTT-3.1.0-2")
    @versions()
    def test_one_connack(self, v):
        """Ordinary traffic, a second CONNECT and a takeover bring no second one."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic, qos=2)
        c.publish(topic, b"x", qos=2)
        c.accept(c.wait(PUBLISH))
        c.barrier()
        c.send(connect(c.id, v))
        c.expect_disconnect(0x82)
        d = self.client(version=v)
        self.client(d.id, v)
        d.expect_closed()
        for client in (c, d):
            self.assertEqual([p.type for p in client.seen].count(CONNACK), 1)

    @statement("MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.2.2-8", "MQTT-4.13.2-1", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5")
    def test_refusals(self):
        """Refused although a session of that id exists: session present 0, a listed code, a reason, then the end;
        and the session is still there afterwards. (The parser knows the listed codes.)"""
        first = self.session()
        first.disconnect()
        for data in (connect(first.id, clean=False, props_=[(AUTH_METHOD, "no-such-method")]),
                     connect(first.id, clean=False, props_=[(RECEIVE_MAX, 0)]),
                     connect(first.id, clean=False, will=Will("t", b"x", 3))):
            c = self.raw()
            c.send(data)
            if PRODUCT_CHECKS:
                c.expect_refused(0x8C, 0x87, 0x81, 0x82)
            else:
                c.expect_malformed()
        self.assertTrue(self.session(first.id).connack.session_present)

    @statement("MQTT-3.2.2-8", "MQTT-3.2.2-9", "MQTT-3.2.2-16")
    def test_announcements_of_the_default(self):
        """What is announced is legal, and what is fully supported is not announced as limited."""
        pkt = self.client().connack
        self.assertIn(pkt.prop(MAX_QOS), (None,))
        for ident in (RETAIN_AVAILABLE, WILDCARD_AVAILABLE, SUB_ID_AVAILABLE, SHARED_AVAILABLE):
            self.assertIn(pkt.prop(ident), (None, 1))
        self.assertGreaterEqual(pkt.prop(RECEIVE_MAX, 65535), 1)
        self.assertGreaterEqual(pkt.prop(MAX_PACKET, 1), 1)
        self.assertIsNone(pkt.prop(ASSIGNED_ID))
        self.assertIsNone(pkt.prop(AUTH_METHOD))

    @statement("MQTT-3.2.2-19", "MQTT-3.2.2-20")
    def test_reason_string_fits(self):
        """A refusal never exceeds the client's limit; the Reason String comes as soon as there is room for it."""
        refused = [(AUTH_METHOD, "no-such-method")]
        c = self.raw()
        c.send(connect(unique(), props_=refused))
        full = len(c.expect_refused(0x8C, 0x87).raw)
        for limit in (5, 6, 8, 10, full - 1, full, full + 1):
            c = self.raw()
            c.send(connect(unique(), props_=refused + [(MAX_PACKET, max(limit, 5))]))
            pkt = c.expect_refused(0x8C, 0x87, reason_string=False)
            self.assertLessEqual(len(pkt.raw), max(limit, 5))
            if limit >= full:
                check_reason_string(pkt)


class QosUnavailable(Case):
    """The same tests for brokers with each limit; subclasses set it."""
    settings = {"qos_max": 1}

    @property
    def limit(self):
        return self.settings["qos_max"]

    @statement("MQTT-3.2.2-9")
    def test_maximum_qos_is_announced(self):
        self.assertEqual(self.client().connack.prop(MAX_QOS), self.limit)

    @statement("MQTT-3.2.2-10", "MQTT-3.8.4-7")
    @versions()
    def test_subscribing_is_still_accepted(self, v):
        """With any QoS; what is granted and delivered is within the limit."""
        c, topic = self.client(version=v), unique()
        for qos in (0, 1, 2):
            c.subscribe(topic, qos=qos, expect=[min(qos, self.limit)])
            c.publish(topic, b"x", qos=self.limit)
            self.assertEqual(c.recv_publish(topic).qos, min(qos, self.limit))

    @statement("MQTT-3.2.2-11")
    @versions()
    def test_publishing_above_it(self, v):
        observer, topic = self.client(version=v), unique()
        observer.subscribe(topic, qos=0)
        for qos in range(self.limit + 1, 3):
            c = self.client(version=v)
            c.send(publish(topic, b"x", qos, 1, version=v), pingreq())
            c.expect_disconnect(0x9B)
        observer.expect_no_more(self.client(version=v))

    @statement("MQTT-3.2.2-12")
    @versions()
    def test_will_above_it(self, v):
        watcher, topic = self.client(version=v), unique()
        watcher.subscribe(topic, qos=0)
        for qos in range(self.limit + 1, 3):
            c = self.raw(v)
            c.send(connect(unique(), v, will=Will(topic, b"x", qos)), pingreq())
            found = c.expect_closed(allow=(CONNACK,))
            self.assertTrue(all(p.reason for p in found), found)
            if v == V5:
                self.assertEqual([p.reason for p in found], [0x9B])
                check_reason_string(found[0])
        self.client(version=v, will=Will(topic, b"allowed", self.limit)).close()
        self.assertEqual(watcher.recv_publish().payload, b"allowed")
        watcher.expect_no_more(self.client(version=v))


class QosZeroOnly(QosUnavailable):
    settings = {"qos_max": 0}


class RetainUnavailable(Case):
    settings = {"retain_available": False}

    @statement("MQTT-3.2.2-14", "MQTT-3.2.2-13")
    def test_it_is_announced(self):
        self.assertEqual(self.client().connack.prop(RETAIN_AVAILABLE), 0)

    @statement("MQTT-3.2.2-14")
    @versions(V5)
    def test_retained_publish(self, v):
        observer, topic = self.client(), unique()
        observer.subscribe(topic)
        for qos in (0, 1, 2):
            for payload in (b"x", b""):
                c = self.client()
                c.send(publish(topic, payload, qos, 1 if qos else None, retain=True), pingreq())
                c.expect_disconnect(0x9A)
        observer.expect_no_more(self.client())

    @statement("MQTT-3.2.2-13")
    def test_retained_will(self):
        watcher, topic = self.client(), unique()
        watcher.subscribe(topic)
        c = self.raw()
        c.send(connect(unique(), will=Will(topic, b"x", 0, True)), pingreq())
        c.expect_refused(0x9A)
        self.client(will=Will(topic, b"allowed", 0, False)).close()
        self.assertEqual(watcher.recv_publish().payload, b"allowed")
        watcher.expect_no_more(self.client())


class PacketSize(Case):
    settings = {"packet_size_max": 1000}

    def sized(self, topic, size, v, qos=0):
        pid = 1 if qos else None
        data = publish(topic, b"x" * (size - len(publish(topic, b"x" * 200, qos, pid, version=v)) + 200), qos, pid, version=v)
        assert len(data) == size
        return data

    @statement("MQTT-3.2.2-15")
    @versions()
    def test_limit_is_exact(self, v):
        c, topic = self.client(version=v), unique()
        if v == V5:
            self.assertEqual(c.connack.prop(MAX_PACKET), 1000)
        c.subscribe(topic)
        c.send(self.sized(topic, 1000, v))
        self.assertEqual(len(c.recv_publish(topic).raw), 1000)
        for qos in (0, 1, 2):
            bad = self.client(version=v)
            bad.send(self.sized(topic, 1001, v, qos), pingreq())
            bad.expect_disconnect(0x95)
        c.expect_no_more(self.client(version=v))

    @statement("MQTT-3.2.2-15")
    @versions()
    def test_header_is_enough(self, v):
        """The announced length alone ends the connection: the broker does not wait for the bytes."""
        for length in (999, 100000, 268435455):
            c = self.client(version=v)
            c.send(packet(PUBLISH, 0, b"", length=length))
            c.expect_disconnect(0x95)

    @statement("MQTT-3.2.2-15", "MQTT-3.1.4-2")
    @versions()
    def test_connect_above_it(self, v):
        c = self.raw(v)
        c.send(connect(unique(), v, will=Will("t", b"x" * 2000)), pingreq())
        found = c.expect_closed(allow=(CONNACK,))
        self.assertTrue(all(p.reason == 0x95 for p in found), found)


class Aliases(Case):
    settings = {"topic_alias_max": 3}

    def alias(self, number, topic=None):
        return publish(topic or unique(), b"x", props_=[(ALIAS, number)])

    @statement("MQTT-3.2.2-17", "MQTT-3.3.2-9", "MQTT-3.3.2-12")
    def test_above_the_maximum(self):
        c, topic = self.client(), unique()
        self.assertEqual(c.connack.prop(ALIAS_MAX), 3)
        c.subscribe(topic)
        for number in (1, 3, 2):
            c.send(self.alias(number, topic))
            c.recv_publish(topic)
        for number in (4, 5, 65535):
            bad = self.client()
            bad.send(self.alias(number, topic), pingreq())
            bad.expect_disconnect(0x94)
        c.expect_no_more(self.client())


class NoAliases(Aliases):
    settings = {"topic_alias_max": 0}

    @statement("MQTT-3.2.2-18", "MQTT-3.3.2-9")
    def test_above_the_maximum(self):
        """Nothing announced (or 0): the first alias ends the connection."""
        observer, topic = self.client(), unique()
        observer.subscribe(topic)
        self.assertIn(observer.connack.prop(ALIAS_MAX), (None, 0))
        for number in (1, 2, 65535):
            bad = self.client()
            bad.send(self.alias(number, topic), pingreq())
            bad.expect_disconnect(0x94)
        observer.expect_no_more(self.client())
