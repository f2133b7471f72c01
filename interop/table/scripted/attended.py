"""REFER with Replaces: the transferor's two dialogs end, the two others talk."""

from table.moving import told
from table.script import Callee, Caller
from table.scripted_moving import SECOND_PORT, connect, consulted

TITLE = "attended transfer"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    _, first = consulted(stage, Callee("carol").is_called().rings(0).answers().until_bye(patience=5))
    mark = stage.mark()
    alice.plays(Caller("alice", "carol").calls().until_bye(), port=SECOND_PORT)
    second = stage.sees(alice, False, "is answered by carol", mark, method="INVITE", status=200)
    stage.hear_each_other(alice, carol, "while bob waits")
    connect(stage, first, second)
    stage.sees(alice, False, "has its REFER accepted", mark, method="REFER", status=202)
    stage.hear_each_other(bob, carol, "after the transfer")
    told(stage, alice, mark, (200,))
    stage.finish()
