# SPDX-License-Identifier: Apache-2.0
"""Much of everything: connections, announced bytes, levels, subscriptions, clients that do not read, takeovers. Each
test states by how many megabytes the broker may grow at most, and another client is served within a second all the
while. The number in a test's name is the row of the list of inputs that broke brokers."""
import re
import signal
import threading
import time

from harness import until
from hostile import HostileCase, cpu_seconds, descriptors_wanted, memory_kb, reset
from mqttlib import unique
from wire import *  # noqa: F403

CROWD = 10_000
CONNACK_OF_311 = b"\x20\x02\0\0"


class Announced(HostileCase):
    """Row 3: 256 MB announced and then nothing, on 10,000 connections. The packet size is set to the largest there is, so
    that nothing is refused for its size. 10 KB a connection are allowed, 2.5 TB were announced."""

    def setUp(self):
        descriptors_wanted(CROWD + 500)
        self.broker = self.node({"mqtt.max_packet_size": 268435456, "mqtt.idle_timeout": "60s"})

    def test_row_03_before_connect(self):
        with self.attack(self.broker, 100) as watch:
            crowd = self.crowd(self.broker, CROWD, b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x05")
            for _ in range(3):
                watch.check()
            for sock in crowd:
                reset(sock)
            watch.check()

    def test_row_03_after_connect(self):
        """The beginning of a large PUBLISH, with its topic and some of its payload."""
        hello = b"\x10\x0c\0\4MQTT\4\2\0\0\0\0"
        with self.attack(self.broker, 100) as watch:
            crowd = self.crowd(self.broker, CROWD, hello, answer=CONNACK_OF_311)
            for sock in crowd:
                sock.sendall(b"\x30\xff\xff\xff\x7f\0\1t" + b"x" * 200)
            for _ in range(3):
                watch.check()
            for sock in crowd:
                reset(sock)
            watch.check()

    def test_row_03_with_the_usual_limit(self):
        """The size is refused on its header, before any of the bytes: 0x95."""
        broker = self.node()
        with self.attack(broker, 5):
            for data in (b"\x30\xff\xff\xff\x7f", b"\x82\xff\xff\xff\x7f", b"\x40\xff\xff\xff\x7f"):
                client = self.connected(broker)
                client.send(data).expect_disconnect(0x95)
            sock = self.raw_socket(broker)
            sock.sendall(b"\x10\xff\xff\xff\x7f")
            self.assert_closed(sock, 2)

    def test_a_packet_of_256_mb(self):
        """One that really comes, to the last byte: taken and delivered, in no more memory than it and its delivery
        need, and given back."""
        with self.attack(self.broker, 1100) as watch:
            sub, pub, topic = self.connected(self.broker), self.connected(self.broker), unique()
            sub.subscribe(topic)
            sub.timeout = pub.timeout = 60
            length = 268435456 - 5      # the header counts too
            size = length - len(topic) - 3
            got = [0]

            def read():
                while got[0] < size:
                    got[0] += len(sub.sock.recv(1 << 20))
            sub.sock.settimeout(60)
            reader = threading.Thread(target=read)
            reader.start()
            head = bytes([0x30]) + varint(length) + text(topic) + b"\0"
            pub.send(head)
            block = b"x" * (1 << 20)
            for start in range(0, size, len(block)):
                pub.send(block[:min(len(block), size - start)])
                if start % (len(block) * 32) == 0:
                    watch.check()
            reader.join(60)
            self.assertGreaterEqual(got[0], size)


class Topics(HostileCase):
    def test_row_09_slashes(self):
        """65,535 slashes as topic, filter, retained topic and will: refused by the limit on levels, which is told; and
        with that limit as high as it goes, taken, without recursion and in proportion."""
        slashes, filter_ = "/" * 65535, "/+" * 32767
        broker = self.node()
        with self.attack(broker, 10):
            client = self.connected(broker)
            self.assertGreaterEqual(client.subscribe([slashes, filter_], expect=False).reasons[0], 0x80)
            for qos in (0, 1):
                other = self.connected(broker)
                other.send(publish(slashes, b"x", qos, 1 if qos else None), pingreq())
                found = other.take_all()
                self.assertTrue(found[0].type == DISCONNECT or found[0].type == PINGRESP or found[0].reason >= 0x80, found)
        broker = self.node({"mqtt.max_topic_levels": 65535})
        with self.attack(broker, 60) as watch:
            clients = [self.connected(broker) for _ in range(10)]
            for n, client in enumerate(clients):
                client.timeout = 30
                code = client.subscribe([filter_[:-2 * n] if n else filter_, "/" * (65535 - n), "+" + "/+" * (32000 + n)], expect=False).reasons
                self.assertTrue(all(c == 0 or c >= 0x80 for c in code))
            for retain in (False, True):
                clients[0].publish(slashes, b"x", qos=1, retain=retain)
                watch.check()
            for client in clients:
                for pkt in client.barrier():
                    self.assertEqual(pkt.topic, slashes)
            late = self.connected(broker)
            late.timeout = 30
            started = time.monotonic()
            late.subscribe(["#", filter_[:-4] + "/#"], expect=False)
            late.barrier()
            self.assertLess(time.monotonic() - started, 5)

    def test_row_09_a_million_subscriptions(self):
        """That differ in the last level, by one client: 250 bytes each are allowed."""
        count, batch, topic = 1_000_000, 20_000, unique()
        broker = self.node()
        with self.attack(broker, 250) as watch:
            client = self.connected(broker)
            client.timeout = 60
            for start in range(0, count, batch):
                filters = [(f"{topic}/{n}", 0) for n in range(start, start + batch)]
                client.send(subscribe(1, filters))
                self.assertEqual(set(client.recv(SUBACK).reasons), {0})
                if start % (batch * 10) == 0:
                    watch.check()
            for n in (0, 123_456, count - 1):
                watch.publisher.publish(f"{topic}/{n}", b"%d" % n)
                self.assertEqual(client.recv_publish().payload, b"%d" % n)
            started = time.monotonic()
            client.close()
            watch.check(3)
            again = self.connected(broker)
            watch.publisher.publish(f"{topic}/1", b"gone", qos=1)
            again.expect_nothing()
            print(f"    ended in {time.monotonic() - started:.1f} s")


class Readers(HostileCase):
    """Row 19: subscribers that do not read, or nearly not."""

    def test_row_19_never_reads(self):
        """500 MB for a client with a closed window: QoS 0 beyond mqtt.max_outbuf is dropped; another subscriber of the
        same topic gets every message."""
        broker = self.node({"mqtt.max_outbuf": 1 << 20})
        topic, got = unique(), [0]
        with self.attack(broker, 20) as watch:
            stuck = self.raw_socket(broker, receive_buffer=4096)
            stuck.sendall(connect("stuck") + subscribe(1, [(topic, 0)]))
            good = self.connected(broker)
            good.subscribe(topic, qos=1)
            good.timeout = 60
            messages, size, ahead = 2500, 200_000, threading.Semaphore(50)

            def read():
                for _ in range(messages):
                    good.seen.clear()
                    got[0] += len(good.recv_publish(topic).payload)
                    ahead.release()
            reader = threading.Thread(target=read)
            reader.start()
            for n in range(messages):
                self.assertTrue(ahead.acquire(timeout=60), "the reader does not get on")
                watch.publisher.publish(topic, b"x" * size, qos=1)
                if n % 250 == 0:
                    watch.check()
            reader.join(60)
            self.assertEqual(got[0], messages * size)

    def test_row_19_never_reads_qos_1(self):
        """The same with QoS 1 to a session: the queue holds mqtt.max_mqueue_len messages. The broker may drop the oldest
        for a new one, or refuse the new one with 0x97; what it acknowledged and did not drop arrives, in order."""
        broker = self.node({"mqtt.max_outbuf": 65536, "mqtt.max_mqueue_len": 100, "mqtt.max_inflight": 10})
        topic = unique()
        with self.attack(broker, 40) as watch:
            stuck = self.raw_socket(broker, receive_buffer=4096)
            stuck.sendall(connect("stuck", clean=False, props_=[(SESSION_EXPIRY, 100)]) + subscribe(1, [(topic, 1)]))
            while b"\x90" not in stuck.recv(1):     # the SUBACK
                pass
            taken = []
            for n in range(3000):
                done = watch.publisher.publish(topic, b"%06d" % n + b"x" * 50_000, qos=1, expect=(0, 0x97))
                taken += [n] if done.reason == 0 else []
                if n % 300 == 0:
                    watch.check()
            self.assertGreaterEqual(len(taken), 100)
            client = self.connected(broker, "stuck", [(SESSION_EXPIRY, 100)], clean=False)
            self.assertTrue(client.connack.session_present)
            client.timeout = 20
            found = []
            while not found or found[-1] != taken[-1]:
                found.append(int(client.recv_publish(topic).payload[:6]))
            if len(taken) == 3000:      # the oldest were dropped
                self.assertLessEqual(len(found), 112)
                self.assertEqual(found[-100:], list(range(2900, 3000)))
            else:
                self.assertEqual(found, taken)

    def test_row_19_ten_thousand_slow_readers(self):
        """10,000 subscribers with small windows that read a byte a second; 60 KB for each. 40 KB of each may stay in the
        broker. Everybody else is served."""
        descriptors_wanted(CROWD + 500)
        broker = self.node({"mqtt.max_outbuf": 32768})
        topic = unique()
        with self.attack(broker, 400) as watch:
            hello = b"".join((b"\x10\x0c\0\4MQTT\4\2\0\0\0\0", subscribe(1, [(topic, 0)], version=V311)))
            crowd = self.crowd(broker, CROWD, hello, receive_buffer=2304, answer=CONNACK_OF_311 + b"\x90\x03\0\1\0")
            idle_kb = memory_kb(broker, "VmRSS")
            for n in range(60):
                watch.publisher.publish(topic, b"x" * 1000, qos=1)
                if n % 10 == 0:
                    for sock in crowd[:: 20]:
                        sock.recv(1)
                    watch.check(3)      # one message to 10,000 sockets is itself a second's work on a small machine
            for _ in range(3):
                started = time.monotonic()
                for sock in crowd:
                    sock.recv(1)
                watch.check()
                time.sleep(max(0, 1 - (time.monotonic() - started)))
            before = cpu_seconds(broker)
            time.sleep(1)
            self.assertLess(cpu_seconds(broker) - before, 0.5, "busy though nobody reads")
            print(f"    {(idle_kb - 0) / 1024:.0f} MB with {CROWD} idle subscribers")
            for sock in crowd:
                reset(sock)
            watch.check(3)

    def test_row_19_keep_alive_ends_a_dead_peer(self):
        """A client that neither reads nor sends, as if its machine were gone, with its buffers full: after 1.5 times the
        keep alive its will is there and its connection gone."""
        broker = self.node()
        topic = unique()
        with self.attack(broker, 30) as watch:
            dead = self.raw_socket(broker, receive_buffer=4096)
            dead.sendall(connect("dead", keep_alive=1, will=Will("will/" + topic, b"dead")) + subscribe(1, [(topic, 0)]))
            watch.subscriber.subscribe("will/" + topic)
            for _ in range(40):
                watch.publisher.publish(topic, b"x" * 100_000, qos=1)
            self.assertEqual(watch.subscriber.take(lambda p: p.type == PUBLISH and p.topic == "will/" + topic, 4).payload, b"dead")
            self.assert_closed(dead, 5)


class KeepAlive(HostileCase):
    def test_row_20_largest_and_none(self):
        """65,535 seconds and 0: nobody is dropped, also not by a product of 1.5 that has gone over its type."""
        broker = self.node()
        clients = [self.connected(broker, connect={"keep_alive": k}, version=v) for v in VERSIONS for k in (65535, 43691, 0)]
        short = self.connected(broker, connect={"keep_alive": 1})
        short.expect_disconnect(0x8D, timeout=4)
        for client in clients:
            client.expect_nothing()

    def test_row_20_a_broker_that_stood_still(self):
        """Stopped for three seconds and continued: clients that kept sending meanwhile are not dropped for a silence that
        was the broker's own."""
        broker = self.node()
        clients = [self.connected(broker, connect={"keep_alive": 1}) for _ in range(20)]
        broker.process.send_signal(signal.SIGSTOP)
        for _ in range(6):
            time.sleep(0.5)
            for client in clients:
                client.send(pingreq())
        broker.process.send_signal(signal.SIGCONT)
        for client in clients:
            self.assertEqual([client.recv().type for _ in range(6)], [PINGRESP] * 6)


class Takeover(HostileCase):
    def test_row_21_storm(self):
        """One client id, 4,000 connections in turn from two addresses, with a session, a will and a subscription: the
        last one has the session, no message is lost, nothing grows."""
        broker = self.node({"mqtt.max_mqueue_len": 0})
        topic, count = unique(), 2000
        owner = self.connected(broker, "storm", [(SESSION_EXPIRY, 300)], clean=False)
        owner.subscribe(topic, qos=1)

        def connects():
            text_ = broker.cli("ctl", "broker", "metrics").stdout
            return int(re.search(r"packets\.connect\.received\s*: (\d+)", text_).group(1))
        before = connects()
        hello = connect("storm", clean=False, props_=[(SESSION_EXPIRY, 300)], will=Will("storm/will", b"x", props=[(WILL_DELAY, 60)]))
        with self.attack(broker, 30) as watch:
            sent, failures = 0, []

            def storm(source):
                last = None
                try:
                    for _ in range(count):
                        sock = self.raw_socket(broker, source=source)
                        sock.sendall(hello)
                        if last is not None:
                            last.close()
                        last = sock
                except OSError as error:
                    failures.append(error)
            threads = [threading.Thread(target=storm, args=(a,)) for a in ("127.0.0.1", "127.0.0.2")]
            started = time.monotonic()
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                watch.publisher.publish(topic, b"%d" % sent, qos=1)
                sent += 1
                watch.check()
            self.assertEqual(failures, [])
            print(f"    {2 * count / (time.monotonic() - started):.0f} takeovers a second")
            # What still stands before another worker would take the session from the last one.
            until(lambda: connects() - before >= 2 * count, 20, "not all of the storm arrives")
            last = self.connected(broker, "storm", [(SESSION_EXPIRY, 300)], clean=False)
            self.assertTrue(last.connack.session_present)
            got = set()
            while len(got) < sent:
                got.add(int(last.recv_publish(topic).payload))      # fails in time when one is missing
            last.barrier()
