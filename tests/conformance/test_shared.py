# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 4.8: shared subscriptions."""
from collections import Counter

from mqttlib import *
from suite import Case, statement, versions


class Group(Case):
    """What the tests of groups share."""

    def members(self, count, topic, qos=1, group="g", session=False, version=V5):
        found = []
        for _ in range(count):
            found.append(self.session(version=version) if session else self.client(version=version))
            found[-1].subscribe(f"$share/{group}/{topic}", qos=qos)
        return found

    def got(self, member, pub, qos=1):
        """The payloads that a member has received of what pub published so far."""
        return [p.payload for p in member.drain_from(pub, qos, ack=True) if p.type == PUBLISH]

    def publish_numbers(self, pub, topic, count, qos=1):
        for n in range(count):
            pub.publish(topic, b"%d" % n, qos=qos)


class Names(Group):
    @statement("MQTT-4.8.2-1", "MQTT-4.8.2-2")
    def test_invalid_share_filters(self):
        for bad in ("$share//x", "$share/g", "$share/g/", "$share/", "$share/g+/x", "$share/+/x", "$share/g#/x",
                    "$share/#", "$share/#/x", "$share/g/a#", "$share/g/a/#/b", "$share/g/+a", "$share///x"):
            with self.subTest(filter=bad):
                c = self.client()
                pkt = c.send(subscribe(1, [(bad, 0)])).recv()
                if pkt.type == SUBACK:
                    self.assertEqual(pkt.reasons, [0x8F])
                    check_reason_string(pkt)
                else:
                    self.assertIn((pkt.type, pkt.reason), [(DISCONNECT, r) for r in (0x81, 0x82, 0x8F)])

    @statement("MQTT-4.8.2-1", "MQTT-4.8.2-2")
    def test_names_and_filters_that_are_valid(self):
        """The name is any text without / + #; the filter is any filter, also of an empty level or of $ topics."""
        root, pub = unique(), self.client()
        for group in ("g", "$g", "a b", "caf\u00e9", "\U0001f426", "$share", "x" * 1000, " "):
            topic = f"{root}/a/b"
            for filter_ in (topic, f"{root}/+/b", f"{root}/#", f"+/a/b"):
                c = self.client()
                c.subscribe(f"$share/{group}/{filter_}")
                pub.publish(topic, b"x", qos=1)
                self.assertEqual(c.recv_publish(topic).payload, b"x")
                c.expect_no_more(pub)
                self.assertEqual(c.unsubscribe(f"$share/{group}/{filter_}").reasons, [0])
                c.disconnect()

    @statement("MQTT-4.8.2-1", "MQTT-4.7.2-1")
    def test_leading_slash_behind_the_name(self):
        c, name = self.client(), unique()
        c.subscribe(f"$share/g//{name}")
        c.publish(name, b"no")
        c.publish("/" + name, b"yes")
        self.assertEqual([p.payload for p in c.barrier()], [b"yes"])

    @statement("MQTT-4.8.2-1")
    def test_almost_share(self):
        """Another case or a longer word is a plain filter, which matches only its own topic."""
        c, topic = self.client(), unique()
        for plain in ("$SHARE/g/" + topic, "$shared/g/" + topic, "x$share/g/" + topic, "share/g/" + topic):
            c.subscribe(plain)
        c.publish(topic, b"x")
        c.expect_nothing()


