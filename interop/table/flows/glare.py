"""Both sides of a leg send a re-INVITE at once: each is answered 491, both try again after a while (RFC 3261 section 14.1)."""

import time

from table.stage import Cannot, Wrong

TITLE = "re-INVITE glare"


def play(stage):
    alice, bob = stage.alice, stage.bob
    began = stage.talk(alice, bob)
    callid = next(stage.seen(alice, True, began, request="INVITE")).sip.get("Call-ID")
    mark = stage.mark()
    held = stage.pump.hold(lambda packet: packet.place is alice.place and _is_invite(packet), most=2)
    stage.command("CallHold", callid=callid, leg="caller", cmd_id="glare")
    stage.wait(lambda: held.packets, 3, "the switch asks for hold")
    alice.hold()
    stage.wait(lambda: {packet.up for packet in held.packets} == {True, False}, 3, "both re-INVITEs are on their way")
    # The phone's first: once its own 491 has come back, the switch's waits for its second try and has to let this pass.
    held.release_first(up=True)
    stage.sees(alice, False, "reads 491", mark, method="INVITE", status=491)
    held.release()
    answer = stage.wait(lambda: _answer(stage, alice, mark), 4, f"{alice.name} answers the re-INVITE of the switch")
    stage.note(f"{alice.name} answers the re-INVITE that crosses its own with {answer}")
    if answer == 491:
        stage.wait(lambda: _answered_again(stage, alice, mark), 8, "the switch tries again after its 491")
    stage.until("glare", "Ended")
    stage.command("CallUnhold", callid=callid, leg="caller", cmd_id="again")
    stage.until("again", "Ended")
    time.sleep(0.3)
    resumed = stage.mark()
    alice.resume()
    try:
        stage.hear_each_other(alice, bob, "after both have resumed")
    except Wrong:
        _try_again(stage, alice, resumed)
        raise
    stage.ends(bob, alice)


def _try_again(stage, phone, resumed):
    """RFC 3261 section 14.1 has who reads 491 try again; there are phones that think it done instead."""
    if not any(stage.seen(phone, True, resumed, request="INVITE")):
        raise Cannot("takes a hold that was answered 491 for done, and sends no re-INVITE to resume", "captured: none after 491")


def _is_invite(packet):
    return packet.sip and not packet.sip.is_response and packet.sip.method == "INVITE"


def _answer(stage, phone, mark):
    finals = [packet.sip.status for packet in stage.seen(phone, True, mark, method="INVITE") if packet.sip.is_response]
    return next((status for status in finals if status >= 200), None)


def _answered_again(stage, phone, mark):
    return any(stage.seen(phone, True, mark, method="INVITE", status=200))
