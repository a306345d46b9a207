# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.3.1 and 3.8.3.1: DUP, QoS and RETAIN, the retained message store, retain handling."""
from mqttlib import *
from suite import Case, statement, versions


class Dup(Case):
    @statement("MQTT-3.3.1-1", "MQTT3-3.3.1-1..3", "MQTT-4.3.2-2", "MQTT-4.3.3-2")
    @versions()
    def test_redelivery_has_dup(self, v):
        """First sent with DUP 0; again after a reconnect with DUP 1 and the same id, while a message that has not
        been sent before comes with DUP 0. Small and large ones, with and without subscription identifier."""
        for qos, ident, size in ((1, None, 1), (2, None, 1), (1, 5, 1), (2, 5, 1), (1, None, 20000), (2, 5, 20000)):
            c, pub, topic = self.session(version=v), self.client(version=v), unique()
            c.subscribe(topic, qos=qos, props=[(SUBSCRIPTION_ID, ident)] if ident else [])
            pub.publish(topic, b"seen" * size, qos=qos)
            first = c.recv_publish(topic, ack=False)
            self.assertFalse(first.dup)
            c.disconnect()
            pub.publish(topic, b"new", qos=qos)
            c = self.session(c.id, v)
            second, new = c.recv_publish(topic), c.recv_publish(topic)
            self.assertEqual((second.dup, second.pid, second.payload), (True, first.pid, b"seen" * size))
            self.assertEqual((new.dup, new.payload), (False, b"new"))
            c.expect_no_more(pub)

    @statement("MQTT-3.3.1-2", "MQTT3-3.3.1-1..3")
    @versions(V311, V5)
    def test_dup_with_qos_0_from_client(self, v):
        observer, topic = self.client(version=v), unique()
        observer.subscribe(topic)
        for retain in (False, True):
            c = self.client(version=v)
            c.send(publish(topic, b"x", 0, dup=True, retain=retain, version=v), pingreq())
            c.expect_disconnect(0x81)
        observer.expect_no_more(self.client(version=v))

    @statement("MQTT-3.3.1-2", "MQTT-3.3.1-3", "MQTT3-3.3.1-1..3", "MQTT-4.3.1-1")
    @versions()
    def test_dup_is_not_copied(self, v):
        """A publisher's DUP is its own: subscribers get DUP 0 at every QoS."""
        c, topic = self.client(version=v), unique()
        for granted in (0, 1, 2):
            c.subscribe(topic, qos=granted)
            for qos in (1, 2):
                c.publish(topic, b"x", qos=qos, dup=True)
                got = c.accept(c.wait(PUBLISH))
                self.assertEqual((got.dup, got.qos), (False, min(qos, granted)))

    @statement("MQTT-3.3.1-4", "MQTT3-3.3.1-4")
    @versions()
    def test_qos_3(self, v):
        observer, topic = self.client(version=v), unique()
        observer.subscribe(topic)
        for dup, retain in ((False, False), (True, False), (False, True), (True, True)):
            c = self.client(version=v)
            c.send(publish(topic, b"x", 3, 1, retain, dup, version=v), pingreq())
            c.expect_disconnect(0x81)
        observer.expect_no_more(self.client(version=v))


