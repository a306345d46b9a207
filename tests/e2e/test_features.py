# SPDX-License-Identifier: Apache-2.0
"""What a topic can ask of the broker beyond MQTT: delayed publish and the like, on one node and on three."""
import json
import time
import unittest

from cluster import ClusterCase
from harness import Case, until
from mqttlib import unique
from wire import *  # noqa: F403

WAIT = 20
LONG = [(SESSION_EXPIRY, 3600)]


class Delayed(Case):
    def setUp(self):
        self.needs_covey()

    def test_each_qos_comes_later(self):
        node, topic = self.node(), unique()
        sub, pub = self.connected(node), self.connected(node)
        sub.subscribe(topic, 2)
        start = time.monotonic()
        for qos in range(3):
            pub.publish(f"$delayed/2/{topic}", b"later %d" % qos, qos)
        pub.publish(topic, b"now", 1)
        self.assertEqual(sub.recv_publish().payload, b"now")
        got = sorted(sub.recv_publish(topic, timeout=WAIT).payload for _ in range(3))
        self.assertEqual(got, [b"later 0", b"later 1", b"later 2"])
        self.assertGreaterEqual(time.monotonic() - start, 1.9)
        sub.expect_no_more(pub)

    def test_it_survives_a_restart(self):
        node, topic, client_id = self.node(), unique(), unique("c")
        sub, pub = self.connected(node, client_id, LONG), self.connected(node)
        sub.subscribe(topic, 2)
        for qos in (1, 2):
            pub.publish(f"$delayed/3/{topic}", b"%d" % qos, qos)
        pub.publish(f"$delayed/3/{topic}/r", b"kept", 1, retain=True)
        node.kill()
        node.start()
        sub = self.connected(node, client_id, LONG, clean=False)
        self.assertEqual(sorted(sub.recv_publish(timeout=WAIT).payload for _ in range(2)), [b"1", b"2"])
        other = self.connected(node)
        other.subscribe(f"{topic}/#")
        self.assertEqual(other.recv_publish(f"{topic}/r", timeout=WAIT).payload, b"kept")

    def test_a_will_of_later(self):
        node, topic = self.node(), unique()
        sub = self.connected(node)
        sub.subscribe(topic, 1)
        self.connected(node, connect={"will": Will(f"$delayed/1/{topic}", b"bye", qos=1)}).reset()
        self.assertEqual(sub.recv_publish(timeout=WAIT).payload, b"bye")

    def test_counted_and_limited(self):
        node = self.node({"delayed.max_delayed_messages": 2})
        pub = self.connected(node)
        for _ in range(2):
            pub.publish("$delayed/1000/t", b"x", 1)
        pub.publish("$delayed/1000/t", b"x", 1, expect=[0x97])
        self.assertIn("delayed.count                 : 2\n", node.cli("ctl", "broker", "stats").stdout)


    def test_listed_and_deleted(self):
        node, topic = self.node(), unique()
        sub, pub = self.connected(node), self.connected(node)
        sub.subscribe(topic, 1)
        for seconds in (1000, 2):
            pub.publish(f"$delayed/{seconds}/{topic}", b"in %d" % seconds, 1)
        lines = node.cli("ctl", "delayed", "list").stdout.splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertRegex(lines[1], rf"^Delayed\([0-9a-f]{{32}}, topic={topic}, qos=1, retain=false, bytes=7, publish_at=2")
        late = lines[1][8:40]
        self.assertEqual(node.cli("ctl", "delayed", "delete", late).stdout, "ok\n")
        self.assertEqual(node.cli("ctl", "delayed", "delete", late).stdout, "Not Found.\n")
        self.assertNotEqual(node.cli("ctl", "delayed", "delete", "xyz").returncode, 0)
        self.assertEqual(sub.recv_publish(topic, timeout=WAIT).payload, b"in 2")
        until(lambda: node.cli("ctl", "delayed", "list").stdout == "", WAIT, "nothing waits")
        for i in range(1200):       # more than a piece
            pub.publish(f"$delayed/1000/{topic}/{i}", b"", 1)
        self.assertEqual(node.cli("ctl", "delayed", "list").stdout.count("Delayed("), 1200)


