# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 4.7: topic names and topic filters."""
import broker
from mqttlib import *
from suite import Case, statement, versions

BAD_FILTERS = ("a#", "a/#/b", "#/a", "#a", "a/b#", "a/#b", "##", "a/##", "#/#", "+a", "a+", "a/+b", "a/b+/c", "++", "+/+a",
               "a/++/b", "#+", "+#")

NAMES = ("a", "A", "a/", "/a", "/", "//", "a/b", "a/b/", "a//b", "a/b/c", "a/b/c/d", "b", "ab", "a b", " a", "a/ ", "/a/b",
         "a/B", "a/\u00e9", "a/e\u0301", "a/\ufeffb", "a/\U0001f426", "a/$b", "a/$SYS/b", "\\", "%2F", "a%2Fb")
NAMES += ("a/b\n", "a/\x7f") if PRODUCT_CHECKS else ()     # a server may refuse control characters
FILTERS = NAMES + ("#", "+", "+/+", "+/+/+", "+/#", "/+", "/#", "+/", "a/#", "a/+", "a/+/c", "a/+/+", "a/+/#", "+/b", "+/b/#",
                   "a/b/#", "a/b/+", "a/b/c/#", "//#", "//+", "a//+", "a//#", "+/+/+/+", "A/#", "a/$b/#", "a/+/b")


def matches(filter_, name):
    """The standard's words, level by level."""
    want, have = filter_.split("/"), name.split("/")
    if name.startswith("$") and want[0] in ("#", "+"):
        return False
    for index, level in enumerate(want):
        if level == "#":
            return True
        if index == len(have) or level not in ("+", have[index]):
            return False
    return len(want) == len(have)


class Filters(Case):
    @statement("MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-3.9.3-2", "MQTT3-4.7.1-1..3")
    @versions()
    def test_invalid_filters(self, v):
        """Refused in SUBACK (0x8F; 0x80 in 3.1.1, which 3.1 does not have) or by closing."""
        for bad in BAD_FILTERS:
            with self.subTest(version=v, filter=bad):
                c = self.client(version=v)
                pkt = c.send(subscribe(1, [(bad, 0)], version=v)).recv() if v == V5 and PRODUCT_CHECKS else None
                if pkt is None:
                    c.send(subscribe(1, [(bad, 0)], version=v), pingreq())
                    try:
                        pkt = c.recv()
                    except Closed:
                        continue
                if pkt.type == DISCONNECT:
                    self.assertIn(pkt.reason, (0x81, 0x82, 0x8F))
                else:
                    self.assertEqual((pkt.type, pkt.reasons), (SUBACK, [0x8F if v == V5 else 0x80]))
                    self.assertNotEqual(v, V31)
                    check_reason_string(pkt) if v == V5 else None
                    self.client().publish("a/b/c", b"x", qos=1)
                    self.assertFalse([p for p in c.barrier() if p.type == PUBLISH])

    @statement("MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-3.3.2-3", "MQTT-4.7.3-4", "MQTT3-4.7.1-1..3", "MQTT3-4.7.3-1..4",
               "MQTT3-3.3.2-1..3")
    @versions()
    def test_all_pairs_of_filters_and_names(self, v):
        """Each filter against each name, by a client for each filter: what arrives is what a naive matcher says."""
        root, pub = unique(), self.client(version=v)
        names = [f"{root}/{n}" for n in NAMES]
        for filter_ in FILTERS:
            with self.subTest(version=v, filter=filter_):
                c = self.client(version=v)
                c.subscribe(f"{root}/{filter_}")
                c.send(*(publish(n, b"x", version=v) for n in names))
                got = [p.topic for p in c.barrier()]
                self.assertEqual(got, [n for n in names if matches(f"{root}/{filter_}", n)])
                c.disconnect()

    @statement("MQTT-4.7.1-2", "MQTT-4.7.1-1", "MQTT-3.3.2-3", "MQTT3-4.7.1-1..3")
    @versions()
    def test_first_level(self, v):
        """The same without a common first level: leading slashes and wildcards. Other tests' messages are told apart
        by the payload."""
        mark = unique().encode()
        names = ["x" + unique(), "/" + unique(), "//" + unique(), unique() + "/", "/", unique() + "//"]
        for filter_ in ("#", "+", "/#", "/+", "+/#", "+/+", "+/", "//#", "//+", "+//", "/", "+/+/+"):
            c = self.client(version=v)
            c.subscribe(filter_, retain_handling=2 if v == V5 else 0)
            c.send(*(publish(n, mark, version=v) for n in names))
            got = [p.topic for p in c.barrier() if p.payload == mark]
            self.assertEqual(got, [n for n in names if matches(filter_, n)], f"filter {filter_!r}")
            c.disconnect()

    @statement("MQTT-4.7.1-1", "MQTT-3.3.1-9", "MQTT3-4.7.1-1..3", "MQTT3-3.3.1-6")
    @versions()
    def test_retained_messages_of_all_pairs(self, v):
        """The way from filters to stored names must say the same as the way from names to filters."""
        root, pub = unique(), self.client(version=v)
        names = [f"{root}/{n}" for n in NAMES]
        for name in names:
            pub.publish(name, b"x", qos=1, retain=True)
        for filter_ in FILTERS:
            with self.subTest(version=v, filter=filter_):
                c = self.client(version=v)
                c.subscribe(f"{root}/{filter_}")
                got = [p.topic for p in c.drain_from(c) if p.retain]
                self.assertEqual(sorted(got), sorted(n for n in names if matches(f"{root}/{filter_}", n)))
                c.disconnect()
        for name in names:
            pub.publish(name, b"", qos=1, retain=True)


