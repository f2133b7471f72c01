"""Both hang up at once: each answers the other's BYE, and reads 200 or 481 of its own (RFC 5407 section 3.2.2)."""

from table.script import Callee, Caller

TITLE = "BYE crossing BYE"


def play(stage):
    alice, bob = stage.alice, stage.bob
    callee = Callee("bob").is_called().respond(180).answers().pause(1).exchange("BYE")
    mark = stage.mark()
    held = stage.pump.hold(lambda packet: packet.place is alice.place and _is_bye(packet))
    stage.cast(bob=callee, alice=Caller("alice", "bob").calls().pause(1.2).crossing_bye().until_crossed())
    stage.wait(lambda: {packet.up for packet in held.packets} == {True, False}, 5, "the two BYEs are on their way")
    held.release()
    stage.sees(alice, False, "has its BYE answered", mark, method="BYE")
    stage.sees(alice, True, "answers the BYE", mark, method="BYE", status=200)
    stage.is_over(bob, since=mark, text="crossing")
    stage.finish()


def _is_bye(packet):
    return packet.sip and not packet.sip.is_response and packet.sip.method == "BYE"
