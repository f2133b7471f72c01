"""The container image, by an engine where one runs, or by doing here what the Dockerfile says.

Both give a thing with `start(words, env)`, whose result has `.address`, `.said()` and `.stop()`, and `run(words, env, beside)`, whose
result has `.returncode` and `.text`.
"""

import atexit
import fnmatch
import json
import os
import re
import shutil
import socket

from . import network, programs, root, verdict

NAME = "hookswitch-interop:latest"
BUILD_SECONDS = 2100
PULL_SECONDS = 300


def engine():
    """`docker` or `podman`, if an engine answers (a client alone is not enough) and has the base images, or gets them."""
    bases = re.findall(r"(?m)^FROM (\S+)", (root.SOURCE / "Dockerfile").read_text())
    for name in ("docker", "podman"):
        if not shutil.which(name):
            continue
        done = root.run([name, "info"], 30)
        if done.returncode != 0:
            verdict.say(f"{name} is installed, no engine answers it: {done.text.strip().splitlines()[-1]}")
            continue
        if all(_has(name, base) for base in bases):
            return name
        verdict.say(f"{name} runs, but cannot get {' and '.join(bases)}")
    return None


def _has(name, base):
    here = root.run([name, "image", "inspect", base]).returncode == 0
    return here or root.run([name, "pull", "--quiet", base], PULL_SECONDS).returncode == 0


class ByEngine:
    """The image as the engine builds it."""

    def __init__(self, name):
        self.name = name
        done = root.run(["make", "docker", f"DOCKER={name}", f"IMAGE={NAME}"], BUILD_SECONDS, cwd=root.SOURCE)
        verdict.check(done.returncode == 0, f"make docker, by {name}" + ("" if done.returncode == 0 else f"\n{done.text[-4000:]}"))
        self.config = json.loads(root.run([name, "image", "inspect", NAME]).text)[0]["Config"]
        bridge = {"docker": "bridge", "podman": "podman"}[name]
        self.host = re.search(r'"(?:Gateway|gateway)": "([0-9.]+)"', root.run([name, "network", "inspect", bridge]).text)[1]
        """By what address a container reaches this machine."""

    def _words(self, env):
        return [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]

    def start(self, words=(), env=None):
        return Container(self.name, root.run([self.name, "run", "--detach", *self._words(env), NAME, *words]).text.split()[-1])

    def run(self, words, env=None, beside=None, seconds=30):
        near = ["--network", f"container:{beside.number}"] if beside else []
        return root.run([self.name, "run", "--rm", *near, *self._words(env), NAME, *words], seconds)

    def user(self):
        return self.config["User"]


class Container:
    def __init__(self, name, number):
        self.name, self.number = name, number
        # However the test ends.
        atexit.register(root.run, [name, "rm", "--force", "--volumes", number])
        found = root.run([name, "inspect", number]).text
        self.address = re.search(r'"IPAddress": "([0-9.]+)"', found)[1]

    def said(self):
        return root.run([self.name, "logs", self.number]).text

    def ids(self):
        """User and group that its program runs as."""
        return _ids(root.run([self.name, "inspect", "--format", "{{.State.Pid}}", self.number]).text.split()[-1])

    def stop(self):
        """As `docker stop` does it; the result is its exit status."""
        root.run([self.name, "stop", "--time", "15", self.number])
        return int(root.run([self.name, "inspect", "--format", "{{.State.ExitCode}}", self.number]).text)


