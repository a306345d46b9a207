# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.1.2.11.3 to 3.1.2.11.7 and 3.1.4: what a client asks for in CONNECT, refusals, anonymity."""
from mqttlib import *
from suite import Case, statement, versions


class MaximumPacketSize(Case):
    def small(self, limit, props=()):
        """A subscriber with that limit, and its topic; properties of the SUBSCRIBE."""
        c, topic = self.client(props=[(MAX_PACKET, limit)]), unique("small")
        c.subscribe(topic, qos=2, props=props)
        return c, topic

    @statement("MQTT-3.1.2-24", "MQTT-3.1.2-25")
    def test_exact_limit(self):
        """A message of exactly the limit arrives, one byte more does not, at each QoS; later ones come again. Small
        and large packets, with and without subscription identifier."""
        pub = self.client()
        for qos in (0, 1, 2):
            for limit in (100, 5000, 40000):
                for more in ([], [(SUBSCRIPTION_ID, 7)]):
                    c, topic = self.small(limit, more)
                    for size, fits in ((limit, True), (limit + 1, False), (limit - 1, True), (limit + 5000, False), (limit, True)):
                        pub.publish(topic, b"x" * (size - self.overhead(topic, qos, more, limit)), qos=qos)
                        if fits:
                            self.assertEqual(len(c.recv_publish(topic).raw), size)
                    c.expect_no_more(pub, qos)

    def overhead(self, topic, qos, more, size):
        """What a PUBLISH of about that size has besides its payload."""
        return len(publish(topic, b"x" * (size - 60), qos, 1 if qos else None, props_=more)) - (size - 60)

    @statement("MQTT-3.1.2-24")
    def test_properties_count(self):
        """User properties are never dropped to make a message fit; the message is."""
        pub, (c, topic) = self.client(), self.small(100)
        pub.publish(topic, b"x", props=[(USER_PROPERTY, ("key", "v" * 100))])
        pub.publish(topic, b"fits", props=[(USER_PROPERTY, ("key", "value"))])
        self.assertEqual(c.recv_publish(topic).prop_all(USER_PROPERTY), [("key", "value")])
        c.expect_no_more(pub)

    @statement("MQTT-3.1.2-25")
    def test_too_large_counts_as_delivered(self):
        """It holds no place in the client's receive maximum and does not come back in the session."""
        pub, topic = self.client(), unique()
        c = self.session(props=[(MAX_PACKET, 100), (RECEIVE_MAX, 1)])
        c.subscribe(topic, qos=2)
        for n in range(5):
            pub.publish(topic, b"x" * 200, qos=1 + n % 2)
        pub.publish(topic, b"fits", qos=1)
        self.assertEqual(c.recv_publish(topic).payload, b"fits")
        c.disconnect()
        pub.publish(topic, b"x" * 200, qos=1)
        pub.publish(topic, b"while away", qos=1)
        c = self.session(c.id, props=[(MAX_PACKET, 100)])
        self.assertEqual(c.recv_publish(topic).payload, b"while away")
        c.expect_no_more(pub, qos=1)

    @statement("MQTT-3.1.2-24", "MQTT-3.1.2-25")
    def test_limit_is_of_one_client(self):
        """Others get the message; retained ones are held back by the same rule."""
        pub, (c, topic), other = self.client(), self.small(60), self.client()
        other.subscribe(topic, qos=1)
        pub.publish(topic, b"x" * 60, qos=1, retain=True)
        self.assertEqual(len(other.recv_publish(topic).payload), 60)
        c.subscribe(topic, qos=2)       # asks for the retained message again
        c.expect_no_more(pub, qos=1)


