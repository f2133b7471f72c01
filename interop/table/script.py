"""SIPp scenarios, written in a few words each: what one party of a flow sends, expects and waits for.

The XML is kept in SCRATCH; SIPp reads it from there. A party is the caller of its one dialog (`Caller`) or the callee (`Callee`).
"""

from xml.sax.saxutils import escape

AUDIO = 6000
"""The port of a party's audio."""
DOMAIN = "example.test"
REASONS = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 481: "Call Does Not Exist", 486: "Busy Here",
           487: "Request Terminated", 491: "Request Pending", 603: "Decline"}
VIAS, ROUTES = (f"({name}: [^[:cntrl:]]*[[:cntrl:]]+)+" for name in ("Via", "Record-Route"))


def sdp(mode="sendrecv", address="[local_ip]", version=1):
    lines = ["v=0", f"o=sipp 1 {version} IN IP4 [local_ip]", "s=-", f"c=IN IP4 {address}", "t=0 0", f"m=audio {AUDIO} RTP/AVP 0",
             "a=rtpmap:0 PCMU/8000", f"a={mode}"]
    return "\n".join(lines)


class Script:
    def __init__(self, user):
        self.user = user
        self._steps, self._labels, self._cseq = [], 0, 0

    # --- the words of SIPp ---

    def add(self, text):
        self._steps.append(text)
        return self

    def _message(self, lines, body, retrans):
        body = body or ""
        lines = [*lines, *(["Content-Type: application/sdp"] if body else []), "Content-Length: [len]", ""]
        text = "\n".join([*lines, *([body] if body else []), ""])
        return self.add(f'<send{retrans}><![CDATA[\n{text}\n]]></send>')

    def receive(self, what, optional=False, actions="", more="", dialog=False):
        """A response by its number, a request by its name. `dialog` says that it makes the dialog's route and target."""
        kind = "response" if isinstance(what, int) else "request"
        rest = f"<action>{actions}</action></recv>" if actions else "</recv>"
        maybe = (' optional="true"' if optional else "") + (' rrs="true"' if dialog else "")
        return self.add(f'<recv {kind}="{what}"{maybe}{more}>{rest}')

    def pause(self, seconds):
        return self.add(f'<pause milliseconds="{int(seconds * 1000)}"/>')

    def label(self):
        self._labels += 1
        return str(self._labels)

    def xml(self):
        used = '<Reference variables="sender,receiver,vias,routes,sequence"/>' if any('"sender"' in step for step in self._steps) else ""
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{escape(self.user)}">'
        return "\n".join([head, *self._steps, used, "</scenario>", ""])

    # --- the words of SIP ---

    def routes(self):
        return ["[routes]"]

    def own(self):
        """The header fields by which the dialog is known, in a request of ours."""
        raise NotImplementedError

    def request(self, method, body=None, headers=(), again=False, uri="[next_url]", retrans=True):
        """A request within the dialog. `again` keeps the CSeq (ACK, CANCEL)."""
        self._cseq += 0 if again else 1
        lines = [f"{method} {uri} SIP/2.0", self.via(method), *self.routes(), *self.own(),
                 "Call-ID: [call_id]", f"CSeq: {self._cseq} {method}", f"Contact: <sip:{self.user}@[local_ip]:[local_port]>",
                 "Max-Forwards: 70", "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REFER, NOTIFY", *headers]
        return self._message(lines, body, ' retrans="500"' if method != "ACK" and retrans else "")

    def via(self, method):
        return f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-{self.user}-[pid]-{method}-{self._cseq}"

    def respond(self, status, body=None, headers=(), repeats=False):
        """To the request that came last. `repeats` sends it again until an ACK comes."""
        lines = [f"SIP/2.0 {status} {REASONS[status]}", "[last_Via:]", "[last_Record-Route:]", "[last_From:]", self.to_line(),
                 "[last_Call-ID:]", "[last_CSeq:]", f"Contact: <sip:{self.user}@[local_ip]:[local_port]>",
                 "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REFER, NOTIFY", *headers]
        return self._message(lines, body, ' retrans="500"' if repeats else "")

    def to_line(self):
        return "[last_To:]"

    def exchange(self, method, body=None, headers=(), status=200):
        """A request and its answer; an INVITE also gets its ACK."""
        self.request(method, body, headers)
        if method == "INVITE":
            self.receive(100, optional=True)
        self.receive(status)
        if method == "INVITE":
            self.request("ACK", again=True)
        return self

    def until_bye(self, patience=None):
        """Answers whatever comes within the dialog until it is ended, or ends it itself after as many seconds of quiet."""
        again, offered, refreshed, enough, end = (self.label() for _ in range(5))
        # SIPp looks at the time-out of the first of those it waits for.
        limit = f' timeout="{int(patience * 1000)}" ontimeout="{enough}"' if patience else ""
        self.add(f'<label id="{again}"/>')
        self.receive("ACK", optional=True, more=f' next="{again}"{limit}')
        self.receive("INVITE", optional=True, more=f' next="{offered}"{limit}')
        self.receive("UPDATE", optional=True, more=f' next="{refreshed}"{limit}')
        self.receive("BYE", more=limit)
        self.respond(200)
        self.add(f'<nop next="{end}"/>')
        self.add(f'<label id="{offered}"/>')
        self.respond(200, sdp(version=9))
        self.receive("ACK", more=f' next="{again}"')
        self.add(f'<label id="{refreshed}"/>')
        self.respond(200, sdp(version=9))
        self.add(f'<nop next="{again}"/>')
        if patience:
            self.add(f'<label id="{enough}"/>').exchange("BYE")
        return self.add(f'<label id="{end}"/>')

    def crossing_bye(self):
        """Hangs up, and does not repeat itself: the other side does the same."""
        return self.request("BYE", retrans=False)

    def until_crossed(self):
        """Answers the other side's BYE and reads the answer to its own, in either order. That is 481 where the call is forgotten."""
        second, end = self.label(), self.label()
        self.receive(200, optional=True, more=f' next="{second}"')
        self.receive(481, optional=True, more=f' next="{second}"')
        self.receive("BYE")
        self.respond(200)
        self.receive(481, optional=True, more=f' next="{end}"')
        self.receive(200)
        self.add(f'<nop next="{end}"/>')
        self.add(f'<label id="{second}"/>')
        self.receive("BYE")
        self.respond(200)
        return self.add(f'<label id="{end}"/>').lingers()

    def lingers(self, seconds=0.3):
        """Stays to answer what is repeated."""
        return self.add(f'<timewait milliseconds="{int(seconds * 1000)}"/>')


