# SPDX-License-Identifier: Apache-2.0
"""Hostile packets: lengths that lie, strings, topics, filters, properties, and a first packet that is none. The number
in a test's name is the row of the list of inputs that broke brokers."""
import random
import time

import test_data            # of tests/conformance: every field of every packet that holds a string
from hostile import HostileCase
from mqttlib import unique
from wire import *  # noqa: F403

FULL_WILL = Will("w/t", b"will", 1, True, [(WILL_DELAY, 1), (PAYLOAD_FORMAT, 1), (MESSAGE_EXPIRY, 9), (CONTENT_TYPE, "c"),
                                           (RESPONSE_TOPIC, "r"), (CORRELATION, b"d"), (USER_PROPERTY, ("k", "v"))])
FULL_CONNECT = [(SESSION_EXPIRY, 9), (RECEIVE_MAX, 9), (MAX_PACKET, 9999), (ALIAS_MAX, 9), (REQUEST_RESPONSE, 1), (REQUEST_PROBLEM, 1),
                (USER_PROPERTY, ("key", "value"))]
FULL_PUBLISH = [(PAYLOAD_FORMAT, 1), (MESSAGE_EXPIRY, 9), (ALIAS, 1), (RESPONSE_TOPIC, "r"), (CORRELATION, b"data"),
                (USER_PROPERTY, ("key", "value")), (CONTENT_TYPE, "text")]