class OutgoingAliases(Case):
    settings = {"alias_max_outbound": 10}

    def receive_all(self, alias_max):
        """What a client with that Topic Alias Maximum gets of two rounds on five topics, aliases not resolved."""
        c, pub, base = self.client(props=alias_max), self.client(), unique()
        c.subscribe(base + "/#")
        for n in range(10):
            pub.publish(f"{base}/{n % 5}", b"%d" % n)
        found = [c.recv(PUBLISH) for _ in range(10)]
        aliases, topics = [p.prop(ALIAS) for p in found], [c._resolve(p).topic for p in found]
        self.assertEqual(topics, [f"{base}/{n % 5}" for n in range(10)])
        return aliases

    @statement("MQTT-3.1.2-26", "MQTT-3.3.2-11", "MQTT-3.3.2-8")
    def test_aliases_within_the_maximum(self):
        """1..maximum only, and each one resolves to the right topic."""
        for limit in (1, 2, 65535):
            used = {a for a in self.receive_all([(ALIAS_MAX, limit)]) if a is not None}
            self.assertTrue(used, "no alias although client and broker allow them")
            self.assertLessEqual(max(used), min(limit, 10))
            self.assertGreaterEqual(min(used), 1)

    @statement("MQTT-3.1.2-24", "MQTT-3.1.2-26")
    def test_aliases_and_maximum_packet_size(self):
        """An alias must not make a packet too large that would fit without it; and it may only make smaller."""
        pub, topic = self.client(), unique("a-rather-long-topic-name")
        limit = len(publish(topic, b"payload"))
        for room in range(5):
            c = self.client(props=[(ALIAS_MAX, 5), (MAX_PACKET, limit + room)])
            c.subscribe(topic)
            for _ in range(3):
                pub.publish(topic, b"payload")
                pkt = c.recv(PUBLISH)
                self.assertLessEqual(len(pkt.raw), limit + room)
                self.assertEqual((c._resolve(pkt).topic, pkt.payload), (topic, b"payload"))

    @statement("MQTT-3.1.2-27")
    def test_no_alias_without_a_maximum(self):
        for asked in ([], [(ALIAS_MAX, 0)]):
            self.assertEqual(set(self.receive_all(asked)), {None})

    @statement("MQTT-3.1.2-26", "MQTT-3.3.2-7")
    def test_aliases_end_with_the_connection(self):
        """After a reconnect the first message on a topic names it again."""
        pub, topic, ident = self.client(), unique(), unique()
        for _ in range(2):
            c = self.session(ident, props=[(ALIAS_MAX, 5)])
            c.subscribe(topic)
            for _ in range(3):
                pub.publish(topic, b"x")
            self.assertEqual(c.recv(PUBLISH).topic, topic)
            c.close()


class DefaultAliases(Case):
    @statement("MQTT-3.1.2-26", "MQTT-3.1.2-27", "MQTT-3.3.2-11")
    def test_default_configuration(self):
        """Whatever a broker does by default, it stays within the client's maximum."""
        for limit in (None, 0, 1, 3):
            c, pub, base = self.client(props=[] if limit is None else [(ALIAS_MAX, limit)]), self.client(), unique()
            c.subscribe(base + "/#")
            for n in range(12):
                pub.publish(f"{base}/{n % 6}", b"%d" % n)
            for n in range(12):
                pkt = c.recv(PUBLISH)
                self.assertLessEqual(pkt.prop(ALIAS, 0), limit or 0)
                self.assertEqual(c._resolve(pkt).topic, f"{base}/{n % 6}")


class ResponseInformation(Case):
    settings = {"response_information": "answers/here"}

    @statement("MQTT-3.1.2-28")
    def test_only_on_request(self):
        self.assertEqual(self.client(props=[(REQUEST_RESPONSE, 1)]).connack.prop(RESPONSE_INFO), "answers/here")
        for asked in ([], [(REQUEST_RESPONSE, 0)]):
            self.assertIsNone(self.client(props=asked).connack.prop(RESPONSE_INFO))

    @statement("MQTT-3.1.2-28")
    def test_none_configured(self):
        on = self.own_broker({})
        for asked in ([], [(REQUEST_RESPONSE, 0)]):
            self.assertIsNone(self.client(props=asked, on=on).connack.prop(RESPONSE_INFO))


