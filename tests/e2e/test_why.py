# SPDX-License-Identifier: Apache-2.0
"""`covey ctl why`: the sentence, what stands behind it, and what the journal remembers of real clients."""
import os
import unittest

import wire
from cluster import ClusterCase
from harness import Case, until

WAIT = 20


class WhyCase(Case):
    def setUp(self):
        self.needs_covey()

    def why(self, node, *words, status=0):
        done = node.cli("ctl", "why", *words)
        self.assertEqual(done.returncode, status, done)
        return done.stdout

    def says(self, node, words, start, *parts):
        """Awaits an answer that begins so and has a line with these words for each of the parts."""
        text = ""

        def fits():
            nonlocal text
            text = self.why(node, *words.split())
            return text.startswith(start) and all(any(all(w in line for w in part.split()) for line in text.splitlines()) for part in parts)

        try:
            until(fits, WAIT, f"{start!r} {parts}")
        except AssertionError as e:
            raise AssertionError(f"{e}; the last answer:\n{text}") from None
        return text

    def rules(self, text):
        path = os.path.join(self.node(start=False).dir, "acl")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class Why(WhyCase):
    def test_a_client_that_is_not_there(self):
        node = self.node({"listeners.tcp.default.allow_anonymous": False})
        self.says(node, "client c1", "No: there is neither a connection nor a session of c1")
        client = node.client()
        self.addCleanup(client.close)
        client.connect("c1", expect=0x87)
        self.says(node, "client c1", "No: c1 is not connected; its last attempt to connect was refused", "connect_refused without authentication")

    def test_the_life_of_a_client(self):
        node = self.node()
        client = self.connected(node, client_id="c1", props=[(wire.SESSION_EXPIRY, 100)])
        client.subscribe("a/+", 1)
        self.says(node, "client c1", "c1 is connected to", 'connected clientid="c1"', 'subscribed topic="a/+" Granted QoS 1')
        other = self.connected(node, client_id="c1", props=[(wire.SESSION_EXPIRY, 100)], clean=False)
        self.says(node, "client c1", "c1 is connected", "disconnected Another connection took over", "connected It has its session again")
        other.unsubscribe("a/+")
        self.says(node, "client c1 topic a/x", "No: c1 is not subscribed to a/x any more", "unsubscribed a/+")
        other.disconnect()
        self.says(node, "client c1", "c1 is offline since", "disconnected It said goodbye")
        node.cli("ctl", "sessions", "discard", "c1")
        self.says(node, "client c1", "No: c1 is not connected and no session of it is kept", "session_ended discarded")

    def test_not_subscribed_or_nearly(self):
        node = self.node()
        client = self.connected(node, client_id="c1")
        self.says(node, "client c1 topic room/1", "No: c1 has no subscription that matches room/1.")
        client.subscribe("Room/+", 1)
        self.says(node, "client c1 topic room/1", "No: c1 has no subscription", "! Room/+ upper and lower case count")
        self.says(node, "client c1 topic Room/1", "Yes: a message to Room/1 would be sent to c1 now, with QoS 1")
        client.subscribe("+/up", 0)
        self.says(node, "client c1 topic $SYS/up", "No: c1 has no subscription", "! +/up do not match topics with $")

    def test_denied(self):
        node = self.node({"authorization.file": self.rules("deny client p publish secret\ndeny client c1 subscribe hidden/1\nallow all all\n")})
        sub, pub = self.connected(node, client_id="c1"), self.connected(node, client_id="p")
        sub.subscribe("hidden/1", expect=[0x87])
        self.says(node, "client c1 topic hidden/1", "No: c1 has no subscription that matches hidden/1; its SUBSCRIBE", "subscribe_denied line 2")
        sub.subscribe("hidden/#", 1)
        self.says(node, "client c1 topic hidden/1", "No: c1 has subscribed, but the rules do not let hidden/1 reach it: Denied by line 2")
        sub.subscribe("secret", 1)
        pub.publish("secret", b"payload-of-the-message", qos=1, expect=(0x87,))
        text = self.says(node, "client c1 topic secret", "No: at", 'publish_denied clientid="p" line 1')
        self.assertIn("from p did not get through: Denied by line 1", text)
        self.assertNotIn("payload-of", text)
        self.says(node, "topic secret", "No: the last message to secret that is known was refused")
        self.says(node, "client p topic secret", "No: p has no subscription", "- may not itself publish line 1")

    def test_drops(self):
        node = self.node({"mqtt.max_mqueue_len": 1})
        props = [(wire.SESSION_EXPIRY, 100)]
        away, pub = self.connected(node, client_id="away", props=props), self.connected(node, client_id="p")
        away.subscribe("q/#", 1)
        self.connected(node, client_id="zero", props=props).subscribe("z", 0)
        away.disconnect()
        pub.publish("nobody", b"", qos=1, expect=(0x10,))
        self.says(node, "topic nobody", "No: nobody has a subscription that matches nobody.", 'no_subscribers clientid="p"')
        self.says(node, "client away topic q/1", "Not yet: away has been offline since")
        for _ in range(3):
            pub.publish("q/1", b"", qos=1, expect=(0, 0x97))
        self.says(node, "client away topic q/1", "No: the queue of away is full, with 1 messages of at most 1", "queue_full count=2", "! 2 messages dropped")
        pub.publish("q/1", b"", qos=0)
        self.says(node, "client away topic q/1", "No: the queue", "offline_qos0")
        self.says(node, "topic q/1", "Not yet: 1 subscription matches q/1")

    def test_more_that_gets_lost(self):
        node = self.node({"retainer.max_payload_size": 10})
        small, pub = self.connected(node, client_id="small", props=[(wire.MAX_PACKET, 60)]), self.connected(node, client_id="p")
        small.subscribe("big", 1)
        pub.publish("big", b"x" * 100, qos=1)
        self.says(node, "client small topic big", "No: at", "too_large Maximum Packet Size", "- no packets of more than 60 bytes")
        pub.publish("big", b"x" * 100, qos=1, retain=True, expect=(0x97,))
        self.says(node, "topic big", "Yes: 1 connected subscription matches big", 'retained_refused clientid="p"')
        away = self.connected(node, client_id="away", props=[(wire.SESSION_EXPIRY, 100)])
        away.subscribe("kept", 1)
        away.disconnect()
        away.expect_closed()
        pub.publish("kept", b"x", qos=1)
        self.connected(node, client_id="away")
        self.says(node, "client away", "away is connected", "session_ended clean start", "queue_lost messages=1")
        pub.send(wire.publish("a/#", b"", 0, None, False, False, (), wire.V5))
        pub.expect_disconnect(0x90)
        self.says(node, "client p", "No: p is not connected", 'fault clientid="p"', "disconnected It broke the protocol")

    def test_who_reads_too_slowly(self):
        """QoS 0 to a connection that takes no more; QoS 1 to a client that acknowledges nothing."""
        node = self.node({"mqtt.max_mqueue_len": 1})
        slow, pub = self.connected(node, client_id="slow"), self.connected(node, client_id="p")
        slow.subscribe("fast", 0)
        flood = b"".join(wire.publish("fast", bytes(60000), 0, None, False, False, (), wire.V5) for _ in range(20))

        def fits():
            pub.send(flood)
            pub.barrier()
            return 'slow_reader clientid="slow" topic="fast"' in self.why(node, "client", "slow", "topic", "fast")
        until(fits, WAIT, lambda: self.why(node, "client", "slow", "topic", "fast"))
        self.says(node, "client slow topic fast", "No: slow reads more slowly than it is sent to", "slow_reader It reads too slowly",
                  "! messages dropped in this session")
        idle = self.connected(node, client_id="idle", props=[(wire.RECEIVE_MAX, 1)])
        idle.subscribe("q", 1)
        for _ in range(3):
            pub.publish("q", b"", qos=1, expect=(0, 0x97))
        idle.recv_publish("q", ack=False)
        self.says(node, "client idle topic q", "No: the queue of idle is full", 'queue_full clientid="idle" topic="q"')

    def test_what_an_overload_sheds(self):
        node = self.node()
        sub, pub = self.connected(node, client_id="c1"), self.connected(node, client_id="p")
        sub.subscribe("t", 1)
        memory = {"overload_protection.enable": True, "overload_protection.max_memory": "1MB", "overload_protection.critical_memory": "2MB"}
        node.configure({**node.settings, **memory})
        self.assertEqual(node.cli("ctl", "reload").returncode, 0)
        until(lambda: node.cli("ctl", "olp").stdout.count("level=critical") == 2, WAIT, lambda: node.cli("ctl", "olp").stdout)
        pub.publish("t", b"shed")
        pub.barrier()
        self.says(node, "client c1 topic t", "No: at", 'overload clientid="p" topic="t" The node has more to do than it can')
        self.says(node, "topic t", "Yes: 1 connected subscription matches t", 'overload clientid="p"')

    def test_what_is_watched(self):
        node = self.node()
        sub, pub = self.connected(node, client_id="c1"), self.connected(node, client_id="p")
        sub.subscribe("w/#", 1, no_local=True)
        pub.publish("w/1", b"", qos=1)
        sub.accept(sub.recv_publish("w/1", ack=False))
        self.assertNotIn("sent clientid", self.says(node, "client c1 topic w/1", "Yes: a message to w/1 would be sent", "- No Local"))
        pub.publish("w/1", b"x", qos=1, retain=True)
        sub.recv_publish("w/1")
        self.says(node, "client c1 topic w/1", "Yes: messages to w/1 are sent to c1, the last one at", 'published clientid="p" qos=1', "sent c1 qos=1",
                  "retained It is the topic's retained message now", "- The topic has a retained message")
        sub.publish("w/1", b"", qos=1)
        self.says(node, "client c1 topic w/1", "No: at", "no_local No Local")

    def test_off(self):
        node = self.node({"journal.enable": False})
        self.connected(node, client_id="c1")
        text = self.says(node, "client c1", "c1 is connected", "! The journal of is off")
        self.assertIn("The journal has nothing about it.", text)
        self.assertIn("Watched since never", text)

    def test_what_cannot_be_asked(self):
        node = self.node()
        for words in (("topic", "a/#"), ("client", "c1", "topic"), ("client", "c1", "topic", "a/+"), ("client", "c1", "about", "x"), ("nobody",), ()):
            with self.subTest(words=words):
                self.why(node, *words, status=1)


if __name__ == "__main__":
    unittest.main()
