# SPDX-License-Identifier: Apache-2.0
"""Builds Covey in the ways that the tests need it and runs them, part by part. Started by tests/run.

A part is either the C tests of one kind (`unit`, `fuzz`, `sim`, ...: the first word of their ctest names), or an
executable tests/PART/run, which gets the broker to test in COVEY_BIN and ends with the line `N passed, M failed`
(`, K skipped` may follow). A part that passes prints one line; the log of a part that fails is shown.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
LOGS = os.path.join(ROOT, "build", "test-logs")
SECONDS_MAX = 900       # for one part
SHOWN_LINES_MAX = 200   # of a failing part's log

# Parts beside the kinds of C tests: name -> (build preset, arguments, what it is). The preset's broker is COVEY_BIN.
SCRIPTS = {
    "tidy": ("release", [], "rules of the source tree"),
    "conformance": ("asan", [], "the MQTT standards, statement by statement"),
    "races": ("tsan", [], "the same clients against a broker built with ThreadSanitizer"),
    "e2e": ("release", [], "whole brokers: clients, command line, crashes, disks, TLS"),
    "browser": ("release", [], "the dashboard in a browser"),
    "mutants": ("asan", [], "deliberate bugs that the simulator has to find"),
    "deploy": ("release", [], "the image, three containers, the Debian package, the manifests for Kubernetes, pods that move"),
    "lint": ("asan", [], "clang-tidy"),
}
# Directory of a part's `run` where it is not the part's name.
SCRIPT_PATH = {"races": "conformance/run", "lint": "tidy/lint", "mutants": "sim/mutants/run"}
# C tests that have threads run under ThreadSanitizer as well.
TSAN_KINDS = ("unit", "io")
KINDS = {"unit": "C modules", "fuzz": "the kept inputs of all fuzz targets", "sim": "simulated nodes from seeds",
         "io": "threads, sockets and disks", "tsan": "unit and io under ThreadSanitizer"}


class Failed(Exception):
    pass


def sanitizer_prefix():
    """The sanitizers' shadow memory and a strongly randomised address space do not go together."""
    probe = subprocess.run(["setarch", "-R", "true"], stderr=subprocess.DEVNULL, check=False)
    return ["setarch", "-R"] if probe.returncode == 0 else []


def environment(binary=None):
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0", CMAKE_COLOR_DIAGNOSTICS="OFF")
    env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:abort_on_error=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1")
    if binary:
        env.setdefault("COVEY_BIN", binary)
    return env


def run(command, log, env=None, seconds=SECONDS_MAX):
    """Runs a command with its output in the log; kills its whole process group when it takes too long."""
    with open(log, "ab") as out:
        out.write(("$ " + " ".join(command) + "\n").encode())
        out.flush()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT,
                                   env=env or environment(), start_new_session=True)
        try:
            return process.wait(seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            out.write(f"stopped after {seconds} s\n".encode())
            return -1


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


class Runner:
    def __init__(self, args):
        self.args = args
        self.total = Counts()
        self.built = {}
        os.makedirs(LOGS, exist_ok=True)

    def log(self, name):
        path = os.path.join(LOGS, f"{name}.log")
        open(path, "w").close()
        return path

    def report(self, name, counts, started, log):
        self.total.add(counts)
        print(f"{name:<14} {str(counts):<32} {time.monotonic() - started:6.1f} s", flush=True)
        if counts.failed or not counts.passed + counts.skipped:
            with open(log, errors="replace") as file:
                lines = file.read().splitlines()
            if len(lines) > SHOWN_LINES_MAX:
                print(f"  ... {len(lines) - SHOWN_LINES_MAX} lines before: {os.path.relpath(log, ROOT)}")
            print("".join(f"  {line}\n" for line in lines[-SHOWN_LINES_MAX:]), end="", flush=True)

    # ------------------------------------------------------------ building

    def build(self, preset):
        """Configures and builds a preset once; its folder. One that does not build counts as a failed test."""
        if preset not in self.built:
            name, started = f"build-{preset}", time.monotonic()
            log = self.log(name)
            folder = os.path.join(ROOT, "build", preset)
            code = run(["cmake", "--preset", preset], log) or run(["cmake", "--build", "--preset", preset], log)
            self.built[preset] = None if code else folder
            self.report(name, Counts(0, 1) if code else Counts(1, 0), started, log)
        if self.built[preset] is None:
            raise Failed(f"preset {preset} does not build")
        return self.built[preset]

    # ------------------------------------------------------------ C tests

    def kinds(self, preset):
        """The kinds of C tests that a build has, the known ones first."""
        folder = self.build(preset)
        listing = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1"], capture_output=True, text=True,
                                 check=True, env=environment()).stdout
        found = {test["name"].split("/")[0] for test in json.loads(listing)["tests"]}
        return [k for k in KINDS if k in found] + sorted(found - set(KINDS))

    def ctest(self, name, preset, pattern):
        folder = self.build(preset)
        log, started = self.log(name), time.monotonic()
        junit = os.path.join(LOGS, f"{name}.xml")
        if os.path.exists(junit):
            os.remove(junit)
        command = [*sanitizer_prefix(), "ctest", "--test-dir", folder, "-R", pattern, "-j", str(os.cpu_count() or 1),
                   "--output-on-failure", "--output-junit", junit, "--test-output-size-passed", "1000000",
                   "--test-output-size-failed", "1000000", "--no-tests=error"]
        if self.args.k:
            # ctest takes one pattern only: the names that fit both.
            names = [n for n in self.names(folder) if re.search(pattern, n) and self.args.k in n]
            if not names:
                return
            command[command.index(pattern)] = "^(" + "|".join(re.escape(n) for n in names) + ")$"
        code = run(command, log)
        counts = junit_counts(junit) if os.path.exists(junit) else Counts(0, 1)
        if code and not counts.failed:
            counts.failed = 1
        self.report(name, counts, started, log)

    def names(self, folder):
        listing = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1"], capture_output=True, text=True,
                                 check=True, env=environment()).stdout
        return [test["name"] for test in json.loads(listing)["tests"]]

    # ------------------------------------------------------------ scripts

    def script(self, name):
        preset, extra, _ = SCRIPTS[name]
        binary = os.path.join(self.build(preset), "covey")
        log, started = self.log(name), time.monotonic()
        command = [script_path(name), *extra] + (["-k", self.args.k] if self.args.k else []) + self.args.rest
        prefix = sanitizer_prefix() if preset in ("asan", "tsan") else []
        code = run(prefix + command, log, environment(binary))
        counts = last_line_counts(log)
        if counts is None or (code and not counts.failed):
            counts = Counts(0, 1)
        self.report(name, counts, started, log)

    # ------------------------------------------------------------ all

    def part(self, name):
        try:
            if name in SCRIPTS:
                self.script(name)
            elif name == "build":
                for preset in ("release", "asan", "tsan"):
                    self.build(preset)
            elif name == "tsan":
                self.ctest("tsan", "tsan", "^(" + "|".join(TSAN_KINDS) + ")/")
            else:
                self.ctest(name, "asan", f"^{re.escape(name)}/")
        except Failed:
            pass    # reported where it happened, and counted once

    def all_parts(self):
        parts = ["tidy"]
        try:
            parts += self.kinds("asan") + ["tsan"]
        except Failed:
            pass
        # clang-tidy takes minutes and its findings are advice: on demand.
        return parts + [n for n in SCRIPTS if n not in ("tidy", "lint") and os.access(script_path(n), os.X_OK)]


