# SPDX-License-Identifier: Apache-2.0
"""Authorization by a file of rules: who may publish, subscribe, leave a will, and what is delivered."""
import os
import subprocess
import threading

import paho.mqtt.client as paho

import harness
import wire
from harness import Case, until

NOT_AUTHORIZED = 0x87

RULES = """\
# what the tests ask for
deny  all subscribe t/secret
allow all all t/#
allow all all c/${clientid}/#
allow user alice all u/${username}
allow address 192.0.2.0/24 all
deny  all subscribe eq #
"""


class Acl(Case):
    def setUp(self):
        self.needs_covey()

    def rules(self, node, text):
        with open(node.rules, "w", encoding="utf-8") as file:
            file.write(text)

    def guarded(self, text=RULES, start=True, **settings):
        """A broker with these rules; settings with __ for the dot."""
        folder = harness.scratch("covey-acl-")
        path = os.path.join(folder, "acl.conf")
        keys = {key.replace("__", "."): value for key, value in settings.items()}
        node = self.node({"authorization.file": path, **keys}, start=False)
        node.rules = path
        self.rules(node, text)
        if start:
            node.start()
        return node

    def reload(self, node):
        self.assertEqual(node.cli("ctl", "acl", "reload").stdout, "ok\n")

    def why(self, packet):
        return packet.prop(wire.REASON_STRING)

    def counter(self, node, name):
        text = node.cli("ctl", "metrics").stdout if node.cli("ctl", "metrics").returncode == 0 else \
            node.cli("ctl", "broker", "metrics").stdout
        return int(next(line.split(":")[1] for line in text.splitlines() if line.split(":")[0].strip() == name))


class Publish(Acl):
    def test_a_refused_publish_names_its_rule(self):
        node = self.guarded("allow all all t\ndeny all publish p/#\n")
        client = self.connected(node)
        for qos in (1, 2):
            self.assertEqual(self.why(client.publish("p/x", qos=qos, expect=(NOT_AUTHORIZED,))), "Denied by line 2 of the ACL")
            self.assertEqual(self.why(client.publish("q", qos=qos, expect=(NOT_AUTHORIZED,))),
                             "Denied: no rule of the ACL allows it")
            client.publish("t", qos=qos)
        client.publish("p/x", qos=0)
        client.barrier()
        self.assertEqual(self.counter(node, "authorization.deny.publish"), 5)
        listed = node.cli("ctl", "acl", "list").stdout
        self.assertRegex(listed, r"(?m)^ +2 +3  deny all publish p/#$")
        self.assertRegex(listed, r"(?m)^ +- +2  deny where no rule fits")
        self.assertIn('acl refused action=publish', node.log())
        self.assertIn('topic="p/x" why="Denied by line 2 of the ACL"', node.log())

    def test_a_refused_message_reaches_nobody(self):
        for version in (wire.V311, wire.V5):
            node = self.guarded("allow all subscribe #\nallow all publish ok\n")
            subscriber, client = self.connected(node), self.connected(node, version=version)
            subscriber.subscribe("#", qos=2)
            for qos in (0, 1, 2):
                client.publish("no", b"x", qos=qos, retain=True, expect=(0, NOT_AUTHORIZED))
            client.publish("ok", b"last", qos=1)
            self.assertEqual(subscriber.recv_publish().payload, b"last")
            late = self.connected(node)
            late.subscribe("no", qos=1)
            late.expect_nothing()

    def test_topic_aliases_do_not_get_around_it(self):
        node = self.guarded("allow all publish ok\n")
        client = self.connected(node)
        client.publish("no", qos=1, props=[(wire.ALIAS, 1)], expect=(NOT_AUTHORIZED,))
        client.publish("", qos=1, props=[(wire.ALIAS, 1)], expect=(NOT_AUTHORIZED,))
        client.publish("ok", qos=1, props=[(wire.ALIAS, 1)])
        client.publish("", qos=1, props=[(wire.ALIAS, 1)])

    def test_delayed_topics_do_not_get_around_it(self):
        node = self.guarded("deny all publish secret/#\nallow all all #\n")
        client = self.connected(node)
        client.send(wire.publish("$delayed/1/secret/a", b"x", 1, 9))
        self.assertEqual(client.expect_ack(wire.PUBACK, 9, NOT_AUTHORIZED).reason, NOT_AUTHORIZED)
        client.publish("$delayed/0/open/a", b"x", 1)
        will = wire.Will("$delayed/0/secret/b", b"bye")
        other = node.client()
        self.addCleanup(other.close)
        other.connect(will=will, expect=NOT_AUTHORIZED)

    def test_deny_action_disconnect(self):
        node = self.guarded("allow all publish ok\n", authorization__deny_action="disconnect")
        for qos in (0, 1, 2):
            client = self.connected(node)
            client.publish("ok", qos=qos)
            client.send(wire.publish("no", b"", qos, 77 if qos else None))
            packet = client.expect_disconnect(NOT_AUTHORIZED)
            if packet is not None:
                self.assertEqual(self.why(packet), "Denied: no rule of the ACL allows it")
            client = self.connected(node, version=wire.V311)
            client.send(wire.publish("no", b"", qos, 77 if qos else None, version=wire.V311))
            client.expect_closed()

    def test_no_match_allow(self):
        node = self.guarded("deny all publish no\n", authorization__no_match="allow")
        client = self.connected(node)
        client.publish("else", qos=1)
        client.publish("no", qos=1, expect=(NOT_AUTHORIZED,))

    def test_without_the_cache_it_is_the_same(self):
        for settings in ({"authorization__cache__enable": False}, {"authorization__cache__max_size": 1}):
            node = self.guarded(**settings)
            client = self.connected(node, "one")
            for _ in range(2):
                client.publish("c/one/x", qos=1)
                client.publish("c/two/x", qos=1, expect=(NOT_AUTHORIZED,))


