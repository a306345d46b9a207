# SPDX-License-Identifier: Apache-2.0
"""Which test proves which statement: read from the test files, written as docs/CONFORMANCE.md."""
import collections
import glob
import importlib
import os

import suite

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "CONFORMANCE.md")
Test = collections.namedtuple("Test", "id file name statements")
PARTS = [("MQTT-", "MQTT 5.0"), ("MQTT3-", "MQTT 3.1 and 3.1.1"), ("DIFF-", "Where the versions differ")]


def modules():
    return sorted(os.path.basename(p)[:-3] for p in glob.glob(os.path.join(HERE, "test_*.py")))


def tests(module):
    """The tests of one module."""
    importlib.import_module(module)
    found = []
    for case in suite.load(module):
        name = case.id().rsplit(".", 1)[1]
        found.append(Test(case.id(), module + ".py", name, getattr(getattr(case, name), "statements", ())))
    return found


def by_statement():
    """{id: [tests]} of all modules."""
    found = collections.defaultdict(list)
    for module in modules():
        for test in tests(module):
            for ident in test.statements:
                found[ident].append(test)
    return found


def page():
    """The text of docs/CONFORMANCE.md."""
    found = by_statement()
    lines = [
        "# Conformance", "",
        "Every normative statement of the MQTT standards that binds a server, and the test that proves it. The",
        "tests are black-box tests: they speak MQTT to a running broker (`tests/conformance/run`).",
        "This page is written by `tests/conformance/list`; `run` fails when it is out of date or a statement has no test.",
        "",
        "Ids are those of OASIS MQTT 5.0, appendix B. `MQTT3-` marks ids of OASIS MQTT 3.1.1, which are tested with 3.1",
        "clients as well where it applies. The requirements are in our own words.", ""]
    for prefix, title in PARTS:
        rows = [r for r in suite.read_statements() if r[0].startswith(prefix)]
        lines += [f"## {title}", "", "| statement | requirement | proven by |", "|---|---|---|"]
        for ident, requirement, proof in rows:
            names = list(dict.fromkeys(f"`{t.file}::{t.name}`" for t in found.get(ident, [])))
            lines.append(f"| {ident} | {requirement} | {'<br>'.join(names + ([proof] if proof else []))} |")
        lines.append("")
    return "\n".join(lines)


def problems():
    """What is wrong with the list: statements without a proof, tests without a statement, an old page."""
    found = by_statement()
    out = [f"no test for {ident}: {requirement}" for ident, requirement, proof in suite.read_statements()
           if not proof and ident not in found]
    out += [f"{t.file}::{t.name} names no statement" for m in modules() for t in tests(m) if not t.statements]
    try:
        with open(PAGE, encoding="utf-8") as file:
            current = file.read()
    except FileNotFoundError:
        current = None
    if current != page():
        out.append("docs/CONFORMANCE.md is not up to date: run tests/conformance/list")
    return out
