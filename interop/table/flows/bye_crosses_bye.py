"""Both sides hang up at once: each BYE is answered, both legs end (RFC 5407 section 3.1.5 and 3.2.2)."""

TITLE = "BYE crossing BYE"


def play(stage):
    alice, bob = stage.alice, stage.bob
    stage.talk(alice, bob)
    mark = stage.mark()
    held = stage.pump.hold(lambda packet: packet.place is alice.place and _is_bye(packet))
    bob.hang_up()
    stage.wait(lambda: held.packets, 3, "the switch hangs up the other leg")
    alice.hang_up()
    stage.wait(lambda: {packet.up for packet in held.packets} == {True, False}, 3, "the two BYEs are on their way")
    held.release()
    stage.sees(alice, True, "answers the BYE", mark, method="BYE", status=2)
    stage.wait(lambda: _answered(stage, alice, mark), 4, f"{alice.name}'s own BYE is answered with 200 or 481")
    stage.is_over(bob, since=mark, text="crossing")
    stage.nothing_is_left()


def _is_bye(packet):
    return packet.sip and not packet.sip.is_response and packet.sip.method == "BYE"


def _answered(stage, phone, mark):
    return any(packet.sip.status in (200, 481) for packet in stage.seen(phone, False, mark, method="BYE") if packet.sip.is_response)
