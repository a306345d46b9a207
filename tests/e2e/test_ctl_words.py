# SPDX-License-Identifier: Apache-2.0
"""`covey ctl`: what operators' hands and scripts expect of it, word for word where they parse it."""
import re
import unittest

import harness
import wire
from harness import Case, until

SESSION = [(wire.SESSION_EXPIRY, 3600)]


class Ctl(Case):
    def setUp(self):
        self.needs_covey()
        self.running = self.node({"sys_topics.sys_msg_interval": "disabled"})

    def ctl(self, *words, code=0):
        done = self.running.cli("ctl", *words)
        self.assertEqual(done.returncode, code, done)
        return done.stdout + (done.stderr if code else "")

    def lines(self, *words):
        return self.ctl(*words).strip("\n").split("\n")

    def stats(self, *words):
        return {k.strip(): v.strip() for k, v in (line.split(":", 1) for line in self.lines(*words))}


class NodeAndBroker(Ctl):
    def test_status(self):
        self.assertRegex(self.ctl("status"), r"^Node 'covey@127\.0\.0\.1' \d+\.\d+\.\d+ is started\n$")

    def test_broker(self):
        lines = self.lines("broker")
        self.assertEqual([line.split(":")[0] for line in lines], ["sysdescr  ", "version   ", "uptime    ", "datetime  "])
        self.assertEqual(lines[1].split(": ")[1], harness.covey("version").stdout.split()[1])

    def test_broker_stats(self):
        client = self.connected(self.running, "one")
        client.subscribe(["a", "b/#"])
        lines = self.lines("broker", "stats")
        self.assertEqual(lines, sorted(lines))
        self.assertIn(f"{'connections.count':<30}: 1", lines)
        self.assertIn(f"{'subscriptions.count':<30}: 2", lines)

    def test_broker_metrics_count_messages(self):
        before = self.stats("broker", "metrics")
        client = self.connected(self.running)
        client.subscribe("t")
        for _ in range(3):
            client.publish("t", b"x", qos=1)
        client.barrier()
        after = self.stats("broker", "metrics")
        self.assertEqual(int(after["messages.received"]) - int(before["messages.received"]), 3)
        self.assertEqual(int(after["messages.sent"]) - int(before["messages.sent"]), 3)

    def test_unknown_words(self):
        self.assertIn("clients list", self.ctl("nonsense", code=1))
        self.assertIn("clients list", self.ctl("clients", "nonsense", code=1))

    def test_help(self):
        text = self.ctl("help")
        for words in ("status", "broker", "clients list", "clients kick", "subscriptions list", "topics list", "listeners",
                      "retainer info", "log set-level"):
            self.assertRegex(text, rf"(?m)^{words}\b")

    def test_log_level(self):
        self.ctl("log", "set-level", "debug")
        self.ctl("log", "set-level", "loud", code=1)

    def test_cluster_of_one(self):
        self.assertEqual(self.ctl("cluster", "status"),
                         "Cluster status: #{running_nodes => ['covey@127.0.0.1'], stopped_nodes => []}\n")
        self.assertEqual(self.ctl("cluster", "status", "--json"),
                         '{"stopped_nodes":[],"running_nodes":["covey@127.0.0.1"]}\n')
        self.assertIn("not part of a cluster", self.ctl("cluster", "join", "127.0.0.1:1", code=1))

    def test_telemetry(self):
        self.assertEqual(self.ctl("telemetry"), "This broker sends nothing.\n")


