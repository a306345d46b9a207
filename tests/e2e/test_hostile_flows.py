# SPDX-License-Identifier: Apache-2.0
"""Clients that break the rules of a dialogue: acknowledgements, packet ids, client ids, wills, reserved topics, session
expiry, and text that is meant to fool whoever reads a log. The number in a test's name is the row of the list of inputs
that broke brokers."""
import random
import re

import harness
from hostile import HostileCase
from mqttlib import Closed, unique
from wire import *  # noqa: F403

FULL_WINDOWS = {"mqtt.receive_maximum": 65535, "mqtt.max_inflight": 65535, "mqtt.max_awaiting_rel": 0, "mqtt.max_mqueue_len": 0}


class Acknowledgements(HostileCase):
    def setUp(self):
        self.broker = self.node()

    def session(self, client_id=None, **options):
        return self.connected(self.broker, client_id, [(SESSION_EXPIRY, 300)], clean=False, **options)

    def test_row_11_beyond_the_receive_maximum(self):
        """QoS 2 without PUBREL, one more than was announced, on many connections: 0x93 each, and nothing is kept of the
        one too many."""
        with self.attack(self.broker, 20) as watch:
            sub, topic = self.connected(self.broker), unique()
            sub.timeout = 20
            sub.subscribe(topic, qos=0)
            count = 50
            for _ in range(count):
                client = self.connected(self.broker)
                maximum = client.connack.prop(RECEIVE_MAX, 65535)
                client.send(*(publish(topic, b"x", 2, n + 1) for n in range(maximum)))
                for _ in range(maximum):
                    client.recv(PUBREC)
                client.send(publish(topic, b"one too many", 2, maximum + 1), pingreq()).expect_disconnect(0x93)
                client.close()
            watch.check()
            got = [p.payload for p in sub.drain_from(self.connected(self.broker))]
            self.assertEqual(set(got) | {b"x"}, {b"x"})
            self.assertLessEqual(len(got), count * maximum)

    def test_row_12_storm_of_wrong_acks(self):
        """100,000 acknowledgements of ids that were never used, in all kinds: 0x92 where the standard has an answer, and
        the messages that are in flight stay in flight."""
        sub, pub, topic = self.session(), self.connected(self.broker), unique()
        sub.timeout = 20
        sub.subscribe(topic, qos=2)
        pub.publish(topic, b"one", qos=1)
        pub.publish(topic, b"two", qos=2)
        one, two = (sub.recv_publish(topic, ack=False) for _ in range(2))
        with self.attack(self.broker, 20) as watch:
            rng = random.Random(12)
            for _ in range(100):
                kinds = [rng.choice((PUBACK, PUBREC, PUBREL, PUBCOMP)) for _ in range(1000)]
                sub.send(*(ack(kind, rng.randrange(1000, 65536)) for kind in kinds), pingreq())
                found = []
                while (pkt := sub.recv()).type != PINGRESP:
                    found.append((pkt.type, pkt.reason))
                self.assertEqual(found, [({PUBREC: PUBREL, PUBREL: PUBCOMP}[k], 0x92) for k in kinds if k in (PUBREC, PUBREL)])
                sub.seen.clear()
            watch.check()
        sub.close()
        again = self.session(sub.id)
        self.assertEqual([(p.pid, p.payload) for p in again.barrier()], [(one.pid, b"one"), (two.pid, b"two")])

    def test_row_13_qos_2_exactly_once(self):
        """A random walk over ten ids: PUBLISH with and without DUP and with changing payloads, PUBREL, reconnects, kill
        -9, from three seeds. Each id delivers the first payload of each round, once."""
        for seed in (1, 2, 3):
            rng, topic = random.Random(seed), unique()
            sub = self.session()
            sub.subscribe(topic, qos=2)
            sub.disconnect()
            client, open_ids, wanted = self.session(), set(), []
            for step in range(300):
                action, pid = rng.random(), rng.randrange(1, 11)
                if action < 0.55:
                    payload = b"%d/%d" % (pid, step)
                    client.send(publish(topic, payload, 2, pid, dup=rng.random() < 0.5)).expect_ack(PUBREC, pid, 0)
                    if pid not in open_ids:
                        open_ids.add(pid)
                        wanted.append(payload)
                elif action < 0.92:
                    client.send(ack(PUBREL, pid)).expect_ack(PUBCOMP, pid, 0 if pid in open_ids else 0x92)
                    open_ids.discard(pid)
                elif action < 0.99:
                    client.close()
                    client = self.session(client.id)
                elif seed != 3:
                    self.broker.kill()
                    self.broker.start()
                    client = self.session(client.id)
            for pid in sorted(open_ids):
                client.send(ack(PUBREL, pid)).expect_ack(PUBCOMP, pid, 0)
            client.disconnect()
            sub, got = self.session(sub.id), []
            while len(got) < len(wanted):
                got.append(sub.recv_publish(topic).payload)
            self.assertEqual(sorted(got), sorted(wanted), f"seed {seed}")
            sub.expect_nothing()
            sub.disconnect()

    def test_row_14_all_ids_in_flight(self):
        """65,535 unacknowledged messages to one client: no id is used twice, the next message waits for one that is free
        again. The same number of open QoS 2 ids from a client."""
        broker = self.node(FULL_WINDOWS)
        with self.attack(broker, 100) as watch:
            sub, pub, topic = self.connected(broker), self.connected(broker), unique()
            sub.timeout = pub.timeout = 60
            sub.subscribe(topic, qos=1)
            total, batch = 66_000, 1000
            for start in range(0, total, batch):
                pub.send(*(publish(topic, b"%d" % n, 1, n % 65535 + 1) for n in range(start, start + batch)))
                for _ in range(batch):
                    pub.wait(PUBACK)
            ids = [sub.wait(PUBLISH).pid for _ in range(65535)]
            self.assertEqual(len(set(ids)), 65535)
            watch.check()
            sub.expect_nothing()
            free = set()
            for index in (40_000, 7, 65_534, 0):    # the oldest last: a server may wait for it
                free.add(ids[index])
                sub.send(ack(PUBACK, ids[index]))
                for pkt in sub.barrier():
                    self.assertIn(pkt.pid, free)
                    free.remove(pkt.pid)
            self.assertLess(len(free), 4, "a place is free and nothing comes")
            sub.send(*(ack(PUBACK, i) for i in ids[:100]))
            self.assertEqual(len({sub.recv_publish(topic, ack=False).pid for _ in range(90)}), 90)
            sender = self.connected(broker)
            sender.timeout = 60
            for start in range(1, 65536, 3855):
                sender.send(*(publish("no/" + topic, b"", 2, n) for n in range(start, start + 3855)))
                self.assertEqual([sender.recv(PUBREC).pid for _ in range(3855)], list(range(start, start + 3855)))
            sender.send(publish("no/" + topic, b"", 2, 77, dup=True)).expect_ack(PUBREC, 77)
            watch.check()
            sender.send(*(ack(PUBREL, n) for n in range(1, 65536)))
            self.assertEqual([sender.recv(PUBCOMP).reason for _ in range(65535)], [0] * 65535)


