# SPDX-License-Identifier: Apache-2.0
"""kill -9, again and again, under load. After every restart the store opens and what was acknowledged is there:
sessions, subscriptions, retained messages; and in the end every subscriber has every acknowledged message, in each
publisher's order, and exactly once where QoS 2 promises it.

`run --kills N --seed S`. The seed decides what is sent and when the broker is killed; what the broker has done by
that moment depends on the machine, so a seed is a hint, not a repetition.
"""
import collections
import os
import random
import select
import time
import unittest

import harness
import wire
from crash_actors import Churner, Publisher, RetainedPublisher, Subscriber
from harness import Case, is_mosquitto

KILLS = int(os.environ.get("COVEY_KILLS", "200"))
SEED = int(os.environ.get("COVEY_SEED", "0")) or random.randrange(1, 1 << 31)
ROUND_KILLS = 25        # after so many kills everything is drained and compared
SETTINGS = {"mqtt.max_mqueue_len": 0, "mqtt.max_mqueue_bytes": 0, "mqtt.max_inflight": 32, "log.level": "warning"}


class World:
    """A broker, its clients, and the loop that runs them."""

    def __init__(self, node, seed):
        self.node, self.rng, self.kills = node, random.Random(seed), 0
        new_rng = lambda: random.Random(self.rng.random())  # noqa: E731
        self.publishers = [Publisher(node, f"pub{v}q{qos}", v, new_rng(), qos)
                           for v, qos in ((wire.V311, 1), (wire.V5, 1), (wire.V311, 2), (wire.V5, 2))]
        names = [p.client_id for p in self.publishers]
        self.steady = [Subscriber(node, "steady-q1", wire.V5, new_rng(), 1, "crash/p/+"),
                       Subscriber(node, "steady-q2", wire.V5, new_rng(), 2, "crash/p/#")]
        self.fickle = [Subscriber(node, "fickle-q1", wire.V311, new_rng(), 1, "crash/p/#"),
                       Subscriber(node, "fickle-q2", wire.V5, new_rng(), 2, "crash/p/+"),
                       Subscriber(node, "fickle-one", wire.V311, new_rng(), 2, f"crash/p/{names[3]}")]
        self.retainer = RetainedPublisher(node, "retainer", wire.V5, new_rng(), 1, window=10)
        self.churner = Churner(node, "churner", wire.V5, new_rng())
        self.subscribers = self.steady + self.fickle
        self.producers = self.publishers + [self.retainer]
        self.actors = self.subscribers + self.producers + [self.churner]

    # ------------------------------------------------------------ the loop

    def connect(self):
        """Everybody who wants to; False when the broker went away meanwhile."""
        for actor in self.actors:
            if actor.wants_online and actor.client is None:
                try:
                    actor.connect()
                except OSError:
                    return False
        return True

    def turn(self, seconds):
        """Waits for packets at most this long, then lets everybody go on."""
        online = {a.client.sock: a for a in self.actors if a.client}
        # What came together with a CONNACK is read from the socket already.
        held = [sock for sock, actor in online.items() if actor.client.inbox]
        ready = select.select(list(online), [], [], 0 if held else seconds)[0] if online else []
        for sock in {*held, *ready}:
            self.read(online[sock])
        for actor in self.actors:
            if actor.client:
                actor.step()

    def read(self, actor):
        actor.on_packets(actor.client.poll(0.001))
        if actor.client.eof:
            assert not self.node.is_alive(), f"the broker closed the connection of {actor.client_id}: {actor.client.seen[-1:]}"
            actor.lost()
        else:
            actor.client.seen.clear()

    def run(self, seconds):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.turn(min(left, 0.01))

    def run_until(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
            self.turn(0.01)

    # ------------------------------------------------------------ crashes

    def crash(self):
        """Kills the broker. What it had sent by then counts: an acknowledgement in the socket is a promise."""
        self.kills += 1
        if is_mosquitto():
            self.node.stop()    # it promises nothing over a kill: this is for testing the test
        else:
            self.node.kill()
        for actor in self.actors:
            deadline = time.monotonic() + 10
            while actor.client:
                assert time.monotonic() < deadline, "a dead broker's connection stays open"
                self.read(actor)

    def restart(self):
        """Starts it again; now and then it is killed while it starts."""
        while self.rng.random() < 0.1 and not is_mosquitto():
            self.node.spawn()
            time.sleep(self.rng.random() * 0.05)
            self.node.kill()
            self.kills += 1
        self.node.start()

    # ------------------------------------------------------------ what must be true

    def check_retained(self):
        """A new subscriber gets, for each topic, the last acknowledged message or a later one. Nobody publishes now."""
        allowed, found = self.retainer.allowed(), {}
        with self.node.client(timeout=20) as client:
            client.connect()
            client.subscribe("crash/r/+")
            deadline, settled = time.monotonic() + 10, False
            client.send(wire.pingreq())
            while True:
                for packet in client.poll(0.01):
                    settled = settled or packet.type == wire.PINGRESP
                    if packet.type == wire.PUBLISH:
                        assert packet.retain and packet.topic not in found, f"{packet!r}"
                        found[packet.topic] = packet.payload
                wrong = {t: (found.get(t, b""), a) for t, a in allowed.items() if found.get(t, b"") not in a}
                if settled and not wrong:
                    return
                early = {t: w for t, w in wrong.items() if t not in found}
                assert time.monotonic() < deadline and wrong.keys() == early.keys(), f"retained, (found, allowed): {wrong}"

    def check_subscriptions(self):
        """Messages on confirmed subscriptions arrive, on cancelled ones they do not."""
        churner, wanted = self.churner, set(self.churner.active)
        open_topics = {topic for topic, _ in churner.open.values()}
        churner.messages, churner.round = [], b"%d" % self.kills
        churner.connect()
        with self.node.client(timeout=20) as client:
            client.connect()
            for topic in sorted(wanted | churner.gone) + [churner.MARKER]:
                client.publish(topic, churner.round, qos=1)
        deadline = time.monotonic() + 20
        while churner.messages.count(churner.MARKER) < (2 if churner.MARKER in wanted else 1):
            assert time.monotonic() < deadline, f"active {wanted}, came {churner.messages}"
            if select.select([churner.client.sock], [], [], 0.1)[0]:
                self.read(churner)
        came = set(churner.messages)
        assert wanted <= came, f"subscriptions lost: {wanted - came}"
        assert came <= wanted | open_topics | {churner.MARKER}, f"not subscribed: {came - wanted - open_topics}"

    def drain(self):
        """Everybody comes back, publishers finish what they began, everything arrives. Then it is compared."""
        for actor in self.actors:
            actor.wants_online = True
        for producer in self.producers:
            producer.producing = False
        self.connect()
        self.run_until(lambda: all(p.is_done() for p in self.producers), 30,
                       lambda: {p.client_id: list(p.inflight.items())[:5] for p in self.producers})
        last = {p.client_id: max(p.acked, default=0) for p in self.publishers}
        left = {s: self.missing(s) for s in self.subscribers}
        seen = {s: 0 for s in self.subscribers}

        def is_complete(subscriber):
            left[subscriber].difference_update(subscriber.received[seen[subscriber]:])
            seen[subscriber] = len(subscriber.received)
            return not left[subscriber] and not subscriber.late and not subscriber.open_ids
        self.run_until(lambda: all([is_complete(s) for s in self.subscribers]), 60,
                       lambda: f"drained up to {last}; missing:" + "".join(
                           self.explain(s, m) for s in self.subscribers for m in sorted(left[s])[:5]))
        for subscriber in self.subscribers:
            self.compare(subscriber)
            subscriber.received.clear()
            subscriber.lives.clear()
        for producer in self.publishers:
            producer.acked.clear()
        for producer in self.producers:
            producer.producing = True

    def explain(self, subscriber, message):
        """Where in the run a message was lost: lives are counted from the first start."""
        name, number = message
        acked = next(p.acked[number] for p in self.publishers if p.client_id == name)
        near = [(n, life) for (who, n), life in zip(subscriber.received, subscriber.lives) if who == name]
        before, after = [x for x in near if x[0] < number][-1:], [x for x in near if x[0] > number][:1]
        return (f"\n  {subscriber.client_id}: {name} {number}, acknowledged in life {acked} of {self.node.starts}; "
                f"received before and after it, (number, life): {before}, {after}")

    def missing(self, subscriber):
        """Acknowledged to a publisher, not yet received by this subscriber."""
        wanted = {(p.client_id, n) for p in self.publishers for n in p.acked
                  if not subscriber.filter.startswith("crash/p/pub") or subscriber.filter == p.topic(n)}
        return wanted - set(subscriber.received)

    def compare(self, subscriber):
        by_publisher = collections.defaultdict(list)
        for name, number in subscriber.received:
            by_publisher[name].append(number)
        for publisher in self.publishers:
            numbers = by_publisher[publisher.client_id]
            first_seen = list(dict.fromkeys(numbers))
            where = f"{subscriber.client_id} from {publisher.client_id}"
            assert first_seen == sorted(first_seen) or is_mosquitto(), f"{where}: out of order: {around_disorder(first_seen)}"
            if subscriber.qos == 2 and publisher.qos == 2:
                twice = [n for n, times in collections.Counter(numbers).items() if times > 1]
                assert not twice, f"{where}: more than once with QoS 2: {twice[:10]}"


def around_disorder(numbers):
    at = next(i for i in range(1, len(numbers)) if numbers[i] < numbers[i - 1])
    return numbers[max(0, at - 5):at + 5]


class Crash(Case):
    def test_acknowledged_survives_kill_9(self):
        node = self.node(SETTINGS)
        world, sent, started = World(node, SEED), 0, time.monotonic()
        print(f"seed {SEED}", flush=True)
        try:
            world.connect()
            world.run_until(lambda: all(s.subscribed for s in world.subscribers) and world.churner.must_be_present, 20,
                            lambda: "subscriptions are not confirmed")
            while world.kills < KILLS:
                for _ in range(ROUND_KILLS):
                    world.run(world.rng.choice((0.005, 0.03, 0.1, 0.2)) * world.rng.random() * 2)
                    world.crash()
                    world.restart()
                    world.check_retained()
                    world.check_subscriptions()
                    for subscriber in world.fickle:
                        subscriber.wants_online = world.rng.random() < 0.5
                    world.connect()
                sent += sum(len(p.acked) for p in world.publishers)
                world.drain()
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}, kill {world.kills}: {error}") from error
        print(f"{world.kills} kills, {sent} acknowledged messages, {len(world.subscribers)} subscribers, "
              f"{time.monotonic() - started:.0f} s", flush=True)
        self.assertGreater(sent, KILLS, "the load was too small to show anything")

    def test_survives_kill_9_while_idle(self):
        """What was stored long before is there as well, and a second crash right after the first does no harm."""
        node = self.node(SETTINGS)
        with node.client() as client:
            client.connect("sleeper", [(wire.SESSION_EXPIRY, 3600)], clean=False)
            client.subscribe([("a/#", 1), ("b", 2)], expect=[1, 2])
            client.disconnect()
        with node.client() as client:
            client.connect()
            client.publish("a/1", b"one", qos=1)
            client.publish("b", b"two", qos=2)
            client.publish("r", b"kept", qos=1, retain=True)
        for _ in range(3):
            if is_mosquitto():
                node.stop()
            node.kill()
            node.start()
        sleeper = self.connected(node, "sleeper", [(wire.SESSION_EXPIRY, 3600)], clean=False)
        self.assertTrue(sleeper.connack.session_present)
        self.assertEqual([sleeper.recv_publish().payload for _ in range(2)], [b"one", b"two"])
        sleeper.subscribe("r")
        self.assertEqual(sleeper.recv_publish("r").payload, b"kept")


if __name__ == "__main__":
    unittest.main()
