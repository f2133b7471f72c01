"""Does what a tutorial says, as its reader would, and compares what comes with what is printed there.

In a tutorial a fence tells what it holds:

    ```sh               commands for one terminal, carried out one after the other
    ```text, ```json    what the commands before it print: blanks and line ends do not matter, … stands for anything
    ```yaml NAME        a file of this name; any language will do

Whatever was started in the background ends with the tutorial.
"""

import os
import re
import selectors
import signal
import subprocess
import time

from . import network, verdict

FENCE = re.compile(r"^```(?P<kind>\S*)(?:[ ]+(?P<file>\S+))?$")
SECONDS = 40
END = "the block is over:"


def blocks(text):
    """Each fence: its first line's number, its kind, the file it names, what is in it."""
    found, open_at = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if open_at is not None and line.strip() == "```":
            found.append((*open_at, "\n".join(lines)))
            open_at = None
        elif open_at is not None:
            lines.append(line)
        elif told := FENCE.match(line):
            open_at, lines = (number, told["kind"], told["file"]), []
    return found


def same(printed, shown):
    """Whether what was printed is what the tutorial shows."""
    pieces = ["".join(piece.split()) for piece in shown.split("…")]
    pattern = ".*".join(re.escape(piece) for piece in pieces)
    return re.fullmatch(pattern, "".join(printed.split()), re.DOTALL) is not None


class Terminal:
    """A shell in a folder of its own."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.folder = folder
        path = f"{verdict.HOOKSWITCH.parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"}
        self.shell = subprocess.Popen(["bash", "--noprofile", "--norc"], cwd=folder, env=environment, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                      preexec_fn=network.die_with_parent)
        os.set_blocking(self.shell.stdout.fileno(), False)

    def run(self, commands, seconds=SECONDS):
        """What they print, and the status of the last one; no status where that has not ended in time."""
        self.shell.stdin.write(f"{commands}\nprintf '\\n{END}%s\\n' $?\n".encode())
        self.shell.stdin.flush()
        printed, until = b"", time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.shell.stdout, selectors.EVENT_READ)
            while time.monotonic() < until:
                if selector.select(0.2):
                    printed += self.shell.stdout.read() or b""
                text = printed.decode(errors="replace")
                if over := re.search(rf"^{END}(\d+)$", text, re.MULTILINE):
                    return text[:over.start()], int(over[1])
                if self.shell.poll() is not None:
                    break
        return printed.decode(errors="replace"), None

    def close(self):
        """Ends whatever was started here: the programs get time to end by themselves, as when a terminal is closed."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.shell.pid, sign)
            except ProcessLookupError:
                break
            time.sleep(0.5)
        self.shell.wait()


def follow(page, folder):
    """Does what the page says; the first thing that is not as it says fails the test."""
    terminal = Terminal(folder)
    printed = None
    try:
        for number, kind, file, text in blocks(page.read_text(encoding="utf-8")):
            place = f"{page.name}:{number}"
            if file:
                (folder / file).write_text(text + "\n", encoding="utf-8")
            elif kind == "sh":
                printed, status = terminal.run(text)
                if status is None:
                    verdict.fail(f"{place}: not over after {SECONDS} s: {text}\nprinted so far: {printed}")
                verdict.check(status == 0, f"{place}: status {status} {printed.strip()[-600:]}" if status else f"{place} is done")
            elif kind in ("text", "json"):
                if printed is None:
                    verdict.fail(f"{place}: nothing was run before this output")
                verdict.check(same(printed, text), f"{place} is printed" if same(printed, text)
                              else f"{place}: shown is\n{text}\nprinted was\n{printed}")
            else:
                verdict.fail(f"{place}: a fence of the kind `{kind}` is neither run nor compared")
    finally:
        terminal.close()