class ByHand:
    """The last stage of the Dockerfile, carried out upon an empty root with nothing but the C library in it."""

    KNOWN = {"FROM", "RUN", "COPY", "WORKDIR", "ARG", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "CMD"}

    def __init__(self):
        self.env, self.command, self.ids, self.folder, self.exposed = {}, [], None, "/", []
        self.stages, self.stage, self.skipped = {}, None, []
        for word, rest in _instructions((root.SOURCE / "Dockerfile").read_text()):
            verdict.check(word in self.KNOWN, f"Dockerfile: {word} {rest[:90]}")
            getattr(self, f"_{word.lower()}")(rest)
        self.root = self.stage
        self.root.add_libraries(*(f"usr/bin/{name}" for name in root.PROGRAMS))
        # What an engine writes, and what the base image says of it.
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        (self.root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
        self.host = "127.0.0.1"
        self._outside = network.Place().switch
        """An address of this machine that is not the loopback."""

    def start(self, words=(), env=None):
        log = verdict.SCRATCH / f"started-{len(programs.LOGS)}.log"
        program = self.root.start(words or self.command, log, self.ids, {**self.env, **(env or {})})
        return Process(program, log, self._outside)

    def run(self, words, env=None, beside=None, seconds=30):
        return self.root.run(words, self.ids, {**self.env, **(env or {})}, seconds)

    def user(self):
        return ":".join(map(str, self.ids or (0, 0)))

    # --- the instructions

    def _from(self, rest):
        name = rest.split(" AS ")[1] if " AS " in rest else "last"
        self.stage = self.stages[name] = root.Root(f"stage-{name}")
        # What the base images bring, as far as it is asked for.
        if name != "last" and os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
            (self.stage / "etc/ssl/certs").mkdir(parents=True)
            shutil.copy("/etc/ssl/certs/ca-certificates.crt", self.stage / "etc/ssl/certs")
        self.folder = "/"

    def _run(self, rest):
        """A shell line of the build: here it works in the folder of its stage, and what would compile is compiled already."""
        if "last" in self.stages:
            verdict.fail("the last stage has no shell here: do it in the stage before")
        line = re.sub(r"--mount=\S+\s*", "", rest)
        # PREFIX is a path in the root that make installs into.
        absolute = re.sub(r"(?<=[ =])(?<!PREFIX=)/(?=\w)", f"{self.stage.folder}/", line)
        tools = verdict.SCRATCH / "tools"
        tools.mkdir(exist_ok=True)
        for name in ("apt-get", "cargo"):
            (tools / name).write_text(f"#!/bin/sh\necho not run: {name} \"$@\"\n")
            (tools / name).chmod(0o755)
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "RELEASE": str(root.built()), "CARGO": "cargo"}
        done = root.run(["sh", "-ec", absolute], 120, cwd=self.stage / self.folder, env=environment)
        verdict.check(done.returncode == 0, f"RUN {line[:90]}" + ("" if done.returncode == 0 else f"\n{done.text[-3000:]}"))
        self.skipped += re.findall(r"not run: (.*)", done.text)

    def _copy(self, rest):
        words = rest.split()
        flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
        *sources, target = [word for word in words if not word.startswith("--")]
        into = self.stage / os.path.join(self.folder, target)
        for source in sources:
            if "from" in flags:
                _copy_one(self.stages[flags["from"]] / source, into, target.endswith("/"))
            else:
                if (source, target) != (".", "."):
                    verdict.fail(f"COPY {source} {target}: teach kit/image.py")
                _copy_context(into)
        if "chown" in flags:
            user, group = map(int, flags["chown"].split(":"))
            if root.IS_ROOT:
                os.chown(into, user, group)

    def _env(self, rest):
        self.env.update(pair.split("=", 1) for pair in rest.split())

    def _workdir(self, rest):
        self.folder = rest
        (self.stage / rest).mkdir(parents=True, exist_ok=True)

    def _user(self, rest):
        self.ids = tuple(map(int, rest.split(":")))

    def _cmd(self, rest):
        self.command = json.loads(rest)

    def _expose(self, rest):
        self.exposed = rest.split()

    def _stopsignal(self, rest):
        verdict.equal(rest, "SIGTERM", "the signal that drains")

    def _volume(self, rest):
        verdict.check((self.stage / rest).is_dir(), f"the volume {rest} is there, with its owner")

    def _arg(self, rest):
        pass


class Process:
    def __init__(self, program, log, address):
        self.program, self.log, self.address = program, log, address

    def said(self):
        return self.log.read_text(errors="replace")

    def ids(self):
        return _ids(self.program.pid)

    def stop(self):
        return programs.stop(self.program, 15)


def _ids(pid):
    """User and group of a process, as this machine sees them."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        status = file.read()
    return [re.search(rf"(?m)^{key}:\t(\d+)", status)[1] for key in ("Uid", "Gid")]


def _instructions(text):
    """Words and arguments of a Dockerfile: comments out, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, rest = line.split(None, 1)
        yield word, re.sub(r"\s+", " ", rest.strip())


def _copy_one(source, into, into_folder):
    """COPY of one source: of a folder it takes what is in it, a file goes into a folder or gets the name."""
    if source.is_dir():
        shutil.copytree(source, into, dirs_exist_ok=True, symlinks=True)
        return
    (into if into_folder else into.parent).mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, into / source.name if into_folder else into)


def _copy_context(into):
    """What .dockerignore lets through. The form it has: everything is left out, then some comes back, then some of that is left out."""
    patterns = [line for line in (root.SOURCE / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    if patterns[0] != "*":
        verdict.fail(".dockerignore does not begin with everything: teach kit/image.py")
    back = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    out = [pattern.removeprefix("**/") for pattern in patterns[1:] if not pattern.startswith("!")]
    for name in back:
        source = root.SOURCE / name
        if not source.exists():
            continue
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=lambda _, names: [n for n in names if any(fnmatch.fnmatch(n, o) for o in out)])
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, into / name)


def wait_for_port(address, port, seconds=20):
    """Until somebody takes connections there."""
    def taken():
        try:
            socket.create_connection((address, port), 1).close()
            return True
        except OSError:
            return False

    verdict.wait_for(taken, seconds, f"somebody listens on {address}:{port}")
