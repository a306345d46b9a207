# SPDX-License-Identifier: Apache-2.0
"""The HTTP API for tests: nodes with it, and calls of it.

    node = self.api_node()                       # its admin has the password PASSWORD
    node.api.get("/clients", limit=1).data       # logged in as admin; an answer that is not 2xx is in .status and .code
"""
import base64
import http.client
import json
import os
import urllib.parse

from api_shape import Docs
from cluster import ClusterCase
from harness import Case, Port, until

PASSWORD = "a-password-of-my-own"


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.bytes = response.status, response.headers, response.read()
        is_json = "json" in (self.headers.get("Content-Type") or "")
        self.data = json.loads(self.bytes) if is_json and self.bytes else None

    @property
    def code(self):
        return self.data.get("code") if isinstance(self.data, dict) else None

    @property
    def message(self):
        return self.data.get("message") if isinstance(self.data, dict) else None

    def __repr__(self):
        return f"{self.status} {self.bytes[:300]!r}"


class Api:
    """Calls with one identity: none, a token, or a key and its secret. What is answered is checked against /api-docs."""
    docs = None

    def __init__(self, port, token=None, key=None, context=None):
        """context: of TLS, for HTTPS."""
        self.port, self.token, self.key, self.context = port, token, key, context

    def check(self, method, path, answer):
        if Api.docs is None:
            Api.docs = Docs(self.raw("GET", "/api-docs/swagger.json").data)
        if answer.status >= 300 and answer.code not in ("CLIENTID_NOT_FOUND",):
            return      # refusals of all calls are described once
        fault = Api.docs.check(method, path, answer.status, answer.data)
        if fault:
            raise AssertionError(f"{method} {path}: {fault}: {answer}")

    def headers(self):
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.key:
            return {"Authorization": "Basic " + base64.b64encode(":".join(self.key).encode()).decode()}
        return {}

    def raw(self, method, target, body=None, headers=None):
        conn = (http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context) if self.context else
                http.client.HTTPConnection("127.0.0.1", self.port, timeout=30))
        try:
            conn.request(method, target, body=body, headers={**self.headers(), **(headers or {})})
            return Answer(conn.getresponse())
        finally:
            conn.close()

    def call(self, method, path, body=None, **query):
        """path is below /api/v5 and encoded (see part)."""
        text = urllib.parse.urlencode({k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()})
        target = f"/api/v5{path}" + (f"?{text}" if text else "")
        has_body = body is not None
        answer = self.raw(method, target, json.dumps(body) if has_body else None,
                          {"Content-Type": "application/json"} if has_body else None)
        self.check(method, path, answer)
        return answer

    def get(self, path, **query):
        return self.call("GET", path, **query)

    def post(self, path, body=None, **query):
        return self.call("POST", path, body, **query)

    def put(self, path, body=None):
        return self.call("PUT", path, body)

    def delete(self, path, **query):
        return self.call("DELETE", path, **query)

    def login(self, username, password):
        return self.post("/login", {"username": username, "password": password})

    def logged_in(self, username, password):
        answer = Api(self.port, context=self.context).login(username, password)
        if answer.status != 200:
            raise AssertionError(f"login of {username}: {answer}")
        return Api(self.port, answer.data["token"], context=self.context)


def part(text):
    """A part of a path."""
    return urllib.parse.quote(text, safe="")


def first_password(node):
    with open(os.path.join(node.data, "admin_password"), encoding="utf-8") as file:
        return file.read().strip()


def cluster_password(nodes, seconds=20):
    """The same: once nodes of one cluster have agreed on one."""
    def found():
        try:
            return {first_password(node) for node in nodes}
        except FileNotFoundError:
            return set()
    return until(lambda: len(found()) == 1 and found(), seconds, found).pop()


class ApiCase(Case):
    def setUp(self):
        self.needs_covey()

    def http_port(self):
        lock = Port()
        self.addCleanup(lock.free)
        return lock.number

    def api_node(self, settings=None, change=True, **options):
        """change: admin has chosen PASSWORD, and node.api is his."""
        port = self.http_port()
        node = self.node({"dashboard.listeners.http.enable": True, "dashboard.listeners.http.bind": f"127.0.0.1:{port}",
                          **(settings or {})}, **options)
        node.http_port, node.open = port, Api(port)
        node.api = node.open
        if change:
            password = first_password(node)
            first = node.open.logged_in("admin", password)
            self.assertEqual(first.post("/users/admin/change_pwd", {"old_pwd": password, "new_pwd": PASSWORD}).status, 204)
            node.api = node.open.logged_in("admin", PASSWORD)
        return node

    def refused(self, answer, status, code, names=None):
        """names: what the message begins with, such as the field."""
        self.assertEqual((answer.status, answer.code), (status, code), answer)
        self.assertIsInstance(answer.message, str)
        if names:
            self.assertTrue(answer.message.startswith(names), answer.message)
        return answer


class ApiClusterCase(ClusterCase, ApiCase):
    def api_cluster(self, with_http=(0, 1, 2)):
        """Three nodes, of which these have HTTP, and the API of the first of them."""
        ports = {i: self.http_port() for i in with_http}
        nodes = self.cluster(3, each={i: {"dashboard.listeners.http.enable": True, "dashboard.listeners.http.bind": f"127.0.0.1:{p}"}
                                      for i, p in ports.items()})
        password = cluster_password([nodes[i] for i in with_http])
        api = Api(ports[with_http[0]])
        first = api.logged_in("admin", password)
        self.assertEqual(first.post("/users/admin/change_pwd", {"old_pwd": password, "new_pwd": PASSWORD}).status, 204)
        return nodes, api.logged_in("admin", PASSWORD)
