"""Hookswitch taken apart: one process for each role, or for some of them, on this host."""

import json
import subprocess
from http.client import HTTPConnection, HTTPException

from . import programs, verdict
from .switch import SECRETS


class Node:
    """A process with these roles. `config` is its whole file."""

    def __init__(self, name, roles, config, port):
        self.name, self.roles, self.port = name, roles, port
        self.folder = verdict.SCRATCH / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "hookswitch.yml"
        self.config.write_text(config)
        self.log = self.folder / "log"
        self.program = None

    def start(self):
        words = [verdict.HOOKSWITCH, "serve", "--config", self.config, "--data-dir", self.folder / "data", "--roles", self.roles]
        self.program = programs.start(words, self.log)
        verdict.wait_for(self._is_up, 10, f"the {self.name} node answers")
        return self

    def http(self, method, path, body=None, token=None):
        """Status and document of a request to it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            headers = {"Content-Type": "application/json"}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text.startswith((b"{", b"[")) else None
        finally:
            connection.close()

    def _is_up(self):
        if self.program.poll() is not None:
            verdict.fail(f"the {self.name} node ended with status {self.program.returncode}")
        try:
            return self.http("GET", "/health")[0] is not None
        except (OSError, HTTPException):
            return False

    def listens(self):
        """The sockets on which it listens: protocol and port."""
        lines = subprocess.run(["ss", "-Hlnptu"], check=True, capture_output=True, text=True).stdout.splitlines()
        own = (line.split() for line in lines if f"pid={self.program.pid}," in line)
        return {(words[0], int(words[4].rpartition(":")[2])) for words in own}

    def kill(self):
        self.program.kill()
        self.program.wait()

    def stop(self):
        return programs.stop(self.program, seconds=10)


class Site:
    """All roles apart: one control process, one SIP process, and as many with audio as are wanted, and a secret that all share.

    `more` are further sections of the control process.
    """

    TOKEN = "a-secret-of-all-nodes"
    DOMAIN = "example.test"

    def __init__(self, address, media=1, more=""):
        token = verdict.SCRATCH / "token"
        token.write_text(self.TOKEN + "\n")
        shared = f'token: "file:{token}"'
        self.sip = Node("sip", "sip", f'''\
sip: {{ listen: [ "udp:0.0.0.0:5060", "tcp:0.0.0.0:5060" ] }}
nodes: {{ {shared} }}
''', 9000)
        ports = range(9002, 9002 + media)
        self.media = [Node(f"media-{port}", "media", f'''\
channels: {{ listen: "127.0.0.1:{port}" }}
media: {{ address: {address}, ports: {first}-{first + 999} }}
nodes: {{ {shared} }}
''', port) for port, first in zip(ports, range(20_000, 40_000, 2_000))]
        users = ", ".join(f"{name}: {{ secret: {secret} }}" for name, secret in SECRETS.items())
        urls = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
        self.control = Node("control", "control", f'''\
nodes: {{ sip: [ "http://127.0.0.1:9000" ], media: [ {urls} ], {shared} }}
domains: {{ {self.DOMAIN}: {{ users: {{ {users} }} }} }}
{more}
''', 9001)

    def start(self):
        for node in (self.sip, *self.media, self.control):
            node.start()
        verdict.wait_for(lambda: self.of(self.sip, f"/dir/{self.DOMAIN}")[0] == 200, 5, "the sip node is told of the domain")
        return self

    def of(self, node, path):
        """Status and document of a page of a node."""
        return node.http("GET", path, token=self.TOKEN)

    def legs(self):
        return self.of(self.sip, "/dialog")[1]["count"]

    def load(self, node):
        return self.of(node, "/channel")[1]["channels"]

    def carries(self, node):
        """Whether the audio of both parties of a call is there."""
        return self.load(node)["active"] == 2

    def quiet(self, seconds=10):
        def over():
            return self.legs() == 0 and self.control.http("GET", "/health")[1]["calls"] == 0
        verdict.wait_for(over, seconds, "no leg and no call is left")
