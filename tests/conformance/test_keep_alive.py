# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapters 3.1.2.10 and 3.2.2.3.14: keep alive. The clients of a test wait at the same time, because only
real time can show what these statements ask for."""
import time

from mqttlib import *
from suite import Case, statement


class KeepAliveCase(Case):
    def time_until_closed(self, clients, limit):
        """Reads from all of them in turn; {client: seconds after which it was closed} for those that were."""
        start, closed = time.monotonic(), {}
        while len(closed) < len(clients) and time.monotonic() - start < limit:
            for c in clients:
                if c not in closed:
                    c._pull(time.monotonic() + 0.02)
                    if c.eof:
                        closed[c] = time.monotonic() - start
        return closed

    def check_end(self, c, closed, low=1.3, high=3.0):
        """Closed after 1.5 times the interval, with some grace; v5 with DISCONNECT 0x8D."""
        self.assertIn(c, closed, "still connected")
        self.assertGreater(closed[c], low)
        self.assertLess(closed[c], high)
        c.expect_disconnect(0x8D)


class KeepAlive(KeepAliveCase):
    @statement("MQTT-3.1.2-22", "MQTT-3.2.2-22", "MQTT3-3.1.2-24", "MQTT-3.1.2-8")
    def test_silent_clients_are_dropped(self):
        """All versions; their wills are published. Silence in the middle of a packet counts as well; clients with
        keep alive 0 or a long one stay."""
        w, topic = self.client(), unique("will")
        w.subscribe(topic, qos=1)
        short = [self.client(version=v, keep_alive=1, will=Will(topic, b"%d" % v, 1)) for v in VERSIONS]
        cut = self.client(keep_alive=1, will=Will(topic, b"cut", 1))
        cut.send(publish("t", b"x" * 1000)[:500])
        stay = [self.client(version=v, keep_alive=k) for v in VERSIONS for k in (0, 10, 65535)]
        closed = self.time_until_closed(short + [cut], 5)
        for c in short + [cut]:
            self.check_end(c, closed)
        self.assertEqual({w.recv_publish(topic).payload for _ in range(4)}, {b"3", b"4", b"5", b"cut"})
        for c in stay:
            c.expect_nothing()

    @statement("MQTT-3.1.2-22", "MQTT3-3.1.2-24", "MQTT-3.12.4-1")
    def test_any_packet_keeps_alive(self):
        """PINGREQ, PUBLISH or an acknowledgement every 0.9 s is enough; what the server sends is not."""
        talkers = {self.client(version=V5, keep_alive=1): lambda c: c.send(pingreq()),
                   self.client(version=V311, keep_alive=1): lambda c: c.send(publish("x/y", b"x", version=V311)),
                   self.client(version=V5, keep_alive=1): lambda c: c.send(publish("x/y", b"x")),
                   self.client(version=V31, keep_alive=1): lambda c: c.send(pingreq()),
                   self.client(version=V5, keep_alive=1): lambda c: c.subscribe("some/filter")}
        pub, listener, topic = self.client(), self.client(keep_alive=1), unique()
        listener.subscribe(topic)
        start, ended = time.monotonic(), None
        for _ in range(4):
            pub.publish(topic, b"tick")
            for c, talk in talkers.items():
                talk(c)
            until = time.monotonic() + 0.9
            while time.monotonic() < until:
                if not listener.eof:
                    listener._pull(until)
                    ended = time.monotonic() - start if listener.eof else None
                else:
                    pub._pull(until)
        for c in talkers:
            c.barrier()
        self.assertTrue(listener.eof, "a client that only receives is still connected")
        self.assertGreater(ended, 1.3)
        listener.expect_disconnect(0x8D, allow=(PUBLISH,))


class ServerKeepAlive(KeepAliveCase):
    settings = {"server_keep_alive": "1s"}

    @statement("MQTT-3.2.2-21", "MQTT-3.2.2-22")
    def test_server_keep_alive_rules(self):
        """It is announced to v5 clients whatever they asked for, and they are timed by it; others keep their own."""
        asked = [self.client(keep_alive=k) for k in (0, 60, 65535)]
        for c in asked:
            self.assertEqual(c.connack.prop(SERVER_KEEP_ALIVE), 1)
        old = self.client(version=V311, keep_alive=60)
        closed = self.time_until_closed(asked, 5)
        for c in asked:
            self.check_end(c, closed)
        old.expect_nothing()

    @statement("MQTT-3.2.2-22")
    def test_default_is_the_clients_own(self):
        """Without the setting, the value of the client stands: nothing is announced for a keep alive of 60."""
        c = self.client(keep_alive=60, on=self.own_broker({}))
        self.assertIn(c.connack.prop(SERVER_KEEP_ALIVE), (None, 60))
