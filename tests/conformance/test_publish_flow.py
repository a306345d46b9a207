# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 3.3.4: answers to PUBLISH, overlapping subscriptions, subscription identifiers, flow control."""
from mqttlib import *
from suite import Case, statement, versions


class Answers(Case):
    @statement("MQTT-3.3.4-1", "MQTT3-3.3.4-1", "MQTT-3.4.2-1", "MQTT-3.5.2-1")
    @versions()
    def test_answer_by_qos(self, v):
        """Nothing, PUBACK, or PUBREC and PUBCOMP; with and without somebody who listens."""
        c, topic = self.client(version=v), unique()
        watcher = self.client(version=v)
        for listening in (False, True):
            if listening:
                watcher.subscribe(topic, qos=2)
            c.send(publish(topic, b"0", version=v))
            c.expect_nothing()
            c.send(publish(topic, b"1", 1, 11, version=v))
            self.assertEqual([(p.type, p.pid) for p in c.barrier()], [(PUBACK, 11)])
            c.send(publish(topic, b"2", 2, 12, version=v))
            self.assertEqual(c.recv(PUBREC).pid, 12)
            c.send(ack(PUBREL, 12))
            self.assertEqual(c.recv(PUBCOMP).pid, 12)
            c.expect_nothing()
        self.assertEqual([watcher.recv_publish(topic).payload for _ in range(3)], [b"0", b"1", b"2"])

    @statement("MQTT-3.3.4-1", "MQTT-4.3.2-4")
    def test_no_matching_subscribers(self):
        """0x10 may be said when nobody listens, and must not be when somebody does."""
        c, topic = self.client(), unique()
        for qos in (1, 2):
            c.send(publish(topic, b"x", qos, 1))
            self.assertIn(c.recv(PUBACK if qos == 1 else PUBREC).reason, (0, 0x10))
            c.send(ack(PUBREL, 1)) and c.recv(PUBCOMP) if qos == 2 else None
        self.client().subscribe(topic, qos=0)
        for qos in (1, 2):
            c.send(publish(topic, b"x", qos, 1))
            self.assertEqual(c.recv(PUBACK if qos == 1 else PUBREC).reason, 0)
            c.send(ack(PUBREL, 1)) and c.recv(PUBCOMP) if qos == 2 else None


class Overlap(Case):
    @statement("MQTT-3.3.4-2", "MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5", "MQTT3-3.3.5-1")
    @versions()
    def test_overlapping_filters(self, v):
        """One copy at the highest QoS with all identifiers, or one copy for each filter with its own: both are
        allowed, anything between is not."""
        pub, base = self.client(version=v), unique()
        for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
            c = self.client(version=v)
            filters = {0: base + "/#", 1: base + "/+/x", 2: base + "/a/x"}
            for qos in order:
                c.subscribe(filters[qos], qos=qos, props=[(SUBSCRIPTION_ID, qos + 10)])
            pub.publish(base + "/a/x", b"x", qos=2)
            found = c.drain_from(pub, qos=0)
            for pkt in found:
                c.accept(pkt)
            ids = [sorted(p.prop_all(SUBSCRIPTION_ID)) for p in found]
            if len(found) == 1:
                self.assertEqual(found[0].qos, 2)
                self.assertEqual(ids, [[10, 11, 12]] if v == V5 else [[]])
            else:
                self.assertEqual(sorted((p.qos, *i) for p, i in zip(found, ids)),
                                 [(q, q + 10) if v == V5 else (q,) for q in (0, 1, 2)])

    @statement("MQTT-3.3.4-2")
    @versions()
    def test_highest_qos_is_limited_by_the_publisher(self, v):
        c, topic = self.client(version=v), unique()
        c.subscribe(topic, qos=2)
        c.subscribe(topic + "/#", qos=1)
        for qos in (0, 1, 2):
            c.publish(topic, b"x", qos=qos)
            found = [c.accept(p) for p in c.drain_from(c)]
            self.assertIn([p.qos for p in found], ([qos], sorted([min(1, qos), qos]), [qos, min(1, qos)]))