class Delivery(Group):
    @statement("MQTT-4.8.2-1", "MQTT-4.5.0-1")
    def test_one_member_of_each_group(self):
        """30 messages, QoS 0, 1, 2: each group gets each once, each plain subscriber gets all."""
        for qos in (0, 1, 2):
            topic, pub, plain = unique(), self.client(), self.client()
            groups = {g: self.members(3, topic, qos, g) for g in ("g", "h", "solo")}
            plain.subscribe(topic, qos=qos)
            self.publish_numbers(pub, topic, 30, qos)
            for members in groups.values():
                got = [p for m in members for p in self.got(m, pub, qos)]
                self.assertEqual(Counter(got), Counter(b"%d" % n for n in range(30)))
            self.assertEqual(self.got(plain, pub, qos), [b"%d" % n for n in range(30)])

    @statement("MQTT-4.8.2-1")
    def test_group_is_name_and_filter(self):
        """The same name with another filter is another group, also when both match."""
        topic, pub = unique() + "/a", self.client()
        (one,), (two,) = self.members(1, topic), self.members(1, topic[:-1] + "+")
        self.publish_numbers(pub, topic, 6)
        for member in (one, two):
            self.assertEqual(self.got(member, pub), [b"%d" % n for n in range(6)])

    @statement("MQTT-4.8.2-1")
    def test_members_come_and_go(self):
        """With every change of the membership each message still goes to exactly one member that is in the group."""
        topic, pub = unique(), self.client()
        members = self.members(2, topic)
        sent, received = 0, []

        def burst(members):
            nonlocal sent
            for _ in range(6):
                pub.publish(topic, b"%d" % sent, qos=1)
                sent += 1
            return [p for m in members for p in self.got(m, pub)]
        received += burst(members)
        members += self.members(1, topic)
        received += burst(members)
        members[0].unsubscribe(f"$share/g/{topic}")
        received += burst(members[1:])
        self.assertEqual(self.got(members[0], pub), [])
        members[1].disconnect()
        received += burst(members[2:])
        self.assertEqual(sorted(map(int, received)), list(range(sent)))

    @statement("MQTT-4.8.2-3", "MQTT-3.8.4-8")
    def test_each_at_its_own_qos(self):
        """Members with QoS 0, 1 and 2 in one group, messages with QoS 2: each arrives at the member's QoS."""
        topic, pub = unique(), self.client()
        members = {qos: self.members(1, topic, qos)[0] for qos in (0, 1, 2)}
        self.publish_numbers(pub, topic, 60, 2)
        total = 0
        for qos, member in members.items():
            found = [p for p in member.drain_from(pub, qos, ack=True) if p.type == PUBLISH]
            self.assertEqual({p.qos for p in found} - {qos}, set())
            total += len(found)
        self.assertEqual(total, 60)

    @statement("MQTT-4.8.2-1", "MQTT-3.3.1-9")
    def test_no_retained_messages(self):
        """A shared subscription starts without them (MQTT 5.0, 4.8.2), new ones arrive."""
        topic, pub = unique(), self.client()
        pub.publish(topic, b"kept", qos=1, retain=True)
        (c,) = self.members(1, topic)
        c.expect_nothing()
        pub.publish(topic, b"new", qos=1, retain=True)
        self.assertEqual(c.recv_publish(topic).payload, b"new")
        pub.publish(topic, b"", retain=True)

    @statement("MQTT-3.3.4-3", "MQTT-4.8.2-1")
    def test_subscription_identifier_of_the_member(self):
        topic, pub = unique(), self.client()
        members = []
        for ident in (11, 12):
            c = self.client()
            c.subscribe(f"$share/g/{topic}", qos=1, props=[(SUBSCRIPTION_ID, ident)])
            members.append((c, ident))
        self.publish_numbers(pub, topic, 10)
        total = 0
        for c, ident in members:
            found = [c.accept(p) for p in c.drain_from(pub, 1)]
            self.assertEqual({tuple(p.prop_all(SUBSCRIPTION_ID)) for p in found} - {(ident,)}, set())
            total += len(found)
        self.assertEqual(total, 10)

    @statement("MQTT-4.8.2-1", "MQTT-4.5.0-1")
    def test_nothing_is_lost_to_a_member_that_is_away(self):
        """A member with a session that is offline: what is not handed to others waits for it."""
        topic, pub = unique(), self.client()
        a, b = self.members(2, topic, session=True)
        a.disconnect()
        self.publish_numbers(pub, topic, 10)
        got = self.got(b, pub)
        a = self.session(a.id)
        got += [a.accept(p).payload for p in a.barrier() if p.type == PUBLISH]
        self.assertEqual(sorted(got), sorted(b"%d" % n for n in range(10)))
        a.disconnect(), b.disconnect()
        self.publish_numbers(pub, topic, 10)
        got = []
        for ident in (a.id, b.id):
            member = self.session(ident)
            got += [member.accept(p).payload for p in member.barrier() if p.type == PUBLISH]
        self.assertEqual(sorted(got), sorted(b"%d" % n for n in range(10)))

    @statement("MQTT-4.8.2-1")
    def test_versions_share_a_group(self):
        """Members of MQTT 3.1, 3.1.1 and 5.0 in one group."""
        topic, pub = unique(), self.client()
        members = [self.members(1, topic, version=v)[0] for v in VERSIONS]
        self.publish_numbers(pub, topic, 30)
        got = [p for m in members for p in self.got(m, pub)]
        self.assertEqual(sorted(map(int, got)), list(range(30)))


