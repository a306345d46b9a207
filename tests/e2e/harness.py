# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: whole broker processes with folders, ports and certificates of their own, and
command lines. The raw MQTT client is tests/conformance/mqttlib.py.

    node = Node({"mqtt.max_mqueue_len": 0})      # configured and started; tls=True adds 8883's and 8084's kind
    node.cli("ping")                             # `covey --config ... ping`, a CompletedProcess with text
    node.kill(); node.start()                    # kill -9, and the same data again

COVEY_BIN=mosquitto takes Debian's Mosquitto where a test allows for it: that shows whether the test is right.
"""
import atexit
import ctypes
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

os.environ.setdefault("COVEY_TEST_PORTS", "19500-19599")
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "conformance"))

import broker  # noqa: E402
import netns  # noqa: E402
import mqttlib  # noqa: E402
import wire  # noqa: E402
from broker import Port, is_mosquitto, to_yaml  # noqa: E402,F401

START_SECONDS_MAX = 20      # generous: a sanitizer build on a busy machine


def program():
    found = broker.program()
    if found is None or not os.access(found, os.X_OK):
        raise RuntimeError("no broker to test: build preset release or set COVEY_BIN")
    return found


def scratch(prefix="covey-e2e-"):
    """A folder for this process, removed at its end."""
    path = tempfile.mkdtemp(prefix=prefix)
    if not os.environ.get("COVEY_KEEP"):
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def environment(more=None):
    """The environment of a broker: names that steer the tests would be taken for misspelt configuration keys."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("COVEY_")}
    return {**plain, **(more or {})}


_libc = ctypes.CDLL(None)


def die_with_parent():
    """In the child: no broker outlives a test run, however that ends."""
    _libc.prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


_certs = None


