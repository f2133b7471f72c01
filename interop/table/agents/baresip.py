"""baresip 1.0, by its control socket."""

from kit import programs
from kit.baresip import Baresip
from kit.switch import SECRETS

from . import Verbs

NEEDS = ("baresip",)
TITLE = "baresip"
PACKAGE = "baresip"


class Phone(Baresip, Verbs):
    LACKS = {
        "hold_inactive": ("holds with sendonly only", "its menu has hold, prevhold, resume; no choice of direction"),
        "hold_zero": ("holds with sendonly only", "its menu has hold, prevhold, resume; no choice of address"),
        "attended": ("has no attended transfer", "`transfer` is its only command for it, and libre 1.1 writes no Replaces"),
        "prack": ("has no 100rel", "its INVITE does not say Supported: 100rel"),
        "pick_up": ("writes no Replaces", "the word is in neither the program nor libre 1.1"),
        "reliable": ("has no 100rel", "the word is in neither the program nor libre 1.1"),
        "early_media": ("sends no media before it answers", "its menu has accept and hangup for a call that rings"),
    }

    def __init__(self, place, user, hertz):
        super().__init__(place, user, SECRETS[user], hertz, answer="manual")

    def hold(self, style="sendonly"):
        if style != "sendonly":
            self.lacks(f"hold_{style}")
        self.command("hold")

    def resume(self):
        self.command("resume")

    def refuse(self):
        self.command("hangup")

    def transfer(self, uri):
        self.command("transfer", uri)

    def consult(self, uri):
        self.command("hold")
        self.command("dial", uri)

    def refresh(self):
        self.command("reinvite")

    def tidy(self):
        for _ in range(3):
            self.command("hangup")


def phones(places, tones):
    return [Phone(place, user, hertz).start() for place, user, hertz in zip(places, ("alice", "bob", "carol"), tones)]


def stop(everybody):
    for phone in everybody:
        programs.stop(phone.program)
