# SPDX-License-Identifier: Apache-2.0
"""Enhanced authentication with SCRAM-SHA-256: users of the password file, a client that somebody else wrote
(MQTT.js), what the log and ctl say, authorization, bans, and re-authentication."""
import os
import re
import stat
import subprocess

import wire
from cluster import Cluster
from harness import HERE, Output, scratch, until
from scram import METHOD, Dialog
from test_passwords import AuthCase, passwd
from wire import AUTH, AUTH_DATA, AUTH_METHOD, CONNACK, PINGRESP, PUBLISH, Will, auth, pingreq, publish

ITERATIONS = "4096"
RULES = "allow user anna all own/${username}/#\nallow all all test\n"


def with_data(data):
    return [(AUTH_METHOD, METHOD), (AUTH_DATA, data)]


class ScramCase(AuthCase):
    def add(self, node, name, password):
        passwd("add", "--file", node.users, "--scram", "--iterations", ITERATIONS, name, given=password + "\n")

    def begin(self, node, user, phrase, client_id="c", **connect):
        """CONNECT; the client, its side of the exchange, and the server's first answer."""
        client, dialog = node.client(), Dialog(user, phrase)
        self.addCleanup(client.close)
        props = with_data(dialog.first) + list(connect.pop("props", ()))
        client.send(wire.connect(client_id, props_=props, **connect))
        return client, dialog, client.recv(AUTH)

    def enter(self, node, user="anna", phrase="secret", **connect):
        client, dialog, step = self.begin(node, user, phrase, **connect)
        client.send(auth(0x18, with_data(dialog.final(step.prop(AUTH_DATA)))))
        connack = client.recv(CONNACK)
        self.assertEqual((connack.reason, connack.prop(AUTH_DATA)), (0, dialog.server_final))
        return client

    def fail_to_enter(self, node, user, phrase, reason=0x86, **connect):
        client, dialog, step = self.begin(node, user, phrase, **connect)
        client.send(auth(0x18, with_data(dialog.final(step.prop(AUTH_DATA))))).expect_refused(reason)
        return step.prop(AUTH_DATA).decode()

    def again(self, client, user="anna", phrase="secret"):
        """Re-authentication; what comes after the last AUTH is for the caller."""
        dialog = Dialog(user, phrase)
        step = client.send(auth(0x19, with_data(dialog.first))).recv(AUTH)
        return client.send(auth(0x18, with_data(dialog.final(step.prop(AUTH_DATA)))))


