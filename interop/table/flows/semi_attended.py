"""The transferor lets the target ring and transfers before it answers (RFC 5589 section 7.5)."""

import time

from table.moving import asked, moved, target_rings

TITLE = "semi-attended transfer"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    stage.talk(alice, bob)
    mark = stage.mark()
    alice.consult(carol.uri)
    target_rings(stage, carol, mark)
    stage.sees(alice, False, "is told that it rings", mark, method="INVITE", status=180)
    alice.complete_early()
    if "complete_early" in alice.LACKS:
        _may_lack(stage, alice, mark)
    refer = asked(stage, alice, mark)
    if "Replaces" not in refer.get("Refer-To"):
        # Without Replaces the target is called anew.
        again = stage.mark()
        target_rings(stage, carol, min(again, mark))
    carol.answer()
    moved(stage, alice, bob, carol, mark)


def _may_lack(stage, phone, mark):
    """It counts as the program's lack if there is no REFER, or one that names the dialog without the tag which it has."""
    time.sleep(1)
    refer = next(stage.seen(phone, True, mark, request="REFER"), None)
    if refer is None or "to-tag%3D0" in refer.sip.get("Refer-To"):
        phone.lacks("complete_early")
