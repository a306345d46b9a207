# SPDX-License-Identifier: Apache-2.0
"""The Debian package under a real systemd: a container of Debian that boots, with the hardening of the unit in force.

systemd-nspawn starts it, with a network of its own that has a loopback only; it needs no systemd on this machine. Where
there is none, each container gets a control group of its own: two in one would end each other's services.
"""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from engine import CACHE, run, stop_with_parent
from harness import until
from test_package import newer_package, package, ready_tar

TAR = os.path.join(CACHE, "systemd.tar")
MORE = ("systemd", "systemd-sysv", "dbus", "mosquitto-clients", "openssl", "netcat-openbsd")
BOOT_SECONDS_MAX, WAIT = 60, 30
FILES_MAX = 1048576     # LimitNOFILE of the unit
CONF = "/etc/covey/covey.yaml"


def make_cgroup(name):
    """A group in the unified hierarchy, for a container on a machine without systemd."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        found = [words[1] for words in map(str.split, file) if words[2] == "cgroup2"]
    assert found, "no cgroup2 is mounted"
    path = os.path.join(found[0], name)
    os.mkdir(path)
    return path


def removed(folder):
    try:
        os.rmdir(folder)
    except OSError:
        return False        # what was killed is still going away
    return True


class Machine:
    """A container with systemd as its first process."""

    def __init__(self, tar):
        self.root = tempfile.mkdtemp(prefix="covey-systemd-")
        self.process, self.pid, self.cgroup = None, None, None
        try:
            run("tar", "-C", self.root, "-xf", tar)
            os.chmod(self.root, 0o755)
            with open(self.root + "/etc/hosts", "w", encoding="utf-8") as file:
                file.write("127.0.0.1 localhost\n")
            self.log_path = os.path.join(self.root, "boot.log")
            command = ["systemd-nspawn", "-q", "-D", self.root, "--boot", "--register=no", "--private-network", "--console=pipe",
                       f"--machine=covey-test-{os.getpid()}", f"--rlimit=RLIMIT_NOFILE={FILES_MAX}"]
            if not os.path.isdir("/run/systemd/system"):
                self.cgroup = make_cgroup(os.path.basename(self.root))
                command.append("--keep-unit")
            with open(self.log_path, "wb") as log:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self._enter,
                                                env=dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1"))
            until(self._has_booted, BOOT_SECONDS_MAX, "systemd runs")
        except BaseException:
            self.remove()
            raise

    def _enter(self):
        stop_with_parent()
        if self.cgroup:
            with open(self.cgroup + "/cgroup.procs", "w", encoding="ascii") as file:
                file.write("0")

    def _has_booted(self):
        if self.process.poll() is not None:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                raise AssertionError(f"systemd-nspawn: {self.process.returncode}: {file.read()}")
        self.pid = self._leader() or self.pid
        return self.pid and self.sh("systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded", "starting") \
            and self.sh("systemctl is-active dbus.socket", check=False).returncode == 0

    def _leader(self):
        """The container's first process."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            return (file.read().split() or [None])[0]

    def sh(self, command, check=True):
        return run("nsenter", "-t", self.pid, "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
                   "sh", "-c", command, check=check, timeout=120)

    def out(self, command):
        return self.sh(command).stdout.strip()

    def remove(self):
        if self.process and self.process.poll() is None:
            self.pid = self._leader()
            if self.pid:
                os.kill(int(self.pid), signal.SIGKILL)      # all that is in it goes along, which nspawn's end would not do
            else:
                self.process.terminate()
            try:
                self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(WAIT)
        if self.cgroup:
            with open(self.cgroup + "/cgroup.kill", "w", encoding="ascii") as file:
                file.write("1")         # what outlives nspawn, should that have been killed
            for folder, _, _ in os.walk(self.cgroup, topdown=False):
                until(lambda folder=folder: not os.path.exists(folder) or removed(folder), WAIT, f"nothing is left in {folder}")
        shutil.rmtree(self.root, ignore_errors=True)


