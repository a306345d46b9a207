# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK."""
from errortext import check_error_text
from mqttlib import *
from suite import Case, statement, versions


class Format(Case):
    @statement("MQTT-3.10.1-1", "MQTT3-3.10.1-1")
    @versions(V311, V5)
    def test_flags(self, v):
        for flags in set(range(16)) - {2}:
            with self.subTest(version=v, flags=flags):
                self.client(version=v).send(unsubscribe(1, ["t"], version=v, flags=flags), pingreq()).expect_disconnect(0x81)

    @statement("MQTT-3.10.3-1", "MQTT3-3.10.3-1,2")
    @versions()
    def test_filters_are_utf8(self, v):
        for bad in (b"\xff", b"a/\xed\xa0\x80", b"$share/g/\xc0\xaf", b"a\0b"):
            for filters in ([bad], ["good", bad]):
                with self.subTest(version=v, filter=bad):
                    self.client(version=v).send(unsubscribe(1, filters, version=v), pingreq()).expect_disconnect(0x81)

    @statement("MQTT-3.10.3-2", "MQTT3-3.10.3-1,2")
    @versions()
    def test_no_filter(self, v):
        self.client(version=v).send(unsubscribe(1, [], version=v), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.10.3-2", "MQTT3-3.10.3-1,2")
    @versions()
    def test_truncated(self, v):
        head = u16(1) + (props() if v == V5 else b"")
        for body in (head + b"\0\5abc", head + text("t") + b"\0", b"\0"):
            with self.subTest(version=v, body=body):
                self.client(version=v).send(packet(UNSUBSCRIBE, 2, body), pingreq()).expect_disconnect(0x81)

    @statement("MQTT-2.2.1-3", "MQTT3-2.3.1-1")
    @versions()
    def test_id_zero(self, v):
        self.client(version=v).send(unsubscribe(0, ["t"], version=v), pingreq()).expect_disconnect(0x81, 0x82)


class Deleting(Case):
    # What differs in a byte from the filter subscribed, matches it or is matched by it, and is not it.
    ALMOST = {
        "a/b": ("a/B", "a/b/", "/a/b", "a/+", "a/#", "#", "+/b", "+/+", "a", "a/b/#", "a/b/+", "a//b"),
        "a/+": ("a/b", "a/#", "+/+", "+", "a/+/"), "a/#": ("a/+", "a", "a/b", "#", "a/b/#"), "#": ("+/#", "+", "/#"),
        "caf\u00e9": ("cafe\u0301", "cafe", "caf\u00c9"), "\ufeffx": ("x",), "A\u030a": ("\u00c5", "\u212b"),
    }

    @statement("MQTT-3.10.4-1", "MQTT-3.10.4-5", "MQTT-3.10.4-4", "MQTT-3.11.3-2", "MQTT3-3.10.4-1..6", "MQTT-4.7.3-4")
    @versions()
    def test_byte_for_byte(self, v):
        """Other filters delete nothing (0x11) however alike they are; the same one does, once."""
        c, root = self.client(version=v), unique()
        for filter_, others in self.ALMOST.items():
            filter_ = f"{root}/{filter_}"
            others = [o if o.startswith("$") else f"{root}/{o}" for o in others]
            c.subscribe(filter_)
            pkt = c.unsubscribe(others)
            if v == V5:
                self.assertEqual(pkt.reasons, [0x11] * len(others), f"{filter_!r} against {others!r}")
            topic = filter_.replace("+", "x").replace("#", "x")
            self.client().publish(topic, b"still", qos=1)
            self.assertEqual(c.recv_publish(topic).payload, b"still")
            for code in (0, 0x11):
                pkt = c.unsubscribe(filter_)
                if v == V5:
                    self.assertEqual(pkt.reasons, [code], filter_)
            c.publish(topic, b"gone")
            c.expect_nothing()

    @statement("MQTT-3.10.4-1")
    def test_share_name_is_part_of_the_filter(self):
        c, topic = self.client(), unique()
        for name in (topic, f"$share/g/{topic}", f"$share/h/{topic}"):
            c.subscribe(name)
        self.assertEqual(c.unsubscribe([f"$share/G/{topic}", f"$share/i/{topic}", f"g/{topic}"]).reasons, [0x11] * 3)
        for count, name in ((2, f"$share/g/{topic}"), (1, topic), (0, f"$share/h/{topic}")):
            self.assertEqual(c.unsubscribe(name).reasons, [0])
            c.publish(topic, b"x")
            self.assertEqual(len(c.barrier()), count)

    @statement("MQTT-3.10.4-2", "MQTT3-3.10.4-1..6")
    @versions()
    def test_nothing_new_afterwards(self, v):
        """A stream of messages; none may follow the UNSUBACK that was not under way before, and what the client
        itself publishes in one write with the UNSUBSCRIBE is new."""
        c, topic = self.client(version=v), unique()
        for qos in (0, 1):
            c.subscribe(topic, qos=qos)
            before = [publish(topic, b"before", version=v)] * 10
            after = [publish(topic, b"after", version=v)] * 10
            c.send(*before, unsubscribe(9, [topic], version=v), *after)
            found = c.barrier()
            self.assertEqual([p.payload for p in found if p.type == PUBLISH], [b"before"] * 10)
            self.assertIn(UNSUBACK, [p.type for p in found])

    @statement("MQTT-3.10.4-2")
    def test_messages_of_others_stop(self):
        c, pub, topic = self.client(), self.client(), unique()
        c.subscribe(topic, qos=1)
        for n in range(20):
            pub.send(publish(topic, b"x", 1, n + 1))
        c.send(unsubscribe(1, [topic]))
        while (pkt := c.recv()).type != UNSUBACK:
            c.accept(pkt)
        for _ in range(20):
            pub.wait(PUBACK)
        pub.publish(topic, b"after", qos=1)
        self.assertNotIn(b"after", [p.payload for p in c.drain_from(pub, 1)])

    @statement("MQTT-3.10.4-3", "MQTT3-3.10.4-1..6")
    @versions()
    def test_deliveries_begun_are_finished(self, v):
        """QoS 1 without PUBACK, QoS 2 without PUBREC and without PUBCOMP when the UNSUBSCRIBE comes: each goes on,
        on this connection and on the next one."""
        c, pub, topic = self.session(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=2)
        for payload, qos in ((b"1", 1), (b"2", 2), (b"3", 2)):
            pub.publish(topic, payload, qos=qos)
        one, two, three = (c.recv_publish(ack=False) for _ in range(3))
        c.send(ack(PUBREC, three.pid)).expect_ack(PUBREL, three.pid, 0)
        c.unsubscribe(topic)
        c.send(ack(PUBREC, two.pid)).expect_ack(PUBREL, two.pid, 0)
        c.send(ack(PUBCOMP, two.pid)).expect_nothing()
        again = self.session(c.id, version=v)
        found = [again.recv(), again.recv()]
        self.assertEqual([(p.type, p.pid) for p in found], [(PUBLISH, one.pid), (PUBREL, three.pid)])
        self.assertTrue(found[0].dup)
        again.send(ack(PUBACK, one.pid), ack(PUBCOMP, three.pid)).expect_nothing()
        pub.publish(topic, b"4", qos=2)
        again.expect_no_more(pub, 2)


class Answers(Case):
    @statement("MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-2.2.1-6", "MQTT3-3.10.4-1..6", "MQTT3-2.3.1-7")
    @versions()
    def test_always_an_unsuback_with_the_id(self, v):
        ids = [1, 65535, 256, 255, 1, 32768, 2]
        c = self.client(version=v)
        c.send(*(unsubscribe(i, ["never subscribed", unique()], version=v) for i in ids))
        found = c.barrier()
        self.assertEqual([(p.type, p.pid) for p in found], [(UNSUBACK, i) for i in ids])
        if v == V5:
            self.assertEqual([p.reasons for p in found], [[0x11, 0x11]] * len(ids))

    @statement("MQTT-3.10.4-6", "MQTT-3.11.3-1", "MQTT-3.11.3-2", "MQTT3-3.10.4-1..6")
    @versions()
    def test_filters_act_one_after_the_other(self, v):
        """One UNSUBACK, codes in the order of the request: the second of two equal filters finds nothing."""
        c, topic = self.client(version=v), unique()
        names = [f"{topic}/{n}" for n in range(6)]
        c.subscribe(names)
        asked = [names[4], "no", names[0], names[4], names[2], "no", names[0]]
        pkt = c.unsubscribe(asked)
        if v == V5:
            self.assertEqual(pkt.reasons, [0, 0x11, 0, 0x11, 0, 0x11, 0x11])
        for name in names:
            c.publish(name, b"x")
        self.assertEqual([p.topic for p in c.barrier()], [names[1], names[3], names[5]])

    @statement("MQTT-3.11.3-1", "MQTT-3.11.3-2")
    def test_many_filters(self):
        c, topic = self.client(), unique()
        c.subscribe([f"{topic}/{n}" for n in range(0, 500, 3)])
        pkt = c.unsubscribe([f"{topic}/{n}" for n in range(500)])
        self.assertEqual(pkt.reasons, [0x11 if n % 3 else 0 for n in range(500)])

    @statement("MQTT-3.11.2-1", "MQTT-3.11.2-2")
    def test_unsuback_text(self):
        """A filter that is none: 0x8F with a text, or 0x11 as for any that was not subscribed. Whatever it says, it
        fits into the client's Maximum Packet Size."""
        def provoke(c):
            return c.send(unsubscribe(7, ["ok", "bad/#/bad"])).recv()
        c = self.client()
        pkt = provoke(c)
        if pkt.type == UNSUBACK and pkt.reasons == [0x11, 0x8F]:
            check_error_text(self, provoke)
        elif pkt.type == UNSUBACK or PRODUCT_CHECKS:
            self.assertEqual(pkt.reasons, [0x11, 0x11])
            least = len(c.connack.raw)
            self.assertLessEqual(len(provoke(self.client(props=[(MAX_PACKET, least)])).raw), least)
            self.assertEqual(provoke(self.client(props=[(REQUEST_PROBLEM, 0)])).props, [])