class Clients(Acl):
    def test_ids_with_wildcards_stand_for_themselves(self):
        node = self.guarded()
        other = self.connected(node, "one")
        other.subscribe("c/one/#", qos=1)
        for client_id in ("+", "#", "one/x", "/", "one/#"):
            client = self.connected(node, client_id)
            client.subscribe(["c/+/#", "c/#", "c/one/#", f"c/{client_id}/x" if "#" not in client_id else "c/one/x"],
                             expect=[NOT_AUTHORIZED] * 4)
            client.publish("c/one/x", qos=1, expect=(NOT_AUTHORIZED,))
        other.publish("c/one/x", b"mine", qos=1)
        self.assertEqual(other.recv_publish().payload, b"mine")

    def test_user_names_and_addresses(self):
        node = self.guarded(RULES + "allow address 127.0.0.0/8 publish here\n")
        alice, bob = (self.connected(node, connect={"username": name}) for name in ("alice", "bob"))
        alice.publish("u/alice", qos=1)
        bob.publish("u/bob", qos=1, expect=(NOT_AUTHORIZED,))
        bob.publish("u/alice", qos=1, expect=(NOT_AUTHORIZED,))
        bob.publish("here", qos=1)

    def test_another_user_of_the_same_session_has_other_rights(self):
        node = self.guarded("allow user alice all a\nallow user bob publish b\n")
        settings = [(wire.SESSION_EXPIRY, 100)]
        first = self.connected(node, "c", settings, connect={"username": "alice"})
        first.subscribe("a", qos=1)
        first.publish("a", qos=1)
        first.recv_publish()
        second = self.connected(node, "c", settings, clean=False, connect={"username": "bob"})
        self.assertTrue(second.connack.session_present)
        second.publish("a", qos=1, expect=(NOT_AUTHORIZED,))
        self.connected(node, connect={"username": "alice"}).publish("a", b"not for bob", qos=1)
        second.publish("b", qos=1)
        second.expect_nothing()


class Subscribe(Acl):
    def test_a_refused_subscription_names_its_rule(self):
        node = self.guarded()
        client = self.connected(node)
        answer = client.subscribe(["t/a", "#"], qos=1, expect=[1, NOT_AUTHORIZED])
        self.assertEqual(self.why(answer), "Denied by line 7 of the ACL")
        self.assertEqual(self.why(client.subscribe("$share/g/x", expect=[NOT_AUTHORIZED])),
                         "Denied: no rule of the ACL allows it")
        client.subscribe("$share/g/t/a", qos=1)
        client = self.connected(node, version=wire.V311)
        client.subscribe(["t/a", "#"], expect=[0, 0x80])

    def test_what_is_denied_is_left_out_of_a_wider_subscription(self):
        node = self.guarded()
        client, publisher = self.connected(node), self.connected(node)
        publisher.publish("t/secret", b"kept", qos=1, retain=True)
        client.subscribe(["t/secret"], expect=[NOT_AUTHORIZED])
        client.subscribe(["t/#", "t/+"], qos=2)
        for qos in (0, 1, 2):
            publisher.publish("t/secret", b"no", qos=qos)
            publisher.publish("t/open", b"yes", qos=qos)
            self.assertEqual(client.recv_publish().payload, b"yes")
        client.expect_nothing()
        self.assertGreater(self.counter(node, "authorization.deny.delivery"), 0)


    def test_a_literal_subscription_shows_what_is_not_denied(self):
        node = self.guarded("deny all subscribe t/secret\nallow all subscribe eq #\nallow all publish\n")
        client, publisher = self.connected(node), self.connected(node)
        client.subscribe(["#", "t/#"], qos=1, expect=[1, NOT_AUTHORIZED])
        publisher.publish("t/secret", b"no", qos=1)
        publisher.publish("t/open", b"yes", qos=1)
        self.assertEqual(client.recv_publish().payload, b"yes")

    def test_what_waits_in_a_queue_is_held_against_new_rules(self):
        node = self.guarded("allow all all #\n")
        settings = [(wire.SESSION_EXPIRY, 100)]
        client, publisher = self.connected(node, "c", settings), self.connected(node)
        client.subscribe("#", qos=2)
        client.disconnect()
        for qos in (1, 2):
            for topic in ("no", "yes"):
                publisher.publish(topic, topic.encode(), qos=qos)
        node.stop()
        self.rules(node, "allow all all yes\n")
        node.start()
        client = self.connected(node, "c", settings, clean=False)
        self.assertEqual([client.recv_publish().payload for _ in range(2)], [b"yes", b"yes"])
        client.expect_nothing()
        self.assertEqual(self.counter(node, "authorization.deny.delivery"), 2)


