# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 4.3.1 and 4.3.2: QoS 0 and QoS 1."""
from mqttlib import *
from suite import Case, statement, versions


class QoS0(Case):
    @statement("MQTT-4.3.1-1", "MQTT-2.2.1-2", "MQTT3-4.3.1-1..4.3.3-2", "MQTT3-2.3.1-5", "MQTT3-3.3.1-1..3")
    @versions()
    def test_no_id_no_dup_once(self, v):
        """Published with any QoS and DUP, delivered with QoS 0: the bytes are those of a plain PUBLISH."""
        c, topic = self.client(version=v), unique()
        c.subscribe(topic)
        for qos, dup in ((0, False), (1, False), (1, True), (2, False), (2, True)):
            pub = self.client(version=v)
            pub.publish(topic, b"x", qos=qos, dup=dup)
            self.assertEqual(c.recv_publish(topic).raw, publish(topic, b"x", version=v))
            c.expect_no_more(pub)

    @statement("MQTT-4.3.1-1", "MQTT-3.3.4-1", "MQTT3-3.3.4-1")
    @versions()
    def test_qos_0_is_not_answered(self, v):
        c = self.client(version=v)
        c.send(publish(unique(), b"x", version=v) * 10).expect_nothing()

    @statement("MQTT-4.3.1-1", "MQTT3-4.3.1-1..4.3.3-2")
    @versions()
    def test_never_sent_again(self, v):
        """A message of QoS 0 that was sent is not resent after a reconnect."""
        c, topic = self.session(version=v), unique()
        c.subscribe(topic, qos=2)
        self.client(version=v).publish(topic, b"x")
        c.recv_publish(topic)
        c.close()
        self.session(c.id, version=v).expect_nothing()


class Sender(Case):
    """QoS 1 from the server to a client."""

    def unacked(self, count, version=V5, qos=1):
        """A session with so many messages in flight: (client, topic, publisher, the PUBLISH packets)."""
        c, pub, topic = self.session(version=version), self.client(version=version), unique()
        c.subscribe(topic, qos=qos)
        for n in range(count):
            pub.publish(topic, b"%d" % n, qos=qos)
        return c, topic, pub, [c.recv_publish(topic, ack=False) for _ in range(count)]

    @statement("MQTT-4.3.2-1", "MQTT-4.3.2-2", "MQTT-2.2.1-4", "MQTT-3.3.1-3", "MQTT3-4.3.1-1..4.3.3-2",
               "MQTT3-2.3.1-4", "MQTT3-3.3.1-1..3")
    @versions()
    def test_fresh_ids_without_dup(self, v):
        """Ids differ from all that are in flight, whatever the client acknowledges in between; DUP is 0 even where
        the publisher set it."""
        c, topic, pub, found = self.unacked(10, v)
        self.assertEqual(len({p.pid for p in found}), 10)
        self.assertFalse([p for p in found if p.dup or p.qos != 1])
        for index in (3, 9, 0, 5):
            c.send(ack(PUBACK, found[index].pid)).expect_nothing()
            in_flight = {p.pid for p in found} - {found[index].pid}
            pub.publish(topic, b"new", qos=1, dup=True)
            new = c.recv_publish(topic, ack=False)
            self.assertNotIn(new.pid, in_flight)
            self.assertFalse(new.dup)
            found[index] = new

    @statement("MQTT-4.3.2-3", "MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT3-4.3.1-1..4.3.3-2", "MQTT3-4.4.0-1", "MQTT3-3.3.1-1..3")
    @versions()
    def test_unacked_until_puback(self, v):
        """What has no PUBACK comes again with its id and DUP at each reconnect; what has one does not."""
        c, topic, pub, found = self.unacked(4, v)
        c.send(ack(PUBACK, found[1].pid)).expect_nothing()
        for left in ([0, 2, 3], [0, 2, 3], [2, 3], [2], []):
            c.close()
            c = self.session(c.id, version=v)
            again = [p for p in c.barrier()]
            self.assertEqual([(p.pid, p.payload, p.dup) for p in again], [(found[i].pid, b"%d" % i, True) for i in left])
            if left == [0, 2, 3] and not getattr(self, "seen_twice", False):
                self.seen_twice = True
                continue
            if left:
                done = 0 if left[0] == 0 else left[-1]
                c.send(ack(PUBACK, found[done].pid)).expect_nothing()
        self.seen_twice = False

    @statement("MQTT-4.3.2-3")
    def test_puback_twice(self):
        """The second PUBACK must not acknowledge the next message that got the id."""
        c, topic, pub, (first,) = self.unacked(1)
        c.send(ack(PUBACK, first.pid), ack(PUBACK, first.pid)).expect_nothing()
        pub.publish(topic, b"next", qos=1)
        pkt = c.recv_publish(topic, ack=False)
        c.close()
        again = self.session(c.id).recv_publish(topic)
        self.assertEqual((again.pid, again.payload), (pkt.pid, b"next"))


