# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 4.3.3: QoS 2, every step of the handshake and every wrong order of it."""
import itertools

from mqttlib import *
from suite import Case, statement, versions


class Receiver(Case):
    """From a client to the server."""

    def watched(self, v, qos=2):
        topic = unique()
        c, sub = self.session(version=v), self.client(version=v)
        sub.subscribe(topic, qos=qos)
        return c, sub, topic

    @statement("MQTT-4.3.3-8", "MQTT-4.3.3-10", "MQTT-4.3.3-11", "MQTT-4.3.3-12", "MQTT3-4.3.1-1..4.3.3-2",
               "MQTT-3.3.4-1", "MQTT3-3.3.4-1")
    @versions()
    def test_repeats_are_answered_and_delivered_once(self, v):
        """With and without DUP, with the same and with another payload under the id, until PUBREL; then it is new."""
        c, sub, topic = self.watched(v)
        for payload, dup in ((b"one", False), (b"one", True), (b"one", False), (b"other", True), (b"other", False)):
            c.send(publish(topic, payload, 2, 5, dup=dup, version=v)).expect_ack(PUBREC, 5)
        for _ in range(3):      # the server has to answer each; only the first finds the id
            c.send(ack(PUBREL, 5)).expect_ack(PUBCOMP, 5, 0, 0x92)
        self.assertEqual(sub.recv_publish(topic).payload, b"one")
        c.send(publish(topic, b"two", 2, 5, dup=True, version=v)).expect_ack(PUBREC, 5)
        c.send(ack(PUBREL, 5)).expect_ack(PUBCOMP, 5, 0)
        self.assertEqual(sub.recv_publish(topic).payload, b"two")
        sub.expect_no_more(c, 2)

    @statement("MQTT-4.3.3-10", "MQTT-4.3.3-12", "MQTT3-4.3.1-1..4.3.3-2")
    @versions()
    def test_repeats_pipelined(self, v):
        """The same in one write."""
        c, sub, topic = self.watched(v)
        one, two, rel = (publish(topic, b"1", 2, 9, version=v), publish(topic, b"2", 2, 9, version=v), ack(PUBREL, 9))
        c.send(one, one, two, rel, two, one, rel, rel)
        found = [c.recv() for _ in range(8)]
        self.assertEqual([p.type for p in found], [PUBREC, PUBREC, PUBREC, PUBCOMP, PUBREC, PUBREC, PUBCOMP, PUBCOMP])
        self.assertEqual([sub.recv_publish(topic).payload for _ in range(2)], [b"1", b"2"])
        sub.expect_no_more(c, 2)

    @statement("MQTT-4.3.3-10", "MQTT-4.4.0-1", "MQTT-4.1.0-1", "MQTT3-4.3.1-1..4.3.3-2", "MQTT3-4.1.0-1,2")
    @versions()
    def test_repeats_after_reconnect(self, v):
        """The received ids belong to the session, not to the connection."""
        c, sub, topic = self.watched(v)
        c.send(publish(topic, b"x", 2, 5, version=v)).expect_ack(PUBREC, 5)
        for dup in (True, False):
            c.close()
            c = self.session(c.id, version=v)
            c.send(publish(topic, b"x", 2, 5, dup=dup, version=v)).expect_ack(PUBREC, 5, 0)
        c.close()
        c = self.session(c.id, version=v)
        c.send(ack(PUBREL, 5)).expect_ack(PUBCOMP, 5, 0)
        self.assertEqual(sub.recv_publish(topic).payload, b"x")
        sub.expect_no_more(c, 2)

    @statement("MQTT-4.3.3-12", "MQTT-4.1.0-2", "MQTT3-3.1.2-6")
    @versions()
    def test_ids_end_with_the_session(self, v):
        """A new session knows no ids of the old one: the same id is a new message."""
        c, sub, topic = self.watched(v)
        c.send(publish(topic, b"old", 2, 5, version=v)).expect_ack(PUBREC, 5)
        c = self.client(c.id, version=v)
        c.send(publish(topic, b"new", 2, 5, dup=True, version=v)).expect_ack(PUBREC, 5)
        c.send(ack(PUBREL, 5)).expect_ack(PUBCOMP, 5, 0)
        found = [sub.recv_publish(topic).payload]
        self.assertEqual([b"new"], [p for p in found + [q.payload for q in sub.drain_from(c, 2)] if p != b"old"])

    @statement("MQTT-4.3.3-11", "MQTT3-4.3.1-1..4.3.3-2")
    @versions()
    def test_pubrel_of_unknown_id(self, v):
        c = self.client(version=v)
        for pid in (1, 65535):
            pkt = c.send(ack(PUBREL, pid)).expect_ack(PUBCOMP, pid, *((0x92,) if v == V5 else ()))
            if v == V5:
                check_reason_string(pkt)

    @statement("MQTT-4.3.3-9")
    def test_id_is_free_after_an_error(self):
        """A PUBLISH that got PUBREC with an error: the same id starts a new message, without PUBREL."""
        sub, topic = self.client(), unique()
        sub.subscribe(topic, qos=2)
        for bad in ("$SYS/broker/uptime", "$share/group/topic", "/".join("x" * 1000)):
            c = self.client()
            pkt = c.send(publish(bad, b"x", 2, 5)).recv()
            if pkt.type != PUBREC or pkt.reason < 0x80:
                continue
            c.send(publish(topic, b"good", 2, 5, dup=True)).expect_ack(PUBREC, 5, 0)
            c.send(ack(PUBREL, 5)).expect_ack(PUBCOMP, 5, 0)
            self.assertEqual(sub.recv_publish(topic).payload, b"good")
            pkt = c.send(publish(bad, b"x", 2, 6)).recv(PUBREC)
            c.send(ack(PUBREL, 6)).expect_ack(PUBCOMP, 6, 0x92)
            return
        if not PRODUCT_CHECKS:
            self.skipTest("refuses none of these topics in PUBREC")
        self.fail("none of these topics is refused in PUBREC")

    @statement("MQTT-4.3.3-8", "MQTT-4.3.3-11", "MQTT-4.6.0-2")
    @versions()
    def test_many_at_once(self, v):
        """Twenty open ids, released in another order: every answer has its id, each message arrives once, in order
        of the PUBLISH or of the PUBREL as the server likes."""
        c, sub, topic = self.watched(v)
        ids = [(n * 7919) % 65535 + 1 for n in range(20)]
        c.send(*(publish(topic, b"%d" % i, 2, i, version=v) for i in ids))
        self.assertEqual([c.recv(PUBREC).pid for _ in ids], ids)
        back = ids[::-1]
        c.send(*(ack(PUBREL, i) for i in back))
        self.assertEqual([c.recv(PUBCOMP).pid for _ in ids], back)
        got = [int(sub.recv_publish(topic).payload) for _ in ids]
        self.assertIn(got, (ids, back))
        sub.expect_no_more(c, 2)

    @statement("MQTT-4.3.3-8", "MQTT-4.5.0-1", "MQTT3-4.5.0-1")
    @versions()
    def test_server_owns_what_it_took(self, v):
        """PUBREC, and the publisher never comes back: the message is the server's since PUBREC or since PUBREL; after
        PUBREL it has to be delivered whether PUBCOMP could be sent or not."""
        c, sub, topic = self.watched(v)
        c.send(publish(topic, b"x", 2, 5, version=v)).expect_ack(PUBREC, 5)
        c.send(ack(PUBREL, 5))
        c.sock.shutdown(1)
        self.assertEqual(sub.recv_publish(topic).payload, b"x")