class Systemd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root can boot a container")
        if not shutil.which("systemd-nspawn"):
            raise unittest.SkipTest("there is no systemd-nspawn")
        try:
            cls.machine = Machine(ready_tar(TAR, MORE))
        except (AssertionError, OSError) as error:
            raise unittest.SkipTest(f"no systemd can boot here: {str(error).strip().splitlines()[-1]}") from error
        cls.addClassCleanup(cls.machine.remove)
        shutil.copy(package(), cls.machine.root + "/srv/covey.deb")
        cls.machine.sh("dpkg -i /srv/covey.deb")
        with open(cls.machine.root + CONF, encoding="utf-8") as file:
            cls.conf = file.read()

    def setUp(self):
        self.sh, self.out = self.machine.sh, self.machine.out
        self.write(self.conf)
        self.sh("rm -rf /etc/systemd/system/covey.service.d; systemctl daemon-reload; systemctl reset-failed covey; systemctl restart covey")
        self.cursor = self.out("journalctl -q -n 1 -o cat --show-cursor | sed -n 's/^-- cursor: //p'")

    def write(self, text, path=CONF):
        with open(self.machine.root + path, "w", encoding="utf-8") as file:
            file.write(text)

    def show(self, name):
        return self.out(f"systemctl show -p {name} --value covey")

    def journal(self):
        """What it has got since the test began."""
        return self.out(f"journalctl -q -u covey --after-cursor='{self.cursor}' --no-pager -o cat")

    def await_line(self, pattern):
        """The journal gets what it is told a moment later."""
        until(lambda: re.search(pattern, self.journal()), WAIT, lambda: f"{pattern} in {self.journal()}")

    def await_active(self, restarts):
        """It was started anew so many times or more, and has said that it is ready."""
        until(lambda: int(self.show("NRestarts")) >= restarts and self.show("ActiveState") == "active", WAIT,
              lambda: self.sh("systemctl status covey", check=False).stdout)

    def publish(self, *words, topic="kept", check=True):
        return self.sh(f"mosquitto_pub -V 5 -q 1 -d -t {topic} -m x {' '.join(words)} 2>&1", check=check).stdout

    def test_it_is_ready_when_started(self):
        """`systemctl start` returns when clients can connect; what the operator sees, and asks."""
        self.sh("systemctl stop covey")
        self.assertEqual(self.sh("covey ctl status", check=False).returncode, 1)
        self.assertIn("RC:16", self.sh("systemctl start covey && mosquitto_pub -V 5 -q 1 -d -t a -m x").stdout)
        self.assertEqual(self.show("StatusText"), "Clients can connect")
        self.assertIn("is started", self.out("covey ctl status"))
        self.await_line("node started name=")
        self.assertEqual(self.out("systemctl is-enabled covey"), "enabled")
        self.assertEqual(self.out(f"journalctl _COMM=covey _SYSTEMD_INVOCATION_ID={self.show('InvocationID')} -p warning --no-pager -o cat"), "")

    def test_hardened_and_everything_works(self):
        """TLS, passwords as the package's file tells to make them, rules, a Unix socket and a log with rotation, with no right
        but to its own folders."""
        exposure = re.search(r"Overall exposure level for covey.service: ([0-9.]+)", self.out("systemd-analyze security --no-pager covey"))
        self.assertLessEqual(float(exposure[1]), 1.5)
        told = re.search(r"^# +(covey passwd create .*)$", self.conf, re.M)[1]
        self.sh(f"rm -f /etc/covey/users; echo secret | {told}")
        shutil.copy(os.path.join(os.path.dirname(package()), "..", "..", "deploy", "make-certs"), self.machine.root + "/srv/")
        self.sh("rm -rf /etc/covey/certs; /srv/make-certs /etc/covey/certs && chown -R covey: /etc/covey/certs")
        self.write("allow user alice publish t/#\ndeny all all\n", "/etc/covey/acl.conf")
        self.write(self.conf + """
authentication: {password_file: /etc/covey/users}
authorization: {file: /etc/covey/acl.conf}
log: {to: file, file: /var/log/covey/covey.log, level: info, rotation: {size: 1KB, count: 2}}
listeners:
  ssl: {default: {enable: true, bind: "127.0.0.1:8883", ssl_options: {certfile: /etc/covey/certs/server.pem, keyfile: /etc/covey/certs/server.key}}}
  unix: {local: {bind: /run/covey/mqtt.sock, mode: 0660}}
""")
        self.sh("systemctl restart covey")
        who = "-u alice -P secret"
        for way in ("--unix /run/covey/mqtt.sock", "--cafile /etc/covey/certs/ca.pem -h localhost -p 8883"):
            self.assertIn("RC:16", self.publish(way, who, topic="t/1"), way)
            self.assertIn("RC:135", self.publish(way, who, topic="u/1"), way)
            self.assertIn("CONNACK (134)", self.publish(way, "-u alice -P wrong", check=False), way)
        self.assertIn("Denied by line 2", self.out("grep -h . /var/log/covey/covey.log* || true") + self.publish(
            "--unix /run/covey/mqtt.sock", who, topic="u/1"))
        until(lambda: os.path.exists(self.machine.root + "/var/log/covey/covey.log.1"), WAIT, "a log that was rotated")
        status = self.out("cat /proc/$(systemctl show -p MainPID --value covey)/status")
        for line in ("CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
            self.assertIn(line, status)

    def test_limits_and_who_may_command(self):
        self.assertEqual(self.out("systemd-analyze verify --man=no covey.service 2>&1"), "")
        limits, most = (self.out(f"cat /proc/{pid}/limits") for pid in (self.show("MainPID"), 1))
        # Where root may not raise limits, the container has the one of this machine at most.
        files = min(FILES_MAX, int(re.search(r"Max open files +\d+ +(\d+)", most)[1]))
        self.assertRegex(limits, rf"Max open files +{files} +{files} ")
        self.assertRegex(limits, r"Max core file size +0 +0 ")
        self.sh("id -u visitor >/dev/null 2>&1 || useradd --groups covey visitor")
        for user, status in (("root", 0), ("covey", 0), ("visitor", 1)):
            done = self.sh(f"cd / && setpriv --reuid {user} --regid {user} --init-groups covey ctl status", check=False)
            self.assertEqual(done.returncode, status, (user, done))
        self.assertIn("no right to talk to the node", done.stderr)

    def test_a_full_disk(self):
        """What cannot be stored is refused, the node stays, also over a restart, and goes on when there is room."""
        data = "/var/lib/covey"
        self.sh(f"systemctl stop covey; mount -t tmpfs -o size=4m,mode=0700,uid=covey,gid=covey tmpfs {data}")
        self.addCleanup(self.sh, f"systemctl stop covey; umount {data}", check=False)
        self.sh("systemctl start covey; head -c 400000 /dev/urandom >/srv/large")
        said = self.out("for i in $(seq 12); do mosquitto_pub -V 5 -q 1 -d -r -t full/$i -f /srv/large 2>&1 | grep -o 'RC:.*'; done")
        self.assertRegex(said, r"^RC:16\)\n")
        self.assertIn("RC:151)", said)              # quota exceeded
        self.await_line('alarm activated name="store_failing"')
        self.sh("systemctl restart covey")
        self.sh(f"mosquitto_sub -t full/1 -C 1 -W {WAIT} | cmp -n 400000 - /srv/large")
        self.sh(f"mount -o remount,size=64m {data}")
        self.assertIn("RC:16", self.publish())
        self.assertEqual(self.show("NRestarts"), "0")

    def test_data_of_another_user(self):
        """What a start by hand as root may leave behind is named, and mended while systemd tries again."""
        self.sh("systemctl stop covey; chown root: /var/lib/covey/store")
        self.addCleanup(self.sh, "chown covey: /var/lib/covey/store")
        self.assertNotEqual(self.sh("systemctl start covey", check=False).returncode, 0)
        self.await_line('storage open_failed dir="/var/lib/covey" error="i/o error" reason="Permission denied"')
        self.sh("chown -R covey: /var/lib/covey")
        until(lambda: self.show("ActiveState") == "active", WAIT, "it can read its store")

    def test_reload(self):
        self.write(self.conf + "mqtt: {max_inflight: 7}\n")
        self.sh("systemctl reload covey")
        self.await_line("changed mqtt.max_inflight: 32 -> 7")
        self.write(self.conf + "bogus: 1\n")
        self.assertNotEqual(self.sh("systemctl reload covey", check=False).returncode, 0)
        self.await_line(re.escape(CONF) + r":\d+: bogus: unknown key")
        self.assertIn("RC:16", self.publish())

    def test_a_killed_node_comes_back_with_what_it_had(self):
        self.sh("mosquitto_pub -V 5 -q 1 -r -t kept -m treasure")
        self.sh("kill -9 $(systemctl show -p MainPID --value covey)")
        self.await_active(1)
        self.assertEqual(self.out("mosquitto_sub -t kept -C 1 -W 20"), "treasure")

    def test_a_stuck_node_is_replaced(self):
        self.sh("mkdir -p /etc/systemd/system/covey.service.d")
        self.write("[Service]\nWatchdogSec=1s\n", "/etc/systemd/system/covey.service.d/quick.conf")
        self.sh("systemctl daemon-reload; systemctl restart covey")
        self.sh("kill -STOP $(systemctl show -p MainPID --value covey)")
        self.await_active(1)
        self.await_line("Watchdog timeout")

    def test_a_wrong_configuration_is_told_and_not_tried_again(self):
        self.write(self.conf + "mqtt: {max_inflight: none}\n")
        self.assertNotEqual(self.sh("systemctl restart covey", check=False).returncode, 0)
        self.assertEqual((self.show("ActiveState"), self.show("ExecMainStatus"), self.show("NRestarts")), ("failed", "78", "0"))
        self.await_line(re.escape(CONF) + r":\d+: mqtt.max_inflight")

    def test_a_port_that_is_taken_is_waited_for(self):
        """However long: five quick attempts are not the end."""
        self.sh("systemctl stop covey")
        self.sh("systemd-run --unit=thief nc -lk 127.0.0.1 1883")
        until(lambda: self.sh("nc -z 127.0.0.1 1883", check=False).returncode == 0, WAIT, "the port is taken")
        self.sh("systemctl start covey", check=False)
        until(lambda: int(self.show("NRestarts")) >= 6, 2 * WAIT, "some attempts")
        self.await_line("(?i)address (already )?in use")
        self.sh("systemctl stop thief")
        until(lambda: self.show("ActiveState") == "active", WAIT, "it has the port")
        self.assertIn("RC:16", self.publish())

    def test_zz_upgrade_remove_purge(self):
        self.sh("mosquitto_pub -V 5 -q 1 -r -t kept -m treasure")
        self.sh("mosquitto_sub -c -i away -q 1 -t for/away -E && mosquitto_pub -q 1 -t for/away -m waiting")
        before = self.show("MainPID")
        newer_package(self.machine.root + "/srv/new.deb")
        self.sh("dpkg -i --force-confold /srv/new.deb")
        self.assertNotEqual(self.show("MainPID"), before)
        self.assertEqual(self.out("mosquitto_sub -t kept -C 1 -W 20"), "treasure")
        self.assertEqual(self.out(f"mosquitto_sub -c -i away -q 1 -t for/away -C 1 -W {WAIT}"), "waiting")
        self.sh("dpkg -r covey")
        self.assertEqual(self.sh("pidof covey", check=False).stdout, "")
        self.sh("dpkg -P covey")
        self.assertFalse(os.path.exists(self.machine.root + "/var/lib/covey"))
        self.assertIn("not-found", self.out("systemctl show -p LoadState --value covey"))


if __name__ == "__main__":
    unittest.main()
