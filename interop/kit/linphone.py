"""A linphonec (5.1) in a place of its own. It plays a file as its microphone and writes what it hears into another."""

import os
import subprocess
import time

from . import ears, programs, verdict

CONFIG = """\
[sip]
sip_port={port_udp}
sip_tcp_port={port_tcp}
sip_tls_port={port_tls}
contact=sip:{user}@{address}
guess_hostname=1
{more}
[net]
firewall_policy=0
[sound]
echocancellation=0
[auth_info_0]
username={user}
passwd={secret}
realm={domain}
[proxy_0]
reg_proxy=<sip:{switch}:{port};transport={transport}>
reg_route=<sip:{switch}:{port};transport={transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires={expires}
reg_sendregister=1
publish=0
"""

LONGEST = 60
"""Seconds of tone: longer than any call of a test."""


class Linphone:
    """`transport` is that of its registration and of its calls; the port of the other one is closed."""

    def __init__(self, place, user, secret, hertz, transport="udp", answer="auto", domain="example.test", more="",
                 port=5060, ca=None, expires=600):
        self.place, self.user, self.hertz, self.transport = place, user, hertz, transport
        self.uri = f"sip:{user}@{domain}"
        self.name = f"linphonec {user}"
        self.folder = verdict.SCRATCH / f"linphone-{user}-{transport}"
        # Without the folder for its database it opens no socket.
        (self.folder / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        (self.folder / "rc").write_text(
            CONFIG.format(
                user=user,
                secret=secret,
                domain=domain,
                address=place.address,
                switch=place.switch,
                # It checks who has signed, but not the name: it knows no addresses in certificates, and here we are one.
                more=more + (f"root_ca={ca}\nverify_server_certs=1\nverify_server_cn=0\n" if ca else ""),
                port=port,
                transport=transport,
                expires=expires,
                port_udp=5060 if transport == "udp" else 0,
                port_tcp=5060 if transport == "tcp" else 0,
                port_tls=5061 if transport == "tls" else 0,
            )
        )
        self.log = self.folder / "log"
        self._answer = answer
        self._tone = ears.tone(self.folder / "tone.wav", hertz, LONGEST)
        self._recording = None
        self._calls = 0
        self.program = None

    def start(self, registers=True):
        words = ["linphonec", "-c", self.folder / "rc", "-d", "5", "-l", self.folder / "debug"]
        if self._answer == "auto":
            words.append("-a")
        # What an earlier run said must not be taken for what this one says.
        for file in (self.log, self.folder / "debug"):
            file.unlink(missing_ok=True)
        environment = {name: text for name, text in os.environ.items() if not name.startswith("XDG_")}
        environment["HOME"] = str(self.folder)
        self.program = programs.start(words, self.log, self.place, stdin=subprocess.PIPE, env=environment)
        verdict.wait_for(lambda: "linphonec>" in self._said(0), 10, f"{self.name} takes commands")
        self.command("soundcard use files")
        self.command(f"play {self._tone}")
        if registers:
            debug = self.folder / "debug"
            done = "LinphoneRegistrationOk"
            verdict.wait_for(lambda: debug.exists() and done in debug.read_text(errors="replace"), 10, f"{self.name} registers")
        return self

    def command(self, text):
        self.program.stdin.write(text.encode() + b"\n")
        self.program.stdin.flush()

    def _said(self, since):
        with open(self.log, "rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def mark(self):
        """A place in its log, to wait from; what it hears from now on goes into a new file."""
        self._calls += 1
        self._recording = self.folder / f"heard-{self._calls}.wav"
        self.command(f"record {self._recording}")
        time.sleep(0.2)
        return self.log.stat().st_size

    def dial(self, uri):
        self.command(f"call {uri} --audio-only")

    def answer(self):
        self.command("answer")

    def hang_up(self):
        self.command("terminate all")

    EVENTS = {
        "CALL_ESTABLISHED": (" connected.", "Media streams established"),
        "CALL_CLOSED": (" ended (", " error.", "declined", " terminated"),
        "CALL_INCOMING": ("Receiving new incoming call",),
    }

    def expect(self, event, since, seconds=8):
        """Waits until it has said so, by the names that baresip gives to events."""
        words = self.EVENTS[event]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(word in self._said(since) for word in words):
                return
            time.sleep(0.05)
        verdict.fail(f"{self.name}: no {event} within {seconds} s, only {self._said(since)[-400:]!r}")

    def recording(self):
        """What it heard in its last call, once that is over."""
        return self._recording if self._recording and self._recording.exists() else None

    def stop(self):
        """Ends it; it takes its registration back."""
        self.command("quit")
        try:
            self.program.wait(5)
        except subprocess.TimeoutExpired:
            self.program.kill()
            self.program.wait()
