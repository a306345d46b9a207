# SPDX-License-Identifier: Apache-2.0
"""MQTT 5.0 chapter 4.13: malformed packets and protocol errors; MQTT 3.1.1 chapter 4.8. What each packet's own chapter
says is tested there; here is what holds for every error."""
import os
import random

from mqttlib import *
from suite import Case, statement, versions


def broken(v):
    """One error of each kind that the version knows."""
    found = {
        "unknown type": packet(0, 0), "second CONNECT": connect("x", v), "PINGRESP": packet(PINGRESP, 0),
        "reserved flags": packet(SUBSCRIBE, 0, b"\0\1"), "QoS 3": packet(PUBLISH, 6, b"\0\1t\0\1"),
        "cut topic": packet(PUBLISH, 0, b"\0\5t"), "no packet identifier": packet(PUBLISH, 2, b"\0\1t"),
        "id 0": publish("t", b"x", 1, 0, version=v), "empty SUBSCRIBE": packet(SUBSCRIBE, 2),
        "no filter": subscribe(1, [], version=v), "length of five bytes": b"\x30\x80\x80\x80\x80\x01",
        "UTF-8": publish(b"\xff", b"x", version=v), "wildcard in a topic": publish("a/#", b"x", version=v),
    }
    if v == V31:
        del found["no filter"], found["empty SUBSCRIBE"], found["reserved flags"]    # 3.1 does not say what to do
    if v == V5:
        found |= {"unknown property": publish("t", props_=[b"\x7f\0"]), "property twice": publish("t", props_=[(ALIAS, 1)] * 2),
                  "property of another packet": publish("t", props_=[(SESSION_EXPIRY, 1)]),
                  "properties cut": packet(PUBLISH, 0, b"\0\1t\5\1"), "payload format 2": publish("t", props_=[(PAYLOAD_FORMAT, 2)])}
    return found


class Errors(Case):
    @statement("MQTT-4.13.1-1", "MQTT-4.13.2-1", "MQTT3-4.8.0-1", "DIFF-malformed-packet")
    @versions()
    def test_each_error_ends_its_connection_only(self, v):
        """v5 is told why; the will is published; what came before counts, what comes after does not; the session stays
        and a bystander notices nothing."""
        for name, data in broken(v).items():
            with self.subTest(version=v, error=name):
                bystander, topic = self.client(), unique()
                bystander.subscribe(topic + "/#")
                c = self.session(version=v, will=Will(topic + "/will", b"will"))
                c.subscribe(topic + "/kept", qos=1)
                c.send(publish(topic + "/before", b"1", version=v), data, publish(topic + "/after", b"2", version=v), pingreq())
                c.expect_disconnect(0x81, 0x82, 0x90)
                self.assertEqual([bystander.recv_publish(timeout=2).topic for _ in range(2)], [topic + "/before", topic + "/will"])
                bystander.publish(topic + "/kept", b"3", qos=1)
                self.assertEqual(bystander.recv_publish().topic, topic + "/kept")
                again = self.session(c.id, version=v)
                self.assertEqual(again.connack.session_present, v != V31)
                self.assertEqual(again.recv_publish().payload, b"3")
                again.disconnect()

    @statement("MQTT-4.13.1-1", "MQTT3-4.8.0-1")
    @versions()
    def test_errors_in_small_pieces(self, v):
        """The same bytes one at a time: the packet is judged by what it is, not by how it arrives."""
        for name in ("QoS 3", "cut topic", "id 0", "UTF-8", "wildcard in a topic"):
            c = self.client(version=v)
            for byte in broken(v)[name]:
                c.send(bytes([byte]))
            c.expect_disconnect(0x81, 0x82, 0x90)

    @statement("MQTT-4.13.1-1", "MQTT3-4.8.0-1")
    @versions()
    def test_mutated_packets(self, v):
        """Good packets with random bytes changed, a fixed seed: whatever happens to that connection, the server goes on
        and keeps to the protocol (the client's parser checks each packet it gets)."""
        rng, topic = random.Random(4711 + v), unique()
        good = [publish(topic, b"payload", 1, 7, props_=[(USER_PROPERTY, ("a", "b")), (MESSAGE_EXPIRY, 60)], version=v),
                subscribe(3, [(topic + "/a", 1), (topic + "/+", 2)], [(SUBSCRIPTION_ID, 9)] if v == V5 else (), version=v),
                unsubscribe(4, [topic + "/+"], version=v), ack(PUBREL, 9), publish(topic, b"x", 2, 8, version=v)]
        for _ in range(300):
            data = bytearray(b"".join(rng.sample(good, 3)))
            for _ in range(rng.randint(1, 3)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            c = self.client(version=v)
            c.send(bytes(data), pingreq() * 40)     # the PINGREQs end a packet whose length has become larger
            try:
                c.sock.shutdown(1)
            except OSError:
                pass        # closed already
            while not c.eof:
                try:
                    c.recv()
                except Closed:
                    break
        self.client(version=v).expect_nothing()

    @statement("MQTT-4.13.2-1", "MQTT-3.2.2-7")
    def test_error_code_means_the_end(self):
        """CONNACK and DISCONNECT with 0x80 or more, then end of file, also when the client does not close and goes on
        sending."""
        flood = [publish(unique(), b"x" * 1000)] * 100
        c = self.raw()
        c.send(connect(unique(), props_=[(AUTH_METHOD, "none such")]), *flood).expect_refused(0x8C, 0x87)
        for data in (connect("x"), packet(PUBLISH, 6, b"\0\1t\0\1")):
            c = self.client()
            c.send(data, *flood).expect_disconnect(0x81, 0x82)

    @statement("MQTT3-4.8.0-2")
    @versions(V31, V311)
    def test_what_cannot_be_done_closes(self, v):
        """The versions without reason codes: an operation that the server cannot carry out ends the connection on which
        it came (here: a packet larger than the server takes), and that connection only."""
        own = self.own_broker({"packet_size_max": 1000})
        other = self.client(version=v, on=own)
        c = self.client(version=v, on=own)
        c.send(publish("t", os.urandom(2000), version=v), pingreq()).expect_closed(allow=())
        other.expect_nothing()
