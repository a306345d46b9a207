# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 4.9: flow control, in both directions."""
from mqttlib import *
from suite import Case, statement, versions


class ToClient(Case):
    """The server respects the client's Receive Maximum."""

    def flooded(self, maximum, qos, count, **options):
        """A client with that Receive Maximum and count messages waiting for it: (client, publisher, topic, in flight)."""
        c, pub, topic = self.client(props=[(RECEIVE_MAX, maximum)], **options), self.client(), unique()
        c.subscribe(topic, qos=2)
        for n in range(count):
            pub.publish(topic, b"%d" % n, qos=qos or 1 + n % 2)
        return c, pub, topic, c.barrier()

    @statement("MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-3.3.4-9")
    def test_never_more_than_the_maximum(self):
        """Each PUBACK lets exactly one more through; all come, in order."""
        for maximum in (1, 2, 5):
            c, _, _, window = self.flooded(maximum, 1, 12)
            done = []
            while window:
                self.assertEqual(len(window), min(maximum, 12 - len(done)))
                done.append(window.pop(0))
                c.send(ack(PUBACK, done[-1].pid))
                window += c.barrier()
            self.assertEqual([int(p.payload) for p in done], list(range(12)))

    @statement("MQTT-4.9.0-2", "MQTT-3.3.4-9", "MQTT-4.3.3-4")
    def test_qos_2_frees_its_place_at_the_end(self):
        """PUBREC does not, PUBCOMP does."""
        c, _, _, window = self.flooded(2, 2, 5)
        self.assertEqual(len(window), 2)
        for _ in range(3):
            first = window.pop(0)
            c.send(ack(PUBREC, first.pid)).expect_ack(PUBREL, first.pid)
            c.expect_nothing()
            c.send(ack(PUBCOMP, first.pid))
            window += c.barrier()
            self.assertEqual(len(window), 2)

    @statement("MQTT-4.9.0-2", "MQTT-4.4.0-2")
    def test_errors_free_their_place(self):
        """PUBACK and PUBREC with a code of 0x80 or more."""
        c, _, _, window = self.flooded(1, 0, 8)
        for n in range(8):
            self.assertEqual([int(p.payload) for p in window], [n])
            c.send(ack(PUBACK if window[0].qos == 1 else PUBREC, window[0].pid, 0x97))
            window = c.barrier()
        self.assertEqual(window, [])

    @statement("MQTT-4.9.0-2")
    def test_wrong_acks_free_nothing(self):
        """An acknowledgement of an unknown id or a repeated one adds nothing to the window, nor may it grow above the
        maximum."""
        c, pub, topic, window = self.flooded(2, 1, 6)
        self.assertEqual(len(window), 2)
        c.send(ack(PUBACK, 60000), ack(PUBCOMP, 60001)).expect_nothing()
        c.send(*[ack(PUBACK, window[0].pid)] * 3)
        self.assertEqual(len(c.barrier()), 1)

    @statement("MQTT-4.9.0-3", "MQTT-3.3.4-10")
    def test_everything_else_goes_on(self):
        """With a full window: QoS 0 messages, SUBACK, UNSUBACK, PINGRESP, PUBACK, PUBREC, PUBCOMP, PUBREL."""
        c, pub, topic, window = self.flooded(1, 2, 4)
        other = unique()
        c.subscribe(other)
        pub.publish(other, b"quick")
        self.assertEqual(c.recv_publish(other).payload, b"quick")
        c.publish(unique(), b"x", qos=1)
        c.publish(unique(), b"x", qos=2)
        c.unsubscribe(other)
        c.send(ack(PUBREC, window[0].pid)).expect_ack(PUBREL, window[0].pid)
        c.expect_nothing()

    @statement("MQTT-4.9.0-3", "MQTT-3.3.4-10")
    @versions()
    def test_qos_0_passes_a_full_window(self, v):
        """The same subscription, without a Receive Maximum from the client: the server's own limit, or none."""
        c, pub, topic = self.client(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=1)
        for n in range(100):
            pub.publish(topic, b"slow", qos=1)
        c.barrier()
        pub.publish(topic, b"quick")
        c.take(lambda p: p.type == PUBLISH and p.payload == b"quick", what="the QoS 0 message")

    @statement("MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-4.4.0-1")
    def test_window_starts_anew_with_each_connection(self):
        """Full when the connection ends; the next connection resends what was in flight and then fills up."""
        c, pub, topic, window = self.flooded(2, 1, 6)
        c2 = self.session(props=[(RECEIVE_MAX, 2)])
        c2.subscribe(topic + "/s", qos=1)
        for n in range(6):
            pub.publish(topic + "/s", b"%d" % n, qos=1)
        self.assertEqual(len(c2.barrier()), 2)
        c2.close()
        again = self.session(c2.id, props=[(RECEIVE_MAX, 4)])
        found = again.barrier()
        self.assertEqual([(int(p.payload), p.dup) for p in found], [(0, True), (1, True), (2, False), (3, False)])

    @statement("MQTT-4.9.0-1")
    def test_receive_maximum_0_and_twice(self):
        for bad in ([(RECEIVE_MAX, 0)], [(RECEIVE_MAX, 5)] * 2):
            self.raw().send(connect(unique(), props_=bad), pingreq()).expect_malformed(0x82, 0x81)


