# SPDX-License-Identifier: Apache-2.0
"""/metrics for Prometheus, and the Grafana dashboard and alert rules that are made of it."""
import json
import os
import re
import unittest

import yaml

import harness
import wire
from api import Api, ApiCase
from cluster import ClusterCase

NAME = r"(?:covey|process)_[a-z0-9_]+"


def parse(text):
    """name{labels} -> value, after checking the text format line by line."""
    kinds, values, helped = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = re.fullmatch(rf"# HELP ({NAME}) [A-Z0-9].*[^ ]", line)[1]
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds, f"{name} is told twice"
            assert name == helped and not re.search(r"_(ms|us|count)(_|$)", name), line
            assert kind in ("counter", "gauge", "histogram") and (kind == "counter") == name.endswith("_total"), line
            kinds[name] = kind
            continue
        found = re.fullmatch(rf'({NAME})(\{{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\}})? ([0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)', line)
        assert found, line
        base = re.sub(r"_(bucket|sum|count)$", "", found[1])
        assert list(kinds)[-1] in (found[1], base), f"{line} is not with its own"
        assert kinds.get(found[1]) or kinds.get(base) == "histogram", f"{found[1]} has no type"
        values[found[1] + (found[2] or "")] = float(found[3]) if "." in found[3] else int(float(found[3]))
    for name in (n for n, kind in kinds.items() if kind == "histogram"):
        check_histogram(name, values)
    return values


def check_histogram(name, values):
    """Buckets grow, and the last of them is the count."""
    rows = {}
    for key, value in values.items():
        found = re.fullmatch(rf'{name}_bucket\{{(.*)le="([^"]+)"\}}', key)
        if found:
            rows.setdefault(found[1].rstrip(","), []).append((float(found[2]), value))
    assert rows, name
    for labels, row in rows.items():
        assert row == sorted(row) and [n for _, n in row] == sorted(n for _, n in row), row
        assert row[-1] == (float("inf"), values[f"{name}_count" + (f"{{{labels}}}" if labels else "")]), (name, labels)


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
        for name, count in (('covey_messages_received_total{qos="1"}', 10), ('covey_messages_received_total{qos="0"}', 0),
                            ('covey_messages_sent_total{qos="0"}', 10), ('covey_packets_of_type_received_total{type="subscribe"}', 1),
                            ('covey_messages_dropped_total{reason="no_subscribers"}', 0), ("covey_live_connections", 1)):
            self.assertEqual(after[name] - before[name], count, name)
        self.assertEqual(after["covey_workers"], 2)
        self.assertGreater(after["process_resident_memory_bytes"], 1 << 20)
        self.assertEqual([n for n in after if n.startswith("covey_node_info{")],
                         ['covey_node_info{node="covey@127.0.0.1",version="0.1.0"}'])

    def test_how_long_things_take(self):
        node = self.api_node({"node.workers": 1}, change=False)
        client = self.connected(node, props=[(wire.SESSION_EXPIRY, 100)])
        client.subscribe("a", qos=1)
        for n in range(64):
            client.publish("a", b"x", 1)
            client.recv_publish()
        after = self.scrape(node.http_port)
        for name in ("covey_turn_seconds", "covey_ack_wait_seconds"):
            self.assertGreater(after[name + '_count{worker="0"}'], 0, name)
            self.assertGreater(after[name + '_sum{worker="0"}'], 0, name)
        self.assertGreater(after["covey_store_commit_seconds_count"], 10)
        self.assertLess(after['covey_loop_lag_seconds{worker="0"}'], 60)

    def test_it_has_what_ctl_has(self):
        """Each figure of `covey ctl` is one line of /metrics, but for six that others there are the parts of."""
        node = self.api_node(change=False)
        figures = [line.split(":")[0].strip() for command in ("stats", "metrics")
                   for line in node.cli("ctl", "broker", command).stdout.splitlines()]
        self.assertEqual(len(set(figures)), len(figures))
        parts = {"messages.received", "messages.sent", "messages.dropped", "client.refused", "client.faults", "io.lag_ms.max"}
        self.assertLessEqual(parts, set(figures))
        own = ("covey_node_info", "covey_workers", "covey_alarm", "process_", "covey_loop_lag_seconds", "covey_turn_seconds",
               "covey_ack_wait_seconds", "covey_store_commit_seconds")
        shown = [name for name in self.scrape(node.http_port) if not name.startswith(own)]
        self.assertEqual(len(shown), len(figures) - len(parts), "a figure has no family in families.c, or two share a line")

    def test_each_is_documented(self):
        """docs/METRICS.md names every metric, and none that there is not."""
        port = self.http_port()
        nodes = self.cluster(2, each={0: {"dashboard.listeners.http.enable": True,
                                          "dashboard.listeners.http.bind": f"127.0.0.1:{port}"}})
        there = {re.sub(r"_(bucket|sum|count)(?=\{|$)", r"", n).split("{")[0] if "_seconds" in n else n.split("{")[0]
                 for n in self.scrape(port)} | {"covey_alarm"}
        with open(os.path.join(harness.ROOT, "docs", "METRICS.md"), encoding="utf-8") as file:
            told = set(re.findall(r"`((?:covey|process)_[a-z0-9_*]+)`", file.read()))
        def fits(name, pattern):
            return re.fullmatch(pattern.replace("*", "[a-z0-9_]*"), name)
        self.assertEqual([n for n in sorted(there) if not any(fits(n, p) for p in told)], [])
        self.assertEqual([p for p in sorted(told) if not any(fits(n, p) for n in there)], [])
        del nodes

    def test_what_is_made_of_them_exists(self):
        port = self.http_port()
        nodes = self.cluster(2, each={0: {"dashboard.listeners.http.enable": True,
                                          "dashboard.listeners.http.bind": f"127.0.0.1:{port}"}})
        there = {name.split("{")[0] for name in self.scrape(port)} | {"covey_alarm"}
        self.assertEqual(self.scrape(port)["covey_cluster_nodes"], 2)
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
