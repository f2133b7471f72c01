"""twinkle 1.10, by the prompt of twinkle-console."""

import itertools
import time

from kit import verdict
from kit.switch import SECRETS
from kit.twinkle import SoundServer, Twinkle

from . import Verbs

NEEDS = ("twinkle-console", "pulseaudio")
TITLE = "twinkle"
PACKAGE = "twinkle-console"

_starts = itertools.count(1)


class Phone(Twinkle, Verbs):
    """Alice holds with sendonly, bob with c=0.0.0.0: a profile knows one style."""

    LACKS = {
        "hold_inactive": ("holds with sendonly or c=0.0.0.0 only", "hold_variant of its profile is rfc3264 or rfc2543"),
        "prack": ("does not use 100rel", "with ext_100rel=supported its INVITE does not say Supported: 100rel"),
        "pick_up": ("has no command that writes Replaces", "its `help` lists none"),
        "refresh": ("has no command for a re-INVITE that changes nothing", "its `help` lists hold and retrieve"),
        "early_media": ("sends no media before it answers", "its `help` lists answer and reject"),
        "reliable": ("says no 183", "its `help` lists answer and reject"),
    }

    def __init__(self, place, user, hertz, sound):
        style = "rfc2543" if user == "bob" else "rfc3264"
        super().__init__(place, user, SECRETS[user], hertz, sound, hold=style)
        # What an earlier start said must not be taken for what this one says.
        self.log = self.folder / f"log-{next(_starts)}"
        self._rung = 0
        self.style = {"rfc3264": "sendonly", "rfc2543": "zero"}[style]

    def dial(self, uri):
        self.command(f"call {uri}")

    def ring(self):
        """It takes no answer before it has said that somebody calls."""
        self._rung += 1
        verdict.wait_for(lambda: self._said("incoming call") >= self._rung, 5, f"{self.name} says that it is called")

    def _said(self, text):
        return self.log.read_text(errors="replace").count(text)

    def answer(self):
        self.command("answer")

    def refuse(self):
        self.command("reject")

    def hang_up(self):
        self.command("bye")

    def hold(self, style="sendonly"):
        if style == "inactive":
            self.lacks("hold_inactive")
        self.command("hold")

    def resume(self):
        self.command("retrieve")

    def transfer(self, uri):
        self.command(f"transfer {uri}")

    def consult(self, uri):
        self.command(f"transfer -c {uri}")

    def complete(self):
        self.command("transfer -c")

    def tidy(self):
        second = self._said("Line 2 is now active.")
        for words in ("line 1", "bye", "line 2", "bye", "line 1"):
            self.command(words)
        # It takes a second to let go of PulseAudio, and heeds nothing meanwhile.
        verdict.wait_for(lambda: self._said("Line 2 is now active.") > second and self._is_back(), 8, f"{self.name} is tidy")
        self._rung = self._said("incoming call")

    def _is_back(self):
        return "Line 1 is now active." in self.log.read_text(errors="replace").rpartition("Line 2 is now active.")[2]


def phones(places, tones):
    sound, started = SoundServer(*tones), []
    for place, user, hertz in zip(places, ("alice", "bob", "carol"), tones):
        # Its dice are thrown by the second: two that start in the same one use the same Call-ID, tag and branch.
        time.sleep(1.1 if started else 0)
        started.append(Phone(place, user, hertz, sound).start())
    return started


def stop(everybody):
    for phone in everybody:
        phone.stop()
