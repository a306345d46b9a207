# SPDX-License-Identifier: Apache-2.0
"""What `covey ctl` says about a running broker and does to it, over the control socket; and $SYS."""
import os
import re
import socket
import stat
import subprocess
import time
import unittest

import harness
import wire
from harness import Case, Output, until

SESSION = [(wire.SESSION_EXPIRY, 3600)]


class Ctl(Case):
    def setUp(self):
        self.needs_covey()

    def connection(self, node):
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(20)

        def connect():
            # The clients' ports are open a little earlier; a node that was killed has left its socket behind.
            try:
                sock.connect(os.path.join(node.data, "ctl.sock"))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            return True
        until(connect, 20, "the control socket")
        return sock

    @staticmethod
    def request(*words):
        return b"".join((w if isinstance(w, bytes) else w.encode()) + b"\0" for w in words) + b"\0"

    @staticmethod
    def answer(sock):
        data = b""
        while piece := sock.recv(1 << 20):
            data += piece
        status, text = data.split(b"\n", 1)
        return int(status), text.decode()

    def ctl(self, node, *words):
        """Exit status and text."""
        with self.connection(node) as sock:
            sock.sendall(self.request(*words))
            return self.answer(sock)

    def ok(self, node, *words):
        status, text = self.ctl(node, *words)
        self.assertEqual(status, 0, text)
        return text

    def fails(self, node, text, *words):
        self.assertEqual(self.ctl(node, *words), (1, text))

    def figures(self, node, *words):
        """`name : value` lines as a dictionary; they are sorted."""
        lines = self.ok(node, *words).splitlines()
        found = dict(re.fullmatch(r"(\S+?) *: (\d+)", line).groups() for line in lines)
        self.assertEqual(list(found), sorted(found))
        return {name: int(value) for name, value in found.items()}


class NodeCommands(Ctl):
    def test_the_node_answers(self):
        node = self.node()
        self.assertEqual(self.ctl(node, "ping"), (0, "pong\n"))
        self.assertRegex(self.ok(node, "status"), r"^Node 'covey@127\.0\.0\.1' \d+\.\d+\.\d+ is started\n$")
        self.assertRegex(self.ok(node, "broker"), r"^sysdescr  : .+\nversion   : .+\nuptime    : .*\d+ seconds\n"
                                                  r"datetime  : \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\n$")
        self.assertRegex(self.ok(node, "vm"), r"memory\.resident +: [1-9]\d+\n(.|\n)*threads +: ([2-9]|\d\d)")
        status, text = self.ctl(node, "nonsense")
        self.assertEqual(status, 1)
        self.assertIn("clients list", text)

    def test_the_socket_is_the_users_alone_and_goes_with_the_node(self):
        node = self.node()
        path = os.path.join(node.data, "ctl.sock")
        self.ctl(node, "ping")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        node.kill()
        self.assertTrue(os.path.exists(path))
        node.start()
        self.assertEqual(self.ctl(node, "ping"), (0, "pong\n"))
        self.assertEqual(node.stop(), 0)
        self.assertFalse(os.path.exists(path))

    def test_figures_count(self):
        node = self.node()
        client = self.connected(node, "one")
        client.subscribe("a/#", 1)
        client.publish("a/b", b"x", 1)
        self.assertEqual(client.recv_publish().payload, b"x")
        stats = self.figures(node, "broker", "stats")
        self.assertEqual([stats[k] for k in ("live_connections.count", "sessions.count", "subscriptions.count",
                                             "topics.count", "retained.count")], [1, 1, 1, 1, 0])
        metrics = self.figures(node, "broker", "metrics")
        self.assertEqual([metrics[k] for k in ("messages.received", "messages.qos1.received", "messages.sent",
                                               "client.connected", "messages.dropped")], [1, 1, 1, 1, 0])
        self.assertGreater(metrics["bytes.received"], 20)
        self.assertGreaterEqual(metrics["io.bytes.received"], metrics["bytes.received"])
        storage = dict(re.findall(r"(\S+) +: (\d+)", self.ok(node, "storage")))
        self.assertEqual(storage["records.retained"], "0")
        self.assertGreater(int(storage["bytes.max"]), int(storage["bytes.used"]))

    def test_the_log_level_changes_at_once(self):
        node = self.node({"log.level": "warning"})
        self.assertEqual(self.ok(node, "log", "level"), "warning\n")
        self.ok(node, "clients", "list")
        self.assertEqual(self.ok(node, "log", "set-level", "notice"), "notice\n")
        self.fails(node, "Not Found.\n", "clients", "kick", "no\nbody")
        until(lambda: 'ctl run command="clients kick no\\x0abody"' in node.log().replace("\\\\", "\\")
              .replace('\\"', '"'), 10, node.log)

    def test_listeners_stop_and_start(self):
        node = self.node()
        client = self.connected(node, "stays")
        text = self.ok(node, "listeners")
        self.assertRegex(text, rf"(?m)^tcp:default\n  listen_on       : 127\.0\.0\.1:{node.port}\n"
                               r"  acceptors       : 2\n  running         : true\n  current_conn    : 1\n"
                               r"  max_conns       : \w+\n  accepted        : \d+\n  shutdown_count  : \[.*\]\n")
        self.ok(node, "listeners", "stop", "tcp:default")
        self.assertFalse(harness.accepts(node.port))
        self.assertEqual(self.ctl(node, "listeners", "stop", "tcp:default")[0], 1)
        client.subscribe("a", 0)    # who is there stays
        self.assertIn("running         : false", self.ok(node, "listeners"))
        self.ok(node, "listeners", "start", "tcp:default")
        self.assertTrue(harness.accepts(node.port))
        self.assertEqual(self.ctl(node, "listeners", "start", "tcp:default")[0], 1)
        self.ok(node, "listeners", "restart", "tcp:default")
        self.assertTrue(harness.accepts(node.port))
        self.assertEqual(self.ctl(node, "listeners", "restart", "tcp:other")[0], 1)
        self.assertEqual(self.ok(node, "pem_cache", "clean", "all"), "ok\n")


