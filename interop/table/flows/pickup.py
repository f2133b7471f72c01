"""Somebody else's phone rings, and is picked up by INVITE with Replaces (RFC 3891 section 3, RFC 5359 section 2.11)."""

TITLE = "pickup"


def play(stage):
    alice, bob = stage.alice, stage.bob
    picker = stage.able("pick_up")
    mark = stage.ring(alice, bob)
    picker.pick_up(bob.uri, replaced(stage, bob, mark))
    stage.sees(picker, False, "has its INVITE with Replaces accepted", mark, method="INVITE", status=200)
    stage.sees(alice, False, "is answered", mark, method="INVITE", status=200)
    stage.sees(bob, False, "stops ringing", mark, request="CANCEL")
    stage.sees(bob, True, "says 487", mark, method="INVITE", status=487)
    stage.hear_each_other(alice, picker, "after the pickup")
    stage.ends(picker, alice)


def replaced(stage, phone, mark):
    """The dialog of a ringing phone, as the switch sees it: its own tag first."""
    ringing = stage.sees(phone, True, "rings", mark, method="INVITE", status=180)
    own, far = (ringing.get(name).split(";tag=")[1].split(";")[0] for name in ("From", "To"))
    return f"{ringing.get('Call-ID')};to-tag={own};from-tag={far}"
