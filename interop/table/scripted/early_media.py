"""183 with a session: the caller hears the callee before the answer."""

from table.script import Callee, Caller, sdp

TITLE = "early media"


def play(stage):
    alice, bob = stage.alice, stage.bob
    callee = Callee("bob").is_called().respond(183, sdp()).pause(1.5).answers().until_bye()
    mark = stage.cast(bob=callee, alice=Caller("alice", "bob").invites().is_told(183).is_answered().pause(1).exchange("BYE"))
    stage.hears(alice, bob, "before the answer")
    stage.must(not any(stage.seen(alice, False, mark, method="INVITE", status=200)), "nobody has answered yet")
    stage.sees(alice, False, "is answered", mark, method="INVITE", status=200)
    stage.hear_each_other(alice, bob, "after the answer")
    stage.finish()
