"""linphonec 5.1, by its prompt."""

import re
import time

from kit.linphone import Linphone
from kit.switch import SECRETS

from . import Verbs

NEEDS = ("linphonec",)
TITLE = "linphone"
PACKAGE = "linphone-cli"
ASSIGNED = re.compile(r"assigned id (\d+)")

SESSION = 90
"""Seconds, the least that RFC 4028 allows."""
TIMED = (f"session_expires_enabled=1\nsession_expires_value={SESSION}\nsession_expires_min_value={SESSION}\n"
         "session_expires_refresher_value=2")


class Phone(Linphone, Verbs):
    LACKS = {
        "hold_inactive": ("holds with sendonly only", "its command is `pause`, which takes nothing but the number of a call"),
        "hold_zero": ("holds with sendonly only", "captured with cnx_ip_to_0000_if_sendonly_enabled=1: c= is its own address"),
        "prack": ("does not use 100rel", "with 100rel_support_level=1 its INVITE does not say Supported: 100rel"),
        "pick_up": ("has no command that writes Replaces into an INVITE", "its `help` lists none"),
        "early_media": ("sends no media before it answers", "its `answer` takes nothing but the number of a call"),
        "reliable": ("sends no 183", "its `answer` takes nothing but the number of a call"),
    }
    patience = SESSION * 2 / 3
    """Seconds until a refresh: it comes by itself, when half of the session's time is over."""

    def __init__(self, place, user, hertz):
        super().__init__(place, user, SECRETS[user], hertz, answer="manual", more=f"100rel_support_level=1\n{TIMED}")

    def calls(self):
        """The numbers it has given to its calls, oldest first."""
        return [int(number) for number in ASSIGNED.findall(self._said(0))]

    def answer(self):
        self.command(f"answer {self.calls()[-1]}")

    def refuse(self):
        self.command(f"terminate {self.calls()[-1]}")

    def hold(self, style="sendonly"):
        if style != "sendonly":
            self.lacks(f"hold_{style}")
        self.command("pause")

    def resume(self):
        self.command(f"resume {self.calls()[-1]}")

    def refresh(self):
        """It does so by itself."""

    def transfer(self, uri):
        self.command(f"transfer {uri}")

    def consult(self, uri):
        self._first = self.calls()[-1]
        self.command("pause")
        time.sleep(0.5)
        self.dial(uri)

    def complete(self):
        self.command(f"transfer {self._first} --to-call {self.calls()[-1]}")

    def tidy(self):
        self.command("terminate all")


def phones(places, tones):
    return [Phone(place, user, hertz).start() for place, user, hertz in zip(places, ("alice", "bob", "carol"), tones)]


def stop(everybody):
    for phone in everybody:
        phone.stop()