class FromClient(Case):
    settings = {"receive_max": 5}

    @statement("MQTT-3.3.4-7", "MQTT-4.9.0-2", "MQTT-4.13.1-1")
    def test_one_too_many(self):
        """QoS 2 without PUBREL holds its place: five are taken, the sixth is refused with 0x93."""
        c, topic = self.client(), unique()
        self.assertEqual(c.connack.prop(RECEIVE_MAX), 5)
        sub = self.client()
        sub.subscribe(topic, qos=2)
        for pid in range(1, 6):
            c.send(publish(topic, b"%d" % pid, 2, pid)).expect_ack(PUBREC, pid)
        c.send(publish(topic, b"6", 2, 6), pingreq()).expect_disconnect(0x93)
        self.assertNotIn(b"6", [p.payload for p in sub.drain_from(self.client(), 2, ack=True) if p.type == PUBLISH])

    @statement("MQTT-3.3.4-7", "MQTT-4.9.0-2")
    def test_places_are_freed(self):
        """By PUBACK, by PUBCOMP and by a PUBREC that refuses; not by PUBREC. A repeated PUBLISH takes none."""
        c, topic = self.client(), unique()
        for pid in range(1, 41):
            c.publish(topic, b"x", qos=1 + pid % 2, pid=pid)
        for pid in range(1, 6):
            c.send(publish(topic, b"x", 2, pid)).expect_ack(PUBREC, pid)
        for pid in range(1, 6):
            c.send(publish(topic, b"x", 2, pid, dup=True)).expect_ack(PUBREC, pid)
        c.send(ack(PUBREL, 3)).expect_ack(PUBCOMP, 3)
        c.send(publish(topic, b"x", 2, 60)).expect_ack(PUBREC, 60)
        c.send(publish(topic, b"x", 2, 61), pingreq()).expect_disconnect(0x93)

    @statement("MQTT-3.3.4-7", "MQTT-4.9.0-1")
    def test_each_connection_has_all_places(self):
        """Ids that an earlier connection of the session left without PUBREL take none, until they come again."""
        topic, client_id = unique(), unique("c")
        c = self.client(client_id=client_id, props=[(SESSION_EXPIRY, 60)])
        for pid in range(1, 6):
            c.send(publish(topic, b"x", 2, pid)).expect_ack(PUBREC, pid)
        c.close()
        c = self.client(client_id=client_id, clean=False, props=[(SESSION_EXPIRY, 60)])
        self.assertTrue(c.connack.session_present)
        for pid in range(11, 15):
            c.send(publish(topic, b"x", 2, pid)).expect_ack(PUBREC, pid)
        c.send(publish(topic, b"x", 2, 1, dup=True)).expect_ack(PUBREC, 1)
        c.send(ack(PUBREL, 2)).expect_ack(PUBCOMP, 2)
        c.send(publish(topic, b"x", 2, 61), pingreq()).expect_disconnect(0x93)

    @statement("MQTT-3.3.4-7", "MQTT-4.9.0-3")
    def test_what_does_not_count(self):
        """QoS 0 messages, SUBSCRIBE and PINGREQ go on while the window is full."""
        c, topic = self.client(), unique()
        for pid in range(1, 6):
            c.send(publish(unique(), b"x", 2, pid)).expect_ack(PUBREC, pid)
        c.subscribe(topic)
        c.publish(topic, b"zero")
        self.assertEqual(c.recv_publish(topic).payload, b"zero")
        c.expect_nothing()

    @statement("MQTT-3.3.4-7")
    def test_ids_of_the_session_count_after_reconnect(self):
        """Five open ids in the session: they can be repeated and released; a sixth one is still one too many, or the
        server counts from zero for the new connection, but then too stops at five more."""
        c, topic = self.session(), unique()
        for pid in range(1, 6):
            c.send(publish(topic, b"x", 2, pid)).expect_ack(PUBREC, pid)
        c.close()
        c = self.session(c.id)
        for pid in range(1, 6):
            c.send(publish(topic, b"x", 2, pid, dup=True)).expect_ack(PUBREC, pid)
        for pid in range(1, 6):
            c.send(ack(PUBREL, pid)).expect_ack(PUBCOMP, pid, 0)
        for pid in range(11, 16):
            c.send(publish(topic, b"x", 2, pid)).expect_ack(PUBREC, pid)
        c.send(publish(topic, b"x", 2, 16), pingreq()).expect_disconnect(0x93)

    @statement("MQTT-3.3.4-7")
    @versions(V31, V311)
    def test_older_versions_have_no_maximum(self, v):
        """They cannot be told one: their messages are taken, or the connection is slowed down, never refused."""
        c, topic = self.client(version=v), unique()
        sub = self.client()
        sub.subscribe(topic, qos=2)
        for pid in range(1, 21):
            c.send(publish(topic, b"%d" % pid, 2, pid, version=v)).expect_ack(PUBREC, pid)
        for pid in range(1, 21):
            c.send(ack(PUBREL, pid)).expect_ack(PUBCOMP, pid)
        self.assertEqual([sub.recv_publish().payload for _ in range(20)], [b"%d" % n for n in range(1, 21)])
