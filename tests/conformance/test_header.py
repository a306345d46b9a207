# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 2: fixed header flags, packet identifiers, property length."""
from mqttlib import *
from suite import Case, statement, versions

ILL_FLAGS = {PUBREL: (0, 1, 3, 6, 10, 15), SUBSCRIBE: (0, 1, 3, 6, 10, 15), UNSUBSCRIBE: (0, 1, 3, 6, 10, 15)}
ILL_FLAGS |= {kind: (1, 2, 4, 8, 15) for kind in (PUBACK, PUBREC, PUBCOMP, PINGREQ, DISCONNECT)}


def well_formed(v):
    """A legal packet of each kind that a client may send after CONNECT, with its flags in the first byte."""
    packets = {PUBACK: ack(PUBACK, 1), PUBREC: ack(PUBREC, 1), PUBREL: ack(PUBREL, 1), PUBCOMP: ack(PUBCOMP, 1),
               SUBSCRIBE: subscribe(1, [("t", 0)], version=v), UNSUBSCRIBE: unsubscribe(1, ["t"], version=v),
               PINGREQ: pingreq(), DISCONNECT: disconnect()}
    return packets | ({AUTH: auth(0x19, [(AUTH_METHOD, "x")])} if v == V5 else {})


class Flags(Case):
    @statement("MQTT-2.1.3-1", "MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1", "MQTT-3.15.1-1",
               "MQTT3-2.2.2-2", "MQTT3-3.6.1-1", "MQTT3-3.8.1-1", "MQTT3-3.10.1-1", "MQTT3-3.14.1-1")
    @versions(V311, V5)
    def test_reserved_flags_from_client(self, v):
        for kind, good in well_formed(v).items():
            for flags in ILL_FLAGS.get(kind, (1, 2, 4, 8, 15)):
                with self.subTest(packet=TYPE_NAMES[kind], flags=f"{flags:04b}"):
                    c = self.client(version=v)
                    c.send(bytes([kind << 4 | flags]) + good[1:], pingreq())
                    c.expect_disconnect(0x81)
                    c.close()

    @statement("DIFF-dup-of-requests")
    def test_dup_of_repeated_requests_in_3_1(self):
        """MQTT 3.1 lets a client repeat SUBSCRIBE, UNSUBSCRIBE and PUBREL with DUP set."""
        c = self.client(version=V31)
        for flags in (2, 10):
            c.send(subscribe(1, [("t", 0)], version=V31, flags=flags))
            self.assertEqual(c.recv(SUBACK).pid, 1)
        for flags in (2, 10):
            c.send(unsubscribe(2, ["t"], version=V31, flags=flags))
            self.assertEqual(c.recv(UNSUBACK).pid, 2)
        c.send(publish(unique(), b"x", 2, 3, version=V31))
        c.recv(PUBREC)
        c.send(ack(PUBREL, 3, flags=10))
        self.assertEqual(c.recv(PUBCOMP).pid, 3)

    @statement("MQTT-2.1.3-1", "MQTT3-2.2.2-2")
    @versions(V311, V5)
    def test_reserved_flags_of_connect(self, v):
        for flags in (1, 2, 4, 8, 15):
            with self.subTest(flags=f"{flags:04b}"):
                c = self.raw(v)
                c.send(connect(unique(), v, header_flags=flags), pingreq())
                found = c.expect_closed(allow=(CONNACK,))
                self.assertTrue(all(p.reason for p in found), found)

    @statement("MQTT-2.1.3-1", "MQTT-4.13.1-1")
    @versions()
    def test_types_that_no_client_sends(self, v):
        """Type 0 (and 15 before v5) is forbidden; CONNACK, SUBACK, UNSUBACK and PINGRESP come from servers only."""
        packets = {"type 0": packet(0, 0), "type 0 with a body": packet(0, 0, b"\0\1\0"),
                   "CONNACK": packet(CONNACK, 0, b"\0\0" + (b"\0" if v == V5 else b"")),
                   "SUBACK": packet(SUBACK, 0, b"\0\1" + (b"\0\0" if v == V5 else b"\0")),
                   "UNSUBACK": packet(UNSUBACK, 0, b"\0\1" + (b"\0\0" if v == V5 else b"")),
                   "PINGRESP": packet(PINGRESP, 0)} | ({} if v == V5 else {"type 15": packet(15, 0)})
        for name, data in packets.items():
            with self.subTest(name):
                c = self.client(version=v)
                c.send(data, pingreq())
                c.expect_disconnect(0x81, 0x82)

    @statement("MQTT-2.1.3-1", "MQTT3-2.2.2-1")
    @versions()
    def test_flags_from_server(self, v):
        """One packet of every kind that a server sends; the first byte of each is exactly what the standard lists."""
        a, topic = self.client(version=v), unique()
        a.subscribe(topic, qos=2)
        a.publish(topic, b"x", qos=1)
        a.accept(a.wait(PUBLISH))
        a.publish(topic, b"x", qos=2)
        a.accept(a.wait(PUBLISH))
        a.send(pingreq())
        a.wait(PINGRESP)
        a.unsubscribe(topic)
        b = self.client(a.id, version=v)
        a.expect_closed()
        got = {p.type: p.raw[0] for p in a.seen + b.seen}
        want = {CONNACK: 0x20, PUBACK: 0x40, PUBREC: 0x50, PUBREL: 0x62, PUBCOMP: 0x70, SUBACK: 0x90, UNSUBACK: 0xB0,
                PINGRESP: 0xD0} | ({DISCONNECT: 0xE0} if v == V5 else {})
        self.assertEqual({k: b for k, b in got.items() if k != PUBLISH}, want)
        self.assertEqual([p.raw[0] for p in a.seen if p.type == PUBLISH], [0x32, 0x34])


