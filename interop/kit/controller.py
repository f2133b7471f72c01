"""A control server of single legs, written after the readme of project-mediaswitch: it knows no library and nothing of our code.

Its dial plan: a user is called, with the descriptions of both phones passed across, so that they talk past the switch.
`9<code>` refuses with that code, `7` answers by itself with a description of nobody.
"""

import json
import socket
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

NOBODY = {"v": 0, "o": {"username": "-", "sessionid": 1, "sessionversion": 1, "nettype": "IN", "ipver": 4, "address": "127.0.0.1"},
          "s": "-", "c": [{"nettype": "IN", "ipver": 4, "address": "127.0.0.1"}], "t": {"start": 0, "stop": 0},
          "m": [{"media": "audio", "port": 40002, "proto": "RTP/AVP", "payloads": [0], "direction": "sendrecv",
                 "rtpmap": {"0": {"encoding": "PCMU", "clock": "8000"}}}]}


class Leg:
    """What is known of one dialog: its last document, the other leg, and what we wait for."""

    def __init__(self, document):
        self.document, self.other, self.waiting = document, None, None

    @property
    def callid(self):
        return self.document["callid"]

    @property
    def them(self):
        return self.document["sdp"]["them"]


class Controller:
    def __init__(self, sip="127.0.0.1:9000", port=9001):
        self.sip = sip
        self.legs, self.events, self.registrations = {}, [], []
        self.connections = []
        self.changed = threading.Condition(threading.RLock())
        controller = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                controller.connections.append(self.connection)

            def handle_request(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.wfile.flush()
                controller.take(self.command, parts, body)

            do_PUT = do_DELETE = handle_request

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        """As if it had died: nobody listens, and connections end."""
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def ask(self, method, path, body=None):
        """Status and body of a request to the SIP server."""
        connection = HTTPConnection(self.sip, timeout=5)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()

    def tell(self, leg, action, **more):
        return self.ask("PUT", f"/dialog/{action}", {"callid": leg.callid, **more})[0]

    def call(self, to, domain, offer, by):
        """A new leg to a user, with an offer; `by` is the leg because of which it is called."""
        status, answer = self.ask("POST", "/dialog/invite", {
            "from": {"domain": domain, "user": by.document["from"]}, "to": {"user": to}, "maxforwards": by.document["maxforwards"] - 1,
            "cid": {"number": by.document["from"], "name": "by controller", "private": False}, "sdp": offer,
            "control": "http://127.0.0.1:9001"})
        if status != 200:
            return status
        leg = Leg({"callid": answer["callid"], "sdp": {"them": {}}})
        return self.legs.setdefault(leg.callid, leg)

    def until(self, found, seconds=8):
        """Waits until `found(events)` is something; the result is that."""
        with self.changed:
            self.changed.wait_for(lambda: found(self.events), seconds)
            return found(self.events)

    def take(self, method, parts, body):
        with self.changed:
            if parts[0] == "reg":
                self.registrations.append((method, *parts[1:], body))
            else:
                assert parts == ["dialog", body["callid"]], parts
                self.events.append(body)
                self.dialog(body)
            self.changed.notify_all()

    def dialog(self, document):
        leg = self.legs.get(document["callid"])
        if leg is None:
            leg = self.legs[document["callid"]] = Leg(document)
        before, leg.document = leg.document, document
        if document["hangup"]:
            return self.hung_up(leg)
        if not document["originator"] and document["seq"] == 1:
            return self.new_call(leg)
        if "refer" in document:
            return self.transfer(leg, document["refer"])
        if leg.waiting:
            # What it has said to our change.
            waiting, leg.waiting = leg.waiting, None
            return waiting()
        if document["originator"] and not before.get("answered"):
            return self.progress(leg)
        if before.get("answered") and document["sdp"]["them"] != before["sdp"]["them"]:
            self.pass_change(leg)

    def new_call(self, leg):
        to = leg.document["to"]
        if to == "7":
            return self.tell(leg, "answer", sdp=NOBODY)
        if to.startswith("9"):
            return self.tell(leg, "hangup", code=int(to[1:]))
        other = self.call(to, leg.document["domain"], leg.them, leg)
        if isinstance(other, int):
            return self.tell(leg, "hangup", code=other)
        leg.other, other.other = other, leg

    def progress(self, leg):
        other = leg.other
        if leg.document["answered"]:
            if other.document.get("answered"):
                # A transfer: who stays hears of the new party.
                leg.on_answer()
            else:
                self.tell(other, "answer", sdp=leg.them)
        elif leg.document["ring"] and not other.document.get("answered"):
            self.tell(other, "ring", alertinfo="<http://127.0.0.1>;info=alert-internal")

    def pass_change(self, leg):
        """A phone has changed its session: the other one hears of it, and the answer goes back."""
        other = leg.other
        other.waiting = lambda: self.tell(leg, "ok", sdp=other.them)
        self.tell(other, "invite", sdp=leg.them)

    def transfer(self, leg, refer):
        stays = leg.other
        if "replaces" in refer:
            second = self.legs[refer["replaces"]]
            joined = second.other
            stays.other, joined.other, leg.other, second.other = joined, stays, None, None

            def answered():
                self.tell(stays, "invite", sdp=joined.them)
                self.tell(leg, "notify")
                self.tell(leg, "hangup")
                self.tell(second, "hangup")

            joined.waiting = answered
            stays.waiting = lambda: None
            self.tell(joined, "invite", sdp=stays.them)
            return
        new = self.call(refer["to"], stays.document["domain"], stays.them, stays)
        if isinstance(new, int):
            return
        stays.other, new.other, leg.other = new, stays, None

        def answered():
            stays.waiting = lambda: None
            self.tell(stays, "invite", sdp=new.them)
            self.tell(leg, "notify")
            self.tell(leg, "hangup")

        new.on_answer = answered

    def hung_up(self, leg):
        other, leg.other = leg.other, None
        if other is None or other.document.get("hangup"):
            return
        other.other = None
        code = leg.document["error"]["code"]
        self.tell(other, "hangup", **({"code": code} if code >= 400 else {}))
