# SPDX-License-Identifier: Apache-2.0
"""Clients of the tests of several nodes."""
import subprocess

from mqttlib import unique
from streams import WAIT


def heard_by_mosquitto(sub_port, pub_port, qos):
    """What mosquitto_sub prints of three messages that mosquitto_pub sends to another node."""
    topic, lines = unique(), [f"payload {i}" for i in range(3)]
    sub = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-d", "-p", str(sub_port), "-q", str(qos), "-t", topic,
                            "-C", str(len(lines)), "-W", str(WAIT)], stdout=subprocess.PIPE, text=True)
    try:
        while "Subscribed" not in (line := sub.stdout.readline()):
            if not line:
                raise AssertionError("mosquitto_sub ended")
        subprocess.run(["mosquitto_pub", "-p", str(pub_port), "-q", str(qos), "-t", topic, "-l"], text=True, check=True,
                       input="\n".join(lines) + "\n", timeout=WAIT)
        return [line for line in sub.communicate(timeout=WAIT + 5)[0].splitlines() if line.startswith("payload")], lines
    finally:
        sub.kill()
        sub.wait()
