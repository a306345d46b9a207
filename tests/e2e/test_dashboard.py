# SPDX-License-Identifier: Apache-2.0
"""The files of the dashboard as the node serves them. What they do in a browser: tests/browser."""
import gzip
import http.client
import re
import unittest

from harness import Case, Port


class Files(Case):
    def setUp(self):
        self.needs_covey()
        lock = Port()
        self.addCleanup(lock.free)
        self.http_port = lock.number
        self.node({"dashboard.listeners.http.enable": True, "dashboard.listeners.http.bind": f"127.0.0.1:{self.http_port}"})
        self.start = self.ask("/")
        if "left out" in self.start.bytes.decode(errors="replace"):
            self.skipTest("this program was built without the dashboard")

    def ask(self, path, method="GET", **headers):
        conn = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
        try:
            conn.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = conn.getresponse()
            answer.bytes = answer.read()
            return answer
        finally:
            conn.close()

    def page(self):
        return gzip.decompress(self.start.bytes).decode()

    def assets(self):
        return [path.removeprefix(".") for path in re.findall(r'(?:src|href)="(\./assets/[^"]+)"', self.page())]

    def test_the_page(self):
        self.assertEqual(self.start.status, 200)
        self.assertEqual(self.start.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(self.start.headers["Content-Encoding"], "gzip")
        self.assertEqual(self.start.headers["Cache-Control"], "no-cache")
        self.assertEqual(self.start.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(self.start.headers["Referrer-Policy"], "no-referrer")
        self.assertEqual(self.ask("/index.html").bytes, self.start.bytes)

    def test_nothing_from_elsewhere_and_no_script_inline(self):
        policy = dict(p.strip().split(" ", 1) for p in self.start.headers["Content-Security-Policy"].split(";"))
        self.assertEqual(policy["default-src"], "'self'")
        self.assertNotIn("script-src", policy)      # as default-src says
        self.assertEqual(policy["frame-ancestors"], "'none'")
        self.assertNotRegex(self.page(), r"<script(?![^>]*\ssrc=)")
        self.assertEqual(re.findall(r'(?:src|href)="(?!\./)[^"]*"', self.page()), [])

    def test_assets_stay_in_the_browser(self):
        self.assertTrue(any(a.endswith(".js") for a in self.assets()) and any(a.endswith(".css") for a in self.assets()))
        for path in self.assets():
            answer = self.ask(path)
            self.assertEqual(answer.status, 200, path)
            self.assertEqual(answer.headers["Cache-Control"], "public, max-age=31536000, immutable")
            self.assertEqual(int(answer.headers["Content-Length"]), len(answer.bytes))
            self.assertTrue(gzip.decompress(answer.bytes))

    def test_what_is_known_is_not_sent_again(self):
        tag = self.start.headers["ETag"]
        self.assertRegex(tag, r'^"[0-9a-f]{20}"$')
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            answer = self.ask("/", If_None_Match=known)
            self.assertEqual((answer.status, answer.bytes, answer.headers["ETag"]), (304, b"", tag), known)
        self.assertEqual(self.ask("/", If_None_Match='"other"').status, 200)

    def test_head_has_no_body(self):
        answer = self.ask("/", "HEAD")
        self.assertEqual((answer.status, answer.bytes), (200, b""))
        self.assertEqual(int(answer.headers["Content-Length"]), len(self.start.bytes))

    def test_only_files_that_are_there(self):
        for path in ("/assets/", "/assets", "/assets/../index.html", "/.vite/manifest.json", "/%69ndex.html", "/index.html/"):
            self.assertEqual(self.ask(path).status, 404, path)
        self.assertIn(self.ask("/", "POST").status, (404, 405))

    def test_licences_of_what_is_in_it(self):
        text = gzip.decompress(self.ask("/licenses.txt").bytes).decode()
        for package in ("vue ", "element-plus ", "mqtt ", "uplot "):
            self.assertRegex(text, rf"(?m)^{package}\d")


if __name__ == "__main__":
    unittest.main()
