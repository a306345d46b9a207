# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.8 and 3.9: SUBSCRIBE and SUBACK."""
from errortext import check_error_text
from mqttlib import *
from suite import Case, statement, versions


class Format(Case):
    @statement("MQTT-3.8.1-1", "MQTT3-3.8.1-1")
    @versions(V311, V5)
    def test_flags(self, v):
        """Only 0010; and the filter of such a packet is not subscribed."""
        for flags in set(range(16)) - {2}:
            with self.subTest(version=v, flags=flags):
                c = self.client(version=v)
                c.send(subscribe(1, [("t", 0)], version=v, flags=flags), pingreq()).expect_disconnect(0x81)

    @statement("MQTT-3.8.3-1", "MQTT3-3.8.3-1..4")
    @versions()
    def test_filters_are_utf8(self, v):
        """Ill-formed in the first, the last and a shared filter; none of the good ones is subscribed either."""
        topic = unique()
        for bad in (b"\xff", b"a/\xed\xa0\x80", b"a/\xc0\xaf/+", b"$share/g/\xff", b"$share/\xff/t", b"a\0b", b"+/\0"):
            for filters in ([(bad, 0)], [(topic, 0), (bad, 0)]):
                with self.subTest(version=v, filter=bad):
                    c = self.session(version=v)
                    c.send(subscribe(1, filters, version=v), pingreq()).expect_disconnect(0x81)
                    if not PRODUCT_CHECKS:
                        continue
                    again = self.session(c.id, version=v)
                    again.publish(topic, b"x")
                    again.expect_nothing()
                    again.disconnect()

    @statement("MQTT-3.8.3-2", "MQTT3-3.8.3-1..4")
    @versions()
    def test_no_filter(self, v):
        self.client(version=v).send(subscribe(1, [], version=v), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.8.3-5", "MQTT3-3.8.3-1..4")
    @versions(V311, V5)
    def test_reserved_bits_of_options(self, v):
        for bit in (6, 7) if v == V5 else (2, 3, 4, 5, 6, 7):
            for filters in ([("t", 1 << bit)], [("s", 1), ("t", 1 | 1 << bit)]):
                with self.subTest(version=v, bit=bit):
                    self.client(version=v).send(subscribe(1, filters, version=v), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.8.3-5", "MQTT3-3.8.3-1..4")
    @versions()
    def test_qos_3(self, v):
        for options in (3, 7, 0x13) if v == V5 else (3,):
            c = self.client(version=v)
            c.send(subscribe(1, [("t", options)], version=v), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.8.3-5")
    def test_retain_handling_3(self):
        for qos in (0, 1, 2):
            self.client().send(subscribe(1, [("t", 0x30 | qos)]), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.8.3-4")
    def test_no_local_on_a_shared_subscription(self):
        for filters in ([("$share/g/t", 4)], [("t", 4), ("$share/g/t", 5)], [("$share/g/#", 0x2e)]):
            self.client().send(subscribe(1, filters), pingreq()).expect_disconnect(0x82)

    @statement("MQTT-3.8.3-5", "MQTT-3.8.4-1", "MQTT3-3.8.3-1..4")
    @versions()
    def test_truncated(self, v):
        """Filter without options, filter longer than the packet, half an identifier."""
        head = u16(1) + (props() if v == V5 else b"")
        for body in (head + text("t"), head + b"\0\5abc\0", head + b"\0", head + text("t") + b"\0" + text("u"), b"\0"):
            with self.subTest(version=v, body=body):
                self.client(version=v).send(packet(SUBSCRIBE, 2, body), pingreq()).expect_disconnect(0x81)


class Answers(Case):
    @statement("MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-2.2.1-6", "MQTT3-3.8.4-1..6", "MQTT3-2.3.1-7")
    @versions()
    def test_suback_repeats_the_id(self, v):
        """Pipelined, in any order of ids: one SUBACK each, in the order of the requests."""
        ids = [1, 65535, 256, 255, 1, 32768, 2]
        c, topic = self.client(version=v), unique()
        c.send(*(subscribe(i, [(f"{topic}/{i}", i % 3)], version=v) for i in ids))
        found = c.barrier()
        self.assertEqual([(p.type, p.pid, p.reasons) for p in found], [(SUBACK, i, [i % 3]) for i in ids])

    @statement("MQTT-3.8.4-6", "MQTT-3.8.4-7", "MQTT-3.9.3-1", "MQTT3-3.8.4-1..6")
    @versions()
    def test_one_code_per_filter_in_order(self, v):
        topic = unique()
        wanted = [(i * 7 + i // 5) % 3 for i in range(300)]
        c = self.client(version=v)
        c.subscribe([(f"{topic}/{i}", qos) for i, qos in enumerate(wanted)], expect=wanted)
        for i in (0, 1, 150, 299):
            self.client().publish(f"{topic}/{i}", b"x", qos=2)
            self.assertEqual(c.recv_publish(f"{topic}/{i}").qos, wanted[i])

    @statement("MQTT-3.9.3-1", "MQTT-3.8.4-6", "MQTT-3.9.3-2")
    def test_codes_of_good_and_bad_filters_in_order(self):
        """A filter that is well-formed UTF-8 but no valid filter is refused in the SUBACK (0x8F); or, as the
        standard also allows, the connection ends."""
        c, topic = self.client(), unique()
        c.send(subscribe(1, [(topic, 1), ("a#", 0), (topic + "/2", 2), ("$share/g", 1), (topic + "/3", 0)]), pingreq())
        pkt = c.recv()
        if pkt.type != SUBACK and not PRODUCT_CHECKS:
            self.skipTest("closes")
        self.assertEqual(pkt.reasons, [1, 0x8F, 2, 0x8F, 0])
        c.recv(PINGRESP)
        for name, qos in ((topic, 1), (topic + "/2", 2), (topic + "/3", 0)):
            self.client().publish(name, b"x", qos=2)
            self.assertEqual(c.recv_publish(name).qos, qos)

    @statement("MQTT-3.9.2-1", "MQTT-3.9.2-2", "MQTT-3.9.3-2")
    def test_suback_error_text(self):
        def provoke(c):
            return c.send(subscribe(7, [("ok", 0), ("bad/#/bad", 0)])).recv()
        if provoke(self.client()).type != SUBACK and not PRODUCT_CHECKS:
            self.skipTest("closes")
        check_error_text(self, provoke)

    @statement("MQTT-3.8.4-7", "MQTT-3.8.4-8", "MQTT3-3.8.4-1..6")
    @versions()
    def test_qos_is_the_lower_one(self, v):
        """All nine pairs of published and granted QoS."""
        pub = self.client(version=v)
        for granted in (0, 1, 2):
            c, topic = self.client(version=v), unique()
            c.subscribe(topic, qos=granted)
            for published in (0, 1, 2):
                pub.publish(topic, b"x", qos=published)
                self.assertEqual(c.recv_publish(topic).qos, min(published, granted))


class Unavailable(Case):
    settings = {"wildcard_available": False, "shared_available": False}

    @statement("MQTT-3.9.3-2", "MQTT-3.8.4-7", "MQTT-3.9.3-1")
    def test_codes_of_what_the_server_does_not_offer(self):
        c, topic = self.client(), unique()
        self.assertEqual(c.connack.prop(WILDCARD_AVAILABLE), 0)
        self.assertEqual(c.connack.prop(SHARED_AVAILABLE), 0)
        pkt = c.subscribe([(topic + "/#", 0), (topic, 1), (topic + "/+", 0), (f"$share/g/{topic}", 2)],
                          expect=[0xA2, 1, 0xA2, 0x9E])
        check_reason_string(pkt)
        c.publish(topic + "/a", b"no")
        c.publish(topic, b"yes", qos=1)
        self.assertEqual([p.payload for p in c.barrier() if p.type == PUBLISH], [b"yes"])

    @statement("MQTT-3.9.2-1", "MQTT-3.9.2-2")
    def test_their_texts(self):
        for what in ("#", "$share/g/x"):
            check_error_text(self, lambda c: c.send(subscribe(1, [(what, 0)])).recv(SUBACK))

    @statement("MQTT3-3.8.4-1..6")
    def test_3_1_1(self):
        c = self.client(version=V311)
        c.subscribe([("a/#", 0), ("$share/g/x", 1), ("plain", 2)], expect=[0x80, 0x80, 2])


class Repeated(Case):
    """The same filter again."""

    @statement("MQTT-3.8.4-3", "MQTT3-3.8.4-1..6")
    @versions()
    def test_options_are_replaced(self, v):
        """QoS up and down; there is one subscription, so one copy and one unsubscribe."""
        c, pub, topic = self.client(version=v), self.client(version=v), unique()
        for filter_ in (topic, topic + "/#"):
            for qos in (0, 2, 1, 0, 1):
                c.subscribe(filter_, qos=qos)
                pub.publish(topic, b"x", qos=2)
                self.assertEqual(c.recv_publish(topic).qos, qos)
                c.expect_no_more(pub, qos)
            c.unsubscribe(filter_)
            pub.publish(topic, b"x", qos=2)
            c.expect_no_more(pub)

    @statement("MQTT-3.8.4-3")
    def test_every_option_is_replaced(self):
        """No Local, Retain As Published and the Subscription Identifier, there and back."""
        c, topic = self.client(), unique()
        for no_local, rap, ident in ((False, False, 5), (True, True, 6), (False, True, None), (False, False, 7)):
            c.subscribe(topic, no_local=no_local, rap=rap, retain_handling=2,
                        props=[(SUBSCRIPTION_ID, ident)] if ident else [])
            c.publish(topic, b"own", retain=True)
            found = [p for p in c.barrier()]
            self.assertEqual([(p.retain, p.prop(SUBSCRIPTION_ID)) for p in found], [] if no_local else [(rap, ident)])
        c.publish(topic, b"", retain=True)

    @statement("MQTT-3.8.4-3")
    def test_shared_and_plain_are_two_subscriptions(self):
        c, pub, topic = self.client(), self.client(), unique()
        c.subscribe(topic, qos=1, props=[(SUBSCRIPTION_ID, 1)])
        c.subscribe(f"$share/g/{topic}", qos=1, props=[(SUBSCRIPTION_ID, 2)])
        pub.publish(topic, b"x", qos=1)
        idents = sorted(i for p in c.drain_from(pub, 1) for i in c.accept(p).prop_all(SUBSCRIPTION_ID))
        self.assertEqual(idents, [1, 2])
        self.assertEqual(c.unsubscribe(topic).reasons, [0])
        pub.publish(topic, b"x", qos=1)
        self.assertEqual(c.recv_publish(topic).prop_all(SUBSCRIPTION_ID), [2])

    @statement("MQTT-3.8.4-4", "MQTT3-3.8.4-1..6")
    @versions()
    def test_no_message_is_lost_meanwhile(self, v):
        """A stream of messages while the subscriber asks for the same filter over and over."""
        c, pub, topic, count = self.client(version=v), self.client(version=v), unique(), 400
        c.subscribe(topic, qos=1)
        for n in range(count):
            pub.send(publish(topic, str(n), 1, n + 1, version=v))
            if n % 4 == 0:
                c.send(subscribe(n + 1, [(topic, 1)], version=v))
            if n % 50 == 49:        # within any Receive Maximum of the server
                for _ in range(50):
                    pub.wait(PUBACK)
        numbers = [int(c.accept(c.wait(PUBLISH)).payload) for _ in range(count)]
        self.assertEqual(numbers, list(range(count)))

    @statement("MQTT-3.8.4-4", "MQTT3-3.8.4-1..6", "MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11")
    @versions()
    def test_retained_messages_again(self, v):
        """Sent again for each SUBSCRIBE; v5: unless Retain Handling says no."""
        topic = unique()
        self.client().publish(topic, b"kept", retain=True, qos=1)
        c = self.client(version=v)
        for handling, wanted in ((1, 1), (0, 1), (0, 1), (1, 0), (2, 0), (0, 1)) if v == V5 else ((0, 1), (0, 1)):
            c.subscribe(topic, retain_handling=handling)
            found = c.barrier()
            self.assertEqual([(p.payload, p.retain) for p in found], [(b"kept", True)] * wanted, f"handling {handling}")
        self.client().publish(topic, retain=True)

    @statement("MQTT-3.8.4-5", "MQTT3-3.8.4-1..6")
    @versions()
    def test_filters_of_one_packet_act_one_after_the_other(self, v):
        """The same filter three times in one SUBSCRIBE: the last one's QoS holds, each one is answered, and the
        retained message comes for each."""
        topic = unique()
        pub = self.client()
        pub.publish(topic, b"kept", qos=2, retain=True)
        c = self.client(version=v)
        c.send(subscribe(9, [(topic, 0), (topic, 2), (topic, 1)], version=v))
        found = [c.recv(SUBACK), *c.barrier()]
        self.assertEqual([p.reasons for p in found if p.type == SUBACK], [[0, 2, 1]])
        self.assertIn(1, [c.accept(p).qos for p in found if p.type == PUBLISH])
        self.assertIn(len(found) - 1, (1, 3))   # a server may send what the packet adds up to
        pub.publish(topic, b"new", qos=2)
        self.assertEqual(c.recv_publish(topic).qos, 1)
        c.expect_no_more(pub, 1)
        pub.publish(topic, retain=True)


class NoLocal(Case):
    @statement("MQTT-3.8.3-3")
    def test_own_messages_stay_away(self):
        for qos in (0, 1, 2):
            a, b, topic = self.client(), self.client(), unique()
            a.subscribe(topic, qos=qos, no_local=True)
            b.subscribe(topic, qos=qos)
            a.publish(topic, b"of a", qos=qos)
            b.publish(topic, b"of b", qos=qos)
            self.assertEqual({b.recv_publish().payload for _ in range(2)}, {b"of a", b"of b"})
            self.assertEqual(a.recv_publish().payload, b"of b")
            a.expect_nothing()

    @statement("MQTT-3.8.3-3")
    def test_it_belongs_to_the_subscription(self):
        """Another subscription of the same client, without it, still gets the message, once and with its own
        identifier; a wildcard with No Local does not."""
        c, topic = self.client(), unique()
        c.subscribe(topic + "/#", no_local=True, props=[(SUBSCRIPTION_ID, 1)])
        c.publish(topic + "/a", b"1")
        c.expect_nothing()
        c.subscribe(topic + "/+", props=[(SUBSCRIPTION_ID, 2)])
        c.publish(topic + "/a", b"2")
        self.assertEqual(c.recv_publish().prop_all(SUBSCRIPTION_ID), [2])
        c.expect_nothing()

    @statement("MQTT-3.8.3-3", "MQTT-4.1.0-1")
    def test_it_is_kept_with_the_session(self):
        c, topic = self.session(), unique()
        c.subscribe(topic, qos=1, no_local=True)
        c.disconnect()
        again = self.session(c.id)
        again.publish(topic, b"own", qos=1)
        again.expect_nothing()
        self.client().publish(topic, b"other's", qos=1)
        self.assertEqual(again.recv_publish().payload, b"other's")

    @statement("MQTT-3.8.3-3")
    def test_without_it_own_messages_come_back(self):
        for v in VERSIONS:
            c, topic = self.client(version=v), unique()
            c.subscribe(topic)
            c.publish(topic, b"x")
            c.recv_publish(topic)
