# SPDX-License-Identifier: Apache-2.0
"""The configuration read again, in depth: files, certificates and listeners, what follows from what, signals at odd moments."""
import os
import signal
import subprocess
import threading
import unittest

import harness
import wire
from api import ApiCase, part
from harness import Case, to_yaml, until

WAIT = 20


class ReloadCase(Case):
    def setUp(self):
        self.needs_covey()

    def running(self, settings=None, **options):
        return self.node(settings, **options)

    def ctl(self, node, *words):
        """By the socket alone: without the configuration, which may be broken."""
        return harness.covey("ctl", *words, env={"COVEY_NODE__CTL_SOCKET": os.path.join(node.data, "ctl.sock"), "COVEY_CONFIG": ""})

    def reload(self, node, settings=None, more=None):
        """Writes the configuration and has it read; the lines of the answer."""
        if settings is not None:
            node.configure({**node.settings, **settings})
        done = node.cli("ctl", *(more or ["reload"]))
        self.assertEqual(done.returncode, 0, done)
        lines = done.stdout.splitlines()
        self.assertRegex(lines[-1], r"^\d+ changed, \d+ needs? a restart$")
        return lines[:-1]

    def refused(self, node):
        done = self.ctl(node, "reload")
        self.assertEqual(done.returncode, 1, done)
        self.assertTrue(done.stdout.endswith("Nothing has changed.\n"), done)
        return done.stdout

    def alarms(self, node):
        return self.ctl(node, "alarms", "list").stdout

    def loglines(self, node, text):
        return sum(text in line for line in node.log().splitlines())


class WhatChanges(ReloadCase):
    def test_nothing(self):
        node = self.running()
        self.assertEqual(self.reload(node), [])
        self.assertEqual(self.reload(node, more=["conf", "reload"]), [])

    def test_a_limit_for_new_clients(self):
        node = self.running()
        before = self.connected(node)
        self.assertEqual(self.reload(node, {"mqtt.receive_maximum": 7, "mqtt.max_qos_allowed": 1}),
                         ["changed mqtt.max_qos_allowed: 2 -> 1", "changed mqtt.receive_maximum: 100 -> 7"])
        connack = self.connected(node).connack
        self.assertEqual((connack.prop(wire.RECEIVE_MAX), connack.prop(wire.MAX_QOS)), (7, 1))
        # What a client was told stays: QoS 2, and more than seven on their way.
        for pid in range(1, 31):
            before.send(wire.publish("t", b"x", 2, pid, False, False, (), wire.V5))
        for pid in range(1, 31):
            before.expect_ack(wire.PUBREC, pid)

    def test_everywhere(self):
        """On all workers: clients of any name are refused."""
        node = self.running({"node.workers": 4})
        self.reload(node, {"mqtt.max_clientid_len": 23})
        for i in range(16):
            client = node.client()
            self.addCleanup(client.close)
            client.connect(f"{i}-" + "x" * 30, expect=0x85)

    def test_rules_of_topics(self):
        node = self.running({"topic_metrics.topics": "a; b"})
        publisher, subscriber = self.connected(node), self.connected(node)
        subscriber.subscribe("new/#")
        self.reload(node, {"rewrite.rules": "publish old/# ^old/(.+)$ new/$1", "topic_metrics.topics": "b; c",
                           "auto_subscribe.topics": "for/${clientid}"})
        publisher.publish("old/x", b"moved")
        self.assertEqual(subscriber.recv_publish("new/x").payload, b"moved")
        self.assertEqual([t in node.cli("ctl", "topic_metrics", "list").stdout for t in ("TopicMetrics(a,", "TopicMetrics(b,", "TopicMetrics(c,")], [False, True, True])
        later = self.connected(node, client_id="later")
        publisher.publish("for/later", b"hello")
        self.assertEqual(later.recv_publish("for/later").payload, b"hello")
        self.reload(node, {"rewrite.rules": None, "topic_metrics.topics": None, "auto_subscribe.topics": None})
        publisher.publish("old/y", b"stays")
        publisher.publish("new/z", b"next")
        self.assertEqual(subscriber.recv_publish("new/z").payload, b"next")

    def test_log(self):
        node = self.running({"log.level": "error"})
        self.assertNotIn("config reloaded", node.log())
        self.assertEqual(self.reload(node, {"log.level": "info", "log.format": "json"}),
                         ["changed log.level: error -> info", "changed log.format: text -> json"])
        self.assertIn('"message":"config reloaded changed=2 need_restart=0"', node.log())

    def test_listener(self):
        node = self.running()
        stays = self.connected(node)
        self.assertEqual(self.reload(node, {"listeners.tcp.default.max_connections": 1}),
                         ["changed listeners.tcp.default.max_connections: infinity -> 1"])
        self.closed_at_once(node)
        self.reload(node, {"listeners.tcp.default.max_connections": None, "listeners.tcp.default.access_rules": "[deny all]"})
        self.closed_at_once(node)
        stays.expect_nothing()
        self.reload(node, {"listeners.tcp.default.access_rules": None})
        self.connected(node).expect_nothing()

    def closed_at_once(self, node):
        with node.connect(node.port) as raw:
            try:
                self.assertEqual(raw.recv(1), b"")
            except ConnectionResetError:
                pass

    def test_certificates(self):
        node = self.running(tls=True)
        stays = self.connected(node, tls=True)
        folder = harness.scratch()
        subprocess.run([os.path.join(harness.ROOT, "deploy", "make-certs"), folder], check=True, capture_output=True)
        other = {f"listeners.ssl.default.ssl_options.{key}": os.path.join(folder, name)
                 for key, name in (("certfile", "server.pem"), ("keyfile", "server.key"))}
        self.assertEqual(len(self.reload(node, other)), 2)
        context = harness.tls_context(ca=os.path.join(folder, "ca.pem"))
        client = node.client(tls=True, context=context)
        self.addCleanup(client.close)
        client.connect()
        stays.expect_nothing()
        # One that cannot be used changes nothing.
        with open(os.path.join(folder, "bad.pem"), "w", encoding="utf-8") as file:
            file.write("no certificate\n")
        node.configure({**node.settings, "listeners.ssl.default.ssl_options.certfile": os.path.join(folder, "bad.pem"),
                        "mqtt.max_inflight": 3})
        self.refused(node)
        self.assertNotIn("max_inflight", node.log())
        node.client(tls=True, context=context).close()

    def test_rules_of_authorization(self):
        node = self.running()
        rules = os.path.join(node.dir, "acl")
        with open(rules, "w", encoding="utf-8") as file:
            file.write("allow all subscribe #\ndeny all publish secret\nallow all publish #\n")
        client = self.connected(node)
        self.reload(node, {"authorization.file": rules})
        client.publish("secret", qos=1, expect=(0x87,))
        with open(rules, "w", encoding="utf-8") as file:
            file.write("allow all all #\nwhatever\n")
        node.configure({**node.settings, "mqtt.max_inflight": 3})
        self.assertIn("acl:2:", self.refused(node))
        client.publish("secret", qos=1, expect=(0x87,))
        os.unlink(rules)
        self.assertIn("authorization.file: cannot read", self.refused(node))
        # Without a file everybody may do everything again.
        self.assertEqual(len(self.reload(node, {"authorization.file": None})), 2)
        client.publish("secret", qos=1)

    def test_sys_interval(self):
        node = self.running({"sys_topics.sys_msg_interval": "disabled", "sys_topics.sys_heartbeat_interval": "disabled"})
        subscriber = self.connected(node)
        subscriber.subscribe("$SYS/brokers/+/uptime")
        subscriber.expect_nothing()
        self.reload(node, {"sys_topics.sys_heartbeat_interval": "1s"})
        for _ in range(2):
            subscriber.recv_publish(timeout=WAIT)

    def test_many_under_traffic(self):
        """Connections come, go and talk while limits change; memory of the past is given back with them."""
        node = self.running({"node.workers": 2}, tls=True)
        stop, faults = threading.Event(), []

        def talk(number):
            try:
                while not stop.is_set():
                    client = node.client(tls=number == 0)
                    client.connect(f"talker-{number}")
                    client.publish("t", b"x", qos=1)
                    client.close()
            except Exception as fault:      # pylint: disable=broad-except
                faults.append(fault)
        threads = [threading.Thread(target=talk, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for i in range(20):
            self.reload(node, {"mqtt.max_inflight": 10 + i, "listeners.ssl.default.max_connections": 100 + i})
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])


