"""REFER: 202, NOTIFYs up to 200, BYE; the other party and the target talk."""

from table.moving import asked, told
from table.script import Callee, Caller
from table.scripted_moving import refer

TITLE = "blind transfer"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    mark = stage.cast(
        carol=Callee("carol").is_called().rings(0.3).answers().until_bye(patience=3),
        bob=Callee("bob").is_called().rings(0).answers().until_bye(),
        alice=refer(Caller("alice", "bob").calls().pause(0.6)).until_bye(),
    )
    asked(stage, alice, mark)
    stage.hear_each_other(bob, carol, "after the transfer")
    told(stage, alice, mark, (200,))
    stage.finish()
