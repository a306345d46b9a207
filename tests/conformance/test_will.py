# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.1.2.5 to 3.1.2.7, 3.1.3.2 and 3.1.3.3: will messages."""
import time

from mqttlib import *
from suite import Case, statement, versions

# Ways in which a connection ends without a DISCONNECT 0x00.
ENDS = {
    "close": lambda c: c.close(),
    "reset": lambda c: c.reset(),
    "malformed packet": lambda c: (c.send(b"\0\0"), c.expect_disconnect(0x81, 0x82)),
    "protocol error": lambda c: (c.send(connect(c.id, c.version)), c.expect_disconnect(0x82)),
    "cut packet": lambda c: (c.send(publish("cut", b"x" * 100, version=c.version)[:50]), c.close()),
}


class WillCase(Case):
    def watcher(self, v=V5, **options):
        """A client subscribed to a new topic for a will, and that topic."""
        w, topic = self.client(version=v), unique("will")
        w.subscribe(topic, qos=2, **options)
        return w, topic

    def collect(self, w, count):
        """(payload, qos, retain) of up to so many publications; fewer when no more come."""
        got = []
        try:
            while len(got) < count:
                pkt = w.recv_publish()
                got.append((pkt.payload, pkt.qos, pkt.retain))
        except AssertionError:
            w.expect_nothing()
        return got


