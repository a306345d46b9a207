# SPDX-License-Identifier: Apache-2.0
"""The Debian package: built, looked at by lintian, and in a chroot of Debian installed, run, upgraded, removed, purged.

The chroot is kept as a tar file in build/deploy-test, with the libraries that the package depends on: only the first run
needs a mirror of Debian.
"""
import functools
import glob
import gzip
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from engine import CACHE, ROOT, make_base_tar, run
from harness import Port, until
from mqttlib import Client

RELEASE = os.path.join(ROOT, "build", "release")
WAIT = 30
BASE_TAR, READY_TAR = (os.path.join(CACHE, name) for name in ("base.tar", "package.tar"))


@functools.lru_cache(None)
def package():
    for program in ("cmake", "dpkg-shlibdeps", "dpkg-deb"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"there is no {program}")
    run("cmake", "--preset", "release", cwd=ROOT)
    run("cmake", "--build", "--preset", "release", "--target", "package", cwd=ROOT)
    return max(glob.glob(os.path.join(RELEASE, "covey_*.deb")), key=os.path.getmtime)


def field(name, deb=None):
    return run("dpkg-deb", "-f", deb or package(), name).stdout.strip()


def ready_tar(tar=READY_TAR, more=()):
    """Debian with what the package depends on, and more. Made anew when that changes."""
    names = [re.split(r"[ (]", one.strip())[0] for one in field("Depends").split(",")] + list(more)
    note = tar + ".depends"
    if os.path.exists(tar) and os.path.exists(note):
        with open(note, encoding="utf-8") as file:
            if file.read() == " ".join(names):
                return tar
    os.makedirs(CACHE, exist_ok=True)
    if not os.path.exists(BASE_TAR):
        make_base_tar(BASE_TAR)
    with tempfile.TemporaryDirectory(prefix="package-", dir=CACHE) as folder:
        run("tar", "-C", folder, "-xf", BASE_TAR)
        shutil.copy("/etc/resolv.conf", folder + "/etc/resolv.conf")
        chroot = ("chroot", folder, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q")
        run(*chroot, "update")
        run(*chroot, "-y", "install", "--no-install-recommends", *names)
        run(*chroot, "clean")
        os.chmod(folder, 0o755)
        run("tar", "-C", folder, "-cf", tar + ".new", ".")
    os.rename(tar + ".new", tar)
    with open(note, "w", encoding="utf-8") as file:
        file.write(" ".join(names))
    return tar


def newer_package(to):
    """The same package with a later version and another default configuration, as the file `to`."""
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "-R", package(), folder + "/p")
        for path, old, new in (("DEBIAN/control", f"Version: {field('Version')}", "Version: 99.0"),
                               ("etc/covey/covey.yaml", "node:\n", "# Of 99.0.\nnode:\n")):
            with open(f"{folder}/p/{path}", "r+", encoding="utf-8") as file:
                text = file.read()
                assert old in text, path
                file.seek(0)
                file.write(text.replace(old, new, 1))
        run("dpkg-deb", "--root-owner-group", "-b", folder + "/p", to)


