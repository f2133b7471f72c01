"""Runs of SIPp (3.6), each with its own error file. Its scenarios are in the folder sipp."""

import subprocess
from pathlib import Path

from . import programs, verdict

SCENARIOS = Path(__file__).parent.parent / "sipp"
SWITCH = "127.0.0.1:5060"


class Sipp:
    """`scenario` is the name of a file in the folder sipp, or the path of another one without its `.xml`, or one of SIPp's own, such as `-uac`."""

    def __init__(self, name, scenario, *words, address="127.0.0.1", port=None, remote=SWITCH, tcp=False):
        self.name = name
        self.log = verdict.SCRATCH / f"sipp-{name}.log"
        self.errors = verdict.SCRATCH / f"sipp-{name}.errors"
        which = ["-sn", scenario[1:]] if str(scenario).startswith("-") else ["-sf", SCENARIOS / f"{scenario}.xml"]
        where = ["-i", address, "-mi", address] + (["-p", port] if port else [])
        how = ["-t", "t1" if tcp else "u1", "-nostdin", "-trace_err", "-error_file", self.errors]
        words = ["sipp", remote, *which, *where, *how, *words]
        self.program = programs.start(words, self.log, cwd=verdict.SCRATCH)
        if self.errors not in programs.LOGS:
            programs.LOGS.append(self.errors)
        if scenario == "-uas":
            verdict.wait_for(lambda: _is_bound(port), 10, f"sipp {name} listens")

    def passes(self, seconds, text):
        """Every call of it went as its scenario says."""
        try:
            status = self.program.wait(seconds)
        except subprocess.TimeoutExpired:
            return verdict.fail(f"{text}: sipp {self.name} did not end within {seconds} s")
        return verdict.check(status == 0, text if status == 0 else f"{text}: sipp {self.name} says {status}")

    def stop(self):
        programs.stop(self.program, 1)


def _is_bound(port):
    """Whether a UDP socket of our network has this port."""
    with open("/proc/net/udp", encoding="ascii") as file:
        return f":{port:04X} " in file.read()