class Publication(WillCase):
    @statement("MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT3-3.1.2-8")
    @versions()
    def test_abnormal_end(self, v):
        w, topic = self.watcher(v)
        want = set()
        for name, end in ENDS.items():
            for qos in (0, 1, 2):
                payload = f"{name}, will QoS {qos}".encode()
                want.add((payload, qos, False))
                end(self.client(version=v, will=Will(topic, payload, qos)))
        got = self.collect(w, len(want))
        self.assertEqual(set(got), want)
        w.expect_no_more(self.client(version=v))

    @statement("MQTT-3.1.2-10", "MQTT-3.1.2-8", "MQTT3-3.1.2-10", "MQTT3-3.14.4-3", "MQTT-3.14.4-3",
               "DIFF-disconnect-with-will")
    @versions()
    def test_disconnect_removes_the_will(self, v):
        """A last message of the same client shows that its will would have arrived."""
        for end in (disconnect(), disconnect(0), disconnect(0, ())) if v == V5 else (disconnect(),):
            w, topic = self.watcher(v)
            c = self.client(version=v, will=Will(topic, b"gone", 1))
            c.publish(topic, b"last", qos=1)
            c.send(end)
            c.expect_closed()
            self.assertEqual(w.recv_publish(topic).payload, b"last")
            w.expect_no_more(self.client(version=v), qos=1)

    @statement("MQTT-3.1.2-8", "MQTT-3.14.4-3", "DIFF-disconnect-with-will")
    def test_disconnect_with_will_message(self):
        """v5: every reason but 0x00 publishes the will."""
        w, topic = self.watcher()
        reasons = (0x04, 0x80, 0x81, 0x82, 0x83, 0x97)
        for reason in reasons:
            c = self.client(will=Will(topic, bytes([reason]), 1))
            c.send(disconnect(reason))
            c.expect_closed()
        self.assertEqual({p[0][0] for p in self.collect(w, len(reasons))}, set(reasons))

    @statement("MQTT-3.1.2-8", "MQTT-3.1.2-7", "MQTT-3.1.4-3")
    @versions()
    def test_takeover_publishes_the_will(self, v):
        """The old connection ends without DISCONNECT: its will (without delay) is published, the new one's is not."""
        w, topic = self.watcher(v)
        first = self.client(version=v, will=Will(topic, b"first", 1))
        second = self.client(first.id, v, will=Will(topic, b"second", 1))
        first.expect_disconnect(0x8E)
        self.assertEqual(w.recv_publish(topic).payload, b"first")
        w.expect_no_more(second, qos=1)
        second.close()
        self.assertEqual(w.recv_publish(topic).payload, b"second")

    @statement("MQTT-3.1.2-10", "MQTT3-3.1.2-10", "MQTT3-3.1.2-12")
    @versions()
    def test_will_is_published_once(self, v):
        """It is gone after its publication; a later connection of the session has none."""
        w, topic = self.watcher(v)
        c = self.session(version=v, will=Will(topic, b"gone", 1))
        c.close()
        self.assertEqual(w.recv_publish(topic).payload, b"gone")
        c = self.session(c.id, v)
        c.close()
        c = self.session(c.id, v)       # its CONNACK shows that the end before has been seen
        w.expect_no_more(c, qos=1)

    @statement("MQTT-3.1.2-7", "MQTT-3.1.2-8")
    @versions()
    def test_binary_and_empty_payload(self, v):
        for payload in (b"", b"\0\xff\xfe", bytes(range(256)) * 255):
            w, topic = self.watcher(v)
            self.client(version=v, will=Will(topic, payload, 1)).close()
            self.assertEqual(w.recv_publish(topic).payload, payload)

    @statement("MQTT-3.1.2-14", "MQTT-3.1.2-15", "MQTT3-3.1.2-16", "MQTT3-3.1.2-17")
    @versions()
    def test_will_retain(self, v):
        for retain in (False, True):
            w, topic = self.watcher(v)
            c = self.client(version=v, will=Will(topic, b"gone", 1, retain))
            c.close()
            got = w.recv_publish(topic)
            self.assertEqual((got.payload, got.retain), (b"gone", False))
            late = self.client(version=v)
            late.subscribe(topic, qos=1)
            if retain:
                got = late.recv_publish(topic)
                self.assertEqual((got.payload, got.retain), (b"gone", True))
            late.expect_no_more(w, qos=1)

    @statement("MQTT-3.1.2-15")
    def test_will_retain_as_published(self):
        for retain in (False, True):
            w, topic = self.watcher(rap=True)
            self.client(will=Will(topic, b"gone", 1, retain)).close()
            self.assertEqual(w.recv_publish(topic).retain, retain)

    @statement("MQTT-3.1.2-15")
    def test_empty_retained_will_clears(self):
        w, topic = self.watcher()
        w.publish(topic, b"state", qos=1, retain=True)
        w.recv_publish()
        self.client(will=Will(topic, b"", 1, True)).close()
        self.assertEqual(w.recv_publish(topic).payload, b"")
        late = self.client()
        late.subscribe(topic, qos=1)
        late.expect_no_more(w, qos=1)

    @statement("MQTT-3.1.3-10", "MQTT-3.3.2-17", "MQTT-3.3.2-18")
    def test_will_properties(self):
        """All of them arrive; user properties in their order."""
        users = [("z", "1"), ("a", "2"), ("z", "1"), ("", ""), ("m", "3")]
        sent = [(PAYLOAD_FORMAT, 1), (USER_PROPERTY, users[0]), (CONTENT_TYPE, "text/x"), (USER_PROPERTY, users[1]),
                (RESPONSE_TOPIC, "answer/here"), (USER_PROPERTY, users[2]), (CORRELATION, b"\0\1\xff"),
                (USER_PROPERTY, users[3]), (USER_PROPERTY, users[4]), (WILL_DELAY, 0)]
        w, topic = self.watcher()
        self.client(will=Will(topic, b"text", 1, props=sent)).close()
        got = w.recv_publish(topic)
        self.assertEqual(got.prop_all(USER_PROPERTY), users)
        rest = sorted(p for p in got.props if p[0] != USER_PROPERTY)
        self.assertEqual(rest, [(PAYLOAD_FORMAT, 1), (CONTENT_TYPE, "text/x"), (RESPONSE_TOPIC, "answer/here"),
                                (CORRELATION, b"\0\1\xff")])

    @statement("MQTT-3.1.2-7", "MQTT-3.3.2-6")
    def test_will_expiry_is_forwarded(self):
        """Its interval runs from the publication, not from the CONNECT."""
        w, topic = self.watcher()
        c = self.client(will=Will(topic, b"x", 1, props=[(MESSAGE_EXPIRY, 100)]))
        c.close()
        self.assertIn(w.recv_publish(topic).prop(MESSAGE_EXPIRY), (99, 100))