class Names(HostileCase):
    IDS = ("+", "#", "a/+/#", "/", "$SYS/#", "%c", "%u", "${clientid}", "../../etc/passwd", "a\nb", "a\r\nWARN fake", "\x1b[2J\x1b[31m", "\x7f",
           "\u202eevil", "\u200b", "a\tb", "'; DROP TABLE x;--", "<script>alert(1)</script>", "a" * 65535, "\U0001f426" * 1000, "caf\u00e9", "cafe\u0301")

    def setUp(self):
        self.broker = self.node({"log.level": "debug", "sys_topics.sys_msg_interval": "1s"})

    def test_row_15_client_ids(self):
        """Every one is a name and nothing else: as many sessions as ids, each taken over only by itself, none a pattern,
        none a level of a topic."""
        with self.attack(self.broker, 40) as watch:
            all_ = self.connected(self.broker)
            all_.subscribe(["#", "$SYS/#"])     # the client's parser refuses topics with wildcards
            clients = [self.connected(self.broker, i, [(SESSION_EXPIRY, 60)]) for i in self.IDS]
            topic = unique()
            for index, client in enumerate(clients):
                client.subscribe(f"{topic}/{index}", qos=1)
            for index, client in enumerate(clients):
                client.expect_nothing()
                watch.publisher.publish(f"{topic}/{index}", b"%d" % index, qos=1)
                self.assertEqual(client.recv_publish().payload, b"%d" % index)
            again = [self.connected(self.broker, i, clean=False) for i in self.IDS]
            for old, new in zip(clients, again):
                old.expect_disconnect(0x8E)
                self.assertTrue(new.connack.session_present)
            watch.check()

    def test_row_32_lines_stay_lines(self):
        """Ids, topics, user names and texts of clients that hold line ends, escape sequences and marks that turn the
        direction of writing: none of it reaches the log as such."""
        for evil in ("x\n2026-01-01T00:00:00.000Z error FORGED", "\r\nFORGED", "\x1b[31mFORGED\x1b[0m", "\u202eFORGED\u2066", "\u2028FORGED",
                     "\u0085FORGED", "x\x07\x08FORGED", 'x" key="FORGED'):
            client = self.connected(self.broker, evil, [(USER_PROPERTY, (evil, evil))], connect={"username": evil, "will": Will(evil, b"w")})
            client.subscribe([evil, "$share/g/" + evil])
            client.publish(evil, evil.encode(), qos=1)
            self.connected(self.broker, evil).send(publish(evil + "/+", b"x")).expect_disconnect(0x90)
            self.connected(self.broker, evil).send(disconnect(0x80, [(REASON_STRING, evil)])).expect_closed()
            self.refused_connect(self.broker, connect(evil, props_=[(AUTH_METHOD, evil)]))
        log = self.broker.log()
        self.assertGreater(log.count("\n"), 10, "the log says nothing at all")
        for line in log.splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT[\d:.]+Z? (debug|info|notice|warning|error) ", "not a line of the log's own")
            self.assertNotIn('key="FORGED', line.replace('\\"', ""))
            self.assertFalse(re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", line), repr(line))

    def test_row_32_lists_of_ctl(self):
        """One line for each client in `ctl clients list`, whatever its id; a stranger's line cannot be forged."""
        ids = ("a\nFORGED", "\x1b[2J", "\u202eb", "plain", "two words", "tab\tbed", "\u2028x")
        clients = [self.connected(self.broker, i) for i in ids]
        for client, ident in zip(clients, ids):
            client.subscribe("t/" + ident)
        for words in (("clients", "list"), ("subscriptions", "list"), ("topics", "list")):
            done = self.broker.cli("ctl", *words)
            self.assertEqual(done.returncode, 0, done)
            self.assertFalse(re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", done.stdout), done.stdout)
            self.assertIn("plain", done.stdout)
            self.assertFalse([line for line in done.stdout.splitlines() if line.startswith("FORGED")])
            self.assertEqual(len(clients), len([line for line in done.stdout.splitlines() if re.search("FORGED|2J|202e|plain|words|bed|2028", line)]))


class Reserved(HostileCase):
    def setUp(self):
        self.broker = self.node({"mqtt.max_packet_size": 100_000, "retainer.max_payload_size": 1000, "mqtt.max_qos_allowed": 1})

    def test_row_16_wills(self):
        """A will with a wildcard, to a topic that clients may not write to, of a QoS that is not allowed, larger than a
        packet may be: refused at CONNECT, or not published; a large retained one is published and not stored."""
        with self.attack(self.broker, 5):
            watcher = self.connected(self.broker)
            watcher.subscribe(["#", "$SYS/#", "$share/g/x"])
            for topic in ("a/+", "#", "a/#/b", "", b"\xff", b"\0", "$SYS/brokers", "$share/g/x", "/".join("x" * 1000)):
                with self.subTest(topic=topic):
                    client = self.broker.client()
                    self.addCleanup(client.close)
                    client.send(connect(unique(), will=Will(topic, b"evil", 1)), pingreq())
                    try:
                        pkt = client.recv()
                    except Closed:
                        continue
                    if pkt.reason == 0:
                        self.assertIn(topic, ("$SYS/brokers", "$share/g/x", "/".join("x" * 1000)))
                    client.close()
            self.refused_connect(self.broker, connect(unique(), will=Will("t", b"evil", 2)), 0x9B)
            small = self.node({"mqtt.max_packet_size": 10_000})
            self.refused_connect(small, connect(unique(), will=Will("t", b"evil" * 3000, 1)), 0x95)
            topic = unique()
            self.connected(self.broker, connect={"will": Will(topic, b"big" * 1000, 1, True)}).close()
            self.assertEqual(watcher.take(lambda p: p.type == PUBLISH and p.topic == topic).payload, b"big" * 1000)
            late = self.connected(self.broker)
            late.subscribe(topic)
            late.expect_nothing()
            self.assertFalse([p for p in watcher.drain_from(late) if b"evil" in (p.payload or b"")])

    def test_row_18_reserved_topics(self):
        """PUBLISH to $SYS/... and $share/... in every version, QoS and with RETAIN: refused or dropped, told to v5 where
        there is an acknowledgement, never delivered, never stored."""
        with self.attack(self.broker, 5):
            watcher = self.connected(self.broker)
            watcher.subscribe(["#", "$SYS/#", "$share/g/x"])
            for v in VERSIONS:
                for topic in ("$SYS/brokers", "$SYS/x", "$SYS/", "$SYS", "$share/g/x", "$share/g", "$share/", "$share//x"):
                    for qos, retain in ((0, False), (0, True), (1, False), (1, True)):
                        with self.subTest(version=v, topic=topic, qos=qos, retain=retain):
                            client = self.connected(self.broker, version=v)
                            client.send(publish(topic, b"evil", qos, 1 if qos else None, retain, version=v), pingreq())
                            found = client.take_all()
                            if v == V5 and qos and found and found[0].type == PUBACK and topic not in ("$SYS", "$share/g", "$share/"):
                                self.assertGreaterEqual(found[0].reason, 0x80)
                                self.assertTrue(found[0].prop(REASON_STRING))
                            client.close()
            late = self.connected(self.broker)
            late.subscribe(["$SYS/#", "$share/g/x", "x"])
            self.assertFalse([p for p in watcher.drain_from(late) + late.barrier() if p.payload == b"evil" and p.topic != "$SYS"])

    def test_row_29_session_expiry(self):
        """For ever, shortened and lengthened in DISCONNECT, and from 0 to more, which is a protocol error."""
        client = self.connected(self.broker, props=[(SESSION_EXPIRY, 0xFFFFFFFF)])
        self.assertIn(client.connack.prop(SESSION_EXPIRY), (None, 0xFFFFFFFF))
        client.disconnect()
        for value, present in ((5, True), (0xFFFFFFFF, True), (0, False)):
            client = self.connected(self.broker, client.id, [(SESSION_EXPIRY, 100)], clean=False)
            client.disconnect(0, [(SESSION_EXPIRY, value)])
            client = self.connected(self.broker, client.id, [(SESSION_EXPIRY, 100)], clean=False)
            self.assertEqual(client.connack.session_present, present)
        for value in (1, 0xFFFFFFFF):
            self.refused(self.broker, disconnect(0, [(SESSION_EXPIRY, value)]), 0x82)
