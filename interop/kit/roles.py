"""Hookswitch taken apart: one process for each role, or for some of them, on this host."""

import json
import subprocess
from http.client import HTTPConnection, HTTPException

from . import programs, verdict


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
