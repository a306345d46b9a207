# SPDX-License-Identifier: Apache-2.0
"""While a server is asked what a client may do: its packets wait in order, nobody else does, and whatever ends or changes
meanwhile finds nothing half done."""
import threading
import unittest

import wire
from cluster import ClusterCase
from hook_server import Asked, AskedCase
from test_scram import ScramCase, auth, with_data

NO = 0x87


class Waits(AskedCase):
    def test_a_connect_waits_for_its_will(self):
        node = self.asked_node("allow all subscribe #\n", {"node.workers": 1})
        waiting = node.client()
        self.addCleanup(waiting.close)
        waiting.send(wire.connect("w", will=wire.Will("wait/w", b"bye")) + wire.subscribe(7, [("wait/#", 0)]))
        self.wait_asked("wait/w")
        other = self.connected(node)
        other.publish("yes/x", qos=1)
        self.answers.go.set()
        self.assertEqual(waiting.recv(wire.CONNACK).reason, 0)
        self.assertEqual(waiting.recv(wire.SUBACK).reasons, [0])
        # one that has gone
        self.answers.go.clear()
        gone = node.client()
        gone.send(wire.connect("g", will=wire.Will("wait/g", b"bye")))
        self.wait_asked("wait/g")
        gone.close()
        self.answers.go.set()
        waiting.barrier()

    def test_packets_wait_in_order_and_others_do_not_wait(self):
        node = self.asked_node("allow all subscribe #\nallow all publish open/#\n", {"node.workers": 1})
        sub, pub, other = self.connected(node), self.connected(node), self.connected(node)
        sub.subscribe("#", qos=2)
        topics = ["yes/1", "open/1", "wait/1", "no/1", "yes/2", "open/2", "wait/2", "yes/1", "wait/1"]
        for i, topic in enumerate(topics):
            pub.send(wire.publish(topic, b"%d" % i, i % 3, i + 1 if i % 3 else None))
        pub.send(wire.packet(wire.PINGREQ, 0))
        self.wait_asked("wait/1")
        for i in range(50):
            other.publish("open/x", b"other", qos=1)
        for i in range(52):
            self.assertIn(sub.recv_publish().payload, (b"0", b"1", b"other"))
        self.answers.go.set()
        self.assertEqual([sub.recv_publish().payload for _ in range(6)], [b"2", b"4", b"5", b"6", b"7", b"8"])
        answers = [pub.recv() for _ in range(7)]
        acked = {p.pid: p.reason for p in answers if p.type in (wire.PUBACK, wire.PUBREC)}
        self.assertEqual(acked, {2: 0, 3: 0, 5: 0, 6: 0, 8: 0, 9: 0})
        self.assertEqual([p.pid for p in answers if p.type == wire.PUBACK], [2, 5, 8])
        self.assertEqual([p.pid for p in answers if p.type == wire.PUBREC], [3, 6, 9])
        self.assertEqual(self.counter(node, "messages.received"), len(topics) + 50)

    def test_a_slow_server_holds_the_publisher_back(self):
        """What comes behind is not read: memory does not grow with what a client sends meanwhile."""
        node = self.asked_node("allow all subscribe #\n", {"node.workers": 1}, request_timeout="60s")
        pub = self.connected(node)
        pub.send(wire.publish("wait/1"))
        self.wait_asked("wait/1")
        pub.sock.setblocking(False)
        sent, piece = 0, wire.publish("yes/x", bytes(60000)) * 4
        at_least = 512 << 20
        try:
            while sent < at_least:
                sent += pub.sock.send(piece)
        except BlockingIOError:
            pass
        self.assertLess(sent, at_least)

    def test_keep_alive_does_not_end_who_is_not_listened_to(self):
        node = self.asked_node(request_timeout="30s")
        client = self.connected(node, connect={"keep_alive": 1})
        client.send(wire.publish("wait/1", b"", 1, 5))
        self.wait_asked("wait/1")
        threading.Timer(4, self.answers.go.set).start()
        self.assertEqual(client.recv(wire.PUBACK, 30).reason in (0, 0x10), True)

    def test_clients_that_go_while_they_wait(self):
        node = self.asked_node("allow all subscribe yes/#\n", {"node.workers": 1}, pool_size=1)
        first = self.connected(node, "same")
        first.send(wire.publish("wait/1", b"old", 1, 5))
        self.wait_asked("wait/1")
        gone = self.connected(node)
        gone.send(wire.subscribe(7, [("wait/a", 0), ("wait/b", 0)]))
        second = self.connected(node, "same")           # takes the first one's session
        first.expect_disconnect(0x8E)
        node.cli("ctl", "clients", "kick", gone.id)
        gone.expect_disconnect()
        watcher = self.connected(node)
        watcher.subscribe("yes/#")
        self.answers.go.set()
        second.publish("yes/x", b"new", qos=1)
        self.assertEqual(watcher.recv_publish().payload, b"new")
        self.assertNotIn("wait/a", self.topics_asked(), "asked for somebody who is gone")

    def test_new_rules_while_a_question_waits(self):
        node = self.asked_node("allow all subscribe #\n")
        client = self.connected(node)
        client.send(wire.publish("wait/1", b"", 1, 5) + wire.publish("wait/2", b"", 1, 6))
        self.wait_asked("wait/1")
        with open(node.settings["authorization.file"], "w", encoding="utf-8") as file:
            file.write("deny all publish wait/1\n")
        self.assertEqual(node.cli("ctl", "acl", "reload").stdout, "ok\n")
        self.answers.go.set()
        self.assertEqual(self.why(client.expect_ack(wire.PUBACK, 5, NO)), "Denied by line 1 of the ACL")
        client.expect_ack(wire.PUBACK, 6, 0, 0x10)

    def test_a_stop_does_not_wait_for_the_server(self):
        node = self.asked_node(request_timeout="60s")
        for topic in ("hang/1", "hang/2"):
            self.connected(node).send(wire.publish(topic))
            self.wait_asked(topic)
        self.assertEqual(node.stop(20), 0)


