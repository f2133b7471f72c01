"""A twinkle (twinkle-console, 1.10) in a place of its own. PulseAudio is its sound card."""

import math
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from . import programs, verdict

RATE = 8000
PIECE = 160
"""Samples that are written at once: 20 ms."""

SYSTEM = """\
dev_ringtone=alsa:null
dev_speaker=alsa:speaker
dev_mic=alsa:mic
validate_audio_dev=no
sip_port=5060
rtp_port=8000
alsa_play_period_size=160
alsa_capture_period_size=160
play_ringtone=no
play_ringback=no
start_hidden=no
"""

PROFILE = """\
user_name={user}
user_domain={domain}
user_display={user}
auth_realm={domain}
auth_name={user}
auth_pass={secret}
outbound_proxy={switch}:5060
all_requests_to_proxy=yes
registrar={switch}:5060
register_at_startup=yes
registration_time={expires}
codecs=g711u,g711a
sip_transport={transport}
hold_variant={hold}
check_max_forwards=no
ext_100rel=supported
ext_replaces=yes
speex_dsp_vad=no
speex_dsp_agc=no
speex_dsp_nrd=no
ask_user_to_refer=no
allow_refer=yes
referee_hold=no
referrer_hold=no
allow_xfer_consult_inprog=yes
timer_noanswer=60
"""

ALSA = """\
pcm.mic {{ type pulse  server "unix:{server}"  device "tone{hertz}" }}
pcm.speaker {{ type pulse  server "unix:{server}"  device "silence" }}
"""


class SoundServer:
    """A PulseAudio with a pipe for each microphone, and a sink for all speakers: twinkle wants a sound card that keeps time.

    Its own sine would come in pieces of two seconds, of which twinkle sends a tenth.
    """

    def __init__(self, *tones):
        folder = verdict.SCRATCH / "pulse"
        folder.mkdir(parents=True, exist_ok=True)
        # The path of a socket has at most 107 bytes.
        self._short = tempfile.TemporaryDirectory(prefix="pulse-")
        self.socket = Path(self._short.name) / "socket"
        words = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
                 "-L", f"module-native-protocol-unix auth-anonymous=1 socket={self.socket}", "-L", "module-null-sink sink_name=silence"]
        pipes = {hertz: Path(self._short.name) / f"mic{hertz}" for hertz in tones}
        for hertz, pipe in pipes.items():
            words += ["-L", f"module-pipe-source source_name=tone{hertz} file={pipe} format=s16le rate={RATE} channels=1"]
        environment = {**os.environ, "HOME": str(folder), "PULSE_RUNTIME_PATH": self._short.name, "PULSE_STATE_PATH": str(folder)}
        programs.start(words, folder / "log", env=environment)
        verdict.wait_for(self.socket.exists, 10, "pulseaudio listens")
        verdict.wait_for(lambda: all(pipe.exists() for pipe in pipes.values()), 5, "pulseaudio has its pipes")
        threading.Thread(target=_sing, args=(pipes,), daemon=True).start()


def _sing(pipes):
    """Keeps the pipes filled, a piece of 20 ms at a time."""
    voices = []
    for hertz, pipe in pipes.items():
        samples = (int(8000 * math.sin(2 * math.pi * hertz * at / RATE)) for at in range(RATE))
        sound = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
        voices.append((os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), sound))
    number, due = 0, time.monotonic()
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        due += PIECE / RATE
        start = number * PIECE * 2 % (RATE * 2)
        for pipe, sound in voices:
            try:
                os.write(pipe, sound[start : start + PIECE * 2])
            except OSError:
                # Nobody reads it just now, or PulseAudio has gone.
                pass
        number += 1


class Twinkle:
    """`hold` is the style in which it holds: rfc3264 (sendonly) or rfc2543 (c=0.0.0.0)."""

    def __init__(self, place, user, secret, hertz, sound, domain="example.test", hold="rfc3264", transport="udp", expires=600):
        self.place, self.user, self.hertz = place, user, hertz
        self.uri = f"sip:{user}@{domain}"
        self.name, self.sound = f"twinkle {user}", sound
        self.folder = verdict.SCRATCH / f"twinkle-{user}"
        settings = self.folder / ".twinkle"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "twinkle.sys").write_text(SYSTEM)
        profile = PROFILE.format(user=user, domain=domain, secret=secret, switch=place.switch, hold=hold, transport=transport, expires=expires)
        (settings / "phone.cfg").write_text(profile)
        (self.folder / ".asoundrc").write_text(ALSA.format(server=sound.socket, hertz=hertz))
        self.log = self.folder / "log"
        self.program = None

    def start(self):
        environment = {name: text for name, text in os.environ.items() if not name.startswith("XDG_")}
        environment.update(HOME=str(self.folder), PULSE_LATENCY_MSEC="20")
        words = ["twinkle-console", "phone.cfg"]
        self.program = programs.start(words, self.log, self.place, stdin=subprocess.PIPE, env=environment)
        verdict.wait_for(lambda: "registration succeeded" in self.log.read_text(errors="replace"), 10, f"{self.name} registers")
        return self

    def command(self, text):
        self.program.stdin.write(text.encode() + b"\n")
        self.program.stdin.flush()

    def stop(self):
        """Whether it has ended in good order: soon after a call it may hang in PulseAudio for good, or crash."""
        self.command("quit")
        try:
            self.program.wait(5)
        except subprocess.TimeoutExpired:
            self.program.kill()
            self.program.wait()
        return self.program.returncode == 0
