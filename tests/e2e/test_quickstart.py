# SPDX-License-Identifier: Apache-2.0
"""deploy/quickstart in a fresh clone. What Debian has to provide is installed here already, so apt is not touched;
tests/e2e/fresh-machine does the same on a bare Debian."""
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

import harness
from harness import ROOT, Case, Output


class Quickstart(Case):
    @classmethod
    def setUpClass(cls):
        if harness.is_mosquitto():
            raise unittest.SkipTest("about Covey only")
        cls.clone = os.path.join(harness.scratch("covey-clone-"), "covey")
        os.makedirs(cls.clone)
        # The files as they are, committed or not: what would be cloned after the next commit.
        listing = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                 capture_output=True, check=True).stdout.decode().split("\0")
        for name in filter(None, listing):
            if os.path.isfile(os.path.join(ROOT, name)):
                os.makedirs(os.path.dirname(os.path.join(cls.clone, name)), exist_ok=True)
                shutil.copy2(os.path.join(ROOT, name), os.path.join(cls.clone, name))
        cls.offset = cls.free_offset()
        cls.addClassCleanup(cls.run_it, "--stop")

    @staticmethod
    def free_offset():
        for offset in range(11000, 20000, 7):
            try:
                socks = [socket.create_server(("127.0.0.1", port + offset)) for port in (1883, 8883, 8083, 8084, 18083)]
            except OSError:
                continue
            for sock in socks:
                sock.close()
            return offset
        raise RuntimeError("no free ports")

    @classmethod
    def run_it(cls, *options):
        began = time.monotonic()
        done = subprocess.run([os.path.join(cls.clone, "deploy", "quickstart"), *options], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=harness.environment(), timeout=500, check=False)
        done.seconds = time.monotonic() - began
        return done

    def test_from_a_clone_to_a_first_message(self):
        help_text = self.run_it("--help")
        self.assertEqual((help_text.returncode, help_text.stderr), (0, ""))
        self.assertEqual(self.run_it("--stop").stdout, "Covey is not running.\n")

        # A port that is taken is told before anything is started, and other ports can be chosen then.
        with socket.create_server(("127.0.0.1", 8083 + self.offset)):
            done = self.run_it("--port-offset", str(self.offset))
            self.assertEqual(done.returncode, 1, done)
            self.assertIn(f"Port {8083 + self.offset} is taken", done.stderr)

        first = self.run_it("--port-offset", str(self.offset))
        self.assertEqual(first.returncode, 0, first)
        self.assertRegex(first.stdout, r"(?m)^Covey is running \(pid \d+\)\.$")
        self.assertEqual(first.stderr, "")
        self.assertLess(len(first.stdout.split("\n")), 25, "short enough to be read")
        self.try_what_it_says(first.stdout)
        self.try_tls()
        self.try_ctl(first.stdout)

        again = self.run_it()
        self.assertIn("Covey is running already", again.stdout)
        self.assertLess(again.seconds, 1)

        self.assertIn("Covey is stopped.", self.run_it("--stop").stdout)
        self.assertFalse(harness.accepts(1883 + self.offset))
        third = self.run_it()
        self.assertRegex(third.stdout, r"Covey is running \(pid \d+\)")
        self.assertLess(third.seconds, 1)
        self.assertNotIn("Building", third.stdout)

        ignored = subprocess.run(["git", "-C", self.clone, "init", "-q"], check=True)
        self.assertEqual(ignored.returncode, 0)
        status = subprocess.run(["git", "-C", self.clone, "status", "--short", "--", "data", "build"], capture_output=True,
                                text=True, check=True)
        self.assertEqual(status.stdout, "", "what it makes is no part of the tree")

    def try_what_it_says(self, text):
        """The two commands as they are printed, pasted."""
        sub, pub = re.findall(r"(?m)^  (mosquitto_[sp]ub .*)$", text)
        output = Output(["stdbuf", "-oL", *sub.split(), "-d"])
        self.addCleanup(output.end)
        output.wait_for_line("Subscribed")
        subprocess.run(pub, shell=True, check=True, timeout=20)
        output.wait_for(lambda lines: "hello" in lines, what="hello")

    def try_ctl(self, text):
        """As it is printed, from anywhere; and as the README has it, in the clone."""
        printed = re.search(r"(?m)^  (.*ctl status)$", text)[1]
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            written = re.search(r"`(build/release/covey [^`]*ctl status)`", file.read())[1]
        for command, folder in ((printed, "/"), (written, self.clone)):
            done = subprocess.run(command, shell=True, cwd=folder, env=harness.environment(), capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)
            self.assertIn("is started", done.stdout)

    def try_tls(self):
        done = subprocess.run(["mosquitto_pub", "--cafile", f"{self.clone}/data/certs/ca.pem", "-h", "localhost", "-p",
                               str(8883 + self.offset), "-t", "test", "-m", "x", "-q", "1"], capture_output=True, text=True,
                              timeout=20, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Certificates(Case):
    def test_kept_while_good_and_made_anew_on_demand(self):
        folder = harness.scratch("covey-certs-")
        make = [os.path.join(ROOT, "deploy", "make-certs")]
        subprocess.run([*make, folder, "broker.example", "10.1.2.3"], check=True)
        text = subprocess.run(["openssl", "x509", "-in", f"{folder}/server.pem", "-noout", "-ext", "subjectAltName"],
                              capture_output=True, text=True, check=True).stdout
        for name in ("DNS:localhost", "IP Address:127.0.0.1", "DNS:broker.example", "IP Address:10.1.2.3"):
            self.assertIn(name, text)
        self.assertEqual(os.stat(f"{folder}/server.key").st_mode & 0o777, 0o600)

        def content():
            with open(f"{folder}/server.pem", encoding="utf-8") as file:
                return file.read()
        before = content()
        subprocess.run([*make, folder], check=True)
        self.assertEqual(content(), before)
        subprocess.run([*make, "--force", folder], check=True)
        self.assertNotEqual(content(), before)


if __name__ == "__main__":
    unittest.main()
