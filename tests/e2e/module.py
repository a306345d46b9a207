# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of one module, optionally only those with a word in their id; the last line says
`RESULT passed failed skipped`. Started by ./run."""
import faulthandler
import signal
import sys
import time
import unittest

import harness  # noqa: F401  (sets the paths and ports before the tests are imported)


class Result(unittest.TextTestResult):
    def __init__(self, *args):
        super().__init__(*args)
        self.started, self.passed = {}, 0

    def addSuccess(self, test):
        self.passed += 1
        super().addSuccess(test)

    def startTest(self, test):
        self.started[test.id()] = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        print(f"    {time.monotonic() - self.started[test.id()]:.1f} s", flush=True)
        super().stopTest(test)


def load(module, word):
    found = unittest.TestSuite()

    def walk(suite):
        for item in suite:
            if isinstance(item, unittest.TestSuite):
                walk(item)
            elif not word or word in item.id():
                found.addTest(item)
    walk(unittest.defaultTestLoader.loadTestsFromName(module))
    return found


def main():
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))   # so that what the tests started is ended
    suite = load(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    if not suite.countTestCases():
        print("RESULT 0 0 0")
        return 0
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=2).run(suite)
    bad = {test.id().split(" ")[0] for test, _ in result.failures + result.errors}
    print(f"RESULT {result.passed} {len(bad)} {len(result.skipped)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