class Lengths(HostileCase):
    def setUp(self):
        self.broker = self.node({"mqtt.idle_timeout": "1s"})

    def test_row_01_remaining_length(self):
        """Five continuation bytes and over-long encodings are known to be wrong at once, a packet that never comes whole
        ends with the time limit: for CONNECT mqtt.idle_timeout, later the keep alive."""
        with self.attack(self.broker, 5) as watch:
            for data in (b"\x10\x80\x80\x80\x80\x01", b"\x10\xff\xff\xff\xff", b"\x10\x80\x80\x80\x80", b"\x10\x90\x80\x00"):
                sock = self.raw_socket(self.broker)
                sock.sendall(data)
                self.assertEqual(self.assert_closed(sock, 3)[:1].strip(b"\x20"), b"")
            for data in (b"\x30\x80\x80\x80\x80\x01", b"\x30\xff\xff\xff\xff", b"\x82\x89\x00\0\1\0\0\3abc\0", b"\xc0\x80\x00"):
                self.refused(self.broker, data, 0x81)
            started, waiting = time.monotonic(), []
            for data in (b"", b"\x10", b"\x10\x40", b"\x10\x40\0\4MQTT", connect("x" * 60)[:-1]):
                waiting.append(self.raw_socket(self.broker))
                waiting[-1].sendall(data)
            client = self.connected(self.broker, connect={"keep_alive": 1})
            client.send(publish("t", b"x" * 100)[:-1])
            watch.check()
            for sock in waiting:
                self.assert_closed(sock, 4)
            client.expect_disconnect(0x8D, timeout=4)
            self.assertGreater(time.monotonic() - started, 0.9)

    def test_row_01_trickle(self):
        """A CONNECT of which one byte comes now and then does not get more time than others."""
        sock, started = self.raw_socket(self.broker), time.monotonic()
        sock.settimeout(0.2)
        for byte in connect("x" * 60):
            try:
                sock.sendall(bytes([byte]))
                if not sock.recv(100):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.assertLess(time.monotonic() - started, 4)

    def test_row_02_first_packet(self):
        """Not CONNECT, twice CONNECT, wrong flags, names and levels."""
        good = connect("x")
        first = [pingreq(), publish("t", b"x"), subscribe(1, [("t", 0)]), disconnect(), auth(), packet(0, 0), packet(15, 0), b"\0" * 64,
                 b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100, b"SSH-2.0-x\r\n",
                 connect("x", reserved=1), connect("x", name="MQTT3"), connect("x", name=""), connect("x", name="x" * 60000),
                 connect("x", level=0), connect("x", level=6), connect("x", level=255), bytes([0x11]) + good[1:], bytes([0x1F]) + good[1:]]
        with self.attack(self.broker, 5) as watch:
            for data in first:
                with self.subTest(data=data[:24]):
                    sock = self.raw_socket(self.broker)
                    sock.sendall(data)
                    got = self.assert_closed(sock, 4)
                    self.assertTrue(got == b"" or (got[0] == 0x20 and got[3] != 0), got)
            for v in VERSIONS:
                self.refused(self.broker, connect("x", v), 0x82, version=v)
            watch.check()

    def prefixes(self, data, whole=()):
        """Each beginning of the packet's body as a packet of its own, with an honest remaining length; whole: the sizes
        at which it is a good packet."""
        body = data[2:] if data[1] < 0x80 else data[3:]
        return [(n, bytes([data[0]]) + varint(n) + body[:n]) for n in range(len(body)) if n not in whole]

    def test_row_04_cut_packets(self):
        """Strings, properties and filters that are cut at every byte, and lengths that point behind the end."""
        with self.attack(self.broker, 5):
            for v in VERSIONS:
                data = connect("client", v, props_=FULL_CONNECT, will=FULL_WILL, username="u", password=b"p")
                # MQTT 3.1 lets user name and password be missing though their flags are set.
                for n, cut in self.prefixes(data, {len(data) - 2 - 6, len(data) - 2 - 3} if v == V31 else ()):
                    with self.subTest(version=v, packet="CONNECT", bytes=n):
                        self.refused_connect(self.broker, cut, 0x81, 0x82, 0x84, version=v)
                publish_ = publish("topic", b"", 1, 7, props_=FULL_PUBLISH, version=v)
                subscribe_ = subscribe(1, [("abc", 1), ("defg", 2)], [(SUBSCRIPTION_ID, 300), (USER_PROPERTY, ("k", "v"))], version=v)
                unsubscribe_ = unsubscribe(1, ["abc", "defg"], [(USER_PROPERTY, ("k", "v"))], version=v)
                extra = len(props([(SUBSCRIPTION_ID, 300), (USER_PROPERTY, ("k", "v"))])) if v == V5 else 0
                extra2 = len(props([(USER_PROPERTY, ("k", "v"))])) if v == V5 else 0
                cases = [(publish_, {9} if v != V5 else ()), (subscribe_, {2 + extra + 6}), (unsubscribe_, {2 + extra2 + 5})]
                if v == V5:
                    cases += [(ack(PUBREC, 7, 0x80, [(REASON_STRING, "because"), (USER_PROPERTY, ("k", "v"))]), {2, 3}),
                              (disconnect(4, [(SESSION_EXPIRY, 0), (REASON_STRING, "because")]), {0, 1})]
                for data, whole in cases:
                    for n, cut in self.prefixes(data, whole):
                        with self.subTest(version=v, packet=TYPE_NAMES[data[0] >> 4], bytes=n):
                            self.refused(self.broker, cut, 0x81, 0x82, 0x90, version=v)

    def test_row_04_lengths_behind_the_end(self):
        """Each two byte field of a good CONNECT and PUBLISH replaced by a larger one, each property length too."""
        good = publish("topic", b"payload", 1, 7, props_=FULL_PUBLISH)
        for at in (2, 2 + 2 + 5 + 2):
            for value in (0xFFFF, 0x7FFF, 0x0100):
                data = bytearray(good)
                data[at:at + 2] = u16(value) if at == 2 else varint(min(value, 16383), 2)
                with self.subTest(at=at, value=value):
                    self.refused(self.broker, bytes(data), 0x81)
        for ident, value in FULL_PUBLISH:
            if ident in (RESPONSE_TOPIC, CORRELATION, USER_PROPERTY, CONTENT_TYPE):
                for size in (6, 200, 0xFFFF):
                    body = varint(ident) + u16(size) + b"abcde"
                    self.refused(self.broker, publish("t", b"payload" * 20, props_=[body]), 0x81)
        for ident in (MESSAGE_EXPIRY, ALIAS, PAYLOAD_FORMAT):
            self.refused(self.broker, publish("t", b"payload", props_=[varint(ident)]), 0x81)


