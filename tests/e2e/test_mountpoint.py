# SPDX-License-Identifier: Apache-2.0
"""Listeners that put their clients' topics under a prefix which the clients do not see."""
import os
import socket
import subprocess
import unittest

import harness
import wire
from cluster import Cluster, ClusterCase
from harness import Case, Output, Raw, until
from mqttlib import unique
from wire import ALIAS, ALIAS_MAX, SESSION_EXPIRY, V5, V31, V311, Will

LONG = [(SESSION_EXPIRY, 3600)]


class MountCase(Case):
    def setUp(self):
        self.needs_covey()

    def mounted(self, mountpoint, start=True, **settings):
        """A node whose Unix socket has the mountpoint, and whose port has none."""
        node = self.node(start=False)
        node.path = os.path.join(node.dir, "tenant.sock")
        node.configure({"listeners.unix.tenant.bind": node.path, "listeners.unix.tenant.mountpoint": mountpoint, **settings})
        if start:
            node.start()
        return node

    def inside(self, node, client_id=None, props=(), version=V5, **options):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(node.path)
        client = Raw(sock=sock, version=version)
        self.addCleanup(client.close)
        client.connect(client_id, props, **options)
        return client


class RealClients(MountCase):
    def test_mosquitto(self):
        """Every QoS, in both versions: retained, will, shared, unsubscribed."""
        node = self.mounted("tenant/${clientid}/")
        outside = self.connected(node)
        outside.subscribe("tenant/#", qos=2)
        for version in ("mqttv311", "mqttv5"):
            name = unique(version)

            def run(program, *words, check=True, name=name, version=version):
                return subprocess.run([program, "--unix", node.path, "-V", version, "-i", name, *words], check=check, timeout=30,
                                      capture_output=True, text=True)
            for qos in range(3):
                run("mosquitto_pub", "-t", f"a/{qos}", "-q", str(qos), "-m", "up")
                got = outside.recv_publish(f"tenant/{name}/a/{qos}")
                self.assertEqual((got.payload, got.qos), (b"up", qos))
            run("mosquitto_pub", "-t", "kept", "-r", "-q", "1", "-m", "still here")
            outside.recv_publish(f"tenant/{name}/kept")
            self.assertEqual(run("mosquitto_sub", "-t", "#", "-C", "1", "-v", "-W", "20").stdout, "kept still here\n")
            sub = Output(["stdbuf", "-oL", "mosquitto_sub", "--unix", node.path, "-V", version, "-i", name, "-q", "2", "-d", "-F", "%t %q %p",
                          "-t", "down/+", "-t", "$share/g/shared/#", "-t", "gone", "-U", "gone", "--will-topic", "bye", "--will-payload", "bye"])
            self.addCleanup(sub.end)
            sub.wait_for_line("UNSUBACK")
            for qos in range(3):
                outside.publish(f"tenant/{name}/down/{qos}", b"down", qos)
                outside.recv_publish(f"tenant/{name}/down/{qos}")
                sub.wait_for_line(f"down/{qos} {qos} down")
            for topic in ("gone", "shared/x"):
                outside.publish(f"tenant/{name}/{topic}", b"x", 1)
                outside.recv_publish(f"tenant/{name}/{topic}")
            sub.wait_for_line("shared/x 1 x")
            self.assertFalse([line for line in sub.lines if line.startswith("gone ") or "tenant/" in line], sub.lines)
            sub.process.kill()
            self.assertEqual(outside.recv_publish(f"tenant/{name}/bye").payload, b"bye")

    def test_a_certificate_names_it(self):
        node = self.node({"listeners.ssl.default.ssl_options.cacertfile": os.path.join(harness.certs(), "ca.pem"),
                          "listeners.ssl.default.ssl_options.verify": "verify_peer",
                          "listeners.ssl.default.mountpoint": "certs/${cert_common_name}/"}, tls=True)
        outside = self.connected(node)
        outside.subscribe("certs/#")
        folder = harness.certs()
        command = ["mosquitto_pub", "-p", str(node.tls_port), "--cafile", os.path.join(folder, "ca.pem"), "-t", "t", "-m", "x"]
        subprocess.run(command + ["--cert", os.path.join(folder, "alice.pem"), "--key", os.path.join(folder, "alice.key")],
                       check=True, timeout=30)
        outside.recv_publish("certs/alice/t")
        self.assertNotEqual(subprocess.run(command, timeout=30, capture_output=True, check=False).returncode, 0)
        until(lambda: "The certificate makes no mountpoint" in node.log(), 20, node.log)