class Delay(WillCase):
    def leave(self, topic, delay, expiry, payload=b"gone", **options):
        """A client with a delayed will whose connection has just been cut."""
        c = self.session(expiry=expiry, will=Will(topic, payload, 1, props=[(WILL_DELAY, delay)]), **options)
        c.close()
        return c

    @statement("MQTT-3.1.2-8", "MQTT-3.1.2-7")
    def test_delay_or_end_of_session(self):
        """Whichever comes first: delay 1 s in a long session, session of 1 s with a long delay, and at once where
        the session ends with the connection. The four run at the same time."""
        w, topic = self.watcher()
        start = time.monotonic()
        for name, delay, expiry in (("delay", 1, 300), ("session", 300, 1), ("no session", 300, 0), ("no delay", 0, 300)):
            self.leave(topic, delay, expiry, name.encode())
        at = {}
        while len(at) < 4:
            try:
                name = w.recv_publish(topic).payload.decode()
                at[name] = time.monotonic() - start
            except AssertionError:
                break
        self.assertEqual(set(at), {"delay", "session", "no session", "no delay"})
        self.assertLess(max(at["no session"], at["no delay"]), 0.9, at)
        self.assertGreater(min(at["delay"], at["session"]), 0.9, at)
        self.assertLess(max(at["delay"], at["session"]), 4, at)

    @statement("MQTT-3.1.3-9", "MQTT-3.1.2-8")
    def test_reconnect_cancels(self):
        """Back in time with Clean Start 0: no will after the delay. It is gone for good: when the new connection,
        which has no will, is cut as well, the old will does not come either."""
        w, topic = self.watcher()
        stays = self.session(self.leave(topic, 1, 300, b"of one who stays").id)
        goes = self.session(self.leave(topic, 1, 300, b"of one who goes again").id)
        for c in (stays, goes):
            self.assertTrue(c.connack.session_present)
        goes.close()
        w.expect_nothing(ms=2200)       # the delay has to pass to see that nothing comes
        w.expect_no_more(stays, qos=1)
        self.client(goes.id)            # nor when its session ends
        w.expect_no_more(stays, qos=1)

    @statement("MQTT-3.1.3-9", "MQTT-3.1.2-7")
    def test_new_will_takes_the_place(self):
        """The will of the last CONNECT counts, also when the connection before left one that was waiting."""
        w, topic = self.watcher()
        c = self.leave(topic, 300, 300, b"old")
        c = self.session(c.id, will=Will(topic, b"new", 1))
        c.close()
        self.assertEqual(w.recv_publish(topic).payload, b"new")
        c = self.client(c.id)
        w.expect_no_more(c, qos=1)

    @statement("MQTT-3.1.3-9")
    def test_takeover_cancels(self):
        """A new connection to the session while the old one is open, too; its own will takes the place."""
        w, topic = self.watcher()
        first = self.session(will=Will(topic, b"first", 1, props=[(WILL_DELAY, 1)]))
        second = self.session(first.id, will=Will(topic, b"second", 1, props=[(WILL_DELAY, 1)]))
        first.expect_disconnect(0x8E)
        w.expect_nothing(ms=1500)
        second.close()
        self.assertEqual(w.recv_publish(topic, timeout=6).payload, b"second")
        w.expect_no_more(self.client(), qos=1)

    @statement("MQTT-3.1.2-8", "MQTT-3.1.2-4")
    def test_clean_start_ends_the_session_and_fires(self):
        """Back in time, but with Clean Start 1: the session ends, so the will is published at once."""
        w, topic = self.watcher()
        c = self.leave(topic, 300, 300)
        c = self.client(c.id)
        self.assertEqual(w.recv_publish(topic).payload, b"gone")
        w.expect_no_more(c, qos=1)

    @statement("MQTT-3.1.2-10", "MQTT-3.14.4-3")
    def test_disconnect_removes_a_delayed_will(self):
        """Also when the session is thrown away afterwards."""
        w, topic = self.watcher()
        c = self.session(will=Will(topic, b"gone", 1, props=[(WILL_DELAY, 300)]))
        c.disconnect()
        c = self.client(c.id)
        w.expect_no_more(c, qos=1)
