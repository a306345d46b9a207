# SPDX-License-Identifier: Apache-2.0
"""Pods that come back at once under another address, as those of a StatefulSet do: three nodes with the configuration
of deploy/k8s/base, in network namespaces with stable names and passing addresses (pods.py)."""
import atexit
import functools
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import yaml
from engine import ROOT, run
from harness import die_with_parent, environment, program, until
from mqttlib import V5, V311, Client, unique
from streams import WAIT, publish_until_promised
import pods
from netns import connect
from pods import A, SRV, Network


BASE = os.path.join(ROOT, "deploy", "k8s", "base")
CLUSTER_PORT, MQTT_PORT, HEALTH_PORT = 7946, 1883, 18083
START_SECONDS_MAX = 40
BACK_SECONDS_MAX = 20       # from the start of the process to a member that all know


@functools.lru_cache(None)
def network():
    return Network(CLUSTER_PORT)


@functools.lru_cache(None)
def scratch():
    folder = tempfile.mkdtemp(prefix="covey-pods-")
    if not os.environ.get("COVEY_KEEP"):
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with open(os.path.join(folder, "secret"), "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write("a secret for the test, not for use\n")
    return folder


def container():
    with open(os.path.join(BASE, "statefulset.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)["spec"]["template"]["spec"]["containers"][0]


class Pod:
    """A node with a name and data that stay, and an address and a process that go."""
    last_address = 9

    def __init__(self, name, record_type):
        self.name, self.record_type = name, record_type
        self.dir = os.path.join(scratch(), f"{name}-{record_type}")
        os.makedirs(self.dir)
        self.conf = os.path.join(self.dir, "covey.yaml")
        self.log_path = os.path.join(self.dir, "log")
        self.space = self.process = self.address = None
        self._configure()

    def _configure(self):
        """deploy/k8s/base as it is, but for the folders, and what this version can do without."""
        with open(os.path.join(BASE, "covey.yaml"), encoding="utf-8") as file:
            text = file.read()
        for path in ("/var/lib/covey", "/run/covey/"):
            text = text.replace(path, self.dir + "/")
        tree = yaml.safe_load(text.replace("/run/covey-cluster", scratch()))
        given = {"POD_NAME": self.name, "POD_NAMESPACE": "default"}
        self.env = {e["name"]: re.sub(r"\$\((\w+)\)", lambda m: given[m.group(1)], e["value"])
                    for e in container()["env"] if "value" in e}
        self.env["COVEY_MQTT__ALLOW_ANONYMOUS"] = "true"
        self.env["COVEY_NODE__WORKERS"] = "2"
        if self.record_type == "srv":
            tree["cluster"]["dns"]["record_type"] = "srv"
            self.env["COVEY_CLUSTER__DNS__NAME"] = pods.SRV_NAME
        with open(self.conf, "w", encoding="utf-8") as file:
            yaml.safe_dump(tree, file)

    # ------------------------------------------------------------ life

    def start(self, address=None, is_named=True):
        """In a new namespace, under an address that nobody had before or the given one. DNS tells at once, or, with
        is_named=False, goes on as before."""
        if address is None:
            Pod.last_address += 1
            address = f"{pods.SUBNET}.{Pod.last_address}"
        self.address, self.space = address, network().pod(address)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", self.space, program(), "foreground", "--config",
                                             self.conf], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir,
                                            env=environment(self.env), preexec_fn=die_with_parent)
        if is_named:
            network().names.set(self.name, address)
        return self

    def kill(self, how=signal.SIGKILL, is_named=False):
        """The process and the network it had; with is_named=True DNS does not notice."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(60)
            if not is_named:
                network().names.set(self.name, None)
            network().drop(self.space)
            self.process = None
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()[-6000:]

    # ------------------------------------------------------------ asking it

    def client(self, client_id=None, version=V5, **options):
        client = Client(sock=connect(self.space, MQTT_PORT, WAIT), version=version, timeout=WAIT)
        client.connect(client_id, **options)
        return client

    def serves(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
        try:
            connect(self.space, MQTT_PORT, 1).close()
            return True
        except OSError:
            return False

    def get(self, path):
        """Status and text of the health port; (0, reason) when nobody answers."""
        asked = http.client.HTTPConnection("127.0.0.1", HEALTH_PORT, timeout=2)
        try:
            asked.sock = connect(self.space, HEALTH_PORT, 2)
            asked.request("GET", path)
            answer = asked.getresponse()
            return answer.status, answer.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            asked.close()

    def is_ready(self):
        return self.serves() and self.get("/readyz")[0] == 200

    def ctl(self, *words):
        return run(program(), "--config", self.conf, "ctl", *words, env=environment(self.env), check=False).stdout

    def knows(self, other):
        """Whether this node has the other one as a member under its present address."""
        try:
            members = json.loads(self.ctl("cluster", "status", "--json"))["members"]
        except (ValueError, KeyError):
            return False
        found = [(m["address"].rpartition(":")[0], m["state"]) for m in members if m["name"] == f"covey@{other.name}"]
        return found == [(other.address, "alive")]


class TestNetwork(unittest.TestCase):
    """That the pods here are like pods."""

    @classmethod
    def setUpClass(cls):
        network()

    def test_names_are_answered(self):
        names = network().names
        names.set("covey-0", "10.77.0.200")
        names.set("covey-1", "10.77.0.201")
        self.addCleanup(names.set, "covey-0", None)
        self.addCleanup(names.set, "covey-1", None)
        space = network().pod(f"{pods.SUBNET}.250")
        self.addCleanup(network().drop, space)

        def resolve(name):
            done = run("ip", "netns", "exec", space, "getent", "ahostsv4", name, check=False)
            return sorted({line.split()[0] for line in done.stdout.splitlines()})
        self.assertEqual(resolve(pods.NAME), ["10.77.0.200", "10.77.0.201"])
        self.assertEqual(resolve("covey-headless"), ["10.77.0.200", "10.77.0.201"])
        self.assertEqual(resolve(f"covey-1.{pods.NAME}"), ["10.77.0.201"])
        self.assertEqual(resolve("other"), [])
        srv = names.answer(pods.question(pods.SRV_NAME, SRV))
        self.assertEqual(srv[6:8], b"\0\2")
        self.assertIn(b"\7covey-1\x0ecovey-headless\7default", srv)
        names.set("covey-1", None)
        self.assertEqual(resolve(pods.NAME), ["10.77.0.200"])
        self.assertEqual(names.answer(pods.question(pods.SRV_NAME, A))[3] & 15, 0)
        self.assertEqual(names.answer(pods.question("x.y", A))[3] & 15, pods.NXDOMAIN)

    def test_a_node_keeps_its_sessions_under_another_address(self):
        pod = Pod("covey-9", "a")
        self.addCleanup(pod.kill)
        until(pod.start().serves, START_SECONDS_MAX, pod.log)
        with pod.client("keeps", version=V311, clean=False) as client:
            client.subscribe("t", 1)
        before = pod.address
        pod.kill().start()
        self.assertNotEqual(pod.address, before)
        until(pod.serves, START_SECONDS_MAX, pod.log)
        with pod.client("keeps", version=V311, clean=False) as client:
            self.assertTrue(client.connack.session_present)
        other = network().pod(f"{pods.SUBNET}.251")
        self.addCleanup(network().drop, other)
        run("ip", "netns", "exec", other, "bash", "-c", f"exec 3<>/dev/tcp/{pod.address}/{MQTT_PORT}", timeout=WAIT)


class Cluster:
    record_type = None

    @classmethod
    def setUpClass(cls):
        network()
        cls.pods = [Pod(f"covey-{i}", cls.record_type) for i in range(3)]
        # As at the first start of a StatefulSet: together, and the name is not there before the pods are.
        for pod in cls.pods:
            pod.start()
        cls.addClassCleanup(cls.end)
        cls.await_all(START_SECONDS_MAX)

    @classmethod
    def end(cls):
        for pod in cls.pods:
            pod.kill()

    @classmethod
    def await_all(cls, seconds):
        started = time.monotonic()

        def told():
            return "".join(f"\n{p.name} {p.address} {p.get('/readyz')}\n{p.ctl('cluster', 'status')}{p.log()}"
                           for p in cls.pods)
        until(lambda: all(p.is_ready() for p in cls.pods), seconds, told)
        until(lambda: all(p.knows(q) for p in cls.pods for q in cls.pods), seconds, told)
        print(f"    all know all after {time.monotonic() - started:.1f} s", flush=True)

    def assert_hears(self, client, wanted):
        """The messages in this order; one that its publisher had to send again may come again."""
        got = {}
        while list(got) != wanted:
            got[client.recv_publish(timeout=WAIT).payload] = None
            self.assertEqual(list(got), wanted[:len(got)])

    def assert_flows(self):
        """From every node to every node."""
        topic = unique()
        subs = [pod.client() for pod in self.pods]
        try:
            for sub in subs:
                sub.subscribe(topic, 1)
            for pod in self.pods:
                with pod.client() as publisher:
                    publisher.publish(topic, pod.name.encode(), 1)
            for sub in subs:
                got = sorted(sub.recv_publish(timeout=WAIT).payload.decode() for _ in self.pods)
                self.assertEqual(got, [pod.name for pod in self.pods])
        finally:
            for sub in subs:
                sub.close()

    def test_live_and_ready(self):
        for pod in self.pods:
            self.assertEqual(pod.get("/livez")[0], 200)
            self.assertEqual(pod.get("/readyz")[0], 200)
        self.assert_flows()

    def test_back_at_once_under_another_address(self):
        first, gone, third = self.pods
        topic, client_id = unique(), unique("c")
        with gone.client(client_id, version=V311, clean=False) as client:
            client.subscribe(topic, 1)
        with first.client() as publisher, third.client() as listener:
            listener.subscribe(topic, 1)
            publish_until_promised(publisher, topic, b"before")
            gone.kill().start()
            publish_until_promised(publisher, topic, b"meanwhile")
            self.await_all(BACK_SECONDS_MAX)
            publish_until_promised(publisher, topic, b"after")
            self.assert_hears(listener, [b"before", b"meanwhile", b"after"])
        with gone.client(client_id, version=V311, clean=False) as client:
            self.assertTrue(client.connack.session_present)
            self.assert_hears(client, [b"before", b"meanwhile", b"after"])
        self.assert_flows()

    def test_back_before_the_names_have_changed(self):
        """As with a name server that caches: the node knows where the others are, they learn where it is from it."""
        self.pods[1].kill(is_named=True).start(is_named=False)
        try:
            self.await_all(BACK_SECONDS_MAX)
        finally:
            network().names.set(self.pods[1].name, self.pods[1].address)
        self.assert_flows()

    def test_stopped_in_order_and_back_under_another_address(self):
        self.pods[0].kill(signal.SIGTERM).start()
        self.await_all(BACK_SECONDS_MAX)
        self.assert_flows()

    def test_two_pods_swap_their_addresses(self):
        _, one, two = self.pods
        was_one, was_two = one.address, two.address
        one.kill()
        two.kill()
        one.start(was_two)
        two.start(was_one)
        self.await_all(BACK_SECONDS_MAX)
        self.assert_flows()

    def test_all_pods_move_at_once(self):
        """Nobody knows an address that is still right: the name is all that they have."""
        with self.pods[0].client("moves-" + self.record_type, version=V311, clean=False) as client:
            client.subscribe("moves", 1)
        for pod in self.pods:
            pod.kill()
        for pod in self.pods:
            pod.start()
        self.await_all(BACK_SECONDS_MAX)
        with self.pods[2].client() as publisher:
            # 0x10: nobody is known to want it, as long as the routes are on their way.
            until(lambda: publisher.publish("moves", b"x", 1).reason == 0, WAIT, "the subscription is known")
        with self.pods[0].client("moves-" + self.record_type, version=V311, clean=False) as client:
            self.assertTrue(client.connack.session_present)
            self.assertEqual(client.recv_publish(timeout=WAIT).payload, b"x")
        self.assert_flows()

    def test_a_silent_name_server_delays_and_does_not_break(self):
        network().names.is_silent = True
        try:
            self.pods[1].kill().start()
            until(self.pods[1].serves, START_SECONDS_MAX, self.pods[1].log)
            # HTTP comes a moment after the listeners.
            until(lambda: self.pods[1].get("/livez")[0] == 200, START_SECONDS_MAX, self.pods[1].log)
        finally:
            network().names.is_silent = False
        self.await_all(BACK_SECONDS_MAX + 10)
        self.assert_flows()


class TestAddressRecords(Cluster, unittest.TestCase):
    record_type = "a"


class TestServiceRecords(Cluster, unittest.TestCase):
    record_type = "srv"
