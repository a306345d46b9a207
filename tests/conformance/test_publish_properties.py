# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 3.3.2: topic name and properties of PUBLISH."""
import time

from mqttlib import *
from suite import Case, statement, versions

USERS = [(USER_PROPERTY, p) for p in (("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("a", "\u00e4\U0001f426"), ("c", "v" * 2000))]
EVERYTHING = [(PAYLOAD_FORMAT, 1), (CONTENT_TYPE, "application/json; charset=utf-8"), (RESPONSE_TOPIC, "answers/\u00e4/1"),
              (CORRELATION, bytes(range(256)))]


class TopicName(Case):
    def refused(self, data, v, *reasons):
        c = self.client(version=v)
        c.send(data, pingreq())
        c.expect_disconnect(*reasons)
        c.close()

    @statement("MQTT-3.3.2-1", "MQTT-4.7.3-1", "MQTT3-3.3.2-1..3")
    @versions()
    def test_topic_field(self, v):
        """The topic comes first: what is missing, cut or ill-formed there is malformed."""
        tail = props() if v == V5 else b""
        for name, data in {
            "no topic at all": packet(PUBLISH, 0, b""), "half a length": packet(PUBLISH, 0, b"\0"),
            "longer than the packet": packet(PUBLISH, 0, b"\0\x09topic" + tail),
            "ill-formed": packet(PUBLISH, 0, text(b"a\xc3\x28") + tail), "surrogate": packet(PUBLISH, 0, text(b"\xed\xa0\x80") + tail),
            "no identifier with QoS 1": packet(PUBLISH, 2, text("t")), "half an identifier": packet(PUBLISH, 4, text("t") + b"\0"),
        }.items():
            with self.subTest(name):
                self.refused(data, v, 0x81)
        with self.subTest("empty"):
            self.refused(publish("", b"x", version=v), v, 0x81, 0x82, 0x90)

    @statement("MQTT-3.3.2-2", "MQTT-4.7.0-1", "MQTT3-3.3.2-1..3")
    @versions()
    def test_wildcards(self, v):
        observer = self.client(version=v)
        observer.subscribe("#")
        for topic in ("#", "+", "a/#", "a/+/b", "+/a", "a#", "a+b", "a/b#"):
            for qos in (0, 1, 2):
                with self.subTest(topic=topic, qos=qos):
                    self.refused(publish(topic, b"x", qos, 1 if qos else None, version=v), v, 0x90, 0x81, 0x82)
        observer.unsubscribe("#")
        self.assertEqual([p for p in observer.barrier() if any(w in p.topic for w in "+#")], [])

    @statement("MQTT-3.3.2-3", "MQTT3-3.3.2-1..3")
    @versions()
    def test_delivered_topic_is_the_published_one(self, v):
        """Not the filter, not a neighbour; through each kind of filter."""
        pub, base = self.client(version=v), unique()
        topics = [base + t for t in ("", "/", "/a", "/a/b", "/a/b/c", "//", "/a/", "//b", "/A", "/a b", "/\u00e4")]
        want = {"": [""], "/#": ["", "/", "/a", "/a/b", "/a/b/c", "//", "/a/", "//b", "/A", "/a b", "/\u00e4"],
                "/+": ["/", "/a", "/A", "/a b", "/\u00e4"], "/a/+": ["/a/b", "/a/"], "/+/b": ["/a/b", "//b"],
                "/+/+": ["/a/b", "//", "/a/", "//b"], "/a/#": ["/a", "/a/b", "/a/b/c", "/a/"], "/a": ["/a"], "/a/": ["/a/"]}
        for tail, names in want.items():
            c = self.client(version=v)
            c.subscribe(base + tail)
            for topic in topics:
                pub.publish(topic, topic.encode())
            found = c.drain_from(pub)
            self.assertEqual([p.topic for p in found], [base + n for n in names], tail)
            self.assertTrue(all(p.payload.decode() == p.topic for p in found))


class Forwarding(Case):
    """Each property arrives as it was sent, on each of the ways that a message can take."""

    def deliveries(self, sent, payload=b"payload", qos=1):
        """The same message received online, from an offline queue and as a retained message."""
        pub, online, topic = self.client(), self.client(), unique()
        offline = self.session()
        for c in (online, offline):
            c.subscribe(topic, qos=qos)
        offline.disconnect()
        pub.publish(topic, payload, qos=qos, retain=True, props=sent)
        offline, late = self.session(offline.id), self.client()
        late.subscribe(topic, qos=qos)
        found = {"online": online, "offline": offline, "retained": late}
        found = {way: c.recv_publish(topic) for way, c in found.items()}
        self.assertTrue(all(p.payload == payload for p in found.values()))
        return found

    def check(self, sent, **options):
        """Single properties as a set, user properties in their order; nothing more and nothing less."""
        for way, pkt in self.deliveries(sent, **options).items():
            with self.subTest(way):
                self.assertEqual(pkt.prop_all(USER_PROPERTY), [v for i, v in sent if i == USER_PROPERTY])
                self.assertEqual(sorted(p for p in pkt.props if p[0] != USER_PROPERTY),
                                 sorted(p for p in sent if p[0] != USER_PROPERTY))

    @statement("MQTT-3.3.2-4")
    def test_payload_format(self):
        for sent in ([], [(PAYLOAD_FORMAT, 0)], [(PAYLOAD_FORMAT, 1)]):
            got = {way: pkt.prop(PAYLOAD_FORMAT) for way, pkt in self.deliveries(sent, "text \u00e4".encode()).items()}
            want = (sent[0][1],) if sent and sent[0][1] else (None, 0) if not sent else (0,)
            self.assertTrue(all(value in want for value in got.values()), f"sent {sent}, got {got}")

    @statement("MQTT-3.3.2-15", "MQTT-3.3.2-13")
    def test_response_topic(self):
        for topic in ("a", "a/b/c", "/", "$SYS/x", "\u00e4\U0001f426", "x" * 60000):
            self.check([(RESPONSE_TOPIC, topic)])

    @statement("MQTT-3.3.2-16")
    def test_correlation_data(self):
        for data in (b"", b"\0", bytes(range(256)), b"\xff" * 65535):
            self.check([(CORRELATION, data)])

    @statement("MQTT-3.3.2-20", "MQTT-3.3.2-19")
    def test_content_type(self):
        for value in ("", "text/plain", "\u00e4\U0001f426", "x" * 60000):
            self.check([(CONTENT_TYPE, value)])

    @statement("MQTT-3.3.2-17", "MQTT-3.3.2-18")
    def test_user_properties(self):
        self.check(USERS)
        self.check([(USER_PROPERTY, (f"k{n % 7}", str(n))) for n in range(500)])

    @statement("MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20")
    def test_everything_at_once(self):
        """User properties between the others, at each QoS."""
        mixed = [USERS[0], EVERYTHING[0], USERS[1], EVERYTHING[1], USERS[2], *EVERYTHING[2:], *USERS[3:]]
        for qos in (1, 2):
            self.check(mixed, qos=qos)

    @statement("MQTT-3.3.2-3", "MQTT-3.3.2-17", "MQTT-3.3.4-3", "MQTT-3.8.4-8", "MQTT-2.2.1-2")
    def test_one_message_to_many_kinds_of_clients(self):
        """Every version and QoS, with and without subscription identifier, retain as published, topic aliases: each
        gets its own form of the message, whatever its size."""
        pub, topic, subs = self.client(), unique(), []
        for v in VERSIONS:
            for qos in (0, 1, 2):
                subs.append((self.client(version=v), qos, None, False))
                subs[-1][0].subscribe(topic, qos=qos)
        for number, (rap, limit) in enumerate(((False, 0), (True, 0), (False, 3), (True, 3)), 1):
            subs.append((self.client(props=[(ALIAS_MAX, limit)]), number % 3, number, rap))
            subs[-1][0].subscribe(topic, qos=number % 3, rap=rap, props=[(SUBSCRIPTION_ID, number)])
        for size in (0, 1, 100, 127, 1000, 4095, 4096, 16383, 16384, 70000, 300000):
            payload = (b"%d " % size * size)[:size]
            for qos in (0, 1, 2):
                pub.publish(topic, payload, qos=qos, retain=qos == 1, props=[USERS[0], (CONTENT_TYPE, "x")])
                for c, granted, number, rap in subs:
                    with self.subTest(size=size, qos=qos, granted=granted, version=c.version, number=number):
                        got = c.recv_publish(topic)
                        self.assertEqual((got.qos, got.retain, got.dup), (min(qos, granted), rap and qos == 1, False))
                        self.assertEqual(got.prop_all(SUBSCRIPTION_ID), [number] if number else [])
                        self.assertTrue(got.payload == payload, f"{len(got.payload)} other bytes")
                        self.assertEqual(got.prop(CONTENT_TYPE), "x" if c.version == V5 else None)
        pub.publish(topic, b"", qos=1, retain=True)

    @statement("MQTT-3.3.2-17")
    def test_between_versions(self):
        """A client without properties gets the message alone; its messages come to v5 clients without any."""
        new, topic = self.client(), unique()
        for v in (V31, V311):
            old = self.client(version=v)
            old.subscribe(topic, qos=1)
            new.publish(topic, b"from v5", qos=1, props=EVERYTHING + USERS + [(MESSAGE_EXPIRY, 100)])
            got = old.recv_publish(topic)
            self.assertEqual(got.raw, publish(topic, b"from v5", 1, got.pid, version=v))
            old.unsubscribe(topic)
            new.subscribe(topic, qos=1)
            old.publish(topic, b"from old", qos=1)
            self.assertEqual(new.recv_publish(topic).props, [])
            new.unsubscribe(topic)


class Illegal(Case):
    @statement("MQTT-3.3.2-13", "MQTT-3.3.2-14", "MQTT-3.3.2-19", "MQTT-3.3.4-6", "MQTT-4.13.1-1")
    def test_illegal_properties(self):
        """Values, repetitions and properties that PUBLISH must not have; nothing of it is delivered."""
        observer, topic = self.client(), unique()
        observer.subscribe(topic)
        wildcard, protocol, malformed = (0x82, 0x90, 0x81), (0x82,), (0x81,)
        for name, wrong, reasons in (
            ("response topic #", [(RESPONSE_TOPIC, "a/#")], wildcard), ("response topic +", [(RESPONSE_TOPIC, "+/a")], wildcard),
            ("response topic a+b", [(RESPONSE_TOPIC, "a+b")], wildcard),
            ("response topic ill-formed", [(RESPONSE_TOPIC, b"\xff")], malformed),
            ("content type ill-formed", [(CONTENT_TYPE, b"\xed\xa0\x80")], malformed),
            ("payload format 2", [(PAYLOAD_FORMAT, 2)], (0x82, 0x81)), ("payload format twice", [(PAYLOAD_FORMAT, 0)] * 2, protocol),
            ("expiry twice", [(MESSAGE_EXPIRY, 9)] * 2, protocol), ("alias twice", [(ALIAS, 1)] * 2, protocol),
            ("response topic twice", [(RESPONSE_TOPIC, "r")] * 2, protocol),
            ("correlation data twice", [(CORRELATION, b"")] * 2, protocol),
            ("content type twice", [(CONTENT_TYPE, "c")] * 2, protocol),
            ("subscription identifier", [(SUBSCRIPTION_ID, 1)], protocol),
            ("subscription identifier 0", [(SUBSCRIPTION_ID, 0)], protocol),
            ("session expiry", [(SESSION_EXPIRY, 1)], (0x82, 0x81)), ("reason string", [(REASON_STRING, "r")], (0x82, 0x81)),
            ("will delay", [(WILL_DELAY, 1)], (0x82, 0x81)), ("unknown", [b"\x7f\0"], (0x81, 0x82)),
        ):
            with self.subTest(name):
                c = self.client()
                c.send(publish(topic, b"x", props_=wrong), pingreq())
                c.expect_disconnect(*reasons)
        observer.expect_no_more(self.client())


class Expiry(Case):
    @statement("MQTT-3.3.2-6")
    def test_forwarded_at_once(self):
        """Without waiting time the interval arrives as it was (one second may have begun)."""
        c, topic = self.client(), unique()
        c.subscribe(topic, qos=2)
        for qos, value in ((0, 2), (1, 60), (2, 0xFFFFFFFF)):
            c.publish(topic, b"x", qos=qos, props=[(MESSAGE_EXPIRY, value)])
            got = c.accept(c.wait(PUBLISH)).prop(MESSAGE_EXPIRY)
            self.assertIn(got, (value, value - 1))
        c.publish(topic, b"x")
        self.assertIsNone(c.recv_publish().prop(MESSAGE_EXPIRY))

    @statement("MQTT-3.3.2-5", "MQTT-3.3.2-6", "MQTT-4.3.3-7")
    def test_waiting_time(self):
        """Messages wait two seconds in an offline session, behind a full window and as retained ones: those of one
        second are gone, others arrive with less. A message that had been sent before does not expire any more."""
        pub, offline, full, topic = self.client(), self.session(), self.session(props=[(RECEIVE_MAX, 1)]), unique()
        for c in (offline, full):
            c.subscribe(topic, qos=2)
        offline.disconnect()
        start = time.monotonic()
        for payload, expiry in ((b"sent", 1), (b"dies", 1), (b"lives", 100), (b"dies too", 1), (b"ever", None)):
            pub.publish(topic, payload, qos=2, props=[(MESSAGE_EXPIRY, expiry)] if expiry else [])
        pub.publish(topic + "/1", b"dies", qos=1, retain=True, props=[(MESSAGE_EXPIRY, 1)])
        pub.publish(topic + "/2", b"lives", qos=1, retain=True, props=[(MESSAGE_EXPIRY, 100)])
        sent = full.recv_publish(topic, ack=False)
        self.assertEqual(sent.payload, b"sent")
        time.sleep(2.2)     # the interval itself is what is tested
        self.check_left(self.session(offline.id), [b"lives", b"ever"], start)
        full.accept(sent)
        self.check_left(full, [b"lives", b"ever"], start)
        late = self.client()
        late.subscribe(topic + "/+", qos=1)
        self.check_left(late, [b"lives"], start)
        for c in (full, late):
            c.expect_no_more(pub)

    def check_left(self, c, payloads, start):
        for payload in payloads:
            got = c.recv_publish()
            self.assertEqual(got.payload, payload)
            if payload == b"lives":
                waited = time.monotonic() - start
                self.assertLessEqual(got.prop(MESSAGE_EXPIRY), 98)
                self.assertGreaterEqual(got.prop(MESSAGE_EXPIRY), 100 - waited - 1)


class IncomingAliases(Case):
    def announced(self):
        c = self.client()
        limit = c.connack.prop(ALIAS_MAX, 0)
        if not limit:
            self.skipTest("no aliases by default")
        return c, limit

    @statement("MQTT-3.3.2-12", "MQTT-3.3.2-3")
    def test_aliases_up_to_the_maximum(self):
        """Set, used, set anew; the maximum itself counts; subscribers see topics."""
        c, limit = self.announced()
        base = unique()
        c.subscribe(base + "/#", qos=2)
        for alias in sorted({1, 2, limit // 2 or 1, limit}):
            for topic in (f"{base}/one/{alias}", f"{base}/two/{alias}"):
                c.publish(topic, b"names it", props=[(ALIAS, alias)])
                self.assertEqual(c.wait(PUBLISH).topic, topic)
                for qos in (0, 1, 2):
                    c.publish("", b"by alias", qos=qos, props=[(ALIAS, alias)])
                    got = c.accept(c.wait(PUBLISH))
                    self.assertEqual((got.topic, got.payload, got.qos), (topic, b"by alias", qos))
                    self.assertIsNone(got.prop(ALIAS))

    @statement("MQTT-3.3.2-12")
    def test_aliases_are_of_one_direction_and_one_client(self):
        """Two clients use the same number for different topics."""
        (one, _), (two, _), base = self.announced(), self.announced(), unique()
        watcher = self.client()
        watcher.subscribe(base + "/#")
        one.publish(base + "/one", b"", qos=1, props=[(ALIAS, 1)])
        two.publish(base + "/two", b"", qos=1, props=[(ALIAS, 1)])
        one.publish("", b"1", qos=1, props=[(ALIAS, 1)])
        two.publish("", b"2", qos=1, props=[(ALIAS, 1)])
        self.assertEqual([watcher.recv_publish().topic for _ in range(4)],
                         [base + "/one", base + "/two", base + "/one", base + "/two"])

    @statement("MQTT-3.3.2-8")
    def test_alias_0(self):
        observer, topic = self.client(), unique()
        observer.subscribe(topic)
        for name in (topic, ""):
            c = self.client()
            c.send(publish(name, b"x", props_=[(ALIAS, 0)]), pingreq())
            c.expect_disconnect(0x94)
        observer.expect_no_more(self.client())

    @statement("MQTT-3.3.2-9")
    def test_above_the_announced_maximum(self):
        c, limit = self.announced()
        if limit == 65535:      # every number is allowed: nothing can be above
            c.publish(unique(), b"x", qos=1, props=[(ALIAS, 65535)])
            return
        c.send(publish(unique(), b"x", props_=[(ALIAS, limit + 1)]), pingreq())
        c.expect_disconnect(0x94)

    @statement("MQTT-3.3.2-7")
    def test_maps_end_with_the_connection(self):
        """An alias of the last connection means nothing, in a new session and in a resumed one."""
        observer, topic = self.client(), unique()
        observer.subscribe(topic)
        for expiry in (0, 300):
            c = self.session(expiry=expiry)
            c.publish(topic, b"known", props=[(ALIAS, 1)])
            self.assertEqual(observer.recv_publish(topic).payload, b"known")
            c.disconnect()
            c = self.session(c.id)
            self.assertEqual(c.connack.session_present, expiry > 0)
            c.send(publish("", b"forgotten", props_=[(ALIAS, 1)]), pingreq())
            c.expect_disconnect(0x82, 0x94)
        observer.expect_no_more(self.client())

    @statement("MQTT-3.3.2-8", "MQTT-4.13.1-1")
    def test_unknown_alias(self):
        """Without a topic and never set, also when others have been."""
        observer, base = self.client(), unique()
        observer.subscribe(base + "/#")
        for known in ((), (1, 3)):
            c, limit = self.announced()
            for alias in known:
                c.publish(base, b"known", props=[(ALIAS, min(alias, limit))])
                self.assertEqual(observer.recv_publish().payload, b"known")
            c.send(publish("", b"x", props_=[(ALIAS, min(2, limit))]), pingreq())
            c.expect_disconnect(0x82, 0x94)
        observer.expect_no_more(self.client())
