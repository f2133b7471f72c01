"""The callee rings for ever: it is cancelled, the caller reads 408."""

from table.script import Callee, Caller

TITLE = "no answer"


def play(stage):
    callee = Callee("bob").is_called().respond(180).receive("CANCEL").respond(200).respond_to_invite(487).receive("ACK")
    stage.cast(bob=callee, alice=Caller("alice", "bob").invites().is_told(180).refused(408))
    stage.finish()
