"""A call, ended by the caller and, once more, by the callee."""

from table.script import Callee, Caller

TITLE = "call"


def play(stage):
    alice, bob = stage.alice, stage.bob
    stage.cast(bob=Callee("bob").is_called().rings().answers().until_bye(), alice=Caller("alice", "bob").calls().pause(1.5).exchange("BYE"))
    stage.hear_each_other(alice, bob, "in the call")
    stage.finish()
    stage.cast(bob=Callee("bob").is_called().rings().answers().pause(0.5).exchange("BYE"), alice=Caller("alice", "bob").calls().until_bye())
    stage.finish()
