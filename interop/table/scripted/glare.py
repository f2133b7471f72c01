"""The switch's re-INVITE crosses the caller's: each is answered 491, and the switch tries again (RFC 3261 section 14.1)."""

from table.script import Callee, Caller, sdp

TITLE = "re-INVITE glare"


def play(stage):
    alice, bob = stage.alice, stage.bob
    mark = stage.mark()
    held = stage.pump.hold(lambda packet: packet.place is alice.place and _is_again(packet), most=2)
    stage.cast(bob=Callee("bob").is_called().rings(0).answers().until_bye(), alice=_crossing())
    stage.hear_each_other(alice, bob, "before")
    callid = next(stage.seen(alice, True, mark, request="INVITE")).sip.get("Call-ID")
    stage.wait(lambda: held.packets, 4, "the caller's re-INVITE is on its way")
    stage.command("CallHold", callid=callid, leg="caller", cmd_id="glare")
    stage.wait(lambda: {packet.up for packet in held.packets} == {True, False}, 4, "both re-INVITEs are on their way")
    # The caller's first: once its own 491 has come back, the switch's waits for its second try and has to let this pass.
    held.release_first(up=True)
    stage.sees(alice, False, "reads 491", mark, method="INVITE", status=491)
    held.release()
    stage.sees(alice, True, "says 491", mark, method="INVITE", status=491)
    stage.sees(alice, True, "accepts the second try of the switch", mark, seconds=6, method="INVITE", status=200)
    stage.until("glare", "Ended")
    stage.finish()


def _crossing():
    caller = Caller("alice", "bob").calls().pause(1.5).request("INVITE", sdp("sendonly", version=2), retrans=False)
    caller.receive(100, optional=True).refused(491)
    return caller.receive("INVITE").respond(491).receive("ACK").until_bye(patience=5)


def _is_again(packet):
    message = packet.sip
    return message and not message.is_response and message.method == "INVITE" and ";tag=" in message.get("To")
