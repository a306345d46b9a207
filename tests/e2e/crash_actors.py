# SPDX-License-Identifier: Apache-2.0
"""Clients that live through crashes of the broker. Each keeps, as a careful client does, what MQTT asks it to keep
over a broken connection, and besides what it may later demand: what was acknowledged to it, what it has received.

They do not block: a loop calls on_packets() with what has come, and step() to let them go on. lost() tells them
that the connection is gone.
"""
import collections

import wire
from wire import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, V5

SESSION = [(wire.SESSION_EXPIRY, 3600)]


class Actor:
    def __init__(self, node, client_id, version, rng):
        self.node, self.client_id, self.version, self.rng = node, client_id, version, rng
        self.client, self.must_be_present, self.wants_online = None, False, True

    def connect(self):
        """Connects with a session that is kept. Raises OSError or AssertionError when the broker is not there."""
        client = self.node.client(version=self.version, timeout=20)
        try:
            connack = client.connect(self.client_id, SESSION if self.version == V5 else (), clean=False)
        except BaseException:
            client.close()
            raise
        assert connack.session_present or not self.must_be_present, f"{self.client_id}: the session is lost"
        self.client = client
        self.on_connected(connack.session_present)

    def lost(self):
        if self.client:
            self.client.close()
            self.client = None

    def send(self, *chunks):
        try:
            self.client.send(*chunks)
        except OSError:
            pass    # reading will show it

    def on_connected(self, session_present):
        raise NotImplementedError

    def on_packets(self, packets):
        raise NotImplementedError

    def step(self):
        """May send something new."""


class Publisher(Actor):
    """Sends numbered messages with a window of unacknowledged ones. acked holds the numbers for which the broker has
    taken the responsibility: PUBACK for QoS 1, PUBREC for QoS 2."""

    def __init__(self, node, client_id, version, rng, qos, window=20):
        super().__init__(node, client_id, version, rng)
        self.qos, self.window, self.next_number, self.producing = qos, window, 1, True
        self.inflight = collections.OrderedDict()   # packet id -> [number, released, payload]
        self.acked, self.pid = {}, 0      # acked: number -> in which life of the broker

    def topic(self, _number):
        return f"crash/p/{self.client_id}"

    def payload(self, number):
        size = self.rng.choice((0, 10, 100, 600, 600, 20000 if self.rng.random() < 0.1 else 0))
        return f"{self.client_id} {number} ".encode() + b"x" * size

    retain = False

    def message(self, pid, dup):
        number, _, payload = self.inflight[pid]
        return wire.publish(self.topic(number), payload, self.qos, pid, self.retain, dup, (), self.version)

    def on_connected(self, session_present):
        for pid, (_, released, _) in self.inflight.items():
            self.send(wire.ack(PUBREL, pid) if released else self.message(pid, session_present))

    def on_packets(self, packets):
        for packet in packets:
            assert packet.type in (PUBACK, PUBREC, PUBCOMP), f"{self.client_id} got {packet!r}"
            entry = self.inflight.get(packet.pid)
            assert entry, f"{self.client_id}: {packet!r} for nothing in flight"
            if packet.type in (PUBACK, PUBREC):
                assert packet.reason in (0, 0x10), f"{self.client_id}: {packet!r}"
                self.acked.setdefault(entry[0], self.node.starts)
                self.must_be_present = True
            if packet.type == PUBREC:
                entry[1] = True
                self.send(wire.ack(PUBREL, packet.pid))
            else:
                # 0x92 is right when the PUBCOMP of a PUBREL that we send again was lost with the broker.
                assert packet.type == PUBACK or packet.reason in (0, 0x92), f"{self.client_id}: {packet!r}"
                del self.inflight[packet.pid]

    def step(self):
        if not self.producing:
            return
        chunks = []
        for _ in range(self.rng.randint(0, self.window)):
            if len(self.inflight) >= self.window:
                break
            self.pid = self.pid % 65535 + 1
            while self.pid in self.inflight:
                self.pid = self.pid % 65535 + 1
            self.inflight[self.pid] = [self.next_number, False, self.payload(self.next_number)]
            chunks.append(self.message(self.pid, False))
            self.next_number += 1
        if chunks:
            self.send(*chunks)

    def is_done(self):
        return not self.producing and not self.inflight


class RetainedPublisher(Publisher):
    """Each message is a retained one on one of a few topics; every fifth of a topic deletes what is there."""
    TOPICS = 5
    retain = True

    def topic(self, number):
        return f"crash/r/{number % self.TOPICS}"

    def payload(self, number):
        return b"" if number // self.TOPICS % 5 == 4 else str(number).encode()

    def allowed(self):
        """{topic: payloads that the broker may hold now}: of the last acknowledged message or of any later one."""
        found = {}
        for index in range(self.TOPICS):
            numbers = [n for n in range(1, self.next_number) if n % self.TOPICS == index]
            done = max((n for n in numbers if n in self.acked), default=0)
            found[f"crash/r/{index}"] = {self.payload(n) for n in numbers if n >= done} | ({b""} if not done else set())
        return found