class ClientCommands(Ctl):
    def test_clients_are_listed_shown_and_kicked(self):
        node = self.node()
        client = self.connected(node, "c1", SESSION, clean=True)
        self.connected(node, "c2", version=wire.V311)
        client.subscribe("t/#", 1)
        line = self.ok(node, "clients", "show", "c1")
        self.assertRegex(line, r"^Client\(c1, username=undefined, peername=127\.0\.0\.1:\d+, clean_start=true, "
                               r"keepalive=\d+, session_expiry_interval=3600, subscriptions=1, inflight=0, "
                               r"awaiting_rel=0, enqueued_msgs=0, dropped_msgs=0, connected=true, created_at=\d{13}, "
                               r"connected_at=\d{13}, .*listener=tcp:default, .*\)\n$")
        names = re.findall(r"(?m)^Client\(([^,]+),", self.ok(node, "clients", "list"))
        self.assertEqual(sorted(names), ["c1", "c2"])

        self.assertEqual(self.ok(node, "clients", "kick", "c1"), "ok\n")
        self.assertEqual(client.recv(wire.DISCONNECT).reason, 0x98)
        self.fails(node, "Not Found.\n", "clients", "kick", "c1")
        self.fails(node, "Not Found.\n", "clients", "show", "c3")
        until(lambda: "connected=false" in self.ok(node, "clients", "show", "c1"), 10, "an offline session")

    def test_a_session_is_discarded(self):
        node = self.node()
        client = self.connected(node, "c1", SESSION, clean=True)
        client.subscribe("t/#", 1)
        self.assertRegex(self.ok(node, "sessions", "show", "c1"), r"^Session\(c1, .*connected=true, .*\)\n$")
        self.assertEqual(self.ok(node, "sessions", "discard", "c1"), "ok\n")
        self.assertEqual(client.recv(wire.DISCONNECT).reason, 0x98)
        self.fails(node, "Not Found.\n", "sessions", "show", "c1")
        self.fails(node, "Not Found.\n", "sessions", "discard", "c1")
        self.assertEqual(self.ok(node, "topics", "list"), "")
        again = self.connected(node, "c1", SESSION, clean=False)
        self.assertFalse(again.connack.session_present)

    def test_subscriptions_are_made_and_ended(self):
        node = self.node()
        client = self.connected(node, "c1")
        client.publish("old", b"kept", 1, retain=True)
        self.assertEqual(self.ok(node, "subscriptions", "add", "c1", "#", "1"), "ok\n")
        self.assertEqual(client.recv_publish().payload, b"kept")
        self.assertEqual(self.ok(node, "subscriptions", "add", "c1", "$share/g/t/1", "2"), "ok\n")
        lines = ["c1 -> topic:# qos:1 nl:0 rh:0 rap:0", "c1 -> topic:$share/g/t/1 qos:2 nl:0 rh:0 rap:0"]
        self.assertEqual(sorted(self.ok(node, "subscriptions", "list").splitlines()), lines)
        self.assertEqual(sorted(self.ok(node, "subscriptions", "show", "c1").splitlines()), lines)
        for words in (("topics", "list"), ("routes", "list")):
            self.assertEqual(sorted(self.ok(node, *words).splitlines()),
                             ["# -> covey@127.0.0.1", "$share/g/t/1 -> covey@127.0.0.1"])
        self.assertEqual(self.ok(node, "topics", "show", "#"), "# -> covey@127.0.0.1\n")
        self.fails(node, "Not Found.\n", "topics", "show", "t")

        self.assertEqual(self.ok(node, "subscriptions", "del", "c1", "#"), "ok\n")
        self.fails(node, "Not Found.\n", "subscriptions", "del", "c1", "#")
        self.fails(node, "Not Found.\n", "subscriptions", "add", "c2", "#", "1")
        self.fails(node, "Not Found.\n", "subscriptions", "show", "c2")
        self.fails(node, "QoS must be 0, 1 or 2.\n", "subscriptions", "add", "c1", "#", "3")
        self.assertEqual(self.ctl(node, "subscriptions", "add", "c1", "a/#/b", "1")[0], 1)

    def test_what_a_client_chose_stays_on_its_line(self):
        node = self.node()
        name = "a, connected=false)\nClient(b\u202e"
        client = self.connected(node, name)
        client.subscribe("x\u2028 -> y", 0)
        for words in (("clients", "list"), ("clients", "show", name), ("sessions", "list"), ("subscriptions", "list"),
                      ("topics", "list")):
            text = self.ok(node, *words)
            self.assertEqual(text.count("\n"), 1, text)
            self.assertEqual(text, text.replace("\u202e", "").replace("\u2028", ""))
        self.assertEqual(text, "x\\u{2028} -\\x3e y -> covey@127.0.0.1\n")
        self.assertIn("Client(a\\x2c connected=false\\x29\\x0aClient\\x28b\\u{202e}, ", self.ok(node, "clients", "list"))

    def test_retained_messages_are_listed_and_cleaned(self):
        node = self.node()
        client = self.connected(node, "c1")
        topics = [f"r/{i}" for i in range(1200)] + ["s", "s/" + "x" * 600, "s/a\nb"]
        for topic in topics:
            client.publish(topic, b"x", 1, retain=True)
        self.assertEqual(self.ok(node, "retainer", "info"), "Number of retained messages: 1203\n")
        expected = sorted(t.replace("\n", "\\x0a") for t in topics)
        self.assertEqual(sorted(self.ok(node, "retainer", "topics").splitlines()), expected)
        self.assertEqual(sorted(self.ok(node, "retainer", "topics", "s/#").splitlines()), expected[1200:])
        self.assertEqual(self.ok(node, "retainer", "clean", "r/7"), "Cleaned 1 retained messages\n")
        self.assertEqual(self.ok(node, "retainer", "clean", "s/+"), "Cleaned 2 retained messages\n")
        until(lambda: "s/" not in self.ok(node, "retainer", "topics", "s/#"), 10, "the end of s/+")
        until(lambda: self.ok(node, "retainer", "info").endswith(": 1200\n"), 10, "1200 messages")
        self.assertEqual(self.ok(node, "retainer", "clean"), "Cleaned 1200 retained messages\n")
        until(lambda: self.ok(node, "retainer", "info").endswith(": 0\n"), 10, "no message")
        self.assertEqual(self.ok(node, "retainer", "topics"), "")
        self.assertEqual(self.ctl(node, "retainer", "topics", "a/#/b")[0], 1)


