"""Those who want to know of every event: a reader that comes back where it was, and the target of a webhook."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .websocket import WebSocket

AGAIN = 0.1
"""Seconds after which a reader that has lost its connection comes back."""


class Follower:
    """Reads the log of events over a WebSocket, from what comes after `after`, and goes on behind the last event that it has read
    whenever it has lost its connection."""

    def __init__(self, after, port=9001):
        self.after, self.port = after, port
        self.events = []
        """All that was read, as it came."""
        self.connections = 0
        self.statuses = set()
        """How it was answered."""
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        while True:
            try:
                line = WebSocket(path=f"/v1/events?after={self.after}", host="127.0.0.1", port=self.port)
            except (OSError, IndexError, ValueError):
                time.sleep(AGAIN)
                continue
            self.statuses.add(line.status)
            if line.status == 101:
                self.connections += 1
                self._read(line)
            line.drop()
            time.sleep(AGAIN)

    def _read(self, line):
        while line.closed is None:
            text = line.receive(60)
            if text is not None:
                event = json.loads(text)
                self.events.append(event)
                self.after = event["id"]


class Target(ThreadingHTTPServer):
    """Takes whatever is posted to it, and remembers each event as it came first."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), _Taker)
        self._lock = threading.Lock()
        self._events = {}
        self.again = 0
        """How many came that had come before."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, event):
        with self._lock:
            self.again += event["id"] in self._events
            self._events.setdefault(event["id"], event)

    def events(self):
        with self._lock:
            return list(self._events.values())

    def handle_error(self, request, client_address):
        """Whoever posts may be killed meanwhile."""


class _Taker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words):
        pass


def by_call(events):
    """The events of each call, in the order in which they came."""
    calls = {}
    for event in events:
        if "call" in event:
            calls.setdefault(event["call"], []).append(event)
    return calls