class WhatNeedsARestart(ReloadCase):
    def test_is_said_each_time(self):
        node = self.running()
        want = "restart storage.sync: always -> off"
        self.assertEqual(self.reload(node, {"storage.sync": "off", "mqtt.max_inflight": 3}), ["changed mqtt.max_inflight: 32 -> 3", want])
        self.assertEqual(self.reload(node), [want])
        self.assertEqual(self.reload(node, {"storage.sync": None}), [])

    def test_what_follows_from_it_does_not_change(self):
        """A listener that will be open to others does not shut out yet those who come without a password."""
        node = self.running()
        lines = self.reload(node, {"listeners.tcp.default.bind": f"0.0.0.0:{node.port}"})
        self.assertEqual([line.split(":")[0] for line in lines], ["restart listeners.tcp.default.bind"])
        self.connected(node).expect_nothing()

    def test_listeners_that_come_and_go(self):
        node = self.running()
        more = harness.Port()
        self.addCleanup(more.free)
        lines = self.reload(node, {"listeners.tcp.more.bind": f"127.0.0.1:{more.number}"})
        self.assertEqual([line.split(":")[0] for line in lines], ["restart listeners.tcp.more.bind"])
        self.assertFalse(harness.accepts(more.number))
        node.kill()
        node.start()
        self.assertTrue(harness.accepts(more.number))
        lines = self.reload(node, {"listeners.tcp.more.bind": None, "listeners.tcp.default.bind": f"127.0.0.1:{more.number}"})
        self.assertEqual(len(lines), 2, lines)
        self.assertTrue(harness.accepts(more.number))
        self.connected(node).expect_nothing()

    def test_environment_wins(self):
        node = self.running(env={"COVEY_MQTT__MAX_INFLIGHT": "9"})
        self.assertEqual(self.reload(node, {"mqtt.max_inflight": 3}), [])