class Texts(HostileCase):
    def setUp(self):
        self.broker = self.node()

    def test_row_05_bad_strings_everywhere(self):
        """Ill-formed UTF-8, surrogates and U+0000 in each string field of each packet, a sample of the table that the
        conformance tests go through entirely."""
        samples = (b"a\xff", b"\xed\xa0\x80", b"\xc0\x80", b"a\0", b"\xf4\x90\x80\x80", b"\xe2\x82")
        with self.attack(self.broker, 5):
            for bad in samples:
                for field, build in (test_data.CONNECT_FIELDS | test_data.CONNECT_FIELDS_V5).items():
                    with self.subTest(field=field, string=bad):
                        self.refused_connect(self.broker, build(bad, V5), 0x81, 0x85)
                for field, build in (test_data.FIELDS | test_data.FIELDS_V5).items():
                    with self.subTest(field=field, string=bad):
                        self.refused(self.broker, build(bad, V5), 0x81)

    def test_row_06_topics_of_publish(self):
        cases = [(publish(t, b"x", q, 1 if q else None), {0x81, 0x82, 0x90}) for t in ("a/+", "#", "a#b", "+", "a/b/#") for q in (0, 1, 2)]
        cases += [(publish("", b"x"), {0x82}), (publish("", b"x", 1, 1), {0x82}), (publish("t", props_=[(ALIAS, 0)]), {0x94}),
                  (publish("", props_=[(ALIAS, 77)]), {0x82, 0x94}), (publish("t", props_=[(RESPONSE_TOPIC, "a/+")]), {0x82}),
                  (publish("t", props_=[(SUBSCRIPTION_ID, 1)]), {0x82})]
        limited = self.node({"mqtt.max_topic_alias": 5})
        with self.attack(self.broker, 5):
            for data, reasons in cases:
                with self.subTest(data=data):
                    self.refused(self.broker, data, *reasons)
            for alias in (6, 65535):
                self.refused(limited, publish("t", props_=[(ALIAS, alias)]), 0x94)
            client = self.connected(limited)
            for alias in range(1, 6):
                client.publish("t", props=[(ALIAS, alias)])
            client.expect_nothing()

    def test_row_07_filters(self):
        """Refused in SUBACK (0x8F) or as the protocol errors that they are, the good ones beside them granted."""
        with self.attack(self.broker, 5):
            for bad in ("a#", "a/#/b", "+a", "", "$share//x", "$share/g", "$share/g/", "$share/g+/x", "$share/#/x", "$share/g/a#"):
                with self.subTest(filter=bad):
                    client = self.connected(self.broker)
                    client.send(subscribe(1, [("good", 1), (bad, 1)]), pingreq())
                    pkt = client.recv()
                    if pkt.type == SUBACK:
                        self.assertEqual(pkt.reasons, [1, 0x8F])
                        self.assertTrue(pkt.prop(REASON_STRING))
                    else:
                        self.assertIn(pkt.reason, (0x81, 0x82, 0x8F))
            self.refused(self.broker, subscribe(1, [("$share/g/x", 4)]), 0x82)
            client = self.connected(self.broker)
            for bad in ("a#", "$share/g", "+a"):
                self.assertIn(client.unsubscribe(bad).reasons[0], (0x8F, 0x11))

    def test_row_08_subscribe_and_unsubscribe(self):
        cases = {subscribe(1, []): {0x81, 0x82}, unsubscribe(1, []): {0x81, 0x82}, subscribe(0, [("t", 0)]): {0x82},
                 unsubscribe(0, ["t"]): {0x82}, subscribe(1, [("t", 0x40)]): {0x81, 0x82}, subscribe(1, [("t", 0x80)]): {0x81, 0x82},
                 subscribe(1, [("t", 0x30)]): {0x81, 0x82}, subscribe(1, [("t", 3)]): {0x81, 0x82},
                 subscribe(1, [("t", 0)], [(SUBSCRIPTION_ID, 0)]): {0x82}, subscribe(1, [("t", 0)], [(SUBSCRIPTION_ID, 1)] * 2): {0x82},
                 subscribe(1, [("t", 0)], [b"\x0b\xff\xff\xff\xff\x7f"]): {0x81}}
        for data, reasons in cases.items():
            with self.subTest(data=data):
                self.refused(self.broker, data, *reasons)


