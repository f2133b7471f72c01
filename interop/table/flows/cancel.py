"""The caller gives up while the callee rings: CANCEL, 487 (RFC 3261 section 9)."""

TITLE = "cancel"


def play(stage):
    alice, bob = stage.alice, stage.bob
    mark = stage.ring(alice, bob)
    alice.give_up()
    stage.sees(alice, True, "cancels", mark, request="CANCEL")
    stage.sees(alice, False, "reads 200 of its CANCEL", mark, method="CANCEL", status=200)
    stage.sees(alice, False, "reads 487", mark, method="INVITE", status=487)
    stage.sees(bob, False, "is cancelled", mark, request="CANCEL")
    stage.sees(bob, True, "says 487", mark, method="INVITE", status=487)
    stage.sees(bob, False, "has its 487 acknowledged", mark, request="ACK")
    stage.nothing_is_left()
