# SPDX-License-Identifier: Apache-2.0
"""Starts a broker for a test run and ends it again.

COVEY_BIN names the program: by default build/dev/covey, then build/release/covey of this tree; the word
"mosquitto" takes /usr/sbin/mosquitto, which shows whether a test itself is right. Settings have names of their
own here (the keys of SETTINGS), so that tests do not depend on one broker's configuration words.
"""
import atexit
import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Where the report of a dying broker begins: of a sanitizer, or of a broken assumption.
FAULT = re.compile(r"(ERROR|WARNING): \w+Sanitizer|runtime error:|CHECK failed|[Aa]ssertion")
PORTS = os.environ.get("COVEY_TEST_PORTS", "19300-19399")
MOSQUITTO = "/usr/sbin/mosquitto"

# setting -> (Covey's key, Mosquitto's directive), None where it has none: tests that need it are skipped
SETTINGS = {
    "packet_size_max": ("mqtt.max_packet_size", "max_packet_size"),
    "topic_alias_max": ("mqtt.max_topic_alias", "max_topic_alias"),
    "qos_max": ("mqtt.max_qos_allowed", "max_qos"),
    "retain_available": ("mqtt.retain_available", "retain_available"),
    "wildcard_available": ("mqtt.wildcard_subscription", None),
    "shared_available": ("mqtt.shared_subscription", None),
    "receive_max": ("mqtt.receive_maximum", "max_inflight_messages"),
    "inflight_max": ("mqtt.max_inflight", "max_inflight_messages"),
    "server_keep_alive": ("mqtt.server_keepalive", None),
    "client_id_max": ("mqtt.max_clientid_len", None),
    "response_information": ("mqtt.response_information", None),
    "idle_timeout": ("mqtt.idle_timeout", None),
    "anonymous": ("mqtt.allow_anonymous", "allow_anonymous"),
    "alias_max_outbound": ("mqtt.max_topic_alias_outbound", None),
    "workers": ("node.workers", None),
    "share_strategy": ("mqtt.shared_subscription_strategy", None),
    # NAME:PASSWORD of a user of enhanced authentication with SCRAM-SHA-256; clients without one come in too
    "scram_user": ("authentication.password_file", None),
}


def program():
    """The broker to test, or None when nothing is built yet."""
    name = os.environ.get("COVEY_BIN")
    if name:
        return MOSQUITTO if name == "mosquitto" else os.path.abspath(name)
    for preset in ("dev", "release"):
        path = os.path.join(ROOT, "build", preset, "covey")
        if os.access(path, os.X_OK):
            return path
    return None


def is_mosquitto():
    return os.path.basename(program() or "") == "mosquitto"


def environment():
    """COVEY_* variables of the caller are configuration to the broker: it gets none of them."""
    return {key: value for key, value in os.environ.items() if not key.startswith("COVEY_")}


class Port:
    """A free port that no other test process takes before it is given back (brokers use SO_REUSEPORT, so
    binding it twice would not fail)."""

    def __init__(self):
        low, high = (int(p) for p in PORTS.split("-"))
        candidates = list(range(low, high + 1))
        random.shuffle(candidates)
        for number in candidates:
            self.lock = open(os.path.join(tempfile.gettempdir(), f"covey-test-port-{number}"), "w")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", number))
            except OSError:
                self.lock.close()
                continue
            self.number = number
            return
        raise RuntimeError(f"no free port in {PORTS}")

    def free(self):
        self.lock.close()


def to_yaml(flat):
    """Dotted keys to nested YAML; every scalar in JSON notation, which YAML reads."""
    tree = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value

    def lines(node, depth):
        for key, value in node.items():
            if isinstance(value, dict):
                yield "  " * depth + key + ":"
                yield from lines(value, depth + 1)
            else:
                yield "  " * depth + f"{key}: {json.dumps(value)}"

    return "\n".join(lines(tree, 0)) + "\n"


