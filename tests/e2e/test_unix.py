# SPDX-License-Identifier: Apache-2.0
"""Clients of this machine that come by a Unix socket."""
import os
import socket
import stat
import subprocess
import unittest

import wire
from harness import Case, Output, Raw, until


class UnixCase(Case):
    def setUp(self):
        self.needs_covey()

    def unix_node(self, settings=None, start=True, **options):
        node = self.node(start=False, **options)
        node.path = os.path.join(node.dir, "mqtt.sock")
        node.configure({"listeners.unix.local.bind": node.path, **(settings or {})})
        if start:
            node.start()
        return node

    def raw(self, node, client_id, **options):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(node.path)
        client = Raw(sock=sock, version=options.pop("version", wire.V5))
        self.addCleanup(client.close)
        client.connack = client.connect(client_id, **options)
        return client

    def listens(self, node):
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(node.path)
                return True
            except OSError:
                return False


class UnixSocket(UnixCase):
    def test_clients_of_both_kinds_talk_to_each_other(self):
        """mosquitto_sub and mosquitto_pub over the socket, in 3.1.1 and 5, and with clients of TCP."""
        node = self.unix_node()
        for version in ("311", "5"):
            sub = Output(["stdbuf", "-oL", "mosquitto_sub", "--unix", node.path, "-V", version, "-t", "u/#", "-q", "2", "-C", "4", "-d", "-v"])
            self.addCleanup(sub.end)
            sub.wait_for_line("SUBACK")
            for qos in "012":
                subprocess.run(["mosquitto_pub", "--unix", node.path, "-V", version, "-t", f"u/{qos}", "-q", qos, "-m", "hello"],
                               check=True, timeout=30)
            subprocess.run(["mosquitto_pub", "-p", str(node.port), "-t", "u/tcp", "-m", "hello"], check=True, timeout=30)
            for topic in ("u/0", "u/1", "u/2", "u/tcp"):
                sub.wait_for_line(f"{topic} hello")

    def test_it_is_shown_as_unix(self):
        node = self.unix_node({"log.level": "info"})
        self.raw(node, "here")
        self.assertIn("peername=unix:0", node.cli("ctl", "clients", "show", "here").stdout)
        listed = node.cli("ctl", "listeners").stdout
        self.assertIn(f"unix:local\n  listen_on       : {node.path}\n", listed)
        until(lambda: f"listener accepted name=unix:local pid={os.getpid()} uid={os.getuid()}" in node.log(), 20, node.log)

    def test_all_workers_serve_it(self):
        node = self.unix_node({"node.workers": 4})
        clients = [self.raw(node, f"c{i}") for i in range(64)]
        clients[0].subscribe("all/+", qos=1)
        for i, client in enumerate(clients[1:]):
            client.publish(f"all/{i}", b"x", qos=1)
        got = {clients[0].recv_publish().topic for _ in range(63)}
        self.assertEqual(len(got), 63)

    def test_mode_and_group_of_the_file(self):
        if os.geteuid() != 0:
            self.skipTest("gives a file to another group")
        node = self.unix_node({"listeners.unix.local.mode": "0606", "listeners.unix.local.group": "4711"})
        st = os.stat(node.path)
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_gid), (0o606, 4711))

    def test_it_goes_with_the_node(self):
        node = self.unix_node()
        self.assertTrue(self.listens(node))
        self.assertEqual(node.stop(), 0)
        self.assertFalse(os.path.exists(node.path))

    def test_the_socket_of_a_killed_node_is_replaced(self):
        node = self.unix_node()
        node.kill()
        self.assertTrue(os.path.exists(node.path))
        node.start()
        self.raw(node, "again")

    def test_a_living_one_is_left_alone(self):
        node = self.unix_node()
        other = self.node({"listeners.unix.local.bind": node.path}, start=False)
        done = other.cli("start")
        self.addCleanup(other.cli, "stop")
        self.assertNotEqual(done.returncode, 0)
        other.spawn()
        self.assertNotEqual(other.process.wait(30), 0)
        self.assertIn(f'path={node.path} error="a process listens there already"', other.log())
        self.raw(node, "still there")

    def test_another_file_is_left_alone(self):
        node = self.unix_node(start=False)
        with open(node.path, "w", encoding="utf-8") as file:
            file.write("mine")
        node.spawn()
        self.assertNotEqual(node.process.wait(30), 0)
        self.assertIn('error="a file that is no socket is there"', node.log())
        with open(node.path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine")

    def test_stop_and_start_at_run_time(self):
        node = self.unix_node()
        client = self.raw(node, "stays")
        self.assertEqual(node.cli("ctl", "listeners", "stop", "unix:local").returncode, 0)
        self.assertFalse(os.path.exists(node.path))
        client.barrier()
        self.assertEqual(node.cli("ctl", "listeners", "start", "unix:local").returncode, 0)
        self.raw(node, "new")
        self.assertEqual(node.cli("ctl", "listeners", "restart", "unix:local").returncode, 0)
        self.raw(node, "newer")
        client.barrier()

    def test_a_reload_changes_its_limits(self):
        node = self.unix_node()
        self.raw(node, "first")
        node.configure({**node.settings, "listeners.unix.local.max_connections": 1, "listeners.unix.local.mode": "0600"})
        done = node.cli("ctl", "reload")
        self.assertIn("listeners.unix.local.max_connections", done.stdout)
        self.assertIn("listeners.unix.local.mode", done.stdout)     # with a restart
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(node.path)
            try:
                self.assertEqual(sock.recv(1), b"")
            except ConnectionResetError:
                pass
        self.assertEqual(stat.S_IMODE(os.stat(node.path).st_mode), 0o660)

    def test_bans_and_rules_of_addresses_do_not_meet_it(self):
        rules = os.path.join(self.unix_node(start=False).dir, "acl")
        with open(rules, "w", encoding="utf-8") as file:
            file.write("allow address 0.0.0.0/0 all\nallow address ::/0 all\n")
        node = self.unix_node({"authorization.file": rules})
        for net in ("0.0.0.0/0", "::/0"):
            self.assertEqual(node.cli("ctl", "ban", "add", "peerhost_net", net).returncode, 0)
        client = self.raw(node, "local")
        client.publish("t", b"x", qos=1, expect=(0x87,))

    def test_foreign_protocols_are_closed(self):
        node = self.unix_node()
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\0\x10" + bytes(16)):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(20)
                sock.connect(node.path)
                sock.sendall(data)
                self.assertEqual(sock.recv(1), b"")
        until(lambda: "peer=unix:0 reason=plain_http" in node.log(), 20, node.log)


if __name__ == "__main__":
    unittest.main()
