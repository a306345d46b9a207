# SPDX-License-Identifier: Apache-2.0
"""Rules that clients bring in their tokens: both shapes, before the file, at connect, subscribe, publish and delivery."""
import time
import unittest

import test_jwt
import wire

NOT_AUTHORIZED = 0x87
SESSION = [(wire.SESSION_EXPIRY, 100)]
LISTS = {"pub": ["up/${clientid}/#", "eq odd/#"], "sub": ["down/${clientid}"], "all": ["chat/${username}"]}
RULES = [{"permission": "deny", "action": "all", "topic": "t/secret"}, {"permission": "allow", "action": "all", "topic": "t/#"}]


class RulesCase(test_jwt.JwtCase):
    def with_rules(self, node, acl, client_id="c", props=(), clean=True, **options):
        client = node.client()
        self.addCleanup(client.close)
        claims = {} if acl is None else {"acl": acl}
        client.connect(client_id, username="anna", password=self.token(claims), props=props, clean=clean, **options)
        return client

    def may_publish(self, client, topic, why=None):
        answer = client.publish(topic, b"x", qos=1, expect=[NOT_AUTHORIZED] if why else [0, 0x10])
        if why:
            self.assertEqual(answer.prop(wire.REASON_STRING), why)

    def file(self, text):
        return self.write("acl.conf", text)


class Shapes(RulesCase):
    def test_lists_are_all_that_a_client_may(self):
        node = self.secret_node()
        client = self.with_rules(node, LISTS)
        self.may_publish(client, "up/c/1")
        self.may_publish(client, "chat/anna")
        for topic in ("up/d/1", "down/c", "odd/x", "else"):
            self.may_publish(client, topic, "Denied: the token does not allow it")
        client.subscribe(["down/c", "chat/anna", "down/d", "#", "up/c/1"], expect=[0, 0, *[NOT_AUTHORIZED] * 3])
        node.client().connect("free", username="anna", password=self.token({}))

    def test_rules_name_themselves(self):
        node = self.secret_node()
        client = self.with_rules(node, RULES)
        self.may_publish(client, "t/a")
        self.may_publish(client, "t/secret", "Denied by rule 1 of the token")
        self.may_publish(client, "u", "Denied: no rule of the ACL allows it")
        self.assertEqual(client.subscribe("t/secret", expect=[NOT_AUTHORIZED]).prop(wire.REASON_STRING), "Denied by rule 1 of the token")
        self.assertIn('why="Denied by rule 1 of the token"', node.log())

    def test_a_client_without_rules_is_not_touched_by_others(self):
        node = self.secret_node()
        free = self.with_rules(node, None, "free")
        free.subscribe("#", qos=1)
        self.with_rules(node, LISTS).publish("up/c/1", b"x", qos=1)
        self.assertEqual(free.recv_publish().payload, b"x")
        self.may_publish(free, "anything")
        free.recv_publish()

    def test_no_match_allow(self):
        node = self.secret_node(settings={"authorization.no_match": "allow"})
        client = self.with_rules(node, RULES)
        self.may_publish(client, "u")
        self.may_publish(client, "t/secret", "Denied by rule 1 of the token")
        self.may_publish(self.with_rules(node, LISTS, "d"), "u", "Denied: the token does not allow it")

    def test_what_is_not_understood_is_not_let_in(self):
        node = self.secret_node()
        for acl, said in (("all", "neither"), ({"pub": ["a/#/b"]}, "no topic filter"), ({"pub": ["$share/g/a"]}, "no topic filter"),
                          ([{**RULES[0], "qos": [1]}], "condition"), ({"pub": ["x\nallow all all"]}, "control character"), ([{}], "without")):
            self.is_refused(node, self.token({"acl": acl}), said=said)

    def test_another_claim_or_none(self):
        node = self.secret_node(acl_claim="rights")
        client = node.client()
        client.connect("c", username="anna", password=self.token({"rights": LISTS, "acl": 7}))
        self.may_publish(client, "else", "Denied: the token does not allow it")
        client.close()
        node = self.secret_node(acl_claim="")
        self.may_publish(self.with_rules(node, LISTS), "else")


