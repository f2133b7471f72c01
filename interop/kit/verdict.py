"""What a test says while it runs: a line for each thing it checked, the logs when one is wrong, its exit status."""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import network, programs

SKIPPED = 77
LINES_OF_A_LOG = 12

SCRATCH = Path(os.environ.get("SCRATCH") or tempfile.mkdtemp(prefix="interop-"))
HOOKSWITCH = Path(os.environ.get("HOOKSWITCH", "target/release/hookswitch")).resolve()


def skip(why):
    print(why, flush=True)
    sys.exit(SKIPPED)


def begin(*needed):
    """Checks for the programs `needed`, moves into a network of its own, and sees to it that everything ends with us."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not HOOKSWITCH.exists():
        skip(f"no {HOOKSWITCH}: build it, or say where it is in HOOKSWITCH")
    missing = [name for name in ("ip", *needed) if not shutil.which(name)]
    if missing:
        skip(f"not installed: {' '.join(missing)}")
    try:
        network.isolate()
    except OSError as error:
        skip(f"neither root nor allowed to make a network namespace: {error}")
    SCRATCH.mkdir(parents=True, exist_ok=True)


def say(text):
    print(f"# {text}", flush=True)


def check(condition, text):
    """One line per thing that was checked. The first that is wrong ends the test."""
    if not condition:
        fail(text)
    print(f"ok - {text}", flush=True)


def equal(found, expected, text):
    check(found == expected, text if found == expected else f"{text}: expected {expected!r}, found {found!r}")


def fail(text):
    for log in programs.LOGS:
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        if lines:
            print(f"--- the end of {log}")
            print("\n".join(line[:240] for line in lines[-LINES_OF_A_LOG:]))
    print(f"not ok - {text}", flush=True)
    sys.exit(1)


def wait_for(found, seconds, text):
    """Asks `found()` until it is true; what it then was is the result."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    return fail(f"{text}: not within {seconds} s")
