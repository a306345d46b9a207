# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 4.1, 4.4, 4.5 and 4.6: session state, redelivery, order; with reconnects and kill -9."""
import threading

from mqttlib import *
from suite import Case, statement, versions


class Redelivery(Case):
    @statement("MQTT-4.4.0-1", "MQTT-4.6.0-1", "MQTT-2.2.1-5", "MQTT3-4.4.0-1", "DIFF-resend")
    @versions()
    def test_original_order_and_ids(self, v):
        """QoS 1 and 2 mixed, some of them in the second half of their handshake: resent as they were, in order, before
        anything new."""
        c, pub, topic = self.session(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=2)
        for n in range(9):
            pub.publish(topic, b"%d" % n, qos=1 + n % 2)
        found = [c.recv_publish(topic, ack=False) for _ in range(9)]
        c.send(ack(PUBREC, found[3].pid)).expect_ack(PUBREL, found[3].pid)
        c.send(ack(PUBREC, found[7].pid)).expect_ack(PUBREL, found[7].pid)
        c.send(ack(PUBACK, found[4].pid)).expect_nothing()
        c.close()
        pub.publish(topic, b"new", qos=1)
        again = self.session(c.id, version=v)
        got = again.barrier()
        resent = [(p.pid, p.payload, p.dup) for p in got if p.type == PUBLISH]
        self.assertEqual(resent[:-1], [(found[n].pid, b"%d" % n, True) for n in (0, 1, 2, 5, 6, 8)])
        self.assertEqual((resent[-1][1:], resent[-1][0] in [p.pid for p in found if p is not found[4]]), ((b"new", False), False))
        self.assertEqual([p.pid for p in got if p.type == PUBREL], [found[3].pid, found[7].pid])

    @statement("MQTT-4.4.0-1", "MQTT3-4.4.0-1", "MQTT3-3.3.1-1..3", "DIFF-resend")
    @versions(V311, V5)
    def test_at_no_other_time(self, v):
        """No resend by a timer, nor because of other traffic, a SUBSCRIBE or a PINGREQ."""
        c, pub, topic = self.session(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=2)
        for qos in (1, 2, 2):
            pub.publish(topic, b"x", qos=qos)
        found = [c.recv_publish(topic, ack=False) for _ in range(3)]
        c.send(ack(PUBREC, found[2].pid)).expect_ack(PUBREL, found[2].pid)
        c.subscribe(topic, qos=2)
        c.publish(unique(), b"x", qos=2)
        c.expect_nothing(ms=2500)

    @statement("MQTT-4.4.0-2", "MQTT-4.3.2-3")
    def test_error_in_puback_ends_it(self):
        c, pub, topic = self.session(), self.client(), unique()
        c.subscribe(topic, qos=1)
        for code in (0x80, 0x83, 0x87, 0x90, 0x97, 0x99):
            pub.publish(topic, b"x", qos=1)
            c.send(ack(PUBACK, c.recv_publish(topic, ack=False).pid, code, [(REASON_STRING, "no")])).expect_nothing()
        c.close()
        self.session(c.id).expect_nothing()

    @statement("MQTT-4.4.0-1", "MQTT-4.9.0-1", "MQTT-3.3.4-9")
    def test_resend_keeps_to_the_new_window(self):
        """Ten in flight, then a reconnect that allows three: three at a time, in order."""
        c, pub, topic = self.session(props=[(RECEIVE_MAX, 10)]), self.client(), unique()
        c.subscribe(topic, qos=1)
        for n in range(10):
            pub.publish(topic, b"%d" % n, qos=1)
        ids = [c.recv_publish(topic, ack=False).pid for _ in range(10)]
        c.close()
        again = self.session(c.id, props=[(RECEIVE_MAX, 3)])
        window, done = again.barrier(), []
        self.assertEqual(len(window), 3)
        while window:
            done.append(window.pop(0))
            again.send(ack(PUBACK, done[-1].pid))
            window += again.barrier()
            self.assertLessEqual(len(window), 3)
        self.assertEqual([p.pid for p in done], ids)
        self.assertTrue(all(p.dup for p in done[:3]))

    @statement("MQTT-4.4.0-1", "MQTT-3.1.2-24", "MQTT-3.1.2-25")
    def test_resend_keeps_to_the_new_packet_size(self):
        """What has become too large for the client is dropped as if delivered; the rest comes."""
        c, pub, topic = self.session(), self.client(), unique()
        c.subscribe(topic, qos=1)
        for size in (10, 500, 20):
            pub.publish(topic, b"x" * size, qos=1)
        for _ in range(3):
            c.recv_publish(topic, ack=False)
        c.close()
        again = self.session(c.id, props=[(MAX_PACKET, 200)])
        self.assertEqual([len(again.recv_publish(topic).payload) for _ in range(2)], [10, 20])
        again.expect_nothing()


