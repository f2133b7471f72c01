"""Where the flows of the table are played: a switch, three phones of one kind, each on a cable that is watched.

What a flow claims is found on the cables, in SIP and in the tones of RTP; what a phone says of itself counts for nothing.
"""

import time

from kit import listen
from kit.late import LateCaller
from kit.switch import http
from kit.websocket import CallApi

STEP = 0.03
"""Seconds between two looks at the cables."""
LISTENING_STEP = 0.1
"""The same for sound, which takes longer to look at."""
WINDOW = 0.5
"""Seconds of sound that are listened to."""
FEWEST, MOST = 20, 24
"""Packets that make up a tone: fewer are not heard yet, more are too long ago."""
RING_TIME = 4
"""Seconds after which the switch gives up a phone that rings."""
SHOWN = ("SIP/2.0", "c=IN IP", "m=audio", "a=sendonly", "a=recvonly", "a=inactive")
"""What a ladder shows of a body."""


class Wrong(Exception):
    """Something went otherwise than it must: the cell FAILS."""


class Cannot(Exception):
    """The user agent has no way to do what the flow asks. The text says so, the evidence why it is believed."""

    def __init__(self, text, evidence):
        super().__init__(text)
        self.evidence = evidence


class Stage:
    def __init__(self, switch, pump, phones, tones, helper):
        self.switch, self.pump, self.tones = switch, pump, tones
        self.phones = phones
        self.alice, self.bob, self.carol = phones
        self.helper = helper
        self.evidence = []
        self._late = self._application = None

    # --- who else takes part ---

    def able(self, verb):
        """The third phone, or where its program lacks the verb, the helper."""
        return self._instead(verb) if verb in self.carol.LACKS else self.carol

    def _instead(self, verb):
        text, evidence = self.carol.LACKS[verb]
        self.note(f"{self.helper.name} does that part: {self.carol.name.split()[0]} {text} ({evidence})")
        return self.helper

    def late(self):
        """Somebody who calls without SDP."""
        self._late = self._late or LateCaller()
        return self._late

    def command(self, method, **params):
        self._application = self._application or CallApi()
        self._application.request(method, params)

    def until(self, cmd_id, event):
        """Waits for an event of a command; an error of it is wrong."""
        self._application.until(cmd_id, event)
        events = self._application.events(cmd_id)
        self.must("Error" not in events, f"the command {cmd_id} says {events}")

    # --- looking at the cables ---

    def mark(self):
        return len(self.pump.packets)

    def seen(self, phone, up, since=0, method=None, status=None, request=None):
        """The SIP messages on a phone's cable, `up` being towards the switch.

        `method` is that of CSeq; `status` a number, or a hundred such as 2; `request` asks for one of this method.
        """
        for packet in self.pump.packets[since:]:
            message = packet.sip
            if message is None or packet.place is not phone.place or packet.up is not up:
                continue
            if request is not None and (message.is_response or message.method != request):
                continue
            if method is not None and message.method != method:
                continue
            if status is not None and (not message.is_response or status not in (message.status, message.status // 100)):
                continue
            yield packet

    def wait(self, found, seconds, text, step=STEP):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            result = found()
            if result:
                return result
            time.sleep(step)
        raise Wrong(f"{text}: not within {seconds} s")

    def sees(self, phone, up, text, since=0, seconds=4, number=1, **which):
        """The message that fits, or the `number`th of them, once it has passed."""

        def look():
            for count, packet in enumerate(self.seen(phone, up, since, **which), 1):
                if count == number:
                    return packet.sip
            return None

        return self.wait(look, seconds, f"{phone.name}: {text}")

    def must(self, condition, text):
        if not condition:
            raise Wrong(text)

    def note(self, text):
        """A line for the page, under the table."""
        self.evidence.append(text)

    # --- listening ---

    def streams(self, phone, up, since):
        """RTP on a phone's cable since a moment, by its ports."""
        found = {}
        for packet in reversed(self.pump.packets):
            if packet.at < since:
                break
            if packet.place is phone.place and packet.up is up and listen.is_rtp(packet):
                found.setdefault((packet.source[1], packet.target[1]), []).insert(0, packet)
        return list(found.values())

    def heard(self, phone, since=None):
        """The tones that a phone is sent, by default of late. 0 is silence, None a sound that is no phone's tone."""
        streams = self.streams(phone, False, since or time.monotonic() - WINDOW)
        return {listen.tone(stream[-MOST:], self.tones) for stream in streams if len(stream) >= FEWEST}

    def hears(self, listener, speaker, text, seconds=4):
        """A phone is sent the other's tone from now on."""
        self._all_hear([(listener, speaker)], text, seconds)

    def hear_each_other(self, one, other, text, seconds=4):
        self._all_hear([(one, other), (other, one)], text, seconds)

    def _all_hear(self, pairs, text, seconds):
        now = time.monotonic()
        missing = list(pairs)

        def look():
            missing[:] = [(listener, speaker) for listener, speaker in missing if speaker.hertz not in self.heard(listener, now)]
            return not missing

        try:
            self.wait(look, seconds, text, LISTENING_STEP)
        except Wrong:
            listener, speaker = missing[0]
            said = f"{text}: {listener.name} does not hear {speaker.name}, only {self.heard(listener)}"
            raise Wrong(said) from None

    def does_not_hear(self, listener, speaker, text, seconds=3):
        """A phone is not sent the other's tone any more: silence, music or nothing, for as long as one listens."""
        quiet_since = [time.monotonic()]

        def look():
            now = time.monotonic()
            if speaker.hertz in self.heard(listener):
                quiet_since[0] = now
            return now - quiet_since[0] > WINDOW / 2

        self.wait(look, seconds, f"{text}: {listener.name} still hears {speaker.name}", LISTENING_STEP)

    # --- calls ---

    def calls(self):
        return http("GET", "/health")[1]["calls"]

    def ring(self, caller, callee, uri=None):
        """The caller dials; the result is the mark before, once the callee rings and the caller knows."""
        mark = self.mark()
        caller.dial(uri or callee.uri)
        self.sees(callee, False, "an INVITE comes", mark, request="INVITE")
        callee.ring()
        self.sees(callee, True, "rings", mark, method="INVITE", status=180)
        self.sees(caller, False, "is told that it rings", mark, method="INVITE", status=180)
        return mark

    def talk(self, caller, callee):
        """A call that stands, each hearing the other; the result is the mark before it."""
        mark = self.ring(caller, callee)
        callee.answer()
        self.is_answered(caller, callee, mark)
        self.hear_each_other(caller, callee, "after the answer")
        return mark

    def is_answered(self, caller, callee, mark):
        self.sees(callee, True, "answers with 200", mark, method="INVITE", status=200)
        self.sees(callee, False, "gets an ACK", mark, request="ACK")
        self.sees(caller, False, "gets a 200", mark, method="INVITE", status=200)
        self.wait(lambda: any(self._acks(caller, mark)), 4, f"{caller.name} acknowledges the 200")

    def _acks(self, phone, mark):
        answers = [packet.sip for packet in self.seen(phone, False, mark, method="INVITE", status=200)]
        pairs = {(answer.get("Call-ID"), answer.sequence) for answer in answers}
        return [packet for packet in self.seen(phone, True, mark, request="ACK")
                if (packet.sip.get("Call-ID"), packet.sip.sequence) in pairs]

    def is_over(self, *phones, since, text):
        """Each of the phones has sent or got a BYE which was answered with 200."""
        for phone in phones:
            def ended(phone=phone):
                for up in (True, False):
                    byes = {packet.sip.get("Call-ID") for packet in self.seen(phone, up, since, request="BYE")}
                    answers = {packet.sip.get("Call-ID") for packet in self.seen(phone, not up, since, method="BYE", status=200)}
                    if byes & answers:
                        return True
                return False
            self.wait(ended, 5, f"{text}: {phone.name} has ended its call")

    def nothing_is_left(self, seconds=4):
        self.wait(lambda: self.calls() == 0, seconds, "no call is left in the switch")

    def ends(self, who, other):
        """One of two hangs up, both legs end."""
        mark = self.mark()
        who.hang_up()
        self.is_over(who, other, since=mark, text="hung up")
        self.nothing_is_left()

    # --- between flows ---

    def clean(self):
        for rule in list(self.pump.rules):
            rule.release()
        for phone in (*self.phones, self.helper):
            phone.tidy()
        if self._late:
            self._late.close()
        if self._application:
            self._application.drop()
        self._late = self._application = None
        self.wait(lambda: self.calls() == 0, 5, "no call is left between the flows")
        self.pump.forget()
        self.evidence = []

    def ladder(self):
        """The SIP that passed, a line each."""
        names = {phone.place: phone.user for phone in (*self.phones, self.helper)}
        packets = [packet for packet in self.pump.packets if packet.sip]
        lines = []
        for packet in packets:
            name = names.get(packet.place, packet.place.address)
            arrow = f"{name:>10} {'-->' if packet.up else '<--'} switch"
            body = " ".join(line for line in packet.sip.body.split("\r\n") if line.startswith(SHOWN))
            lost = "  (lost)" if packet.lost else ""
            lines.append(f"{packet.at - packets[0].at:8.3f}  {arrow}  {packet.sip.first}  [{packet.sip.get('CSeq')}] {body}{lost}")
        return "\n".join(lines)
