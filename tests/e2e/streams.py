# SPDX-License-Identifier: Apache-2.0
"""A publisher that goes on whatever happens, and a subscriber that counts."""
import threading
import time

import wire
from mqttlib import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL

WAIT = 20       # for what takes milliseconds on an idle machine


class Stream:
    """Publishes numbers with QoS 1 or 2, several messages under way; knows which of them were promised (acknowledged
    with success)."""
    WINDOW = 16

    def __init__(self, client, topic, qos=1, pace=0.02):
        """pace: seconds between two messages; what comes while a session is away has to fit into its queue."""
        self.client, self.topic, self.qos, self.pace = client, topic, qos, pace
        self.sent, self.promised, self.refused = 0, set(), {}
        self.under_way, self.ends, self.error = {}, threading.Event(), None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.ends.is_set() or self.under_way:
                while len(self.under_way) < self.WINDOW and not self.ends.is_set():
                    pid = self.client.pid()
                    self.under_way[pid] = self.sent
                    self.client.send(wire.publish(self.topic, b"%d" % self.sent, self.qos, pid,
                                                  version=self.client.version))
                    self.sent += 1
                    time.sleep(self.pace)
                self._on_ack(self.client.take(what="an acknowledgement", timeout=WAIT))
        except BaseException as error:
            self.error = error

    def _on_ack(self, ack):
        if ack.type not in (PUBACK, PUBREC, PUBCOMP):
            raise AssertionError(f"unexpected {ack!r}")
        if ack.type == PUBREC and ack.reason < 0x80:
            self.promised.add(self.under_way[ack.pid])
            self.client.send(wire.ack(PUBREL, ack.pid))
            return
        number = self.under_way.pop(ack.pid)
        if ack.reason >= 0x80:
            self.refused[number] = ack.reason
        elif ack.type == PUBACK:
            self.promised.add(number)

    def end(self):
        self.ends.set()
        self.thread.join(60)
        if self.error:
            raise self.error
        return self


class Numbers:
    """What a subscriber with one client id gets of a stream, over all of its connections."""

    def __init__(self):
        self.got = []           # in the order of arrival
        self.open = set()       # packet ids of QoS 2 messages that are not released
        self.doubles = 0

    def take(self, client, seconds):
        """What is there or comes within this time (it returns with the first packets)."""
        for pkt in client.poll(seconds):
            if pkt.type == PUBREL:
                self.open.discard(pkt.pid)
                client.send(wire.ack(PUBCOMP, pkt.pid))
            elif pkt.type == PUBLISH:
                self._on_publish(client, pkt)

    def _on_publish(self, client, pkt):
        if pkt.qos == 1:
            client.send(wire.ack(PUBACK, pkt.pid))
        elif pkt.qos == 2:
            client.send(wire.ack(PUBREC, pkt.pid))
            if pkt.pid in self.open:
                self.doubles += 1       # the same packet once more [MQTT-4.3.3-10]
                return
            self.open.add(pkt.pid)
        self.got.append(int(pkt.payload))

    def await_all(self, client, wanted, seconds=WAIT):
        deadline = time.monotonic() + seconds
        while not wanted <= set(self.got):
            if client.eof or time.monotonic() > deadline:
                raise AssertionError(f"missing {sorted(wanted - set(self.got))[:20]} of {len(wanted)}")
            self.take(client, 0.2)

    def firsts(self):
        return list(dict.fromkeys(self.got))


def publish_until_promised(client, topic, payload):
    """With QoS 1; when the broker says that it cannot promise it now, once more, as a good client does."""
    deadline = time.monotonic() + WAIT
    while client.publish(topic, payload, 1, expect=range(256)).reason >= 0x80:
        if time.monotonic() > deadline:
            raise AssertionError(f"{payload} is not promised")