class ProblemInformation(Case):
    def problems(self, c):
        """Acknowledgements that report something: of a bad filter, an unknown filter, an unknown PUBREL and
        PUBREC, and of a message that nobody gets."""
        found = [c.subscribe(["$share//x"], expect=False), c.unsubscribe(unique())]
        c.send(ack(PUBREL, 4711))
        found.append(c.wait(PUBCOMP))
        c.send(ack(PUBREC, 4712))
        found.append(c.wait(PUBREL))
        found.append(c.publish(unique(), b"x", qos=1))
        codes = [p.reason if p.reasons is None else p.reasons[0] for p in found]
        self.assertEqual(codes[:4], [0x8F, 0x11, 0x92, 0x92])
        self.assertIn(codes[4], (0, 0x10))
        return found

    @statement("MQTT-3.1.2-29", "MQTT-3.7.2-1", "MQTT-3.6.2-1")
    def test_not_wanted(self):
        c = self.client(props=[(REQUEST_PROBLEM, 0)])
        for pkt in self.problems(c):
            self.assertEqual(pkt.props, [], pkt)

    @statement("MQTT-3.1.2-29", "MQTT-3.9.3-2", "MQTT-3.11.3-2")
    def test_wanted(self):
        """By default, and when asked for: what is refused says why."""
        for asked in ([], [(REQUEST_PROBLEM, 1)]):
            for pkt in self.problems(self.client(props=asked)):
                if (pkt.reasons or [pkt.reason])[0] >= 0x80:
                    check_reason_string(pkt)

    @statement("MQTT-3.1.2-29")
    def test_allowed_on_disconnect(self):
        """DISCONNECT may carry a Reason String even then (and Covey sends it)."""
        c = self.client(props=[(REQUEST_PROBLEM, 0)])
        c.send(publish("a/#", b"x"))
        c.expect_disconnect(0x90, 0x82)

    @statement("MQTT-3.1.2-29", "MQTT-3.3.2-17")
    def test_messages_keep_their_user_properties(self):
        c, topic = self.client(props=[(REQUEST_PROBLEM, 0)]), unique()
        c.subscribe(topic)
        c.publish(topic, props=[(USER_PROPERTY, ("k", "v"))])
        self.assertEqual(c.recv_publish().prop_all(USER_PROPERTY), [("k", "v")])


class RefusedConnect(Case):
    @statement("MQTT-3.1.4-6", "MQTT-3.1.2-30", "MQTT-4.12.0-1", "MQTT3-3.1.4-5", "MQTT-3.2.2-7")
    def test_nothing_is_processed_after_a_refusal(self):
        """The packets that follow a refused CONNECT in the same segment have no effect and get no answer. With a
        real authentication method they may not come before CONNACK at all, so the end is the same."""
        observer, topic = self.client(), unique()
        observer.subscribe(topic)
        refused = {
            "unknown method": (V5, connect(unique(), props_=[(AUTH_METHOD, "no-such-method")])),
            "method that may be known": (V5, connect(unique(), props_=[(AUTH_METHOD, "SCRAM-SHA-256"),
                                                                       (AUTH_DATA, b"n,,n=user,r=abc")])),
            "empty id, 3.1.1": (V311, connect("", V311, clean=False)), "empty id, 3.1": (V31, connect("", V31)),
        }
        for name, (v, data) in refused.items():
            with self.subTest(name):
                c = self.raw(v)
                c.send(data, publish(topic, b"x", version=v), publish(topic, b"x", 1, 1, version=v),
                       subscribe(1, [(topic, 0)], version=v), pingreq())
                found = c.expect_closed(allow=(CONNACK, AUTH, DISCONNECT))
                acks = [p for p in found if p.type == CONNACK]
                self.assertLessEqual(len(acks), 1)
                self.assertTrue(all(p.reason for p in acks), found)
        observer.expect_no_more(self.client())

    @statement("MQTT-3.1.4-6")
    def test_malformed_connect_stops_everything(self):
        observer, topic = self.client(), unique()
        observer.subscribe(topic)
        for v in VERSIONS:
            c = self.raw(v)
            c.send(connect(unique(), v, will=Will("t", b"x", 3)), publish(topic, b"x", version=v), pingreq())
            c.expect_malformed()
        observer.expect_no_more(self.client())


class NoAnonymousClients(Case):
    settings = {"anonymous": False}

    @statement("MQTT-3.1.4-2", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.1.4-6", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5")
    @versions()
    def test_refused(self, v):
        """Clients that nothing vouches for are refused and cut off, with or without a user name."""
        for options in ({}, dict(username="somebody", password=b"guessed"), dict(clean=False)):
            c = self.raw(v)
            c.send(connect(unique(), v, **options), subscribe(1, [("t", 0)], version=v), pingreq())
            c.expect_refused(*((0x86, 0x87) if v == V5 else (4, 5)))