class Sender(Case):
    """From the server to a client."""

    def unacked(self, count, version=V5):
        c, pub, topic = self.session(version=version), self.client(version=version), unique()
        c.subscribe(topic, qos=2)
        for n in range(count):
            pub.publish(topic, b"%d" % n, qos=2)
        return c, pub, topic, [c.recv_publish(topic, ack=False) for _ in range(count)]

    def resume(self, c):
        c.close()
        return self.session(c.id, version=c.version)

    @statement("MQTT-4.3.3-1", "MQTT-4.3.3-2", "MQTT-4.3.3-4", "MQTT-2.2.1-5", "MQTT3-4.3.1-1..4.3.3-2", "MQTT3-2.3.1-6")
    @versions()
    def test_handshakes_in_any_order(self, v):
        """Fresh ids, DUP 0; PUBREC in one order, PUBCOMP in another: each PUBREL has the id of its PUBREC."""
        c, _, _, found = self.unacked(6, v)
        ids = [p.pid for p in found]
        self.assertEqual((len(set(ids)), [p.dup for p in found]), (6, [False] * 6))
        for order in ([3, 0, 5], [1, 4, 2]):
            c.send(*(ack(PUBREC, ids[i]) for i in order))
            self.assertEqual([c.recv(PUBREL).pid for _ in order], [ids[i] for i in order])
        c.send(*(ack(PUBCOMP, i) for i in sorted(ids, reverse=True))).expect_nothing()

    @statement("MQTT-4.3.3-3", "MQTT-4.3.3-5", "MQTT-4.3.3-6", "MQTT-4.4.0-1", "MQTT3-4.4.0-1", "MQTT3-4.3.1-1..4.3.3-2")
    @versions()
    def test_each_state_is_resumed(self, v):
        """Before PUBREC the PUBLISH comes again (DUP, same id); after it only the PUBREL, never the PUBLISH; after
        PUBCOMP nothing. Each state survives two reconnects."""
        c, _, _, (a, b, d) = self.unacked(3, v)
        c.send(ack(PUBREC, b.pid), ack(PUBREC, d.pid))
        c.expect_ack(PUBREL, b.pid, 0)
        c.expect_ack(PUBREL, d.pid, 0)
        c.send(ack(PUBCOMP, d.pid)).expect_nothing()
        for _ in range(2):
            c = self.resume(c)
            found = c.barrier()
            self.assertEqual([(p.type, p.pid) for p in found], [(PUBLISH, a.pid), (PUBREL, b.pid)])
            self.assertEqual((found[0].dup, found[0].payload), (True, a.payload))
        c.send(ack(PUBREC, a.pid)).expect_ack(PUBREL, a.pid, 0)
        c = self.resume(c)
        self.assertEqual(sorted(p.pid for p in c.barrier() if p.type == PUBREL), sorted([a.pid, b.pid]))
        c.send(ack(PUBCOMP, a.pid), ack(PUBCOMP, b.pid)).expect_nothing()
        self.resume(c).expect_nothing()

    @statement("MQTT-4.3.3-4", "MQTT-4.3.3-6", "MQTT3-4.3.1-1..4.3.3-2")
    @versions()
    def test_pubrec_twice(self, v):
        """A repeated PUBREC gets PUBREL again (what was lost is asked for again), not the PUBLISH; then one PUBCOMP
        ends it, and a second one does no harm."""
        c, pub, topic, (a,) = self.unacked(1, v)
        c.send(ack(PUBREC, a.pid)).expect_ack(PUBREL, a.pid, 0)
        c.send(ack(PUBREC, a.pid))
        self.assertFalse([p for p in c.barrier() if (p.type, p.pid, p.reason) != (PUBREL, a.pid, 0)])
        c.send(ack(PUBCOMP, a.pid), ack(PUBCOMP, a.pid)).expect_nothing()
        pub.publish(topic, b"next", qos=2)
        self.assertEqual(c.recv_publish(topic).payload, b"next")

    @statement("MQTT-4.3.3-4", "MQTT-4.3.3-5")
    @versions()
    def test_wrong_orders(self, v):
        """Every sequence of three acknowledgements with that id: whatever the server makes of the wrong ones (it may
        end the connection), the handshake is complete exactly when PUBREC came and PUBCOMP after it."""
        for order in itertools.product((PUBACK, PUBREC, PUBCOMP), repeat=3):
            with self.subTest(version=v, order=[TYPE_NAMES[k] for k in order]):
                c, _, _, (a,) = self.unacked(1, v)
                c.send(*(ack(kind, a.pid) for kind in order), pingreq())
                try:
                    c.wait(PINGRESP)
                    seen = order
                except Closed:
                    seen = order[:next(i for i, k in enumerate(order) if k != PUBREC or (i and order[0] == PUBREC))]
                state = "PUBLISH"
                for kind in seen:
                    if state == "PUBLISH" and kind == PUBREC:
                        state = "PUBREL"
                    elif state == "PUBREL" and kind == PUBCOMP:
                        state = "done"
                again = self.resume(c)
                found = [TYPE_NAMES[p.type] for p in again.barrier()]
                if len(seen) == len(order):
                    self.assertEqual(found, [] if state == "done" else [state])
                else:
                    self.assertIn(found, ([], ["PUBLISH"], ["PUBREL"]))
                again.disconnect()

    @statement("MQTT-4.4.0-2")
    def test_error_in_pubrec_ends_it(self):
        """No PUBREL, no resend, and the id and the window are free again."""
        c, pub, topic, found = self.unacked(3)
        for pkt, code in zip(found, (0x80, 0x97, 0x91)):
            c.send(ack(PUBREC, pkt.pid, code)).expect_nothing()
        c = self.resume(c)
        c.expect_nothing()
        pub.publish(topic, b"next", qos=2)
        self.assertEqual(c.recv_publish(topic).payload, b"next")

    @statement("MQTT-4.3.3-7", "MQTT-4.3.3-13")
    def test_no_expiry_once_sent(self):
        """Three messages with one second to live, sent in time: long after, the one without PUBREC is still resent,
        and the handshakes of the others go on."""
        c, pub, topic = self.session(props=[(RECEIVE_MAX, 3)]), self.client(), unique()
        c.subscribe(topic, qos=2)
        for n in range(4):      # the fourth waits for the window and expires
            pub.publish(topic, b"%d" % n, qos=2, props=[(MESSAGE_EXPIRY, 1)])
        a, b, d = (c.recv_publish(topic, ack=False) for _ in range(3))
        c.send(ack(PUBREC, b.pid)).expect_ack(PUBREL, b.pid, 0)
        c.expect_nothing(ms=2100)
        c.send(ack(PUBREC, d.pid)).expect_ack(PUBREL, d.pid, 0)
        c = self.resume(c)
        found = c.barrier()
        self.assertEqual([(p.type, p.pid) for p in found if p.type == PUBLISH], [(PUBLISH, a.pid)])
        self.assertEqual({p.pid for p in found if p.type == PUBREL}, {b.pid, d.pid})
        c.send(ack(PUBREC, a.pid)).expect_ack(PUBREL, a.pid, 0)
        c.send(*(ack(PUBCOMP, p.pid) for p in (a, b, d))).expect_nothing()
