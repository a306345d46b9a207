# SPDX-License-Identifier: Apache-2.0
"""The HTTP API: who may come in, and what is refused before anything is done."""
import os
import stat
import threading
import time
import unittest

from api import PASSWORD, Api, ApiCase, first_password


class First(ApiCase):
    def test_the_first_password(self):
        node = self.api_node(change=False)
        path = os.path.join(node.data, "admin_password")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        password = first_password(node)
        self.assertRegex(password, r"^[a-z2-9]{20}$")
        self.assertNotIn(password, node.log())
        answer = node.open.login("admin", password)
        self.assertEqual(answer.status, 200)
        self.assertEqual((answer.data["role"], answer.data["must_change_password"]), ("administrator", True))
        self.assertEqual(answer.data["license"], {"edition": "opensource"})

        # Nothing but the change is permitted.
        api = Api(node.http_port, answer.data["token"])
        self.refused(api.get("/nodes"), 403, "PASSWORD_MUST_CHANGE")
        self.refused(api.post("/users", {"username": "eve", "password": "another-one", "role": "viewer"}), 403, "PASSWORD_MUST_CHANGE")
        self.assertEqual(api.get("/current_user").data["must_change_password"], True)

        change = lambda old, new: api.post("/users/admin/change_pwd", {"old_pwd": old, "new_pwd": new})  # noqa: E731
        self.refused(change("not it", PASSWORD), 400, "ERROR_PWD_NOT_MATCH", "old_pwd:")
        self.refused(change(password, "short"), 400, "BAD_REQUEST", "new_pwd:")
        self.refused(change(password, password), 400, "BAD_REQUEST", "new_pwd:")
        self.assertEqual(change(password, PASSWORD).status, 204)
        self.assertFalse(os.path.exists(path), "the file has no use any more")
        self.refused(api.get("/nodes"), 401, "BAD_TOKEN")
        self.refused(node.open.login("admin", password), 401, "BAD_USERNAME_OR_PWD")
        self.assertEqual(node.open.logged_in("admin", PASSWORD).get("/nodes").status, 200)

    def test_it_is_stored(self):
        node = self.api_node()
        node.kill()
        node.start()
        self.refused(node.api.get("/nodes"), 401, "BAD_TOKEN")
        self.assertEqual(node.open.logged_in("admin", PASSWORD).get("/nodes").status, 200)
        self.assertFalse(os.path.exists(os.path.join(node.data, "admin_password")))

    def test_no_file_without_http(self):
        node = self.node()
        self.assertFalse(os.path.exists(os.path.join(node.data, "admin_password")))

    def test_one_that_was_not_changed_stays(self):
        node = self.api_node(change=False)
        password = first_password(node)
        node.stop()
        node.start()
        self.assertEqual(first_password(node), password)
        self.assertEqual(node.open.login("admin", password).status, 200)