class WaitsAfterScram(Asked, ScramCase):
    def setUp(self):
        self.needs_covey()
        self.policy()

    def test_the_will(self):
        node = self.users_node(settings=self.keys())
        client = self.enter(node, will=wire.Will("yes/w", b"x"))
        client.publish("yes/x", qos=1)
        client, dialog, step = self.begin(node, "anna", "secret", client_id="d", will=wire.Will("no/w", b"x"))
        client.send(auth(0x18, with_data(dialog.final(step.prop(wire.AUTH_DATA))))).expect_refused(NO)
        self.assertEqual(self.topics_asked(), ["yes/w", "yes/x", "no/w"])


class WaitsInCluster(Asked, ClusterCase):
    def setUp(self):
        self.needs_covey()
        self.policy()

    def test_three_nodes(self):
        nodes = self.cluster(3, self.keys("allow all publish open/#\n"))
        subs = [self.connected(node) for node in nodes]
        pubs = [self.connected(node) for node in nodes]
        for sub in subs:
            sub.subscribe(["yes/#", "no/#"], qos=1, expect=[1, NO])
        for i, pub in enumerate(pubs):
            pub.publish("yes/x", b"%d" % i, qos=1)
            pub.publish("no/x", b"never", qos=1, expect=(NO,))
        for sub in subs:
            self.assertEqual({sub.recv_publish().payload for _ in range(3)}, {b"0", b"1", b"2"})

    def test_a_session_goes_to_another_node_while_it_waits(self):
        nodes = self.cluster(3, self.keys("allow all publish #\n"))
        props = [(wire.SESSION_EXPIRY, 1000)]
        first = self.connected(nodes[0], "mover", props, clean=False)
        first.subscribe("yes/#", qos=1)
        first.send(wire.subscribe(7, [("wait/#", 1)]))
        self.wait_asked("wait/#")
        second = self.connected(nodes[1], "mover", props, clean=False)
        first.expect_disconnect(0x8E)
        self.answers.go.set()
        pub = self.connected(nodes[2])
        pub.publish("yes/x", b"kept", qos=1)        # the grant moves with the session
        self.assertEqual(second.recv_publish().payload, b"kept")
        self.assertEqual(self.topics_asked("subscribe"), ["yes/#", "wait/#"])
        second.subscribe("wait/#", qos=1)
        pub.publish("wait/x", b"now", qos=1)
        self.assertEqual(second.recv_publish().payload, b"now")

    def test_a_node_is_drained_while_clients_wait(self):
        nodes = self.cluster(3, self.keys("allow all subscribe #\n"))
        client = self.connected(nodes[0])
        client.send(wire.publish("wait/1", b"", 1, 5))
        self.wait_asked("wait/1")
        self.assertEqual(nodes[0].cli("ctl", "cluster", "drain").returncode, 0)
        client.expect_disconnect(0x9C)
        self.answers.go.set()
        again = self.connected(nodes[1])
        again.publish("yes/1", qos=1)


if __name__ == "__main__":
    unittest.main()
