"""A phone as a browser has it: SIP over one WebSocket (RFC 7118), a Contact that leads nowhere, digest."""

import hashlib
import itertools
import re
import time

from . import verdict
from .rawsip import Call, Message, text
from .websocket import WebSocket

_numbers = itertools.count(1)


class WebPhone:
    """Looks like a `rawsip.Agent`, so that a `rawsip.Call` can be made with it."""

    def __init__(self, user, secret, port, domain="example.test", host="127.0.0.1", tls=None, origin=None):
        self.line = WebSocket("/", host, port, subprotocol="sip", tls=tls, name=domain, origin=origin)
        self.user, self.secret, self.domain = user, secret, domain
        self.over = "WSS" if tls else "WS"
        self.address = f"df7jal23ls0d{next(_numbers)}.invalid"
        self.port, self.here = 0, self.address
        self.body_address = host

    def send(self, data, to=None):
        self.line.send(data)

    def receive(self, seconds=5):
        said = self.line.receive(seconds)
        return Message(said.encode()) if said and said.strip() else None

    def receive_final(self, seconds=5, method=None):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.line.closed is None:
            message = self.receive(left)
            if message and message.is_response and message.status >= 200 and method in (None, message.method):
                return message
        return None

    def receive_request(self, method, seconds=5):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.line.closed is None:
            message = self.receive(left)
            if message and not message.is_response and message.method == method:
                return message
        return verdict.fail(f"no {method} over {self.over} within {seconds} s")

    def register(self, expires=600):
        """Registers with digest; the last answer."""
        call, uri = f"reg-{self.address}-{time.monotonic_ns()}", f"sip:{self.domain}"
        answer, credentials = None, []
        for sequence in (1, 2):
            headers = [
                f"Via: SIP/2.0/{self.over} {self.here};branch=z9hG4bK-{call}-{sequence}",
                f"From: <sip:{self.user}@{self.domain}>;tag=web", f"To: <sip:{self.user}@{self.domain}>",
                f"Call-ID: {call}", f"CSeq: {sequence} REGISTER", "Max-Forwards: 70", f"Expires: {expires}",
                f"Contact: <sip:{self.user}@{self.here};transport=ws>;reg-id=1", *credentials,
            ]
            self.send(text(f"REGISTER {uri} SIP/2.0", headers))
            answer = self.receive_final(5, "REGISTER")
            if not answer or answer.status != 401:
                break
            credentials = [f"Authorization: {self._digest(answer.get('WWW-Authenticate'), 'REGISTER', uri)}"]
        return answer

    def _digest(self, challenge, method, uri):
        realm, nonce = (re.search(rf'{name}="([^"]*)"', challenge).group(1) for name in ("realm", "nonce"))

        def md5(words):
            return hashlib.md5(words.encode()).hexdigest()

        first, second = md5(f"{self.user}:{realm}:{self.secret}"), md5(f"{method}:{uri}")
        response = md5(f"{first}:{nonce}:00000001:c0ffee:auth:{second}")
        return (
            f'Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
            'algorithm=MD5, qop=auth, nc=00000001, cnonce="c0ffee"'
        )

    def respond(self, request, status, reason, body=""):
        to = request.get("To")
        headers = [f"Via: {via}" for via in request.all("Via")]
        headers += [f"From: {request.get('From')}", f"To: {to}" + ("" if ";tag=" in to else ";tag=web-called")]
        headers += [f"Call-ID: {request.get('Call-ID')}", f"CSeq: {request.get('CSeq')}"]
        headers += [f"Contact: <sip:{self.user}@{self.here};transport=ws>"]
        self.send(text(f"SIP/2.0 {status} {reason}", headers, body))

    def invite(self, uri, body):
        """Calls with its password; the call, and the final answer to it."""
        first = WebCall(self, uri, body)
        first.invite()
        refused = self.receive_final(5, "INVITE")
        challenge = refused and (refused.get("WWW-Authenticate") or refused.get("Proxy-Authenticate"))
        verdict.check(challenge, f"{self.over}: a call without a password is asked for it")
        first.ack(refused)
        name = "Authorization" if refused.status == 401 else "Proxy-Authorization"
        second = WebCall(self, uri, body, [f"{name}: {self._digest(challenge, 'INVITE', uri)}"])
        second.invite()
        return second, self.receive_final(5, "INVITE")

    def drop(self):
        self.line.drop()


class WebCall(Call):
    """A call of a web phone, under its own name."""

    def __init__(self, phone, uri, body, credentials=()):
        super().__init__(phone, uri, phone.user, body, phone.over)
        self.sender = f"<sip:{phone.user}@{phone.domain}>;tag=from-{self.number}"
        self.credentials = credentials

    def _headers(self, method, sequence, branch, to):
        return [*super()._headers(method, sequence, branch, to), *(self.credentials if method == "INVITE" else ())]