class TopicsThatAreNone(Case):
    """Row 18 of the hostile inputs: publishing to $SYS, $share, $delayed with a bad number, $exclusive."""

    def test_refused_each_time_and_the_connection_stays(self):
        self.needs_covey()
        node = self.node()
        sub, pub = self.connected(node), self.connected(node)
        sub.subscribe(["$SYS/x/#", "#", "$delayed/#", "t"])
        topics = ("$SYS/x/y", "$SYS", "$share/g/t", "$share", "$delayed/x/t", "$delayed/-1/t", "$delayed/5/$SYS/x/y",
                  "$delayed/4294968/t", "$delayed/99999999999999999999/t", "$delayed/5", "$delayed/", "$exclusive/t")
        for topic in topics:
            with self.subTest(topic):
                pub.publish(topic, b"x", 1, expect=[0x90])
                pub.publish(topic, b"x", 2, expect=[0x90])
                pub.publish(topic, b"x", 0)
        sub.expect_no_more(pub)
        old = self.connected(node, version=V311)
        for topic in topics:        # no code to say it with; nothing comes of it
            old.publish(topic, b"x", 1)
        sub.expect_no_more(old)


class Topics(Case):
    def setUp(self):
        self.needs_covey()

    def test_rewritten_for_every_kind_of_client(self):
        node = self.node({"rewrite.rules": "all old/# ^old/(.+)$ new/$1; subscribe my/# ^my/(.*)$ of/${clientid}/$1"})
        sub, pub = self.connected(node), self.connected(node, version=V311)
        sub.subscribe(["new/#", "my/+"], 2)
        late = self.connected(node, "c7", connect={"username": "u"})
        late.subscribe(["old/a", "my/+"], 1)
        for qos in range(3):
            pub.publish("old/a", b"%d" % qos, qos)
        for client, most in ((sub, 2), (late, 1)):
            got = [client.recv_publish("new/a", timeout=WAIT) for _ in range(3)]
            self.assertEqual([(p.payload, p.qos) for p in got], [(b"%d" % q, min(q, most)) for q in range(3)])
        pub.publish("of/c7/x", b"mine", 1)
        late.recv_publish("of/c7/x")
        sub.expect_no_more(pub)
        late.unsubscribe(["old/a", "my/+"])
        pub.publish("old/a", b"", 1, retain=True)
        late.expect_no_more(pub)
        alias = self.connected(node)
        alias.send(publish("old/b", b"1", props_=[(ALIAS, 1)]), publish("", b"2", props_=[(ALIAS, 1)]))
        sub.recv_publish("new/a", timeout=WAIT)
        self.assertEqual([sub.recv_publish("new/b", timeout=WAIT).payload for _ in range(2)], [b"1", b"2"])
        out = node.cli("ctl", "subscriptions", "list").stdout
        self.assertIn(" -> topic:new/#", out)

    def test_subscribed_by_connecting(self):
        node = self.node({"auto_subscribe.topics": "for/${clientid}/# qos=2; news qos=1 rh=1; u/${username} nl=1"})
        pub = self.connected(node, "pub")
        pub.publish("news", b"old", 1, retain=True)
        self.assertEqual(pub.recv_publish("news").payload, b"old")
        client = self.connected(node, "c1", LONG, connect={"username": "bob"})
        self.assertEqual(client.recv_publish("news").payload, b"old")
        pub.publish("for/c1/x", b"a", 2)
        pub.publish("for/c2/x", b"b", 2)
        pub.publish("u/bob", b"c", 0)
        self.assertEqual([client.recv_publish(timeout=WAIT).topic for _ in range(2)], ["for/c1/x", "u/bob"])
        client.publish("u/bob", b"own", 1, expect=[0, 0x10])
        client.expect_no_more(pub)
        client.disconnect()
        pub.publish("for/c1/x", b"later", 2)
        client = self.connected(node, "c1", LONG, clean=False)
        self.assertEqual(client.recv_publish(timeout=WAIT).payload, b"later")
        client.expect_no_more(pub)          # the retained one not again: rh=1

    def test_wrong_rules_do_not_start(self):
        node = self.node(start=False)
        for key, value, word in (("rewrite.rules", "all x ( y", "missing"), ("auto_subscribe.topics", "a/#/b", "#")):
            node.configure({key: value})
            done = node.cli("check-config")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(key, done.stdout + done.stderr)
            self.assertIn(word, done.stdout + done.stderr)

    def test_retained_number_size_and_expiry(self):
        node = self.node({"retainer.max_retained_messages": 2, "retainer.max_payload_size": "1KB",
                          "retainer.msg_expiry_interval": "2s"})
        pub = self.connected(node)
        pub.publish("r/1", b"x", 1, retain=True)
        pub.publish("r/2", b"x", 1, retain=True)
        pub.publish("r/3", b"x", 1, retain=True, expect=[0x97])
        pub.publish("r/1", b"x" * 1025, 1, retain=True, expect=[0x97])
        pub.publish("r/1", b"y", 1, retain=True)
        with node.client() as client:
            client.connect()
            client.subscribe("r/#")
            self.assertEqual(sorted(client.recv_publish().payload for _ in range(2)), [b"x", b"y"])
        until(lambda: "retained.count                : 0\n" in node.cli("ctl", "broker", "stats").stdout,
              WAIT, "expired")
        pub.publish("r/3", b"x", 1, retain=True)