class Wills(Acl):
    def test_a_will_that_may_not_be_published_is_refused(self):
        node = self.guarded("allow all publish ok\nallow all publish c/${clientid}\n")
        for topic, client_id, expect in (("ok", None, 0), ("no", None, NOT_AUTHORIZED), ("c/one", "one", 0),
                                         ("c/two", "one", NOT_AUTHORIZED), ("c/+", "+", None)):
            client = node.client()
            self.addCleanup(client.close)
            answer = client.connect(client_id, expect=expect, will=wire.Will(topic, b"x"))
            if expect == NOT_AUTHORIZED:
                self.assertIn("Denied", self.why(answer))
        client = node.client(version=wire.V311)
        self.addCleanup(client.close)
        client.connect(expect=5, will=wire.Will("no", b"x"))

    def test_a_will_is_held_against_the_rules_of_its_time(self):
        node = self.guarded("allow all all w\n")
        watcher, client = self.connected(node), self.connected(node, connect={"will": wire.Will("w", b"x")})
        watcher.subscribe("w", qos=1)
        self.rules(node, "allow all subscribe w\nallow client watcher publish w\n")
        self.reload(node)
        client.reset()
        until(lambda: self.counter(node, "authorization.deny.will") == 1, 10, "the will is refused")
        watcher.expect_nothing()


class Files(Acl):
    def test_a_bad_file_stops_the_start(self):
        for text, line in (("allow all all t\nallow nobody\n", 2), ("allow all all t\nallow all all u", 2)):
            node = self.guarded(text, start=False)
            node.spawn()
            self.assertNotEqual(node.process.wait(20), 0)
            self.assertRegex(node.log(), rf'acl file not usable file="{node.rules}" line={line} ')

    def test_a_missing_file_stops_the_start(self):
        node = self.guarded(start=False)
        os.unlink(node.rules)
        node.spawn()
        self.assertNotEqual(node.process.wait(20), 0)
        self.assertIn(node.rules, node.log())
        os.mkdir(node.rules)
        node.spawn()
        self.assertNotEqual(node.process.wait(20), 0)

    def test_a_bad_file_at_reload_changes_nothing(self):
        node = self.guarded("allow all all t\n")
        client = self.connected(node)
        for text in ("allow all all u\nallow nobody\n", "allow all all u\nallow all al", None):
            if text is None:
                os.unlink(node.rules)
            else:
                self.rules(node, text)
            told = node.cli("ctl", "acl", "reload")
            self.assertNotEqual(told.returncode, 0)
            self.assertIn("old rules stay" if text is None else "Line 2: ", told.stdout + told.stderr)
            client.publish("t", qos=1)
            client.publish("u", qos=1, expect=(NOT_AUTHORIZED,))

    def test_a_failed_reload_is_an_alarm(self):
        node = self.guarded("allow all all t\n")

        def alarms():
            return node.cli("ctl", "alarms", "list").stdout
        self.rules(node, "allow nobody\n")
        self.assertNotEqual(node.cli("ctl", "acl", "reload").returncode, 0)
        until(lambda: "authorization_file" in alarms() and "line 1: nobody" in alarms(), 10, alarms)
        self.rules(node, "allow all all t\n")
        self.reload(node)
        until(lambda: "authorization_file" not in alarms(), 10, alarms)

    def test_a_reload_changes_what_clients_may(self):
        node = self.guarded("allow all all #\n")
        client, publisher = self.connected(node), self.connected(node)
        client.subscribe("t/#", qos=1)
        publisher.publish("t/a", b"1", qos=1)
        self.assertEqual(client.recv_publish().payload, b"1")
        self.rules(node, "allow all publish t/#\nallow all subscribe t/b\n")
        self.reload(node)
        publisher.publish("t/a", b"2", qos=1)
        publisher.publish("u", b"2", qos=1, expect=(NOT_AUTHORIZED,))
        publisher.publish("t/b", b"3", qos=1)
        self.assertEqual(client.recv_publish().payload, b"3")

    def test_many_reloads(self):
        node = self.guarded("allow all all #\n")
        client, publisher = self.connected(node), self.connected(node)
        client.subscribe("t", qos=1)
        publisher.publish("t", b"1", qos=1)
        self.assertEqual(client.recv_publish().payload, b"1")
        self.rules(node, "allow all publish\n")
        for _ in range(63):     # as many as there are rounds to tell apart
            self.reload(node)
        publisher.publish("t", b"2", qos=1)
        client.expect_nothing()

    def test_reloads_under_traffic(self):
        node = self.guarded("allow all all #\n")
        client, publisher = self.connected(node), self.connected(node)
        client.subscribe("t", qos=0)
        done = threading.Event()

        def reloads():
            for _ in range(20):
                node.cli("ctl", "acl", "reload")
            done.set()
        thread = threading.Thread(target=reloads)
        thread.start()
        n = 0
        while not done.is_set() or n < 100:
            publisher.publish("t", str(n).encode(), qos=1)
            self.assertEqual(client.recv_publish().payload, str(n).encode())
            n += 1
        thread.join()


