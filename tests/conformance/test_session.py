# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.1.2.4, 3.1.2.11.2, 3.1.3.1, 3.1.4 and 3.2.2: client ids, clean start, session present, takeover."""
import string
import time

from mqttlib import *
from suite import Case, statement, versions


class CleanStart(Case):
    def stored_session(self, v):
        """A session with one subscription and one queued message, not connected. (id, topic, publisher)"""
        c, pub, topic = self.session(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=1)
        c.disconnect()
        pub.publish(topic, b"queued", qos=1)
        return c.id, topic, pub

    @statement("MQTT-3.1.2-5", "MQTT-3.1.4-4", "MQTT-3.2.2-3", "MQTT-3.1.2-23", "MQTT3-3.1.2-4", "MQTT3-3.1.2-5",
               "MQTT3-3.2.2-1..3", "MQTT3-3.1.4-3", "DIFF-session-present")
    @versions()
    def test_resume(self, v):
        ident, topic, pub = self.stored_session(v)
        c = self.session(ident, v)
        self.assertEqual(c.connack.session_present, v != V31)
        self.assertEqual(c.recv_publish(topic).payload, b"queued")
        pub.publish(topic, b"online", qos=1)
        self.assertEqual(c.recv_publish(topic).payload, b"online")
        c.expect_no_more(pub)

    @statement("MQTT-3.1.2-4", "MQTT-3.1.4-4", "MQTT-3.2.2-2", "MQTT3-3.1.2-6", "MQTT3-3.2.2-1..3", "MQTT3-3.1.4-3")
    @versions()
    def test_clean_start_discards(self, v):
        """Neither the queue nor the subscription is left; and the old session does not come back later."""
        ident, topic, pub = self.stored_session(v)
        c = self.client(ident, v)
        self.assertFalse(c.connack.session_present)
        pub.publish(topic, b"x", qos=1)
        c.expect_no_more(pub, qos=1)
        c.disconnect()
        c = self.session(ident, v)
        self.assertFalse(c.connack.session_present)
        pub.publish(topic, b"x", qos=1)
        c.expect_no_more(pub, qos=1)

    @statement("MQTT-3.1.2-6", "MQTT-3.2.2-3", "MQTT-3.1.4-4", "MQTT3-3.1.2-4", "MQTT3-3.2.2-1..3")
    @versions()
    def test_new_session(self, v):
        """Clean Start 0 with nothing stored: a session without state, which then works and is kept."""
        c, topic = self.session(version=v), unique()
        self.assertFalse(c.connack.session_present)
        c.subscribe(topic)
        c.publish(topic, b"x")
        self.assertEqual(c.recv_publish().payload, b"x")
        c.disconnect()
        self.assertEqual(self.session(c.id, v).connack.session_present, v != V31)

    @statement("MQTT-3.1.2-4", "MQTT-3.2.2-2")
    def test_clean_start_with_expiry_is_kept(self):
        """v5: Clean Start says nothing about the end of the session."""
        c = self.client(props=[(SESSION_EXPIRY, 300)], clean=True)
        self.assertFalse(c.connack.session_present)
        c.disconnect()
        c = self.session(c.id)
        self.assertTrue(c.connack.session_present)

    @statement("MQTT3-3.1.2-6", "MQTT-3.1.2-23")
    @versions()
    def test_session_without_expiry_ends(self, v):
        """v5 with expiry 0 (also when given as 0, or with Clean Start 0), earlier versions with clean session 1."""
        ways = [dict(clean=True)] if v != V5 else [
            dict(clean=False), dict(clean=True), dict(clean=False, props=[(SESSION_EXPIRY, 0)])]
        for options in ways:
            c, topic = self.client(version=v, **options), unique()
            c.subscribe(topic, qos=1)
            c.disconnect()
            self.assertFalse(self.session(c.id, v).connack.session_present, options)

    @statement("MQTT-3.1.2-23", "MQTT-4.1.0-2")
    def test_session_expiry(self):
        """Kept until the interval is over, then gone; one that never expires stays."""
        short, long, ever = (self.session(expiry=e) for e in (1, 300, 0xFFFFFFFF))
        for c in (short, long, ever):
            c.subscribe(unique(), qos=1)
            c.close()
        again = self.session(short.id, expiry=1)
        self.assertTrue(again.connack.session_present)
        again.close()
        time.sleep(2.2)     # the interval itself is what is tested
        self.assertFalse(self.session(short.id).connack.session_present)
        self.assertTrue(self.session(long.id).connack.session_present)
        self.assertTrue(self.session(ever.id).connack.session_present)

    @statement("MQTT-3.1.2-23")
    @versions()
    def test_state_is_kept_however_the_connection_ends(self, v):
        """Regular end, closed socket, reset and a protocol error."""
        ends = {"disconnect": lambda c: c.disconnect(), "close": lambda c: c.close(), "reset": lambda c: c.reset(),
                "error": lambda c: (c.send(b"\0\0"), c.expect_disconnect(0x81, 0x82))}
        for name, end in ends.items():
            with self.subTest(name):
                c, pub, topic = self.session(version=v), self.client(version=v), unique()
                c.subscribe(topic, qos=1)
                end(c)
                pub.publish(topic, b"x", qos=1)
                c = self.session(c.id, v)
                self.assertEqual(c.connack.session_present, v != V31)
                self.assertEqual(c.recv_publish(topic).payload, b"x")


