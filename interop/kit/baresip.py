"""A baresip (1.0) in a place of its own. It sends a tone, records what it hears, and takes commands as JSON over TCP."""

import json
import socket
import threading
import time

from . import programs, verdict

CONTROL_PORT = 4444
MODULES = "/usr/lib/baresip/modules"

CONFIG = """\
sip_listen {any}:5060
audio_source {source}
ausrc_srate 48000
ausrc_channels 2
audio_player aubridge,none
audio_alert aubridge,none
call_max_calls 4
call_local_timeout 600
statmode_default off
ctrl_tcp_listen 0.0.0.0:{port}
snd_path {folder}
module_path {path}
{codecs}
module ausine.so
module aufile.so
module aubridge.so
module sndfile.so
module uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
"""


class Baresip:
    """`transport` is that of its registration and of its calls; `answer` is `auto` or `manual`.

    `name` tells phones of one user apart, who are one phone with the same: it keeps its instance there.
    `modules` are its codecs, best first. `plays` is a WAV file (48 kHz, stereo) that it sends in place of its tone, once.
    """

    def __init__(self, place, user, secret, hertz, transport="udp", answer="auto", domain="example.test", extra="",
                 port=5060, family=4, expires=600, modules=("g711",), plays=None, name=None):
        self.place, self.user, self.hertz = place, user, hertz
        self.uri = f"sip:{user}@{domain}"
        self.name = f"baresip {user}"
        self.transport, self.family = transport, family
        self.folder = verdict.SCRATCH / f"baresip-{name or user}-{transport}{'' if family == 4 else family}"
        self.folder.mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(any="0.0.0.0" if family == 4 else "[::]",
                               source=f"aufile,{plays}" if plays else f"ausine,{hertz}", port=CONTROL_PORT, folder=self.folder, path=MODULES,
                               codecs="\n".join(f"module {codec}.so" for codec in modules))
        (self.folder / "config").write_text(config)
        (self.folder / "contacts").write_text("")
        (self.folder / "accounts").write_text(
            f'<{self.uri};transport={transport}>;auth_pass={secret};answermode={answer};regint={expires}'
            f';outbound="sip:{place.switch if family == 4 else f"[{place.switch6}]"}:{port};transport={transport}"{extra}\n'
        )
        self.events = []
        self._answers = {}
        self._changed = threading.Condition()
        self._control = None
        self.program = None

    def start(self, registers=True):
        words = ["baresip", f"-{self.family}", "-v", "-f", self.folder]
        # What an earlier run said must not be taken for what this one says.
        (self.folder / "log").unlink(missing_ok=True)
        self.program = programs.start(words, self.folder / "log", self.place)
        self._control = verdict.wait_for(self._connect, 10, f"{self.name} takes commands")
        threading.Thread(target=self._listen, daemon=True).start()
        if registers:
            log = self.folder / "log"
            verdict.wait_for(lambda: "200 OK" in log.read_text(errors="replace"), 10, f"{self.name} registers")
        return self

    def _connect(self):
        try:
            return socket.create_connection((self.place.address, CONTROL_PORT), 1)
        except OSError:
            return None

    def _listen(self):
        """Reads netstrings of JSON until baresip goes."""
        self._control.settimeout(None)
        with self._control.makefile("rb") as stream:
            try:
                while length := _number(stream):
                    self._take(json.loads(stream.read(length)))
                    stream.read(1)
            except (OSError, ValueError):
                pass

    def _take(self, message):
        with self._changed:
            if message.get("event"):
                self.events.append((message["type"], message.get("param", "")))
            else:
                self._answers[message.get("token")] = message
            self._changed.notify_all()

    def command(self, name, params=""):
        token = str(time.monotonic_ns())
        text = json.dumps({"command": name, "params": params, "token": token}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))
        with self._changed:
            if not self._changed.wait_for(lambda: token in self._answers, 5):
                verdict.fail(f"{self.name} does not answer the command {name}")
            return self._answers.pop(token)

    def mark(self):
        """A place in the list of events, to wait from; what was recorded before it is thrown away."""
        for file in self.folder.glob("dump-*.wav"):
            file.unlink()
        with self._changed:
            return len(self.events)

    def dial(self, uri):
        self.command("dial", uri)

    def answer(self):
        self.command("accept")

    def hang_up(self):
        """Also refuses a call that rings."""
        self.command("hangup")

    def saw(self, event, since):
        """What came with the first `event` after `since`, or None."""
        with self._changed:
            return next((param for kind, param in self.events[since:] if kind == event), None)

    def expect(self, event, since, seconds=8):
        """Waits for an event such as CALL_ESTABLISHED or CALL_CLOSED; the result is what came with it."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(kind == event for kind, _ in self.events[since:]), seconds):
                verdict.fail(f"{self.name}: no {event} within {seconds} s, only {self.events[since:]}")
        return self.saw(event, since)

    def recording(self):
        """What it heard in its last call, once that is over."""
        found = sorted(self.folder.glob("dump-*-dec.wav"))
        return found[-1] if found else None

    def stop(self):
        """Ends it; it takes its registration back."""
        programs.stop(self.program)

    def kill(self):
        self.program.kill()
        self.program.wait()


def _number(stream):
    """The length in front of a netstring; 0 at the end of the stream."""
    digits = b""
    while (byte := stream.read(1)).isdigit():
        digits += byte
    return int(digits or 0)
