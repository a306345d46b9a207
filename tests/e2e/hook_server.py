# SPDX-License-Identifier: Apache-2.0
"""An HTTP server of a test's own, which is asked about clients."""
import http.server
import json
import threading


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
