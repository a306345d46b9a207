# SPDX-License-Identifier: Apache-2.0
"""The command line: a node's life (start, stop, restart, ping, pid), its configuration, and what cannot work."""
import os
import re
import signal
import socket
import subprocess
import unittest

import harness
import wire
from harness import Case, accepts, covey, until

VERSION = re.compile(r"^Covey \d+\.\d+\.\d+$")


class Cli(Case):
    def setUp(self):
        self.needs_covey()
        self.version = covey("version").stdout.strip()

    def idle(self, settings=None, **options):
        """A configured node that does not run; whatever runs in the end is stopped."""
        node = self.node(settings, start=False, **options)
        self.addCleanup(lambda: node.cli("pid").returncode or node.cli("stop"))
        return node

    def ok(self, done, stdout=None):
        self.assertEqual(done.returncode, 0, done)
        if stdout is not None:
            self.assertEqual(done.stdout, stdout, done)
        return done

    def refused(self, done, *said, status=1):
        self.assertEqual(done.returncode, status, done)
        for text in said:
            self.assertIn(text, done.stdout + done.stderr)
        return done

    def daemon_log(self, node):
        with open(os.path.join(node.data, "log", "covey.log"), encoding="utf-8") as file:
            return file.read()


class Life(Cli):
    def test_start_ping_pid_stop(self):
        node = self.idle()
        self.ok(node.cli("start"), f"{self.version} is started successfully!\n")
        self.ok(node.cli("ping"), "")
        pid = int(self.ok(node.cli("pid")).stdout)
        self.assertEqual(os.readlink(f"/proc/{pid}/exe"), harness.program())
        self.connected(node).disconnect()
        self.ok(node.cli("stop"), "ok\n")
        self.assertFalse(os.path.exists(f"/proc/{pid}/cwd"))
        self.assertFalse(accepts(node.port))

    def test_nothing_runs(self):
        node = self.idle()
        for command in ("stop", "ping", "pid"):
            done = self.refused(node.cli(command), "Node 'covey@127.0.0.1' not responding.")
            self.assertEqual(done.stdout, "")
        self.refused(node.cli("ctl", "status"), "not responding")
        self.assertFalse(os.path.exists(node.data), "asking must not make folders")

    def test_second_start_leaves_the_first_alone(self):
        node = self.idle()
        self.ok(node.cli("start"))
        pid = node.cli("pid").stdout
        self.refused(node.cli("start"), "Node is already running!")
        self.refused(node.cli("foreground"), "Node is already running!")
        self.assertEqual(node.cli("pid").stdout, pid)
        self.ok(node.cli("ping"))

    def test_two_nodes_on_one_data_directory(self):
        first = self.node()
        second = self.idle({"node.pid_file": os.path.join(first.dir, "second.pid"),
                            "node.ctl_socket": os.path.join(first.dir, "second.sock"),
                            "log.file": os.path.join(first.dir, "second.log")}, data=first.data)
        self.refused(second.cli("start"), "failed to start", "locked")
        self.connected(first).disconnect()

    def test_restart_keeps_what_is_stored(self):
        node = self.idle()
        self.ok(node.cli("start"))
        self.connected(node).publish("kept", b"x", qos=1, retain=True)
        pid = node.cli("pid").stdout
        self.ok(node.cli("restart"), f"ok\n{self.version} is started successfully!\n")
        self.assertNotEqual(node.cli("pid").stdout, pid)
        client = self.connected(node)
        client.subscribe("kept")
        self.assertEqual(client.recv_publish("kept").payload, b"x")

    def test_restart_of_a_node_that_does_not_run_starts_it(self):
        node = self.idle()
        self.ok(node.cli("restart"), f"{self.version} is started successfully!\n")

    def test_restart_with_a_bad_configuration_stops_nothing(self):
        node = self.idle()
        self.ok(node.cli("start"))
        pid = node.cli("pid").stdout
        node.configure({"mqtt.max_inflight": 0})
        self.refused(node.cli("restart"), "mqtt.max_inflight")
        node.configure({})
        self.assertEqual(node.cli("pid").stdout, pid)

    def test_start_after_a_kill(self):
        """What a killed node leaves behind (pid file, socket) is in nobody's way and tells no lies."""
        node = self.node()
        pid = node.process.pid
        self.assertEqual(node.cli("pid").stdout, f"{pid}\n")
        node.kill()
        self.refused(node.cli("pid"))
        self.refused(node.cli("ping"))
        self.ok(node.cli("start"))
        self.addCleanup(node.cli, "stop")
        self.assertNotEqual(node.cli("pid").stdout, f"{pid}\n")

    def test_clients_are_told_when_the_node_stops(self):
        node = self.node()
        client, old = self.connected(node), self.connected(node, version=wire.V311)
        node.process.send_signal(signal.SIGTERM)
        client.expect_disconnect(0x8B, reason_string=False)
        old.expect_closed()
        self.assertEqual(node.process.wait(20), 0)

    def test_interrupt_ends_it_as_well(self):
        node = self.node()
        node.process.send_signal(signal.SIGINT)
        self.assertEqual(node.process.wait(20), 0)

    def test_hangup_opens_the_log_anew(self):
        """As logrotate does it."""
        node = self.idle({"log.level": "info"})
        self.ok(node.cli("start"))
        path = os.path.join(node.data, "log", "covey.log")
        os.rename(path, path + ".1")
        os.kill(int(node.cli("pid").stdout), signal.SIGHUP)
        self.ok(node.cli("stop"))
        self.assertIn("node stopped", self.daemon_log(node))
        with open(path + ".1", encoding="utf-8") as old:
            self.assertNotIn("node stopped", old.read())

    def test_port_taken_by_another_program(self):
        node = self.idle()
        with socket.create_server(("127.0.0.1", node.port)):
            done = self.refused(node.cli("start"), "failed to start", "tcp:default", "Address already in use")
            self.assertIn(f"127.0.0.1:{node.port}", done.stderr)
        self.refused(node.cli("ping"))

    def test_port_taken_by_another_node(self):
        """Workers share their ports with each other (SO_REUSEPORT), but not with another node."""
        first = self.node()
        second = self.idle({"listeners.tcp.default.bind": f"127.0.0.1:{first.port}"})
        self.refused(second.cli("start"), "failed to start", "Address already in use")

    def test_data_directory_that_cannot_be_made(self):
        node = self.idle()
        blocker = os.path.join(node.dir, "file")
        with open(blocker, "w", encoding="utf-8"):
            pass
        node.configure({"node.data_dir": os.path.join(blocker, "data")})
        self.refused(node.cli("start"), "node.data_dir", "Not a directory")

    def test_damaged_store_is_refused(self):
        node = self.node()
        node.stop()
        with open(os.path.join(node.data, "store"), "r+b") as file:
            file.write(b"\xff" * 8192)
        self.refused(node.cli("start"), "failed to start", node.data, "corrupt")