class TestPackage(unittest.TestCase):
    def test_lintian_finds_nothing(self):
        if not shutil.which("lintian"):
            self.skipTest("there is no lintian")
        done = run("lintian", "--allow-root", "--fail-on", "error,warning", package(), check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_depends_on_its_libraries(self):
        """What deploy/packages/runtime.txt names, found by dpkg-shlibdeps, and no library more."""
        with open(os.path.join(ROOT, "deploy", "packages", "runtime.txt"), encoding="utf-8") as file:
            named = {line.strip() for line in file if line.strip() and not line.startswith("#")}
        found = {re.split(r"[ (]", one.strip())[0] for one in field("Depends").split(",")}
        self.assertEqual(found - {"adduser", "init-system-helpers", "libc6"}, named)

    def test_has_manual_and_completions_of_this_program(self):
        """What is in it is what the program says."""
        with tempfile.TemporaryDirectory() as folder:
            run("dpkg-deb", "-x", package(), folder)
            program = folder + "/usr/bin/covey"
            for page in ("man1/covey.1", "man1/covey-ctl.1", "man5/covey.yaml.5"):
                with gzip.open(f"{folder}/usr/share/man/{page}.gz", "rt", encoding="utf-8") as file:
                    self.assertEqual(file.read(), run(program, "man", os.path.basename(page)[:-2]).stdout)
            for shell, path in (("bash", "bash-completion/completions/covey"), ("zsh", "zsh/vendor-completions/_covey"),
                                ("fish", "fish/vendor_completions.d/covey.fish")):
                with open(f"{folder}/usr/share/{path}", encoding="utf-8") as file:
                    self.assertEqual(file.read(), run(program, "completion", shell).stdout)
            with open(f"{folder}/lib/systemd/system/covey.service", encoding="utf-8") as file:
                unit = file.read()
            for path in re.findall(r"(?<==)/usr/bin/\S+|/etc/covey/\S+\.yaml", unit):
                self.assertTrue(os.path.exists(folder + path), path)
            # Names that steer the tests would be taken for misspelt keys.
            plain = {k: v for k, v in os.environ.items() if not k.startswith("COVEY_")}
            run(program, "check-config", folder + "/etc/covey/covey.yaml", env=plain)


class TestLife(unittest.TestCase):
    """A package from its installation to its end."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can chroot")
        try:
            tar = ready_tar()
        except AssertionError as error:
            self.skipTest(f"no Debian to install it in: {str(error).strip().splitlines()[-1]}")
        self.root = tempfile.mkdtemp(prefix="covey-package-")
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        run("tar", "-C", self.root, "-xf", tar)
        # Nothing in here starts services; dpkg's scripts ask for this, and /proc is not mounted.
        with open(self.root + "/usr/sbin/policy-rc.d", "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o755)) as f:
            f.write("#!/bin/sh\nexit 101\n")
        self.port, self.http = Port(), Port()
        self.addCleanup(self.port.free)
        self.addCleanup(self.http.free)

    def inside(self, *words, user=None, **options):
        return run("chroot", *([f"--userspec={user}:{user}"] if user else []), self.root, "env", "-i",
                   "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", *words, **options)

    def dpkg(self, *words):
        self.inside("dpkg", *words)
        return self.inside("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", "covey", check=False).stdout.split()

    def put(self, deb, name):
        shutil.copy(deb, f"{self.root}/tmp/{name}")
        return f"/tmp/{name}"

    def started(self):
        """The node, as the unit runs it."""
        os.makedirs(self.root + "/run/covey", exist_ok=True)
        shutil.chown(self.root + "/run/covey", self.uid, self.uid)
        command = ["chroot", "--userspec=covey:covey", self.root, "env", "-i", "PATH=/usr/bin:/bin",
                   f"COVEY_LISTENERS__TCP__DEFAULT__BIND=127.0.0.1:{self.port.number}",
                   f"COVEY_DASHBOARD__LISTENERS__HTTP__BIND=127.0.0.1:{self.http.number}",
                   "COVEY_LISTENERS__WS__DEFAULT__ENABLE=false",
                   "/usr/bin/covey", "foreground", "--config", "/etc/covey/covey.yaml"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until(lambda: self.inside("covey", "ping", check=False).returncode == 0 or process.poll() is not None, WAIT, "ping")
        self.assertIsNone(process.poll(), process.poll() is not None and process.stdout.read())
        return process

    def stopped(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT), 0, process.stdout.read())

    def exists(self, path):
        return os.path.lexists(self.root + path)

    def test_install_run_upgrade_remove_purge(self):
        self.assertEqual(self.dpkg("-i", self.put(package(), "covey.deb"))[:2], ["ii", field("Version")])
        self.uid = int(self.inside("id", "-u", "covey").stdout)
        data = os.stat(self.root + "/var/lib/covey")
        self.assertEqual((data.st_uid, data.st_mode & 0o777), (self.uid, 0o700))
        self.assertTrue(self.exists("/etc/systemd/system/multi-user.target.wants/covey.service"))
        self.assertIn("/etc/covey/covey.yaml", self.inside("dpkg-query", "-W", "-f", "${Conffiles}", "covey").stdout)

        process = self.started()
        self.assertIn("is started", self.inside("covey", "ctl", "status").stdout)
        with Client(port=self.port.number, timeout=WAIT) as client:
            client.connect()
            client.publish("kept", b"by the package", 1, retain=True)
        self.stopped(process)

        # An upgrade keeps what the operator has written, and what clients have.
        with open(self.root + "/etc/covey/covey.yaml", "a", encoding="utf-8") as file:
            file.write("mqtt:\n  max_inflight: 7\n")
        newer_package(self.root + "/tmp/new.deb")
        self.assertEqual(self.dpkg("-i", "--force-confold", "/tmp/new.deb")[:2], ["ii", "99.0"])
        self.assertTrue(self.exists("/etc/covey/covey.yaml.dpkg-dist"))
        process = self.started()
        self.assertIn("mqtt.max_inflight: 7 ", self.inside("covey", "config", "show").stdout)
        with Client(port=self.port.number, timeout=WAIT) as client:
            client.connect()
            client.subscribe("kept", 1)
            self.assertEqual(client.recv_publish().payload, b"by the package")
        self.stopped(process)

        self.assertEqual(self.dpkg("-r", "covey")[0], "rc")
        self.assertFalse(self.exists("/usr/bin/covey"))
        self.assertTrue(os.listdir(self.root + "/var/lib/covey"))
        self.assertTrue(self.exists("/etc/covey/covey.yaml"))

        self.dpkg("-P", "covey")
        for path in ("/var/lib/covey", "/var/log/covey", "/etc/covey",
                     "/etc/systemd/system/multi-user.target.wants/covey.service", "/etc/systemd/system/covey.service"):
            self.assertFalse(self.exists(path), path)


if __name__ == "__main__":
    unittest.main()
