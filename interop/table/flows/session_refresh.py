"""A session is refreshed within its time (RFC 4028) by re-INVITE or UPDATE that changes nothing; the audio does not notice."""

TITLE = "session refresh"


def play(stage):
    alice, bob = stage.alice, stage.bob
    mark = stage.talk(alice, bob)
    invite = next(packet.sip for packet in stage.seen(alice, True, mark, request="INVITE") if packet.sip)
    answer = stage.sees(alice, False, "is answered", mark, method="INVITE", status=200)
    if "timer" in ",".join(invite.all("Supported") + invite.all("k")):
        stage.must(answer.get("Session-Expires") or answer.get("x"), f"{alice.name} supports timers and is given none")
    else:
        stage.note(f"{alice.name} does not say Supported: timer")
    mark = stage.mark()
    alice.refresh()
    stage.wait(lambda: _accepted(stage, alice, mark), alice.patience, f"{alice.name}'s refresh is accepted")
    stage.hear_each_other(alice, bob, "after the refresh")
    stage.ends(bob, alice)


def _accepted(stage, phone, mark):
    for method in ("INVITE", "UPDATE"):
        if any(stage.seen(phone, True, mark, request=method)) and any(stage.seen(phone, False, mark, method=method, status=200)):
            return True
    return False
