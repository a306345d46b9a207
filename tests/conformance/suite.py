# SPDX-License-Identifier: Apache-2.0
"""What the test files share: the statement decorator, the test case with its broker, and the runner of one module.

    class Flags(Case):
        settings = {"qos_max": 1}                 # optional: a broker of its own with these settings (broker.py)

        @statement("MQTT-3.1.2-3")                # ids from statements.tsv; unknown ones are an error
        @versions(V31, V311, V5)                  # optional: the test runs once per version, as its argument
        def test_reserved_connect_flag(self, v):
            c = self.raw(v)                       # a connection without CONNECT; closed at the end of the test
            ...
            c = self.client("id", version=v)      # a connected one
"""
import functools
import os
import signal
import sys
import time
import unittest

import broker
import mqttlib

HERE = os.path.dirname(os.path.abspath(__file__))


def read_statements():
    """[(id, requirement, proof outside this suite)] in the order of statements.tsv."""
    with open(os.path.join(HERE, "statements.tsv"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip()]
    return [tuple(row) for row in rows[1:]]


_KNOWN = {row[0] for row in read_statements()}


def statement(*ids):
    """Names the statements that a test proves."""
    unknown = [i for i in ids if i not in _KNOWN]
    if unknown:
        raise ValueError(f"not in statements.tsv: {unknown}")

    def mark(function):
        function.statements = getattr(function, "statements", ()) + ids
        return function
    return mark


def versions(*which):
    """Runs the test once per protocol version (default all), each as a subtest with fresh clients."""
    def wrap(function):
        @functools.wraps(function)
        def run(self):
            for version in which or mqttlib.VERSIONS:
                with self.subTest(version=version):
                    function(self, version)
                self.doCleanups()
        return run
    return wrap


class Case(unittest.TestCase):
    settings = {}
    longMessage = True
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.broker = broker.shared(cls.settings)

    def setUp(self):
        if not self.broker.is_alive():
            self.broker.start()
        self.log_mark = self.broker.log_size()

    def tearDown(self):
        self.assertTrue(self.broker.is_alive(), "the broker died during this test")

    def own_broker(self, settings):
        """A broker for this test alone."""
        own = broker.Broker(settings)
        self.addCleanup(own.remove)
        self.addCleanup(lambda: self.assertIsNone(own.complaint()))
        return own

    def raw(self, version=mqttlib.V5, ws=False, on=None, **ws_options):
        """A connection on which nothing has been sent; on: another broker than the class's."""
        where = on or self.broker
        client = mqttlib.Client(port=where.ws_port if ws else where.port, version=version, ws=ws, **ws_options)
        self.addCleanup(client.close)
        return client

    def client(self, client_id=None, version=mqttlib.V5, props=(), on=None, ws=False, **options):
        """A connected client with keep alive 0; options as wire.connect. Its CONNACK is client.connack."""
        client = self.raw(version, ws, on)
        client.connect(client_id, props, **options)
        return client

    def session(self, client_id=None, version=mqttlib.V5, expiry=300, props=(), **options):
        """A connected client that asks for its stored session and wants it kept after the connection."""
        props = [*props, (mqttlib.SESSION_EXPIRY, expiry)] if version == mqttlib.V5 else props
        return self.client(client_id, version, props, clean=False, **options)


class Result(unittest.TextTestResult):
    """Prints the broker's log lines of a failing test, and counts tests, not subtests."""

    def __init__(self, *args):
        super().__init__(*args)
        self.bad = set()
        self.times = {}

    def startTest(self, test):
        super().startTest(test)
        self.times[test.id()] = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.times[test.id()] = time.monotonic() - self.times[test.id()]

    def _note(self, test, errors):
        """Adds the broker's log since the test began, or since its last failing subtest, to the last report."""
        self.bad.add(test.id())
        if hasattr(test, "log_mark"):
            lines = test.broker.log(test.log_mark).splitlines()
            fault = next((n for n, line in enumerate(lines) if broker.FAULT.search(line)), None)
            tail = lines[-30:] if fault is None else lines[max(0, fault - 10):fault + 40]
            test.log_mark = test.broker.log_size()
            if tail:
                errors[-1] = (errors[-1][0], errors[-1][1] + "broker log:\n  " + "\n  ".join(tail) + "\n")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test, self.failures)

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test, self.errors)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, self.failures if issubclass(err[0], test.failureException) else self.errors)


def load(module, name=None):
    """The tests of a module, only those with name in their id when given."""
    found = unittest.TestSuite()

    def walk(suite):
        for item in suite:
            if isinstance(item, unittest.TestSuite):
                walk(item)
            elif not name or name in item.id():
                found.addTest(item)
    walk(unittest.defaultTestLoader.loadTestsFromName(module))
    return found


def main(module, name=None):
    """Runs one module in this process; the last line says `RESULT passed failed skipped`."""
    suite = load(module, name)
    if not suite.countTestCases():
        print("RESULT 0 0 0")
        return 0
    runner = unittest.TextTestRunner(stream=sys.stdout, descriptions=False, resultclass=Result, verbosity=2)
    result = runner._makeResult()
    runner._makeResult = lambda: result     # so that an interrupted run can still report
    try:
        runner.run(suite)
    except KeyboardInterrupt:
        result.printErrors()
        print("interrupted: over the time budget")
        result.bad.add("interrupted")
    for text in broker.complaints():
        print(f"FAIL: a broker of {module}\n{text}")
        result.bad.add(f"broker of {module}")
    for ident, seconds in sorted(result.times.items(), key=lambda item: -item[1])[:3]:
        if seconds > 3:
            print(f"slow: {ident} {seconds:.1f} s")
    failed, skipped = len(result.bad), len(result.skipped)
    passed = set(result.times) - result.bad - {test.id() for test, _ in result.skipped}
    print(f"RESULT {len(passed)} {failed} {skipped}")
    return 1 if failed else 0


if __name__ == "__main__":
    # The tests import this module by its name: use that instance, not __main__.
    import suite as this
    signal.signal(signal.SIGTERM, signal.default_int_handler)   # unwinds, so that atexit ends the brokers
    sys.exit(this.main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
