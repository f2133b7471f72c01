"""Nobody answers: the switch cancels and tells the caller (RFC 3665 section 3.8, from the other side)."""

from table.stage import RING_TIME

TITLE = "no answer"


def play(stage):
    alice, bob = stage.alice, stage.bob
    mark = stage.ring(alice, bob)
    stage.sees(bob, False, "is cancelled", mark, seconds=RING_TIME + 3, request="CANCEL")
    stage.sees(bob, True, "says 487", mark, method="INVITE", status=487)

    def told():
        finals = [packet.sip.status for packet in stage.seen(alice, False, mark, method="INVITE") if packet.sip.is_response]
        return next((status for status in finals if status in (408, 480)), None)

    stage.wait(told, 3, f"{alice.name} is told 408 or 480")
    stage.nothing_is_left()