class ClientIds(Case):
    @statement("MQTT-3.1.3-2", "MQTT3-3.1.3-1..4")
    @versions()
    def test_sessions_are_keyed_by_id(self, v):
        """Ids that differ in one way only have sessions of their own; the version of the client does not matter."""
        base = unique("Key")
        idents = [base, base.lower(), base.upper(), base + " ", base + "/", base + "\u00e9", base + "e\u0301"]
        topics = {}
        for ident in idents:
            c = self.session(ident, v)
            self.assertFalse(c.connack.session_present)
            topics[ident] = unique()
            c.subscribe(topics[ident], qos=1)
            c.disconnect()
        pub = self.client(version=v)
        for ident in idents:
            pub.publish(topics[ident], ident.encode(), qos=1)
        for ident in idents:
            c = self.session(ident, v)
            self.assertEqual(c.recv_publish().payload, ident.encode())
            c.expect_no_more(pub)

    @statement("MQTT-3.1.3-5", "MQTT3-3.1.3-5")
    @versions()
    def test_accepted_ids(self, v):
        """1 to 23 bytes of digits and letters, each of the 62 characters, lengths 1 and 23 included."""
        alphabet = string.digits + string.ascii_letters
        for ident in [alphabet[i:i + 23] for i in range(0, 62, 23)] + [alphabet[:n] for n in range(1, 24)] + list("0aZ"):
            self.client(ident, v).disconnect()

    @statement("DIFF-long-client-id", "MQTT-3.1.3-5")
    @versions()
    def test_long_ids(self, v):
        """Longer than 23 bytes, and other characters: accepted (3.1 may refuse with 0x02)."""
        for ident in ("a" * 24, "b" * 100, "c" * 1000, "sensor/1-2_3.4:5 \u00fc\U0001f426", "+", "#", "$id"):
            with self.subTest(ident[:20]):
                c = self.raw(v)
                pkt = c.connect(ident, expect=None)
                self.assertIn(pkt.reason, (0, 2) if v == V31 and len(ident) > 23 else (0,))

    @statement("MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16", "DIFF-empty-client-id")
    def test_assigned_id(self):
        """Each one is new, is told to the client, and is from then on the id of that session."""
        clients = [self.client("", props=[(SESSION_EXPIRY, 300)]) for _ in range(20)]
        idents = [c.connack.prop(ASSIGNED_ID) for c in clients]
        self.assertTrue(all(idents), idents)
        self.assertEqual(len(set(idents)), 20)
        for c in clients:
            c.expect_nothing()      # none has taken over another
        topic = unique()
        clients[0].subscribe(topic, qos=1)
        clients[0].disconnect()
        c = self.session(idents[0])
        self.assertTrue(c.connack.session_present)
        self.assertIsNone(c.connack.prop(ASSIGNED_ID))
        clients[1].publish(topic, b"x", qos=1)
        c.recv_publish(topic)
        self.session(idents[1])
        clients[1].expect_disconnect(0x8E)

    @statement("MQTT-3.1.3-6", "MQTT-3.2.2-16", "DIFF-empty-client-id")
    def test_empty_id_without_clean_start(self):
        """v5 allows it: there is no session that it could mean, so a new id is assigned."""
        c = self.session("")
        self.assertFalse(c.connack.session_present)
        self.assertTrue(c.connack.prop(ASSIGNED_ID))

    @statement("MQTT-3.1.3-8", "MQTT3-3.1.3-6", "MQTT3-3.1.3-7,8", "MQTT3-3.1.3-9", "DIFF-empty-client-id")
    def test_empty_id_before_v5(self):
        """3.1.1 needs clean session 1 for it, 3.1 never takes it."""
        one, two = self.client("", V311), self.client("", V311)
        one.expect_nothing()
        two.expect_nothing()
        for v, clean in ((V311, False), (V31, False), (V31, True)):
            c = self.raw(v)
            c.send(connect("", v, clean=clean), pingreq())
            c.expect_refused(2)