class State(Case):
    @statement("MQTT-4.1.0-1", "MQTT3-4.1.0-1,2")
    @versions()
    def test_kept_while_connected(self, v):
        """Also that of a clean session: subscriptions, in-flight messages and received ids, whatever else happens."""
        c, pub, topic = self.client(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=2)
        c.send(publish("other/" + topic, b"x", 2, 5, version=v)).expect_ack(PUBREC, 5)
        pub.publish(topic, b"held", qos=2)
        held = c.recv_publish(topic, ack=False)
        for n in range(50):
            other = self.client(version=v)
            other.subscribe(topic)
            pub.publish(topic, b"%d" % n, qos=1)
            self.assertEqual(c.recv_publish(topic).payload, b"%d" % n)
            other.close()
        c.send(publish("other/" + topic, b"x", 2, 5, dup=True, version=v)).expect_ack(PUBREC, 5)
        c.send(ack(PUBREL, 5)).expect_ack(PUBCOMP, 5, 0)
        c.send(ack(PUBREC, held.pid)).expect_ack(PUBREL, held.pid, 0)
        c.send(ack(PUBCOMP, held.pid)).expect_nothing()

    @statement("MQTT-4.1.0-2", "MQTT-3.1.2-23", "MQTT3-3.1.2-6", "MQTT3-4.1.0-1,2")
    def test_deleted_when_expired(self):
        """Sessions with and without time left, as CONNECT and as DISCONNECT said it; watched until each is due."""
        topic = unique()
        lives = {}
        for name, in_connect, in_disconnect, lasts in (
                ("none", None, None, False), ("zero", 0, None, False), ("one", 1, None, False), ("long", 300, None, True),
                ("for ever", 0xFFFFFFFF, None, True), ("shortened", 300, 1, False), ("shortened to 0", 300, 0, False),
                ("lengthened", 1, 300, True), ("almost for ever", 0xFFFFFFFE, None, True)):
            props_ = [(SESSION_EXPIRY, in_connect)] if in_connect is not None else []
            c = self.client(props=props_, clean=False)
            c.subscribe(topic, qos=1)
            c.disconnect(0, [(SESSION_EXPIRY, in_disconnect)] if in_disconnect is not None else None)
            lives[name] = (c.id, lasts)
        self.client().publish(topic, b"kept", qos=1)
        self.client().expect_nothing(ms=2200)
        for name, (ident, lasts) in lives.items():
            with self.subTest(name):
                c = self.client(ident, clean=False)
                self.assertEqual(c.connack.session_present, lasts)
                self.assertEqual([p.payload for p in c.barrier()], [b"kept"] * lasts)

    @statement("MQTT-4.1.0-2", "MQTT-4.1.0-1")
    def test_expiry_counts_from_the_end_of_the_connection(self):
        """A session of one second lives as long as its connection, and is there again when resumed in time."""
        c = self.session(expiry=1)
        c.expect_nothing(ms=1600)
        c.close()
        again = self.session(c.id, expiry=300)
        self.assertTrue(again.connack.session_present)
        again.expect_nothing(ms=1600)
        again.close()
        self.assertTrue(self.session(c.id).connack.session_present)

    @statement("MQTT-4.5.0-1", "MQTT3-4.5.0-1", "MQTT3-3.1.2-5")
    @versions()
    def test_message_joins_every_matching_session(self, v):
        """Sessions with and without connection, filters of each kind; nobody else gets it."""
        topic = unique() + "/a/b"
        root = topic[:-4]
        sessions = {}
        for filter_, wanted in ((topic, 1), (root + "/#", 1), (root + "/+/b", 1), ("+/a/b", 1), (root + "/a", 0), (root + "/+", 0)):
            for away in (False, True):
                c = self.session(version=v)
                c.subscribe(filter_, qos=1)
                if away:
                    c.disconnect()
                sessions[filter_, away] = (c, wanted)
        pub = self.client(version=v)
        for n in range(3):
            pub.publish(topic, b"%d" % n, qos=1)
        for (filter_, away), (c, wanted) in sessions.items():
            with self.subTest(filter=filter_, away=away):
                c = self.session(c.id, version=v) if away else c
                self.assertEqual([p.payload for p in c.drain_from(pub, 1)], [b"0", b"1", b"2"] * wanted)