class Order(RulesCase):
    def test_before_the_file(self):
        node = self.secret_node(settings={"authorization.file": self.file("allow all all t/secret\ndeny all publish t/a\nallow all all u\n")})
        client = self.with_rules(node, RULES)
        self.may_publish(client, "t/secret", "Denied by rule 1 of the token")
        self.may_publish(client, "t/a")
        self.may_publish(client, "u")
        self.may_publish(client, "v", "Denied: no rule of the ACL allows it")
        other = self.with_rules(node, None, "d")
        self.may_publish(other, "t/secret")
        self.may_publish(other, "t/a", "Denied by line 2 of the ACL")

    def test_a_file_that_comes_and_goes(self):
        path = self.file("deny all all u\n")
        node = self.secret_node()
        client = self.with_rules(node, RULES)
        node.configure({**node.settings, "authorization.file": path, "authorization.no_match": "allow"})
        self.assertEqual(node.cli("ctl", "reload").returncode, 0)
        self.may_publish(client, "u", "Denied by line 1 of the ACL")
        self.may_publish(client, "v")
        node.configure({k: v for k, v in node.settings.items() if not k.startswith("authorization")})
        self.assertEqual(node.cli("ctl", "reload").returncode, 0)
        self.may_publish(client, "t/secret", "Denied by rule 1 of the token")
        self.may_publish(client, "v", "Denied: no rule of the ACL allows it")
        self.may_publish(self.with_rules(node, None, "d"), "u")


class Delivery(RulesCase):
    def test_what_is_denied_is_left_out_of_a_wider_subscription(self):
        node = self.secret_node()
        client, other = self.with_rules(node, RULES), self.with_rules(node, None, "d")
        client.subscribe("t/#", qos=1)
        for topic in ("t/secret", "t/open"):
            other.publish(topic, topic.encode(), qos=1)
        self.assertEqual(client.recv_publish().payload, b"t/open")
        client.expect_nothing()

    def test_what_waits_is_held_against_the_next_token(self):
        node = self.secret_node()
        client = self.with_rules(node, RULES, props=SESSION)
        client.subscribe("t/#", qos=1)
        client.disconnect()
        other = self.with_rules(node, None, "d")
        for topic in ("t/secret", "t/a", "t/b"):
            other.publish(topic, topic.encode(), qos=1)
        client = self.with_rules(node, {"sub": ["t/b"]}, props=SESSION, clean=False)
        self.assertEqual(client.recv_publish().payload, b"t/b")
        client.expect_nothing()

    def test_after_a_restart_what_the_token_allows_is_kept(self):
        node = self.secret_node(settings={"authorization.file": self.file("allow user boss all\n")})
        client = self.with_rules(node, RULES, props=SESSION)
        client.subscribe("t/#", qos=1)
        client.disconnect()
        node.stop()
        node.start()
        boss = node.client()
        self.addCleanup(boss.close)
        boss.connect("boss", username="boss", password=self.token({}))
        for topic in ("t/secret", "t/a"):
            boss.publish(topic, topic.encode(), qos=1)
        client = self.with_rules(node, RULES, props=SESSION, clean=False)
        self.assertEqual(client.recv_publish().payload, b"t/a")
        client.expect_nothing()


class Wills(RulesCase):
    def test_a_will_is_one_of_its_rights(self):
        node = self.secret_node()
        watcher = self.with_rules(node, None, "w")
        watcher.subscribe("up/#", qos=1)
        bad = node.client()
        self.addCleanup(bad.close)
        answer = bad.connect("c", username="anna", password=self.token({"acl": LISTS}), will=wire.Will("up/d", b"x"), expect=NOT_AUTHORIZED)
        self.assertEqual(answer.prop(wire.REASON_STRING), "Denied: the token does not allow it")
        self.with_rules(node, LISTS, will=wire.Will("up/c", b"gone")).reset()
        self.assertEqual(watcher.recv_publish().payload, b"gone")


class Lives(RulesCase):
    def test_rights_are_of_the_connection(self):
        node = self.secret_node()
        first = self.with_rules(node, LISTS, props=SESSION)
        self.may_publish(first, "else", "Denied: the token does not allow it")
        second = self.with_rules(node, None, props=SESSION, clean=False)
        self.may_publish(second, "else")
        third = self.with_rules(node, RULES, props=SESSION, clean=False)
        self.may_publish(third, "else", "Denied: no rule of the ACL allows it")

    def test_with_keys_that_are_checked_off_the_workers(self):
        self.make_key("ES256", "ec")
        node = self.jwt_node(public_key_file=self.path("ec.pub"))
        client = node.client()
        self.addCleanup(client.close)
        claims = {"acl": LISTS, "exp": int(time.time()) + 1000}
        client.connect("c", username="anna", password=self.token(claims, "ES256", "ec"))
        self.may_publish(client, "up/c/1")
        self.may_publish(client, "else", "Denied: the token does not allow it")
        self.is_refused(node, self.token({"acl": 7}, "ES256", "ec"), said="neither")


if __name__ == "__main__":
    unittest.main()
