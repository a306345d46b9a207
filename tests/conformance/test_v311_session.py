# SPDX-License-Identifier: Apache-2.0
"""MQTT 3.1.1 and 3.1: sessions, wills, retained messages and redelivery as stories of one client each."""
from mqttlib import *
from suite import Case, statement, versions

OLD = versions(V31, V311)


class Sessions(Case):
    @statement("MQTT3-3.1.2-4", "MQTT3-3.1.2-5", "MQTT3-3.1.2-6", "MQTT3-3.2.2-1..3", "MQTT3-3.1.4-3", "MQTT3-4.1.0-1,2")
    @OLD
    def test_clean_session_back_and_forth(self, v):
        """0 makes a session and keeps it, 0 resumes it, 1 throws it away and keeps nothing, 0 begins anew."""
        topic, pub, ident = unique(), self.client(), unique("s")

        def connected(clean, present):
            c = self.client(ident, version=v, clean=clean)
            self.assertEqual(c.connack.session_present, present and v == V311)
            return c
        c = connected(False, False)
        c.subscribe(topic, qos=1)
        c.disconnect()
        for n in range(3):
            pub.publish(topic, b"%d" % n, qos=1)
        c = connected(False, True)
        self.assertEqual([c.recv_publish(topic).payload for _ in range(3)], [b"0", b"1", b"2"])
        c.disconnect()
        pub.publish(topic, b"lost with the session", qos=1)
        c = connected(True, False)
        c.expect_nothing()
        pub.publish(topic, b"not subscribed", qos=1)
        c.expect_no_more(pub, 1)
        c.subscribe(topic, qos=1)
        c.disconnect()
        pub.publish(topic, b"nobody", qos=1)
        connected(False, False).expect_nothing()

    @statement("MQTT3-3.1.2-5", "MQTT3-4.5.0-1")
    @OLD
    def test_queue_of_a_session_that_is_away(self, v):
        """QoS 1 and 2 wait, each once and in order, with the QoS of the subscription."""
        c, pub, topic = self.session(version=v), self.client(version=v), unique()
        c.subscribe([(topic + "/1", 1), (topic + "/2", 2)])
        c.close()
        self.session(c.id, version=v).disconnect()
        for n in range(10):
            for level in "12":
                pub.publish(f"{topic}/{level}", b"%d" % n, qos=2)
        again = self.session(c.id, version=v)
        got = [again.recv_publish() for _ in range(20)]
        self.assertEqual([(p.topic[-1], int(p.payload), p.qos) for p in got], [(l, n, int(l)) for n in range(10) for l in "12"])
        again.expect_nothing()

    @statement("MQTT3-3.1.4-2", "MQTT3-3.1.2-4", "MQTT3-4.4.0-1", "DIFF-duplicate-session")
    @OLD
    def test_takeover_in_the_middle_of_deliveries(self, v):
        """The newer connection gets what the older one had not acknowledged; the older one is closed without a word."""
        old, pub, topic = self.session(version=v), self.client(version=v), unique()
        old.subscribe(topic, qos=2)
        pub.publish(topic, b"1", qos=1)
        pub.publish(topic, b"2", qos=2)
        first = [old.recv_publish(ack=False) for _ in range(2)]
        new = self.session(old.id, version=v)
        old.expect_closed(allow=())
        second = [new.recv_publish() for _ in range(2)]
        self.assertEqual([(p.pid, p.payload, p.dup) for p in second], [(p.pid, p.payload, True) for p in first])
        new.expect_nothing()

    @statement("MQTT3-3.1.3-5", "MQTT3-3.1.3-6", "MQTT3-3.1.3-1..4")
    @OLD
    def test_client_ids(self, v):
        """1 to 23 letters and digits have to be taken; two clients without an id are two clients."""
        for ident in ("a", "Z9", "0123456789abcdefghijklm", "NOPQRSTUVWXYZnopqrstuvw"):
            self.client(ident, version=v).expect_nothing()
        if v == V311:
            topic = unique()
            clients = [self.client("", version=v, clean=True) for _ in range(3)]
            for c in clients:
                c.subscribe(topic)
            clients[0].publish(topic, b"x")
            for c in clients:
                self.assertEqual(c.recv_publish(topic).payload, b"x")


