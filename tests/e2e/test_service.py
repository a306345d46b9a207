# SPDX-License-Identifier: Apache-2.0
"""The node under a service manager: what it tells systemd (sd_notify(3)), its watchdog, the unit file, the journal."""
import ctypes
import os
import re
import shutil
import socket
import subprocess
import unittest

import harness
from cluster import Cluster
from harness import ROOT, Case, until

UNIT = os.path.join(ROOT, "deploy", "systemd", "covey.service")
WAIT = 30       # for what takes milliseconds on an idle machine
EXPOSURE_MAX = 2.0
PTRACE_ATTACH, PTRACE_DETACH = 16, 17


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, case, address=None):
        self.address = address or os.path.join(harness.scratch("covey-notify-"), "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.address[1:] if self.address[0] == "@" else self.address)
        case.addCleanup(self.socket.close)
        self.said = []

    def look(self, seconds=0.0):
        """Takes in what has come, waiting so long for the first."""
        self.socket.settimeout(seconds or 0.001)
        try:
            while True:
                self.said += self.socket.recv(4096).decode().split("\n")
                self.socket.settimeout(0.001)
        except (TimeoutError, BlockingIOError):
            return self.said

    def wait_for(self, line, times=1):
        until(lambda: self.look().count(line) >= times, WAIT, lambda: f"{line} in {self.said}")


class Notify(Case):
    def setUp(self):
        self.needs_covey()

    def test_ready_and_stopping(self):
        for address in (None, f"@covey-test-{os.getpid()}"):
            manager = Manager(self, address)
            node = self.node(env={"NOTIFY_SOCKET": manager.address})
            manager.wait_for("READY=1")
            self.assertNotIn("STOPPING=1", manager.look())
            self.assertNotIn("WATCHDOG=1", manager.look())      # nobody has asked for it
            self.assertEqual(node.stop(), 0)
            self.assertEqual(manager.look().count("STOPPING=1"), 1)
            self.assertEqual(manager.look().count("READY=1"), 1)

    def test_reload(self):
        manager = Manager(self)
        node = self.node(env={"NOTIFY_SOCKET": manager.address})
        manager.wait_for("READY=1")
        self.assertEqual(node.cli("ctl", "reload").returncode, 0)
        manager.wait_for("READY=1", 2)
        kinds = [line for line in manager.said if line in ("READY=1", "RELOADING=1")]
        self.assertEqual(kinds, ["READY=1", "RELOADING=1", "READY=1"])
        self.assertRegex("\n".join(manager.said), r"\nMONOTONIC_USEC=[0-9]+\n")

    def test_ready_means_that_clients_can_connect(self):
        manager = Manager(self)
        node = self.node(env={"NOTIFY_SOCKET": manager.address}, start=False).spawn()
        manager.wait_for("READY=1")
        self.connected(node)
        self.assertEqual(node.cli("ping").returncode, 0)

    def test_a_node_that_does_not_start_is_never_ready(self):
        manager = Manager(self)
        with socket.create_server(("127.0.0.1", 0)) as other:
            node = self.node({"listeners.tcp.default.bind": f"127.0.0.1:{other.getsockname()[1]}"}, start=False,
                             env={"NOTIFY_SOCKET": manager.address}).spawn()
            self.assertEqual(node.process.wait(WAIT), 1)
        self.assertNotIn("READY=1", manager.look())

    def test_an_address_that_is_none_does_not_stop_the_start(self):
        for address in ("", "relative", "/nonexistent/socket", "/" + "x" * 200):
            node = self.node(env={"NOTIFY_SOCKET": address})
            self.assertEqual(node.stop(), 0)


class Watchdog(Case):
    def setUp(self):
        self.needs_covey()

    def watched(self, usec, pid=None):
        manager = Manager(self)
        env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(usec), **({"WATCHDOG_PID": pid} if pid else {})}
        node = self.node(env=env)
        manager.wait_for("READY=1")
        return node, manager

    def test_is_fed(self):
        _, manager = self.watched(300000)
        manager.wait_for("WATCHDOG=1", 5)

    def test_that_is_anothers_is_not(self):
        node, manager = self.watched(30000, pid="1")
        self.assertNotIn("WATCHDOG=1", manager.look(0.3))

    def test_is_not_fed_while_a_worker_is_stuck(self):
        node, manager = self.watched(300000)
        manager.wait_for("WATCHDOG=1")
        tasks = f"/proc/{node.process.pid}/task"
        thread = next(int(t) for t in os.listdir(tasks) if self.name_of(f"{tasks}/{t}") == "worker 1")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(PTRACE_ATTACH, thread, None, None) != 0:
            self.skipTest(f"a thread cannot be held here: {os.strerror(ctypes.get_errno())}")
        until(lambda: self.state_of(f"{tasks}/{thread}") == "t", WAIT, "the thread stops")
        os.waitpid(thread, 0x40000000)      # __WALL
        try:
            until(lambda: "watchdog not fed" in node.log(), WAIT, node.log)
            before = manager.look().count("WATCHDOG=1")
            self.assertEqual(manager.look(0.5).count("WATCHDOG=1"), before)
            self.assertIn("worker=1", node.log())
        finally:
            libc.ptrace(PTRACE_DETACH, thread, None, None)
        manager.wait_for("WATCHDOG=1", before + 2)

    @staticmethod
    def name_of(task):
        with open(f"{task}/comm", encoding="utf-8") as file:
            return file.read().strip()

    @staticmethod
    def state_of(task):
        with open(f"{task}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0]


class Unit(unittest.TestCase):
    def analyze(self, *words):
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze")
        return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60)

    def test_is_well_formed(self):
        """With a program and without the manual, which need not be on this machine."""
        with open(UNIT, encoding="utf-8") as file:
            text = file.read()
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", re.sub(r"^Documentation=.*\n", "", text, flags=re.M),
                      flags=re.M)
        path = os.path.join(harness.scratch(), "covey.service")
        for line, good in (("", True), ("Bogus=yes", False)):       # it does look
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("Type=notify", f"Type=notify\n{line}"))
            done = self.analyze("verify", "--man=no", path)
            said = [t for t in done.stderr.splitlines() if "covey.service" in t and "not executable" not in t]
            self.assertEqual(not said, good, done.stderr)

    def test_is_hardened(self):
        done = self.analyze("security", "--offline=true", "--no-pager", UNIT)
        found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
        if not found:
            self.skipTest(f"systemd-analyze knows no offline check: {done.stderr.strip()}")
        self.assertLess(float(found.group(1)), EXPOSURE_MAX)