class RefusedIds(Case):
    settings = {"client_id_max": 23}

    @statement("MQTT-3.1.3-8", "MQTT-3.2.2-7", "MQTT-3.2.2-6", "MQTT3-3.1.3-9", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5")
    @versions()
    def test_refused_id(self, v):
        self.client("a" * 23, v).expect_nothing()
        c = self.raw(v)
        c.send(connect("a" * 24, v), pingreq())
        c.expect_refused(0x85 if v == V5 else 2)


class Takeover(Case):
    @statement("MQTT-3.1.4-3", "MQTT3-3.1.4-2", "DIFF-duplicate-session", "MQTT-4.13.2-1")
    @versions()
    def test_second_connection_takes_over(self, v):
        for other in (v, V311, V5):
            first = self.client(version=v)
            second = self.client(first.id, other)
            first.expect_disconnect(0x8E)
            second.expect_nothing()

    @statement("MQTT-3.1.4-3", "MQTT-3.1.4-4", "MQTT-3.1.2-5", "MQTT-3.2.2-3", "MQTT3-3.1.4-2")
    @versions()
    def test_takeover_with_the_session(self, v):
        first, pub, topic = self.session(version=v), self.client(version=v), unique()
        first.subscribe(topic, qos=1)
        pub.publish(topic, b"unacknowledged", qos=1)
        first.recv_publish(ack=False)
        second = self.session(first.id, v)
        first.expect_disconnect(0x8E)
        self.assertEqual(second.connack.session_present, v != V31)
        self.assertEqual(second.recv_publish(topic).payload, b"unacknowledged")
        pub.publish(topic, b"new", qos=1)
        self.assertEqual(second.recv_publish(topic).payload, b"new")
        second.expect_no_more(pub)

    @statement("MQTT-3.1.4-3", "MQTT-3.1.4-4", "MQTT-3.1.2-4", "MQTT-3.2.2-2")
    @versions()
    def test_takeover_with_clean_start(self, v):
        first, pub, topic = self.session(version=v), self.client(version=v), unique()
        first.subscribe(topic, qos=1)
        second = self.client(first.id, v)
        first.expect_disconnect(0x8E)
        self.assertFalse(second.connack.session_present)
        pub.publish(topic, b"x", qos=1)
        second.expect_no_more(pub, qos=1)

    @statement("MQTT-3.1.4-3", "MQTT-3.2.0-2")
    def test_many_takeovers(self):
        """A chain of clients with one id: each gets its CONNACK, only the last stays."""
        ident, chain = unique(), []
        for n in range(20):
            chain.append(self.session(ident, (V5, V311, V31)[n % 3]))
            self.assertEqual(chain[-1].connack.session_present, n > 0 and chain[-1].version != V31)
        for c in chain[:-1]:
            c.expect_disconnect(0x8E)
        chain[-1].expect_nothing()

    @statement("MQTT-3.1.4-3")
    def test_refused_connect_takes_nothing_over(self):
        """A CONNECT that is refused must not end the session of the one who is there."""
        first = self.client()
        bad = self.raw()
        bad.send(connect(first.id, props_=[(AUTH_METHOD, "no-such-method")]))
        bad.expect_refused(0x8C, 0x87)
        bad = self.raw()
        bad.send(connect(first.id, will=Will("a/#", b"x")))
        bad.expect_malformed(0x81, 0x82, 0x90)
        first.expect_nothing()
