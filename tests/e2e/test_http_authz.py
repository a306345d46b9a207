# SPDX-License-Identifier: Apache-2.0
"""A server is asked what clients may publish and subscribe: what it is told, what its answers do, and what happens when it
gives none. What waits meanwhile is in test_http_authz_waits.py."""
import json
import os
import subprocess
import unittest
import urllib.parse

import harness
import wire
from harness import environment, until
from hook_server import AskedCase, Server, says

NO = 0x87
DENIED = "Denied by the authorization server"


class HttpAuthz(AskedCase):
    # ---- what is said

    def test_allow_deny_and_ignore(self):
        node = self.asked_node()
        client, other = self.connected(node), self.connected(node, version=wire.V311)
        for qos in (1, 2):
            self.assertEqual(self.why(client.publish("no/x", qos=qos, expect=(NO,))), DENIED)
            self.assertEqual(self.why(client.publish("else", qos=qos, expect=(NO,))), "Denied: no rule of the ACL allows it")
            client.publish("nonsense", qos=qos, expect=(NO,))
            client.publish("yes/x", qos=qos)
            client.publish("empty", qos=qos)
        client.publish("no/x")
        client.barrier()
        client.subscribe("yes/#")
        other.publish("yes/y", b"seen", qos=1)
        self.assertEqual(client.recv_publish().payload, b"seen")
        self.assertIn(f'why="{DENIED}"', node.log())
        self.assertIn("not understood", node.log())
        counts = {n: self.counter(node, "authorization.http." + n) for n in ("allow", "deny", "ignore", "malformed", "failed", "queue_full")}
        self.assertEqual(counts, {"allow": 4, "deny": 1, "ignore": 1, "malformed": 2, "failed": 0, "queue_full": 0})

    def test_no_match_allow_holds_where_the_server_says_nothing(self):
        node = self.asked_node(settings={"authorization.no_match": "allow"})
        client = self.connected(node)
        client.publish("else", qos=1)
        client.subscribe("else")
        client.publish("no/x", qos=1, expect=(NO,))

    def test_mixed_verdicts_of_one_subscribe(self):
        node = self.asked_node("allow all subscribe file/#\ndeny all subscribe bad\n")
        filters = ["yes/1", "no/1", "file/1", "else", "bad", "yes/1", "yes/+", "$share/g/yes/s", "$share/g/no/s", "no/1"]
        suback = self.connected(node).subscribe(filters, expect=[0, NO, 0, NO, NO, 0, 0, 0, NO, NO])
        self.assertEqual(self.why(suback), DENIED)
        self.assertEqual(sorted(set(self.topics_asked())), ["else", "no/1", "no/s", "yes/+", "yes/1", "yes/s"])
        old = self.connected(node, version=wire.V311)
        old.subscribe(["yes/1", "no/1"], expect=[0, 0x80])
        # more than may be under way at one time, in their order
        many = [f"{'yes' if i % 3 else 'no'}/{i}" for i in range(100)]
        self.connected(node).subscribe(many, expect=[0 if i % 3 else NO for i in range(100)])

    def test_what_the_server_is_told(self):
        body = ('{"c":"${clientid}","u":"${username}","h":"${peerhost}","n":"${cert_common_name}","topic":"${topic}",'
                '"action":"${action}","q":${qos},"r":${retain}}')
        node = self.asked_node(body=body, headers=["Authorization: Bearer key"],
                               settings={"mqtt.allow_anonymous": True})
        client = self.connected(node, 'c"1', connect={"username": "a\\n"})
        client.publish('yes/"x', b"", qos=2, retain=True)
        client.subscribe([("yes/+/\u00fc", 1)], expect=[1])
        told = [json.loads(b) for _, _, _, b in self.server.asked]
        same = {"c": 'c"1', "u": "a\\n", "h": "127.0.0.1", "n": ""}
        self.assertEqual(told, [{**same, "topic": 'yes/"x', "action": "publish", "q": 2, "r": True},
                                {**same, "topic": "yes/+/\u00fc", "action": "subscribe", "q": 1, "r": False}])
        self.assertEqual(self.server.asked[0][2]["Authorization"], "Bearer key")
        # what it is told is what an answer is remembered for
        for qos in (0, 1, 1, 2, 2):
            client.publish('yes/"x', b"", qos=qos, retain=True)
        client.barrier()
        self.assertEqual(len(self.server.asked), 4)

    def test_get_with_a_query(self):
        self.server.answer = says("allow")
        node = self.asked_node(path="/a?t=${topic}&a=${action}&q=${qos}&c=${clientid}", method="get")
        self.connected(node, "x&y").publish("a&b=c/#d".replace("#", "%"), qos=1)
        _, path, _, body = self.server.asked[-1]
        self.assertEqual(urllib.parse.parse_qs(path.split("?")[1]), {"t": ["a&b=c/%d"], "a": ["publish"], "q": ["1"], "c": ["x&y"]})
        self.assertEqual(body, b"")

    def test_the_certificate(self):
        self.server.answer = says("allow")
        node = self.node(self.keys(body="${cert_common_name}", settings={
            "listeners.ssl.default.ssl_options.verify": "verify_peer", "listeners.ssl.default.ssl_options.cacertfile":
            os.path.join(harness.certs(), "ca.pem")}), tls=True)
        folder = harness.certs()
        context = harness.tls_context(certfile=f"{folder}/alice.pem", keyfile=f"{folder}/alice.key")
        self.connected(node, tls=True, context=context).publish("t", qos=1)
        self.assertEqual(self.server.asked[-1][3], b"alice")

    # ---- order

    def test_rules_of_the_file_come_first(self):
        node = self.asked_node("deny all publish yes/secret\nallow all publish no/open\nallow all subscribe no/#\n")
        client = self.connected(node)
        self.assertEqual(self.why(client.publish("yes/secret", qos=1, expect=(NO,))), "Denied by line 1 of the ACL")
        client.publish("no/open", qos=1)
        client.subscribe("no/#")
        self.assertEqual(self.server.asked, [])
        client.publish("yes/x", qos=1)
        self.assertEqual(self.topics_asked(), ["yes/x"])
        self.assertIn("authorization.http is asked", node.cli("ctl", "acl", "check", "publish", "yes/x").stdout)
        self.assertIn("allow by line 2", node.cli("ctl", "acl", "check", "publish", "no/open").stdout)

    def test_a_superuser_is_not_asked_about(self):
        auth = Server(lambda *_: (200, b'{"result": "allow", "is_superuser": true}'))
        self.addCleanup(auth.stop)
        node = self.asked_node(settings={"authentication.http.url": f"http://127.0.0.1:{auth.port}/"})
        client = self.connected(node, connect={"username": "u", "password": b"p", "will": wire.Will("no/will", b"")})
        client.subscribe("no/#")
        client.publish("no/x", b"mine", qos=1)
        self.assertEqual(client.recv_publish().payload, b"mine")
        self.assertEqual(self.server.asked, [])

    # ---- delivery

    def test_what_was_allowed_is_delivered(self):
        """The server is asked about the filter; rules of the file still hold for each topic."""
        node = self.asked_node("deny all subscribe yes/secret\nallow all publish #\n")
        sub, pub = self.connected(node), self.connected(node)
        sub.subscribe("yes/#", qos=1)
        for topic in ("yes/a", "yes/secret", "yes/b"):
            pub.publish(topic, topic.encode(), qos=1)
        self.assertEqual([sub.recv_publish().payload for _ in range(2)], [b"yes/a", b"yes/b"])
        self.assertEqual(self.topics_asked(), ["yes/#"])
        self.assertEqual(self.counter(node, "authorization.deny.delivery"), 1)

    def test_a_grant_is_kept_with_the_session(self):
        node = self.asked_node("allow all publish #\n")
        props = [(wire.SESSION_EXPIRY, 1000)]
        sub, pub = self.connected(node, "keeper", props, clean=False), self.connected(node)
        sub.subscribe("yes/#", qos=1)
        sub.close()
        pub.publish("yes/away", b"1", qos=1)
        node.kill()
        node.start()
        pub = self.connected(node)
        pub.publish("yes/after", b"2", qos=1)
        sub = self.connected(node, "keeper", props, clean=False)
        self.assertEqual([sub.recv_publish().payload for _ in range(2)], [b"1", b"2"])
        pub.publish("yes/now", b"3", qos=1)
        self.assertEqual(sub.recv_publish().payload, b"3")
        self.assertEqual(self.topics_asked(), ["yes/#"])

    def test_a_rule_that_is_taken_away_is_not_the_servers_grant(self):
        node = self.asked_node("allow all subscribe yes/#\nallow all publish #\n")
        sub, pub = self.connected(node), self.connected(node)
        sub.subscribe("yes/#", qos=1)
        pub.publish("yes/1", b"1", qos=1)
        self.assertEqual(sub.recv_publish().payload, b"1")
        with open(node.settings["authorization.file"], "w", encoding="utf-8") as file:
            file.write("allow all publish #\n")
        self.assertEqual(node.cli("ctl", "acl", "reload").stdout, "ok\n")
        pub.publish("yes/2", b"2", qos=1)
        sub.subscribe("yes/other", qos=1)
        pub.publish("yes/other", b"3", qos=1)
        self.assertEqual(sub.recv_publish().payload, b"3")

    def test_operators_need_not_ask(self):
        node = self.asked_node("allow all publish #\n", {"auto_subscribe.topics": "auto/${clientid}"})
        client = self.connected(node, "c1")
        client.publish("auto/c1", b"1", qos=1)
        self.assertEqual(client.recv_publish().payload, b"1")
        self.assertEqual(self.server.asked, [])

    # ---- wills

    def test_the_will(self):
        node = self.asked_node("allow all subscribe #\n")
        watcher = self.connected(node)
        watcher.subscribe("#")
        for topic, reason in (("yes/w", 0), ("no/w", NO), ("else", NO)):
            client = node.client()
            self.addCleanup(client.close)
            packet = client.connect("w", will=wire.Will(topic, b"bye"), expect=reason)
            if topic == "no/w":
                self.assertEqual(self.why(packet), DENIED)
            client.close()
            if not reason:
                self.assertEqual(watcher.recv_publish().payload, b"bye")
        self.assertEqual(self.topics_asked("publish"), ["yes/w", "no/w", "else"])

    # ---- no answer

    def test_a_server_that_hangs(self):
        node = self.asked_node("allow all publish open\n", request_timeout="500ms")
        client = self.connected(node)
        self.assertEqual(self.why(client.publish("hang/1", qos=1, expect=(NO,))), "Denied: the authorization server does not answer")
        client.publish("open", qos=1)
        client.subscribe(["hang/a", "hang/b"], expect=[NO, NO])
        self.assertEqual(self.counter(node, "authorization.http.failed"), 3)

    def test_waiting_in_the_queue_counts_as_waiting(self):
        """One thread, ten questions, a server that takes longer than the time-out: nobody waits for the sum."""
        node = self.asked_node(request_timeout="1s", pool_size=1)
        clients = [self.connected(node) for _ in range(10)]
        for i, client in enumerate(clients):
            client.send(wire.publish(f"hang/{i}", b"", 1, 5))
        for client in clients:
            self.assertEqual(client.recv(wire.PUBACK).reason, NO)
        counts = [self.counter(node, "authorization.http." + n) for n in ("failed", "queue_full", "left_alone")]
        self.assertEqual(sum(counts), 10)
        self.assertLess(len(self.server.asked), 6)
        self.assertGreater(counts[1], 0)

    def test_the_breaker(self):
        node = self.asked_node(request_timeout="1s")
        client = self.connected(node)
        self.server.stop()
        for i in range(7):
            client.publish(f"yes/{i}", qos=1, expect=(NO,))
        until(lambda: "authorization_server" in node.cli("ctl", "alarms", "list").stdout, 20, "the alarm")
        self.assertIn("acl http server does not answer, it is left alone", node.log())
        self.assertEqual((self.counter(node, "authorization.http.failed"), self.counter(node, "authorization.http.left_alone")), (5, 2))

    def test_failures_may_be_passed_over(self):
        node = self.asked_node(settings={"authorization.no_match": "allow"}, on_failure="ignore", request_timeout="1s")
        client = self.connected(node)
        self.server.stop()
        client.publish("yes/x", qos=1)
        client.subscribe("yes/x")

    def test_deny_action_disconnect(self):
        node = self.asked_node(settings={"authorization.deny_action": "disconnect"})
        client = self.connected(node)
        client.publish("yes/x", qos=1)
        client.send(wire.publish("no/x", b"", 1, 9))
        self.assertEqual(self.why(client.expect_disconnect(NO)), DENIED)

    # ---- what is remembered

    def test_answers_are_remembered(self):
        node = self.asked_node()
        client = self.connected(node)
        for _ in range(5):
            client.publish("yes/x", qos=1)
            client.publish("no/x", qos=1, expect=(NO,))
            client.publish("else", qos=1, expect=(NO,))
            client.subscribe("yes/+")
        self.assertEqual(sorted(self.topics_asked()), ["else", "no/x", "yes/+", "yes/x"])
        self.connected(node).publish("yes/x", qos=1)    # another client
        self.assertEqual(len(self.server.asked), 5)
        node.cli("ctl", "acl", "cache-clean")
        client.publish("yes/x", qos=1)
        self.assertEqual(len(self.server.asked), 6)

    def test_without_the_cache_of_verdicts_answers_are_remembered(self):
        for settings in ({"authorization.cache.enable": False}, {"authorization.cache.max_size": 1}):
            self.server.asked.clear()
            client = self.connected(self.asked_node(settings=settings))
            for _ in range(3):
                for topic in ("yes/1", "yes/2", "yes/" + "l" * 600):
                    client.publish(topic, qos=1)
            self.assertEqual(len(self.server.asked), 3)

    def test_nothing_is_remembered(self):
        client = self.connected(self.asked_node(cache_ttl="0s"))
        for _ in range(3):
            client.publish("yes/x", qos=1)
            client.publish("yes/x", qos=1)
            client.subscribe("yes/x")
            client.subscribe("yes/x")
        self.assertEqual(len(self.server.asked), 12)

    def test_no_more_is_remembered_than_is_allowed(self):
        client = self.connected(self.asked_node(cache_max_size=2))
        for topic in ("yes/1", "yes/2", "yes/3"):
            client.publish(topic, qos=1)
        client.subscribe(["yes/1", "yes/2"])
        client.subscribe("yes/2")
        self.assertEqual(len(self.server.asked), 5)

    # ---- aliases, delayed topics, others' clients

    def test_aliases_and_delayed_topics(self):
        client = self.connected(self.asked_node())
        client.publish("no/x", qos=1, props=[(wire.ALIAS, 1)], expect=(NO,))
        client.publish("", qos=1, props=[(wire.ALIAS, 1)], expect=(NO,))
        client.publish("yes/x", qos=1, props=[(wire.ALIAS, 1)])
        client.publish("", qos=1, props=[(wire.ALIAS, 1)])
        client.publish("$delayed/1/no/y", qos=1, expect=(NO,))
        client.publish("$delayed/0/yes/y", qos=1)
        self.assertEqual(self.topics_asked(), ["no/x", "yes/x", "no/y", "yes/y"])

    def test_mosquitto_clients(self):
        node = self.asked_node(settings={"auto_subscribe.topics": ""})

        def run(name, *words):
            return subprocess.run([name, "-p", str(node.port), *words], capture_output=True, text=True, timeout=30, check=False,
                                  env=environment())
        told = run("mosquitto_pub", "-V", "5", "-q", "1", "-t", "no/x", "-m", "x")
        self.assertIn("Not authorized", told.stdout + told.stderr)
        self.assertEqual(run("mosquitto_pub", "-q", "1", "-t", "yes/x", "-m", "kept", "-r").returncode, 0)
        self.assertEqual(run("mosquitto_sub", "-t", "yes/#", "-C", "1", "-W", "10").stdout, "kept\n")
        told = run("mosquitto_sub", "-V", "5", "-t", "no/x", "-C", "1", "-W", "10")
        self.assertIn("denied", (told.stdout + told.stderr).lower())

    def test_wrong_configuration_stops_the_start(self):
        for keys, said in (({"url": "ftp://x/"}, "http://"), ({"url": "http://x/?${password}"}, "placeholder"),
                           ({"url": "http://x/${topic}"}, "behind the ?"), ({"url": "http://x/", "headers": ["x"]}, "NAME: VALUE")):
            node = self.node({f"authorization.http.{k}": v for k, v in keys.items()}, start=False)
            done = node.cli("start")
            self.addCleanup(node.cli, "stop")
            self.assertEqual(done.returncode, 1, keys)
            self.assertIn(said, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