class Packets(MountCase):
    def test_aliases_both_ways(self):
        node = self.mounted("m/", **{"mqtt.max_topic_alias_outbound": 10})
        outside, client = self.connected(node), self.inside(node, props=[(ALIAS_MAX, 10)])
        outside.subscribe("m/#")
        client.publish("long/topic", b"1", 1, props=[(ALIAS, 3)])
        client.publish("", b"2", 1, props=[(ALIAS, 3)])
        self.assertEqual([outside.recv_publish("m/long/topic").payload for _ in range(2)], [b"1", b"2"])
        client.subscribe("back/+")
        for n in range(3):
            outside.publish("m/back/again", b"%d" % n)
            got = client.recv_publish("back/again")
            self.assertTrue(got.prop(ALIAS))

    def request(self, asker, responder, listens, asks, answers_to):
        """A request with a Response Topic, seen by the responder, and the answer of one who does what it says."""
        asker.subscribe(f"answers/{asker.id}", 1)
        responder.subscribe(listens, 1)
        props = [(wire.PAYLOAD_FORMAT, 1), (wire.RESPONSE_TOPIC, answers_to), (wire.CORRELATION, b"\x08\x00\x01r"), (wire.USER_PROPERTY, ("k", "v"))]
        asker.publish(asks, b"?", 1, props=props)
        got = responder.recv_publish(listens)
        self.assertEqual((got.prop(wire.CORRELATION), got.prop(wire.PAYLOAD_FORMAT), got.prop(wire.USER_PROPERTY)), (b"\x08\x00\x01r", 1, ("k", "v")))
        responder.publish(got.prop(wire.RESPONSE_TOPIC), b"!", 1)
        self.assertEqual(asker.recv_publish(f"answers/{asker.id}").payload, b"!")
        return got.prop(wire.RESPONSE_TOPIC)

    def test_requests_and_responses(self):
        """Within one prefix the Response Topic is as the asker wrote it; from outside it is whole, and either can be the one that asks."""
        node = self.mounted("m/")
        outside, one, other = self.connected(node, "outside"), self.inside(node, "one"), self.inside(node, "other")
        self.assertEqual(self.request(one, other, "serve/1", "serve/1", "answers/one"), "answers/one")
        self.assertEqual(self.request(one, outside, "m/serve/2", "serve/2", "answers/one"), "m/answers/one")
        outside.subscribe("m/back", 1)
        outside.publish("m/serve/1", b"?", 1, props=[(wire.RESPONSE_TOPIC, "m/back")])
        other.publish(other.recv_publish("serve/1").prop(wire.RESPONSE_TOPIC), b"!", 1)
        self.assertEqual(outside.recv_publish("m/back").payload, b"!")
        # What is under another prefix, or the server's, stays as it is.
        for topic in ("back", "$SYS/x", "m"):
            outside.publish("m/serve/1", b"?", 1, props=[(wire.RESPONSE_TOPIC, topic)])
            self.assertEqual(other.recv_publish("serve/1").prop(wire.RESPONSE_TOPIC), topic)
        one.publish("serve/2", b"?", 1, props=[(wire.RESPONSE_TOPIC, "$SYS/x")])
        self.assertEqual(outside.recv_publish("m/serve/2").prop(wire.RESPONSE_TOPIC), "$SYS/x")

    def test_response_topics_that_are_kept(self):
        """In wills, in retained messages and in queues, over a restart."""
        node = self.mounted("m/")
        with_response = [(wire.RESPONSE_TOPIC, "answers")]
        away = self.inside(node, "away", LONG)
        away.subscribe("gone", 1)
        away.close()
        client = self.inside(node, will=Will("gone", b"bye", qos=1, props=with_response))
        client.publish("kept", b"x", 1, retain=True, props=with_response)
        outside = self.connected(node)
        outside.subscribe([("m/kept", 1), ("m/gone", 1)])
        self.assertEqual(outside.recv_publish("m/kept").prop(wire.RESPONSE_TOPIC), "m/answers")
        client.close()
        self.assertEqual(outside.recv_publish("m/gone").prop(wire.RESPONSE_TOPIC), "m/answers")
        node.stop()
        node.start()
        away = self.inside(node, "away", LONG, clean=False)
        self.assertEqual(away.recv_publish("gone").prop(wire.RESPONSE_TOPIC), "answers")
        away.subscribe("kept")
        self.assertEqual(away.recv_publish("kept").prop(wire.RESPONSE_TOPIC), "answers")

    def test_exclusive_delayed_and_sys(self):
        node = self.mounted("m/", **{"mqtt.exclusive_subscription": True})
        outside, client = self.connected(node), self.inside(node)
        outside.subscribe([("m/#", 0), ("later", 0)])
        client.subscribe("$exclusive/mine")
        outside.subscribe("$exclusive/m/mine", expect=[0x97])
        client.publish("$delayed/1/later", b"x", 1)
        self.assertEqual(outside.recv_publish(timeout=20).topic, "m/later")
        client.subscribe("$SYS/brokers/+/clients/#")
        self.connected(node, "known")
        self.assertIn("/clients/known/connected", client.recv_publish().topic)
        client.unsubscribe("$SYS/brokers/+/clients/#")
        client.publish("$own/x", b"x", 1, expect=(0x90,))
        client.publish("$SYS/x", b"x", 1, expect=(0x90,))

    def test_large_payloads(self):
        node = self.mounted("m/")
        outside = self.connected(node)
        for version in (V311, V5):
            client = self.inside(node, version=version)
            client.subscribe("big", 1)
            outside.publish("m/big", b"x" * 100000, 1)
            self.assertEqual(len(client.recv_publish("big").payload), 100000)

    def test_too_long_and_too_deep(self):
        node = self.mounted("m/n/", **{"mqtt.max_topic_levels": 4})
        client = self.inside(node)
        client.subscribe("a/b", expect=[0])
        client.subscribe("a/b/c", expect=[0x8f])
        client.subscribe("x" * 65532, expect=[0x8f])
        client.subscribe("x" * 65531, expect=[0])
        client.send(wire.publish("x" * 65532, b""))
        client.expect_disconnect(0x90)
        client = self.inside(node)
        client.send(wire.publish("a/b/c", b""))
        client.expect_disconnect(0x90)

    def test_names_that_make_no_mountpoint(self):
        node = self.mounted("${username}/${clientid}/")
        cases = (("a/b", "u", 0x85, "Client Identifier makes no mountpoint"), ("+", "u", 0x85, "Client Identifier"),
                 ("$x", None, 0x86, "user name makes no mountpoint"), ("ok", "#", 0x86, "user name"), ("ok", "$SYS", 0x85, "begins with $"))
        for client_id, username, code, text in cases:
            refused = self.inside(node, client_id, username=username, expect=code)
            self.assertIn(text, refused.connack.prop(wire.REASON_STRING))
        for version, code in ((V311, 2), (V31, 2)):
            self.inside(node, "a/b", version=version, username="u", expect=code)
        assigned = self.inside(node, "", username="u")
        outside = self.connected(node)
        outside.subscribe("u/#")
        assigned.publish("t", b"x")
        outside.recv_publish(f"u/{assigned.id}/t")

    def test_wills(self):
        node = self.mounted("m/")
        outside = self.connected(node)
        outside.subscribe("m/#")
        for version in (V5, V311, V31):
            self.inside(node, unique("w"), version=version, will=Will("gone", b"bye", qos=1)).close()
            self.assertEqual(outside.recv_publish("m/gone").payload, b"bye")
        self.inside(node, "w", will=Will("$x", b""), expect=0x90)


