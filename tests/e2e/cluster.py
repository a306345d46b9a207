# SPDX-License-Identifier: Apache-2.0
"""Several nodes of one cluster on this machine, and what the tests do with them.

    nodes = Cluster(3)                      # started together, each with the others as seeds, and ready
    nodes[0].client(); nodes[2].kill()      # harness.Node
    nodes.status(1)                         # `covey ctl cluster status --json` of the second one
"""
import functools
import json
import os

from harness import START_SECONDS_MAX, Case, Node, Port, scratch, until


@functools.lru_cache(None)
def secret():
    """A file with a cluster's secret, for this process."""
    path = os.path.join(scratch(), "secret")
    with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write("a secret for the tests, not for use\n")
    return path


class Cluster:
    """settings: for all nodes; each: for each by index. With a bridge (netns.py) every node has a network namespace."""

    def __init__(self, count=3, settings=None, each=None, start=True, bridge=None):
        self.locks = [Port() for _ in range(count)]
        self.bridge = bridge
        self.addresses = [f"{bridge.subnet}.{10 + i}:7946" if bridge else f"127.0.0.1:{lock.number}"
                          for i, lock in enumerate(self.locks)]
        self.nodes = []
        try:
            for i in range(count):
                own = {"node.name": f"covey@n{i + 1}", "cluster.bind": self.addresses[i],
                       "cluster.static.seeds": ",".join(self.addresses)}
                if bridge:
                    own["cluster.secret_file"] = secret()
                space = bridge.space(self.addresses[i].rpartition(":")[0]) if bridge else None
                self.nodes.append(Node({**own, **(settings or {}), **((each or {}).get(i, {}))}, start=False,
                                       space=space))
            if start:
                self.start()
        except BaseException:
            self.remove()
            raise

    def __getitem__(self, i):
        return self.nodes[i]

    def __len__(self):
        return len(self.nodes)

    def __iter__(self):
        return iter(self.nodes)

    def start(self, some=None):
        """All of them, or those with the indices, at once; then all that run know each other."""
        some = [self.nodes[i] for i in (range(len(self)) if some is None else some)]
        for node in some:
            node.spawn()
        for node in some:
            node.wait_ready()
        self.await_linked([i for i in range(len(self)) if self.nodes[i].is_alive()])
        return self

    def metric(self, i, name):
        """A number of `covey ctl cluster metrics`."""
        lines = self.nodes[i].cli("ctl", "cluster", "metrics").stdout.splitlines()
        return next(int(line.split(":")[1]) for line in lines if line.split(":")[0].strip() == name)

    def status(self, i):
        done = self.nodes[i].cli("ctl", "cluster", "status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def links(self, i):
        """name -> what node i believes of the others; of two with one name, the one that has not gone."""
        status = self.status(i)
        members = sorted(status["members"], key=lambda m: m["state"] == "alive") if status else []
        return {m["name"]: m for m in members}

    def is_linked(self, i, among=None):
        links = self.links(i)
        others = [k for k in (among or range(len(self))) if k != i]
        return all(is_up(links.get(self.name(k))) for k in others)

    def await_linked(self, among=None, seconds=START_SECONDS_MAX):
        """Each of them has a link to each of the others and all of its routes."""
        among = list(among or range(len(self)))
        until(lambda: all(self.is_linked(i, among) for i in among), seconds, lambda: self.told(among))

    def sessions(self, i, client_id):
        """How many sessions of the client node i has: 0 or 1."""
        return self.nodes[i].cli("ctl", "clients", "show", client_id).stdout.count(f"Client({client_id},")

    def told(self, among=None):
        return "\n".join(self.nodes[i].cli("ctl", "cluster", "status").stdout for i in among or range(len(self)))

    def name(self, i):
        return self.nodes[i].settings["node.name"]

    def log(self):
        return "".join(f"--- {self.name(i)}\n{node.log()[-3000:]}" for i, node in enumerate(self.nodes))

    def cut(self, i):
        """Node i reaches nobody, and nobody it."""
        self.bridge.cut(self.nodes[i].space)

    def mend(self, i):
        self.bridge.mend(self.nodes[i].space)

    def remove(self):
        for node in self.nodes:
            node.remove()
            if node.space:
                self.bridge.drop(node.space)
        for lock in self.locks:
            lock.free()


def is_up(link):
    return bool(link) and link["state"] == "alive" and link["link"] == "up" and link["routes_complete"]


class ClusterCase(Case):
    def cluster(self, count=3, settings=None, **options):
        nodes = Cluster(count, settings, **options)
        self.addCleanup(nodes.remove)
        self.addCleanup(self._show_logs, nodes)
        return nodes

    def _show_logs(self, nodes):
        outcome = self._outcome.result
        if any(test is self for test, _ in outcome.failures + outcome.errors):
            print(f"{nodes.log()}\n{os.linesep}", flush=True)
