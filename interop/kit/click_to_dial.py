"""The page of examples/click-to-dial, by what a person does with it and sees of it; and one by the rules of the original's.

The original's JavaScript example (OpenSIPS/call-api, examples/javascript) has to run against ours unchanged. It is not ours to
keep here, and loads its libraries from other hosts; so a page stands for it that reads messages by the same rules:
`params.event` of every notification, `data.caller` of CallerAnswered, `data.callee` and `data.callid` of TransferStart, `data.extra` of
TransferPending, `data` of Error as a text; an event whose name it does not know is a complaint; replies are matched by their
number and mean that it is done; the address is 127.0.0.1 and not localhost; the page comes from a file, with the Origin `null`.
The example itself was run by hand as well, unchanged and with its own libraries.
"""

from pathlib import Path

from . import verdict

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "click-to-dial"
CARD = ".call:first-child"
"""The newest call stands at the top."""


class Dial:
    def __init__(self, browser, query=""):
        self.page = browser.page((EXAMPLE / "index.html").as_uri() + query)
        self.card = CARD
        """Which call is meant."""

    def connection(self, state, text):
        self.page.wait(f"document.querySelector('#connection').dataset.state === '{state}'", f"the connection is {state}")
        shown = self.page.text("#connection")
        verdict.check(text in shown, f"the connection says {shown!r}")

    def connect(self, server=None):
        if server:
            self.page.fill("#server", server)
        self.page.click("#connect")

    def call(self, caller, callee):
        self.page.fill("#caller", caller)
        self.page.fill("#callee", callee)
        # As with a keyboard: Enter in the last field.
        self.page.press("Enter")

    def state(self, state, text, seconds=10):
        """Waits for the call to be in a state, and checks the line that says so."""
        wanted = f"document.querySelector('{self.card}')?.dataset.state === '{state}'"
        self.page.wait(wanted, f"the call is {state}", seconds)
        shown = self.page.text(f"{self.card} .state")
        verdict.check(text in shown, f"the call is {state} and says {shown!r}")

    def events(self):
        """The events of the call as they are listed, repeated TransferPending counted as one."""
        names = self.page.ask(f"[...document.querySelectorAll('{self.card} .events li')].map((line) => line.dataset.event)")
        return [name for number, name in enumerate(names) if number == 0 or name != names[number - 1]]

    def listed(self, text):
        verdict.check(text in self.page.text(f"{self.card} .events"), f"the events list {text!r}")

    def enabled(self, *names):
        buttons = f"[...document.querySelectorAll('{self.card} > .buttons button:enabled:not([hidden])')]"
        found = self.page.ask(f"{buttons}.map((button) => button.className)")
        verdict.equal(found, list(names), f"buttons that can be pressed: {' '.join(names)}")

    def press(self, name):
        self.page.click(f"{self.card} .{name}")

    def error(self, *texts):
        shown = self.page.text(f"{self.card} > .error")
        verdict.check(all(text in shown for text in texts), f"the error says {shown!r}")


ORIGINAL = """<!doctype html><title>by the original's rules</title><script>
var shown = [], seen = [], callid = null, replies = {}, number = 0, title = "";
var socket = new WebSocket("ws://127.0.0.1:5059/call-api");
function call(method, params, done) {
  number += 1; replies[number] = done;
  socket.send(JSON.stringify({ jsonrpc: "2.0", method: method, params: params, id: number }));
}
socket.onmessage = function (message) {
  var obj = JSON.parse(message.data);
  if ("id" in obj) { if (obj.error) shown.push("refused " + obj.error.message); else replies[obj.id](obj.result); return; }
  seen.push(obj.params.event);
  switch (obj.params.event) {
    case "Error": shown.push("Error " + typeof obj.params.data + " " + obj.params.data); break;
    case "CallerAnswered": title = obj.params.data.caller + " answered"; break;
    case "TransferStart": title = "Calling to " + obj.params.data.callee; callid = obj.params.data.callid; break;
    case "TransferPending": shown.push("Callee status: " + obj.params.data.extra); break;
    case "CalleeAnswered": title = "Ongoing call"; break;
    case "Transferring": case "CallHolding": case "CallUnholding": case "CallHoldStart": case "CallUnholdStart":
    case "CallHoldSuccessful": case "CallUnholdSuccessful": case "Ended": break;
    default: shown.push("Unhandled message: " + obj.params.data);
  }
};
</script>"""


class Original:
    def __init__(self, browser):
        file = verdict.SCRATCH / "original.html"
        file.write_text(ORIGINAL)
        self.page = browser.page(file.as_uri())
        self.page.wait("socket.readyState === 1", "by the original's rules: a page from a file is let in at 127.0.0.1")

    def start(self, caller, callee):
        params = f"{{ caller: '{caller}', callee: '{callee}' }}"
        self.page.ask(f"shown = []; title = ''; callid = null; call('CallStart', {params}, () => shown.push('initiated'))")

    def command(self, method, done):
        """A command on the call whose `callid` TransferStart brought."""
        self.page.ask(f"call('{method}', {{ callid: callid }}, () => shown.push('{done}'))")
        self.page.wait(f"shown.includes('{done}')", f"by the original's rules: {method} is taken as done at its reply")

    def knows_every_event(self):
        unknown = [line for line in self.page.ask("shown") if line.startswith("Unhandled")]
        verdict.equal(unknown, [], "by the original's rules: no event has an unknown name")
