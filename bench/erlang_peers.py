# SPDX-License-Identifier: Apache-2.0
"""Clusters of RabbitMQ (MQTT plugin) and of ejabberd (mod_mqtt) from Debian's packages, on loopback, for bench/cluster.

Each is set up for the least work a message: no users, no logs of messages, nothing on disk that MQTT does not ask for.
Everything, the Erlang port mapper too, is ended and removed at the end.
"""
import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

RABBIT = glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin")
EJABBERD = glob.glob("/usr/lib/*/ejabberd-*/ebin")
COOKIE = "covey-bench"
START_SECONDS_MAX = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ErlangNode:
    """A node under the shell that starts it. port and pid as bench() of bench/cluster reads them."""
    login = ()  # words for covey-bench

    def __init__(self, folder, number, env, pin):
        self.dir = os.path.join(folder, str(number))
        os.makedirs(self.dir)
        self.number, self.pin, self.port, self.process = number, pin, free_port(), None
        self.env = {**os.environ, **env}

    def spawn(self, words):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen([*self.pin, *words], env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            start_new_session=True)

    def wait(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while not is_listening(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as log:
                    raise SystemExit("a node does not start:\n" + log.read()[-3000:])
            time.sleep(0.1)

    @property
    def pid(self):
        """Of the Erlang machine."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
                if name.startswith("beam") and int(rest.split()[2]) == self.process.pid:
                    return int(pid)
        raise SystemExit("a node is gone")

    def kill(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)


class Rabbit(ErlangNode):
    name = "RabbitMQ"
    qos_max = 1

    @staticmethod
    def is_there():
        return bool(RABBIT)

    def start(self, count):
        conf = os.path.join(self.dir, "rabbitmq.conf")
        lines = [f"listeners.tcp.1 = 127.0.0.1:{free_port()}", f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.port}",
                 "log.file.level = warning", "log.console.level = warning",
                 "cluster_formation.peer_discovery_backend = classic_config"]
        lines += [f"cluster_formation.classic_config.nodes.{i + 1} = rabbit{i}@localhost" for i in range(count)]
        with open(conf, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        with open(os.path.join(self.dir, "plugins"), "w", encoding="utf-8") as file:
            file.write("[rabbitmq_mqtt].\n")
        self.env.update({
            "HOME": self.dir, "RABBITMQ_NODENAME": f"rabbit{self.number}@localhost", "RABBITMQ_CONFIG_FILE": conf,
            "RABBITMQ_CONF_ENV_FILE": os.path.join(self.dir, "none"), "RABBITMQ_MNESIA_BASE": self.dir,
            "RABBITMQ_LOG_BASE": self.dir, "RABBITMQ_ENABLED_PLUGINS_FILE": os.path.join(self.dir, "plugins"),
            "RABBITMQ_DIST_PORT": str(free_port()), "RABBITMQ_ERLANG_COOKIE": COOKIE,
            "RABBITMQ_PID_FILE": os.path.join(self.dir, "pid")})
        self.spawn([os.path.join(RABBIT[0], "rabbitmq-server")])

    def join(self, first):
        """They find each other on their own."""


class Ejabberd(ErlangNode):
    name = "ejabberd"
    qos_max = 2
    login = ("--username", "bench", "--password", "x")  # it knows no client without; anyone may come with any

    @staticmethod
    def is_there():
        return bool(EJABBERD)

    def erlang(self, *words):
        return ["erl", "-noinput", "-setcookie", COOKIE, *words]

    def start(self, count):
        conf = os.path.join(self.dir, "ejabberd.yml")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"""hosts: [localhost]
loglevel: warning
auth_method: [anonymous]
anonymous_protocol: login_anon
listen:
  - {{port: {self.port}, ip: "127.0.0.1", module: mod_mqtt, backlog: 1000}}
modules:
  mod_mqtt: {{max_queue: infinity}}
""")
        self.env.update({"HOME": self.dir, "EJABBERD_CONFIG_PATH": conf, "ERL_LIBS": os.path.dirname(os.path.dirname(EJABBERD[0])),
                         "EJABBERD_LOG_PATH": os.path.join(self.dir, "ejabberd.log"), "SPOOL_DIR": self.dir})
        self.spawn(self.erlang("-name", f"ejabberd{self.number}@127.0.0.1", "-mnesia", "dir", f'"{self.dir}/mnesia"',
                               "+K", "true", "+P", "250000", "-s", "ejabberd"))

    def join(self, first):
        call = (f"io:format(\"~p\", [rpc:call('ejabberd{self.number}@127.0.0.1', ejabberd_cluster, join, "
                f"['ejabberd{first.number}@127.0.0.1'])]), halt().")
        done = subprocess.run(self.erlang("-name", f"join{os.getpid()}@127.0.0.1", "-eval", call), env=self.env,
                              capture_output=True, text=True, check=False, timeout=60)
        if done.stdout.strip() != "ok":
            raise SystemExit(f"ejabberd does not join: {done.stdout}{done.stderr}")


@contextlib.contextmanager
def erlang_cluster(kind, count, pin=()):
    """Nodes of the class kind that are one cluster."""
    folder = tempfile.mkdtemp(prefix="covey-bench-")
    env = {"ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(free_port())}
    mapper = subprocess.Popen(["epmd"], env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    nodes = [kind(folder, i, env, pin) for i in range(count)]
    try:
        for node in nodes:
            node.start(count)
            node.wait()
        for node in nodes[1:]:
            node.join(nodes[0])
        for node in nodes:
            node.wait()
        yield nodes
    finally:
        for node in nodes:
            node.kill()
        mapper.kill()
        mapper.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