class SubscriptionIdentifiers(Case):
    @statement("MQTT-3.3.4-3")
    def test_identifier_of_the_subscription(self):
        """Each size of the encoding; none where the subscription has none; the publisher's identifiers are its own."""
        c, pub, base = self.client(), self.client(), unique()
        for value in (1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455, None):
            c.subscribe(f"{base}/{value}", qos=1, props=[(SUBSCRIPTION_ID, value)] if value else [])
            pub.publish(f"{base}/{value}", b"x", qos=1)
            self.assertEqual(c.recv_publish().prop_all(SUBSCRIPTION_ID), [value] if value else [])

    @statement("MQTT-3.3.4-3", "MQTT-3.8.4-3")
    def test_replaced_and_removed(self):
        """Subscribing again replaces the identifier, also by none."""
        c, topic = self.client(), unique()
        for value in (5, 6, None, 7):
            c.subscribe(topic, props=[(SUBSCRIPTION_ID, value)] if value else [])
            c.publish(topic, b"x")
            self.assertEqual(c.recv_publish().prop_all(SUBSCRIPTION_ID), [value] if value else [])

    @statement("MQTT-3.3.4-3", "MQTT-3.3.4-5")
    def test_several_filters_and_clients(self):
        """One identifier for all filters of a SUBSCRIBE; each client sees its own."""
        one, two, pub, base = self.client(), self.client(), self.client(), unique()
        one.subscribe([base + "/a", base + "/b"], props=[(SUBSCRIPTION_ID, 1)])
        two.subscribe(base + "/+", props=[(SUBSCRIPTION_ID, 2)])
        for name in ("/a", "/b"):
            pub.publish(base + name, b"x")
            self.assertEqual(one.recv_publish().prop_all(SUBSCRIPTION_ID), [1])
            self.assertEqual(two.recv_publish().prop_all(SUBSCRIPTION_ID), [2])

    @statement("MQTT-3.3.4-3", "MQTT-4.1.0-1")
    def test_stored_with_the_session_and_on_retained_messages(self):
        c, pub, topic = self.session(), self.client(), unique()
        c.subscribe(topic, qos=1, props=[(SUBSCRIPTION_ID, 77)])
        c.disconnect()
        pub.publish(topic, b"queued", qos=1, retain=True)
        c = self.session(c.id)
        self.assertEqual(c.recv_publish().prop_all(SUBSCRIPTION_ID), [77])
        pub.publish(topic, b"after", qos=1)
        self.assertEqual(c.recv_publish().prop_all(SUBSCRIPTION_ID), [77])
        late = self.client()
        late.subscribe(topic, qos=1, props=[(SUBSCRIPTION_ID, 78)])
        got = late.recv_publish()
        self.assertEqual((got.retain, got.prop_all(SUBSCRIPTION_ID)), (True, [78]))

    @statement("MQTT-3.3.4-3")
    def test_shared_subscription(self):
        c, topic = self.client(), unique()
        c.subscribe("$share/group/" + topic, props=[(SUBSCRIPTION_ID, 9)])
        c.publish(topic, b"x")
        self.assertEqual(c.recv_publish().prop_all(SUBSCRIPTION_ID), [9])

    @statement("MQTT-3.3.4-6")
    def test_from_a_client(self):
        for value in (1, 268435455):
            c = self.client()
            c.send(publish(unique(), b"x", props_=[(SUBSCRIPTION_ID, value)]), pingreq())
            c.expect_disconnect(0x82)


class OurReceiveMaximum(Case):
    settings = {"receive_max": 5}

    @statement("MQTT-3.3.4-7")
    def test_above_the_announced_maximum(self):
        """So many QoS 2 messages may be unfinished, one more of either QoS ends the connection; the rest was
        delivered once or not at all."""
        for qos in (1, 2):
            c, watcher, topic = self.client(), self.client(), unique()
            self.assertEqual(c.connack.prop(RECEIVE_MAX), 5)
            watcher.subscribe(topic)
            for pid in range(1, 6):
                c.send(publish(topic, b"%d" % pid, 2, pid))
                self.assertEqual(c.recv(PUBREC).pid, pid)
            c.send(publish(topic, b"6", qos, 6), pingreq())
            c.expect_disconnect(0x93)
            found = [p.payload for p in watcher.drain_from(self.client())]
            self.assertIn(found, ([], [b"1", b"2", b"3", b"4", b"5"]))

    @statement("MQTT-3.3.4-7", "MQTT-4.9.0-2")
    def test_finished_messages_do_not_count(self):
        """Many more than the maximum, but never more at a time; a repeated PUBLISH counts once."""
        c = self.client()
        for pid in range(1, 21):
            c.publish(unique(), b"x", qos=2, pid=pid)
            c.publish(unique(), b"x", qos=1, pid=pid)
        for pid in range(1, 6):
            c.send(publish("t", b"x", 2, pid))
            c.recv(PUBREC)
        for pid in range(1, 6):
            c.send(publish("t", b"x", 2, pid, dup=True))
            self.assertEqual(c.recv(PUBREC).pid, pid)
        c.send(ack(PUBREL, 3))
        c.recv(PUBCOMP)
        c.publish("t", b"x", qos=2, pid=100)


