# SPDX-License-Identifier: Apache-2.0
"""An HTTP server of a test's own, which is asked about clients."""
import http.server
import json
import os
import threading

import harness
import wire
from harness import Case, until


class Server:
    """An HTTP server whose answers a function makes: (path, headers, body) -> (status, body), or None: it says nothing."""

    def __init__(self, answer):
        outer = self
        self.answer, self.asked, self.hangs = answer, [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.command, self.path, dict(self.headers), body))
                reply = outer.answer(self.path, self.headers, body)
                if reply is None:
                    outer.hangs.wait(60)
                    self.close_connection = True
                    return
                status, text = reply
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = handle_any

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

            def handle_error(self, *_):
                pass    # the broker has hung up

        self.server = Threads(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.hangs.set()
        self.server.shutdown()
        self.server.server_close()


def says(result):
    return lambda *_: (200, json.dumps({"result": result}).encode())


class Policy:
    """Answers by the first level of the topic: yes, no, ignore, nonsense, wait (until let go, then yes), hang."""

    def __init__(self):
        self.go, self.late = threading.Event(), "allow"

    def __call__(self, _path, _headers, body):
        first = json.loads(body)["topic"].split("/")[0]
        if first == "wait":
            self.go.wait(60)
            return says(self.late)()
        if first == "hang":
            return None
        if first == "nonsense":
            return (200, b'{"result": "perhaps"}')
        if first == "empty":
            return (204, b"")
        return says({"yes": "allow", "no": "deny"}.get(first, "ignore"))()


class Asked:
    """For cases of one node and of several."""

    def policy(self):
        self.answers = Policy()
        self.server = Server(self.answers)
        self.addCleanup(self.server.stop)
        self.addCleanup(self.answers.go.set)

    def keys(self, rules=None, settings=None, path="/authz", **keys):
        keys = {"url": f"http://127.0.0.1:{self.server.port}{path}", **keys}
        found = {f"authorization.http.{k}": v for k, v in keys.items()}
        if rules is not None:
            found["authorization.file"] = os.path.join(harness.scratch("covey-authz-"), "acl.conf")
            with open(found["authorization.file"], "w", encoding="utf-8") as file:
                file.write(rules)
        return {**found, **(settings or {})}

    def topics_asked(self, action=None):
        asked = [json.loads(body) for _, _, _, body in self.server.asked]
        return [q["topic"] for q in asked if action in (None, q["action"])]

    def wait_asked(self, topic):
        until(lambda: topic in self.topics_asked(), 30, f"a question about {topic}")

    def why(self, packet):
        return packet.prop(wire.REASON_STRING)


class AskedCase(Asked, Case):
    def setUp(self):
        self.needs_covey()
        self.policy()

    def asked_node(self, rules=None, settings=None, **keys):
        return self.node(self.keys(rules, settings, **keys))

    def counter(self, node, name):
        return next(int(line.split(":")[1]) for line in node.cli("ctl", "broker", "metrics").stdout.splitlines()
                    if line.split(":")[0].strip() == name)
