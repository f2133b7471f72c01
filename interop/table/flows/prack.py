"""Provisional responses that must arrive (RFC 3262): each is acknowledged by PRACK, on both legs, also when the first PRACK is lost."""

TITLE = "PRACK"


def play(stage):
    alice, speaker = stage.alice, stage.able("reliable")
    _supported(stage, alice, speaker)
    mark = stage.mark()
    alice.dial(speaker.uri)
    stage.sees(speaker, False, "is called", mark, request="INVITE")
    lost = stage.pump.lose(lambda packet: packet.place is speaker.place and not packet.up and _is(packet, "PRACK"))
    speaker.reliable()
    stage.sees(speaker, True, "says 183 reliably", mark, method="INVITE", status=183)
    stage.sees(speaker, False, "is sent a PRACK again, the first being lost", mark, number=2, request="PRACK")
    stage.must(lost.packets, "no PRACK was lost")
    stage.sees(speaker, True, "accepts the PRACK", mark, method="PRACK", status=200)
    told = stage.sees(alice, False, "is told 183", mark, method="INVITE", status=183)
    if told.get("RSeq"):
        stage.sees(alice, True, "sends PRACK", mark, request="PRACK")
        stage.sees(alice, False, "has its PRACK accepted", mark, method="PRACK", status=200)
    else:
        stage.note(f"{alice.name} is sent its 183 without RSeq")
    speaker.answer()
    stage.is_answered(alice, speaker, mark)
    stage.hear_each_other(alice, speaker, "after the answer")
    stage.ends(alice, speaker)


def _supported(stage, phone, speaker):
    """Calls, to see whether the phone says that it knows 100rel; it cannot be tried with one that does not."""
    mark = stage.ring(phone, speaker)
    invite = next(stage.seen(phone, True, mark, request="INVITE")).sip
    phone.give_up()
    stage.nothing_is_left()
    if "100rel" not in ",".join(invite.all("Supported") + invite.all("Require") + invite.all("k")):
        phone.lacks("prack")


def _is(packet, method):
    return packet.sip and not packet.sip.is_response and packet.sip.method == method
