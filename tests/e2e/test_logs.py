# SPDX-License-Identifier: Apache-2.0
"""The log: files that are rotated, a disk that is full, what `covey ctl log` says and sets."""
import glob
import json
import os
import re
import resource
import signal
import unittest

from harness import Case, until

WAIT = 30       # for what takes milliseconds on an idle machine


class Logs(Case):
    def setUp(self):
        self.needs_covey()

    def logging(self, settings=None, **options):
        """A node that logs to a file; its path."""
        node = self.node({"log.to": "file", "log.level": "debug", **(settings or {})}, start=False, **options)
        path = node.settings.get("log.file", os.path.join(node.data, "log", "covey.log"))
        return node, path

    @staticmethod
    def noise(node, lines):
        """Each is a line of the log."""
        for i in range(lines):
            node.cli("ctl", "log", "set-level", ("debug", "info")[i % 2])


class Rotation(Logs):
    def test_by_size_and_count(self):
        node, path = self.logging({"log.rotation.size": "1KB", "log.rotation.count": 2})
        node.start()

        def is_full():
            self.noise(node, 10)
            try:
                return all("node started" not in self.read(p) for p in glob.glob(path + "*")) and os.path.exists(path + ".2")
            except FileNotFoundError:
                return False    # one is being moved
        until(is_full, WAIT, "the first file is gone")
        self.noise(node, 30)
        self.assertEqual(node.stop(), 0)
        self.assertEqual(sorted(glob.glob(path + "*")), [path, path + ".1", path + ".2"])
        self.assertNotIn("node started", "".join(self.read(p) for p in glob.glob(path + "*")))
        for old in (path + ".1", path + ".2"):
            self.assertGreaterEqual(os.path.getsize(old), 1024)
            self.assertEqual(os.stat(old).st_mode & 0o027, 0)
            self.assertTrue(all(re.match(r"\d{4}-\S+Z [a-z]+ ", line) for line in self.read(old).splitlines()))

    def test_no_line_is_lost_by_it(self):
        node, path = self.logging({"log.rotation.size": "2KB", "log.rotation.count": 1000})
        node.start()
        for i in range(60):
            node.cli("ctl", "ban", "add", "clientid", f"number-{i}-")
        self.assertEqual(node.stop(), 0)
        text = "".join(self.read(p) for p in glob.glob(path + "*"))
        self.assertEqual([i for i in range(60) if f"number-{i}-" not in text], [])
        self.assertGreater(len(glob.glob(path + ".*")), 1)

    def test_a_daemon_rotates_as_well(self):
        """Its stdout and stderr go on into the new file."""
        node = self.node({"log.rotation.size": "1KB", "log.level": "debug"}, start=False)
        path = os.path.join(node.data, "log", "covey.log")
        self.assertEqual(node.cli("start").returncode, 0)
        self.addCleanup(node.cli, "stop")
        pid = int(node.cli("pid").stdout)

        def has_turned():
            self.noise(node, 10)
            return os.path.exists(path + ".1")
        until(has_turned, WAIT, "rotated")
        until(lambda: len({os.stat(f"/proc/{pid}/fd/{fd}").st_ino for fd in (1, 2)} | {os.stat(path).st_ino}) == 1, WAIT,
              "stderr is the new file")

    def test_a_folder_that_cannot_be_written_is_survived(self):
        node, path = self.logging({"log.rotation.size": "1KB", "log.rotation.count": 1})
        node.start()
        os.mkdir(path + ".1")       # no file can take this name
        self.noise(node, 40)
        until(lambda: "log not rotated" in self.read(path), WAIT, "told")
        self.assertEqual(node.cli("ping").returncode, 0)

    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as file:
            return file.read()


class DiskFull(Logs):
    def test_is_survived_and_told(self):
        node, _ = self.logging()
        link = os.path.join(node.dir, "link.log")
        os.symlink("/dev/full", link)
        node.configure({**node.settings, "log.file": link})
        node.start()
        self.connected(node)
        self.assertEqual(node.log().count("the log cannot be written, lines are lost: No space left on device"), 1)
        until(lambda: "log_failing" in node.cli("ctl", "alarms", "list").stdout, WAIT, "the alarm")
        self.assertRegex(node.cli("ctl", "log", "handlers", "list").stdout, "status=failing, lost=[1-9]")
        # There is room again.
        os.remove(link)
        node.process.send_signal(signal.SIGHUP)
        until(lambda: os.path.exists(link) and "log lines lost count=" in Rotation.read(link), WAIT, "the count")
        until(lambda: "log_failing" not in node.cli("ctl", "alarms", "list").stdout, WAIT, "no alarm")
        self.assertIn("status=started", node.cli("ctl", "log", "handlers", "list").stdout)
        lost = int(re.search(r"log lines lost count=(\d+)", Rotation.read(link)).group(1))
        self.assertGreater(lost, 1)

    def test_a_line_that_was_cut_ends(self):
        """A file size limit cuts a line; what comes after it starts a line of its own."""
        node, path = self.logging({"log.rotation.size": "infinity", "log.level": "info"})
        node.start()
        until(lambda: "node started" in Rotation.read(path), WAIT, "the last line of a start")
        limit = os.path.getsize(path) + 20
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        self.noise(node, 2)
        self.assertEqual(os.path.getsize(path), limit)
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        until(lambda: "log lines lost count=2" in Rotation.read(path), WAIT, lambda: Rotation.read(path))
        self.assertEqual([line for line in Rotation.read(path).splitlines() if not re.match(r"\d{4}-", line)], [])


class Ctl(Logs):
    def test_handlers(self):
        node, path = self.logging()
        node.start()
        self.assertEqual(node.cli("ctl", "log", "handlers", "list").stdout,
                         f"LogHandler(id=default, level=debug, destination={path}, status=started, lost=0)\n")
        other = self.node()
        self.assertIn("destination=stderr", other.cli("ctl", "log", "handlers", "list").stdout)

    def test_json_lines_are_json(self):
        node, path = self.logging({"log.format": "json", "log.rotation.size": "1KB"})
        node.start()
        self.noise(node, 30)
        for file in glob.glob(path + "*"):
            for line in Rotation.read(file).splitlines():
                self.assertEqual(list(json.loads(line))[:3], ["time", "level", "message"])


if __name__ == "__main__":
    unittest.main()