class Server(Ctl):
    def test_who_asks_slowly_or_never_holds_up_nobody(self):
        node = self.node()
        idle = [self.connection(node) for _ in range(20)]
        slow = self.connection(node)
        slow.sendall(b"pi")
        started = time.monotonic()
        self.assertEqual(self.ctl(node, "ping"), (0, "pong\n"))
        self.assertLess(time.monotonic() - started, 5)
        slow.sendall(b"ng\0\0")
        self.assertEqual(self.answer(slow), (0, "pong\n"))
        self.assertEqual(idle[0].recv(1), b"", "an idle one is cut after a while")

    def test_more_than_fit_wait_their_turn(self):
        node = self.node()
        idle = [self.connection(node) for _ in range(32)]
        waiting = self.connection(node)
        waiting.sendall(self.request("ping"))
        for sock in idle:
            sock.close()
        self.assertEqual(self.answer(waiting), (0, "pong\n"))

    def test_who_does_not_read_holds_up_nobody_and_loses_nothing(self):
        node = self.node({"node.workers": 2})
        client = self.connected(node, "many")
        topics = [f"{i}/" + "y" * 700 for i in range(3000)]
        for at in range(0, len(topics), 50):
            client.send(wire.subscribe(1, [(t, 0) for t in topics[at:at + 50]], (), wire.V5))
            client.recv(wire.SUBACK)
        lazy = self.connection(node)
        lazy.sendall(self.request("subscriptions", "list"))
        until(lambda: lazy.recv(1, socket.MSG_PEEK), 10, "the beginning of the answer")
        self.assertEqual(self.ctl(node, "ping"), (0, "pong\n"))
        for words in (("topics", "list"), ("subscriptions", "show", "many")):
            self.assertEqual(len(self.ok(node, *words).splitlines()), 3000)
        status, text = self.answer(lazy)
        self.assertEqual(status, 0)
        self.assertEqual(sorted(text.splitlines()), sorted(f"many -> topic:{t} qos:0 nl:0 rh:0 rap:0" for t in topics))

    def test_many_clients_are_all_listed(self):
        node = self.node()
        names = [f"c{i}" for i in range(1500)]
        for name in names:
            client = node.client()
            client.connect(name, SESSION, clean=True)
            client.close()
        for words in (("clients", "list"), ("sessions", "list")):
            found = re.findall(r"(?m)^\w+\(([^,]+),", self.ok(node, *words))
            self.assertEqual(sorted(found), sorted(names))

    def test_requests_that_are_none_are_refused(self):
        node = self.node()
        for request in (b"x" * (64 * 1024), b"a\0" * 1000 + b"\0"):
            sock = self.connection(node)
            sock.sendall(request)
            self.assertEqual(self.answer(sock)[0], 1)
        self.assertEqual(self.ctl(node)[0], 1)
        sock = self.connection(node)
        sock.sendall(b"ping\0")     # not all of it
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(sock.recv(100), b"")
        self.assertEqual(self.ctl(node, "clients", "show", "\xff" * 30000), (1, "Not Found.\n"))
        self.assertEqual(self.ctl(node, "ping"), (0, "pong\n"))

    def test_the_node_stops_while_a_listing_is_unread(self):
        node = self.node()
        client = self.connected(node, "many")
        for i in range(0, 2000, 50):
            client.send(wire.subscribe(1, [(f"{i + k}/" + "y" * 700, 0) for k in range(50)], (), wire.V5))
            client.recv(wire.SUBACK)
        lazy = self.connection(node)
        lazy.sendall(self.request("subscriptions", "list"))
        until(lambda: lazy.recv(1, socket.MSG_PEEK), 10, "the beginning of the answer")
        self.assertEqual(node.stop(), 0)


