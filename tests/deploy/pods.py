# SPDX-License-Identifier: Apache-2.0
"""Pods without Kubernetes: a network namespace with an address for each, all on one bridge in a namespace of its own, and
a name server that answers as a headless service's does. A pod that comes back has a new namespace and a new address.

The machine's own network is not touched. Sockets of the tests are made inside of the namespaces.
"""
import os
import socket
import struct
import threading

from netns import Bridge, inside

SUBNET = "10.77.0"
ZONE = "default.svc.cluster.local"
NAME = f"covey-headless.{ZONE}"
SRV_NAME = f"_cluster._tcp.{NAME}"
A, SRV, IN, NXDOMAIN = 1, 33, 1, 3
TTL = 5


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

class Network(Bridge):
    """With a name server at the bridge's address."""

    def __init__(self, port):
        super().__init__(SUBNET)
        self.names = NameServer(self.hub, f"{SUBNET}.1", port)

    def pod(self, address):
        """The name of a new namespace that has the address."""
        name = self.next_name()
        folder = f"/etc/netns/{name}"       # `ip netns exec` puts its files over those of /etc
        os.makedirs(folder)
        with open(f"{folder}/resolv.conf", "w", encoding="utf-8") as file:
            file.write(f"nameserver {SUBNET}.1\nsearch {ZONE} svc.cluster.local cluster.local\noptions ndots:5\n")
        return self.space(address, name)

    def drop(self, name):
        super().drop(name)
        folder = f"/etc/netns/{name}"
        if os.path.isdir(folder):
            os.remove(f"{folder}/resolv.conf")
            os.rmdir(folder)

    def remove(self):
        super().remove()
        try:
            os.rmdir("/etc/netns")      # where it was not ours, it is not empty, or it does no harm to be gone
        except OSError:
            pass