class Watching(Case):
    def setUp(self):
        self.needs_covey()

    def ctl(self, node, *words, status=0):
        done = node.cli("ctl", *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_topic_metrics(self):
        node = self.node({"topic_metrics.topics": "a/1; a/2"})
        self.assertEqual(self.ctl(node, "topic_metrics", "register", "b"), "ok\n")
        subs, pub = [self.connected(node) for _ in range(4)], self.connected(node)
        for sub in subs:
            sub.subscribe(["a/#", "b"], 1)
        for qos in range(3):
            pub.publish("a/1", b"x", qos)
            pub.publish("a/3", b"x", qos)
        pub.publish("b", b"x", 1)
        for sub in subs:
            for _ in range(7):
                sub.recv_publish(timeout=WAIT)
        pub.publish("a/2/x", b"x", 1)
        lines = self.ctl(node, "topic_metrics", "list").splitlines()
        self.assertEqual([line.partition(", since=")[0] for line in lines], [
            "TopicMetrics(a/1, messages.in=3, messages.out=12, messages.qos0.in=1, messages.qos0.out=4, "
            "messages.qos1.in=1, messages.qos1.out=8, messages.qos2.in=1, messages.qos2.out=0, messages.dropped=0",
            "TopicMetrics(a/2, messages.in=0, messages.out=0, messages.qos0.in=0, messages.qos0.out=0, "
            "messages.qos1.in=0, messages.qos1.out=0, messages.qos2.in=0, messages.qos2.out=0, messages.dropped=0",
            "TopicMetrics(b, messages.in=1, messages.out=4, messages.qos0.in=0, messages.qos0.out=0, "
            "messages.qos1.in=1, messages.qos1.out=4, messages.qos2.in=0, messages.qos2.out=0, messages.dropped=0"])
        self.ctl(node, "topic_metrics", "unregister", "a/1")
        self.ctl(node, "topic_metrics", "unregister", "a/1", status=1)
        self.ctl(node, "topic_metrics", "register", "a/+", status=1)
        self.assertEqual(self.ctl(node, "topic_metrics", "list").count("TopicMetrics("), 2)

    def test_slow_subscribers(self):
        node = self.node({"slow_subs.enable": True, "slow_subs.threshold": "300ms", "slow_subs.top_k_num": 3})
        pub, quick = self.connected(node), self.connected(node, "quick")
        quick.subscribe("s/#", 1)
        slow = [self.connected(node, f"slow{i}") for i in range(4)]
        for i, client in enumerate(slow):
            client.subscribe("s/#", 1 + i % 2)
        pub.publish("s/1", b"x", 2)
        quick.recv_publish("s/1")
        got = [client.recv_publish("s/1", ack=False) for client in slow]
        time.sleep(0.4)
        for i, client in enumerate(slow):
            time.sleep(0.1)
            client.accept(got[i])
        until(lambda: "messages.acked.slow           : 4\n" in self.ctl(node, "broker", "metrics"), WAIT, "four are slow")
        lines = self.ctl(node, "slow_subs", "list").splitlines()
        self.assertEqual([line.partition(", timespan=")[0] for line in lines],
                         [f"SlowSub(clientid=slow{i}, topic=s/1" for i in (3, 2, 1)])
        self.assertEqual(self.ctl(node, "slow_subs", "clear"), "ok\n")
        self.assertEqual(self.ctl(node, "slow_subs", "list"), "")


EVENTS = {f"sys_topics.sys_event_messages.client_{what}": True for what in ("subscribed", "unsubscribed")}


class Events(ClusterCase):
    def setUp(self):
        self.needs_covey()

    def event(self, watcher, name, client_id, what):
        p = watcher.recv_publish(f"$SYS/brokers/{name}/clients/{client_id}/{what}", timeout=WAIT)
        found = json.loads(p.payload)
        self.assertEqual((found["clientid"], found["protocol"], p.qos, p.retain), (client_id, "mqtt", 0, False))
        self.assertAlmostEqual(found["ts"] / 1000, time.time(), delta=60)
        return found

    def test_all_of_them_on_another_node(self):
        nodes = self.cluster(2, EVENTS)
        watcher, name, client_id = self.connected(nodes[1]), nodes.name(0), 'c"1\\'
        watcher.subscribe(f"$SYS/brokers/{name}/clients/#")
        client = self.connected(nodes[0], client_id, [(SESSION_EXPIRY, 7)],
                                connect={"username": "bob", "keep_alive": 60})
        found = self.event(watcher, name, client_id, "connected")
        self.assertEqual({k: found[k] for k in ("username", "ipaddress", "proto_name", "proto_ver", "keepalive",
                                                "expiry_interval", "clean_start", "connack")},
                         {"username": "bob", "ipaddress": "127.0.0.1", "proto_name": "MQTT", "proto_ver": 5,
                          "keepalive": 60, "expiry_interval": 7, "clean_start": True, "connack": 0})
        self.assertGreater(found["sockport"], 0)
        client.subscribe("a/+", 1, no_local=True)
        found = self.event(watcher, name, client_id, "subscribed")
        self.assertEqual((found["topic"], found["subopts"]),
                         ("a/+", {"qos": 1, "nl": 1, "rap": 0, "rh": 0, "is_new": True}))
        client.unsubscribe("a/+")
        self.assertEqual(self.event(watcher, name, client_id, "unsubscribed")["topic"], "a/+")
        self.connected(nodes[0], client_id)
        self.assertEqual(self.event(watcher, name, client_id, "disconnected")["reason"], "takenover")
        self.assertEqual(self.event(watcher, name, client_id, "connected")["username"], "undefined")
        nodes[0].cli("ctl", "clients", "kick", client_id)
        self.assertEqual(self.event(watcher, name, client_id, "disconnected")["reason"], "kicked")
        with nodes[0].client(version=V311) as old:
            old.connect("old")
            old.disconnect()
        self.event(watcher, name, "old", "connected")
        found = self.event(watcher, name, "old", "disconnected")
        self.assertEqual((found["reason"], found["proto_ver"]), ("normal", 4))
        self.assertGreaterEqual(found["disconnected_at"], found["connected_at"])

    def test_one_that_watches_itself_and_names_that_are_no_topic(self):
        node = self.node()
        watcher = self.connected(node, "w")
        watcher.subscribe("$SYS/brokers/+/clients/#")
        for name in ("a/+", "#"):
            self.connected(node, name).reset()
        until(lambda: node.cli("ctl", "clients", "list").stdout.count("Client(") == 1, WAIT, "the others gone")
        watcher.unsubscribe("$SYS/brokers/+/clients/#")     # of which nothing is told unless configured
        self.assertEqual([p for p in watcher.barrier() if p.type == PUBLISH], [])
        watcher.subscribe("$SYS/brokers/+/clients/#")
        watcher.disconnect()
        until(lambda: "(w," not in node.cli("ctl", "clients", "list").stdout, WAIT, "gone")
        self.assertTrue(node.is_alive())


class DelayedInACluster(ClusterCase):
    def test_from_one_node_to_all(self):
        nodes, topic = self.cluster(3), unique()
        subs = [self.connected(node) for node in nodes]
        for n, sub in enumerate(subs):
            sub.subscribe(topic, n)
        pub = self.connected(nodes[1])
        for qos in range(3):
            pub.publish(f"$delayed/2/{topic}", b"%d" % qos, qos)
        for sub in subs:
            self.assertEqual(sorted(sub.recv_publish(topic, timeout=WAIT).payload for _ in range(3)), [b"0", b"1", b"2"])

    def test_its_node_was_down_when_it_was_due(self):
        nodes, topic, client_id = self.cluster(3), unique(), unique("c")
        sub = self.connected(nodes[2], client_id, LONG)
        sub.subscribe(topic, 2)
        self.connected(nodes[0]).publish(f"$delayed/1/{topic}", b"late", 2)
        nodes[0].kill()
        until(lambda: nodes.links(1)[nodes.name(0)]["link"] == "down", WAIT, "the link")
        time.sleep(1)
        nodes.start([0])
        self.assertEqual(sub.recv_publish(topic, timeout=WAIT).payload, b"late")


if __name__ == "__main__":
    unittest.main()