class Wills(Case):
    def with_will(self, v, **will):
        watcher, topic = self.client(version=v), unique("w")
        watcher.subscribe(topic, qos=2)
        return self.client(version=v, will=Will(topic, b"will", **will)), watcher, topic

    @statement("MQTT3-3.1.2-8", "MQTT3-3.1.2-9", "MQTT3-3.1.2-10", "MQTT3-3.1.2-16", "MQTT3-3.1.2-17")
    @OLD
    def test_published_however_the_connection_ends(self, v):
        """Closed, reset, protocol error, taken over; once, with its QoS, stored if it asks for that."""
        for qos, retain, end in ((0, False, "close"), (1, True, "reset"), (2, False, "error"), (1, True, "takeover"), (0, True, "half closed")):
            with self.subTest(version=v, end=end):
                c, watcher, topic = self.with_will(v, qos=qos, retain=retain)
                if end == "close":
                    c.close()
                elif end == "reset":
                    c.reset()
                elif end == "error":
                    c.send(packet(PUBLISH, 6, b"\0\1t\0\1x"))
                elif end == "half closed":
                    c.sock.shutdown(1)
                else:
                    self.client(c.id, version=v)
                pkt = watcher.recv_publish(topic)
                self.assertEqual((pkt.payload, pkt.qos, pkt.retain), (b"will", qos, False))
                watcher.expect_no_more(self.client(), 2)
                late = self.client(version=v)
                late.subscribe(topic)
                self.assertEqual([(p.payload, p.retain) for p in late.barrier()], [(b"will", True)] * retain)
                late.publish(topic, b"", retain=True)

    @statement("MQTT3-3.1.2-10", "MQTT3-3.14.4-3", "MQTT3-3.1.2-12")
    @OLD
    def test_not_published(self, v):
        """After DISCONNECT, and where there is none; nor does the next connection inherit it."""
        c, watcher, topic = self.with_will(v)
        c.disconnect()
        again = self.client(c.id, version=v)
        again.close()
        self.client(c.id, version=v).disconnect()
        watcher.expect_no_more(self.client(), 2)

    @statement("MQTT3-3.1.2-24", "MQTT3-3.1.2-8")
    @OLD
    def test_published_when_the_client_falls_silent(self, v):
        """Keep alive of one second: still there at 1.0, gone by 1.5 and a little."""
        watcher, topic = self.client(version=v), unique("w")
        watcher.subscribe(topic)
        c = self.client(version=v, keep_alive=1, will=Will(topic, b"will"))
        watcher.expect_nothing(ms=1000)
        self.assertEqual(watcher.recv_publish(topic, timeout=2).payload, b"will")
        c.expect_closed(allow=())

    @statement("MQTT3-3.1.2-11", "MQTT3-3.1.2-14", "MQTT3-3.1.4-1", "MQTT3-3.1.2-18..21", "MQTT3-3.1.2-3")
    @OLD
    def test_all_connect_flags(self, v):
        """Each of the 256 bytes, with the fields that it announces: a CONNACK exactly where the flags are allowed."""
        for flags in range(256):
            user, password, retain, qos, will = flags & 0x80, flags & 0x40, flags & 0x20, flags >> 3 & 3, flags & 4
            body = text(unique()) + ((text("t") + text("m")) if will else b"") + (text("u") if user else b"") + (text("p") if password else b"")
            head = text("MQTT" if v == V311 else "MQIsdp") + bytes([v, flags]) + u16(0)
            wrong = qos == 3 or (not will and (qos or retain)) or (password and not user) or (v == V311 and flags & 1)
            if v == V31 and (flags & 1 or (wrong and not qos == 3)):
                continue        # 3.1 calls bit 0 unused and says nothing of the other cases
            with self.subTest(version=v, flags=f"{flags:08b}"):
                c = self.raw(v)
                c.send(packet(CONNECT, 0, head + body), pingreq())
                if wrong:
                    found = c.expect_closed(allow=(CONNACK,))
                    self.assertTrue(all(p.reason for p in found), found)
                else:
                    self.assertEqual(c.recv(CONNACK).reason, 0)


class Retained(Case):
    @statement("MQTT3-3.3.1-5", "MQTT3-3.3.1-6", "MQTT3-3.3.1-7", "MQTT3-3.3.1-8", "MQTT3-3.3.1-9", "MQTT3-3.3.1-10",
               "MQTT3-3.3.1-11", "MQTT3-3.3.1-12", "MQTT3-3.1.2-7")
    @OLD
    def test_life_of_a_retained_message(self, v):
        """Stored, replaced by each QoS, left alone by ordinary messages, deleted; seen at each step by a new subscriber,
        with RETAIN 1, and by an old one, with RETAIN 0."""
        topic, pub, old = unique(), self.client(version=v), self.client(version=v)
        old.subscribe(topic, qos=2)
        kept = None
        for payload, qos, retain in ((b"1", 0, True), (b"2", 2, True), (b"no", 1, False), (b"3", 1, True), (b"", 0, False), (b"4", 0, True),
                                     (b"", 1, True), (b"", 0, True), (b"no", 0, False), (b"5", 2, True), (b"", 2, True)):
            pub.publish(topic, payload, qos=qos, retain=retain)
            pkt = old.recv_publish(topic)
            self.assertEqual((pkt.payload, pkt.qos, pkt.retain), (payload, qos, False))
            kept = ((payload, qos) if payload else None) if retain else kept
            new = self.client(version=v)
            new.subscribe(topic, qos=2)
            found = [(p.payload, p.qos) for p in new.barrier() if p.retain or self.fail(p)]
            self.assertEqual(found, [kept] if kept else [])
            new.close()