class ManyIds(Case):
    settings = {"inflight_max": 900, "receive_max": 900}

    @statement("MQTT-4.3.2-1", "MQTT-2.2.1-4", "MQTT3-2.3.1-4")
    def test_ids_over_a_whole_round(self):
        """65,400 messages while one stays unacknowledged: its id is never given to another, and no id is 0."""
        c, pub, topic, size = self.client(), self.client(), unique(), 100
        c.subscribe(topic, qos=1)
        pub.publish(topic, b"held", qos=1)
        held = c.recv_publish(topic, ack=False)
        batch = b"".join(publish(topic, b"", 1, n + 1) for n in range(size))
        for _ in range(654):
            pub.send(batch)
            ids = [c.wait(PUBLISH).pid for _ in range(size)]
            self.assertEqual(len(set(ids) - {0, held.pid}), size)
            c.send(*(ack(PUBACK, i) for i in ids))
            for _ in ids:
                pub.wait(PUBACK)
            c.seen.clear(), pub.seen.clear()


class Receiver(Case):
    """QoS 1 from a client to the server."""

    @statement("MQTT-4.3.2-4", "MQTT-4.3.2-5", "MQTT-3.3.4-1", "MQTT3-4.3.1-1..4.3.3-2", "MQTT3-3.3.4-1", "MQTT3-2.3.1-6")
    @versions()
    def test_puback_and_same_id_again(self, v):
        """Each PUBLISH after a PUBACK is a new message, with DUP or without."""
        c, sub, topic = self.client(version=v), self.client(version=v), unique()
        sub.subscribe(topic)
        for n, dup in enumerate((False, True, True, False)):
            c.send(publish(topic, b"%d" % n, 1, 65535, dup=dup, version=v)).expect_ack(PUBACK, 65535)
            self.assertEqual(sub.recv_publish(topic).payload, b"%d" % n)

    @statement("MQTT-4.3.2-5")
    @versions()
    def test_same_id_pipelined(self, v):
        """Twice in one write: two messages, two PUBACKs."""
        c, sub, topic = self.client(version=v), self.client(version=v), unique()
        sub.subscribe(topic)
        c.send(publish(topic, b"a", 1, 3, version=v), publish(topic, b"b", 1, 3, dup=True, version=v))
        c.expect_ack(PUBACK, 3)
        c.expect_ack(PUBACK, 3)
        self.assertEqual([sub.recv_publish().payload for _ in range(2)], [b"a", b"b"])

    @statement("MQTT-4.3.2-4", "MQTT-4.5.0-1", "MQTT3-4.5.0-1")
    @versions()
    def test_server_owns_what_it_acknowledged(self, v):
        """The publisher is gone at once after the PUBACK: subscribers, also those away, have the message."""
        away, online, topic = self.session(version=v), self.client(version=v), unique()
        away.subscribe(topic, qos=1)
        online.subscribe(topic, qos=1)
        away.disconnect()
        pub = self.client(version=v)
        pub.send(publish(topic, b"x", 1, 1, version=v)).expect_ack(PUBACK, 1)
        pub.reset()
        self.assertEqual(online.recv_publish(topic).payload, b"x")
        self.assertEqual(self.session(away.id, version=v).recv_publish(topic).payload, b"x")

    @statement("MQTT-4.6.0-2")
    @versions()
    def test_pubacks_in_order(self, v):
        """Messages that have to be stored and others in turn: the acknowledgements keep the order of the PUBLISHes."""
        away, topic = self.session(version=v), unique()
        away.subscribe(topic + "/stored", qos=1)
        away.disconnect()
        c = self.client(version=v)
        names = [topic + ("/stored" if n % 3 == 0 else "/not") for n in range(60)]
        for part in (range(0, 20), range(20, 40), range(40, 60)):
            c.send(*(publish(names[n], b"%d" % n, 1, 1000 - n, retain=n % 10 == 9, version=v) for n in part))
            self.assertEqual([c.recv(PUBACK).pid for _ in part], [1000 - n for n in part])
        again = self.session(away.id, version=v)
        self.assertEqual([again.recv_publish().payload for _ in range(20)], [b"%d" % n for n in range(0, 60, 3)])
        c.publish(topic + "/stored", retain=True)
        c.publish(topic + "/not", retain=True)
