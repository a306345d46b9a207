# SPDX-License-Identifier: Apache-2.0
"""Nodes of this build, alone or in a cluster with a secret, for what is measured here."""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, "build", "release")
COVEY, BENCH = os.path.join(BUILD, "covey"), os.path.join(BUILD, "covey-bench")
sys.path[:0] = [os.path.join(ROOT, "tests", "conformance")]
import wire  # noqa: E402
from mqttlib import Client  # noqa: E402


PASSWORD = "a password of the benchmark"


def cheap_hash(password):
    """As a file of passwords has it, and quickly made."""
    salt = b"0123456789ab"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 1000)
    return f"$7$1000${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """One node of this build; more: lines of its configuration that come last."""

    def __init__(self, folder, number, seeds, secret, pin=(), http=False, more=""):
        self.number, self.pin = number, pin
        self.dir = os.path.join(folder, f"n{number}")
        os.makedirs(self.dir)
        self.port, self.http, self.cluster = free_port(), free_port(), seeds[number]
        self.conf = os.path.join(self.dir, "covey.yaml")
        self.process = None
        text = f"""node: {{name: covey@n{number}, data_dir: {self.dir}/data, workers: 1}}
listeners:
  tcp: {{default: {{bind: "127.0.0.1:{self.port}"}}}}
  ws: {{default: {{enable: false}}}}
dashboard: {{listeners: {{http: {{enable: {str(http).lower()}, bind: "127.0.0.1:{self.http}"}}}}}}
mqtt: {{max_mqueue_len: 100000, max_subscriptions: 0, max_topic_levels: 128}}
{more}"""
        if len(seeds) > 1:
            text += f"""cluster:
  bind: "{self.cluster}"
  secret_file: {secret}
  static: {{seeds: [{", ".join(json.dumps(s) for s in seeds)}]}}
"""
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen([*self.pin, COVEY, "foreground", "--config", self.conf], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        return self

    @property
    def pid(self):
        return self.process.pid

    def ctl(self, *words):
        done = subprocess.run([COVEY, "--config", self.conf, "ctl", *words], capture_output=True, text=True, check=False)
        return done.stdout

    def links(self):
        try:
            return {m["name"]: m for m in json.loads(self.ctl("cluster", "status", "--json"))["members"]}
        except (ValueError, KeyError):
            return {}

    def linked(self, count):
        up = [m for m in self.links().values() if m.get("link") == "up" and m.get("routes_complete")]
        return len(up) == count

    def metric(self, name):
        for line in self.ctl("cluster", "metrics").splitlines():
            if line.split(":")[0].strip() == name:
                return int(line.split(":")[1])
        return 0

    def client(self, version=wire.V5, **options):
        client = Client(port=self.port, version=version, timeout=30)
        client.connect(**options)
        return client

    def rss(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Rss:"))

    def kill(self, how=signal.SIGKILL):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None


class Api:
    """The HTTP API of a node, logged in as admin."""
    def __init__(self, node):
        self.conn = http.client.HTTPConnection("127.0.0.1", node.http, timeout=60)
        self.headers = {"Content-Type": "application/json"}
        path = os.path.join(node.dir, "data", "admin_password")
        if os.path.exists(path):    # one for the cluster
            with open(path, encoding="utf-8") as file:
                first = file.read().strip()
            self.login(first)
            self.call("POST", "/api/v5/users/admin/change_pwd", {"old_pwd": first, "new_pwd": PASSWORD})
        self.login(PASSWORD)

    def login(self, password):
        answer = self.call("POST", "/api/v5/login", {"username": "admin", "password": password})
        self.headers["Authorization"] = "Bearer " + json.loads(answer)["token"]

    def call(self, method, path, body=None):
        self.conn.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.conn.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the nodes do not get on; see their logs")
        time.sleep(0.001)


@contextlib.contextmanager
def cluster(count, start=None, **options):
    folder = tempfile.mkdtemp(prefix="covey-bench-")
    secret = os.path.join(folder, "secret")
    with open(secret, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write("a secret for the benchmark, not for use\n")
    seeds = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    nodes = [Node(folder, i, seeds, secret, **options) for i in range(count)]
    try:
        some = nodes[:count if start is None else start]
        for node in some:
            node.start()
        for node in some:
            until(lambda n=node: n.ctl("status"))
        if len(some) > 1:
            until(lambda: all(n.linked(len(some) - 1) for n in some))
        yield nodes
    finally:
        for node in nodes:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)