class InFlight(Group):
    """A member drops out in the middle of a delivery."""

    def held(self, qos, count=6):
        """Two members with sessions and messages for both: (pub, topic, [(member, PUBLISH packets), ...])."""
        topic, pub = unique(), self.client()
        members = self.members(2, topic, qos, session=True)
        for n in range(count):
            pub.publish(topic, b"%d" % n, qos=qos)
        found = [(m, [p for p in m.drain_from(pub, qos) if p.type == PUBLISH]) for m in members]
        self.assertEqual(sum(len(p) for _, p in found), count)
        found.sort(key=lambda pair: -len(pair[1]))
        return pub, topic, found

    def assert_other_gets_only_new(self, other, pub, topic, kept):
        """Nothing of what the first member had comes to the other one."""
        for pkt in kept:
            other.accept(pkt)
        self.assertFalse([p for p in other.drain_from(pub, 2) if p.type == PUBLISH and p.topic == topic])

    @statement("MQTT-4.8.2-4", "MQTT-4.3.3-5", "MQTT-4.4.0-1")
    def test_qos_2_waits_for_the_member(self):
        """Before and after PUBREC: the message stays with that member and is completed when it is back."""
        pub, topic, ((a, mine), (b, others)) = self.held(2)
        a.send(ack(PUBREC, mine[0].pid)).expect_ack(PUBREL, mine[0].pid)
        a.close()
        self.assert_other_gets_only_new(b, pub, topic, others)
        a = self.session(a.id)
        found = a.barrier()
        self.assertEqual([(p.pid, p.payload, p.dup) for p in found if p.type == PUBLISH],
                         [(p.pid, p.payload, True) for p in mine[1:]])
        self.assertEqual([p.pid for p in found if p.type == PUBREL], [mine[0].pid])
        a.send(ack(PUBCOMP, mine[0].pid))
        for pkt in mine[1:]:
            a.accept(pkt)
        a.expect_nothing()

    @statement("MQTT-4.8.2-5")
    def test_qos_2_ends_with_the_session(self):
        """The member's session is replaced by a new one: nobody else gets what it had."""
        pub, topic, ((a, mine), (b, others)) = self.held(2)
        a.send(ack(PUBREC, mine[0].pid)).expect_ack(PUBREL, mine[0].pid)
        a.close()
        again = self.client(a.id, clean=True)
        self.assertFalse(again.connack.session_present)
        again.expect_nothing()
        self.assert_other_gets_only_new(b, pub, topic, others)

    @statement("MQTT-4.8.2-6", "MQTT-4.4.0-2")
    def test_refused_messages_go_nowhere_else(self):
        """PUBACK or PUBREC with an error: the message is gone, no other member gets it, nor this one again."""
        for qos, kind in ((1, PUBACK), (2, PUBREC)):
            pub, topic, ((a, mine), (b, others)) = self.held(qos)
            a.send(*(ack(kind, p.pid, 0x80) for p in mine)).expect_nothing()
            self.assert_other_gets_only_new(b, pub, topic, others)
            a.close()
            self.session(a.id).expect_nothing()

    @statement("MQTT-4.8.2-3", "MQTT-4.3.2-3")
    def test_qos_1_is_not_lost(self):
        """A server may hand an unacknowledged QoS 1 message to another member or keep it; it must not lose it."""
        pub, topic, ((a, mine), (b, others)) = self.held(1)
        a.close()
        for pkt in others:
            b.accept(pkt)
        got = [b.accept(p).payload for p in b.drain_from(pub, 1) if p.type == PUBLISH]
        a = self.session(a.id)
        got += [a.accept(p).payload for p in a.barrier() if p.type == PUBLISH]
        self.assertEqual(set(got), {p.payload for p in mine})


