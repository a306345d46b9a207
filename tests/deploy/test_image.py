# SPDX-License-Identifier: Apache-2.0
"""The image, built by `docker build` as a user does: what is in it, and one container by itself."""
import gzip
import json
import os
import shutil
import tempfile
import unittest
import urllib.request

import harness
import yaml
from engine import BASE, IMAGE, ROOT, UID, engine, health, why
from harness import Port, until
from mqttlib import Client

NAME = "covey-deploy-test-single"
OWN_BYTES_MAX = 16 << 20        # what the image adds to Debian's
START_SECONDS_MAX = 60
WAIT = 20                       # for what takes milliseconds on an idle machine


def size(name):
    return int(engine().inspect(name, "{{.Size}}"))


class TestImage(unittest.TestCase):
    """One container by itself."""

    @classmethod
    def setUpClass(cls):
        engine()

    def start(self, *options):
        name = NAME
        engine().docker("rm", "-fv", name, check=False)
        self.addCleanup(engine().docker, "rm", "-fv", name, check=False)
        port = Port()
        self.addCleanup(port.free)
        # The engine's default network has no bridge here; the compose tests publish ports.
        engine().docker("run", "-d", "--name", name, "--network", "host", "--read-only", "--cap-drop", "ALL", "--tmpfs",
                        f"/run/covey:uid={UID},mode=0700", "--security-opt", "no-new-privileges", "--health-interval",
                        "1s", "-e", f"COVEY_LISTENERS__TCP__DEFAULT__BIND=0.0.0.0:{port.number}",
                        "-e", "COVEY_LISTENERS__WS__DEFAULT__ENABLE=false",
                        "-e", "COVEY_DASHBOARD__LISTENERS__HTTP__ENABLE=false", *options, IMAGE)
        until(lambda: health(name) == "healthy", START_SECONDS_MAX, lambda: why(name))
        return name, port.number

    def test_is_small(self):
        self.assertLess(size(IMAGE) - size(BASE), OWN_BYTES_MAX)

    def test_says_how_to_run_it(self):
        config = json.loads(engine().inspect(IMAGE, "{{json .Config}}"))
        self.assertEqual(config["User"], f"{UID}:{UID}")
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(config["Entrypoint"] + config["Cmd"],
                         ["covey", "foreground", "--config", "/etc/covey/covey.yaml"])
        self.assertEqual(config["Healthcheck"]["Test"], ["CMD", "covey", "ping"])
        self.assertEqual(set(config["ExposedPorts"]), {"1883/tcp", "8883/tcp", "8083/tcp", "8084/tcp", "18083/tcp",
                                                       "7946/tcp", "7946/udp"})

    def test_lets_in_nobody_until_told_to(self):
        _, port = self.start()
        with Client(port=port, timeout=WAIT) as client:
            client.connect(expect=0x87)

    def test_serves_and_ends_in_order(self):
        name, port = self.start("-e", "COVEY_MQTT__ALLOW_ANONYMOUS=true")
        with Client(port=port, timeout=WAIT) as client:
            client.connect()
            client.subscribe("t", 1)
            client.publish("t", b"x", 1)
            self.assertEqual(client.recv_publish().payload, b"x")
            status = engine().docker("exec", name, "covey", "ctl", "status").stdout
            self.assertIn("is started", status)
            engine().docker("stop", "-t", "20", name)
        self.assertEqual(engine().inspect(name, "{{.State.ExitCode}}"), "0")
        logs = engine().docker("logs", name)
        self.assertEqual(logs.stdout, "")
        self.assertIn("listener", logs.stderr)

    def test_has_the_dashboard(self):
        if not engine().has_dashboard:
            self.skipTest("build/release has no dashboard")
        http = Port()
        self.addCleanup(http.free)
        name, _ = self.start("-e", "COVEY_DASHBOARD__LISTENERS__HTTP__ENABLE=true", "-e",
                             f"COVEY_DASHBOARD__LISTENERS__HTTP__BIND=127.0.0.1:{http.number}")
        with urllib.request.urlopen(f"http://127.0.0.1:{http.number}/", timeout=WAIT) as answer:
            self.assertIn(b"<title>", gzip.decompress(answer.read()))
        password = engine().docker("exec", name, "cat", "/var/lib/covey/admin_password").stdout.strip()
        self.assertGreaterEqual(len(password), 20)

    def test_secret_of_a_pod_is_private(self):
        """What the kubelet mounts is root's and, thanks to fsGroup, the group's to read: the node would refuse it. What
        the init container of deploy/k8s makes of it is the node's own."""
        with open(os.path.join(ROOT, "deploy/k8s/base/statefulset.yaml"), encoding="utf-8") as file:
            command = yaml.safe_load(file)["spec"]["template"]["spec"]["initContainers"][0]["command"]
        folder, memory = (tempfile.mkdtemp(prefix="covey-secret-") for _ in range(2))
        self.addCleanup(shutil.rmtree, folder)
        self.addCleanup(shutil.rmtree, memory)
        os.chmod(folder, 0o755)
        os.chown(memory, 0, int(UID))
        os.chmod(memory, 0o2777)
        path = os.path.join(folder, "secret")
        with open(path, "w", encoding="utf-8") as file:
            file.write("a secret for the test, not for use\n")
        os.chown(path, 0, int(UID))
        os.chmod(path, 0o440)
        done = engine().docker("run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL",
                               "-v", f"{folder}:/run/covey-secret:ro", "-v", f"{memory}:/run/covey-cluster",
                               "--entrypoint", "bash", IMAGE, "-c",
                               f"{' '.join(command)} && stat -c '%a %u' {command[-1]} && cat {command[-1]}")
        self.assertEqual(done.stdout, f"600 {UID}\na secret for the test, not for use\n")

    def test_a_missing_library_fails_the_build(self):
        """The check in the Dockerfile can fail: the program in the bare base lacks its libraries."""
        done = engine().docker("run", "--rm", "--network", "none", "-v", f"{harness.program()}:/covey:ro", "--entrypoint",
                               "bash", BASE, "-c", "! ldd /covey | grep 'not found'", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("libyaml", done.stdout)