class Clients(Ctl):
    def test_list_show_kick(self):
        client = self.connected(self.running, "first", connect={"keep_alive": 60})
        client.subscribe("a/+")
        self.connected(self.running, "second", version=wire.V311)
        lines = sorted(self.lines("clients", "list"))
        self.assertEqual([re.match(r"Client\((\w+), ", line).group(1) for line in lines], ["first", "second"])
        shown = self.ctl("clients", "show", "first")
        self.assertRegex(shown, r"^Client\(first, username=undefined, peername=127\.0\.0\.1:\d+, clean_start=true, "
                                r"keepalive=60, session_expiry_interval=0, subscriptions=1, inflight=0, awaiting_rel=0, ")
        self.assertIn(", connected=true, ", shown)
        self.assertEqual(self.ctl("clients", "kick", "first"), "ok\n")
        client.expect_disconnect(0x98, reason_string=False)
        until(lambda: len(self.lines("clients", "list")) == 1, 10, "one client left")

    def test_not_found(self):
        self.assertIn("Not Found.", self.ctl("clients", "show", "nobody", code=1))
        self.assertIn("Not Found.", self.ctl("clients", "kick", "nobody", code=1))

    def test_session_of_a_client_that_is_away(self):
        client = self.connected(self.running, "away", SESSION, clean=False)
        client.subscribe("q", qos=1)
        client.disconnect()
        self.connected(self.running).publish("q", b"x", qos=1)
        shown = self.ctl("clients", "show", "away")
        for part in ("connected=false", "enqueued_msgs=1", "subscriptions=1", "session_expiry_interval=3600"):
            self.assertIn(part, shown)
        self.assertEqual(self.ctl("sessions", "discard", "away"), "ok\n")
        self.assertFalse(self.connected(self.running, "away", SESSION, clean=False).connack.session_present)

    def test_one_client_is_one_line_whatever_its_id(self):
        odd = "two\nlines, connected=false)\u202e"
        self.connected(self.running, odd)
        lines = self.lines("clients", "list")
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].isprintable(), lines)
        self.assertEqual(lines[0].count(", connected="), 1, "an id must not look like a field")

    def test_ids_with_special_characters_can_be_shown(self):
        for name in ("a b", "ä/+#", "-x", "--help"):
            self.connected(self.running, name)
            self.assertIn("connected=true", self.ctl("clients", "show", name))


class Topics(Ctl):
    def test_subscriptions(self):
        client = self.connected(self.running, "cid")
        client.subscribe("t/1", qos=1, no_local=True, retain_handling=2)
        self.assertEqual(self.lines("subscriptions", "list"), ["cid -> topic:t/1 qos:1 nl:1 rh:2 rap:0"])
        self.assertEqual(self.lines("subscriptions", "show", "cid"), ["cid -> topic:t/1 qos:1 nl:1 rh:2 rap:0"])

    def test_subscribe_and_unsubscribe_for_a_client(self):
        client = self.connected(self.running, "cid")
        self.assertEqual(self.ctl("subscriptions", "add", "cid", "t/#", "1"), "ok\n")
        self.connected(self.running).publish("t/x", b"hello", qos=1)
        self.assertEqual(client.recv_publish("t/x").qos, 1)
        self.assertEqual(self.ctl("subscriptions", "del", "cid", "t/#"), "ok\n")
        self.assertIn("Not Found.", self.ctl("subscriptions", "del", "cid", "t/#", code=1))
        self.ctl("subscriptions", "add", "cid", "t/#", "3", code=1)
        self.ctl("subscriptions", "add", "cid", "t/#/x", "1", code=1)

    def test_topics(self):
        self.connected(self.running, "cid").subscribe(["t/1", "t/#"])
        self.assertEqual(sorted(self.lines("topics", "list")), ["t/# -> covey@127.0.0.1", "t/1 -> covey@127.0.0.1"])
        self.assertEqual(self.lines("topics", "show", "t/1"), ["t/1 -> covey@127.0.0.1"])
        self.assertEqual(sorted(self.lines("routes", "list")), sorted(self.lines("topics", "list")))
        self.assertIn("Not Found.", self.ctl("topics", "show", "none", code=1))

    def test_retainer(self):
        client = self.connected(self.running)
        for topic in ("r/1", "r/2", "s"):
            client.publish(topic, b"x", qos=1, retain=True)
        self.assertIn("3", self.ctl("retainer", "info"))
        self.assertEqual(sorted(self.lines("retainer", "topics")), ["r/1", "r/2", "s"])
        self.ctl("retainer", "clean", "r/#")
        self.assertEqual(self.lines("retainer", "topics"), ["s"])
        self.ctl("retainer", "clean")
        self.assertEqual(self.ctl("retainer", "topics"), "")


class Listeners(Ctl):
    def test_list(self):
        self.connected(self.running)
        text = self.ctl("listeners")
        self.assertRegex(text, rf"(?m)^tcp:default\n  listen_on +: 127\.0\.0\.1:{self.running.port}\n  acceptors +: \d+\n")
        self.assertRegex(text, r"current_conn +: 1\n")
        self.assertIn("ws:default", text)

    def test_stop_and_start(self):
        client = self.connected(self.running)
        self.ctl("listeners", "stop", "tcp:default")
        self.assertFalse(harness.accepts(self.running.port))
        client.barrier()
        self.ctl("listeners", "start", "tcp:default")
        self.assertTrue(harness.accepts(self.running.port))
        self.ctl("listeners", "restart", "tcp:default")
        client.barrier()
        self.connected(self.running).barrier()
        self.ctl("listeners", "stop", "tcp:none", code=1)


if __name__ == "__main__":
    unittest.main()
