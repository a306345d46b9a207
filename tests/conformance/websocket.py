# SPDX-License-Identifier: Apache-2.0
"""A small WebSocket client that looks like a socket to the MQTT client: sendall() sends one binary frame, recv()
gives the payload bytes of binary frames. Frames can also be made by hand, to break the rules on purpose."""
import base64
import hashlib
import os
import socket

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    """The server did not upgrade; status is the HTTP status code or None when it closed without an answer."""

    def __init__(self, status, head):
        super().__init__(f"upgrade refused: {head!r}")
        self.status, self.head = status, head


class WebSocket:
    """protocols: the subprotocols to offer, None sends no such header. After opening, `protocol` holds the
    server's choice or None. close_code is set once the server's close frame has been read."""

    def __init__(self, host, port, path="/mqtt", protocols=("mqtt",), timeout=5, headers=()):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.close_code, self.frames, self.protocol = b"", None, [], None
        try:
            self._upgrade(host, port, path, protocols, headers)
        except BaseException:
            self.sock.close()
            raise

    def _upgrade(self, host, port, path, protocols, headers):
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13", *headers]
        if protocols is not None:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            try:
                more = self.sock.recv(4096)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Refused(None, self.buffer)
            self.buffer += more
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        code = int(status.split()[1])
        self.headers = {k.strip().lower(): v.strip() for k, _, v in (f.partition(":") for f in fields)}
        if code != 101:
            raise Refused(code, head)
        want = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        assert self.headers.get("sec-websocket-accept") == want, f"wrong Sec-WebSocket-Accept: {head!r}"
        self.protocol = self.headers.get("sec-websocket-protocol")

    def send_frame(self, opcode, data=b"", fin=True, mask=True, reserved=0):
        """One frame as told; mask=False breaks RFC 6455 on purpose."""
        first = (0x80 if fin else 0) | reserved << 4 | opcode
        bit, size = (0x80 if mask else 0), len(data)
        if size < 126:
            head = bytes([first, bit | size])
        elif size < 65536:
            head = bytes([first, bit | 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([first, bit | 127]) + size.to_bytes(8, "big")
        if not mask:
            self.sock.sendall(head + data)
            return
        key = os.urandom(4)
        pad = (key * (size // 4 + 1))[:size]
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        self.sock.sendall(head + key + masked)

    def sendall(self, data):
        self.send_frame(BINARY, data)

    def recv(self, size=65536):
        """Bytes of the next data frame; b"" once the server closes. Raises as socket.recv does."""
        while True:
            frame = self._take_frame()
            if frame is None:
                more = self.sock.recv(size)
                if not more:
                    return b""
                self.buffer += more
                continue
            opcode, data = frame
            self.frames.append(opcode)
            if opcode == CLOSE:
                self.close_code = int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005
                return b""
            if opcode == PING:
                self.send_frame(PONG, data)
            elif opcode in (BINARY, CONT) and data:
                return data
            elif opcode == TEXT:
                raise AssertionError("text frame from the server [MQTT-6.0.0-1]")

    def _take_frame(self):
        buf = self.buffer
        if len(buf) < 2:
            return None
        assert not buf[1] & 0x80, "masked frame from the server"
        assert not buf[0] & 0x70, "reserved bits in a frame from the server"
        size, at = buf[1] & 0x7F, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(buf[2:at], "big")
        if len(buf) < at or len(buf) < at + size:
            return None
        self.buffer = buf[at + size:]
        return buf[0] & 15, buf[at:at + size]

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def shutdown(self, how):
        self.sock.shutdown(how)

    def close(self):
        self.sock.close()
