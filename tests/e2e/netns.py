# SPDX-License-Identifier: Apache-2.0
"""Network namespaces with an address each, on one bridge in a namespace of its own. Their wires can be cut. The machine's
own network is not touched; sockets of the tests are made inside of the namespaces."""
import atexit
import ctypes
import os
import socket
import subprocess
import threading
import unittest

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def enter(namespace):
    """This thread, or this process before it runs another program, is in the namespace from now on."""
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if _libc.setns(fd, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)


def inside(namespace, function):
    """What function returns when it runs in a network namespace: a socket that it makes stays there."""
    result = []

    def run():
        try:
            enter(namespace)
            result.append((function(), None))
        except BaseException as error:      # handed to the caller
            result.append((None, error))
    thread = threading.Thread(target=run)       # a thread's namespace goes with it
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value


def connect(namespace, port, timeout):
    """A connection from inside of a namespace to itself."""
    return inside(namespace, lambda: socket.create_connection(("127.0.0.1", port), timeout))


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Bridge:
    """subnet: the first three numbers of its addresses; .1 is the bridge itself."""

    def __init__(self, subnet):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root may make network namespaces")
        self.subnet = subnet
        self.prefix = f"covey-{os.getpid()}"
        self.hub = f"{self.prefix}-hub"
        self.spaces, self.made = {}, 0      # name -> its end of the wire on the bridge
        atexit.register(self.remove)
        try:
            self._make(self.hub, None)
            ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
        except OSError as error:
            raise unittest.SkipTest(f"no network namespaces here: {error}")
        ip("-n", self.hub, "addr", "add", f"{subnet}.1/24", "dev", "br0")
        ip("-n", self.hub, "link", "set", "br0", "up")

    def _make(self, name, wire):
        ip("netns", "add", name)
        self.spaces[name] = wire
        ip("-n", name, "link", "set", "lo", "up")

    def next_name(self):
        self.made += 1
        return f"{self.prefix}-{self.made}"

    def space(self, address, name=None):
        """The name of a new namespace that has the address."""
        name = name or self.next_name()
        wire = f"veth{self.made}"
        self._make(name, wire)
        ip("-n", self.hub, "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", self.hub, "link", "set", wire, "master", "br0", "up")
        ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "route", "add", "default", "via", f"{self.subnet}.1")
        return name

    def cut(self, name):
        """Nothing goes to it or comes from it, and nobody is told."""
        ip("-n", self.hub, "link", "set", self.spaces[name], "nomaster")

    def mend(self, name):
        ip("-n", self.hub, "link", "set", self.spaces[name], "master", "br0")

    def drop(self, name):
        """Processes that are still in it lose their network."""
        self.spaces.pop(name)
        # Its wire first: a namespace itself lives for as long as a socket in it.
        subprocess.run(["ip", "-n", name, "link", "del", "eth0"], stderr=subprocess.DEVNULL, check=False)
        ip("netns", "del", name)

    def remove(self):
        for name in list(reversed(list(self.spaces))):
            self.drop(name)
