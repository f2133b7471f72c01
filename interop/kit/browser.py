"""Phones of others in a browser: JsSIP and SIP.js, fetched with npm, made into pages, and steered in Chromium.

What is fetched stays in the scratch folder; its versions and hashes stand in interop/browser/package-lock.json.
"""

import base64
import functools
import http.server
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from . import programs, verdict
from .chromium import Chromium, Page

ROOT = Path(__file__).resolve().parents[2]
SOURCE, DOCUMENT = ROOT / "interop/browser", ROOT / "docs/browsers.md"
LIBRARIES = {"JsSIP": "jssip", "SIP.js": "sipjs"}
"""Their names, and those of their pages."""

HTML = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script src="{name}.js"></script>\n'

PAGES_PORT = 8000
ORIGIN = f"http://localhost:{PAGES_PORT}"
FETCH_SECONDS = 90


def build():
    """Fetches the libraries and makes the pages, before the test moves into a network that leads nowhere."""
    missing = [name for name in ("node", "npm") if not shutil.which(name)]
    if missing:
        verdict.skip(f"not installed: {' '.join(missing)}")
    folder = verdict.SCRATCH / "browser"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE, folder)
    words = ["npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]
    _run(words, folder)
    names = list(LIBRARIES.values())
    for number, script in enumerate(documented("js")):
        names.append(f"documented{number}")
        (folder / f"{names[-1]}.js").write_text(script)
    scripts = [f"{name}.js" for name in names]
    _run(["node_modules/.bin/esbuild", *scripts, "--bundle", "--log-level=warning", "--outdir=pages"], folder)
    for name in names:
        (folder / f"pages/{name}.html").write_text(HTML.format(name=name))
    return folder / "pages"


def documented(language):
    """What stands in docs/browsers.md in that language, piece by piece."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def _run(words, folder):
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        return verdict.fail(f"{words[0]}: not done within {FETCH_SECONDS} s")
    if done.returncode:
        verdict.fail(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def serve(pages, port=PAGES_PORT):
    """A web server for the pages; each port is an origin of its own."""
    handler = functools.partial(Quiet, directory=pages)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words):
        pass


def believing(certificate, *names):
    """A Chromium with sound, that finds these names here and takes this certificate for good."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], check=True, capture_output=True).stdout
    key = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, check=True, capture_output=True).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=key, check=True, capture_output=True).stdout
    browser = Chromium(flags=(
        f"--ignore-certificate-errors-spki-list={base64.b64encode(digest).decode()}",
        "--host-resolver-rules=" + ",".join(f"MAP {name} 127.0.0.1" for name in names),
        "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
        "--disable-features=WebRtcHideLocalIpsWithMdns", "--disable-quic",
        # A page that nobody looks at goes on being served.
        "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
    ))
    # Who may not use the microphone is not shown the addresses of the machine, and offers none.
    browser.call("Browser.grantPermissions", permissions=["audioCapture", "videoCapture"])
    return browser


class Cable:
    """Stands between a browser and the port of the switch, and can be cut."""

    def __init__(self, port):
        self._port = port
        self._ends = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            near, _ = self._listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._port), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()

    def cut(self):
        """Ends every connection without the close that a WebSocket would say."""
        ends, self._ends = self._ends, []
        for end in ends:
            _end(end)


def _pass_on(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    _end(one)
    _end(other)


def _end(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It has ended by itself.
        pass


class BrowserPhone:
    """A page with one of the two libraries. `over` is ws or wss, `port` that of the switch or of a cable to it."""

    def __init__(self, browser, library, user, secret, hertz, over, port, domain="example.test", expires=600, origin=ORIGIN):
        self.library, self.user, self.hertz, self.over = library, user, hertz, over
        self.uri = f"sip:{user}@{domain}"
        self.name = f"{library} {user} ({over})"
        self.page = Page(browser, f"{origin}/{LIBRARIES[library]}.html")
        self._read = 0
        server = f"{over}://{domain}:{port}"
        self.do("start", {"server": server, "uri": self.uri, "user": user, "secret": secret, "expires": expires, "hertz": hertz})

    def do(self, verb, *words):
        """Lets it do something; what comes of it, its words tell."""
        self.page.ask(f"void phone.{verb}({', '.join(json.dumps(word) for word in words)})")

    def words(self):
        return self.page.ask("phone.words")

    def mark(self):
        """What it has said so far is not waited for any more."""
        self._read = len(self.words())

    def expect(self, word, seconds=10):
        """Waits until it says something that begins so, and looks for the next only behind it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for at, said in enumerate(self.words()[self._read :], self._read):
                if said.startswith(word):
                    self._read = at + 1
                    return said
            time.sleep(0.05)
        return self._fail(f"{self.name} says {word!r}: not within {seconds} s, only {self.words()[self._read :]}")

    def hears(self, hertz, seconds=10):
        """Waits until this tone is what it hears; 0 is silence."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            heard = self.page.ask("phone.hears()")
            if abs(heard - hertz) < 12:
                return
            time.sleep(0.1)
        self._fail(f"{self.name} hears {hertz} Hz: not within {seconds} s, but {heard:.0f} Hz")

    def _fail(self, text):
        lines = []
        for event in self.page.browser.events:
            if event.get("sessionId") == self.page.session and event["method"] == "Runtime.consoleAPICalled":
                lines.append(" ".join(str(one.get("value", "")) for one in event["params"]["args"]))
        console = verdict.SCRATCH / f"{self.user}.console"
        console.write_text("\n".join([*lines, *self.page.complaints()]))
        programs.LOGS.append(console)
        verdict.fail(text)