class Lasting(MountCase):
    def test_a_session_moves_between_listeners_and_over_a_restart(self):
        node, name = self.mounted("m/"), unique("c")
        client = self.inside(node, name, LONG)
        client.subscribe([("t", 1), ("$share/g/s", 1)], expect=[1, 1])
        client.close()
        node.kill()
        node.start()
        outside = self.connected(node)
        outside.publish("m/t", b"1", 1)
        outside.publish("m/s", b"2", 1)
        client = self.inside(node, name, LONG, clean=False)
        self.assertEqual(sorted((p.topic, p.payload) for p in (client.recv_publish(), client.recv_publish())), [("s", b"2"), ("t", b"1")])
        client.close()
        elsewhere = self.connected(node, name, LONG, clean=False)
        outside.publish("m/t", b"3", 1)
        self.assertEqual(elsewhere.recv_publish("m/t").payload, b"3")
        self.assertEqual(elsewhere.unsubscribe("t").reasons, [0x11])
        elsewhere.close()
        client = self.inside(node, name, LONG, clean=False)
        self.assertEqual(client.unsubscribe(["t", "$share/g/s"]).reasons, [0, 0])

    def test_operators_see_whole_topics(self):
        node = self.mounted("m/${clientid}/")
        client = self.inside(node, "one")
        client.subscribe("t/+")
        self.assertIn("one -> topic:m/one/t/+ ", node.cli("ctl", "subscriptions", "show", "one").stdout)
        self.assertIn("m/one/t/+", node.cli("ctl", "topics", "list").stdout)
        client.publish("kept", b"x", 1, retain=True)
        self.assertIn("m/one/kept", node.cli("ctl", "retainer", "topics").stdout)
        self.assertEqual(node.cli("ctl", "subscriptions", "add", "one", "x/y", "1").returncode, 0)
        outside = self.connected(node)
        outside.publish("x/y", b"from outside its mountpoint")
        client.recv_publish("x/y")

    def test_a_reload_is_for_new_connections(self):
        node = self.mounted("m/")
        outside, client = self.connected(node), self.inside(node)
        outside.subscribe("#")
        node.configure({**node.settings, "listeners.unix.tenant.mountpoint": "n/"})
        self.assertIn("listeners.unix.tenant.mountpoint", node.cli("ctl", "reload").stdout)
        client.publish("t", b"x")
        self.inside(node).publish("t", b"x")
        self.assertEqual(sorted(outside.recv_publish().topic for _ in range(2)), ["m/t", "n/t"])

    def test_what_is_no_mountpoint_stops_the_start(self):
        node = self.mounted("m/#/", start=False)
        done = node.cli("check-config")
        self.assertEqual(done.returncode, 1)
        self.assertIn("listeners.unix.tenant.mountpoint: must not have + or # in it", done.stdout + done.stderr)


class OverACluster(ClusterCase):
    def test_whole_topics_travel(self):
        nodes = Cluster(2, settings={"listeners.ws.default.mountpoint": "m/"})
        self.addCleanup(nodes.remove)
        outside = [self.connected(node) for node in nodes]
        inside = [self.connected(node, unique("c"), LONG, ws=True) for node in nodes]
        for client in inside:
            client.subscribe("t/#", 2)
        for client in outside:
            client.subscribe("m/#", 2)
        inside[0].publish("t/1", b"from inside", 2)
        outside[1].publish("m/t/2", b"from outside", 1)
        for client in inside:
            self.assertEqual(sorted(client.recv_publish(timeout=20).topic for _ in range(2)), ["t/1", "t/2"])
        for client in outside:
            self.assertEqual(sorted(client.recv_publish(timeout=20).topic for _ in range(2)), ["m/t/1", "m/t/2"])
        inside[0].close()
        outside[0].publish("m/t/3", b"while it is away", 1)
        moved = self.connected(nodes[1], inside[0].id, LONG, clean=False, ws=True)
        self.assertEqual(moved.recv_publish(timeout=20).topic, "t/3")


if __name__ == "__main__":
    unittest.main()