class PacketIdentifiers(Case):
    @statement("MQTT-2.2.1-2", "MQTT-2.2.2-1", "MQTT3-2.3.1-5")
    @versions()
    def test_qos_0_has_no_identifier(self, v):
        """Byte for byte: topic, (property length 0,) payload; whatever QoS the publisher used."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic, qos=0)
        for qos in (0, 1, 2):
            c.publish(topic, b"payload", qos=qos)
            self.assertEqual(c.wait(PUBLISH).raw, publish(topic, b"payload", version=v))

    @statement("MQTT-2.2.1-3", "MQTT3-2.3.1-1")
    @versions()
    def test_identifier_zero(self, v):
        observer, topic = self.client(version=v), unique()
        observer.subscribe(topic)
        for name, data in {
            "PUBLISH QoS 1": publish(topic, b"x", 1, 0, version=v), "PUBLISH QoS 2": publish(topic, b"x", 2, 0, version=v),
            "SUBSCRIBE": subscribe(0, [(topic, 0)], version=v), "UNSUBSCRIBE": unsubscribe(0, [topic], version=v),
        }.items():
            with self.subTest(name):
                c = self.client(version=v)
                c.send(data, pingreq())
                c.expect_disconnect(0x81, 0x82)
        observer.expect_no_more(self.client(version=v))

    @statement("MQTT-2.2.1-4", "MQTT3-2.3.1-4", "MQTT-4.3.2-1", "MQTT-4.3.3-1")
    @versions()
    def test_identifiers_in_use_differ(self, v):
        """Unacknowledged deliveries have different non-zero ids; an id comes back only after its message is done."""
        for qos in (1, 2):
            sub, pub, topic = self.client(version=v), self.client(version=v), unique()
            sub.subscribe(topic, qos=qos)
            for n in range(10):
                pub.publish(topic, b"%d" % n, qos=qos)
            held = [sub.recv_publish(ack=False) for _ in range(10)]
            self.assertEqual(len({p.pid for p in held}), 10, held)
            keep = {p.pid for p in held[::2]}
            for pkt in held[1::2]:
                sub.accept(pkt)
            for n in range(10):
                pub.publish(topic, b"more%d" % n, qos=qos)
                pkt = sub.recv_publish()
                self.assertNotIn(pkt.pid, keep)

    @statement("MQTT-2.2.1-4", "MQTT3-2.3.1-4")
    def test_identifier_in_use_survives_wrap_around(self):
        """More than 65,535 deliveries while one stays unacknowledged: its id is never given to another message and 0
        is never used. A broker may step over that id or wait until it is free; then everything arrives."""
        sub, pub, topic, batch = self.client(), self.client(), unique(), 100    # the default Receive Maximum
        sub.subscribe(topic, qos=1)
        pub.publish(topic, b"held", qos=1)
        held, seen = sub.recv_publish(ack=False).pid, set()
        burst = b"".join(publish(topic, b"", 1, n + 1) for n in range(batch))
        delivered = waiting = 0
        while delivered < 65700 and not waiting:
            pub.send(burst)
            for _ in range(batch):
                pub.wait(PUBACK)
            waiting = batch - self.take_pids(sub, batch, seen)
            delivered += batch - waiting
            pub.seen.clear()
        self.assertGreaterEqual(delivered, 65000)
        sub.send(ack(PUBACK, held))
        self.assertFalse(held in seen, f"identifier {held} was used again")
        self.assertEqual(self.take_pids(sub, waiting, seen), waiting)
        sub.expect_nothing()

    def take_pids(self, sub, count, seen):
        """Takes and acknowledges up to count messages; the number that came before it became quiet."""
        left = count
        while left:
            try:
                pids = [sub.recv(PUBLISH, timeout=2).pid]
            except AssertionError:
                break
            pids += [sub.recv(PUBLISH).pid for _ in range(len(sub.inbox))]
            left -= len(pids)
            seen.update(pids)
            sub.send(*(ack(PUBACK, pid) for pid in pids))
        sub.seen.clear()
        return count - left

    @statement("MQTT-2.2.1-5", "MQTT3-2.3.1-6")
    @versions()
    def test_acks_repeat_the_identifier(self, v):
        c = self.client(version=v)
        for pid in (1, 2, 0x00FF, 0x0100, 0x1234, 0x8000, 65535):
            c.send(publish(unique(), b"x", 1, pid, version=v))
            self.assertEqual(c.recv(PUBACK).pid, pid)
            c.send(publish(unique(), b"x", 2, pid, version=v))
            self.assertEqual(c.recv(PUBREC).pid, pid)
            c.send(ack(PUBREL, pid))
            self.assertEqual(c.recv(PUBCOMP).pid, pid)

    @statement("MQTT-2.2.1-5", "MQTT3-2.3.1-6", "MQTT-4.3.3-4")
    @versions()
    def test_pubrel_repeats_the_identifier(self, v):
        """Several QoS 2 deliveries at once, answered in another order than they came."""
        sub, pub, topic = self.client(version=v), self.client(version=v), unique()
        sub.subscribe(topic, qos=2)
        for n in range(4):
            pub.publish(topic, b"%d" % n, qos=2)
        pids = [sub.recv_publish(ack=False).pid for _ in range(4)]
        for pid in (pids[2], pids[0], pids[3], pids[1]):
            sub.send(ack(PUBREC, pid))
            self.assertEqual(sub.recv(PUBREL).pid, pid)
        for pid in pids:
            sub.send(ack(PUBCOMP, pid))
        sub.expect_nothing()

    @statement("MQTT-2.2.1-6", "MQTT3-2.3.1-7", "MQTT-3.8.4-2", "MQTT-3.10.4-5")
    @versions()
    def test_suback_and_unsuback_repeat_the_identifier(self, v):
        c = self.client(version=v)
        for pid in (1, 0x00FF, 0x0100, 0x1234, 0x8000, 65535):
            c.send(subscribe(pid, [("a", 0)], version=v), unsubscribe(pid ^ 0x4000, ["a"], version=v))
            self.assertEqual(c.recv(SUBACK).pid, pid)
            self.assertEqual(c.recv(UNSUBACK).pid, pid ^ 0x4000)

    @statement("MQTT-2.2.1-3")
    @versions()
    def test_client_and_server_identifiers_are_separate(self, v):
        """The same id may be in use in both directions at once."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic, qos=2)
        c.publish(topic, b"in", qos=2, pid=1)
        pid = c.recv_publish(ack=False).pid
        c.send(publish(topic, b"out", 2, pid, version=v))
        self.assertEqual(c.wait(PUBREC).pid, pid)
        c.send(ack(PUBREC, pid))
        self.assertEqual(c.wait(PUBREL).pid, pid)
        c.send(ack(PUBCOMP, pid), ack(PUBREL, pid))
        self.assertEqual(c.wait(PUBCOMP).pid, pid)