class Order(Case):
    def stream(self, pub, topics, qos, count, version):
        """Publishes count numbers to the topics in turn, as fast as the server's window of 20 lets it."""
        for start in range(0, count, 20):
            part = range(start, min(count, start + 20))
            pub.send(*(publish(topics[n % len(topics)], b"%d" % n, qos, n + 1 if qos else None, version=version) for n in part))
            for n in part if qos else ():
                kind = PUBACK if qos == 1 else PUBREC
                pub.expect_ack(kind, n + 1)
            if qos == 2:
                pub.send(*(ack(PUBREL, n + 1) for n in part))
                for n in part:
                    pub.expect_ack(PUBCOMP, n + 1)

    @statement("MQTT-4.6.0-5", "MQTT-4.6.0-6", "MQTT3-4.6.0-5,6")
    @versions()
    def test_order_of_one_publisher(self, v):
        """Five topics in turn, each QoS, to an exact, a + and a # subscriber at once."""
        for qos in (0, 1, 2):
            root, count = unique(), 200
            topics = [f"{root}/{n}/x" for n in range(5)]
            subs = []
            for filters in (topics, [f"{root}/+/x"], [f"{root}/#"]):
                subs.append(self.client(version=v))
                subs[-1].subscribe(filters, qos=2)
            self.stream(self.client(version=v), topics, qos, count, v)
            for sub in subs:
                self.assertEqual([int(sub.recv_publish().payload) for _ in range(count)], list(range(count)))

    @statement("MQTT-4.6.0-5", "MQTT3-4.6.0-5,6")
    def test_order_of_publishers_at_once(self):
        """Four publishers on the same topic: the messages of each keep their order, none is lost."""
        topic, sub, count = unique(), self.client(), 200  # all fit into the queue of a slow subscriber
        sub.subscribe(topic, qos=1)
        pubs = [self.client() for _ in range(4)]

        def work(index):
            for start in range(0, count, 20):
                part = range(start, start + 20)
                pubs[index].send(*(publish(topic, b"%d %d" % (index, n), 1, n + 1) for n in part))
                for n in part:
                    pubs[index].expect_ack(PUBACK, n + 1)
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        got = [tuple(map(int, sub.recv_publish().payload.split())) for _ in range(4 * count)]
        for thread in threads:
            thread.join()
        for index in range(4):
            self.assertEqual([n for i, n in got if i == index], list(range(count)))

    @statement("MQTT-4.6.0-5", "MQTT-4.6.0-6", "MQTT3-4.6.0-5,6")
    @versions()
    def test_order_across_a_reconnect(self, v):
        """Half of them while the subscriber is away: unacknowledged, then queued, then new ones, in one order."""
        c, pub, topic = self.session(version=v), self.client(version=v), unique()
        c.subscribe(topic, qos=1)
        for n in range(10):
            pub.publish(topic, b"%d" % n, qos=1)
        for _ in range(10):
            c.recv_publish(ack=False)
        c.disconnect()
        for n in range(10, 60):
            pub.publish(topic, b"%d" % n, qos=1)
        c = self.session(c.id, version=v)
        for n in range(60, 90):
            pub.publish(topic, b"%d" % n, qos=1)
        self.assertEqual([int(c.recv_publish().payload) for _ in range(90)], list(range(90)))


