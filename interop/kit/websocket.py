"""A WebSocket client (RFC 6455) small enough to send wrong things, and a Call API client upon it."""

import base64
import json
import os
import socket
import struct
import time

from . import verdict

PORT = 5059
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    def __init__(self, path="/call-api", host="localhost", port=PORT, seconds=5, subprotocol=None, receive_buffer=None,
                 tls=None, name=None, origin=None):
        self.socket = _connected(host, port, seconds, receive_buffer)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name or host)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        if subprotocol:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        if origin:
            lines.append(f"Origin: {origin}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                break
            head += byte
        self.status = int(head.split(b" ")[1]) if head else 0
        self.closed = None
        """The code of the close frame, once it came; 1006 if the connection ended without one."""

    def send(self, text, kind=TEXT):
        self.send_frame(text.encode() if isinstance(text, str) else text, kind)

    def send_frame(self, payload, kind, last=True):
        mask = os.urandom(4)
        head = bytes([kind | (0x80 if last else 0)])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65536:
            head += bytes([0x80 | 126]) + struct.pack("!H", len(payload))
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", len(payload))
        # One long number is masked in a moment, a loop over its bytes is not.
        stretched = mask * (len(payload) // 4 + 1)
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(stretched[: len(payload)], "big")
        self.socket.sendall(head + mask + masked.to_bytes(len(payload), "big"))

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionError("closed")
            data += part
        return data

    def receive(self, seconds=5):
        """The next text, or None when time is up (`closed` is None) or the connection ended (`closed` says how)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.closed is None:
            self.socket.settimeout(left)
            try:
                first, second = self._exactly(2)
                length = second & 0x7F
                if length == 126:
                    (length,) = struct.unpack("!H", self._exactly(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", self._exactly(8))
                payload = self._exactly(length)
            except TimeoutError:
                return None
            except OSError:
                self.closed = 1006
                return None
            kind = first & 0x0F
            if kind == TEXT:
                return payload.decode()
            if kind == PING:
                self.send_frame(payload, PONG)
            if kind == CLOSE:
                self.closed = struct.unpack("!H", payload[:2])[0] if payload else 1005
        return None

    def drop(self):
        """Leaves without a word."""
        self.socket.close()


def _connected(host, port, seconds, receive_buffer):
    error = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(seconds)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            connection.connect(address)
            return connection
        except OSError as refused:
            connection.close()
            error = refused
    raise error


class CallApi(WebSocket):
    """Sends commands and reads what comes back, in the order in which it comes."""

    def __init__(self, **options):
        super().__init__(**options)
        self.log = []
        """All that was read, as dictionaries."""
        self._next = 1

    def request(self, method, params):
        number, self._next = self._next, self._next + 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        return number

    def read(self, seconds=5):
        text = self.receive(seconds)
        if text is None:
            return None
        message = json.loads(text)
        self.log.append(message)
        return message

    def read_until(self, condition, seconds, text):
        """Reads on until a message fits; it is the result. Messages that came before are in `log`."""
        for message in self.log:
            if condition(message):
                return message
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.closed is None:
            message = self.read(left)
            if message and condition(message):
                return message
        events = [event_of(message) for message in self.log]
        return verdict.fail(f"{text}: not within {seconds} s; read so far: {events}")

    def until(self, cmd_id, event, seconds=10):
        """The notification or reply of a command with this event."""

        def fits(message):
            said = said_in(message)
            return said.get("cmd_id") == cmd_id and said.get("event") == event

        return said_in(self.read_until(fits, seconds, f"{event} of {cmd_id}"))

    def events(self, cmd_id):
        """The events of a command so far, in order."""
        return [said_in(message)["event"] for message in self.log if said_in(message).get("cmd_id") == cmd_id]


def said_in(message):
    """What a reply or notification says: its result or its params."""
    said = message.get("result") or message.get("params") or {}
    return said if isinstance(said, dict) else {}


def event_of(message):
    return message.get("error", {}).get("message") or said_in(message).get("event")
