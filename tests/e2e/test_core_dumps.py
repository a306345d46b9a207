# SPDX-License-Identifier: Apache-2.0
"""Secrets are in the memory of a node: it leaves no core dump, and only root looks into it."""
import os
import resource
import signal
import subprocess
import unittest

import harness
from harness import Case, until

UID = 10001


class CoreDumps(Case):
    def setUp(self):
        self.needs_covey()
        if os.geteuid() != 0:
            self.skipTest("runs nodes as another user")

    def node_of_a_user(self, **settings):
        """A node that is not root's, and may leave as large a core as it likes."""
        node = self.node(settings, start=False)
        prepare = node._prepare

        def as_user():
            prepare()
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            os.setgroups([])
            os.setgid(UID)
            os.setuid(UID)
            harness.die_with_parent()
        node._prepare = as_user
        os.chown(node.dir, UID, UID)        # where it would be left
        os.makedirs(node.data)
        os.chown(node.data, UID, UID)
        node.start()
        return node

    def core_limit(self, node):
        with open(f"/proc/{node.process.pid}/limits", encoding="ascii") as file:
            return next(line.split()[4:6] for line in file if line.startswith("Max core file size"))

    def reads(self, node, name):
        """Can another process of this user read a file of /proc/PID?"""
        return subprocess.run(["cat", f"/proc/{node.process.pid}/{name}"], user=UID, group=UID, extra_groups=[], check=False,
                              capture_output=True, timeout=30).returncode == 0

    def dumps_core(self, node):
        node.process.send_signal(signal.SIGABRT)
        ended = until(lambda: os.waitpid(node.process.pid, os.WNOHANG)[1], 60, "the node does not end")
        self.assertTrue(os.WIFSIGNALED(ended))
        return os.WCOREDUMP(ended)

    def test_nothing_is_left(self):
        node = self.node_of_a_user()
        self.assertEqual(self.core_limit(node), ["0", "0"])
        self.connected(node).barrier()
        self.assertFalse(self.dumps_core(node))

    def test_only_root_looks_in(self):
        node = self.node_of_a_user()
        for name in ("environ", "maps", "smaps_rollup"):
            self.assertFalse(self.reads(node, name), name)
            with open(f"/proc/{node.process.pid}/{name}", "rb") as file:
                file.read()
        for name in ("status", "stat", "statm", "limits", "cmdline"):
            self.assertTrue(self.reads(node, name), name)

    def test_what_needs_proc_itself_works(self):
        """The node's own figures, and its owner's command line."""
        node = self.node_of_a_user()
        done = subprocess.run([harness.program(), "--config", node.conf, "ctl", "broker", "stats"], user=UID, group=UID, extra_groups=[],
                              check=False, capture_output=True, text=True, timeout=30, env=harness.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        text = node.cli("ctl", "vm").stdout
        self.assertRegex(text, r"[1-9]")
        self.assertEqual(node.stop(), 0)

    def test_where_it_is_configured_everything_is_as_it_was(self):
        node = self.node_of_a_user(**{"node.core_dumps": True})
        self.assertEqual(self.core_limit(node), ["unlimited", "unlimited"])
        self.assertTrue(self.reads(node, "environ"))
        with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
            if file.read()[0] not in "|/\n":     # a file beside it, not what this machine does with dumps
                self.assertTrue(self.dumps_core(node))


if __name__ == "__main__":
    unittest.main()
