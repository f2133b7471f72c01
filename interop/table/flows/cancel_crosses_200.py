"""The caller gives up just as the callee answers: the callee's 200 is acknowledged and ended (RFC 5407 section 3.1.2)."""

TITLE = "CANCEL crossing 200"


def play(stage):
    alice, bob = stage.alice, stage.bob
    mark = stage.ring(alice, bob)
    held = stage.pump.hold(lambda packet: packet.place is bob.place and packet.up and _is_answer(packet))
    bob.answer()
    stage.wait(lambda: held.packets, 3, f"{bob.name} answers")
    alice.give_up()
    stage.sees(bob, False, "is cancelled", mark, request="CANCEL")
    held.release()
    stage.sees(alice, False, "reads 487", mark, method="INVITE", status=487)
    stage.sees(bob, False, "gets an ACK of its 200", mark, request="ACK")
    stage.sees(bob, False, "is hung up", mark, request="BYE")
    stage.sees(bob, True, "answers the BYE", mark, method="BYE", status=200)
    stage.nothing_is_left()


def _is_answer(packet):
    return packet.sip and packet.sip.is_response and packet.sip.method == "INVITE" and packet.sip.status == 200