class ClientsReceiveMaximum(Case):
    def held_client(self, limit, qos, count, **options):
        """A subscriber with that receive maximum that has acknowledged nothing of count messages, and what came."""
        c, pub, topic = self.client(props=[(RECEIVE_MAX, limit)], **options), self.client(), unique()
        c.subscribe(topic, qos=qos)
        for n in range(count):
            pub.publish(topic, b"%d" % n, qos=qos)
        return c, pub, topic, c.drain_from(pub, qos=0)

    @statement("MQTT-3.3.4-9", "MQTT-4.9.0-1", "MQTT-4.9.0-2")
    def test_never_more_than_the_maximum(self):
        """Exactly so many come; each PUBACK brings one more, in order."""
        for limit in (1, 2, 7):
            c, _, _, held = self.held_client(limit, 1, 10)
            self.assertEqual([p.payload for p in held], [b"%d" % n for n in range(limit)])
            for n in range(limit, 10):
                c.send(ack(PUBACK, held.pop(0).pid))
                held.append(c.recv(PUBLISH))
                self.assertEqual(held[-1].payload, b"%d" % n)
                c.expect_nothing()

    @statement("MQTT-3.3.4-9", "MQTT-4.9.0-2")
    def test_qos_2_counts_until_pubcomp(self):
        """PUBREC and PUBREL do not make room, PUBCOMP does, and so does a PUBREC with an error."""
        c, _, _, held = self.held_client(2, 2, 6)
        self.assertEqual(len(held), 2)
        first, second = (p.pid for p in held)
        c.send(ack(PUBREC, first))
        self.assertEqual(c.recv(PUBREL).pid, first)
        c.expect_nothing()
        c.send(ack(PUBCOMP, first))
        self.assertEqual(c.recv(PUBLISH).payload, b"2")
        c.expect_nothing()
        c.send(ack(PUBREC, second, 0x80))
        self.assertEqual(c.recv(PUBLISH).payload, b"3")
        c.expect_nothing()

    @statement("MQTT-3.3.4-9")
    def test_maximum_holds_in_a_resumed_session(self):
        """The value of the new connection counts, for what is sent again as well."""
        c, topic, pub = self.session(props=[(RECEIVE_MAX, 10)]), unique(), self.client()
        c.subscribe(topic, qos=1)
        for n in range(6):
            pub.publish(topic, b"%d" % n, qos=1)
        for n in range(6):
            c.recv_publish(topic, ack=False)
        c.close()
        c = self.session(c.id, props=[(RECEIVE_MAX, 2)])
        held = c.drain_from(pub, qos=0)
        self.assertEqual([p.payload for p in held], [b"0", b"1"])
        for n in range(2, 6):
            c.send(ack(PUBACK, held.pop(0).pid))
            held.append(c.recv(PUBLISH))
            self.assertEqual(held[-1].payload, b"%d" % n)

    @statement("MQTT-3.3.4-10", "MQTT-4.9.0-3")
    def test_other_packets_go_on(self):
        """With a full window: PINGRESP, SUBACK, UNSUBACK, QoS 0 messages, answers to own messages."""
        c, pub, topic, held = self.held_client(1, 1, 5)
        self.assertEqual(len(held), 1)
        c.expect_nothing()
        other = unique()
        c.subscribe(other, qos=0)
        pub.publish(other, b"qos 0")
        self.assertEqual(c.recv(PUBLISH).payload, b"qos 0")
        c.publish(unique(), b"x", qos=1)
        c.publish(unique(), b"x", qos=2)
        c.unsubscribe(other)
        pub.publish(topic, b"qos 0 on the same topic", qos=0)
        self.assertEqual(c.recv(PUBLISH).payload, b"qos 0 on the same topic")
        c.expect_nothing()

    @statement("MQTT-3.3.4-9", "MQTT-4.3.2-3")
    @versions(V31, V311)
    def test_older_clients_get_everything(self, v):
        """Without a receive maximum nothing is lost either, however slowly the client answers."""
        c, pub, topic = self.client(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=1)
        for n in range(100):
            pub.publish(topic, b"%d" % n, qos=1)
        held = [p for p in c.drain_from(pub) if p.type == PUBLISH]
        self.assertGreaterEqual(len(held), 1)
        got = []
        while held:
            got += [p.payload for p in held]
            c.send(*(ack(PUBACK, p.pid) for p in held))
            held = [p for p in c.barrier() if p.type == PUBLISH]
        self.assertEqual(got, [b"%d" % n for n in range(100)])