class Ctl(Acl):
    def test_check(self):
        node = self.guarded()

        def check(*words):
            return node.cli("ctl", "acl", "check", *words).stdout
        self.assertEqual(check("--client", "one", "publish", "c/one/x"), "allow by line 4: allow all all c/${clientid}/#\n")
        self.assertEqual(check("--client", "one", "publish", "c/two/x"), "deny: no rule fits (authorization.no_match)\n")
        self.assertEqual(check("--username", "alice", "publish", "u/alice"), "allow by line 5: allow user alice all u/${username}\n")
        self.assertEqual(check("--address", "192.0.2.1", "subscribe", "x"), "allow by line 6: allow address 192.0.2.0/24 all\n")
        self.assertIn("Some topics of it are denied", check("subscribe", "t/#"))
        for words in (("publish",), ("--client", "one"), ("publish", "a/+"), ("--address", "x", "publish", "t")):
            self.assertNotEqual(node.cli("ctl", "acl", "check", *words).returncode, 0, words)
        self.assertEqual(node.cli("ctl", "acl", "cache-clean").stdout, "ok\n")


class RealClients(Acl):
    def test_mosquitto_pub_and_sub(self):
        node = self.guarded()

        def run(program, *words):
            return subprocess.run([program, "-p", str(node.port), "-i", "one", *words], capture_output=True, text=True,
                                  timeout=20, check=False)
        told = run("mosquitto_pub", "-V", "5", "-q", "1", "-t", "c/two", "-m", "x")
        self.assertIn("Not authorized", told.stdout + told.stderr)
        told = run("mosquitto_sub", "-V", "5", "-t", "c/two", "-C", "1", "-W", "5")
        self.assertIn("denied", told.stdout + told.stderr)
        told = run("mosquitto_pub", "-q", "1", "-t", "c/one/x", "-m", "kept", "-r")
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertEqual(run("mosquitto_sub", "-t", "c/one/#", "-C", "1", "-W", "5").stdout, "kept\n")

    def test_paho(self):
        node = self.guarded()
        client = paho.Client("one", protocol=paho.MQTTv5)
        granted, connected = [], threading.Event()
        subscribed = threading.Event()
        client.on_connect = lambda *_: connected.set()

        def on_subscribe(_client, _data, _mid, codes, _props=None):
            granted.extend(code.value for code in codes)
            subscribed.set()
        client.on_subscribe = on_subscribe
        client.connect("127.0.0.1", node.port)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.assertTrue(connected.wait(10))
        client.subscribe([("c/one/#", paho.SubscribeOptions(qos=1)), ("c/two/#", paho.SubscribeOptions(qos=1))])
        self.assertTrue(subscribed.wait(10))
        self.assertEqual(granted, [1, NOT_AUTHORIZED])
        client.disconnect()