class Journal(Case):
    def setUp(self):
        self.needs_covey()

    def lines(self, settings=None, stream=None):
        """What a node writes to stderr, which it takes for the journal's."""
        node = self.node(settings, start=False)
        with open(node.log_path, "ab") as log:
            found = os.fstat(log.fileno())
        node.env["JOURNAL_STREAM"] = stream or f"{found.st_dev}:{found.st_ino}"
        node.start()
        self.assertEqual(node.stop(), 0)
        return node.log().splitlines()

    def test_lines_have_priorities(self):
        lines = self.lines()
        self.assertTrue(any(line.startswith("<5>node started ") for line in lines), lines)
        self.assertTrue(all(re.match(r"<[3-7]>[a-z]", line) for line in lines), lines)

    def test_json_has_them_as_well(self):
        lines = self.lines({"log.format": "json"})
        self.assertTrue(all(re.match(r"<[3-7]>\{.*\}$", line) for line in lines), lines)

    def test_another_stderr_is_not_the_journal(self):
        for stream in ("1:2", "x", "1:", ":"):
            self.assertTrue(all(re.match(r"\d{4}-", line) for line in self.lines(stream=stream)))


class Clustered(Case):
    def test_ready_is_a_member(self):
        """Not at once where there are others to meet: a node that starts beside running ones has met them."""
        self.needs_covey()
        manager = Manager(self)
        nodes = Cluster(2, start=False)
        self.addCleanup(nodes.remove)
        nodes[0].env["NOTIFY_SOCKET"] = manager.address
        nodes[0].spawn().wait_ready()
        manager.wait_for("STATUS=Waiting for the other nodes")
        nodes[1].spawn().wait_ready()
        manager.wait_for("READY=1")
        self.assertIn(nodes.name(1), nodes.links(0))


if __name__ == "__main__":
    unittest.main()
