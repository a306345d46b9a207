# SPDX-License-Identifier: Apache-2.0
"""deploy/k8s as kustomize renders it: every object against the schemas of Kubernetes, strictly; what must hold between
the objects; the configuration files with the broker itself. Each check is shown a mistake that it has to find."""
import copy
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml
from harness import ROOT, certs, covey

HERE = os.path.dirname(os.path.abspath(__file__))
OVERLAYS = ("trial", "production")
LABELS = {"app.kubernetes.io/name": "covey"}
KUSTOMIZE_MIN = 4


@functools.lru_cache(None)
def render(name):
    """The objects of base, trial or production. Secrets that a user makes by hand are made here in a copy."""
    if not shutil.which("kubectl"):
        raise unittest.SkipTest("there is no kubectl")
    version = json.loads(subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True,
                                        check=True).stdout).get("kustomizeVersion", "v0")
    if int(re.match(r"v(\d+)", version).group(1)) < KUSTOMIZE_MIN:
        raise unittest.SkipTest(f"the kustomize in kubectl is too old: {version}")
    with tempfile.TemporaryDirectory(prefix="covey-k8s-") as folder:
        top = shutil.copytree(os.path.join(ROOT, "deploy", "k8s"), os.path.join(folder, "k8s"))
        for overlay in OVERLAYS:
            with open(os.path.join(top, "overlays", overlay, "cluster-secret"), "w", encoding="utf-8") as file:
                file.write("a secret for the test, not for use\n")
        path = os.path.join(top, "base" if name == "base" else f"overlays/{name}")
        done = subprocess.run(["kubectl", "kustomize", path], capture_output=True, text=True, check=False)
        if done.returncode or done.stderr:
            raise AssertionError(f"kustomize {name}: {done.stderr}")
        return list(yaml.safe_load_all(done.stdout))


