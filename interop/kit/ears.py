"""Tones to send, and what was heard of them, measured with sox in the file that the phone recorded."""

import re
import subprocess

from . import verdict

SHORTEST = 3.0
QUIETEST = -40.0
"""Level in dBFS under which nobody would call it audible."""
BAND = 25
"""How far from its frequency, in Hz, the power of a tone may lie."""


def _sox(*words):
    done = subprocess.run(["sox", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        verdict.fail(f"sox {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stderr


def tone(path, hertz, seconds):
    """Writes a tone of -12 dBFS, as a telephone would record it."""
    _sox("-n", "-r", 8000, "-c", 1, "-b", 16, path, "synth", seconds, "sine", hertz, "gain", -12)
    return path


def _levels(path, *effects):
    """RMS level of the whole and of its quietest tenth of a second, in dBFS, and the length in seconds."""
    text = _sox(path, "-n", *effects, "remix", 1, "stats", "-w", 0.1)

    def value(name):
        found = re.search(rf"^{name}\s+(\S+)", text, re.MULTILINE)
        return float(found.group(1)) if found else float("-inf")

    return value("RMS lev dB"), value("RMS Tr dB"), value("Length s")


def hears(who, path, hertz, seconds=SHORTEST, noise=1, steady=True):
    """Checks that the recording is `hertz` and nothing else, loud enough, long enough and without a gap.

    All that is beside it may make the whole louder by `noise` dB. Not `steady`, gaps are nobody's fault: of a phone that
    was not given the processor in time.

    The first and last moments are cut off: connecting and hanging up may click.
    """
    if not path or not path.exists():
        verdict.fail(f"{who} recorded nothing")
    length = float(subprocess.run(["soxi", "-D", path], capture_output=True, text=True).stdout or 0)
    if length < 0.5:
        verdict.fail(f"{who} hears {hertz} Hz: the recording {path.name} is {length} s long")
    # Silence before the first sound is the time the other side took to answer.
    cut = ["silence", "1", "0.05", "1%", "trim", "0.3", "reverse", "silence", "1", "0.05", "1%", "trim", "0.3", "reverse"]
    # So many taps are too few for so narrow a band at a higher rate.
    rate = float(subprocess.run(["soxi", "-r", path], capture_output=True, text=True).stdout or 0)
    coarser = ["rate", "16000"] if rate > 16000 else []
    whole, quietest, length = _levels(path, *cut)
    band, _, _ = _levels(path, *cut, *coarser, "sinc", "-n", "1001", f"{hertz - BAND}-{hertz + BAND}")
    heard = f"{length:.1f} s at {whole:.0f} dBFS, quietest 0.1 s {quietest:.0f}, within {BAND} Hz {band:.0f}"
    good = length >= seconds and whole > QUIETEST and (quietest > whole - 6 or not steady) and band > whole - noise
    verdict.check(good, f"{who} hears {hertz} Hz ({heard})")


def silent(path):
    """Whether nothing but silence, or nothing at all, is in a recording."""
    if not path or not path.exists():
        return True
    whole, _, length = _levels(path)
    return length < 0.1 or whole < QUIETEST


def mixed(who, path, tones, without):
    """Checks that the last seconds of a recording have all of these tones, and not that one."""
    if not path or not path.exists():
        verdict.fail(f"{who} recorded nothing")
    rate = float(subprocess.run(["soxi", "-r", path], capture_output=True, text=True).stdout or 0)
    # The very end may have lost somebody already.
    part = ["trim", "-4", "3", *(["rate", "16000"] if rate > 16000 else [])]
    levels = {hertz: _levels(path, *part, "sinc", "-n", "1001", f"{hertz - BAND}-{hertz + BAND}") for hertz in (*tones, without)}
    heard = ", ".join(f"{hertz} Hz {whole:.0f} dBFS, quietest {quietest:.0f}" for hertz, (whole, quietest, _) in levels.items())
    loud = all(levels[hertz][0] > QUIETEST + 10 and levels[hertz][1] > levels[hertz][0] - 6 for hertz in tones)
    good = loud and levels[without][0] < min(levels[hertz][0] for hertz in tones) - 25
    verdict.check(good, f"{who} hears {' and '.join(str(hertz) for hertz in tones)} Hz and not {without} Hz ({heard})")