class Caller(Script):
    def __init__(self, user, target):
        super().__init__(user)
        self.target = target

    def own(self):
        return [f"From: <sip:{self.user}@{DOMAIN}>;tag={self.user}-[pid]", f"To: <sip:{self.target}@{DOMAIN}>[peer_tag_param]"]

    def invites(self, body=sdp(), headers=()):
        return self.request("INVITE", body, headers, uri=f"sip:{self.target}@{DOMAIN}")

    def is_told(self, *provisional):
        # SIPp wants the ones that may be missing before the one that may not.
        for status in sorted((100, 180, 183), key=lambda status: status in provisional):
            self.receive(status, optional=status not in provisional, dialog=status > 100)
        return self

    def is_answered(self, body=None):
        self.receive(200, dialog=True)
        return self.request("ACK", body, again=True)

    def is_answered_as(self, sequence):
        """Is answered when other requests have been sent since the INVITE."""
        self.receive(200, dialog=True)
        now, self._cseq = self._cseq, sequence
        self.request("ACK", again=True)
        self._cseq = now
        return self

    def calls(self, body=sdp(), headers=(), answer=None):
        """Dials and is answered."""
        return self.invites(body, headers).is_told().is_answered(answer)

    def refused(self, status):
        """Reads a final response and acknowledges it, in the transaction of the INVITE."""
        self.receive(status)
        lines = [f"ACK sip:{self.target}@{DOMAIN} SIP/2.0", self.via("INVITE"), f"From: <sip:{self.user}@{DOMAIN}>;tag={self.user}-[pid]",
                 "[last_To:]", "Call-ID: [call_id]", f"CSeq: {self._cseq} ACK", "Max-Forwards: 70"]
        return self._message(lines, None, "")

    def cancels(self):
        """The branch of a CANCEL is that of its INVITE."""
        lines = [f"CANCEL sip:{self.target}@{DOMAIN} SIP/2.0", self.via("INVITE"),
                 f"From: <sip:{self.user}@{DOMAIN}>;tag={self.user}-[pid]", f"To: <sip:{self.target}@{DOMAIN}>", "Call-ID: [call_id]",
                 f"CSeq: {self._cseq} CANCEL", "Max-Forwards: 70"]
        self._message(lines, None, ' retrans="500"')
        return self.receive(200)


class Callee(Script):
    """Its header fields are those of the INVITE, turned round."""

    def own(self):
        return [f"From: [$receiver];tag={self.user}-[pid]", "To: [$sender]"]

    def to_line(self):
        return f"[last_To:];tag={self.user}-[pid]"

    def is_called(self):
        actions = "".join(
            f'<ereg regexp="{regexp}" search_in="{place}" {header}assign_to="{name}"/>'
            for name, regexp, place, header in (
                ("sender", ".*", "hdr", 'header="From:" '), ("receiver", ".*", "hdr", 'header="To:" '),
                ("vias", VIAS, "msg", ""), ("routes", ROUTES, "msg", ""), ("sequence", ".*", "hdr", 'header="CSeq:" '))
        )
        self.receive("INVITE", actions=actions, dialog=True)
        return self

    def rings(self, seconds=0.2):
        return self.respond(180).pause(seconds)

    def answers(self, body=sdp()):
        self.respond(200, body, repeats=True)
        return self.receive("ACK").inside()

    def inside(self):
        """From here on, requests bring our tag themselves."""
        self.to_line = lambda: "[last_To:]"
        return self

    def respond_to_invite(self, status, body=None, headers=()):
        """To the INVITE, when another request has come since."""
        lines = [f"SIP/2.0 {status} {REASONS[status]}", "[$vias][$routes]From: [$sender]", f"To: [$receiver];tag={self.user}-[pid]",
                 "Call-ID: [call_id]", "CSeq: [$sequence]", f"Contact: <sip:{self.user}@[local_ip]:[local_port]>",
                 "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REFER, NOTIFY", *headers]
        return self._message(lines, body, "")


class Later(Script):
    """Goes on with a dialog that another script has begun: `answer` is the 200 of its INVITE, `sequence` its CSeq so far."""

    def __init__(self, user, answer, sequence):
        super().__init__(user)
        self._answer, self._cseq = answer, sequence

    def own(self):
        return [f"From: {self._answer.get('From')}", f"To: {self._answer.get('To')}"]

    def routes(self):
        return [f"Route: {route}" for route in reversed(self._answer.all("Record-Route"))]

    def request(self, method, body=None, headers=(), again=False, uri=None, retrans=True):
        return super().request(method, body, headers, again, uri or self._answer.contact, retrans)
