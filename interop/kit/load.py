"""Runs of `hookswitch bench`, for what other programs cannot do: a hundred thousand phones at a time."""

import json
import subprocess

from . import programs, verdict


class Load:
    """`what` is `calls` or `registrations`; `words` are its options beside the server."""

    def __init__(self, name, what, *words, server="127.0.0.1:5060", place=None):
        self.name = name
        self.log = verdict.SCRATCH / f"bench-{name}.log"
        words = [verdict.HOOKSWITCH, "bench", what, "--server", server, "--json", *words]
        self.program = programs.start(words, self.log, place)

    def passes(self, seconds, text):
        """Everything it began went well. Returns its figures."""
        try:
            status = self.program.wait(seconds)
        except subprocess.TimeoutExpired:
            return verdict.fail(f"{text}: bench {self.name} did not end within {seconds} s")
        verdict.check(status == 0, text if status == 0 else f"{text}: bench {self.name} says {status}")
        return json.loads(self.log.read_text().splitlines()[-1])
