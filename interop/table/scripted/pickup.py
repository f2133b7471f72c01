"""INVITE with Replaces of a ringing phone's dialog: that phone is cancelled, the caller is answered."""

from table.flows.pickup import replaced
from table.script import Callee, Caller

TITLE = "pickup"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    rings = Callee("bob").is_called().respond(180).receive("CANCEL").respond(200).respond_to_invite(487).receive("ACK")
    mark = stage.cast(bob=rings, alice=Caller("alice", "bob").calls().until_bye())
    headers = [f"Replaces: {replaced(stage, bob, mark)}", "Require: replaces"]
    carol.plays(Caller("carol", "bob").calls(headers=headers).pause(1.5).exchange("BYE"))
    stage.hear_each_other(alice, carol, "after the pickup")
    stage.finish()
