"""Hookswitch itself, as it would be run: one binary, one file, one data folder."""

import json
from http.client import HTTPConnection, HTTPException

from . import programs, verdict

CONFIG = """\
sip:
  listen: [ "udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "udp:[::1]:5060", "tcp:[::1]:5060" ]
  algorithms: [ {algorithms} ]
  trusted: [ {trusted} ]
calls: {{ ring_time: {ring_time}, probe_time: {probe_time}, drain_time: 5 }}
domains:
  example.test:
    users:
      alice: {{ secret: s3cret }}
      bob: {{ secret: s3cret2 }}
      carol: {{ secret: s3cret3 }}
      dave: {{ secret: s3cret4 }}
      erin: {{ secret: s3cret5 }}
log: {{ level: {level} }}
{more}
"""

SECRETS = {"alice": "s3cret", "bob": "s3cret2", "carol": "s3cret3", "dave": "s3cret4", "erin": "s3cret5"}


class Switch:
    """In this network, or in a place, whose HTTP listener has to be reached by the place's address then."""

    def __init__(self, trusted="", ring_time=120, probe_time=60, more="", algorithms="MD5", level="info", name="switch",
                 place=None, secret=None):
        self.place, self.secret = place, secret
        self.host = place.address if place else "127.0.0.1"
        self.folder = verdict.SCRATCH / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "hookswitch.yml"
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        keys = {"trusted": trusted, "ring_time": ring_time, "probe_time": probe_time, "more": more, "level": level,
                "algorithms": algorithms}
        self.config.write_text(CONFIG.format(**keys))
        self.program = None

    def start(self):
        self.launch()
        verdict.wait_for(self._is_up, 10, "hookswitch answers over HTTP")
        return self

    def launch(self):
        """Starts it and does not wait."""
        words = [verdict.HOOKSWITCH, "serve", "--config", self.config, "--data-dir", self.data]
        self.program = programs.start(words, self.log, self.place)
        return self.program

    def http(self, method, path, body=None, seconds=5):
        """As `http`, wherever this switch is."""
        return http(method, path, body, seconds, self.host, self.secret)

    def _is_up(self):
        if self.program.poll() is not None:
            verdict.fail(f"hookswitch ended with status {self.program.returncode}")
        try:
            return self.http("GET", "/reg", seconds=1)[0] == 200
        except (OSError, HTTPException):
            return False

    def stop(self):
        return programs.stop(self.program, seconds=10)

    def kill(self):
        self.program.kill()
        self.program.wait()

    def resident(self):
        """Kilobytes of memory it holds."""
        return programs.resident_kilobytes(self.program.pid)

    def descriptors(self):
        return programs.open_files(self.program.pid)

    def calls(self):
        """How many calls it holds."""
        return self.http("GET", "/health")[1]["calls"]

    def is_alive(self):
        return self.program.poll() is None

    def said(self, text):
        return text in self.log.read_text(errors="replace")


def http(method, path, body=None, seconds=5, host="127.0.0.1", secret=None):
    """Status and body (JSON, or None, or the words of a refusal) of a request to the directory."""
    connection = HTTPConnection(host, 9000, timeout=seconds)
    try:
        text = None if body is None else json.dumps(body)
        shown = {"Authorization": f"Bearer {secret}"} if secret else {}
        connection.request(method, path, text, {"Content-Type": "application/json", **shown})
        response = connection.getresponse()
        text = response.read()
        if response.status >= 400 and not text.startswith((b"{", b"[")):
            return response.status, text.decode(errors="replace")
        return response.status, json.loads(text) if text else None
    finally:
        connection.close()


def registered(user, domain="example.test"):
    """Whether the switch knows where a user is."""
    status, body = http("GET", f"/reg/{domain}/{user}")
    return status == 200 and body["users"].get(user, {}).get("registered", False)
