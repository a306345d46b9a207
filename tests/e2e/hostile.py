# SPDX-License-Identifier: Apache-2.0
"""What the test_hostile_*.py files share: a watch over the broker while somebody attacks it.

    with self.attack(node, grow_mb_max=20) as watch:
        ...                     # connections, packets
        watch.check()           # another client is served within a second
    # afterwards: served once more, alive, and its memory never grew by more than that
"""
import contextlib
import resource
import socket
import struct
import time

import harness
import wire
from harness import Case
from mqttlib import unique
from wire import V5

ROUND_TRIP_SECONDS_MAX = 1.0


def memory_kb(node, field):
    """VmRSS, or VmHWM, the largest VmRSS since reset_peak()."""
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field + ":"))


def reset_peak(node):
    with open(f"/proc/{node.process.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def cpu_seconds(node):
    with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def descriptors_wanted(count):
    """Raises this process's limit of open files; skips the test where the system does not allow so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        raise harness.unittest.SkipTest(f"needs {count} open files, {hard} allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


class Watch:
    """A well-behaved pair of clients that measures how it is served."""

    def __init__(self, case, node):
        self.node, self.topic = node, unique("watch")
        self.publisher, self.subscriber = case.connected(node), case.connected(node)
        self.subscriber.timeout = self.publisher.timeout = 20
        self.subscriber.subscribe(self.topic, qos=1)
        self.count, self.slowest = 0, 0.0

    def check(self, seconds_max=ROUND_TRIP_SECONDS_MAX):
        """A message goes from one to the other in time."""
        assert self.node.is_alive(), f"the broker died:\n{self.node.log()[-3000:]}"
        self.count += 1
        payload = b"%d" % self.count
        started = time.monotonic()
        self.publisher.publish(self.topic, payload, qos=1)
        while self.subscriber.recv_publish(self.topic).payload != payload:
            pass
        took = time.monotonic() - started
        self.slowest = max(self.slowest, took)
        assert took < seconds_max, f"a bystander's message took {took:.2f} s"


class HostileCase(Case):
    @contextlib.contextmanager
    def attack(self, node, grow_mb_max, base_kb=None):
        """grow_mb_max: by how much the broker's resident memory may exceed what it was before, at any moment."""
        watch = Watch(self, node)
        watch.check()
        before = base_kb or memory_kb(node, "VmRSS")
        reset_peak(node)
        yield watch
        watch.check()
        self.grown_mb = (memory_kb(node, "VmHWM") - before) / 1024
        print(f"    memory +{self.grown_mb:.1f} MB of {grow_mb_max}, slowest round trip {watch.slowest * 1000:.0f} ms")
        self.assertLess(self.grown_mb, grow_mb_max, "MB of memory")

    def raw_socket(self, node, port=None, receive_buffer=None, source=None, timeout=10):
        """A bare TCP connection, closed at the end of the test."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", port or node.port))
        self.addCleanup(sock.close)
        return sock

    def crowd(self, node, count, hello, receive_buffer=None, answer=b""):
        """So many connections that each send hello; each must be answered with the bytes, where given."""
        found = []
        for start in range(0, count, 500):
            part = [self.raw_socket(node, receive_buffer=receive_buffer) for _ in range(min(500, count - start))]
            for index, sock in enumerate(part):
                sock.sendall(hello(start + index) if callable(hello) else hello)
            for sock in part:
                got = b""
                while len(got) < len(answer):
                    more = sock.recv(len(answer) - len(got))
                    assert more, f"closed after {got!r}"
                    got += more
                assert got == answer, got
            found += part
        return found

    def assert_closed(self, sock, seconds=5):
        """The broker ends the connection, whatever it says before; that is returned."""
        deadline, got = time.monotonic() + seconds, b""
        while True:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                more = sock.recv(65536)
            except ConnectionResetError:
                return got
            except (TimeoutError, socket.timeout):
                self.fail(f"connection still open after {seconds} s; it sent {got[:100]!r}")
            if not more:
                return got
            got += more

    def refused(self, node, data, *reasons, version=V5):
        """A connected client sends this: DISCONNECT with one of the reasons (v5), then closed."""
        client = self.connected(node, version=version)
        client.send(data, wire.pingreq())
        found = client.expect_disconnect(*reasons)
        client.close()
        return found

    def refused_connect(self, node, data, *reasons, version=V5):
        """A fresh connection sends this: a CONNACK with one of the reasons or nothing, then closed."""
        client = node.client(version=version)
        self.addCleanup(client.close)
        client.send(data, wire.pingreq())
        found = client.expect_closed(allow=(wire.CONNACK,))
        self.assertTrue(all(p.reason in reasons if reasons else p.reason for p in found), found)
        client.close()
        return found


def reset(sock):
    """Ends a connection with RST, which leaves no TIME_WAIT behind."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
