"""Chromium without a window, driven through the DevTools protocol: pages are opened, keys and clicks are real ones."""

import atexit
import base64
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from . import programs, verdict
from .websocket import WebSocket

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-breakpad", "--disable-crash-reporter", "--mute-audio", "--lang=en", "--window-size=1000,1400",
    "--remote-debugging-port=0", "about:blank",
]

# What a page is asked again and again until it is so.
PATIENCE = 10
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), " ": (32, " ")}


class Chromium:
    """One browser; `page(url)` opens a page in it."""

    def __init__(self, name="chromium", flags=()):
        # Not in the scratch folder: the sockets of a browser need a short path.
        self.profile = Path(tempfile.mkdtemp(prefix="chromium-"))
        atexit.register(shutil.rmtree, self.profile, ignore_errors=True)
        log = verdict.SCRATCH / f"{name}.log"
        words = ["chromium", f"--user-data-dir={self.profile}", *flags, *FLAGS]
        # Nothing of it is kept in the home folder of whoever runs the tests.
        self.program = programs.start(words, log, env={**os.environ, "HOME": str(self.profile)})
        atexit.register(self.stop)
        port_file = self.profile / "DevToolsActivePort"
        lines = verdict.wait_for(lambda: _lines(port_file), 30, "the browser listens for its tester")
        self.port = int(lines[0])
        self.socket = WebSocket(path=lines[1], host="127.0.0.1", port=self.port)
        self.last_id = 0
        self.events = []
        """Everything the browser told, `{method, params, sessionId}`."""

    def call(self, method, session=None, **params):
        self.last_id += 1
        number = self.last_id
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.socket.send(json.dumps(message))
        end = time.monotonic() + 20
        while time.monotonic() < end:
            answer = self._read(end - time.monotonic())
            if answer and answer.get("id") == number:
                if "error" in answer:
                    verdict.fail(f"{method}: {answer['error']['message']}")
                return answer["result"]
        return verdict.fail(f"{method}: the browser does not answer")

    def _read(self, seconds):
        text = self.socket.receive(seconds)
        if text is None:
            return None
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def page(self, url):
        return Page(self, url)

    def stop(self):
        return programs.stop(self.program, seconds=10)


def _lines(file):
    lines = file.read_text().split() if file.exists() else []
    return lines if len(lines) == 2 else None


class Page:
    def __init__(self, browser, url):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")
        self.go(url)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'", "the page is there")

    def ask(self, expression):
        """The value of a JavaScript expression; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            verdict.fail(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return answer["result"].get("value")

    def wait(self, expression, text, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.ask(expression)
            if value:
                return value
            time.sleep(0.05)
        return verdict.fail(f"{text}: not within {seconds} s; the page shows: {self.ask('document.body?.innerText')!r}")

    def close(self):
        """It goes, without a word of its scripts to anybody."""
        self.browser.call("Target.closeTarget", targetId=self.target)

    def text(self, selector):
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    def click(self, selector):
        """Presses the mouse where the element is: what is hidden or covered cannot be pressed."""
        place = self.ask(
            f"""(() => {{
              const found = document.querySelector({json.dumps(selector)});
              if (!found || found.disabled) return null;
              found.scrollIntoView({{ block: "center" }});
              const box = found.getBoundingClientRect();
              const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
              const hit = document.elementFromPoint(x, y);
              return hit && (found.contains(hit) || hit.contains(found)) ? [x, y] : null;
            }})()"""
        )
        if not place:
            verdict.fail(f"{selector} cannot be clicked; the page shows: {self.ask('document.body.innerText')!r}")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def fill(self, selector, text):
        """Replaces what is written in a field, by keyboard."""
        field = f"document.querySelector({json.dumps(selector)})"
        self.ask(f"{field}.focus(), {field}.select()")
        if text:
            self.call("Input.insertText", text=text)
        else:
            self.press("Backspace")

    def press(self, key):
        code, text = KEYS.get(key, (8, ""))
        for kind, text in (("keyDown", text), ("keyUp", "")):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=text)

    def focused(self):
        """Which element has the keyboard: its id, or else its class."""
        return self.ask("document.activeElement.id || document.activeElement.className")

    def complaints(self):
        """What the browser held against the page: exceptions, refused loads, errors on the console."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"])
        return found

    def requests(self):
        """The addresses of everything it loaded or opened."""
        names = {"Network.requestWillBeSent": lambda p: p["request"]["url"], "Network.webSocketCreated": lambda p: p["url"]}
        return [
            names[event["method"]](event["params"])
            for event in self.browser.events
            if event["method"] in names and event.get("sessionId") == self.session
        ]

    def controls(self):
        """Role and name of everything that can be operated, as a screen reader has them."""
        roles = {"button", "textbox", "radio", "combobox", "checkbox", "link"}
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node.get("ignored") and node.get("role", {}).get("value") in roles
        ]

    def picture(self, file):
        """Saves what is seen, for whoever reads the logs of the test."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        Path(file).write_bytes(base64.b64decode(data))