class Broker:
    """A running broker with the given settings. Keys with a dot go into Covey's configuration as they are."""

    def __init__(self, settings=None):
        self.settings = dict(settings or {})
        self.binary = program()
        if self.binary is None or not os.access(self.binary, os.X_OK):
            raise RuntimeError(f"no broker to test: {self.binary or 'build/dev/covey'} (see COVEY_BIN)")
        self.dir = tempfile.mkdtemp(prefix="covey-conformance-")
        self.ports = [Port() for _ in range(3)]
        self.port, self.ws_port, self.admin_port = (p.number for p in self.ports)
        self.log_path = os.path.join(self.dir, "broker.log")
        self.process = None
        try:
            self.start()
        except BaseException:
            self.remove()
            raise

    def _command(self):
        if is_mosquitto():
            path, content = os.path.join(self.dir, "mosquitto.conf"), self._mosquitto_conf()
            command = [self.binary, "-c", path, "-v"]
        else:
            path, content = os.path.join(self.dir, "covey.yaml"), to_yaml(self._covey_conf())
            command = [self.binary, "foreground", "--config", path]
        with open(path, "w") as file:
            file.write(content)
        return command

    def _covey_conf(self):
        data = os.path.join(self.dir, "data")
        os.makedirs(data, exist_ok=True)
        conf = {
            "node.name": "covey@127.0.0.1", "node.data_dir": data, "node.workers": 2,
            "listeners.tcp.default.bind": f"127.0.0.1:{self.port}",
            "listeners.ws.default.bind": f"127.0.0.1:{self.ws_port}",
            "listeners.ssl.default.enable": False, "listeners.wss.default.enable": False,
            "dashboard.listeners.http.enable": False,
        }
        for key, value in self.settings.items():
            name = SETTINGS[key][0] if key in SETTINGS else key
            if name is None:
                raise unittest.SkipTest(f"Covey cannot be set so: {key}")
            conf[name] = self._users_file(value) if key == "scram_user" else value
            if key == "scram_user":
                conf["mqtt.allow_anonymous"] = True
        return conf

    def _users_file(self, user):
        path = os.path.join(self.dir, "users")
        if not os.path.exists(path):
            subprocess.run([self.binary, "passwd", "create", "--file", path, "--scram", "--iterations", "4096", "--batch"],
                           input=user + "\n", text=True, check=True, env=environment())
        return path

    def _mosquitto_conf(self):
        user_lines = ["user root", f"persistence_location {self.dir}/", "persistence true",
                      f"persistence_file store-{self.port}.db"]
        special = {"allow_anonymous": "true"}
        for key, value in self.settings.items():
            name = SETTINGS[key][1] if key in SETTINGS else None
            if name is None:
                raise unittest.SkipTest(f"Mosquitto cannot be set so: {key}")
            special[name] = json.dumps(value)
        local = {k: special.pop(k) for k in ("max_qos", "max_topic_alias") if k in special}
        listener = [f"{k} {v}" for k, v in local.items()]
        return "\n".join(user_lines + [f"{k} {v}" for k, v in special.items()] + [
            f"listener {self.port} 127.0.0.1", *listener,
            f"listener {self.ws_port} 127.0.0.1", "protocol websockets", *listener, ""])

    def start(self, timeout=10):
        command = self._command()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir,
                                            env=environment())
        deadline = time.monotonic() + timeout
        for port in (self.port, self.ws_port):
            while not self._accepts(port):
                if self.process.poll() is not None:
                    raise RuntimeError(f"{command} ended with {self.process.returncode}:\n{self.log()}")
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"{command} does not listen on {port}:\n{self.log()}")
                time.sleep(0.02)

    @staticmethod
    def _accepts(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, hard=False):
        """End this process, softly first; hard is kill -9. Returns the exit status."""
        if self.is_alive():
            self.process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        return self.process.returncode if self.process else None

    def restart(self, hard=False):
        """End it and start it again on the same data and ports."""
        self.stop(hard)
        self.start()

    def log(self, since=0):
        with open(self.log_path, "rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def log_size(self):
        return os.path.getsize(self.log_path)

    def complaint(self):
        """Stops it softly; what was wrong with its life and its end, as text, or None. A sanitizer's report, a broken
        assumption or an exit status other than 0 are wrong even when every test has passed."""
        lived = self.is_alive()
        status = self.stop()
        lines = self.log().splitlines()
        fault = next((n for n, line in enumerate(lines) if FAULT.search(line)), None)
        if fault is not None:
            return "\n".join(["the broker reported a fault:"] + lines[max(0, fault - 5):fault + 40])
        if lived and status != 0 and not is_mosquitto():
            return "\n".join([f"the broker ended with status {status}:"] + lines[-10:])
        return None

    def remove(self):
        """Stop it and delete its files."""
        self.stop()
        for port in self.ports:
            port.free()
        if not os.environ.get("COVEY_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


_shared = {}


def complaints():
    """Stops the brokers of this process that tests have shared; what was wrong with them."""
    return [text for text in (each.complaint() for each in _shared.values()) if text]



def shared(settings):
    """One broker per set of settings and test process, started at first use and removed at exit."""
    key = json.dumps(settings, sort_keys=True)
    if key not in _shared:
        _shared[key] = Broker(settings)
        atexit.register(_shared[key].remove)
    return _shared[key]