def certs():
    """Folder with ca.pem, server.pem/key and alice.pem/key, made once."""
    global _certs
    if _certs is None:
        _certs = scratch("covey-certs-")
        subprocess.run([os.path.join(ROOT, "deploy", "make-certs"), "--client", "alice", _certs], check=True)
    return _certs


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def until(condition, seconds, what):
    """Waits for a condition of another process that can only be asked for, not waited for; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.01)
    return value


class Node:
    """A broker process. settings: dotted configuration keys on top of what every test needs."""

    def __init__(self, settings=None, tls=False, data=None, env=None, start=True, space=None):
        self.dir = tempfile.mkdtemp(prefix="covey-e2e-")
        self.data = data or os.path.join(self.dir, "data")
        self.conf = os.path.join(self.dir, "covey.yaml")
        self.log_path = os.path.join(self.dir, "broker.log")
        self.locks = [Port() for _ in range(4)]
        self.port, self.ws_port, self.tls_port, self.wss_port = (p.number for p in self.locks)
        self.tls, self.env, self.process, self.starts = tls, dict(env or {}), None, 0
        self.space = space      # network namespace to run in, see netns.py
        self.program = None     # another one than program()
        self.configure(settings or {})
        try:
            if start:
                self.start()
        except BaseException:
            self.remove()
            raise

    # ------------------------------------------------------------ configuration

    def configure(self, settings):
        """Writes the configuration file; what is running does not notice."""
        self.settings = dict(settings)
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(self._mosquitto_conf() if is_mosquitto() else to_yaml(self._covey_conf()))

    def _covey_conf(self):
        conf = {"node.data_dir": self.data, "node.workers": 2, "dashboard.listeners.http.enable": False}
        for kind, port in (("tcp", self.port), ("ws", self.ws_port), ("ssl", self.tls_port), ("wss", self.wss_port)):
            conf[f"listeners.{kind}.default.bind"] = f"127.0.0.1:{port}"
            if kind in ("ssl", "wss") and not self.tls:
                conf[f"listeners.{kind}.default.enable"] = False
            elif kind in ("ssl", "wss"):
                conf[f"listeners.{kind}.default.ssl_options.certfile"] = os.path.join(certs(), "server.pem")
                conf[f"listeners.{kind}.default.ssl_options.keyfile"] = os.path.join(certs(), "server.key")
        if os.geteuid() != 0:       # some tests look into the process, which is root's to do
            conf["node.core_dumps"] = True
        conf.update(self.settings)
        return {key: value for key, value in conf.items() if value is not None}

    def _mosquitto_conf(self):
        lines = ["user root", "allow_anonymous true", "persistence true", f"persistence_location {self.dir}/",
                 "max_queued_messages 0", "max_inflight_messages 100", f"listener {self.port} 127.0.0.1",
                 f"listener {self.ws_port} 127.0.0.1", "protocol websockets"]
        for port, protocol in ((self.tls_port, "mqtt"), (self.wss_port, "websockets")) if self.tls else ():
            lines += [f"listener {port} 127.0.0.1", f"protocol {protocol}", f"certfile {certs()}/server.pem",
                      f"keyfile {certs()}/server.key"]
        return "\n".join(lines) + "\n"

    # ------------------------------------------------------------ process

    def spawn(self):
        """Starts the process in the foreground and does not wait for anything."""
        command = [program(), "-c", self.conf] if is_mosquitto() else \
            [self.program or program(), "foreground", "--config", self.conf]
        self.starts += 1
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir,
                                            env=environment(self.env), preexec_fn=self._prepare)
        return self

    def _prepare(self):
        die_with_parent()
        if self.space:
            netns.enter(self.space)

    def connect(self, port, seconds=10):
        """A TCP connection to one of its ports."""
        if self.space:
            return netns.connect(self.space, port, seconds)
        return socket.create_connection(("127.0.0.1", port), seconds)

    def accepts(self, port):
        try:
            self.connect(port, 1).close()
            return True
        except OSError:
            return False

    def has_ctl(self):
        """Does it listen on its control socket, which is the last that it opens?"""
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(self.settings.get("node.ctl_socket") or os.path.join(self.data, "ctl.sock"))
                return True
            except OSError:
                return False

    def wait_ready(self, seconds=START_SECONDS_MAX):
        """Every listener is open, that of HTTP and the control socket too."""
        deadline = time.monotonic() + seconds
        places = [self.port, self.ws_port] + ([self.tls_port, self.wss_port] if self.tls else [])
        for place in places + ([] if is_mosquitto() else ["ctl"]):
            while not (self.has_ctl() if place == "ctl" else self.accepts(place)):
                if self.process.poll() is not None:
                    raise RuntimeError(f"the broker ended with {self.process.returncode}:\n{self.log()[-4000:]}")
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the broker does not listen on {place}:\n{self.log()[-4000:]}")
                time.sleep(0.002)
        return self

    def start(self):
        return self.spawn().wait_ready()

    def wait_ctl(self):
        """As wait_ready(), of a node whose other listeners cannot be tried from here."""
        until(self.has_ctl, START_SECONDS_MAX, self.log)
        return self

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9"""
        if self.is_alive():
            self.process.kill()
        if self.process:
            self.process.wait(30)

    def stop(self, seconds=30):
        """SIGTERM; the exit status."""
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds) if self.process else None

    def log(self):
        """What the process wrote, of all its starts."""
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace", encoding="utf-8") as file:
            return file.read()

    def remove(self):
        self.kill()
        for lock in self.locks:
            lock.free()
        if not os.environ.get("COVEY_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    # ------------------------------------------------------------ talking to it

    def cli(self, *words, timeout=30, env=None):
        """`covey --config FILE WORDS`"""
        return covey("--config", self.conf, *words, timeout=timeout, env={**self.env, **(env or {})})

    def client(self, version=wire.V5, **options):
        """A raw connection: tls=True, ws=True, or both."""
        tls, ws = options.pop("tls", False), options.get("ws", False)
        if tls:
            options["sock"] = self.tls_socket(**{k: options.pop(k) for k in ("context",) if k in options})
            return Raw(version=version, **options)
        if self.space:
            options["sock"] = self.connect(self.port)
        return Raw(port=self.ws_port if ws else self.port, version=version, **options)

    def tls_socket(self, context=None):
        raw = self.connect(self.tls_port)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return (context or tls_context()).wrap_socket(raw, server_hostname="localhost")


def tls_context(version=None, ca=None, **load):
    """A client context that trusts the trial authority; version pins TLS to one version."""
    context = ssl.create_default_context(cafile=ca or os.path.join(certs(), "ca.pem"))
    if version:
        context.minimum_version = context.maximum_version = version
    if load:
        context.load_cert_chain(**load)
    return context


def covey(*words, timeout=30, env=None, cwd=None):
    """Runs the program; output and errors are kept apart."""
    return subprocess.run([program(), *words], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                          env=environment(env), cwd=cwd, check=False)


class Raw(mqttlib.Client):
    """The raw client with a way to look at what has come, for tests in which connections break at any byte."""

    def poll(self, seconds):
        """Packets that are there or come within this time (it returns with the first ones). self.eof tells that the
        connection is over; a packet that was cut by that is not one."""
        try:
            if not self.inbox and not self.eof:
                self._pull(time.monotonic() + seconds)
        except wire.WireError:
            if not self.eof:
                raise
        except (OSError, ValueError):
            self.eof = True
        found = [self._resolve(p) if p.type == wire.PUBLISH else p for p in self.inbox]
        self.inbox.clear()
        return found


class Case(unittest.TestCase):
    """Each test has brokers of its own; their logs are shown when it fails."""
    longMessage = True

    def node(self, settings=None, **options):
        node = Node(settings, **options)
        self.addCleanup(node.remove)
        self.addCleanup(self._show_log, node)
        return node

    def _show_log(self, node):
        outcome = self._outcome.result
        if any(test is self for test, _ in outcome.failures + outcome.errors):
            print(f"--- end of the broker's log ({self.id()})\n{node.log()[-3000:]}---", flush=True)

    def needs_covey(self):
        if is_mosquitto():
            self.skipTest("about Covey only")

    def connected(self, node, client_id=None, props=(), clean=True, connect=None, **options):
        client = node.client(**options)
        self.addCleanup(client.close)
        client.connack = client.connect(client_id, props, clean=clean, **(connect or {}))
        return client


class Output:
    """Lines that a child process writes, as they come."""

    def __init__(self, command, stdin=subprocess.DEVNULL, **options):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        stdin=stdin, bufsize=1, **options)
        self.lines, self.changed = [], threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        self.process.stdout.close()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, condition, seconds=20, what="the expected output"):
        """Until condition(lines) is true; its value."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not (value := condition(self.lines)):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{what} did not come from {self.process.args}:\n" + "\n".join(self.lines[-30:]))
                self.changed.wait(min(left, 0.5))
            return value

    def wait_for_line(self, text, seconds=20):
        return self.wait_for(lambda lines: any(text in line for line in lines), seconds, repr(text))

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)