class Killed(Case):
    """kill -9 between the steps: what was acknowledged is kept."""

    @statement("MQTT-4.4.0-1", "MQTT-4.3.3-6", "MQTT-4.1.0-1", "MQTT-4.5.0-1", "MQTT3-4.4.0-1", "MQTT3-3.1.2-4")
    @versions()
    def test_state_survives(self, v):
        """In flight with PUBLISH or PUBREL to be resent, queued, received QoS 2 ids, subscriptions, retained."""
        own, topic = self.own_broker({}), unique()
        c, pub = self.session(version=v, on=own), self.client(version=v, on=own)
        c.subscribe([topic, topic + "/later/#"], qos=2)
        for n, qos in enumerate((1, 2, 2, 1)):
            pub.publish(topic, b"%d" % n, qos=qos)
        one, two, three, four = (c.recv_publish(topic, ack=False) for _ in range(4))
        c.send(ack(PUBACK, four.pid), ack(PUBREC, three.pid)).expect_ack(PUBREL, three.pid)
        c.send(publish("by/" + topic, b"taken", 2, 77, version=v)).expect_ack(PUBREC, 77)
        other = self.session(version=v, on=own)
        other.subscribe("by/" + topic, qos=1)
        other.disconnect()
        c.disconnect()
        pub.publish(topic + "/later/x", b"queued", qos=1)
        pub.publish("keep/" + topic, b"retained", qos=1, retain=True)
        own.restart(hard=True)
        c = self.session(c.id, version=v, on=own)
        self.assertEqual(c.connack.session_present, v != V31)
        got = c.barrier()
        self.assertEqual([(p.pid, p.payload) for p in got if p.type == PUBLISH and p.dup], [(p.pid, p.payload) for p in (one, two)])
        self.assertEqual([p.payload for p in got if p.type == PUBLISH and not p.dup], [b"queued"])
        self.assertEqual([p.pid for p in got if p.type == PUBREL], [three.pid])
        c.send(publish("by/" + topic, b"taken", 2, 77, dup=True, version=v)).expect_ack(PUBREC, 77)
        c.send(ack(PUBREL, 77)).expect_ack(PUBCOMP, 77, 0)
        self.assertLessEqual(len(self.session(other.id, version=v, on=own).barrier()), 1)
        c.send(ack(PUBCOMP, three.pid))
        c.accept(one), c.accept(two)
        self.client(version=v, on=own).publish(topic + "/later", b"new", qos=1)
        self.assertEqual(c.recv_publish(topic + "/later").payload, b"new")
        c.subscribe("keep/" + topic)
        self.assertEqual(c.recv_publish("keep/" + topic).payload, b"retained")

    @statement("MQTT-4.3.2-4", "MQTT-4.3.3-8", "MQTT-4.5.0-1", "MQTT3-4.5.0-1")
    @versions(V311, V5)
    def test_acknowledged_means_kept(self, v):
        """Killed right after the last acknowledgement, three times; nothing is missing, nothing comes twice that was
        acknowledged by the subscriber before."""
        own, topic = self.own_broker({}), unique()
        c = self.session(version=v, on=own)
        c.subscribe(topic, qos=2)
        c.disconnect()
        wanted = []
        for turn in range(3):
            pub = self.client(version=v, on=own)
            for n in range(20):
                wanted.append(b"%d.%d" % (turn, n))
                pub.publish(topic, wanted[-1], qos=1 + n % 2)
            own.restart(hard=True)
        c = self.session(c.id, version=v, on=own)
        self.assertEqual([c.recv_publish(topic).payload for _ in wanted], wanted)
        c.expect_nothing()
        c.disconnect()
        own.restart(hard=True)
        c = self.session(c.id, version=v, on=own)
        self.assertEqual(c.connack.session_present, True)
        # A PUBCOMP has no answer that would promise it is remembered, so a PUBREL may come again.
        self.assertEqual([p for p in c.barrier() if p.type != PUBREL], [])

    @statement("MQTT-4.1.0-2", "MQTT3-4.1.0-1,2", "MQTT-3.1.2-23")
    def test_what_was_deleted_stays_deleted(self):
        """Ended sessions, removed subscriptions and deleted retained messages do not come back."""
        own, topic = self.own_broker({}), unique()
        gone, kept = self.session(on=own), self.session(on=own)
        gone.subscribe(topic, qos=1)
        kept.subscribe([topic, topic + "/removed"], qos=1)
        kept.unsubscribe(topic + "/removed")
        gone.disconnect(0, [(SESSION_EXPIRY, 0)])
        kept.publish(topic + "/r", b"x", qos=1, retain=True)
        kept.publish(topic + "/r", b"", qos=1, retain=True)
        short = self.session(expiry=1, on=own)
        short.disconnect()
        kept.disconnect()
        self.client().expect_nothing(ms=300)    # nothing tells a client when the end of its session is stored
        own.stop(hard=True)
        self.client().expect_nothing(ms=1500)
        own.start()
        for ident, present in ((gone.id, False), (short.id, False), (kept.id, True)):
            self.assertEqual(self.session(ident, on=own).connack.session_present, present)
        c = self.session(kept.id, on=own)
        c.publish(topic + "/removed", b"no", qos=1)
        c.subscribe(topic + "/r")
        c.expect_nothing()