class WhatIsRefused(ReloadCase):
    def break_it(self, node, text):
        with open(node.conf, "w", encoding="utf-8") as file:
            file.write(text)

    def test_errors_have_a_line_and_raise_an_alarm(self):
        node = self.running()
        good = to_yaml(node._covey_conf())      # pylint: disable=protected-access
        for text, want in ((good + "mqtt: {max_inflght: 3}\n", "mqtt.max_inflght: unknown key"), ("mqtt: [broken\n", "covey.yaml:"),
                           (good + "log: {level: loud}\n", "log.level"), ("", "is empty"), (good[:-1], "last line does not end")):
            with self.subTest(want=want):
                self.break_it(node, text)
                told = self.refused(node)
                self.assertIn("covey.yaml", told)
                self.assertIn(want, told)
                until(lambda: "configuration" in self.alarms(node), WAIT, "the alarm")
        os.unlink(node.conf)
        self.assertIn("cannot be read", self.refused(node))
        self.connected(node).expect_nothing()
        self.break_it(node, good)
        self.reload(node)
        until(lambda: "configuration" not in self.alarms(node), WAIT, "the end of the alarm")

    def test_written_all_the_time(self):
        """Whatever was read of it while it was written, the whole file is what holds in the end."""
        node = self.running()
        whole = to_yaml({**node._covey_conf(), "mqtt.max_inflight": 3, "mqtt.receive_maximum": 4})      # pylint: disable=protected-access
        lines = whole.splitlines(keepends=True)
        done = threading.Event()

        def write():
            while not done.is_set():
                with open(node.conf, "w", encoding="utf-8") as file:
                    for line in lines:
                        file.write(line)
                        file.flush()
        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(10):
            self.ctl(node, "conf", "reload")
        done.set()
        writer.join()
        self.reload(node)
        self.assertEqual(self.connected(node).connack.prop(wire.RECEIVE_MAX), 4)


class Hangup(ReloadCase):
    def count(self, node):
        return self.loglines(node, "config reloaded")

    def test_while_it_runs(self):
        node = self.running()
        node.configure({**node.settings, "mqtt.max_inflight": 3})
        node.process.send_signal(signal.SIGHUP)
        until(lambda: self.loglines(node, "config changed key=mqtt.max_inflight"), WAIT, "the change")

    def test_log_file_is_opened_again(self):
        node = self.node({"log.to": "file"})
        log = os.path.join(node.data, "log", "covey.log")
        os.rename(log, log + ".1")
        node.process.send_signal(signal.SIGHUP)
        until(lambda: os.path.exists(log) and "config reloaded" in open(log, encoding="utf-8").read(), WAIT, "the new file")

    def test_during_the_start(self):
        """Not lost, and no end of the process either."""
        for _ in range(5):
            node = self.node({}, start=False)
            node.spawn()
            until(lambda: os.path.exists(os.path.join(node.data, "covey.pid")), WAIT, "the pid file")
            node.process.send_signal(signal.SIGHUP)
            node.wait_ready()
            self.connected(node).expect_nothing()
            self.assertEqual(node.stop(), 0)

    def test_during_the_stop(self):
        node = self.running()
        self.connected(node)
        node.process.send_signal(signal.SIGTERM)
        for _ in range(20):
            node.process.send_signal(signal.SIGHUP)
        self.assertEqual(node.process.wait(WAIT), 0)

    def test_many_at_once(self):
        """Each of them, or one for several; the last state of the file is what holds."""
        node = self.running()
        threads = [threading.Thread(target=self.ctl, args=(node, "reload")) for _ in range(8)]
        for i, thread in enumerate(threads):
            node.configure({**node.settings, "mqtt.max_inflight": 10 + i})
            thread.start()
            node.process.send_signal(signal.SIGHUP)
        for thread in threads:
            thread.join()
        self.reload(node)
        self.assertEqual(self.running_value(node, "mqtt.max_inflight"), "17")

    def running_value(self, node, key):
        last = [line for line in node.log().splitlines() if f"config changed key={key} " in line][-1]
        return last.split('after="')[1].rstrip('"')


class OverHttp(ApiCase):
    def test_api(self):
        node = self.api_node()
        node.configure({**node.settings, "mqtt.max_inflight": 3, "storage.sync": "off"})
        answer = node.api.post("/configs/reload")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.data["changed"], [{"key": "mqtt.max_inflight", "before": "32", "after": "3"}])
        self.assertEqual([r["key"] for r in answer.data["needs_restart"]], ["storage.sync"])
        found = {s["key"]: s for s in node.api.get("/configs").data}
        self.assertEqual((found["mqtt.max_inflight"]["value"], found["storage.sync"]["value"]), ("3", "always"))
        node.configure({**node.settings, "mqtt.max_inflight": 0})
        self.refused(node.api.post(f"/nodes/{part('covey@127.0.0.1')}/configs/reload"), 400, "UPDATE_FAILED")


if __name__ == "__main__":
    unittest.main()
