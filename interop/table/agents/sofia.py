"""sofia-sip 1.12, the library: Debian has no phone of it, so `kit/sofia_phone.py` is one."""

import subprocess
import sys
from pathlib import Path

from kit import programs, verdict
from kit.switch import SECRETS

from . import Verbs

NEEDS = ("sip-options",)
TITLE = "sofia-sip"
PACKAGE = "libsofia-sip-ua0"
PROGRAM = Path(__file__).parents[2] / "kit" / "sofia_phone.py"


class Phone(Verbs):
    LACKS = {"complete_early": ("names a dialog that rings without its tag", "captured in its Refer-To: to-tag=0")}

    def __init__(self, place, user, hertz):
        self.place, self.user, self.hertz = place, user, hertz
        self.uri = f"sip:{user}@example.test"
        self.name = f"sofia-sip {user}"
        self.log = verdict.SCRATCH / f"sofia-{user}.log"
        self.program = None

    def start(self):
        words = [sys.executable, PROGRAM, self.user, SECRETS[self.user], "example.test", self.place.address, self.place.switch, self.hertz]
        self.log.unlink(missing_ok=True)
        self.program = programs.start(words, self.log, self.place, stdin=subprocess.PIPE)
        verdict.wait_for(lambda: "nua_r_register 200" in self.log.read_text(errors="replace"), 10, f"{self.name} registers")
        return self

    def command(self, *words):
        self.program.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.program.stdin.flush()

    def dial(self, uri):
        self.command("call", uri)

    def ring(self):
        self.command("respond", "last", 180)

    def answer(self):
        self.command("respond", "last", 200)

    def refuse(self):
        self.command("respond", "last", 486)

    def hang_up(self):
        self.command("bye", 0)

    def give_up(self):
        self.command("cancel", "last")

    def hold(self, style="sendonly"):
        self.command("hold", 0, style)

    def resume(self):
        self.command("hold", 0, "resume")

    def transfer(self, uri):
        self.command("refer", 0, uri)

    def consult(self, uri):
        self.command("hold", 0, "sendonly")
        self.command("call", uri)
        self._other = uri

    def complete(self):
        self.command("attended", 0, "last", self._other)

    def pick_up(self, uri, replaces):
        self.command("call", uri, replaces)

    def refresh(self):
        self.command("update", 0)

    def early_media(self):
        self.command("respond", "last", 183)

    def reliable(self):
        self.command("respond", "last", 183)

    def tidy(self):
        before = self._forgotten()
        self.command("forget")
        verdict.wait_for(lambda: self._forgotten() > before, 5, f"{self.name} forgets its calls")

    def _forgotten(self):
        return self.log.read_text(errors="replace").count("forgotten")


def phones(places, tones):
    return [Phone(place, user, hertz).start() for place, user, hertz in zip(places, ("alice", "bob", "carol"), tones)]


def stop(everybody):
    for phone in everybody:
        programs.stop(phone.program)
