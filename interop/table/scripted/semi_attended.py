"""REFER with Replaces of a dialog that still rings: the target answers, and talks to the one that was left."""

from table.moving import told
from table.script import Callee, Caller
from table.scripted_moving import SECOND_PORT, connect, consulted

TITLE = "semi-attended transfer"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    _, first = consulted(stage, Callee("carol").is_called().rings(3).answers().until_bye(patience=4))
    mark = stage.mark()
    # The switch waits for the answer, and then connects: the consulted call is answered and ended.
    ended = Caller("alice", "carol").invites().is_told(180).is_answered().until_bye()
    alice.plays(ended, port=SECOND_PORT)
    second = stage.sees(alice, False, "is told that carol rings", mark, method="INVITE", status=180)
    connect(stage, first, second)
    stage.sees(alice, False, "has its REFER accepted", mark, method="REFER", status=202)
    stage.hears(bob, carol, "after the transfer", seconds=6)
    stage.hears(carol, bob, "after the transfer")
    told(stage, alice, mark, (200,))
    stage.finish()
