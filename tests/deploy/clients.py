# SPDX-License-Identifier: Apache-2.0
"""Clients of the tests of several nodes."""
import subprocess
import threading
import time

import wire
from mqttlib import PUBACK, V5, unique

WAIT = 20       # for what takes milliseconds on an idle machine


class Stream:
    """A publisher with QoS 1 that goes on whatever happens, with several messages under way; knows which of them were
    promised (acknowledged with success)."""
    WINDOW = 16
    PACE = 0.02     # what comes meanwhile has to fit into the queue of a session that is away: 1000 messages

    def __init__(self, client, topic):
        self.client, self.topic = client, topic
        self.sent, self.promised, self.refused = 0, set(), {}
        self.under_way, self.ends, self.error = {}, threading.Event(), None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            while not self.ends.is_set() or self.under_way:
                while len(self.under_way) < self.WINDOW and not self.ends.is_set():
                    pid = self.client.pid()
                    self.under_way[pid] = self.sent
                    self.client.send(wire.publish(self.topic, b"%d" % self.sent, 1, pid, version=V5))
                    self.sent += 1
                    time.sleep(self.PACE)
                ack = self.client.recv(PUBACK)
                number = self.under_way.pop(ack.pid)
                if ack.reason == 0:
                    self.promised.add(number)
                else:
                    self.refused[number] = ack.reason
        except BaseException as error:
            self.error = error

    def end(self):
        self.ends.set()
        self.thread.join(60)
        if self.error:
            raise self.error
        return self


def heard_by_mosquitto(sub_port, pub_port, qos):
    """What mosquitto_sub prints of three messages that mosquitto_pub sends to another node."""
    topic, lines = unique(), [f"payload {i}" for i in range(3)]
    sub = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-d", "-p", str(sub_port), "-q", str(qos), "-t", topic,
                            "-C", str(len(lines)), "-W", str(WAIT)], stdout=subprocess.PIPE, text=True)
    try:
        while "Subscribed" not in (line := sub.stdout.readline()):
            if not line:
                raise AssertionError("mosquitto_sub ended")
        subprocess.run(["mosquitto_pub", "-p", str(pub_port), "-q", str(qos), "-t", topic, "-l"], text=True, check=True,
                       input="\n".join(lines) + "\n", timeout=WAIT)
        return [line for line in sub.communicate(timeout=WAIT + 5)[0].splitlines() if line.startswith("payload")], lines
    finally:
        sub.kill()
        sub.wait()


def publish_until_promised(client, topic, payload):
    """With QoS 1; when the broker says that it cannot promise it now, once more, as a good client does."""
    deadline = time.monotonic() + WAIT
    while client.publish(topic, payload, 1, expect=range(256)).reason >= 0x80:
        if time.monotonic() > deadline:
            raise AssertionError(f"{payload} is not promised")
