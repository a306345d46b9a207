# SPDX-License-Identifier: Apache-2.0
"""The three nodes of deploy/compose.yaml as a user has them: started by `docker-compose up`, talked to over the published
ports, killed by `docker kill`."""
import atexit
import functools
import json
import os
import re
import threading
import time
import unittest
import urllib.request

import jsonschema
import paho.mqtt.client as paho
import yaml
from clients import heard_by_mosquitto
from engine import IMAGE, ROOT, UID, engine, health, run, why
from harness import Port, until
from mqttlib import PUBLISH, V5, V311, Client, unique
from streams import WAIT, Stream

PROJECT = "covey-deploy-test"
COMPOSE = os.path.join(ROOT, "deploy", "compose.yaml")
NODES = ("node1", "node2", "node3")
START_SECONDS_MAX = 60


def read_yaml(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


class Nodes:
    """`docker-compose up` of deploy/compose.yaml with free ports."""

    def __init__(self):
        self.locks = [Port() for _ in NODES]
        self.ports = dict(zip(NODES, (lock.number for lock in self.locks)))
        self.env = dict(engine().env, COVEY_IMAGE=IMAGE,
                        **{f"COVEY_PORT_{i + 1}": str(self.ports[node]) for i, node in enumerate(NODES)})
        self.others = {f"COVEY_{kind}_{i + 1}": Port() for kind in ("WS", "DASHBOARD") for i in range(len(NODES))}
        self.env.update({name: str(port.number) for name, port in self.others.items()})
        self.file = COMPOSE
        self.down()
        atexit.register(self.down)
        self.compose("up", "-d")
        self.containers = {service: self.compose("ps", "-aq", service).stdout.strip() for service in (*NODES, "secret")}
        for node in NODES:
            until(lambda n=node: health(self.container(n)) == "healthy", START_SECONDS_MAX,
                  lambda n=node: why(self.container(n)))

    def compose(self, *words, **options):
        return run("docker-compose", "-p", PROJECT, "-f", self.file, *words, env=self.env, **options)

    def down(self):
        self.compose("down", "-v", "--remove-orphans", "-t", "20", check=False)

    def container(self, service):
        return self.containers[service]

    def execute(self, service, *words, **options):
        return engine().docker("exec", self.container(service), *words, **options)

    def client(self, node, client_id=None, version=V5, **options):
        client = Client(port=self.ports[node], version=version, timeout=WAIT)
        client.connect(client_id, **options)
        return client


@functools.lru_cache(None)
def nodes():
    return Nodes()


class TestFile(unittest.TestCase):
    """Both generations of Compose take the file. Needs no engine."""

    def test_compose_1(self):
        run("docker-compose", "-f", COMPOSE, "config", "-q")

    def test_compose_2_schema(self):
        path = os.path.join(os.path.dirname(__file__), "schemas/node_modules/dclint/schemas/compose.schema.json")
        with open(path, encoding="utf-8") as file:
            check = jsonschema.Draft7Validator(json.load(file))
        self.assertEqual([e.message for e in check.iter_errors(read_yaml(COMPOSE))], [])
        broken = read_yaml(COMPOSE)
        broken["services"]["node1"]["read_onyl"] = True
        self.assertTrue(list(check.iter_errors(broken)))

    def test_compose_2(self):
        if run("docker", "compose", "version", check=False).returncode:
            self.skipTest("there is no Compose 2 here: its schema is checked instead")
        run("docker", "compose", "-f", COMPOSE, "config", "-q")

    def test_nodes_differ_in_their_names_only(self):
        services = read_yaml(COMPOSE)["services"]
        plain = {json.dumps(services[f"node{i}"], sort_keys=True).replace(f"node{i}:7946", "SEED")
                 .replace(f"node{i}", "NODE").replace(f"data{i}", "DATA").replace(f"PORT_{i}:-{1882 + i}", "PORT")
                 .replace(f"WS_{i}:-{8082 + i}", "WS").replace(f"DASHBOARD_{i}:-{18082 + i}", "DASHBOARD")
                 for i in (1, 2, 3)}
        plain = {re.sub(r"(SEED|node\d:7946)(,|\b)", "", text) for text in plain}
        self.assertEqual(len(plain), 1, plain)
        self.assertEqual(set(services), {*NODES, "secret"})


class TestNodes(unittest.TestCase):
    """What does not need a cluster."""

    @classmethod
    def setUpClass(cls):
        engine()
        nodes()

    def test_runs_with_few_rights(self):
        for node in NODES:
            with self.subTest(node):
                host = json.loads(engine().inspect(nodes().container(node), "{{json .HostConfig}}"))
                self.assertTrue(host["ReadonlyRootfs"])
                self.assertEqual(host["CapDrop"], ["ALL"])
                self.assertIn("no-new-privileges:true", host["SecurityOpt"])
                self.assertFalse(host["Privileged"])
                self.assertEqual(nodes().execute(node, "id", "-u").stdout.strip(), UID)
                status = nodes().execute(node, "cat", "/proc/1/status").stdout
                self.assertRegex(status, r"Name:\tcovey\n")
                self.assertRegex(status, rf"Uid:\t{UID}\t{UID}\t{UID}\t{UID}\n")
                self.assertRegex(status, r"CapEff:\t0+\n")
                self.assertNotEqual(nodes().execute(node, "touch", "/etc/x", check=False).returncode, 0)

    def test_dashboards_are_published(self):
        for i in range(len(NODES)):
            with urllib.request.urlopen(f"http://127.0.0.1:{nodes().others[f'COVEY_DASHBOARD_{i + 1}'].number}/readyz",
                                        timeout=WAIT) as answer:
                self.assertEqual(answer.read(), b"ok\n")

    def test_writes_nowhere_else(self):
        for node in NODES:
            self.assertEqual(engine().docker("diff", nodes().container(node)).stdout.split(), [])

    def test_secret_is_one_and_private(self):
        secrets = {nodes().execute(node, "cat", "/run/covey-cluster/secret").stdout for node in NODES}
        self.assertEqual(len(secrets), 1)
        self.assertGreaterEqual(len(secrets.pop().strip()), 43)
        for node in NODES:
            self.assertEqual(nodes().execute(node, "stat", "-c", "%a %u", "/run/covey-cluster/secret").stdout.strip(),
                             f"600 {UID}")
            self.assertNotEqual(nodes().execute(node, "bash", "-c", ">/run/covey-cluster/secret", check=False).returncode,
                                0)
        self.assertEqual(engine().inspect(nodes().container("secret"), "{{.State.ExitCode}}"), "0")

    def test_up_again_changes_nothing(self):
        before = nodes().execute("node1", "cat", "/run/covey-cluster/secret").stdout
        nodes().compose("up", "-d")
        for node in NODES:
            self.assertEqual(nodes().compose("ps", "-q", node).stdout.strip(), nodes().container(node))
        self.assertEqual(nodes().execute("node1", "cat", "/run/covey-cluster/secret").stdout, before)

    def test_published_on_this_machine_only(self):
        for node in NODES:
            bindings = json.loads(engine().inspect(nodes().container(node), "{{json .HostConfig.PortBindings}}"))
            self.assertEqual(set(bindings), {"1883/tcp", "8083/tcp", "18083/tcp"})
            self.assertEqual({b["HostIp"] for each in bindings.values() for b in each}, {"127.0.0.1"})

    def test_each_node_serves(self):
        for node in NODES:
            topic = unique()
            with nodes().client(node) as client:
                client.subscribe(topic, 2)
                client.publish(topic, b"x", 2)
                self.assertEqual(client.recv_publish().payload, b"x")


class TestCluster(unittest.TestCase):
    """What one node's clients have from another node."""

    @classmethod
    def setUpClass(cls):
        engine()
        nodes()

    def members(self, node):
        return nodes().execute(node, "covey", "ctl", "cluster", "status").stdout

    def ready(self, node):
        until(lambda: health(nodes().container(node)) == "healthy", START_SECONDS_MAX,
              lambda: why(nodes().container(node)) + self.members("node1"))

    def test_every_node_knows_every_node(self):
        for node in NODES:
            status = self.members(node)
            for other in NODES:
                self.assertIn(f"covey@{other}", status)

    def test_mosquitto_clients_hear_each_other(self):
        for qos in (0, 1, 2):
            for sub, pub in (("node1", "node3"), ("node3", "node2"), ("node2", "node1")):
                with self.subTest(qos=qos, sub=sub, pub=pub):
                    got, sent = heard_by_mosquitto(nodes().ports[sub], nodes().ports[pub], qos)
                    self.assertEqual(got, sent)

    def test_paho_clients_hear_each_other(self):
        topic, got, subscribed = unique(), [], threading.Event()
        sub = paho.Client(unique("c"), protocol=paho.MQTTv5)
        sub.on_subscribe = lambda *_: subscribed.set()
        sub.on_message = lambda _c, _u, m: got.append((m.payload, m.qos))
        sub.connect("127.0.0.1", nodes().ports["node1"])
        sub.loop_start()
        self.addCleanup(sub.loop_stop)
        sub.subscribe(topic + "/#", 2)
        self.assertTrue(subscribed.wait(WAIT))
        pub = paho.Client(unique("c"), protocol=paho.MQTTv311)
        pub.connect("127.0.0.1", nodes().ports["node3"])
        pub.loop_start()
        self.addCleanup(pub.loop_stop)
        for i in range(30):
            pub.publish(f"{topic}/x", b"%d" % i, i % 3).wait_for_publish(WAIT)
        until(lambda: len(got) == 30, WAIT, lambda: got)
        self.assertEqual(sorted(got), sorted((b"%d" % i, i % 3) for i in range(30)))
        sub.disconnect()
        pub.disconnect()

    def test_retained_is_on_all_nodes(self):
        topic = unique()
        with nodes().client("node2") as pub:
            pub.publish(topic, b"kept", 1, retain=True)
            for node in NODES:
                until(lambda n=node: self.retained(n, topic) == b"kept", WAIT, node)
            pub.publish(topic, b"", 1, retain=True)
            for node in NODES:
                until(lambda n=node: self.retained(n, topic) is None, WAIT, node)

    def retained(self, node, topic):
        with nodes().client(node) as sub:
            sub.subscribe(topic, 1)
            found = [p for p in sub.barrier() if p.type == PUBLISH]
            return found[0].payload if found else None

    def test_a_client_id_is_one_client(self):
        client_id = unique("c")
        first = nodes().client("node1", client_id)
        with nodes().client("node2", client_id):
            first.expect_disconnect(0x8E, timeout=WAIT)

    def test_a_session_follows_its_client(self):
        topic, client_id = unique(), unique("c")
        with nodes().client("node1", client_id, version=V311, clean=False) as away:
            away.subscribe(topic, 1)
        with nodes().client("node2") as pub:
            pub.publish(topic, b"meanwhile", 1)
        with nodes().client("node3", client_id, version=V311, clean=False) as back:
            self.assertTrue(back.connack.session_present)
            self.assertEqual(back.recv_publish(timeout=WAIT).payload, b"meanwhile")

    def test_a_killed_node_loses_nothing_that_was_promised(self):
        """An offline session on node 3 has stored, or gets when its node is back, each message that its publisher on
        node 1 was promised; the node is back before the others give it up."""
        topic, client_id = unique(), unique("c")
        with nodes().client("node3", client_id, version=V311, clean=False) as away:
            away.subscribe(topic, 1)
        publisher = nodes().client("node1", clean=True)
        self.addCleanup(publisher.close)
        stream = Stream(publisher, topic)
        self.addCleanup(stream.ends.set)
        until(lambda: len(stream.promised) >= 100 or stream.error, WAIT, "the stream does not flow")
        container = nodes().container("node3")
        engine().docker("kill", container)
        engine().docker("start", container)
        self.ready("node3")
        count = len(stream.promised)
        until(lambda: len(stream.promised) >= count + 50 or stream.error, WAIT, "the stream does not flow again")
        stream.end()
        with nodes().client("node3", client_id, version=V311, clean=False) as back:
            self.assertTrue(back.connack.session_present)
            got, deadline = [], time.monotonic() + WAIT
            while not stream.promised <= set(got) and time.monotonic() < deadline:
                try:
                    got.append(int(back.recv_publish(timeout=2).payload))
                except AssertionError:
                    break
        self.assertEqual(sorted(stream.promised - set(got)), [], f"{stream.sent} sent, {len(stream.promised)} promised")
        first = list(dict.fromkeys(got))
        self.assertEqual(first, sorted(first), "the order of one publisher")

    def test_others_go_on_without_a_killed_node(self):
        topic = unique()
        container = nodes().container("node2")
        with nodes().client("node1") as sub, nodes().client("node3") as pub:
            sub.subscribe(topic, 1)
            engine().docker("kill", container)
            try:
                for i in range(20):
                    pub.publish(topic, b"%d" % i, 1)
                    self.assertEqual(sub.recv_publish(timeout=WAIT).payload, b"%d" % i)
            finally:
                engine().docker("start", container)
            self.ready("node2")
            with nodes().client("node2") as back:
                back.subscribe(topic, 1)
                pub.publish(topic, b"all", 1)
                self.assertEqual(back.recv_publish(timeout=WAIT).payload, b"all")


class TestZEnd(unittest.TestCase):
    """Last, since it takes the nodes down."""

    @classmethod
    def setUpClass(cls):
        engine()
        nodes()

    def test_stop_is_in_order(self):
        containers = [nodes().container(node) for node in NODES]
        nodes().compose("stop")
        for container in containers:
            self.assertEqual(engine().inspect(container, "{{.State.ExitCode}}"), "0", why(container))
        nodes().down()
        left = engine().docker("volume", "ls", "-q", "--filter", f"name={PROJECT}").stdout.split()
        self.assertEqual(left, [])