class PropertyLength(Case):
    @statement("MQTT-2.2.2-1")
    def test_zero_length_is_written(self):
        c, topic = self.client(), unique()
        suback = c.subscribe(topic, qos=0)
        self.assertEqual(suback.raw, b"\x90\x04" + u16(suback.pid) + b"\0\0")
        c.publish(topic, b"x")
        self.assertEqual(c.recv_publish().raw, b"\x30" + varint(len(topic) + 4) + text(topic) + b"\0" + b"x")
        unsuback = c.unsubscribe(topic)
        self.assertEqual(unsuback.raw, b"\xb0\x04" + u16(unsuback.pid) + b"\0\0")

    @statement("MQTT-2.2.2-1")
    def test_lengths_that_lie(self):
        """Property lengths beyond the packet, and sections that end inside a property."""
        expiry = bytes([MESSAGE_EXPIRY]) + u32(5)
        for name, data in {
            "beyond the packet": packet(PUBLISH, 0, text("t") + varint(6) + expiry),
            "far beyond": packet(PUBLISH, 0, text("t") + varint(268435455) + expiry),
            "inside the value": packet(PUBLISH, 0, text("t") + varint(3) + expiry + b"payload"),
            "identifier alone": packet(PUBLISH, 0, text("t") + varint(1) + expiry + b"payload"),
            "missing in SUBSCRIBE": packet(SUBSCRIBE, 2, u16(1)),
            "missing in PUBLISH": packet(PUBLISH, 0, text("t")),
            "missing in UNSUBSCRIBE": packet(UNSUBSCRIBE, 2, u16(1)),
        }.items():
            with self.subTest(name):
                c = self.client()
                c.send(data, pingreq())
                c.expect_disconnect(0x81, 0x82) if data[0] >> 4 == SUBSCRIBE else c.expect_disconnect(0x81)
