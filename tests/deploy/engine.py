# SPDX-License-Identifier: Apache-2.0
"""A container engine for the tests: the one that runs already, else a dockerd of our own.

Our own one changes nothing on the machine outside of its folders: no firewall rules, no forwarding, no default bridge.
Containers reach each other over the bridge of their compose project, and 127.0.0.1 reaches them by docker-proxy.
"""
import atexit
import ctypes
import fcntl
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, "build", "deploy-test")
BASE, IMAGE, DASHBOARD = "covey-test-base", "covey-test", "covey-test-dashboard"
DASHBOARD_FILE = os.path.join(ROOT, "build/release/node/admin/dashboard/static_files.c")
UID = "10001"            # of the user in the image
START_SECONDS_MAX = 60
_libc = ctypes.CDLL(None)


def stop_with_parent():
    _libc.prctl(1, signal.SIGTERM)      # PR_SET_PDEATHSIG: dockerd then ends its containers and itself


def run(*command, check=True, **options):
    """A finished command with its output; what a failing one said is in the exception."""
    options.setdefault("timeout", 600)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, check=False, **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-6000:]}{done.stderr[-6000:]}")
    return done


class Engine:
    def __init__(self):
        for program in ("docker", "docker-compose"):
            if not shutil.which(program):
                raise unittest.SkipTest(f"there is no {program}")
        os.makedirs(CACHE, exist_ok=True)
        self.lock = open(os.path.join(CACHE, "lock"), "w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("COVEY_")}
        self.env["DOCKER_BUILDKIT"] = "0"       # the least that a user may have
        self.daemon = None
        if self.docker("version", check=False).returncode:
            self._start()
        self._make_base()

    def docker(self, *words, **options):
        return run("docker", *words, env=self.env, **options)

    def inspect(self, name, template):
        return self.docker("inspect", "--format", template, name).stdout.strip()

    # ------------------------------------------------------------ the daemon

    def _start(self):
        if os.geteuid() != 0 or not shutil.which("dockerd"):
            raise unittest.SkipTest("no container engine runs, and one can be started by root with dockerd only")
        self.run_dir = tempfile.mkdtemp(prefix="covey-docker-")
        self.env["DOCKER_HOST"] = f"unix://{self.run_dir}/docker.sock"
        log_path = os.path.join(CACHE, "dockerd.log")
        command = ["dockerd", "--data-root", os.path.join(CACHE, "docker"), "--exec-root", f"{self.run_dir}/exec",
                   "--pidfile", f"{self.run_dir}/dockerd.pid", "--host", self.env["DOCKER_HOST"], "--bridge", "none",
                   "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
        with open(log_path, "wb") as log:
            self.daemon = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                                           preexec_fn=stop_with_parent)
        atexit.register(self._stop)
        deadline = time.monotonic() + START_SECONDS_MAX
        while self.docker("version", check=False).returncode:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                with open(log_path, encoding="utf-8", errors="replace") as log:
                    last = (log.read().strip().splitlines() or ["it said nothing"])[-1]
                raise unittest.SkipTest(f"dockerd does not run here: {last}")
            time.sleep(0.05)
        # Layers of old builds, in a folder that nobody else uses.
        self.docker("image", "prune", "--force", "--filter", "until=72h", check=False)

    def _stop(self):
        self.daemon.terminate()
        try:
            self.daemon.wait(60)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = [line.split()[1] for line in file]
        for path in sorted((m for m in mounts if m.startswith(self.run_dir)), reverse=True):
            subprocess.run(["umount", "-l", path], check=False)
        shutil.rmtree(self.run_dir, ignore_errors=True)

    # ------------------------------------------------------------ images

    def _make_base(self):
        """Debian as its slim image has it, from this machine's mirror: registries of images cannot be had everywhere."""
        if not self.docker("image", "inspect", BASE, check=False).returncode:
            return
        tar = os.path.join(CACHE, "base.tar")
        if not os.path.exists(tar):
            make_base_tar(tar)
        self.docker("import", tar, BASE)

    def _make_dashboard(self):
        """An image with the dashboard as the release has it: npm's registry cannot be had everywhere. False: it has
        none."""
        if not os.path.exists(DASHBOARD_FILE):
            return False
        with tempfile.TemporaryDirectory(prefix="dashboard-", dir=CACHE) as folder:
            os.mkdir(f"{folder}/dashboard")
            shutil.copy(DASHBOARD_FILE, f"{folder}/dashboard/")
            os.utime(f"{folder}/dashboard/static_files.c", (0, 0))
            run("tar", "-C", folder, "--mtime=@0", "-cf", f"{folder}.tar", "dashboard")
            self.docker("import", f"{folder}.tar", DASHBOARD)
            os.remove(f"{folder}.tar")
        return True

    def build(self, tag):
        """The image, as deploy/README.md tells to build it, with what this machine can have."""
        network = ["--network", "host"] if self.daemon else []
        self.has_dashboard = self._make_dashboard()
        return self.docker("build", *network, "--build-arg", f"BASE={BASE}", "--build-arg",
                           f"DASHBOARD={DASHBOARD if self.has_dashboard else 'none'}", "-t", tag,
                           "-f", "deploy/Dockerfile", ".", cwd=ROOT)


def apt_sources():
    """The files in /etc/apt with which this machine reaches Debian: other vendors' are not for a container."""
    folder = "/etc/apt/sources.list.d"
    paths = [os.path.join(folder, n) for n in os.listdir(folder)] if os.path.isdir(folder) else []
    found = {}
    for path in ["/etc/apt/sources.list", *sorted(paths)]:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            if re.search(r"^(deb |URIs:).*/debian\b", text, re.M) and "bookworm" in text:
                found[path] = text
    return found


def make_base_tar(tar):
    sources = apt_sources()
    mirror = re.search(r"^(?:URIs: *|deb (?:\[[^]]*\] )?)(\S+)", "\n".join(sources.values()), re.M)
    with tempfile.TemporaryDirectory(prefix="base-", dir=CACHE) as folder:
        run("debootstrap", "--variant=minbase", "bookworm", folder, *([mirror.group(1)] if mirror else []))
        for path in ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/cache/apt",
                     "var/lib/apt/lists", "var/log"):
            for entry in os.scandir(os.path.join(folder, path)):
                shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.remove(entry.path)
        # What this machine has to know to reach its mirror, a container has to know as well.
        if sources:
            os.remove(os.path.join(folder, "etc/apt/sources.list"))
        for path in [*sources, *(e.path for e in os.scandir("/etc/apt/apt.conf.d"))]:
            shutil.copy(path, folder + path)
        run("tar", "-C", folder, "-cf", tar + ".new", ".")
    os.rename(tar + ".new", tar)


@functools.lru_cache(None)
def engine():
    """The engine with the image in it, once for this process."""
    found, started = Engine(), time.monotonic()
    found.build(IMAGE)
    print(f"the image: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return found


def health(name):
    return engine().inspect(name, "{{.State.Health.Status}}")


def why(name):
    done = engine().docker("logs", "--tail", "40", name, check=False)
    return f"{name}: {engine().inspect(name, '{{json .State}}')}\n{done.stdout}{done.stderr}"
