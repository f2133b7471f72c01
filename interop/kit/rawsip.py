"""A user agent that does only what a test tells it: it sends what it is told, when it is told, right or wrong."""

import heapq
import itertools
import selectors
import socket
import time

SWITCH = ("127.0.0.1", 5060)
_numbers = itertools.count(1)


class Message:
    """A SIP message as it came: its first line, its headers in order, its body."""

    def __init__(self, data):
        head, _, self.body = data.decode(errors="replace").partition("\r\n\r\n")
        self.first, *lines = head.split("\r\n")
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line]
        self.is_response = self.first.startswith("SIP/2.0 ")
        self.status = int(self.first.split(" ")[1]) if self.is_response else None
        self.sequence, self.method = (self.get("CSeq") or "0 NONE").split()[:2]

    def all(self, name):
        return [value for header, value in self.headers if header.lower() == name.lower()]

    def get(self, name):
        return next(iter(self.all(name)), None)

    @property
    def contact(self):
        """The URI of its Contact."""
        return self.get("Contact").split("<")[1].split(">")[0]


def sdp(address, port, codec="0 PCMU/8000", extra=""):
    number = codec.split()[0]
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {number}\r\na=rtpmap:{codec}\r\n{extra}"
    )


def media_address(body):
    """Where an SDP wants its audio: host and port."""
    lines = body.split("\r\n")
    host = next(line for line in lines if line.startswith("c=")).split()[-1]
    port = next(line for line in lines if line.startswith("m=audio")).split()[1]
    return host, int(port)


def text(first, headers, body=""):
    lines = [first, *headers]
    if body:
        lines.append("Content-Type: application/sdp")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()


class Agent:
    """A UDP socket with a name. `on_message(agent, message, source)` gets what comes in while a `Stage` plays."""

    def __init__(self, address, port, on_message=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, port))
        self.address, self.port = address, port
        self.here = f"{address}:{port}"
        self.on_message = on_message

    def send(self, data, to=SWITCH):
        self.socket.sendto(data, to)

    def receive(self, seconds=5):
        self.socket.settimeout(seconds)
        try:
            return Message(self.socket.recv(65536))
        except TimeoutError:
            return None

    def receive_final(self, seconds=5, method=None):
        """The next final response, to a request of this method if one is named."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            message = self.receive(left)
            if message and message.is_response and message.status >= 200 and method in (None, message.method):
                return message
        return None

    def respond(self, request, status, body="", source=SWITCH):
        headers = [f"Via: {via}" for via in request.all("Via")]
        headers += [f"Record-Route: {route}" for route in request.all("Record-Route")]
        to = request.get("To")
        if ";tag=" not in to and status > 100:
            to += f";tag=to-{request.get('Call-ID')[:12]}"
        headers += [f"From: {request.get('From')}", f"To: {to}", f"Call-ID: {request.get('Call-ID')}"]
        headers += [f"CSeq: {request.get('CSeq')}", f"Contact: <sip:{self.here}>"]
        self.send(text(f"SIP/2.0 {status} {REASONS[status]}", headers, body), source)


REASONS = {100: "Trying", 180: "Ringing", 200: "OK", 480: "Temporarily Unavailable", 481: "Call Does Not Exist",
           486: "Busy Here", 487: "Request Terminated"}


class Call:
    """What the calling side of one call knows: enough to write each of its requests."""

    def __init__(self, agent, uri, user="raw", body=None, transport="UDP"):
        self.agent, self.uri, self.transport = agent, uri, transport
        self.number = next(_numbers)
        self.id = f"{agent.address}-{agent.port}-{self.number}-{time.monotonic_ns()}"
        self.branch = f"z9hG4bK-{self.id}"
        self.sender = f"<sip:{user}@{agent.address}>;tag=from-{self.number}"
        self.body = sdp(agent.address, 40000) if body is None else body
        self.answer = None

    def _headers(self, method, sequence, branch, to):
        return [
            f"Via: SIP/2.0/{self.transport} {self.agent.here};branch={branch};rport",
            f"From: {self.sender}",
            f"To: {to}",
            f"Call-ID: {self.id}",
            f"CSeq: {sequence} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:raw@{self.agent.here}>",
        ]

    def invite_text(self):
        return text(f"INVITE {self.uri} SIP/2.0", self._headers("INVITE", 1, self.branch, f"<{self.uri}>"), self.body)

    def invite(self):
        self.agent.send(self.invite_text())

    def cancel(self):
        self.agent.send(text(f"CANCEL {self.uri} SIP/2.0", self._headers("CANCEL", 1, self.branch, f"<{self.uri}>")))

    def ack(self, response, body=""):
        """Of a 200 within the dialog, of any other final response within the transaction."""
        if response.status < 300:
            self.answer = response
            uri, branch = response.contact, f"{self.branch}-ack"
        else:
            uri, branch = self.uri, self.branch
        self.agent.send(text(f"ACK {uri} SIP/2.0", self._headers("ACK", 1, branch, response.get("To")), body))

    def bye(self):
        headers = self._headers("BYE", 2, f"{self.branch}-bye", self.answer.get("To"))
        self.agent.send(text(f"BYE {self.answer.contact} SIP/2.0", headers))


class Stage:
    """Agents that act at the same time: on messages, and at moments that were set."""

    def __init__(self, *agents):
        self._selector = selectors.DefaultSelector()
        self._moments = []
        self._tie = itertools.count()
        for agent in agents:
            self._selector.register(agent.socket, selectors.EVENT_READ, agent)

    def after(self, seconds, action):
        heapq.heappush(self._moments, (time.monotonic() + seconds, next(self._tie), action))

    def play(self, seconds, until=lambda: False):
        """Plays until `until()` is true or time is up; says which."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until():
                return True
            while self._moments and self._moments[0][0] <= time.monotonic():
                heapq.heappop(self._moments)[2]()
            next_moment = self._moments[0][0] if self._moments else end
            wait = min(max(0.0, next_moment - time.monotonic()), 0.05)
            for key, _ in self._selector.select(wait):
                data, source = key.data.socket.recvfrom(65536)
                if key.data.on_message and data.strip():
                    key.data.on_message(key.data, Message(data), source)
        return until()
