# SPDX-License-Identifier: Apache-2.0
"""/metrics for Prometheus, and the Grafana dashboard and alert rules that are made of it."""
import json
import os
import re
import unittest

import yaml

import harness
from api import Api, ApiCase
from cluster import ClusterCase

NAME = r"(?:covey|process)_[a-z0-9_]+"


def parse(text):
    """name{labels} -> value, after checking the text format line by line."""
    kinds, values = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds, f"{name} is told twice"
            assert kind in ("counter", "gauge") and (kind == "counter") == name.endswith("_total"), line
            kinds[name] = kind
            continue
        found = re.fullmatch(rf'({NAME})(\{{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\}})? ([0-9]+)', line)
        assert found, line
        assert found[1] in kinds, f"{found[1]} has no type"
        values[found[1] + (found[2] or "")] = int(found[3])
    return values


class Metrics(ClusterCase, ApiCase):
    def setUp(self):
        self.needs_covey()

    def scrape(self, port):
        answer = Api(port).raw("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
        return parse(answer.bytes.decode())

    def test_one_node(self):
        node = self.api_node(change=False)
        before = self.scrape(node.http_port)
        client = self.connected(node)
        client.subscribe("a")
        for _ in range(10):
            client.publish("a", b"x", 1)
        after = self.scrape(node.http_port)
        self.assertEqual(after["covey_messages_received_total"] - before["covey_messages_received_total"], 10)
        self.assertEqual(after["covey_messages_sent_total"] - before["covey_messages_sent_total"], 10)
        self.assertEqual((before["covey_live_connections_count"], after["covey_live_connections_count"]), (0, 1))
        self.assertEqual(after["covey_workers"], 2)
        self.assertGreater(after["process_resident_memory_bytes"], 1 << 20)
        self.assertEqual([n for n in after if n.startswith("covey_node_info{")],
                         ['covey_node_info{node="covey@127.0.0.1",version="0.1.0"}'])

    def test_what_is_made_of_them_exists(self):
        port = self.http_port()
        nodes = self.cluster(2, each={0: {"dashboard.listeners.http.enable": True,
                                          "dashboard.listeners.http.bind": f"127.0.0.1:{port}"}})
        there = {name.split("{")[0] for name in self.scrape(port)} | {"covey_alarm"}
        self.assertEqual(self.scrape(port)["covey_cluster_nodes_count"], 2)
        with open(os.path.join(harness.ROOT, "deploy", "grafana", "covey.json"), encoding="utf-8") as file:
            dashboard = json.load(file)
        with open(os.path.join(harness.ROOT, "deploy", "prometheus", "alerts.yaml"), encoding="utf-8") as file:
            rules = [r for g in yaml.safe_load(file)["groups"] for r in g["rules"]]
        used = {n for p in dashboard["panels"] for t in p["targets"] for n in re.findall(NAME, t["expr"])}
        used |= {n for r in rules for n in re.findall(NAME, r["expr"])}
        self.assertGreater(len(used), 20)
        self.assertEqual(used - there, set())
        self.assertGreater(len(rules), 5)
        del nodes


if __name__ == "__main__":
    unittest.main()
