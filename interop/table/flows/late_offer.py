"""An INVITE without SDP (RFC 3264 by way of RFC 3261 section 13.2.1): the 200 offers, the ACK answers, both hear each other."""

TITLE = "late offer"


def play(stage):
    bob, late = stage.bob, stage.late()
    mark = stage.mark()
    late.dial(bob.uri)
    stage.sees(bob, False, "is called", mark, request="INVITE")
    bob.ring()
    stage.sees(bob, True, "rings", mark, method="INVITE", status=180)
    bob.answer()
    stage.sees(bob, False, "gets an ACK", mark, request="ACK")
    late.acknowledge()
    stage.hears(bob, late, "after the answer in the ACK")
    stage.wait(lambda: late.hears(bob.hertz), 4, f"who offered late hears {bob.name}")
    mark = stage.mark()
    late.hang_up()
    stage.is_over(bob, since=mark, text="hung up")
    stage.nothing_is_left()
