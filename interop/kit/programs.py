"""Programs that run beside the test, each with its log, none of which outlives it."""

import atexit
import os
import signal
import subprocess

from . import network

LOGS = []
_running = []


def start(words, log, place=None, **options):
    """Starts a program with both outputs in `log`, in the network of `place`, or else in ours."""

    def before():
        network.die_with_parent()
        if place:
            place.enter()

    if log not in LOGS:
        LOGS.append(log)
    options.setdefault("stdin", subprocess.DEVNULL)
    with open(log, "ab") as output:
        program = subprocess.Popen(
            [str(word) for word in words], stdout=output, stderr=subprocess.STDOUT, preexec_fn=before, **options
        )
    _running.append(program)
    return program


def stop(program, seconds=5, how=signal.SIGTERM):
    """Ends a program and says with what status it went."""
    if program.poll() is None:
        program.send_signal(how)
        try:
            program.wait(seconds)
        except subprocess.TimeoutExpired:
            program.kill()
    return program.wait()


def resident_kilobytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@atexit.register
def _stop_all():
    for program in _running:
        if program.poll() is None:
            program.kill()
            program.wait()
