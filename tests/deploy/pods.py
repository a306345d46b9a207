# SPDX-License-Identifier: Apache-2.0
"""Pods without Kubernetes: a network namespace with an address for each, all on one bridge in a namespace of its own, and
a name server that answers as a headless service's does. A pod that comes back has a new namespace and a new address.

The machine's own network is not touched. Sockets of the tests are made inside of the namespaces.
"""
import atexit
import ctypes
import os
import socket
import struct
import subprocess
import threading
import unittest

from engine import run

SUBNET = "10.77.0"
ZONE = "default.svc.cluster.local"
NAME = f"covey-headless.{ZONE}"
SRV_NAME = f"_cluster._tcp.{NAME}"
A, SRV, IN, NXDOMAIN = 1, 33, 1, 3
TTL = 5
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def inside(namespace, function):
    """What function returns when it runs in a network namespace: a socket that it makes stays there."""
    result = []

    def enter():
        try:
            fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
            try:
                if _libc.setns(fd, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(fd)
            result.append((function(), None))
        except BaseException as error:      # handed to the caller
            result.append((None, error))
    thread = threading.Thread(target=enter)     # a thread's namespace goes with it
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value


def connect(namespace, port, timeout):
    """A connection from inside of a pod to itself."""
    return inside(namespace, lambda: socket.create_connection(("127.0.0.1", port), timeout))


# ------------------------------------------------------------ names

def _labels(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def question(name, kind, ident=1):
    return struct.pack(">6H", ident, 0x0100, 1, 0, 0, 0) + _labels(name) + struct.pack(">2H", kind, IN)


def _read_question(packet):
    parts, at = [], 12
    while packet[at]:
        parts.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    kind = struct.unpack(">H", packet[at + 1:at + 3])[0]
    return ".".join(parts).lower(), kind, packet[12:at + 5]


class NameServer:
    """A and SRV records of the pods' headless service. pods: name -> address, for the tests to change."""

    def __init__(self, namespace, address, port):
        self.pods, self.port, self.is_silent, self.asked = {}, port, False, 0
        self.lock = threading.Lock()
        self.socket = inside(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, name, address):
        with self.lock:
            if address:
                self.pods[name] = address
            else:
                self.pods.pop(name, None)

    def _records(self, name, kind):
        """The answers; None: there is no such name."""
        with self.lock:
            pods = dict(self.pods)
        if name == NAME and pods:
            return [(A, socket.inet_aton(a)) for a in pods.values()] if kind == A else []
        if name == SRV_NAME and pods:
            return [(SRV, struct.pack(">3H", 0, 33, self.port) + _labels(f"{pod}.{NAME}")) for pod in pods] \
                if kind == SRV else []
        pod = name.removesuffix("." + NAME)
        if pod in pods:
            return [(A, socket.inet_aton(pods[pod]))] if kind == A else []
        return None

    def answer(self, packet):
        name, kind, asked = _read_question(packet)
        records = self._records(name, kind)
        code = NXDOMAIN if records is None else 0
        head = packet[:2] + struct.pack(">5H", 0x8580 | code, 1, len(records or []), 0, 0)
        return head + asked + b"".join(b"\xc0\x0c" + struct.pack(">2HIH", k, IN, TTL, len(data)) + data
                                       for k, data in records or [])

    def _serve(self):
        while True:
            try:
                packet, sender = self.socket.recvfrom(4096)
                self.asked += 1
                if not self.is_silent:
                    self.socket.sendto(self.answer(packet), sender)
            except (OSError, IndexError):
                if self.socket.fileno() < 0:
                    return


# ------------------------------------------------------------ the network

class Network:
    """A bridge in a namespace, with the name server; namespaces of pods come and go."""

    def __init__(self, port):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root may make network namespaces")
        self.prefix = f"covey-{os.getpid()}"
        self.hub = f"{self.prefix}-hub"
        self.spaces, self.made = [], 0
        atexit.register(self.remove)
        try:
            self._space(self.hub)
            run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        except (AssertionError, FileNotFoundError) as error:
            raise unittest.SkipTest(f"no network namespaces here: {str(error).strip().splitlines()[-1]}")
        run("ip", "-n", self.hub, "addr", "add", f"{SUBNET}.1/24", "dev", "br0")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")
        self.names = NameServer(self.hub, f"{SUBNET}.1", port)

    def _space(self, name):
        run("ip", "netns", "add", name)
        self.spaces.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def pod(self, address):
        """The name of a new namespace that has the address."""
        self.made += 1
        name, wire = f"{self.prefix}-{self.made}", f"veth{self.made}"
        folder = f"/etc/netns/{name}"       # `ip netns exec` puts its files over those of /etc
        os.makedirs(folder)
        with open(f"{folder}/resolv.conf", "w", encoding="utf-8") as file:
            file.write(f"nameserver {SUBNET}.1\nsearch {ZONE} svc.cluster.local cluster.local\noptions ndots:5\n")
        self._space(name)
        run("ip", "-n", self.hub, "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "-n", self.hub, "link", "set", wire, "master", "br0", "up")
        run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "route", "add", "default", "via", f"{SUBNET}.1")
        return name

    def drop(self, name):
        """A pod's network goes; processes that are still in it lose it."""
        self.spaces.remove(name)
        # Its wire first: a namespace itself lives for as long as a socket in it.
        subprocess.run(["ip", "-n", name, "link", "del", "eth0"], stderr=subprocess.DEVNULL, check=False)
        run("ip", "netns", "del", name)
        folder = f"/etc/netns/{name}"
        if os.path.isdir(folder):
            os.remove(f"{folder}/resolv.conf")
            os.rmdir(folder)

    def remove(self):
        for name in list(reversed(self.spaces)):
            self.drop(name)
        try:
            os.rmdir("/etc/netns")      # where it was not ours, it is not empty, or it does no harm to be gone
        except OSError:
            pass