class Properties(HostileCase):
    def setUp(self):
        self.broker = self.node()

    COUNT = 100_000

    def test_row_10_many_user_properties(self):
        """100,000 in one packet: passed on whole, in order, in linear time; also in CONNECT, will and SUBSCRIBE."""
        pairs = [(USER_PROPERTY, (chr(97 + n % 26), chr(97 + n // 26 % 26))) for n in range(self.COUNT)]
        with self.attack(self.broker, 40) as watch:
            pub, sub, topic = self.connected(self.broker), self.connected(self.broker), unique()
            pub.timeout = sub.timeout = 20
            sub.subscribe(topic, qos=1)
            pub.send(publish(topic, b"x", 1, 1, props_=pairs))
            watch.check()
            pkt = sub.recv_publish(topic)
            self.assertEqual(pkt.props, pairs)
            for data in (subscribe(9, [(topic, 0)], pairs), unsubscribe(9, [topic], pairs)):
                started = time.monotonic()
                pub.send(data, pingreq()).wait(PINGRESP)
                self.assertLess(time.monotonic() - started, 2)
            client = self.connected(self.broker, props=pairs)
            client.disconnect(0, pairs)
            sub.subscribe(topic)
            self.connected(self.broker, connect={"will": Will(topic, b"will", props=pairs)}).close()
            self.assertEqual(sub.recv_publish(topic).props, pairs)

    def test_row_10_property_twice_or_unknown(self):
        single = {CONNECT: FULL_CONNECT[:-1] + [(AUTH_METHOD, "x")], PUBLISH: [p for p in FULL_PUBLISH if p[0] != USER_PROPERTY]}
        unknown = [varint(i) + b"\0\0\0\0" for i in (0, 4, 5, 6, 7, 0x0A, 0x14, 0x1B, 0x2B, 0x7E, 0x7F, 128, 16384, 268435455)]
        with self.attack(self.broker, 5):
            for one in single[CONNECT]:
                self.refused_connect(self.broker, connect(unique(), props_=[one, one]), 0x82)
            for one in single[PUBLISH]:
                self.refused(self.broker, publish("t", b"x", props_=[one, one]), 0x82)
            self.refused(self.broker, disconnect(0, [(REASON_STRING, "a")] * 2), 0x82)
            for raw in unknown:
                self.refused_connect(self.broker, connect(unique(), props_=[raw]), 0x81)
                self.refused_connect(self.broker, connect(unique(), will=Will("t", props=[raw])), 0x81)
                for data in (publish("t", props_=[raw]), subscribe(1, [("t", 0)], [raw]), unsubscribe(1, ["t"], [raw]),
                             disconnect(0, [raw]), ack(PUBREL, 1, 0, [raw])):
                    self.refused(self.broker, data, 0x81)

    def test_random_bytes(self):
        """Noise from a fixed seed, before and after CONNECT: whatever it is taken for, the broker stays."""
        rng = random.Random(20)
        with self.attack(self.broker, 5) as watch:
            for n in range(400):
                sock = self.raw_socket(self.broker)
                sock.sendall((connect(unique()) if n % 2 else b"") + rng.randbytes(rng.randrange(1, 400)))
                sock.close()
            watch.check()
