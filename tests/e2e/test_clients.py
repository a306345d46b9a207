# SPDX-License-Identifier: Apache-2.0
"""Clients that others wrote talk to each other through Covey on the topic `test`: mosquitto_sub and mosquitto_pub,
Paho for Python and MQTT.js, over TCP, TLS, WebSocket and secure WebSocket, in all protocol versions."""
import os
import subprocess
import threading
import unittest

import paho.mqtt.client as paho

import harness
from harness import HERE, Case, Output, certs

TOPIC = "test"


class Mosquitto:
    """mosquitto_sub, and a mosquitto_pub for each message."""

    def __init__(self, node, version="311", tls=False):
        self.options = ["-h", "localhost" if tls else "127.0.0.1", "-p", str(node.tls_port if tls else node.port),
                        "-V", version, "-q", "1", "-t", TOPIC] + (["--cafile", f"{certs()}/ca.pem"] if tls else [])
        self.output = Output(["stdbuf", "-oL", "mosquitto_sub", *self.options, "-d", "-F", "MESSAGE %p"])
        self.output.wait_for_line("Subscribed (mid")

    def publish(self, text):
        done = subprocess.run(["mosquitto_pub", *self.options, "-m", text], capture_output=True, text=True, timeout=20,
                              check=False)
        assert done.returncode == 0 and not done.stderr, done

    def wait_for(self, texts):
        wait_for_messages(self.output, texts)

    def end(self):
        self.output.end()


class MqttJs:
    def __init__(self, node, scheme, version):
        port = {"mqtt": node.port, "mqtts": node.tls_port, "ws": node.ws_port, "wss": node.wss_port}[scheme]
        url = f"{scheme}://localhost:{port}" + ("/mqtt" if "ws" in scheme else "")
        command = ["node", os.path.join(HERE, "mqttjs", "client.js"), url, str(version), TOPIC]
        command += [f"{certs()}/ca.pem"] if scheme in ("mqtts", "wss") else []
        # localhost may be ::1 first, where the test's node does not listen.
        self.output = Output(command, stdin=subprocess.PIPE,
                             env=dict(os.environ, NODE_OPTIONS="--dns-result-order=ipv4first"))
        self.output.wait_for_line("SUBSCRIBED 1")

    def publish(self, text):
        self.output.process.stdin.write(text + "\n")
        self.output.process.stdin.flush()
        self.output.wait_for_line(f"PUBLISHED {text}")

    def wait_for(self, texts):
        wait_for_messages(self.output, texts)

    def end(self):
        self.output.process.stdin.close()
        self.output.process.wait(10)


class Paho:
    def __init__(self, node, version, transport="tcp", tls=False):
        protocol = {3: paho.MQTTv31, 4: paho.MQTTv311, 5: paho.MQTTv5}[version]
        options = {} if version == 5 else {"clean_session": True}
        self.messages, self.changed = [], threading.Condition()
        self.client = paho.Client(f"paho{version}{transport}{tls}", protocol=protocol, transport=transport, **options)
        if tls:
            self.client.tls_set(ca_certs=f"{certs()}/ca.pem")
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_message = self._on_message
        port = {("tcp", False): node.port, ("tcp", True): node.tls_port, ("websockets", False): node.ws_port,
                ("websockets", True): node.wss_port}[(transport, tls)]
        if transport == "websockets":
            self.client.ws_set_options(path="/mqtt")
        self.client.connect("localhost" if tls else "127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe(TOPIC, 1)
        assert subscribed.wait(20), "no SUBACK"

    def _on_message(self, _client, _userdata, message):
        with self.changed:
            self.messages.append(message.payload.decode())
            self.changed.notify_all()

    def publish(self, text):
        info = self.client.publish(TOPIC, text, 1)
        info.wait_for_publish(20)
        assert info.is_published(), f"no PUBACK for {text}"

    def wait_for(self, texts):
        with self.changed:
            arrived = self.changed.wait_for(lambda: len(self.messages) >= len(texts), 20)
        assert arrived and sorted(self.messages) == sorted(texts), f"wanted {texts}, got {self.messages}"

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def wait_for_messages(output, texts):
    def messages(lines):
        return [line[8:] for line in lines if line.startswith("MESSAGE ")]
    output.wait_for(lambda lines: len(messages(lines)) >= len(texts), what=f"all of {texts}")
    assert sorted(messages(output.lines)) == sorted(texts), f"wanted {texts}, got {messages(output.lines)}"


class Clients(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = harness.Node(tls=True)
        cls.addClassCleanup(cls.shared.remove)

    def exchange(self, *makers):
        """All subscribe, each publishes once, everybody hears everything once."""
        parties, texts = [], []
        for make in makers:
            parties.append(make())
            self.addCleanup(parties[-1].end)
        for number, party in enumerate(parties):
            texts.append(f"message {number} of {self._testMethodName}, grüezi")
            party.publish(texts[-1])
        for party in parties:
            party.wait_for(texts)

    def mosquitto(self, version="311", tls=False):
        return lambda: Mosquitto(self.shared, version, tls)

    def paho(self, version, transport="tcp", tls=False):
        return lambda: Paho(self.shared, version, transport, tls)

    def mqttjs(self, scheme, version):
        return lambda: MqttJs(self.shared, scheme, version)

    def test_mosquitto_in_all_versions(self):
        self.exchange(self.mosquitto("31"), self.mosquitto("311"), self.mosquitto("5"))

    def test_mosquitto_over_tls(self):
        self.exchange(self.mosquitto("311", tls=True), self.mosquitto("5", tls=True), self.mosquitto("5"))

    def test_paho_over_tcp_in_all_versions(self):
        self.exchange(self.paho(3), self.paho(4), self.paho(5), self.mosquitto())

    def test_paho_over_websocket(self):
        self.exchange(self.paho(4, "websockets"), self.paho(5, "websockets"), self.mosquitto())

    def test_paho_over_tls_and_secure_websocket(self):
        self.exchange(self.paho(5, tls=True), self.paho(5, "websockets", tls=True), self.mosquitto("5"))

    def test_mqttjs_over_websocket(self):
        self.exchange(self.mqttjs("ws", 4), self.mqttjs("ws", 5), self.mosquitto())

    def test_mqttjs_over_secure_websocket(self):
        self.exchange(self.mqttjs("wss", 4), self.mqttjs("wss", 5), self.mosquitto())

    def test_mqttjs_over_tcp_and_tls(self):
        self.exchange(self.mqttjs("mqtt", 3), self.mqttjs("mqtt", 5), self.mqttjs("mqtts", 5), self.mosquitto())

    def test_everybody_hears_everybody(self):
        """The browser, the desktop client and the script: one topic, all transports."""
        self.exchange(self.mosquitto("31"), self.mosquitto("5", tls=True), self.paho(4), self.paho(5, "websockets"),
                      self.paho(5, "websockets", tls=True), self.mqttjs("ws", 5), self.mqttjs("wss", 4),
                      self.mqttjs("mqtt", 4))


if __name__ == "__main__":
    unittest.main()