class Login(ApiCase):
    def test_wrong(self):
        node = self.api_node()
        for user, password in (("admin", "wrong"), ("nobody", PASSWORD), ("admin\0", PASSWORD)):
            self.assertIn(node.open.login(user, password).status, (400, 401))
        self.refused(node.open.login("admin", "wrong"), 401, "BAD_USERNAME_OR_PWD")

    def test_too_often(self):
        node = self.api_node()
        answers = [node.open.login("admin", f"guess-{i}") for i in range(12)]
        self.assertEqual([a.status for a in answers[:10]], [401] * 10)
        limited = [a for a in answers[10:] if a.status == 429]
        self.assertTrue(limited, answers[10:])
        self.refused(limited[0], 429, "TOO_MANY_REQUESTS")
        self.assertGreater(int(limited[0].headers["Retry-After"]), 0)
        # Whoever is in stays in, and keys do not care.
        self.assertEqual(node.api.get("/nodes").status, 200)

    def test_bodies(self):
        node = self.api_node()
        send = lambda body, kind="application/json": node.open.raw(  # noqa: E731
            "POST", "/api/v5/login", body, {"Content-Type": kind} if kind else {})
        self.refused(send("{"), 400, "BAD_REQUEST", "The body is no JSON: line 1")
        self.refused(send("[]"), 400, "BAD_REQUEST", "must be an object")
        self.refused(send(""), 400, "BAD_REQUEST")
        self.refused(send('{"username":"a","username":"b","password":"c"}'), 400, "BAD_REQUEST", "The body is no JSON")
        self.refused(send('{"username":"admin"}'), 400, "BAD_REQUEST", "password: is missing")
        self.refused(send('{"username":"admin","password":1}'), 400, "BAD_REQUEST", "password: must be a string")
        self.refused(send('{"username":"admin","password":"x","otp":"1"}'), 400, "BAD_REQUEST", "otp: there is no such field")
        self.refused(send('{"username":"admin","password":"x"}', "text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE")
        self.refused(send('{"username":"admin","password":"x"}', None), 415, "UNSUPPORTED_MEDIA_TYPE")
        self.refused(send('{"username":"' + "x" * 65 + '","password":"x"}'), 400, "BAD_REQUEST", "username:")
        self.refused(send("[" * 100000), 400, "BAD_REQUEST")
        self.assertEqual(send('{"username":"admin","password":"' + PASSWORD + '"}', "application/json; charset=utf-8").status, 200)

    def test_who(self):
        node = self.api_node()
        ask = lambda value: node.open.raw("GET", "/api/v5/nodes", headers={"Authorization": value})  # noqa: E731
        self.refused(node.open.get("/nodes"), 401, "UNAUTHORIZED")
        for value in ("Bearer", "Bearer ", "Bearer " + "x" * 43, "Basic", "Basic !", "Basic YWRtaW46cHVibGlj", "Digest x"):
            answer = ask(value)
            self.assertEqual(answer.status, 401, value)
            self.assertNotIn("WWW-Authenticate", answer.headers, "a browser would keep what it asks for")
        self.assertEqual(ask(f"bearer {node.api.token}").status, 200)

    def test_logout(self):
        node = self.api_node()
        other = node.open.logged_in("admin", PASSWORD)
        self.refused(other.post("/logout", {"username": "eve"}), 400, "BAD_REQUEST", "username:")
        self.assertEqual(other.post("/logout", {"username": "admin"}).status, 204)
        self.refused(other.get("/nodes"), 401, "BAD_TOKEN")
        self.assertEqual(node.api.get("/nodes").status, 200)

    def test_other_sites(self):
        node = self.api_node()
        send = lambda site: node.api.raw("DELETE", "/api/v5/clients/nobody", headers={"Sec-Fetch-Site": site})  # noqa: E731
        self.refused(send("cross-site"), 403, "FORBIDDEN")
        self.refused(send("same-site"), 403, "FORBIDDEN")
        self.refused(send("same-origin"), 404, "CLIENTID_NOT_FOUND")

    def test_paths_and_methods(self):
        node = self.api_node()
        for path in ("/", "/nothing", "/clients/", "/clients/a/b/c", "/clients/%00", "/clients/%ff", "/clients/%4", "/rules"):
            self.refused(node.api.get(path), 404, "NOT_FOUND")
        answer = self.refused(node.api.put("/clients", {}), 405, "METHOD_NOT_ALLOWED")
        self.assertEqual(answer.headers["Allow"], "GET, HEAD")
        self.assertEqual(node.api.raw("PATCH", "/api/v5/clients").status, 405)
        head = node.api.raw("HEAD", "/api/v5/cluster")
        self.assertEqual((head.status, head.bytes), (200, b""))

    def test_answers_are_not_kept(self):
        node = self.api_node()
        answer = node.api.get("/nodes")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers["Content-Type"], "application/json")

    def test_hashing_holds_nobody_up(self):
        """Passwords are looked at one after the other; what needs none is answered meanwhile."""
        node = self.api_node()
        done = []

        def login(i):
            self.assertEqual(node.open.login("admin", PASSWORD).status, 200)
            done.append(i)
        threads = [threading.Thread(target=login, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        self.assertEqual(node.api.get("/current_user").status, 200)
        self.assertLess(len(done), 8)
        for t in threads:
            t.join()
        self.assertEqual(len(done), 8)


class Stopping(ApiCase):
    def test_with_calls_under_way(self):
        """A node that stops answers, or ends, what it is asked, and leaves nothing behind."""
        node = self.api_node()
        def guess():
            try:
                for _ in range(10):
                    node.open.login("nobody", "x")
            except OSError:
                pass
        threads = [threading.Thread(target=guess) for _ in range(6)]
        for t in threads:
            t.start()
        time.sleep(0.2)     # so that they are somewhere in between; nothing depends on where
        self.assertEqual(node.stop(), 0)
        for t in threads:
            t.join()


if __name__ == "__main__":
    unittest.main()
