"""An empty root folder: programs are installed into it and run from there, with nothing around them but the C library."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from . import programs, verdict

PROGRAMS = ("hookswitch", "call-api", "call-cmd", "call-api-client")
SOURCE = Path(__file__).resolve().parents[2]
# Before the test moves into a network of its own, after which everybody is root.
IS_ROOT = os.geteuid() == 0
PATHS = {"PATH": "/usr/bin:/bin"}


@functools.cache
def built():
    """The folder of the release binaries; the test ends if one is missing."""
    folder = verdict.HOOKSWITCH.parent
    missing = [name for name in PROGRAMS if not (folder / name).exists()]
    verdict.equal(missing, [], f"{len(PROGRAMS)} programs are built")
    return folder


def make(*words, **options):
    """Runs make on the source tree; with our binaries, and a compiler that must not be called."""
    variables = {"RELEASE": built(), "CARGO": "false", "HOOKSWITCH_COMMIT": ""}
    variables.update(options.pop("variables", {}))
    environment = {**os.environ, **options.pop("environment", {})}
    # What an outer make would say.
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PREFIX", "DESTDIR"):
        environment.pop(name, None)
    done = run(["make", "--no-print-directory", *words, *(f"{name}={value}" for name, value in variables.items())],
               cwd=options.pop("cwd", SOURCE), env=environment, **options)
    verdict.check(done.returncode == 0, f"make {' '.join(map(str, words))}" + (f"\n{done.text}" if done.returncode else ""))
    return done.text


def run(words, seconds=60, **options):
    """What a program printed on both outputs is `.text` of the result."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, timeout=seconds, errors="replace", **options)
    done.text = done.stdout
    return done


class Root:
    def __init__(self, name="root"):
        self.folder = verdict.SCRATCH / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.libraries = set()
        """What `add_libraries` has brought, as paths from the root."""

    def __truediv__(self, path):
        return self.folder / str(path).lstrip("/")

    def files(self):
        """Every file below, as a path from the root."""
        found = []
        for folder, _, names in os.walk(self.folder):
            found += [f"/{Path(folder, name).relative_to(self.folder)}" for name in names]
        return sorted(found)

    def add_libraries(self, *paths):
        """Puts beside a program what it needs from the C library; nothing else of this machine gets in."""
        for path in paths:
            for library in re.findall(r"(/\S+) \(0x", run(["ldd", self / path]).text):
                target = self / library
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, target)
                self.libraries.add(library)

    def add_users(self, *names):
        """Makes the users in the sysusers files that were installed; the result is their (user, group) numbers."""
        (self / "etc").mkdir(exist_ok=True)
        done = run(["systemd-sysusers", f"--root={self.folder}"])
        verdict.equal(done.returncode, 0, "systemd-sysusers makes the users of the units")
        return {name: self.ids(name) for name in names}

    def ids(self, user):
        fields = next(line.split(":") for line in (self / "etc/passwd").read_text().splitlines() if line.startswith(f"{user}:"))
        return int(fields[2]), int(fields[3])

    def inside(self, ids=None):
        """Where a program runs in this root, as somebody: for `programs.start`, which knows places."""
        return Inside(self.folder, ids)

    def run(self, words, ids=None, env=None, seconds=30):
        """Runs a program of this root, as somebody, with an environment of nothing but `env`."""
        words, env = _in_usr_bin(words), {**PATHS, **(env or {})}
        return run(words, seconds, preexec_fn=self.inside(ids).enter, env=env)

    def start(self, words, log, ids=None, env=None):
        """Starts a program of this root and does not wait."""
        return programs.start(_in_usr_bin(words), log, place=self.inside(ids), env={**PATHS, **(env or {})})


class Inside:
    def __init__(self, folder, ids):
        self.folder, self.ids = folder, ids

    def enter(self):
        """Runs in a child before it becomes its program."""
        os.chroot(self.folder)
        os.chdir("/")
        if self.ids and IS_ROOT:
            user, group = self.ids
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)


def _in_usr_bin(words):
    """The program is looked for there, not on the PATH of this machine."""
    return [word if "/" in word or number else f"/usr/bin/{word}" for number, word in enumerate(map(str, words))]
