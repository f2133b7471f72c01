"""The caller gives up while the callee rings: both read and say 487."""

from table.script import Callee, Caller

TITLE = "cancel"


def play(stage):
    callee = Callee("bob").is_called().respond(180).receive("CANCEL").respond(200).respond_to_invite(487).receive("ACK")
    caller = Caller("alice", "bob").invites().is_told(180).pause(0.5).cancels().refused(487)
    stage.cast(bob=callee, alice=caller)
    stage.finish()