class Entrance(ScramCase):
    def test_who_comes_in(self):
        node = self.users_node(users=(("anna", "secret"), ("a,b=c", "secret"), ("zoë", "ſecret")))
        self.enter(node)
        self.enter(node, "a,b=c")
        self.enter(node, "zoë", "ſecret")
        self.fail_to_enter(node, "anna", "wrong")
        self.fail_to_enter(node, "bob", "secret")
        self.assertEqual(self.metric(node, "authentication.success"), 3)
        self.assertEqual(self.metric(node, "authentication.failure"), 2)
        self.assertEqual(self.metric(node, "client.refused.bad_username_or_password"), 2)
        self.assertEqual(self.metric(node, "packets.auth.received"), 5)
        self.assertEqual(self.metric(node, "packets.auth.sent"), 5)
        log = node.log()
        self.assertRegex(log, r'auth refused client_id="c" username="bob" .*method=scram')
        for word in ("wrong", "secret", "biws", "n,,"):
            self.assertNotIn(word, log)

    def test_plain_passwords_of_the_same_users(self):
        """The verifier is a hash too; a user with another hash is none of SCRAM, which nobody is told."""
        node = self.users_node()
        passwd(*node.cheap, "add", "--file", node.users, "plain", given="secret\n")
        self.assertEqual(node.cli("ctl", "auth", "reload").stdout, "ok\n")
        for version in (wire.V311, wire.V5):
            self.connected(node, connect={"username": "anna", "password": b"secret"}, version=version)
            self.connected(node, connect={"username": "plain", "password": b"secret"}, version=version)
        self.refused(node, 0x86, username="anna", password=b"wrong")
        self.fail_to_enter(node, "plain", "secret")
        self.enter(node)

    def test_unknown_users_look_like_users(self):
        """Salt and iterations are there, and the same after a restart."""
        node = self.users_node()
        before = self.fail_to_enter(node, "nobody", "x")
        other = self.fail_to_enter(node, "nobody2", "x")
        node.stop()
        node.start()
        after = self.fail_to_enter(node, "nobody", "x")
        found = [re.fullmatch(r"r=[^,]+,s=([A-Za-z0-9+/]{22}==),i=" + ITERATIONS, text) for text in (before, after, other)]
        self.assertTrue(all(found), (before, after, other))
        self.assertEqual(found[0][1], found[1][1])
        self.assertNotEqual(found[0][1], found[2][1])

    def test_what_was_overheard_is_of_no_use(self):
        """The same messages again: the server's nonce is another one."""
        node = self.users_node()
        client, dialog, step = self.begin(node, "anna", "secret")
        final = dialog.final(step.prop(AUTH_DATA))
        client.send(auth(0x18, with_data(final)))
        self.assertEqual(client.recv(CONNACK).reason, 0)
        for data in (final, final.replace(b"r=" + dialog.nonce.encode(), b"r=x")):
            replay = node.client()
            self.addCleanup(replay.close)
            replay.send(wire.connect("replay", props_=with_data(dialog.first))).recv(AUTH)
            replay.send(auth(0x18, with_data(data))).expect_refused(0x86)

    def test_only_where_a_password_file_is(self):
        node = self.node({"mqtt.allow_anonymous": True})
        client = node.client()
        client.send(wire.connect("c", props_=with_data(Dialog("anna", "secret").first))).expect_refused(0x8C)
        guarded = self.users_node(settings={"listeners.ws.default.authentication": [], "listeners.ws.default.allow_anonymous": True})
        client = guarded.client(ws=True)
        client.send(wire.connect("c", props_=with_data(Dialog("anna", "secret").first))).expect_refused(0x8C)
        self.enter(guarded)

    def test_the_time_for_it_is_that_of_connect(self):
        node = self.users_node(settings={"mqtt.idle_timeout": "3s"})
        client, _, _ = self.begin(node, "anna", "secret")
        client.expect_closed(timeout=40, allow=())
        until(lambda: self.metric(node, "client.connect_timeout") == 1, 10, "a time-out")
        self.enter(node)

    def test_gone_in_the_middle(self):
        node = self.users_node()
        for i in range(50):
            client, _, _ = self.begin(node, "anna", "secret", client_id=f"c{i}", will=Will("test", b"x"), password=b"p")
            client.reset() if i % 2 else client.send(wire.disconnect())
        watcher = self.enter(node, client_id="watcher")
        watcher.subscribe("test")
        watcher.expect_nothing()

    def test_sessions(self):
        """A session is found again, and taken over, as with passwords; a CONNECT that fails changes nothing."""
        node = self.users_node()
        first = self.enter(node, client_id="s", clean=False, props=[(wire.SESSION_EXPIRY, 100)])
        first.subscribe("test", qos=1)
        self.fail_to_enter(node, "anna", "wrong", client_id="s")
        first.send(pingreq()).recv(PINGRESP)
        second, dialog, step = self.begin(node, "anna", "secret", client_id="s", clean=False,
                                          props=[(wire.SESSION_EXPIRY, 100)])
        second.send(auth(0x18, with_data(dialog.final(step.prop(AUTH_DATA)))))
        self.assertTrue(second.recv(CONNACK).session_present)
        self.assertEqual(first.recv(wire.DISCONNECT).reason, 0x8E)
        self.enter(node, client_id="p").send(publish("test", b"x"))
        self.assertEqual(second.wait(PUBLISH).payload, b"x")

    def test_ctl_rules_and_bans_know_the_name(self):
        """Which is that of the exchange, whatever CONNECT calls itself."""
        node = self.users_node(users=(("anna", "secret"), ("bob", "secret")), start=False)
        rules = os.path.join(node.dir, "acl.conf")
        with open(rules, "w", encoding="utf-8") as file:
            file.write(RULES)
        node.configure({**node.settings, "authorization.file": rules})
        node.start()
        anna = self.enter(node, client_id="a", username="root", password=b"x")
        bob = self.enter(node, "bob", client_id="b", username="anna")
        self.assertIn("username=anna,", node.cli("ctl", "clients", "show", "a").stdout)
        self.assertIn("username=bob,", node.cli("ctl", "clients", "show", "b").stdout)
        anna.subscribe("own/anna/#")
        bob.subscribe("own/anna/#", expect=[0x87])
        self.assertEqual(node.cli("ctl", "ban", "add", "username", "anna").stdout, "ok\n")
        self.assertEqual(anna.recv(wire.DISCONNECT).reason, 0x98)
        self.fail_to_enter(node, "anna", "secret", reason=0x8A, client_id="a", username="bob")
        bob.send(pingreq()).recv(PINGRESP)

    def test_reload(self):
        """Whoever is connected stays; the next exchange is with the new file."""
        node = self.users_node()
        there = self.enter(node)
        self.add(node, "anna", "changed")
        self.add(node, "bob", "new")
        self.fail_to_enter(node, "bob", "new", client_id="b")
        self.assertEqual(node.cli("ctl", "auth", "reload").stdout, "ok\n")
        self.enter(node, "bob", "new", client_id="b")
        self.fail_to_enter(node, "anna", "secret", client_id="d")
        there.send(pingreq()).recv(PINGRESP)
        self.again(there).expect_disconnect(0x87)
        self.again(self.enter(node, phrase="changed"), phrase="changed").recv(AUTH)


