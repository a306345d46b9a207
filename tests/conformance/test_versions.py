# SPDX-License-Identifier: Apache-2.0
"""Where MQTT 3.1, 3.1.1 and 5.0 differ for a server: each difference with all three versions side by side."""
from mqttlib import *
from suite import Case, statement

# Topics that a server may refuse to take messages for, see test_puback.py.
REFUSED_TOPICS = ("$SYS/broker/uptime", "$share/group/topic", "/".join("x" * 1000))


class Versions(Case):
    @statement("DIFF-session-present")
    def test_session_present(self):
        """After a resume: 0 in 3.1, which calls the byte reserved, 1 in the others; always 0 after a clean start."""
        for v in VERSIONS:
            with self.subTest(version=v):
                c = self.session(version=v)
                self.assertEqual(c.connack.ack_flags, 0)
                c.disconnect()
                self.assertEqual(self.session(c.id, version=v).connack.ack_flags, 0 if v == V31 else 1)
                self.assertEqual(self.client(c.id, version=v, clean=True).connack.ack_flags, 0)

    @statement("DIFF-empty-client-id", "MQTT3-3.1.3-7,8")
    def test_empty_client_id(self):
        """3.1: refused with 2. 3.1.1: taken with Clean Session, else refused with 2. 5.0: taken, and told."""
        for v, clean, code in ((V31, True, 2), (V31, False, 2), (V311, True, 0), (V311, False, 2), (V5, True, 0), (V5, False, 0)):
            with self.subTest(version=v, clean=clean):
                c = self.raw(v)
                if code:
                    c.send(connect("", v, clean=clean), pingreq()).expect_refused(code)
                else:
                    c.connect("", clean=clean)
                    c.expect_nothing()
                    self.assertEqual(bool(c.connack.prop(ASSIGNED_ID)), v == V5)

    @statement("DIFF-long-client-id")
    def test_long_client_id(self):
        """Above 23 bytes: 3.1 may refuse with 2, the others take it and tell ids apart that differ only at the end."""
        for v in VERSIONS:
            for size in (24, 100, 1000):
                with self.subTest(version=v, size=size):
                    ids = [unique().ljust(size - 1, "x") + end for end in "ab"]
                    clients = [self.raw(v) for _ in ids]
                    codes = [c.connect(i, expect=None).reason for c, i in zip(clients, ids)]
                    self.assertIn(codes, ([0, 0], [2, 2]) if v == V31 else ([0, 0],))
                    for c in clients if codes == [0, 0] else ():
                        c.expect_nothing()

    @statement("DIFF-suback-failure", "MQTT3-3.8.4-1..6", "MQTT-3.9.3-2")
    def test_suback_failure(self):
        """A filter that cannot be subscribed, beside one that can: 3.1 has no code for it and closes (or grants what it
        can), 3.1.1 says 0x80, 5.0 says why. A server may close instead."""
        for v, wanted in ((V31, None), (V311, 0x80), (V5, 0x8F)):
            for bad in ("a#", "$share/g", ""):
                with self.subTest(version=v, filter=bad):
                    c, topic = self.client(version=v), unique()
                    c.send(subscribe(1, [(topic, 1), (bad, 1)], version=v), pingreq())
                    found = c.take_all()
                    if not found or found[0].type == DISCONNECT:
                        continue
                    self.assertEqual(found[0].type, SUBACK)
                    self.assertEqual(found[0].reasons[0], 1)
                    if wanted:
                        self.assertEqual(found[0].reasons[1], wanted if PRODUCT_CHECKS or bad == "" else found[0].reasons[1])

    @statement("DIFF-password-without-user")
    def test_password_without_user_name(self):
        """An error before 5.0, fine in 5.0."""
        for v in VERSIONS:
            with self.subTest(version=v):
                c = self.raw(v)
                c.send(connect(unique(), v, password=b"token"), pingreq())
                if v == V5:
                    self.assertEqual(c.recv(CONNACK).reason, 0)
                else:
                    self.assertTrue(all(p.reason for p in c.expect_closed(allow=(CONNACK,))))

    @statement("DIFF-malformed-packet")
    def test_malformed_packet(self):
        """5.0: DISCONNECT 0x81 or 0x82 with a text, then closed; before: closed."""
        for v in VERSIONS:
            for data in (publish(b"\xff", version=v), packet(0, 0), publish("t", b"", 1, 0, version=v), packet(PUBLISH, 6, b"\0\1t\0\1")):
                with self.subTest(version=v, data=data):
                    self.client(version=v).send(data, pingreq()).expect_disconnect(0x81, 0x82)

    @statement("DIFF-duplicate-session")
    def test_duplicate_session(self):
        """The older connection is closed, in 5.0 with DISCONNECT 0x8E; whatever the versions of the two are."""
        for old in VERSIONS:
            for new in VERSIONS:
                with self.subTest(old=old, new=new):
                    c = self.client(version=old)
                    newer = self.client(c.id, version=new)
                    c.expect_disconnect(0x8E)
                    newer.expect_nothing()

    @statement("DIFF-unauthorised-publish", "MQTT3-3.3.5-2")
    def test_refused_publish(self):
        """A topic that clients may not write to: before 5.0 the message is acknowledged as any other and dropped, or the
        connection is closed; 5.0 gets an error in PUBACK or PUBREC, or DISCONNECT. Nobody receives it."""
        watcher, mark = self.client(), unique().encode()
        watcher.subscribe(["$SYS/#", "#"])
        for v in VERSIONS:
            for topic in REFUSED_TOPICS:
                for qos in (0, 1, 2):
                    with self.subTest(version=v, topic=topic[:20], qos=qos):
                        c = self.client(version=v)
                        c.send(publish(topic, mark, qos, 1 if qos else None, version=v), pingreq())
                        found = c.take_all()
                        if found and found[0].type in (PUBACK, PUBREC):
                            self.assertEqual(found[0].type, (None, PUBACK, PUBREC)[qos])
                            if PRODUCT_CHECKS and v == V5:
                                self.assertIn(found[0].reason, (0x87, 0x90, 0x97, 0x80, 0x83))
                                check_reason_string(found[0])
                        elif found and found[0].type == DISCONNECT:
                            self.assertGreaterEqual(found[0].reason, 0x80)
        if PRODUCT_CHECKS:
            self.assertNotIn(mark, [p.payload for p in watcher.drain_from(self.client()) if p.type == PUBLISH])

    @statement("DIFF-resend")
    def test_resend(self):
        """On reconnect, with DUP, in every version; by a timer in none (3.1 would allow it)."""
        clients = []
        for v in VERSIONS:
            c, topic = self.session(version=v), unique()
            c.subscribe(topic, qos=2)
            self.client().publish(topic, b"1", qos=1)
            self.client().publish(topic, b"2", qos=2)
            clients.append((c, [c.recv_publish(ack=False).pid for _ in range(2)]))
        clients[0][0].expect_nothing(ms=2000)
        for c, ids in clients:
            c.expect_nothing()
            c.close()
            again = self.session(c.id, version=c.version)
            self.assertEqual([(p.pid, p.dup) for p in again.barrier()], [(i, True) for i in ids])

    @statement("DIFF-disconnect-with-will")
    def test_disconnect_with_will(self):
        """DISCONNECT drops the will; 0x04 of 5.0 keeps it, and 0x00 written out drops it."""
        for v, data, published in ((V31, disconnect(), False), (V311, disconnect(), False), (V5, disconnect(), False),
                                   (V5, disconnect(0), False), (V5, disconnect(4), True)):
            with self.subTest(version=v, data=data):
                watcher, topic = self.client(), unique()
                watcher.subscribe(topic)
                c = self.client(version=v, will=Will(topic, b"will"))
                c.send(data).expect_closed(allow=())
                if published:
                    self.assertEqual(watcher.recv_publish(topic).payload, b"will")
                else:
                    watcher.expect_no_more(self.client())