class Names(Case):
    @statement("MQTT-4.7.0-1", "MQTT-3.3.2-2", "MQTT3-4.7.1-1..3", "MQTT3-3.3.2-1..3")
    @versions()
    def test_wildcards_in_names(self, v):
        """In a PUBLISH of any QoS, retained or not, and nobody gets it."""
        root = unique()
        witness = self.client()
        witness.subscribe(root + "/#")
        for bad in (root + "/+", root + "/#", root + "/a+", root + "/a#b/c", "+", "#"):
            for qos, retain in ((0, False), (1, False), (2, True)):
                with self.subTest(version=v, topic=bad, qos=qos):
                    c = self.client(version=v)
                    c.send(publish(bad, b"x", qos, 1 if qos else None, retain, version=v), pingreq())
                    c.expect_disconnect(0x81, 0x82, 0x90)
        witness.expect_no_more(self.client())

    @statement("MQTT-4.7.3-1", "MQTT3-4.7.3-1..4")
    @versions()
    def test_empty(self, v):
        for data in (publish("", b"x", version=v), publish("", b"x", 1, 1, version=v), publish("", b"x", retain=True, version=v)):
            self.client(version=v).send(data, pingreq()).expect_disconnect(0x81, 0x82, 0x90)
        for data in (subscribe(1, [("", 0)], version=v), subscribe(1, [("ok", 0), ("", 0)], version=v),
                     unsubscribe(1, [""], version=v)):
            with self.subTest(version=v, data=data):
                c = self.client(version=v)
                c.send(data, pingreq())
                try:
                    pkt = c.recv()
                except Closed:
                    continue
                if pkt.type == DISCONNECT:
                    self.assertIn(pkt.reason, (0x81, 0x82, 0x8F))
                elif pkt.type == SUBACK:
                    self.assertEqual(pkt.reasons[-1], 0x8F if v == V5 else 0x80)
                    self.assertNotEqual(v, V31)
                else:
                    self.assertEqual(pkt.type, UNSUBACK)
                    self.assertIn(pkt.reasons[-1] if v == V5 else 0x8F, (0x8F, 0x11))

    @statement("MQTT-4.7.3-2", "MQTT3-4.7.3-1..4")
    @versions()
    def test_null_character(self, v):
        for bad in (b"\0", b"a\0", b"a/\0/b", b"\0/#", b"+/a\0"):
            data = [subscribe(1, [(bad, 0)], version=v), unsubscribe(1, [bad], version=v)]
            data += [publish(bad, b"x", version=v)] if not set(b"+#") & set(bad) else []
            for packet_ in data:
                with self.subTest(version=v, data=packet_):
                    self.client(version=v).send(packet_, pingreq()).expect_disconnect(0x81, 0x82, 0x90, 0x8F)

    @statement("MQTT-4.7.3-3", "MQTT3-4.7.3-1..4")
    @versions()
    def test_longest(self, v):
        """65535 bytes, of one and of four byte characters: published, subscribed, retained, unsubscribed."""
        for name in (unique().ljust(65535, "x"), (unique() + "/").ljust(65535 // 4 * 4 // 4, "\U0001f426")):
            name = name.encode()[:65535].decode(errors="ignore")
            c = self.client(version=v)
            c.publish(name, b"kept", qos=1, retain=True)
            c.subscribe(name, qos=1)
            self.assertEqual(c.accept(c.wait(PUBLISH)).topic, name)
            c.publish(name, b"", qos=1, retain=True)
            self.assertEqual(c.accept(c.wait(PUBLISH)).topic, name)
            pkt = c.unsubscribe(name)
            self.assertEqual(pkt.reasons, [0] if v == V5 else [])
            almost = name[:-1] + ("y" if name[-1] == "x" else "\U0001f427")
            c.subscribe(almost)
            c.publish(name, b"x")
            c.expect_nothing()

    @statement("MQTT-4.7.3-4", "MQTT3-4.7.3-1..4")
    @versions()
    def test_no_normalization(self, v):
        """Equal looking names are different ones: case, Unicode forms, slashes, dots, white space, a BOM."""
        root = unique()
        names = [f"{root}/{n}" for n in ("x", "X", "x/", "/x", "./x", "x ", " x", "caf\u00e9", "cafe\u0301", "\ufeffx", "\u00c5",
                                         "A\u030a", "\u212b", "\uff58", "x\u200b", "\u0445", "\u00df", "ss", "\ufb01", "fi")]
        subs = [self.client(version=v) for _ in names]
        for sub, name in zip(subs, names):
            sub.subscribe(name)
        pub = self.client(version=v)
        for name in names:
            pub.publish(name, name.encode())
        for sub, name in zip(subs, names):
            self.assertEqual([p.topic for p in sub.drain_from(pub)], [name])

    @statement("MQTT-4.7.2-1", "MQTT3-4.7.2-1")
    @versions()
    def test_leading_dollar(self, v):
        """A leading wildcard leaves topics alone that begin with $, stored ones too; one behind $SYS does not, and a $
        elsewhere is a character as any other."""
        c, root = self.client(version=v), unique()
        c.subscribe(["#", "+/#", "+", "+/+", "+/+/+", "+/" + root], expect=False)
        self.assertFalse([p.topic for p in c.barrier() if p.type == PUBLISH and p.topic.startswith("$")])
        c.disconnect()
        c = self.client(version=v)
        c.subscribe(["+/" + root, "#"])
        watcher = self.client(version=v)
        watcher.subscribe(f"$own{root}/#")
        pub = self.client(version=v)
        pub.send(publish(f"$own{root}/{root}", b"dollar", version=v), pingreq())
        if PINGRESP in [p.type for p in pub.take_all()]:    # a server may refuse it
            self.assertLessEqual(len(watcher.drain_from(pub)), 1)
        pub = self.client(version=v)
        pub.publish("x$/" + root, b"no dollar first")
        got = [p for p in c.drain_from(pub) if p.topic.endswith(root)]
        self.assertEqual({p.topic for p in got}, {"x$/" + root})

    @statement("MQTT-4.7.2-1", "MQTT3-4.7.2-1")
    def test_dollar_sys_by_name(self):
        """What the server says of itself comes to those who ask for it by name, and not through # or +/#."""
        own = self.own_broker({} if broker.is_mosquitto() else {"sys_topics.sys_msg_interval": "1s"})
        c, all_ = self.client(on=own), self.client(on=own)
        all_.subscribe(["#", "+/#"])
        c.subscribe("$SYS/#")
        self.assertTrue(c.recv().topic.startswith("$SYS/"))
        all_.expect_nothing()
