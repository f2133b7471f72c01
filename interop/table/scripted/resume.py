"""Held and resumed twice: both hear each other again."""

from table.script import Callee, Caller
from table.scripted_hold import resumed

TITLE = "resume"


def play(stage):
    alice, bob = stage.alice, stage.bob
    caller = resumed(Caller("alice", "bob").calls().pause(0.6)).pause(1.5).exchange("BYE")
    mark = stage.cast(bob=Callee("bob").is_called().rings(0).answers().until_bye(), alice=caller)
    stage.sees(alice, True, "resumes for the second time", mark, request="INVITE", number=5)
    stage.hear_each_other(alice, bob, "after resuming twice")
    stage.finish()
