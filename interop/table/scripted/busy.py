"""The callee says 486: the caller reads it."""

from table.script import Callee, Caller

TITLE = "busy"


def play(stage):
    stage.cast(bob=Callee("bob").is_called().respond(486).receive("ACK"), alice=Caller("alice", "bob").invites().is_told().refused(486))
    stage.finish()
