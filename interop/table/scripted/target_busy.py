"""The target of a REFER says 486: NOTIFY says so, and the call goes on."""

from table.moving import outcome
from table.script import Callee, Caller
from table.scripted_moving import refer

TITLE = "transfer target busy"


def play(stage):
    alice, bob = stage.alice, stage.bob
    mark = stage.cast(
        carol=Callee("carol").is_called().rings(0.5).respond(486).receive("ACK"),
        bob=Callee("bob").is_called().rings(0).answers().until_bye(),
        alice=refer(Caller("alice", "bob").calls().pause(0.6)).pause(3).exchange("BYE"),
    )
    found = outcome(stage, alice, mark)
    stage.must(found == 486, f"alice is told {found}")
    stage.hear_each_other(alice, bob, "after the transfer failed")
    stage.finish()