def script_path(name):
    return os.path.join(HERE, SCRIPT_PATH.get(name, f"{name}/run"))


def junit_counts(path):
    """Sums the tests inside the cmocka programs that ctest ran; another program counts as one test."""
    total = Counts()
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        output = case.findtext("system-out") or ""
        status = case.get("status")
        inner = {word: sum(int(n) for n in re.findall(rf"^\[ +{word} +\] (?:.*: )?(\d+) test", output, re.M))
                 for word in ("PASSED", "FAILED", "SKIPPED")}
        if status == "run":
            total.add(Counts(inner["PASSED"], 0, inner["SKIPPED"]) if any(inner.values()) else Counts(1))
        elif status in ("disabled", "notrun") and case.find("skipped") is not None:
            total.add(Counts(0, 0, 1))
        else:
            total.add(Counts(inner["PASSED"], max(1, inner["FAILED"]), inner["SKIPPED"]))
    return total


def last_line_counts(log):
    with open(log, errors="replace") as file:
        found = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", file.read(), re.M)
    return Counts(*(int(n or 0) for n in found[-1])) if found else None


def main():
    texts = {**KINDS, **{n: s[2] for n, s in SCRIPTS.items()}, "build": "only build: release, asan, tsan"}
    parser = argparse.ArgumentParser(
        prog="tests/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Installs what is missing, builds, and runs the tests. Without PART: all of them.\n\nparts:\n" +
        "".join(f"  {n:<12} {t}\n" for n, t in texts.items() if n in KINDS or n == "build"
                or os.access(script_path(n), os.X_OK)),
        epilog="Logs are kept in build/test-logs. Options behind -- go to the part's own program:\n"
               "  tests/run e2e -k crash -- --kills 500")
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("-k", metavar="NAME", help="only tests whose name contains NAME")
    argv, rest = sys.argv[1:], []
    if "--" in argv:
        argv, rest = argv[:argv.index("--")], argv[argv.index("--") + 1:]
    args = parser.parse_args(argv)
    args.rest = rest
    for name in args.parts:
        if name in SCRIPTS and not os.access(script_path(name), os.X_OK):
            parser.error(f"there is no {os.path.relpath(script_path(name), ROOT)}")
    if rest and len(args.parts) != 1:
        parser.error("options behind -- need one part that they are for")

    started, runner = time.monotonic(), Runner(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in args.parts or runner.all_parts():
        runner.part(name)
    print(f"{'all':<14} {'':<32} {time.monotonic() - started:6.1f} s")
    if not runner.total.passed and not runner.total.failed:
        print("no test ran")
        runner.total.failed = 1
    print(runner.total)
    return 1 if runner.total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