class Sys(Ctl):
    """What mosquitto_sub sees under $SYS."""

    def subscriber(self, node, topic="$SYS/#"):
        output = Output(["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(node.port), "-t", topic,
                         "-F", "%r %t %p"])
        self.addCleanup(output.end)
        return output

    def test_a_subscriber_need_not_wait_for_the_interval(self):
        node = self.node()
        prefix = "0 $SYS/brokers/covey@127.0.0.1/"
        output = self.subscriber(node)
        for text in ("0 $SYS/brokers covey@127.0.0.1", f"{prefix}version ", f"{prefix}sysdescr ", f"{prefix}uptime ",
                     f"{prefix}datetime 2", f"{prefix}stats/connections/count 1", f"{prefix}stats/sessions/count 1",
                     f"{prefix}stats/subscriptions/count 1", f"{prefix}stats/topics/count 1",
                     f"{prefix}stats/retained/count 0", f"{prefix}metrics/bytes/received ",
                     f"{prefix}metrics/messages/publish 0"):
            output.wait_for_line(text)

    def test_parts_come_at_their_intervals(self):
        node = self.node({"sys_topics.sys_msg_interval": "1h", "sys_topics.sys_heartbeat_interval": "1s"})
        output = self.subscriber(node)
        output.wait_for(lambda lines: sum("/uptime " in line for line in lines) >= 3, what="three heartbeats")
        self.assertEqual(sum("/version " in line for line in output.lines), 1)

    def test_nothing_comes_when_it_is_off(self):
        node = self.node({"sys_topics.sys_msg_interval": "disabled", "sys_topics.sys_heartbeat_interval": "1s"})
        output = self.subscriber(node)
        output.wait_for(lambda lines: sum("/uptime " in line for line in lines) >= 2, what="two heartbeats")
        self.assertEqual([line for line in output.lines if "/uptime " not in line and "/datetime " not in line], [])

    def test_it_is_not_among_everything(self):
        node = self.node()
        everything, sys_too = self.subscriber(node, "#"), self.subscriber(node)
        sys_too.wait_for_line("/metrics/")
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(node.port), "-t", "end", "-m", "x"], check=True,
                       timeout=20)
        everything.wait_for_line("end x")
        self.assertEqual(everything.lines, ["0 end x"])


if __name__ == "__main__":
    unittest.main()
