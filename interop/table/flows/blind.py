"""Blind transfer by REFER (RFC 3515, RFC 5359 section 2.4): the other party talks to the target, the transferor is told 200."""

from table.moving import asked, moved, target_rings

TITLE = "blind transfer"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    stage.talk(alice, bob)
    mark = stage.mark()
    alice.transfer(carol.uri)
    asked(stage, alice, mark)
    target_rings(stage, carol, mark)
    carol.answer()
    moved(stage, alice, bob, carol, mark)