class Again(ScramCase):
    def test_failure_ends_the_connection_as_other_faults_do(self):
        node = self.users_node()
        watcher = self.enter(node, client_id="watcher")
        watcher.subscribe("test")
        client = self.enter(node, client_id="c", will=Will("test", b"gone"))
        self.again(client).recv(AUTH)
        self.again(client, phrase="wrong").expect_disconnect(0x87)
        self.assertEqual(watcher.wait(PUBLISH).payload, b"gone")
        self.assertEqual(self.metric(node, "authentication.failure"), 1)
        self.assertEqual(self.metric(node, "authentication.success"), 3)
        self.assertRegex(node.log(), r'auth refused client_id="c" username="anna" .*method=scram')

    def test_the_time_for_another_one_is_the_same(self):
        """Whoever begins to prove again who it is has to go on."""
        node = self.users_node(settings={"mqtt.idle_timeout": "1s"})
        busy, waits = self.enter(node, client_id="busy"), self.enter(node, client_id="waits")
        self.again(busy).recv(AUTH)
        waits.send(auth(0x19, with_data(Dialog("anna", "secret").first))).recv(AUTH)
        self.assertEqual(waits.recv(wire.DISCONNECT, 40).reason, 0x87)
        waits.expect_closed()
        self.assertEqual(self.metric(node, "authentication.failure"), 1)
        self.assertIn("not finished in time", node.log())
        busy.send(pingreq()).recv(PINGRESP)

    def test_an_exchange_that_is_not_finished_changes_nothing(self):
        """As long as it may go on."""
        node = self.users_node(settings={"mqtt.idle_timeout": "1h"})
        client = self.enter(node)
        client.send(auth(0x19, with_data(Dialog("anna", "secret").first))).recv(AUTH)
        client.subscribe("test")
        client.send(publish("test", b"x"))
        self.assertEqual(client.wait(PUBLISH).payload, b"x")