def schema_mistakes(objects):
    """For each object, the list of what Kubernetes would not take."""
    done = subprocess.run(["node", os.path.join(HERE, "schemas", "check.mjs")], input=json.dumps(objects),
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def of(objects, kind, name="covey"):
    found = [o for o in objects if o["kind"] == kind and re.fullmatch(name + "(-[a-z0-9]{10})?", o["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects {kind} {name}"
    return found[0]


def pod_of(objects):
    return of(objects, "StatefulSet")["spec"]["template"]["spec"]


# ------------------------------------------------------------ what must hold between objects

def ports_fit(objects):
    """Names of ports are no longer than allowed, and whoever uses one uses one that there is."""
    container = pod_of(objects)["containers"][0]
    ports = {p["name"]: (p["containerPort"], p.get("protocol", "TCP")) for p in container["ports"]}
    yield from (f"port {name}: longer than 15 characters" for name in ports if len(name) > 15)
    if len(set(ports.values())) != len(container["ports"]):
        yield "ports of the container repeat"
    for service in (o for o in objects if o["kind"] == "Service"):
        name = service["metadata"]["name"]
        for port in service["spec"]["ports"]:
            if ports.get(port["targetPort"]) != (port["port"], port.get("protocol", "TCP")):
                yield f"service {name}: port {port['name']} is not that of the container"
    for rule in of(objects, "NetworkPolicy")["spec"]["ingress"]:
        for port in rule["ports"]:
            if ports.get(port["port"], (0, ""))[1] != port.get("protocol", "TCP"):
                yield f"network policy: no port {port['port']}"


def probes_fit(objects):
    container = pod_of(objects)["containers"][0]
    names = {p["name"] for p in container["ports"]}
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        get = container.get(probe, {}).get("httpGet", {})
        if get.get("path") != path or get.get("port") not in names:
            yield f"{probe}: not {path} at a port of the container"
        if "scheme" in get:
            yield f"{probe}: health is plain HTTP"


def selectors_match(objects):
    stateful = of(objects, "StatefulSet")["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    selectors = {"statefulset": stateful["selector"]["matchLabels"],
                 "disruption": of(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                 "network": of(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
                 **{o["metadata"]["name"]: o["spec"]["selector"] for o in objects if o["kind"] == "Service"}}
    for name, selector in selectors.items():
        if not selector.items() <= labels.items() or selector != LABELS:
            yield f"{name} selects {selector}"


def nodes_find_each_other(objects):
    headless = of(objects, "Service", "covey-headless")["spec"]
    if headless.get("clusterIP") != "None" or headless.get("publishNotReadyAddresses") is not True:
        yield "the headless service hides nodes that are not ready"
    stateful = of(objects, "StatefulSet")["spec"]
    if stateful["serviceName"] != "covey-headless" or stateful["podManagementPolicy"] != "Parallel":
        yield "pods have no names, or wait for each other"
    env = {e["name"]: e.get("value") for e in pod_of(objects)["containers"][0]["env"]}
    if env["COVEY_CLUSTER__DNS__NAME"] != "covey-headless.$(POD_NAMESPACE).svc.cluster.local":
        yield "cluster.dns.name is not the headless service"
    order = list(env)
    for name, value in env.items():
        for used in re.findall(r"\$\((\w+)\)", value or ""):
            if used not in order[:order.index(name)]:
                yield f"{name} uses {used}, which is not set before it"


def one_goes_at_a_time(objects):
    if of(objects, "PodDisruptionBudget")["spec"].get("maxUnavailable") != 1:
        yield "disruption: more than one node at a time"
    pod = pod_of(objects)
    container = pod["containers"][0]
    command = container["lifecycle"]["preStop"]["exec"]["command"]
    env = {e["name"]: e.get("value") for e in container["env"]}
    if command[:4] != ["covey", "ctl", "cluster", "drain"]:
        yield f"preStop: {command}"
    wait = int(command[command.index("--wait") + 1])
    shutdown = int(env["COVEY_NODE__SHUTDOWN_TIMEOUT"].rstrip("s"))
    if wait + shutdown + 10 > pod["terminationGracePeriodSeconds"]:
        yield "the grace period ends before the node does"


def cluster_port_is_private(objects):
    for rule in of(objects, "NetworkPolicy")["spec"]["ingress"]:
        names = {p["port"] for p in rule["ports"]}
        is_ours = [f.get("podSelector", {}).get("matchLabels") for f in rule.get("from", [])] == [LABELS]
        if names & {"cluster", "cluster-udp"} and (not is_ours or "namespaceSelector" in str(rule)):
            yield "network policy: others reach the port of the cluster"
        if "http" in names:
            yield "network policy: others reach the port for health"
    for service in (o for o in objects if o["kind"] == "Service" and o["spec"].get("clusterIP") != "None"):
        if {p["port"] for p in service["spec"]["ports"]} & {7946, 18083}:
            yield f"service {service['metadata']['name']}: offers clients more than MQTT"


def rights_are_few(objects):
    """What the level "restricted" of Pod Security asks for, and a root file system that cannot be written."""
    pod = pod_of(objects)
    context = pod["securityContext"]
    if not (context.get("runAsNonRoot") and context.get("runAsUser") == context.get("fsGroup") == 10001):
        yield "the pod may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False or pod.get("enableServiceLinks") is not False:
        yield "the pod gets what it has no use for"
    if pod.get("hostNetwork") or pod.get("hostPID") or any("hostPath" in v for v in pod["volumes"]):
        yield "the pod reaches into its machine"
    for container in pod["initContainers"] + pod["containers"]:
        inner = container.get("securityContext", {})
        if (inner.get("allowPrivilegeEscalation") is not False or inner.get("readOnlyRootFilesystem") is not True
                or inner.get("capabilities") != {"drop": ["ALL"]}):
            yield f"container {container['name']}: rights that it does not need"
        if "memory" not in container["resources"].get("limits", {}) or "cpu" not in container["resources"]["requests"]:
            yield f"container {container['name']}: resources"


def secret_is_private(objects):
    """The node gets a copy that is its own, 0600, in memory; the Secret itself is not where the node looks."""
    pod = pod_of(objects)
    volumes = {v["name"]: v for v in pod["volumes"]}
    mounts = {m["mountPath"]: m for m in pod["containers"][0]["volumeMounts"]}
    init = {m["mountPath"]: m["name"] for m in pod["initContainers"][0]["volumeMounts"]}
    if pod["initContainers"][0]["command"] != ["install", "-m", "0600", "/run/covey-secret/secret",
                                              "/run/covey-cluster/secret"]:
        yield "the copy of the secret is not made, or is not private"
    if volumes[init["/run/covey-secret"]]["secret"].get("defaultMode") != 0o400:
        yield "the secret can be read by others"
    name = mounts["/run/covey-cluster"]["name"]
    if name != init["/run/covey-cluster"] or volumes[name].get("emptyDir", {}).get("medium") != "Memory":
        yield "the copy of the secret is not in memory, or not where the node looks"
    if "/run/covey-secret" in mounts:
        yield "the node has the Secret as well"


def mounts_fit(objects):
    stateful = of(objects, "StatefulSet")["spec"]
    pod = stateful["template"]["spec"]
    have = [v["name"] for v in pod["volumes"]] + [c["metadata"]["name"] for c in stateful.get("volumeClaimTemplates", [])]
    used = {m["name"] for c in pod["initContainers"] + pod["containers"] for m in c["volumeMounts"]}
    if len(have) != len(set(have)) or set(have) != used:
        yield f"volumes {sorted(have)}, used {sorted(used)}"
    for volume in pod["volumes"]:
        name = volume.get("configMap", {}).get("name")
        if name and not any(o["kind"] == "ConfigMap" and o["metadata"]["name"] == name for o in objects):
            yield f"there is no ConfigMap {name}"
    if not any(m["mountPath"] == "/var/lib/covey" for m in pod["containers"][0]["volumeMounts"]):
        yield "data is not on a volume"


def nodes_are_spread(objects):
    pod = pod_of(objects)
    terms = pod["affinity"]["podAntiAffinity"]
    hosts = [t.get("podAffinityTerm", t) for rule in terms.values() for t in rule]
    zones = pod["topologySpreadConstraints"]
    if not any(t["topologyKey"] == "kubernetes.io/hostname" and t["labelSelector"]["matchLabels"] == LABELS
               for t in hosts):
        yield "nodes may share a machine for no reason"
    if [z["topologyKey"] for z in zones] != ["topology.kubernetes.io/zone"] or zones[0]["maxSkew"] != 1:
        yield "nodes are not spread over zones"


RULES = (ports_fit, probes_fit, selectors_match, nodes_find_each_other, one_goes_at_a_time, cluster_port_is_private,
         rights_are_few, secret_is_private, mounts_fit, nodes_are_spread)


def problems(objects):
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(objects)]


# ------------------------------------------------------------ tests

def container_of(objects):
    return pod_of(objects)["containers"][0]


# A mistake that somebody could make, and the rule that has to find it (None: the schemas).
BROKEN = {
    "a field that does not exist": (None, lambda o: of(o, "StatefulSet")["spec"].update(serviceNam="x")),
    "a field inside of a list": (None, lambda o: container_of(o)["ports"][0].update(hostport=1)),
    "a word for a number": (None, lambda o: of(o, "StatefulSet")["spec"].update(replicas="3")),
    "a word that is none of the choices": (None, lambda o: of(o, "StatefulSet")["spec"].update(
        podManagementPolicy="Serial")),
    "something is missing": (None, lambda o: of(o, "StatefulSet")["spec"].pop("selector")),
    "a kind that does not exist": (None, lambda o: of(o, "StatefulSet").update(apiVersion="apps/v1beta9")),
    "a size that is none": (None, lambda o: container_of(o)["resources"]["limits"].update(memory="1 Gigabyte")),
    "another port": (ports_fit, lambda o: container_of(o)["ports"][0].update(containerPort=1884)),
    "a long name": (ports_fit, lambda o: container_of(o)["ports"][0].update(name="mqtt-without-tls")),
    "a probe of no port": (probes_fit, lambda o: container_of(o)["readinessProbe"]["httpGet"].update(port="admin")),
    "ready when it lives": (probes_fit, lambda o: container_of(o)["readinessProbe"]["httpGet"].update(path="/livez")),
    "another label": (selectors_match, lambda o: of(o, "Service")["spec"]["selector"].update({"a": "b"})),
    "only the ready ones": (nodes_find_each_other, lambda o: of(o, "Service", "covey-headless")["spec"].pop(
        "publishNotReadyAddresses")),
    "too early": (nodes_find_each_other, lambda o: container_of(o)["env"].reverse()),
    "two at a time": (one_goes_at_a_time, lambda o: of(o, "PodDisruptionBudget")["spec"].update(maxUnavailable=2)),
    "too little grace": (one_goes_at_a_time, lambda o: pod_of(o).update(terminationGracePeriodSeconds=30)),
    "open cluster port": (cluster_port_is_private, lambda o: of(o, "NetworkPolicy")["spec"]["ingress"][1].pop("from")),
    "root": (rights_are_few, lambda o: pod_of(o)["securityContext"].pop("runAsNonRoot")),
    "a writable root": (rights_are_few, lambda o: container_of(o)["securityContext"].pop("readOnlyRootFilesystem")),
    "a secret for all": (secret_is_private, lambda o: next(v for v in pod_of(o)["volumes"] if v["name"] == "secret")[
        "secret"].pop("defaultMode")),
    "a copy for all": (secret_is_private, lambda o: pod_of(o)["initContainers"][0]["command"].__setitem__(2, "0644")),
    "no such volume": (mounts_fit, lambda o: container_of(o)["volumeMounts"].append({"name": "x", "mountPath": "/x"})),
    "no spread": (nodes_are_spread, lambda o: pod_of(o)["topologySpreadConstraints"].clear()),
}


class TestManifests(unittest.TestCase):
    def test_schemas(self):
        objects = [(name, o) for name in ("base", *OVERLAYS) for o in render(name)]
        for (name, o), mistakes in zip(objects, schema_mistakes([o for _, o in objects])):
            self.assertEqual(mistakes, [], f"{name}: {o['kind']} {o['metadata']['name']}")

    def test_what_must_hold(self):
        for name in ("base", *OVERLAYS):
            with self.subTest(name):
                self.assertEqual(problems(render(name)), [])

    def test_mistakes_are_found(self):
        broken, wanted = [], []
        for name, (rule, spoil) in BROKEN.items():
            objects = copy.deepcopy(render("base"))
            spoil(objects)
            if rule is None:
                broken.append(of(objects, "StatefulSet"))
                wanted.append(name)
            else:
                self.assertTrue(list(rule(objects)), name)
        for name, mistakes in zip(wanted, schema_mistakes(broken), strict=True):
            self.assertTrue(mistakes, name)

    def test_base_has_no_secret(self):
        self.assertEqual([o for o in render("base") if o["kind"] == "Secret"], [])
        for overlay in OVERLAYS:
            secret = of(render(overlay), "Secret", "covey-cluster")
            used = next(v for v in pod_of(render(overlay))["volumes"] if v["name"] == "secret")["secret"]
            self.assertEqual(used["secretName"], secret["metadata"]["name"])

    def test_no_secret_is_kept_in_the_tree(self):
        files = subprocess.run(["git", "-C", ROOT, "ls-files", "deploy/k8s"], capture_output=True, text=True,
                               check=False).stdout
        self.assertNotIn("cluster-secret", files)
        ignored = subprocess.run(["git", "-C", ROOT, "check-ignore", "deploy/k8s/overlays/trial/cluster-secret"],
                                 capture_output=True, check=False)
        self.assertIn(ignored.returncode, (0, 128))     # 128: not a clone

    def test_overlays_differ_in_what_they_say(self):
        trial, production = render("trial"), render("production")
        self.assertNotIn("volumeClaimTemplates", of(trial, "StatefulSet")["spec"])
        self.assertEqual(of(trial, "Service")["spec"]["type"], "NodePort")
        self.assertEqual([p["name"] for p in of(production, "Service")["spec"]["ports"]], ["mqtts", "wss"])
        hard = pod_of(production)["affinity"]["podAntiAffinity"]
        self.assertEqual(list(hard), ["requiredDuringSchedulingIgnoredDuringExecution"])
        self.assertEqual([z["whenUnsatisfiable"] for z in pod_of(production)["topologySpreadConstraints"]],
                         ["DoNotSchedule"])
        self.assertNotIn("COVEY_MQTT__ALLOW_ANONYMOUS", json.dumps(production))


class TestConfiguration(unittest.TestCase):
    """The files and variables that the pods get, checked by the program that gets them."""

    def setUp(self):
        if "cluster.dns.name" not in covey("config", "keys").stdout:
            self.skipTest("the program has no cluster")
        self.folder = tempfile.mkdtemp(prefix="covey-k8s-")
        self.addCleanup(shutil.rmtree, self.folder)
        for ours, theirs in (("server.pem", "tls.crt"), ("server.key", "tls.key"), ("ca.pem", "ca.crt")):
            shutil.copy(os.path.join(certs(), ours), os.path.join(self.folder, theirs))
        self.secret = os.path.join(self.folder, "secret")
        with open(os.path.join(self.folder, "secret"), "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) \
                as file:
            file.write("a secret for the test, not for use\n")

    def conf_and_env(self, name):
        text = of(render(name), "ConfigMap")["data"]["covey.yaml"]
        path = os.path.join(self.folder, "covey.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("/etc/covey-tls", self.folder).replace("/run/covey-cluster", self.folder))
        given = {"POD_NAME": "covey-0", "POD_NAMESPACE": "default"}
        env = {e["name"]: re.sub(r"\$\((\w+)\)", lambda m: given[m.group(1)], e["value"])
               for e in container_of(render(name))["env"] if "value" in e}
        return path, env

    def test_is_accepted(self):
        for name in ("base", *OVERLAYS):
            with self.subTest(name):
                path, env = self.conf_and_env(name)
                done = covey("check-config", path, env=env)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_listens_where_the_ports_say(self):
        for name in ("base", *OVERLAYS):
            conf = yaml.safe_load(of(render(name), "ConfigMap")["data"]["covey.yaml"])
            ports = {p["name"]: p["containerPort"] for p in container_of(render(name))["ports"]}
            kinds = {"tcp": "mqtt", "ssl": "mqtts", "ws": "ws", "wss": "wss"}
            binds = {kinds[k]: v["default"]["bind"] for k, v in conf["listeners"].items() if "bind" in v["default"]}
            binds["cluster"] = conf["cluster"]["bind"]
            binds["http"] = conf["dashboard"]["listeners"]["http"]["bind"]
            for port, bind in binds.items():
                self.assertEqual(bind, f"0.0.0.0:{ports[port]}", f"{name}: {port}")
            offered = {p["name"] for p in of(render(name), "Service")["spec"]["ports"]}
            if name != "base":
                self.assertLessEqual(offered, set(binds), name)

    def test_a_misspelt_variable_is_found(self):
        path, env = self.conf_and_env("base")
        done = covey("check-config", path, env={**env, "COVEY_CLUSTER__DNS__NAMES": "x"})
        self.assertNotEqual(done.returncode, 0)
