"""A REFER without Refer-To is refused with 400 (RFC 3515 section 2.4.2), one to nobody fails; the call goes on."""

from table.moving import outcome
from table.script import Callee, Caller
from table.scripted_moving import refer

TITLE = "REFER refused"


def play(stage):
    alice, bob = stage.alice, stage.bob
    caller = Caller("alice", "bob").calls().pause(0.4).request("REFER").receive(400).pause(0.3)
    mark = stage.cast(
        bob=Callee("bob").is_called().rings(0).answers().until_bye(),
        alice=refer(caller, "sip:nobody@example.test").pause(2).exchange("BYE"),
    )
    found = outcome(stage, alice, mark)
    stage.must(found in (404, 480), f"alice is told {found}")
    stage.hear_each_other(alice, bob, "after the transfer failed")
    stage.finish()