class MqttJs(ScramCase):
    def client(self, node, user, password, client_id="js"):
        command = ["node", os.path.join(HERE, "mqttjs", "scram.js"), f"mqtt://127.0.0.1:{node.port}", client_id, user, password]
        output = Output(command, stdin=subprocess.PIPE)
        self.addCleanup(output.end)
        return output

    def say(self, output, line, answer):
        output.process.stdin.write(line + "\n")
        output.process.stdin.flush()
        output.wait_for_line(answer)

    def test_client_of_others(self):
        node = self.users_node(users=(("anna", "secret"), ("a,b=c", "secret")))
        anna, other = self.client(node, "anna", "secret"), self.client(node, "a,b=c", "secret", "other")
        anna.wait_for_line("CONNECTED anna")
        other.wait_for_line("CONNECTED a,b=c")
        self.say(anna, "hello", "PUBLISHED hello")
        other.wait_for_line("MESSAGE hello")
        self.say(anna, "reauth secret", "REAUTHENTICATED")
        self.say(other, "still there", "PUBLISHED still there")
        anna.wait_for_line("MESSAGE still there")
        self.say(anna, "reauth wrong", f"DISCONNECTED {0x87}")
        self.client(node, "anna", "wrong", "x").wait_for_line(f"ERROR {0x86}")
        self.client(node, "nobody", "secret", "y").wait_for_line(f"ERROR {0x86}")


class Nodes(ScramCase):
    """The CONNECT waits for the cluster after the exchange, and its CONNACK has the end of it all the same."""

    def test_three_nodes_with_one_file(self):
        users = os.path.join(scratch(), "users")
        passwd("create", "--file", users, "--scram", "--iterations", ITERATIONS, "--batch", given="anna:secret\n")
        nodes = Cluster(3, {"authentication.password_file": users})
        self.addCleanup(nodes.remove)
        long = {"clean": False, "props": [(wire.SESSION_EXPIRY, 100)]}
        first = self.enter(nodes[0], client_id="s", **long)
        first.subscribe("test", qos=1)
        second = self.enter(nodes[2], client_id="s", **long)
        self.assertEqual(first.recv(wire.DISCONNECT).reason, 0x8E)
        self.again(second).recv(AUTH)
        self.enter(nodes[0], client_id="p").publish("test", b"x", 1)
        self.assertEqual(second.wait(PUBLISH).payload, b"x")
        salts = {self.fail_to_enter(node, "nobody", "x").split(",")[1] for node in nodes}
        self.assertEqual(len(salts), 1)


class File(ScramCase):
    def test_passwd(self):
        node = self.users_node(users=(), start=False)

        def lines():
            with open(node.users, encoding="utf-8") as file:
                return file.read().splitlines()
        passwd("add", "--file", node.users, "--scram", "anna", given="secret\n")
        seed, anna = lines()
        self.assertRegex(seed, r"^#scram-seed:[A-Za-z0-9+/]{43}=$")
        self.assertRegex(anna, r"^anna:\$scram-sha-256\$100000\$[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=\$[A-Za-z0-9+/]{43}=$")
        passwd("add", "--file", node.users, "--scram", "--iterations", "5000", "--batch", given="bob:x\ncarl:y\n")
        passwd(*node.cheap, "add", "--file", node.users, "carl", given="z\n")
        self.assertEqual(lines()[:2], [seed, anna])
        self.assertEqual([line.split("$")[1] for line in lines()[2:]], ["scram-sha-256", "argon2id"])
        self.assertEqual(stat.S_IMODE(os.stat(node.users).st_mode), 0o600)
        before = lines()
        for words in (["add", "--iterations", "5000", "dora"], ["add", "--scram", "--iterations", "4095", "dora"],
                      ["add", "--scram", "--iterations", "1000001", "dora"], ["add", "--scram", "--iterations", "x", "dora"],
                      ["add", "--scram", "dora", "--iterations"], ["delete", "--scram", "anna"]):
            passwd(words[0], "--file", node.users, *words[1:], given="x\n", expect=1)
        self.assertEqual(lines(), before)

    def test_wrong_verifiers_stop_the_start(self):
        for text, where in (("anna:$scram-sha-256$4096$QUJD\n", ":1"), ("#scram-seed:QUJD\n", ":1")):
            node = self.users_node(users=(), start=False)
            with open(node.users, "w", encoding="utf-8") as file:
                file.write(text)
            node.spawn()
            self.assertNotEqual(node.process.wait(20), 0)
            self.assertIn(node.users + where, node.log())


del AuthCase
