# SPDX-License-Identifier: Apache-2.0
"""What protects one node protects a cluster of three: passwords, rules, bans, limits, and the features of topics mean the same
whichever node a client is on. More of bans is in test_bans, of exclusive subscriptions in test_exclusive, of delayed messages in
test_features."""
import os
import shutil
import time
import unittest

from cluster import ClusterCase
from harness import scratch, until
from mqttlib import unique
from test_bans import is_refused, metric
from test_passwords import BCRYPT_HASH, MOSQUITTO_HASH
from wire import *  # noqa: F403

WAIT = 30
LONG = [(SESSION_EXPIRY, 3600)]
NOT_AUTHORIZED, BAD_PASSWORD, QUOTA = 0x87, 0x86, 0x97
TCP = "listeners.tcp.default."


def distribute(name, text, paths):
    """The same file for every node, each time moved into place as a whole."""
    for path in paths:
        with open(path + ".new", "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(text)
        shutil.move(path + ".new", path)
    return {i: {name: path} for i, path in enumerate(paths)}


class Same(ClusterCase):
    def setUp(self):
        self.needs_covey()
        folder = scratch("covey-same-")
        self.paths = [os.path.join(folder, f"node{i}") for i in range(3)]

    def ctl(self, node, *words):
        done = node.cli("ctl", *words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_passwords(self):
        each = distribute("authentication.password_file", f"anna:{MOSQUITTO_HASH}\n", self.paths)
        nodes = self.cluster(each=each)
        anna, bob = ({"username": name, "password": b"secret"} for name in ("anna", "bob"))
        for node in nodes:
            self.connected(node, connect=anna)
            with node.client() as client:
                client.connect(expect=BAD_PASSWORD, username="anna", password=b"wrong")
            with node.client() as client:
                client.connect(expect=BAD_PASSWORD, **bob)
        distribute("", f"bob:{BCRYPT_HASH}\n", self.paths)
        for node in nodes:
            self.ctl(node, "auth", "reload")
        for node in nodes:
            self.connected(node, connect=bob)
            with node.client() as client:
                client.connect(expect=BAD_PASSWORD, **anna)

    def rules_agree(self, nodes, mine, denied):
        """Each node lets a client reach its own topic and not the other one, and says why."""
        for node in nodes:
            client_id = unique("c")
            client, others = self.connected(node, client_id), [self.connected(other, f"{client_id}-{i}") for i, other in enumerate(nodes)]
            for other in others:
                other.subscribe("seen/#")
            client.publish(mine.replace("ID", client_id), b"1", 1)
            why = client.publish(denied.replace("ID", client_id), b"2", 1, expect=[NOT_AUTHORIZED]).prop(REASON_STRING)
            self.assertIn("Denied", why)
            client.publish("seen/end", b"3", 1)
            for other in others:
                self.assertEqual([other.recv_publish(timeout=WAIT).payload for _ in range(2)], [b"1", b"3"])
            client.subscribe(f"own/{client_id}/#", 1)
            client.subscribe("own/somebody/#", expect=[NOT_AUTHORIZED])

    def test_rules_with_placeholders_and_their_reload(self):
        common = "allow all all own/${clientid}/#\nallow all subscribe seen/#\nallow all publish seen/end\n"
        each = distribute("authorization.file", common + "allow all publish seen/${clientid}/a\n", self.paths)
        nodes = self.cluster(each=each)
        self.rules_agree(nodes, "seen/ID/a", "seen/ID/b")
        distribute("", common + "allow all publish seen/${clientid}/b\n", self.paths)
        for node in nodes:
            self.ctl(node, "reload")
        self.rules_agree(nodes, "seen/ID/b", "seen/ID/a")

    def test_a_session_is_held_against_the_rules_where_it_is(self):
        text = "deny all subscribe t/secret\nallow all all t/#\n"
        nodes = self.cluster(each=distribute("authorization.file", text, self.paths))
        client_id, pub = unique("c"), self.connected(nodes[1])
        self.connected(nodes[0], client_id, LONG).subscribe("t/#", 1)
        for node in (nodes[0], nodes[2]):
            client = self.connected(node, client_id, LONG, clean=False)
            pub.publish("t/secret", b"no", 1, expect=[0, 0x10])
            pub.publish("t/open", b"yes", 1)
            self.assertEqual(client.recv_publish(timeout=WAIT).payload, b"yes")

    def test_a_ban_ends_connections_of_all_nodes(self):
        nodes = self.cluster()
        there = [self.connected(node, f"bad{i}") for i, node in enumerate(nodes)]
        watcher = self.connected(nodes[2], "good")
        self.ctl(nodes[0], "ban", "add", "clientid_re", "^bad", "--reason", "left the plant")
        for client in there:
            client.expect_disconnect(0x98)
        for node in nodes:
            until(lambda n=node: is_refused(n, "bad9"), WAIT, "it is let in")
            self.assertIn("left the plant", self.ctl(node, "ban", "list"))
        watcher.barrier()

    def test_flapping_on_one_node_bans_on_all(self):
        nodes = self.cluster(settings={"flapping_detect.enable": True, "flapping_detect.max_count": 5, "flapping_detect.window_time": "1h",
                                       "flapping_detect.ban_time": "1h"})
        deadline = time.monotonic() + WAIT
        while not is_refused(nodes[0], "flip"):
            self.assertLess(time.monotonic(), deadline)
        for node in nodes[1], nodes[2]:
            until(lambda n=node: is_refused(n, "flip"), WAIT, "it is let in")
            self.assertFalse(is_refused(node, "other"))
        self.assertEqual([metric(node, "client.flapping") for node in nodes], [1, 0, 0])

    def test_limits(self):
        nodes = self.cluster(settings={"mqtt.max_subscriptions": 2, "mqtt.max_packet_size": "1KB", "mqtt.max_topic_levels": 4,
                                       TCP + "max_connections": 4})
        client_id = unique("c")
        for node in nodes:      # its subscriptions move along, and count
            client = self.connected(node, client_id, LONG, clean=False)
            client.subscribe(["a/1", "a/2"])
            client.subscribe("a/3", expect=[QUOTA])
            with node.client() as other:
                other.connect()
                other.send(publish("a/b/c/d/e", b"", version=V5))
                other.expect_disconnect(0x90)
            with node.client() as other:
                other.connect()
                other.send(publish("a/1", bytes(2000), version=V5))
                other.expect_disconnect(0x95)
        for node in nodes:      # of each listener, not of all together
            stays = node is nodes[2]
            until(lambda n=node, k=int(stays): f"current_conn    : {k}\n" in self.ctl(n, "listeners").partition("ws:")[0], WAIT, "the others are gone")
            for _ in range(4 - stays):
                self.connected(node)
            with node.client() as other:
                other.expect_closed(timeout=WAIT)


class Topics(ClusterCase):
    def setUp(self):
        self.needs_covey()

    def test_rewritten_and_subscribed_by_connecting(self):
        nodes = self.cluster(settings={"rewrite.rules": "all old/# ^old/(.+)$ new/$1", "auto_subscribe.topics": "for/${clientid} qos=1"})
        clients = [self.connected(node, f"c{i}") for i, node in enumerate(nodes)]
        for client in clients:
            client.subscribe("old/#", 1)
        for i, client in enumerate(clients):
            client.publish(f"old/{i}", b"x", 1)
            for other in clients:
                self.assertEqual(other.recv_publish(timeout=WAIT).topic, f"new/{i}")
        for i in range(3):
            clients[(i + 1) % 3].publish(f"for/c{i}", b"yours", 1)
            self.assertEqual(clients[i].recv_publish(timeout=WAIT).topic, f"for/c{i}")

    def test_delayed_messages_are_held_against_the_rules(self):
        folder, topic = scratch("covey-delayed-"), unique()
        paths = [os.path.join(folder, f"node{i}") for i in range(3)]
        rules = f"allow all publish {topic}/${{clientid}}\nallow all subscribe {topic}/#\n"
        nodes = self.cluster(each=distribute("authorization.file", rules, paths))
        subs = [self.connected(node) for node in nodes]
        for sub in subs:
            sub.subscribe(f"{topic}/#", 1)
        for i, node in enumerate(nodes):
            client = self.connected(node, f"c{i}")
            client.publish(f"$delayed/1/{topic}/other", b"no", 1, expect=[NOT_AUTHORIZED])
            client.publish(f"$delayed/1/{topic}/c{i}", b"%d" % i, 1)
        for sub in subs:
            self.assertEqual(sorted(sub.recv_publish(timeout=WAIT).payload for _ in range(3)), [b"0", b"1", b"2"])


if __name__ == "__main__":
    unittest.main()