class Subscriber(Actor):
    """Receives and remembers in the order of arrival; follows the QoS 2 protocol, also over a crash."""

    def __init__(self, node, client_id, version, rng, qos, topic_filter):
        super().__init__(node, client_id, version, rng)
        self.qos, self.filter = qos, topic_filter
        self.subscribed, self.received, self.lives, self.late = False, [], [], []     # lives: of each one received
        self.open_ids = {}      # QoS 2 packet id -> the message that came with it, until its PUBREL

    def on_connected(self, session_present):
        if not session_present:
            self.open_ids.clear()
        self.late.clear()   # acknowledgements that were not sent: the broker will ask again
        if not self.subscribed:
            self.send(wire.subscribe(1, [(self.filter, self.qos)], (), self.version))

    def on_packets(self, packets):
        for packet in packets:
            if packet.type == SUBACK:
                assert packet.reasons == [self.qos], f"{self.client_id}: {packet!r}"
                self.subscribed = self.must_be_present = True
            elif packet.type == PUBLISH:
                self.on_publish(packet)
            elif packet.type == PUBREL:
                known = packet.pid in self.open_ids
                self.open_ids.pop(packet.pid, None)
                self.late.append(wire.ack(PUBCOMP, packet.pid, *([] if known or self.version != V5 else [0x92])))
            else:
                raise AssertionError(f"{self.client_id} got {packet!r}")

    def on_publish(self, packet):
        name, number, _ = packet.payload.split(b" ", 2)
        message = (name.decode(), int(number))
        if packet.qos < 2:
            self.received.append(message)
            self.lives.append(self.node.starts)
            if packet.qos == 1:
                self.late.append(wire.ack(PUBACK, packet.pid))
            return
        # A packet id stands for one message until it is released, whatever happens to the broker [MQTT-4.3.3-1].
        known = self.open_ids.get(packet.pid)
        assert known in (None, message), f"{self.client_id}: {packet!r} while {packet.pid} is {known}"
        if known is None:
            self.open_ids[packet.pid] = message
            self.received.append(message)
            self.lives.append(self.node.starts)
        self.late.append(wire.ack(PUBREC, packet.pid))

    def step(self):
        # Acknowledgements now and then leave a little later, so that a crash finds unacknowledged messages.
        if self.late and self.rng.random() < 0.7:
            self.send(*self.late)
            self.late.clear()


class Churner(Actor):
    """Subscribes and unsubscribes all the time. active and gone hold what SUBACK and UNSUBACK have confirmed; what is
    in neither is open."""
    MARKER = "crash/c/marker"

    def __init__(self, node, client_id, version, rng):
        super().__init__(node, client_id, version, rng)
        self.active, self.gone, self.open = set(), set(), {}
        self.number = self.pid = 0
        self.messages, self.round = [], b""     # topics of messages whose payload is round; others are from before

    def request(self, topic, add):
        self.pid = self.pid % 65535 + 1
        self.active.discard(topic)
        self.gone.discard(topic)
        self.open[self.pid] = (topic, add)
        self.send(wire.subscribe(self.pid, [(topic, 1)], (), self.version) if add
                  else wire.unsubscribe(self.pid, [topic], (), self.version))

    def on_connected(self, session_present):
        if not self.must_be_present:
            self.request(self.MARKER, True)
            return
        unclear, self.open = list(self.open.values()), {}
        for topic, add in unclear:
            self.request(topic, add)

    def on_packets(self, packets):
        for packet in packets:
            if packet.type == PUBLISH:
                if packet.payload == self.round:
                    self.messages.append(packet.topic)
                if packet.qos:
                    self.send(wire.ack(PUBACK, packet.pid))
                continue
            assert packet.type in (SUBACK, UNSUBACK), f"{self.client_id} got {packet!r}"
            topic, add = self.open.pop(packet.pid)
            assert add == (packet.type == SUBACK), f"{self.client_id}: {packet!r}"
            (self.active if add else self.gone).add(topic)
            self.must_be_present = self.must_be_present or topic == self.MARKER

    def step(self):
        if len(self.open) >= 3 or self.MARKER not in self.active:
            return
        others = sorted(self.active - {self.MARKER})
        if len(others) > 4 or (others and self.rng.random() < 0.3):
            self.request(self.rng.choice(others), False)
        else:
            self.number += 1
            self.request(f"crash/c/{self.number}", True)
        while len(self.gone) > 4:   # what has been gone for long is forgotten
            self.gone.remove(min(self.gone, key=lambda t: int(t.rsplit("/", 1)[1])))