class Config(Cli):
    def file(self, text):
        path = os.path.join(harness.scratch(), "covey.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_check_config_changes_nothing(self):
        node = self.idle()
        self.ok(node.cli("check-config"), f"{node.conf}: OK\n")
        self.assertFalse(os.path.exists(node.data))

    def test_check_config_names_file_line_and_key(self):
        path = self.file("node:\n  nme: x\nmqtt:\n  max_inflight: 0\n  upgrade_qos: maybe\n")
        done = self.refused(covey("check-config", path))
        self.assertEqual(done.stdout, f"{path}: 3 errors\n")
        self.assertEqual(done.stderr.split("\n")[:3], [
            f"{path}:2: node.nme: unknown key; did you mean node.name?",
            f"{path}:4: mqtt.max_inflight: \"0\" is not a number from 1 to 65535",
            f"{path}:5: mqtt.upgrade_qos: \"maybe\" is not true or false"])

    def test_start_refuses_what_check_config_refuses(self):
        path = self.file("mqtt:\n  max_inflight: 0\n")
        for command, status in (("start", 1), ("foreground", os.EX_CONFIG), ("console", os.EX_CONFIG)):
            self.refused(covey(command, "--config", path), f"{path}:2: mqtt.max_inflight", status=status)

    def test_file_that_is_not_yaml(self):
        path = self.file("mqtt:\n  max_inflight: [1\n")
        self.refused(covey("check-config", path), "not valid YAML")

    def test_file_that_is_missing(self):
        self.refused(covey("check-config", "/nowhere/covey.yaml"), "/nowhere/covey.yaml", "No such file")
        self.refused(covey("start", "--config", "/nowhere/covey.yaml"), "/nowhere/covey.yaml", "No such file")

    def test_environment_overrides_the_file(self):
        node = self.idle({"listeners.tcp.default.bind": "127.0.0.1:1"})
        self.ok(node.cli("start", env={"COVEY_LISTENERS__TCP__DEFAULT__BIND": f"127.0.0.1:{node.port}"}))
        self.connected(node).disconnect()

    def test_misspelt_environment(self):
        node = self.idle()
        self.refused(node.cli("check-config", env={"COVEY_MQTT__MAX_INFLIHGT": "3"}), "COVEY_MQTT__MAX_INFLIHGT",
                     "did you mean COVEY_MQTT__MAX_INFLIGHT?")

    def test_file_named_by_the_environment(self):
        node = self.idle()
        self.ok(covey("check-config", env={"COVEY_CONFIG": node.conf}), f"{node.conf}: OK\n")

    def test_relative_paths_are_those_of_the_file(self):
        node = self.idle({"node.data_dir": "here"})
        self.ok(covey("start", "--config", "covey.yaml", cwd=node.dir))
        self.assertTrue(os.path.isdir(os.path.join(node.dir, "here")))

    def test_explain_and_default(self):
        self.assertIn("Receive Maximum", self.ok(covey("config", "explain", "mqtt.receive_maximum")).stdout)
        self.ok(covey("check-config", self.file(self.ok(covey("config", "default")).stdout)))
        for key in self.ok(covey("config", "keys")).stdout.split("\n")[:5]:
            self.ok(covey("config", "explain", key.split(":")[0]))


class Words(Cli):
    def test_version(self):
        self.assertRegex(self.version, VERSION)
        self.ok(covey("--version"), self.version + "\n")

    def test_help_names_every_command(self):
        text = self.ok(covey("help")).stdout
        self.assertTrue(covey("--help").stdout.endswith(text.split("\n", 1)[1]))
        for command in ("start", "stop", "restart", "foreground", "console", "ping", "pid", "check-config", "ctl", "version"):
            self.assertRegex(text, rf"(?m)^  {command} ")
            self.assertIn(command, self.ok(covey(command, "--help")).stdout)

    def test_unknown_command(self):
        self.refused(covey("strat"), "strat")

    def test_commands_of_other_brokers_get_a_helpful_line(self):
        for command in ("attach", "remote_console", "root_dir", "eval", "rpc", "install", "versions"):
            done = covey(command)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(len(done.stderr.strip().split("\n")), 1, done)
            self.assertNotIn("unknown command", done.stderr)

    def test_check_conf_is_check_config(self):
        node = self.idle()
        self.ok(node.cli("check_config"), f"{node.conf}: OK\n")
        self.ok(node.cli("check_conf"), f"{node.conf}: OK\n")


class Console(Cli):
    def test_prompt_answers_and_ends_the_node(self):
        node = self.idle()
        process = subprocess.Popen([harness.program(), "console", "--config", node.conf], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=harness.environment())
        self.addCleanup(process.kill)
        until(lambda: node.cli("ping").returncode == 0, 20, "ping")
        out, _ = process.communicate("status\nexit\n", timeout=30)
        self.assertIn("Node 'covey@127.0.0.1'", out)
        self.assertEqual(process.returncode, 0)


class Unwritable(Cli):
    def test_log_that_cannot_be_written(self):
        node = self.idle({"log.file": "/proc/nothing/covey.log"})
        self.refused(node.cli("start"), "log.file")


if __name__ == "__main__":
    unittest.main()
