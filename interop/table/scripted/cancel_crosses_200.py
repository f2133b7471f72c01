"""The CANCEL finds a callee that has just answered: its 200 is acknowledged and its leg ended; the caller reads 487."""

from table.script import Callee, Caller, sdp

TITLE = "CANCEL crossing 200"


def play(stage):
    callee = Callee("bob").is_called().respond(180).receive("CANCEL").respond(200).respond_to_invite(200, sdp())
    callee.receive("ACK").receive("BYE").inside().respond(200)
    stage.cast(bob=callee, alice=Caller("alice", "bob").invites().is_told(180).pause(0.4).cancels().refused(487))
    stage.finish()
