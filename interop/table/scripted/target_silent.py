"""The target of a REFER never answers: it is cancelled, NOTIFY says 408 or 480, and the call goes on."""

from table.moving import outcome
from table.script import Callee, Caller
from table.scripted_moving import refer
from table.stage import RING_TIME

TITLE = "transfer target silent"


def play(stage):
    alice, bob = stage.alice, stage.bob
    silent = Callee("carol").is_called().respond(180).receive("CANCEL").respond(200).respond_to_invite(487).receive("ACK")
    mark = stage.cast(
        carol=silent,
        bob=Callee("bob").is_called().rings(0).answers().until_bye(),
        alice=refer(Caller("alice", "bob").calls().pause(0.6)).pause(RING_TIME + 2).exchange("BYE"),
    )
    found = outcome(stage, alice, mark, seconds=RING_TIME + 3)
    stage.must(found in (408, 480), f"alice is told {found}")
    stage.hear_each_other(alice, bob, "after the transfer failed")
    stage.finish()
