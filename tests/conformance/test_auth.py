# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.15 and 4.12: AUTH and enhanced authentication.

The first two classes need no user: they show what a server does without, or with an unknown, authentication
method. Scram speaks SCRAM-SHA-256 (RFC 5802, 7677) with a user of its own broker."""
from mqttlib import *
from scram import METHOD, Dialog
from suite import Case, statement

NOT_OF_AUTH = (0x01, 0x02, 0x04, 0x10, 0x11, 0x80, 0x87, 0x8C, 0xFF)


def with_method(method, data=None, **more):
    found = [(AUTH_METHOD, method)] + ([(AUTH_DATA, data)] if data is not None else [])
    return found + list(more.get("props", ()))


class Unknown(Case):
    @statement("MQTT-4.12.0-1", "MQTT-4.12.0-4", "MQTT-4.13.2-1")
    def test_unknown_method_is_refused(self):
        """With CONNACK 0x8C (or 0x87), never by going on as if there had been no method."""
        for method in ("", "no-such-method", METHOD + "-not", "scram-sha-256\ufeff", "x" * 65535):
            for data in (None, b"", b"n,,n=user,r=abc"):
                with self.subTest(method=method[:30], data=data):
                    c = self.raw()
                    c.send(connect(unique(), props_=with_method(method, data)), pingreq()).expect_refused(0x8C, 0x87)

    @statement("MQTT-4.12.0-1", "MQTT-3.1.4-6")
    def test_nothing_is_done_for_a_refused_client(self):
        """Packets behind the CONNECT, in the same write, have no effect; nor does its will."""
        watcher, topic = self.client(), unique()
        watcher.subscribe(topic + "/#")
        c = self.raw()
        c.send(connect(unique(), props_=with_method("no-such-method", b"x"), will=Will(topic + "/will", b"x")),
               publish(topic + "/late", b"x"), auth(0x18, with_method("no-such-method")), pingreq())
        c.expect_refused(0x8C, 0x87)
        watcher.expect_no_more(self.client())

    @statement("MQTT-4.12.0-1", "MQTT-3.15.2-1")
    def test_data_without_method(self):
        c = self.raw()
        c.send(connect(unique(), props_=[(AUTH_DATA, b"x")]), pingreq())
        c.expect_malformed(0x82, 0x81)

    @statement("MQTT-4.12.0-1")
    def test_method_or_data_twice(self):
        for twice in ([(AUTH_METHOD, "a")] * 2, [(AUTH_METHOD, "a")] + [(AUTH_DATA, b"a")] * 2):
            c = self.raw()
            c.send(connect(unique(), props_=twice), pingreq())
            c.expect_malformed(0x82, 0x81)


class Unasked(Case):
    """AUTH on connections whose CONNECT named no method."""

    @statement("MQTT-4.12.0-7", "MQTT-4.12.1-1", "MQTT-4.12.0-3", "MQTT-4.13.1-1")
    def test_auth_is_a_protocol_error(self):
        packets = [auth(code, props_) for code in (0x18, 0x19, 0x00)
                   for props_ in (with_method(METHOD), with_method(METHOD, b"x"), with_method("other"))]
        for data in packets:
            with self.subTest(data=data):
                self.client().send(data, pingreq()).expect_disconnect(0x82)

    @statement("MQTT-4.12.0-7", "MQTT-3.15.2-1")
    def test_short_form(self):
        """AUTH with nothing in it means success, which no client may say."""
        self.client().send(packet(AUTH, 0), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.15.1-1", "MQTT-2.1.3-1")
    def test_flags(self):
        for flags in range(1, 16):
            with self.subTest(flags=flags):
                c = self.client()
                c.send(auth(0x19, with_method(METHOD), flags=flags), pingreq()).expect_disconnect(0x81)

    @statement("MQTT-3.15.2-1")
    def test_codes_that_auth_does_not_have(self):
        for code in NOT_OF_AUTH:
            with self.subTest(code=hex(code)):
                self.client().send(auth(code, with_method(METHOD)), pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.15.2-1", "MQTT-4.13.1-1")
    def test_malformed(self):
        for data in (packet(AUTH, 0, b"\x18\x05"), auth(0x18, [(ALIAS, 1)]), auth(0x19, []),
                     auth(0x19, [(AUTH_METHOD, METHOD)] * 2), packet(AUTH, 0, b"\x18" + props(with_method(METHOD)) + b"x")):
            with self.subTest(data=data):
                self.client().send(data, pingreq()).expect_disconnect(0x81, 0x82)

    @statement("MQTT-3.1.0-1", "MQTT-3.14.0-1")
    def test_auth_before_connect(self):
        self.raw().send(auth(0x18, with_method(METHOD)), pingreq()).expect_closed(allow=())

    @statement("MQTT-4.12.0-6")
    def test_server_does_not_begin_it(self):
        """No AUTH and no method from the server in a whole life of a session."""
        c, topic = self.session(username="u", password=b"p"), unique()
        c.subscribe(topic, qos=2)
        c.publish(topic, b"x", qos=2)
        c.accept(c.wait(PUBLISH))
        c.expect_nothing()
        again = self.session(c.id)
        for client in (c, again):
            self.assertNotIn(AUTH, [p.type for p in client.seen])
            self.assertIsNone(client.connack.prop(AUTH_METHOD))
            self.assertIsNone(client.connack.prop(AUTH_DATA))

    @statement("MQTT-4.12.0-7")
    def test_no_auth_before_v5(self):
        for v in (V31, V311):
            self.client(version=v).send(auth(0x19, with_method(METHOD)), pingreq()).expect_closed(allow=())


class Scram(Case):
    USER, PASSWORD = "conformance", "correct horse"
    settings = {"scram_user": f"{USER}:{PASSWORD}"}

    def begin(self, password=PASSWORD, **options):
        """CONNECT; returns client, dialog and the server's AUTH."""
        c, dialog = self.raw(), Dialog(self.USER, password)
        c.send(connect(options.pop("client_id", unique()), props_=with_method(METHOD, dialog.first, **options)))
        return c, dialog, c.recv(AUTH)

    def authenticated(self, **options):
        c, dialog, step = self.begin(**options)
        c.send(auth(0x18, with_method(METHOD, dialog.final(step.prop(AUTH_DATA)))))
        c.connack = c.recv(CONNACK)
        self.assertEqual(c.connack.reason, 0)
        return c

    @statement("MQTT-4.12.0-2", "MQTT-4.12.0-3", "MQTT-4.12.0-5", "MQTT-3.15.2-1")
    def test_exchange(self):
        c, dialog, step = self.begin()
        self.assertEqual((step.reason, step.prop(AUTH_METHOD)), (0x18, METHOD))
        c.send(auth(0x18, with_method(METHOD, dialog.final(step.prop(AUTH_DATA)))))
        done = c.recv(CONNACK)
        self.assertEqual((done.reason, done.prop(AUTH_METHOD)), (0, METHOD))
        self.assertEqual(done.prop(AUTH_DATA), dialog.server_final)
        c.expect_nothing()

    @statement("MQTT-4.12.0-4", "MQTT-4.13.2-1")
    def test_wrong_password(self):
        c, dialog, step = self.begin(password="wrong")
        c.send(auth(0x18, with_method(METHOD, dialog.final(step.prop(AUTH_DATA)))), pingreq())
        c.expect_refused(0x86, 0x87)

    @statement("MQTT-3.1.2-30", "MQTT-4.12.0-3")
    def test_only_auth_or_disconnect_meanwhile(self):
        topic, watcher = unique(), self.client(props=())
        watcher.subscribe(topic)
        for data in (pingreq(), publish(topic, b"x"), subscribe(1, [(topic, 0)]), connect(unique()),
                     auth(0x19, with_method(METHOD, b"x")), auth(0x00, with_method(METHOD, b"x")),
                     auth(0x18, with_method("SCRAM-SHA-1", b"x"))):
            c, _, _ = self.begin()
            c.send(data, pingreq()).expect_refused(0x81, 0x82, 0x87, 0x8C)
        c, _, _ = self.begin()
        c.send(disconnect()).expect_closed(allow=())
        watcher.expect_no_more(self.client())

    @statement("MQTT-3.15.2-2", "MQTT-3.15.2-3")
    def test_auth_fits_the_packet_size(self):
        size = len(self.begin()[2].raw)
        _, _, step = self.begin(props=[(MAX_PACKET, size)])
        self.assertLessEqual(len(step.raw), size)
        self.assertEqual([i for i, _ in step.props if i in (REASON_STRING, USER_PROPERTY)], [])

    @statement("MQTT-4.12.1-1", "MQTT-4.12.0-5")
    def test_reauthentication(self):
        c, dialog = self.authenticated(), Dialog(self.USER, self.PASSWORD)
        step = c.send(auth(0x19, with_method(METHOD, dialog.first))).recv(AUTH)
        c.send(pingreq()).recv(PINGRESP)    # everything else goes on
        done = c.send(auth(0x18, with_method(METHOD, dialog.final(step.prop(AUTH_DATA))))).recv(AUTH)
        self.assertEqual((step.reason, done.reason, done.prop(AUTH_METHOD)), (0x18, 0, METHOD))
        self.assertEqual(done.prop(AUTH_DATA), dialog.server_final)
        c.expect_nothing()

    @statement("MQTT-4.12.1-1", "MQTT-4.12.1-2")
    def test_reauthentication_that_fails(self):
        self.authenticated().send(auth(0x19, with_method("SCRAM-SHA-1", b"n,,n=x,r=y"))).expect_disconnect(0x82)
        c, dialog = self.authenticated(), Dialog(self.USER, "wrong")
        step = c.send(auth(0x19, with_method(METHOD, dialog.first))).recv(AUTH)
        c.send(auth(0x18, with_method(METHOD, dialog.final(step.prop(AUTH_DATA)))), pingreq())
        c.expect_disconnect(0x87)

    @statement("MQTT-4.12.1-1", "MQTT-4.12.0-3")
    def test_reauthentication_out_of_order(self):
        """An answer to nothing, a second beginning, and another method in the middle."""
        self.authenticated().send(auth(0x18, with_method(METHOD, b"x")), pingreq()).expect_disconnect(0x82)
        for data in (auth(0x19, with_method(METHOD, b"n,,n=x,r=y")), auth(0x18, with_method("SCRAM-SHA-1", b"x"))):
            c = self.authenticated()
            c.send(auth(0x19, with_method(METHOD, Dialog(self.USER, self.PASSWORD).first))).recv(AUTH)
            c.send(data, pingreq()).expect_disconnect(0x82)

    @statement("MQTT-4.12.1-2")
    def test_reauthentication_as_somebody_else(self):
        c = self.authenticated()
        c.send(auth(0x19, with_method(METHOD, b"n,,n=somebody-else,r=abc")), pingreq()).expect_disconnect(0x87)

    @statement("MQTT-4.12.1-1")
    def test_messages_during_reauthentication(self):
        """Both ways, with every QoS, between the packets of the exchange; and it can be done again."""
        c, topic, other = self.authenticated(), unique(), self.client()
        c.subscribe(topic + "/to", qos=2)
        other.subscribe(topic + "/from", qos=2)
        for _ in range(2):
            dialog = Dialog(self.USER, self.PASSWORD)
            step = c.send(auth(0x19, with_method(METHOD, dialog.first))).recv(AUTH)
            for qos in (0, 1, 2):
                c.publish(topic + "/from", b"x", qos=qos)
                other.accept(other.wait(PUBLISH))
                other.publish(topic + "/to", b"y", qos=qos)
                c.accept(c.wait(PUBLISH))
            c.send(auth(0x18, with_method(METHOD, dialog.final(step.prop(AUTH_DATA)))))
            self.assertEqual(c.recv(AUTH).reason, 0)
        c.expect_nothing()

    @statement("MQTT-4.12.0-4", "MQTT-4.13.2-1")
    def test_data_that_is_not_of_the_method(self):
        """At either step: refused, and not a word of the method's own."""
        for data in (None, b"", b"x", b"n,,", b"n,,n=,r=abc", b"n,,n=a,r=", b"n,,m=x,n=a,r=abc", b"n,,n=a=b,r=abc",
                     b"p=tls-unique,,n=a,r=abc", b"n,a=b,n=a,r=abc", b"n,,n=a,r=abc,", b"n,,n=\xff,r=abc", b"n" * 65535):
            with self.subTest(data=data and data[:30]):
                c = self.raw()
                c.send(connect(unique(), props_=with_method(METHOD, data)), pingreq()).expect_refused(0x87)
        for data in (None, b"", b"x", b"c=biws,r=abc,p=eHh4", b"c=biws", b"x" * 65535):
            with self.subTest(data=data and data[:30]):
                c, _, _ = self.begin()
                c.send(auth(0x18, with_method(METHOD, data)), pingreq()).expect_refused(0x86, 0x87)

    @statement("MQTT-4.12.0-4")
    def test_unknown_user_is_refused_at_the_end_only(self):
        """And is answered as if there were one: the same salt each time."""
        salts = []
        for _ in range(2):
            c, dialog = self.raw(), Dialog("nobody", "x")
            c.send(connect(unique(), props_=with_method(METHOD, dialog.first)))
            step = c.recv(AUTH).prop(AUTH_DATA)
            salts.append(step.split(b",")[1])
            c.send(auth(0x18, with_method(METHOD, dialog.final(step))), pingreq()).expect_refused(0x86, 0x87)
        self.assertEqual(salts[0], salts[1])

    @statement("MQTT-4.12.1-2", "MQTT-3.14.2-3")
    def test_text_of_failure(self):
        """It has a Reason String, and fits whoever the rest of the exchange fits."""
        def provoke(**options):
            c = self.authenticated(**options)
            return c.send(auth(0x19, with_method("SCRAM-SHA-1", b"n,,n=x,r=y"))).expect_closed()[0]
        full = check_reason_string(provoke())
        size = len(self.begin()[2].raw)
        small = provoke(props=[(MAX_PACKET, size)])
        self.assertEqual((small.type, small.reason), (full.type, full.reason))
        self.assertLessEqual(len(small.raw), size)
