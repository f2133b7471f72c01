"""The parties of the columns of SIPp: each a SIPp that plays a script in a place of its own, with a tone for its voice."""

import itertools

from kit import programs, verdict
from kit.rawsip import media_address
from kit.tone import Tone

from .script import AUDIO
from .stage import Stage, Wrong

PORT = 5060
_numbers = itertools.count(1)


class Party:
    """`remote` is where it sends everything: the switch, or a proxy before it."""

    def __init__(self, place, user, hertz, remote):
        self.place, self.user, self.hertz, self.remote = place, user, hertz, remote
        self.name = f"SIPp {user}"
        self.tone = Tone(place.address, AUDIO, hertz, own=place.socket(AUDIO))
        self.tone.start()
        self.runs = []

    def plays(self, script, port=PORT, keys=None, call_id=None):
        """Starts a SIPp with a script; it ends with it."""
        stem = verdict.SCRATCH / f"sipp-{next(_numbers)}-{self.user}"
        scenario, errors = stem.with_suffix(".xml"), stem.with_suffix(".errors")
        scenario.write_text(script.xml())
        errors.unlink(missing_ok=True)
        words = ["sipp", self.remote, "-sf", scenario, "-i", self.place.address, "-p", port, "-m", 1, "-l", 1, "-aa", "-nostdin",
                 "-timeout", 25, "-timeout_error", "-trace_err", "-error_file", errors, "-nd"]
        for name, value in (keys or {}).items():
            words += ["-key", name, value]
        if call_id:
            words += ["-cid_str", call_id]
        program = programs.start(words, stem.with_suffix(".log"), self.place, cwd=verdict.SCRATCH)
        self.runs.append((program, errors))

    def finish(self, seconds):
        """Every SIPp of it has played its script to the end."""
        for program, errors in self.runs:
            try:
                status = program.wait(seconds)
            except Exception:
                raise Wrong(f"{self.name}: its script does not end; {_last_line(errors)}") from None
            if status:
                raise Wrong(f"{self.name}: sipp says {status}; {_last_line(errors)}")

    def tidy(self):
        self.tone.to = None
        for program, errors in self.runs:
            programs.stop(program, 1)
        self.runs = []


    def stop(self):
        self.tidy()
        self.tone.close()


def _last_line(errors):
    lines = errors.read_text(errors="replace").splitlines() if errors.exists() else []
    return next((line.strip()[:200] for line in lines if line[:2] == "20"), f"it wrote nothing into {errors.name}")


class Steering:
    """Points each party's tone at what its last session description says. A rule that lets everything pass."""

    def __init__(self, parties):
        self._tones = {party.place: party.tone for party in parties}

    def __call__(self, packet):
        message = packet.sip
        if message and not packet.up and "m=audio" in message.body and packet.place in self._tones:
            host, port = media_address(message.body)
            quiet = host == "0.0.0.0" or any(word in message.body for word in ("a=sendonly", "a=inactive"))
            self._tones[packet.place].to = None if quiet or not port else (host, port)
        return False

    def release(self):
        pass


class Play(Stage):
    """A stage for scripts instead of phones."""

    def __init__(self, switch, pump, phones, tones, helper):
        super().__init__(switch, pump, phones, tones, helper)
        pump.rules[:] = [Steering(phones), *(rule for rule in pump.rules if not isinstance(rule, Steering))]

    def cast(self, **scripts):
        """Starts a script for each party, callees first; the result is the mark before."""
        mark = self.mark()
        for user in sorted(scripts, reverse=True):
            party = getattr(self, user)
            party.plays(scripts[user])
            if user != "alice":
                self.wait(lambda party=party: _is_bound(party.place), 5, f"{party.name} listens")
        return mark

    def finish(self, seconds=10):
        for party in self.phones:
            party.finish(seconds)
        self.nothing_is_left()


def _is_bound(place):
    with open(f"/proc/{place.pid}/net/udp", encoding="ascii") as file:
        return f":{PORT:04X} " in file.read()