class Strategy(Group):
    """The strategies that can be configured. Which member gets a message is the server's choice in the standard;
    these show that the server keeps its own word, and the standard's rules with each of them."""
    settings = {"share_strategy": "round_robin"}

    def shares(self, count, members=3, topics=None, publishers=1):
        """How many messages each of the members got; every message must arrive once."""
        root = unique()
        topics = [f"{root}/{t}" for t in topics or ("x",)]
        group = self.members(members, root + "/#")
        pubs = [self.client() for _ in range(publishers)]
        for n in range(count):
            pubs[n % publishers].publish(topics[n % len(topics)], b"%d" % n, qos=1)
        self.found = [[p for pub in pubs for p in m.drain_from(pub, 1, ack=True) if p.type == PUBLISH] for m in group]
        self.assertEqual(sorted(int(p.payload) for part in self.found for p in part), list(range(count)))
        return [len(part) for part in self.found]

    @statement("MQTT-4.8.2-1")
    def test_round_robin(self):
        """In turn: the shares differ by no more than one."""
        shares = self.shares(30)
        self.assertLessEqual(max(shares) - min(shares), 1, shares)


class Random(Strategy):
    settings = {"share_strategy": "random"}

    @statement("MQTT-4.8.2-1")
    def test_round_robin(self):
        """Everyone gets some, but not in turn. (The odds of a false alarm are below 1e-9.)"""
        shares = self.shares(120)
        self.assertGreater(min(shares), 10)
        turns = {tuple(sorted(int(p.payload) % 3 for p in part)) for part in self.found}
        self.assertNotEqual(turns, {(i,) * 40 for i in range(3)})

    test_random, test_round_robin = test_round_robin, None


class Sticky(Strategy):
    settings = {"share_strategy": "sticky"}
    test_round_robin = None

    @statement("MQTT-4.8.2-1")
    def test_sticky(self):
        """A publisher's messages stay with one member."""
        self.assertEqual(sorted(self.shares(20)), [0, 0, 20])


class HashClientId(Strategy):
    settings = {"share_strategy": "hash_clientid"}
    test_round_robin = None

    @statement("MQTT-4.8.2-1")
    def test_hash_clientid(self):
        """Each publisher has its member; twenty publishers do not all have the same one."""
        shares = self.shares(100, publishers=20)
        member_of = {int(p.payload) % 20: i for i, part in enumerate(self.found) for p in part}
        self.assertEqual(shares, [5 * list(member_of.values()).count(i) for i in range(3)])
        self.assertLess(max(shares), 100)


class HashTopic(Strategy):
    settings = {"share_strategy": "hash_topic"}
    test_round_robin = None

    @statement("MQTT-4.8.2-1")
    def test_hash_topic(self):
        """Each topic has its member, whoever publishes; twenty topics do not all have the same one."""
        shares = self.shares(100, topics=range(20), publishers=3)
        self.assertEqual(sorted(len({p.topic for p in part}) * 5 for part in self.found), sorted(shares))
        self.assertLess(max(shares), 100)


class Local(Strategy):
    settings = {"share_strategy": "local"}
    test_round_robin = None

    @statement("MQTT-4.8.2-1")
    def test_local(self):
        """On one node every member is local: each message arrives once."""
        self.shares(30)
