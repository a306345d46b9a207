# SPDX-License-Identifier: Apache-2.0
"""The manual and the completion of words in shells: both come from the tables of commands and keys."""
import os
import pty
import re
import select
import shutil
import subprocess
import unittest

import harness
from harness import Case, covey, until

PAGES = ("covey", "covey-ctl", "covey.yaml")
SHELLS = ("bash", "zsh", "fish")
WAIT = 30


def ctl_commands(node):
    """The words of each command that the node lists."""
    lines = node.cli("ctl", "help").stdout.splitlines()
    return [re.split(r" {2,}| # | <| \[", line)[0].strip() for line in lines]


class Manual(Case):
    def setUp(self):
        self.needs_covey()

    def page(self, name):
        done = covey("man", name)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")

    def test_every_command_is_in_it(self):
        node = self.node()
        page = self.page("covey-ctl")
        commands = ctl_commands(node)
        self.assertGreater(len(commands), 30)
        self.assertEqual([c for c in commands if f".TP\n{c}" not in page], [])
        page = self.page("covey")
        listed = re.findall(r"^  ([a-z-]+) ", covey("--help").stdout.split("Commands:")[1].split("\n\n")[0], re.M)
        self.assertIn("start", listed)
        self.assertEqual([c for c in listed if f".SS {c}" not in page], [])

    def test_every_key_is_in_it(self):
        page = self.page("covey.yaml")
        keys = [line.split(":")[0] for line in covey("config", "keys").stdout.splitlines()]
        last = {key.rsplit(">.", 1)[-1] for key in keys}
        self.assertGreater(len(last), 80)
        self.assertEqual([k for k in last if f"{k}\n" not in page], [])

    def test_is_well_formed(self):
        man = shutil.which("man")
        if not man:
            self.skipTest("there is no man")
        for name in PAGES:
            path = os.path.join(harness.scratch(), "page")
            with open(path, "w", encoding="utf-8") as file:
                file.write(covey("man", name).stdout)
            done = subprocess.run([man, "--warnings=w", "-l", path], capture_output=True, text=True, check=False,
                                  env={**os.environ, "MANWIDTH": "120", "LC_ALL": "C.UTF-8"}, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertIn("SEE ALSO", done.stdout)

    def test_an_unknown_page(self):
        for words in (["nothing"], []):
            done = covey("man", *words)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("covey.yaml", done.stderr)


class Completion(Case):
    def setUp(self):
        self.needs_covey()
        self.folder = harness.scratch()
        os.symlink(os.path.abspath(harness.program()), os.path.join(self.folder, "covey"))
        self.env = {**harness.environment(), "PATH": f"{self.folder}:{os.environ['PATH']}", "HOME": self.folder,
                    "LC_ALL": "C.UTF-8", "TERM": "dumb", "INPUTRC": "/dev/null"}
        for shell in SHELLS:
            done = covey("completion", shell)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            with open(os.path.join(self.folder, shell), "w", encoding="utf-8") as file:
                file.write(done.stdout)

    def run_in(self, shell, script):
        found = shutil.which(shell)
        if not found:
            self.skipTest(f"there is no {shell}")
        options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
        done = subprocess.run([found, *options, "-c", script], capture_output=True, text=True, env=self.env, check=False,
                              timeout=60, cwd=self.folder)
        return done.stdout.splitlines(), done.stderr

    def completed(self, shell, *words):
        """What is offered for the last of the words."""
        quoted = " ".join(f"'{w}'" for w in words)
        if shell == "bash":
            script = (f"source ./bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _covey 2>/dev/null;"
                      "printf '%s\\n' \"${COMPREPLY[@]}\"")
        elif shell == "zsh":    # what zsh itself does with the choices is zsh's
            script = ("_describe() { print -l -- ${(P)2} }; _files() { print FILES };"
                      f"words=({quoted}); CURRENT={len(words)}; source ./zsh")
        else:
            script = f"source ./fish; complete -C \"{' '.join(words)}\""
        lines, errors = self.run_in(shell, script)
        self.assertEqual(errors, "")
        found = [re.split(r"[:\t]", line)[0] for line in lines if line]
        return sorted(w for w in found if w.startswith(words[-1]))

    def offers(self, *cases):
        for shell in SHELLS:
            if not shutil.which(shell):
                continue
            for words, expected in cases:
                with self.subTest(shell=shell, words=words):
                    self.assertEqual(self.completed(shell, "covey", *words), expected)

    def test_words(self):
        self.offers((["st"], ["start", "stop"]), (["--config", "x.yaml", "st"], ["start", "stop"]),
                    (["ctl", "cli"], ["clients"]), (["ctl", "clients", ""], ["kick", "list", "show"]),
                    (["ctl", "-c", "x", "ban", "d"], ["del"]), (["help", "pi"], ["pid", "ping"]),
                    (["completion", ""], ["bash", "fish", "zsh"]), (["config", "e"], ["explain"]),
                    (["passwd", "d"], ["delete"]), (["ctl", "nonsense", ""], []))

    def test_keys(self):
        self.offers((["config", "explain", "mqtt.max_inf"], ["mqtt.max_inflight"]))

    def test_options(self):
        self.offers((["start", "--w"], ["--wait"]))

    def test_every_command_of_ctl(self):
        node = self.node()
        for command in ctl_commands(node):
            group, verb = (command.split() + [""])[:2]
            self.assertIn(group, self.completed("bash", "covey", "ctl", group))
            if verb:
                self.assertIn(verb, self.completed("bash", "covey", "ctl", group, verb))

    def test_in_an_interactive_bash(self):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], {**self.env, "PS1": "> "})
        self.addCleanup(os.close, fd)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, 9)
        shown = []

        def has(text):
            while select.select([fd], [], [], 0.05)[0]:
                shown.append(os.read(fd, 4096).decode())
            return text in "".join(shown)
        os.write(fd, f"source {self.folder}/bash && echo rea''dy\n".encode())
        until(lambda: has("ready"), WAIT, lambda: shown)
        os.write(fd, b"covey ctl retai\tcle\t")
        until(lambda: has("covey ctl retainer clean"), WAIT, lambda: "".join(shown))

    def test_an_unknown_shell(self):
        for words in (["tcsh"], []):
            done = covey("completion", *words)
            self.assertEqual((done.returncode, done.stdout), (1, ""))


if __name__ == "__main__":
    unittest.main()