class Retained(Case):
    def stored_below(self, base, v=V5):
        """What a new subscriber to base/# gets, as {topic: (payload, qos)}. It waits for another retained message of
        its own, and then for everything that was sent until the answer to a last request."""
        c, end = self.client(version=v), f"{base}/~"
        c.publish(end, b"end", qos=1, retain=True)
        c.subscribe(base + "/#", qos=2)
        found = []
        while not found or found[-1].topic != end:
            found.append(c.accept(c.recv(PUBLISH)))
        found += [c.accept(p) for p in c.barrier()]
        c.close()
        for pkt in found:
            self.assertTrue(pkt.retain, pkt)
        topics = [p.topic for p in found]
        self.assertEqual(len(topics), len(set(topics)), found)
        return {p.topic: (p.payload, p.qos) for p in found if p.topic != end}

    def stored(self, topic, v=V5):
        """The stored message of a topic: (payload, qos), or None."""
        return self.stored_below(topic, v).get(topic)

    @statement("MQTT-3.3.1-5", "MQTT3-3.3.1-5", "MQTT3-3.3.1-6", "MQTT3-3.3.1-8", "MQTT3-3.3.1-7")
    @versions()
    def test_store_and_replace(self, v):
        """The last one wins, with its own QoS; other topics are not touched."""
        c, topic = self.client(version=v), unique()
        self.assertIsNone(self.stored(topic, v))
        c.publish(topic + "/other", b"other", qos=1, retain=True)
        for payload, qos in ((b"one", 1), (b"two", 2), (b"three", 0), (b"a longer one" * 100, 1), (b"s", 0)):
            c.publish(topic, payload, qos=qos, retain=True)
            c.barrier()
            self.assertEqual(self.stored(topic, v), (payload, qos))
        self.assertEqual(self.stored(topic + "/other", v), (b"other", 1))

    @statement("MQTT-3.3.1-6", "MQTT-3.3.1-7", "MQTT3-3.3.1-10", "MQTT3-3.3.1-11", "MQTT-3.3.1-12")
    @versions()
    def test_empty_payload_deletes(self, v):
        """Also at QoS 0 and 2; those who are subscribed get the empty message, with RETAIN 0."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic, qos=0)
        for qos in (0, 1, 2):
            c.publish(topic, b"state", qos=1, retain=True)
            c.wait(PUBLISH)
            c.publish(topic, b"", qos=qos, retain=True)
            got = c.wait(PUBLISH)
            self.assertEqual((got.payload, got.retain), (b"", False))
            c.barrier()
            self.assertIsNone(self.stored(topic, v))

    @statement("MQTT-3.3.1-7", "MQTT3-3.3.1-11")
    @versions()
    def test_empty_payload_is_not_stored(self, v):
        """Where nothing was stored; a wildcard subscription finds nothing either."""
        c, topic = self.client(version=v), unique()
        c.publish(topic + "/a", b"", qos=1, retain=True)
        self.assertEqual(self.stored_below(topic, v), {})

    @statement("MQTT-3.3.1-8", "MQTT3-3.3.1-12")
    @versions()
    def test_ordinary_messages_leave_the_store_alone(self, v):
        """With a payload and without one."""
        c, topic = self.client(version=v), unique()
        c.publish(topic, b"stored", qos=1, retain=True)
        for payload in (b"ordinary", b""):
            c.publish(topic, payload, qos=1)
            self.assertEqual(self.stored(topic, v), (b"stored", 1))
        other = unique()
        c.publish(other, b"ordinary", qos=1)
        self.assertIsNone(self.stored(other, v))

    @statement("MQTT-3.3.1-5", "MQTT3-3.1.2-7", "MQTT3-3.3.1-6")
    @versions()
    def test_wildcards_find_each_topic_once(self, v):
        c, base = self.client(version=v), unique()
        want = {f"{base}/{name}": name.encode() for name in ("a", "b", "a/x", "a/y", "b/x", "")}
        for topic, payload in want.items():
            c.publish(topic, payload + b"!", qos=1, retain=True)
        c.publish(base, b"root", qos=1, retain=True)
        c.disconnect()      # stored messages do not belong to the session of their publisher
        for tail, names in {"/#": ["", "/", "/a", "/b", "/a/x", "/a/y", "/b/x"], "/+": ["/", "/a", "/b"],
                            "/+/x": ["/a/x", "/b/x"], "/a/#": ["/a", "/a/x", "/a/y"], "/c/#": []}.items():
            c = self.client(version=v)
            c.subscribe(base + tail, qos=0)
            found = [p.topic for p in c.barrier()]
            self.assertEqual(sorted(found), sorted(base + n for n in names), tail)

    @statement("MQTT-3.3.1-9", "MQTT-3.3.1-5", "MQTT-3.3.4-9")
    def test_more_than_fits_at_once(self):
        """Stored messages that are more than the buffers of a connection hold, or than its receive maximum: each
        arrives once, at the pace of the client, and the connection serves other requests meanwhile."""
        pub, base = self.client(), unique()
        want = {f"{base}/{n:03}": b"%d " % n * 25000 for n in range(60)}
        for topic, payload in want.items():
            pub.publish(topic, payload, qos=1, retain=True)
        for qos, limit in ((0, 65535), (1, 65535), (1, 3), (2, 3)):
            c, got = self.client(props=[(RECEIVE_MAX, limit)]), {}
            c.subscribe(base + "/+", qos=qos)
            while len(got) < len(want):
                pkt = c.recv_publish()
                self.assertNotIn(pkt.topic, got)
                got[pkt.topic] = pkt.payload
                if len(got) == 10:
                    c.subscribe(unique())
            self.assertTrue(got == want)
            c.expect_no_more(pub)
        for topic in want:
            pub.publish(topic, b"", qos=1, retain=True)

    @statement("MQTT-3.3.1-5", "MQTT-3.8.4-8")
    def test_delivered_at_the_granted_qos(self):
        c, topic = self.client(), unique()
        c.publish(topic, b"x", qos=2, retain=True)
        for qos in (0, 1, 2):
            sub = self.client()
            sub.subscribe(topic, qos=qos)
            got = sub.recv_publish(topic)
            self.assertEqual((got.qos, got.retain), (qos, True))


class RetainHandling(Case):
    def setUp(self):
        super().setUp()
        self.pub, self.topic = self.client(), unique()
        self.pub.publish(self.topic, b"stored", qos=1, retain=True)

    def asked(self, c, handling, filters=None, **options):
        """The payloads that a SUBSCRIBE brings."""
        c.subscribe(filters or self.topic, qos=1, retain_handling=handling, **options)
        found = [c.accept(p) for p in c.barrier()]
        self.assertTrue(all(p.retain for p in found), found)
        return [p.payload for p in found]

    @statement("MQTT-3.3.1-9", "MQTT-3.8.4-4")
    def test_0_always(self):
        c = self.client()
        for _ in range(3):
            self.assertEqual(self.asked(c, 0), [b"stored"])

    @statement("MQTT-3.3.1-10", "MQTT-3.8.4-3")
    def test_1_only_for_new_subscriptions(self):
        """Not again with other options, again after an unsubscribe; another filter on the same topic is new."""
        c = self.client()
        self.assertEqual(self.asked(c, 1), [b"stored"])
        self.assertEqual(self.asked(c, 1), [])
        self.assertEqual(self.asked(c, 1, rap=True), [])
        self.assertEqual(self.asked(c, 1, self.topic + "/#"), [b"stored"])
        c.unsubscribe(self.topic)
        self.assertEqual(self.asked(c, 1), [b"stored"])
        self.assertEqual(self.asked(c, 0), [b"stored"])

    @statement("MQTT-3.3.1-10")
    def test_1_in_a_resumed_session(self):
        """A subscription of the session exists, also after a reconnect."""
        c = self.session()
        self.assertEqual(self.asked(c, 1), [b"stored"])
        c.disconnect()
        c = self.session(c.id)
        self.assertTrue(c.connack.session_present)
        self.assertEqual(self.asked(c, 1), [])
        c.disconnect()
        c = self.client(c.id)
        self.assertEqual(self.asked(c, 1), [b"stored"])

    @statement("MQTT-3.3.1-11")
    def test_2_never(self):
        """Not at the first, not at a later subscribe; new messages come."""
        c = self.client()
        self.assertEqual(self.asked(c, 2), [])
        self.assertEqual(self.asked(c, 2), [])
        self.pub.publish(self.topic, b"new", qos=1, retain=True)
        self.assertEqual(c.recv_publish().payload, b"new")

    @statement("MQTT-3.3.1-9", "MQTT-3.3.1-11", "MQTT-3.8.4-5")
    def test_each_filter_has_its_own(self):
        """Several filters in one SUBSCRIBE."""
        c, other = self.client(), unique()
        self.pub.publish(other, b"other", qos=1, retain=True)
        filters = [(self.topic, sub_options(1, retain_handling=2)), (other, sub_options(1, retain_handling=0))]
        self.assertEqual(self.asked(c, 0, filters), [b"other"])


class RetainAsPublished(Case):
    @statement("MQTT-3.3.1-12", "MQTT-3.3.1-13", "MQTT3-3.3.1-9")
    def test_retain_flag_of_forwarded_messages(self):
        """Without the option always 0, with it as published; both kinds of subscribers at the same time."""
        pub, topic = self.client(), unique()
        without, with_it, old = self.client(), self.client(), self.client(version=V311)
        without.subscribe(topic, qos=2)
        with_it.subscribe(topic, qos=2, rap=True)
        old.subscribe(topic, qos=2)
        for qos in (0, 1, 2):
            for retain in (True, False):
                pub.publish(topic, b"x", qos=qos, retain=retain)
                self.assertFalse(without.recv_publish(topic).retain)
                self.assertFalse(old.recv_publish(topic).retain)
                self.assertEqual(with_it.recv_publish(topic).retain, retain)

    @statement("MQTT-3.3.1-12", "MQTT-3.3.1-13")
    def test_stored_messages_always_have_retain(self):
        pub, topic = self.client(), unique()
        pub.publish(topic, b"x", qos=1, retain=True)
        for rap in (False, True):
            c = self.client()
            c.subscribe(topic, rap=rap)
            self.assertTrue(c.recv_publish(topic).retain)

    @statement("MQTT-3.3.1-13", "MQTT-3.3.1-12")
    def test_queued_for_an_offline_client(self):
        """The flag is decided by the subscription, also for what waits in a session."""
        pub, topic = self.client(), unique()
        for rap in (False, True):
            c = self.session()
            c.subscribe(topic, qos=1, rap=rap)
            c.disconnect()
            pub.publish(topic, b"kept", qos=1, retain=True)
            pub.publish(topic, b"", qos=1, retain=True)
            pub.publish(topic, b"plain", qos=1)
            c = self.session(c.id)
            self.assertEqual([c.recv_publish(topic).retain for _ in range(3)], [rap, rap, False])

    @statement("MQTT-3.3.1-9", "MQTT3-3.3.1-9", "MQTT3-3.3.1-8")
    @versions(V31, V311)
    def test_before_v5(self, v):
        """Stored messages with RETAIN 1 at each subscribe, forwarded ones with RETAIN 0."""
        c, topic = self.client(version=v), unique()
        c.publish(topic, b"stored", qos=1, retain=True)
        for _ in range(2):
            c.subscribe(topic, qos=1)
            self.assertTrue(c.recv_publish(topic).retain)
        c.publish(topic, b"new", qos=1, retain=True)
        self.assertFalse(c.recv_publish(topic).retain)
