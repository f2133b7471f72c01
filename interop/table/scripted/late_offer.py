"""INVITE without SDP: the 200 offers, the ACK answers; and a re-INVITE without SDP likewise."""

from table.script import Callee, Caller, sdp

TITLE = "late offer"


def play(stage):
    alice, bob = stage.alice, stage.bob
    caller = Caller("alice", "bob").calls(body=None, answer=sdp()).pause(1).request("INVITE", None)
    caller.receive(100, optional=True).receive(200).request("ACK", sdp(version=2), again=True).pause(1).exchange("BYE")
    mark = stage.cast(bob=Callee("bob").is_called().rings().answers().until_bye(), alice=caller)
    for number in (1, 2):
        answer = stage.sees(alice, False, "is offered a session in the 200", mark, method="INVITE", status=200, number=number)
        stage.must("m=audio" in answer.body, f"no offer in the 200: {answer.body!r}")
        stage.hear_each_other(alice, bob, "after the answer in the ACK")
    stage.finish()
