"""Somebody who calls without SDP, and answers in the ACK what the 200 offers."""

from . import listen
from .rawsip import Agent, Call, media_address, sdp
from .tone import Tone

ADDRESS, PORT, AUDIO = "127.0.0.1", 5080, 40000


class Came:
    """A packet, as `listen` wants it."""

    sip = None

    def __init__(self, payload):
        self.payload = payload


class LateCaller:
    name = "a script"
    hertz = 440

    def __init__(self):
        self._agent = Agent(ADDRESS, PORT)
        self._tone = Tone(ADDRESS, AUDIO, self.hertz)
        self._tone.start()
        self._call = None

    def dial(self, uri):
        self._call = Call(self._agent, uri, body="")
        self._call.invite()

    def acknowledge(self):
        answer = self._agent.receive_final(5, "INVITE")
        if answer and answer.status == 200:
            self._tone.to = media_address(answer.body)
            self._call.ack(answer, sdp(ADDRESS, AUDIO))

    def hears(self, hertz):
        return listen.tone([Came(data) for data in self._tone.came], [hertz, self.hertz]) == hertz

    def hang_up(self):
        self._tone.to = None
        if self._call.answer:
            self._call.bye()

    def close(self):
        self._tone.close()
        self._agent.socket.close()
